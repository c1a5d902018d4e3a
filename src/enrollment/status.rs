use std::fmt;

use serde::{Deserialize, Serialize};

use crate::reason::{ApprovalCause, HoldReason, Note, WithdrawReason, words};

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

words!(StatusKind {
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
