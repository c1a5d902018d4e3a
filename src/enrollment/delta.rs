use super::state::Enrollment;
use super::timer::Timer;
use crate::access::Grant;
use crate::event::Event;
use crate::payment::PaymentAttempt;
use crate::vocabulary::{LearnerId, Version};

/// What a step changed of one case: what a store has to write of it.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Delta {
    /// The enrollment as it is after the step, if it changed.
    pub enrollment: Option<Enrollment>,
    /// The version the step was made on; `None` when the enrollment is new.
    pub expected: Option<Version>,
    /// Attempts as they are after the step: new ones and changed ones.
    pub attempts: Vec<PaymentAttempt>,
    /// Grants as they are after the step: new ones and changed ones.
    pub grants: Vec<Grant>,
    /// Timers that are set or stopped.
    pub timers: Vec<Timer>,
    /// What takes the learner's personal data out of what is stored.
    pub erasure: Option<Erasure>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl Delta {
    /// Whether the step changed nothing: each change leaves an event.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

/// Takes a learner out of what is stored. The enrollment, its attempts and the grants of the
/// same change name the pseudonym; bodies of deliveries for the enrollment go, as does what
/// rows of bank statements that paid it say, and what people wrote about it. Deliveries that
/// still waited are settled. Events are emptied of what is personal ([`form`]), and lose the
/// salt that their link of the audit log has; nothing else of them may change.
///
/// [`form`]: crate::event::form
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Erasure {
    /// What the learner is called from now on.
    pub pseudonym: LearnerId,
}

impl Erasure {
    /// Leaves the learner under this name, which must not lead back to them.
    pub fn under(pseudonym: LearnerId) -> Self {
        Self { pseudonym }
    }
}
