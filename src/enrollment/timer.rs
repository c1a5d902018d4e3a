use chrono::{DateTime, Utc};

use crate::vocabulary::{EnrollmentId, EventId, GrantId, PaymentReference, string_enum};

/// What falls due by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TimerKey {
    /// The provider is to be asked about this attempt.
    Attempt(PaymentReference),
    /// This enrollment may have expired, or a grant of it.
    Enrollment(EnrollmentId),
    /// This grant, apart from any enrollment, has expired.
    Grant(GrantId),
    /// This event has to be told to people.
    Notice(EventId),
    /// A job for the whole installation.
    Job(Job),
}

/// A kind of timer. Each is claimed by itself, so that many of one delay no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TimerKind {
    /// Attempts to ask the provider about.
    Attempt,
    /// Enrollments that may have expired.
    Enrollment,
    /// Grants, apart from any enrollment, that expire.
    Grant,
    /// Events to tell people of.
    Notice,
    /// Jobs for the whole installation.
    Job,
}

string_enum!(TimerKind {
    Attempt => "attempt",
    Enrollment => "enrollment",
    Grant => "grant",
    Notice => "notice",
    Job => "job",
});

impl TimerKey {
    /// Of which kind it is.
    pub fn kind(&self) -> TimerKind {
        match self {
            Self::Attempt(_) => TimerKind::Attempt,
            Self::Enrollment(_) => TimerKind::Enrollment,
            Self::Grant(_) => TimerKind::Grant,
            Self::Notice(_) => TimerKind::Notice,
            Self::Job(_) => TimerKind::Job,
        }
    }
}

/// A job for the whole installation: one instance does it at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Job {
    /// Looking through the provider's history for money that nobody here knows of.
    SyncHistory,
    /// Comparing money and access.
    Reconcile,
    /// Adding new events to the audit log.
    AppendAuditLog,
    /// Dropping the bodies of old deliveries.
    Purge,
}

string_enum!(Job {
    SyncHistory => "sync_history",
    Reconcile => "reconcile",
    AppendAuditLog => "append_audit_log",
    Purge => "purge",
});

/// Sets a timer, or stops it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Of what.
    pub key: TimerKey,
    /// When it falls due; `None` stops it.
    pub due_at: Option<DateTime<Utc>>,
}

/// A timer that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// Of what.
    pub key: TimerKey,
    /// When it fell due.
    pub due_at: DateTime<Utc>,
    /// Where a job that takes several turns left off.
    pub cursor: Option<String>,
}
