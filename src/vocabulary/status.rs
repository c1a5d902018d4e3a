use std::fmt;

use serde::{Deserialize, Serialize};

use super::note::Note;
use super::reason::{ApprovalCause, HoldReason, WithdrawReason};
use super::string_enum;

/// Where an enrollment stands. Payment and access have states of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Status {
    /// No money yet.
    AwaitingPayment,
    /// A person has to decide.
    AwaitingApproval {
        /// Why.
        reason: HoldReason,
    },
    /// The learner is in.
    Approved {
        /// What approved it.
        cause: ApprovalCause,
    },
    /// A person said no.
    Rejected {
        /// What they wrote.
        reason: Note,
    },
    /// Nobody paid in time, or the access that was bought is over.
    Expired,
    /// It was closed after it began: by the learner, by money that went back, or by the school.
    Withdrawn {
        /// Why.
        why: WithdrawReason,
    },
}

/// How a person, or the learner, closed an enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Closed {
    /// A person said no.
    Rejected {
        /// What they wrote.
        reason: Note,
    },
    /// It was closed after it began.
    Withdrawn {
        /// Why.
        why: WithdrawReason,
    },
}

impl Closed {
    /// What closed an enrollment with this status, if that was not time alone.
    pub fn of(status: &Status) -> Option<Self> {
        match status {
            Status::Rejected { reason } => Some(Self::Rejected {
                reason: reason.clone(),
            }),
            Status::Withdrawn { why } => Some(Self::Withdrawn { why: *why }),
            Status::AwaitingPayment
            | Status::AwaitingApproval { .. }
            | Status::Approved { .. }
            | Status::Expired => None,
        }
    }
}

impl From<Closed> for Status {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Rejected { reason } => Self::Rejected { reason },
            Closed::Withdrawn { why } => Self::Withdrawn { why },
        }
    }
}

/// A status without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusKind {
    /// See [`Status::AwaitingPayment`].
    AwaitingPayment,
    /// See [`Status::AwaitingApproval`].
    AwaitingApproval,
    /// See [`Status::Approved`].
    Approved,
    /// See [`Status::Rejected`].
    Rejected,
    /// See [`Status::Expired`].
    Expired,
    /// See [`Status::Withdrawn`].
    Withdrawn,
}

string_enum!(StatusKind {
    AwaitingPayment => "awaiting_payment",
    AwaitingApproval => "awaiting_approval",
    Approved => "approved",
    Rejected => "rejected",
    Expired => "expired",
    Withdrawn => "withdrawn",
});

impl Status {
    /// The status without its data.
    pub fn kind(&self) -> StatusKind {
        match self {
            Self::AwaitingPayment => StatusKind::AwaitingPayment,
            Self::AwaitingApproval { .. } => StatusKind::AwaitingApproval,
            Self::Approved { .. } => StatusKind::Approved,
            Self::Rejected { .. } => StatusKind::Rejected,
            Self::Expired => StatusKind::Expired,
            Self::Withdrawn { .. } => StatusKind::Withdrawn,
        }
    }

    /// The word that front ends of this kind use: `pending`, `approved`,
    /// `rejected`, `expired` or `withdrawn`.
    pub fn wire(&self) -> &'static str {
        match self {
            Self::AwaitingPayment | Self::AwaitingApproval { .. } => "pending",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Expired => "expired",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Whether the enrollment is still under way or approved: enrolling again
    /// finds it as it is.
    pub fn is_open(&self) -> bool {
        match self {
            Self::AwaitingPayment | Self::AwaitingApproval { .. } | Self::Approved { .. } => true,
            Self::Rejected { .. } | Self::Expired | Self::Withdrawn { .. } => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AwaitingApproval { reason } => write!(f, "awaiting_approval({reason})"),
            Self::Approved { cause } => write!(f, "approved({cause})"),
            Self::Withdrawn { why } => write!(f, "withdrawn({why})"),
            Self::AwaitingPayment | Self::Rejected { .. } | Self::Expired => {
                f.write_str(self.kind().as_str())
            }
        }
    }
}

/// Counts the changes of one enrollment, from 1. Every commit names the version it
/// was decided on, so that of two racing decisions one is made again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Names of the moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Transition {
    /// A payment approved it.
    PaymentApproved,
    /// A payment now carries what a person had approved.
    CauseRaised,
    /// Money came after a person, or the learner, had closed it.
    LateMoneyHeld,
    /// A person approved it.
    PersonApproved,
    /// A person rejected it.
    PersonRejected,
    /// It now waits for a person.
    Held,
    /// A graver reason was found.
    HoldRaised,
    /// Nobody paid in time.
    Unpaid,
    /// The bought access is over.
    Lapsed,
    /// The learner left.
    Left,
    /// The money that was held went back: the learner may pay again.
    HeldMoneyReturned,
    /// The money that carried it went back.
    MoneyReturned,
    /// The school ended the access.
    AccessRevoked,
    /// Money that came after it was closed is gone: it is closed as it was before.
    ClosedAgain,
    /// The learner enrolled again.
    Reopened,
}

string_enum!(Transition {
    PaymentApproved => "payment_approved",
    CauseRaised => "cause_raised",
    LateMoneyHeld => "late_money_held",
    PersonApproved => "person_approved",
    PersonRejected => "person_rejected",
    Held => "held",
    HoldRaised => "hold_raised",
    Unpaid => "unpaid",
    Lapsed => "lapsed",
    Left => "left",
    HeldMoneyReturned => "held_money_returned",
    MoneyReturned => "money_returned",
    AccessRevoked => "access_revoked",
    ClosedAgain => "closed_again",
    Reopened => "reopened",
});
