//! What the state is made of, besides rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use chrono::{DateTime, Utc};

use crate::enrollment::{DueTimer, TimerKey, TimerKind};
use crate::event::audit_log::LinkHash;
use crate::monitor::Tally;
use crate::vocabulary::{CourseId, EnrollmentId, EventId, LearnerId};

/// An event in the audit log.
pub(super) struct Link {
    pub(super) event: EventId,
    pub(super) salt: Option<String>,
    pub(super) kept: LinkHash,
    pub(super) personal: LinkHash,
    pub(super) hash: LinkHash,
}

/// A learner and a course.
pub(super) type Subject = (LearnerId, CourseId);

/// Where a grant is kept.
pub(super) enum Home {
    Row(EnrollmentId),
    Free(Subject),
}

/// A tally, and when it came.
pub(super) type KeptTally = (Tally, DateTime<Utc>);

type Due = BinaryHeap<Reverse<(DateTime<Utc>, TimerKey)>>;

/// When to look at which timer.
#[derive(Default)]
pub(super) struct Timers {
    pub(super) due: BTreeMap<TimerKind, Due>,
    /// Timers of nothing that has a row.
    pub(super) loose: HashMap<TimerKey, KeptTimer>,
}

/// A timer that is set.
pub(super) struct KeptTimer {
    pub(super) timer: DueTimer,
    pub(super) leased_until: Option<DateTime<Utc>>,
}

impl Timers {
    pub(super) fn due(&mut self, kind: TimerKind) -> &mut Due {
        self.due.entry(kind).or_default()
    }
}
