use serde::{Deserialize, Serialize};

use super::reason::{ApprovalCause, HoldReason};

/// What to do with a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision", content = "because")]
pub enum Decision {
    /// Let the learner in at once.
    Approve(ApprovalCause),
    /// Keep the money in sight and ask a person.
    Hold(HoldReason),
    /// The money is to be given back; the enrollment does not wait because of it.
    Return(HoldReason),
    /// Do not count it.
    Refuse(RefuseReason),
}

/// Why a payment does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefuseReason {
    /// The try to pay failed: the attempt says so, the enrollment is unchanged.
    PaymentFailed,
    /// The host's policy turns it down: the enrollment is rejected, the money held.
    HostPolicy,
}
