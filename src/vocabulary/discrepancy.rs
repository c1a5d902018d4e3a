use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::reason::Severity;
use super::string_enum;

/// What makes a discrepancy the same as another: what it is about, and in which version.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiscrepancyKey(Arc<str>);

impl DiscrepancyKey {
    pub(crate) fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DiscrepancyKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for DiscrepancyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DiscrepancyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiscrepancyKey({})", self.0)
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DiscrepancyKind {
    /// The provider has money by a link that nobody here knows.
    UnmatchedPayment,
    /// Money that counts, and no grant rests on it.
    MoneyWithoutAccess,
    /// A live grant that rests on a payment which is not there, or not there any more.
    AccessWithoutMoney,
    /// The enrollment is approved, and the learner has no access by it.
    ApprovedWithoutAccess,
    /// A grant gives another course, or another learner, than its payment was for.
    GrantDiffers,
    /// A grant gives more than the offer that its payment was for.
    GrantExceedsOffer,
    /// It has waited for a person for too long.
    PendingTooLong,
}

string_enum!(DiscrepancyKind {
    UnmatchedPayment => "unmatched_payment",
    MoneyWithoutAccess => "money_without_access",
    AccessWithoutMoney => "access_without_money",
    ApprovedWithoutAccess => "approved_without_access",
    GrantDiffers => "grant_differs",
    GrantExceedsOffer => "grant_exceeds_offer",
    PendingTooLong => "pending_too_long",
});

impl DiscrepancyKind {
    /// How urgently a person should look.
    pub fn severity(&self) -> Severity {
        match self {
            Self::PendingTooLong => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// What to do about it, in one sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::UnmatchedPayment => {
                "Find the payer in the provider's dashboard: enroll and approve them, or give the money back."
            }
            Self::MoneyWithoutAccess => {
                "Look at the timeline: give the access that was paid for, or refund the payment."
            }
            Self::AccessWithoutMoney => {
                "Look at the timeline: end the grant, or record why the learner keeps it."
            }
            Self::ApprovedWithoutAccess => {
                "Look at the timeline: give access, or let the learner enroll again."
            }
            Self::GrantDiffers => {
                "Somebody changed the data by hand: end the grant and give the right one."
            }
            Self::GrantExceedsOffer => {
                "Compare the grant with the offer that was paid for: end it and give what was bought, or record why the learner keeps it."
            }
            Self::PendingTooLong => "Approve or reject it: a learner has been waiting.",
        }
    }
}
