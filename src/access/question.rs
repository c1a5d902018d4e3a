use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::grant::{EndReason, Grant, GrantState};
use super::level::{AccessLevel, ResourceKind};
use super::restriction::RestrictionKind;
use crate::ids::{CourseId, GrantId, LearnerId};
use crate::payment::Reversal;

/// May this learner open this, now, from here?
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Question {
    /// Who asks. Take it from the host's own session.
    pub learner: LearnerId,
    /// Which course.
    pub course: CourseId,
    /// What kind of content.
    pub kind: ResourceKind,
    /// Whether the host marks this content as preview.
    pub preview: bool,
    /// From where.
    pub context: Context,
}

impl Question {
    /// A question without context.
    pub fn new(learner: LearnerId, course: CourseId, kind: ResourceKind) -> Self {
        Self {
            learner,
            course,
            kind,
            preview: false,
            context: Context::default(),
        }
    }

    /// Adds what is known about the request.
    #[must_use]
    pub fn from(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Says that the host marks this content as preview.
    #[must_use]
    pub fn preview(mut self) -> Self {
        self.preview = true;
        self
    }
}

/// What is known about a request. What is left out is not assumed.
#[derive(Debug, Clone, Default)]
pub struct Context {
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
    pub context: Context,
}

impl Visitor {
    /// A visitor of whose request nothing is known.
    pub fn new(learner: LearnerId) -> Self {
        Self {
            learner,
            context: Context::default(),
        }
    }

    /// Adds what is known about the request.
    #[must_use]
    pub fn from(mut self, context: Context) -> Self {
        self.context = context;
        self
    }
}

/// The answer, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum AccessDecision {
    /// Let the learner in.
    Allow {
        /// The grant that lets them in.
        grant: GrantId,
        /// Its level.
        level: AccessLevel,
        /// Until when, `None` for ever.
        until: Option<DateTime<Utc>>,
    },
    /// Do not.
    Deny {
        /// Why.
        #[serde(flatten)]
        reason: DenyReason,
    },
}

impl AccessDecision {
    /// Whether the learner may enter.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow { .. })
    }
}

/// Why a learner may not enter. The order is by how near they are: when several
/// grants deny, the greatest is given.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum DenyReason {
    /// There is no grant at all.
    #[error("there is no access to this course")]
    NoGrant,
    /// It was taken back, given back or left.
    #[error("the access ended: {why}")]
    Ended {
        /// Why it ended.
        why: EndReason,
    },
    /// It is suspended.
    #[error("the access is suspended: {why}")]
    Suspended {
        /// Why.
        why: Reversal,
    },
    /// Its time is over.
    #[error("the access expired")]
    Expired {
        /// When.
        at: DateTime<Utc>,
    },
    /// It has not started.
    #[error("the access has not started yet")]
    NotStarted {
        /// When it starts.
        at: DateTime<Utc>,
    },
    /// This kind of content is not part of it.
    #[error("this kind of content is not included")]
    KindNotCovered,
    /// Its level is too low for this.
    #[error("the access level is too low for this")]
    LevelTooLow {
        /// The level there is.
        level: AccessLevel,
    },
    /// A restriction this version does not know.
    #[error("the access has a restriction that this version does not know")]
    UnknownRestriction,
    /// A restriction keeps this request out.
    #[error("a restriction on {what} keeps this request out")]
    Restricted {
        /// Which one.
        what: RestrictionKind,
    },
}

/// Whether one grant opens what is asked for. Called for live grants only; a closure will do.
pub trait AccessPolicy: Send + Sync + 'static {
    /// Admits, or says why not.
    ///
    /// # Errors
    /// The reason to show when no other grant admits.
    fn admits(
        &self,
        grant: &Grant,
        question: &Question,
        now: DateTime<Utc>,
    ) -> Result<(), DenyReason>;
}

