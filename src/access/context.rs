use std::net::IpAddr;

use crate::vocabulary::LearnerId;

/// What is known about a request. What is left out is not assumed.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// The host's id for the device.
    pub device: Option<String>,
    /// The address the learner comes from.
    pub ip: Option<IpAddr>,
    /// The host's name for the feature, such as `download`.
    pub feature: Option<String>,
}

/// Who looks at a page, and from where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Visitor {
    /// Who looks. Take it from the host's own session.
    pub learner: LearnerId,
    /// From where: the same that the question of access is asked with.
    pub context: RequestContext,
}

impl Visitor {
    /// A visitor of whose request nothing is known.
    pub fn new(learner: LearnerId) -> Self {
        Self {
            learner,
            context: RequestContext::default(),
        }
    }

    /// Adds what is known about the request.
    #[must_use]
    pub fn from(mut self, context: RequestContext) -> Self {
        self.context = context;
        self
    }
}
