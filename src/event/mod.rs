//! One fact that happened: who, what, why, when. History, audit and notification
//! are the same events.

mod actor;
pub mod audit_log;
mod erasures;
pub mod form;
mod kind;
mod notice;
mod plain;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::detect::Detection;
use crate::evidence::{CheckReport, Evidence};
use crate::vocabulary::{CourseId, Decision, EnrollmentId, EventId, LearnerId, Note, Version};

pub use actor::{Actor, Source};
pub use kind::EventKind;

/// What a decision about a payment rested on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// What was known, and how good it was.
    pub evidence: Evidence,
    /// The method, and why.
    pub detection: Detection,
    /// Every check.
    pub checks: CheckReport,
    /// What was decided.
    pub decision: Decision,
}

/// One fact that happened. Written once, in the same commit as the change it
/// tells of, and never altered: only personal data may be taken out of it.
///
/// Who did it, what, when and why is not personal in this sense: it stays for ever (see
/// [`form`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its name; subscribers de-duplicate by it.
    pub id: EventId,
    /// The enrollment it belongs to, if any.
    pub enrollment: Option<EnrollmentId>,
    /// Whose enrollment or grant it is about; `None` when it is about nobody's, or once their
    /// personal data was erased.
    pub learner: Option<LearnerId>,
    /// The course of that enrollment or grant.
    pub course: Option<CourseId>,
    /// The enrollment's version after the change; 0 without an enrollment.
    pub version: Version,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Who did it.
    pub who: Actor,
    /// By which way it came.
    pub source: Source,
    /// What a person wrote about it.
    pub note: Option<Note>,
    /// What the decision rested on.
    pub basis: Option<Box<DecisionRecord>>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Event {
    /// An event of a fact.
    pub fn new(
        id: EventId,
        kind: EventKind,
        who: Actor,
        source: Source,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            enrollment: None,
            learner: None,
            course: None,
            version: Version::default(),
            kind,
            who,
            source,
            note: None,
            basis: None,
            // What stores keep of a time, and what is in the audit log.
            at: at.trunc_subsecs(6),
        }
    }

    /// The same about this learner and course.
    #[must_use]
    pub fn about(mut self, learner: LearnerId, course: CourseId) -> Self {
        (self.learner, self.course) = (Some(learner), Some(course));
        self
    }
}