impl<F> AccessPolicy for F
where
    F: Fn(&Grant, &Question, DateTime<Utc>) -> Result<(), DenyReason> + Send + Sync + 'static,
{
    fn admits(
        &self,
        grant: &Grant,
        question: &Question,
        now: DateTime<Utc>,
    ) -> Result<(), DenyReason> {
        self(grant, question, now)
    }
}

/// The standard policy: the kind is covered, the level is high enough, every
/// restriction holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardAccess;

impl AccessPolicy for StandardAccess {
    fn admits(
        &self,
        grant: &Grant,
        question: &Question,
        now: DateTime<Utc>,
    ) -> Result<(), DenyReason> {
        if !grant.kinds.cover(question.kind) {
            return Err(DenyReason::KindNotCovered);
        }
        let high_enough = match (grant.level, question.kind) {
            (AccessLevel::None, _) => false,
            (AccessLevel::Preview, ResourceKind::Lesson | ResourceKind::Resource) => {
                question.preview
            }
            (
                AccessLevel::Preview,
                ResourceKind::Quiz | ResourceKind::Certificate | ResourceKind::Full,
            ) => false,
            (
                AccessLevel::Limited,
                ResourceKind::Lesson | ResourceKind::Resource | ResourceKind::Quiz,
            ) => true,
            (AccessLevel::Limited, ResourceKind::Certificate | ResourceKind::Full) => false,
            (AccessLevel::Full, _) => true,
        };
        if !high_enough {
            return Err(DenyReason::LevelTooLow { level: grant.level });
        }
        grant
            .restrictions
            .iter()
            .try_for_each(|restriction| restriction.check(&question.context, now))
    }
}

/// Answers from the union of a learner's grants. Grants of another learner or
/// course are passed over, whoever handed them in.
pub fn decide(
    grants: &[Grant],
    question: &Question,
    policy: &dyn AccessPolicy,
    now: DateTime<Utc>,
) -> AccessDecision {
    let mut reason = DenyReason::NoGrant;
    for grant in grants {
        if grant.learner != question.learner || grant.course != question.course {
            continue;
        }
        let admitted = alive(grant, now).and_then(|()| policy.admits(grant, question, now));
        match admitted {
            Ok(()) => {
                return AccessDecision::Allow {
                    grant: grant.id,
                    level: grant.level,
                    until: grant.expires_at,
                };
            }
            Err(why) => reason = reason.max(why),
        }
    }
    AccessDecision::Deny { reason }
}

/// The best that a visitor may open of a course, whatever kind of content it is: what its card
/// shows. Content that the host marks as preview does not count.
pub fn best_access(
    grants: &[Grant],
    visitor: &Visitor,
    course: &CourseId,
    policy: &dyn AccessPolicy,
    now: DateTime<Utc>,
) -> AccessDecision {
    let mut nearest = DenyReason::NoGrant;
    for kind in ResourceKind::ALL {
        let question = Question::new(visitor.learner.clone(), course.clone(), *kind)
            .from(visitor.context.clone());
        match decide(grants, &question, policy, now) {
            AccessDecision::Deny { reason } => nearest = nearest.max(reason),
            allow => return allow,
        }
    }
    AccessDecision::Deny { reason: nearest }
}

fn alive(grant: &Grant, now: DateTime<Utc>) -> Result<(), DenyReason> {
    match (grant.state, grant.expires_at) {
        (
            GrantState::Ended {
                at,
                why: EndReason::Expired,
            },
            _,
        ) => Err(DenyReason::Expired { at }),
        (GrantState::Ended { why, .. }, _) => Err(DenyReason::Ended { why }),
        (GrantState::Suspended { why, .. }, _) => Err(DenyReason::Suspended { why }),
        (GrantState::Live, Some(at)) if at <= now => Err(DenyReason::Expired { at }),
        (GrantState::Live, _) if now < grant.starts_at => Err(DenyReason::NotStarted {
            at: grant.starts_at,
        }),
        (GrantState::Live, _) => Ok(()),
    }
}
