//! What operators are woken for: rules over what happens, with windows that slide.
//!
//! [`AlertEngine`] is pure: it is told what happened and what time it is, and says which alerts begin,
//! escalate and end. The registrar tells it everything that this process commits or refuses, and,
//! through the store, what the others do: a threshold holds for the whole installation, and an
//! alert of it is raised once. Each leaves an event, which shows in the app and goes out by the
//! channels that admins chose; sinks of the host's own get it too, those whose
//! [`AlertRoute`] it is on.
//!
#![doc = include_str!("metrics.md")]

mod metrics;
mod route;
mod rule;
mod tally;
mod watch;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};
use crate::payment::AttemptStatus;
use crate::vocabulary::{DiscrepancyKind, Status, string_enum};

pub use crate::vocabulary::{AlertSeverity, AlertStage};
pub use metrics::Metric;
pub use route::AlertRoute;
pub use rule::{AlertCondition, AlertRule, AlertRuleProblem};
pub use tally::{Counted, Tallied, Tally};
pub use watch::AlertEngine;

/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Signal {
    /// A try to pay failed.
    PaymentFailed,
    /// Money arrived.
    PaymentCompleted,
    /// A callback was refused, could not be read or could not be stored.
    WebhookFailed,
    /// A callback was refused for its signature or its application id.
    SignatureFailed,
    /// A callback that was settled long ago came again.
    Replayed,
    /// A learner was refused often, from many addresses.
    AccessProbed,
    /// So many callbacks were refused or came again that not all of them are recorded.
    Flooded,
    /// Something is not set up: the store or the provider refuses for good.
    ConfigurationWrong,
    /// A part of the host's panicked: a publisher, a policy, a channel.
    HostPanicked,
    /// How long the provider took to answer, in milliseconds.
    PaymentLatency,
    /// How long an event took from commit to publication, in milliseconds.
    SyncDelay,
    /// Somebody enrolled.
    Enrolled,
    /// An enrollment was approved.
    Approved,
    /// An enrollment has waited for a person for too long.
    PendingLong,
    /// A callback was given up on.
    DeadLetter,
    /// Money and access do not agree.
    ReconciliationFinding,
}

string_enum!(Signal {
    PaymentFailed => "payment_failed",
    PaymentCompleted => "payment_completed",
    WebhookFailed => "webhook_failed",
    SignatureFailed => "signature_failed",
    Replayed => "replayed",
    AccessProbed => "access_probed",
    Flooded => "flooded",
    ConfigurationWrong => "configuration_wrong",
    HostPanicked => "host_panicked",
    PaymentLatency => "payment_latency",
    SyncDelay => "sync_delay",
    Enrolled => "enrolled",
    Approved => "approved",
    PendingLong => "pending_long",
    DeadLetter => "dead_letter",
    ReconciliationFinding => "reconciliation_finding",
});

impl Signal {
    /// Its place among all signals, as a bit.
    pub(crate) fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What a fact counts as, if as anything.
    pub fn of(kind: &EventKind) -> Option<Self> {
        Some(match kind {
            EventKind::AttemptMoved {
                to: AttemptStatus::Failed,
                ..
            } => Self::PaymentFailed,
            EventKind::PaymentCompleted { .. } => Self::PaymentCompleted,
            EventKind::EnrollmentCreated { .. } => Self::Enrolled,
            EventKind::EnrollmentMoved {
                to: Status::Approved { .. },
                ..
            } => Self::Approved,
            EventKind::DiscrepancyFound {
                kind: DiscrepancyKind::PendingTooLong,
                ..
            } => Self::PendingLong,
            EventKind::DiscrepancyFound { .. } => Self::ReconciliationFinding,
            EventKind::DeliveryDead { .. } => Self::DeadLetter,
            EventKind::FloodBegan { .. } => Self::Flooded,
            _ => return None,
        })
    }
}

/// An alert, as it stands. It holds numbers, and names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Its rule.
    pub rule: String,
    /// What became of it.
    pub stage: AlertStage,
    /// How grave it is.
    pub severity: AlertSeverity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When this became of it.
    pub at: DateTime<Utc>,
    /// Whether it stood for so long that it escalated, now or before it recovered.
    pub escalated: bool,
}

impl Alert {
    /// The alert that an event tells of, if it tells of one.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let EventKind::AlertChanged {
            rule,
            stage,
            severity,
            since,
            escalated,
        } = &event.kind
        else {
            return None;
        };
        let message = event.note.as_ref().map(|note| note.as_str().to_owned());
        Some(Self {
            rule: rule.clone(),
            stage: *stage,
            severity: *severity,
            message: message.unwrap_or_default(),
            since: *since,
            at: event.at,
            escalated: *escalated,
        })
    }
}
