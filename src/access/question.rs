use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::context::{RequestContext, Visitor};
use super::cover::{Cover, cover};
use super::denial::DenyReason;
use super::grant::{Grant, GrantState};
use super::level::{AccessLevel, ResourceKind};
use super::terms::AccessTerms;
use crate::access::end_reason::EndReason;
use crate::vocabulary::{CourseId, GrantId, LearnerId};

/// May this learner open this, now, from here?
///
/// ```
/// use coursegate::access::{AccessRequest, ResourceKind};
/// use coursegate::{CourseId, LearnerId};
///
/// let (learner, course) = (LearnerId::new("thandi")?, CourseId::new("rust-101")?);
/// let quiz = AccessRequest::new(learner, course, ResourceKind::Quiz);
/// assert!(!quiz.preview);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AccessRequest {
    /// Who asks. Take it from the host's own session.
    pub learner: LearnerId,
    /// Which course.
    pub course: CourseId,
    /// What kind of content.
    pub kind: ResourceKind,
    /// Whether the host marks this content as preview.
    pub preview: bool,
    /// From where.
    pub context: RequestContext,
}

impl AccessRequest {
    /// A question without context.
    pub fn new(learner: LearnerId, course: CourseId, kind: ResourceKind) -> Self {
        Self {
            learner,
            course,
            kind,
            preview: false,
            context: RequestContext::default(),
        }
    }

    /// Adds what is known about the request.
    #[must_use]
    pub fn from(mut self, context: RequestContext) -> Self {
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

/// Whether one grant opens what is asked for. Called for live grants only; a closure will do.
pub trait AccessPolicy: Send + Sync + 'static {
    /// Admits, or says why not.
    ///
    /// # Errors
    /// The reason to show when no other grant admits.
    fn admits(
        &self,
        grant: &Grant,
        question: &AccessRequest,
        now: DateTime<Utc>,
    ) -> Result<(), DenyReason>;
}

impl<F> AccessPolicy for F
where
    F: Fn(&Grant, &AccessRequest, DateTime<Utc>) -> Result<(), DenyReason> + Send + Sync + 'static,
{
    fn admits(
        &self,
        grant: &Grant,
        question: &AccessRequest,
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
        question: &AccessRequest,
        now: DateTime<Utc>,
    ) -> Result<(), DenyReason> {
        if !grant.kinds.cover(question.kind) {
            return Err(DenyReason::KindNotCovered);
        }
        if !grant.level.opens(question.kind, question.preview) {
            return Err(DenyReason::LevelTooLow { level: grant.level });
        }
        grant
            .restrictions
            .iter()
            .try_for_each(|restriction| restriction.check(&question.context, now))
    }
}

/// Answers from the union of a learner's grants: of those that admit, by the one that lasts
/// longest, and of these the highest. Grants of another learner or course are passed over,
/// whoever handed them in.
pub fn decide(
    grants: &[Grant],
    question: &AccessRequest,
    policy: &dyn AccessPolicy,
    now: DateTime<Utc>,
) -> AccessDecision {
    let mut reason = DenyReason::NoGrant;
    let mut best: Option<&Grant> = None;
    let worth = |grant: &Grant| (grant.expires_at.is_none(), grant.expires_at, grant.level);
    for grant in grants {
        if grant.learner != question.learner || grant.course != question.course {
            continue;
        }
        let admitted = alive(grant, now).and_then(|()| policy.admits(grant, question, now));
        match admitted {
            Ok(()) if best.is_none_or(|best| worth(grant) > worth(best)) => best = Some(grant),
            Ok(()) => {}
            Err(why) => reason = reason.max(why),
        }
    }
    match best {
        Some(grant) => AccessDecision::Allow {
            grant: grant.id,
            level: grant.level,
            until: grant.expires_at,
        },
        None => AccessDecision::Deny { reason },
    }
}

/// The best that a visitor may open of a course, whatever kind of content it is: what its card
/// shows, and until when, where a renewal follows. Content that the host marks as preview does not
/// count.
pub fn best_access(
    grants: &[Grant],
    visitor: &Visitor,
    course: &CourseId,
    policy: &dyn AccessPolicy,
    now: DateTime<Utc>,
) -> AccessDecision {
    let mut nearest = DenyReason::NoGrant;
    for kind in ResourceKind::ALL {
        let question = AccessRequest::new(visitor.learner.clone(), course.clone(), *kind)
            .from(visitor.context.clone());
        match decide(grants, &question, policy, now) {
            AccessDecision::Deny { reason } => nearest = nearest.max(reason),
            AccessDecision::Allow {
                grant,
                level,
                until,
            } => {
                let admitting = grants.iter().find(|known| known.id == grant);
                let on = admitting.and_then(|grant| goes_on(grants, grant, now));
                return AccessDecision::Allow {
                    grant,
                    level,
                    until: on.map_or(until, |cover| cover.until),
                };
            }
        }
    }
    AccessDecision::Deny { reason: nearest }
}

/// Until when a learner has what one grant gives, counting in those that follow it.
fn goes_on(grants: &[Grant], grant: &Grant, now: DateTime<Utc>) -> Option<Cover> {
    let terms = AccessTerms {
        level: grant.level,
        kinds: grant.kinds,
        seconds: Some(0),
        restrictions: grant.restrictions.clone(),
    };
    let same = |other: &Grant| (&other.learner, &other.course) == (&grant.learner, &grant.course);
    cover(grants, same, &terms, now)
}

/// How far the clocks of two instances may be apart, though each is set right by the store's: who
/// was let in by one of them is not turned away by the other.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(2);

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
        (GrantState::Live, _) if now + CLOCKS_APART < grant.starts_at => {
            Err(DenyReason::NotStarted {
                at: grant.starts_at,
            })
        }
        (GrantState::Live, _) => Ok(()),
    }
}
