use serde::{Deserialize, Serialize};

use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{Money, string_enum};

/// Names of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckName {
    /// The payment belongs to an enrollment we know.
    Exists,
    /// The attempt was made for the enrollment's learner.
    Learner,
    /// The attempt was made for the enrollment's course, and the course is offered.
    Course,
    /// The sum is the one that was asked.
    Amount,
    /// The currency is the one that was asked.
    Currency,
    /// What was asked for it then is not less than what the same access was offered for since.
    Offer,
    /// The payment names this attempt and its pay link.
    Attempt,
    /// The enrollment can take this money now.
    Status,
}

string_enum!(CheckName {
    Exists => "exists",
    Learner => "learner",
    Course => "course",
    Amount => "amount",
    Currency => "currency",
    Offer => "offer",
    Attempt => "attempt",
    Status => "status",
});

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum CheckOutcome {
    /// It holds.
    Passed,
    /// It does not, and the payment is held for this reason.
    Failed(HoldReason),
    /// The provider says nothing about it.
    NotStated,
}

/// One check and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What it found.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
    /// The sums that were compared, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<Box<Sums>>,
}

/// Two sums that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sums {
    /// What there is: what arrived, or what the attempt's offer asked.
    pub is: Money,
    /// What it is compared with: what the attempt's offer asked, or what was asked since.
    pub asked: Money,
}

/// Every check of one payment: all of them, not the first that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckReport(pub(crate) [Check; 8]);

impl CheckReport {
    /// The checks, in a fixed order.
    pub fn checks(&self) -> &[Check] {
        &self.0
    }

    /// The reasons of the checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = HoldReason> {
        self.0.iter().filter_map(|check| match check.outcome {
            CheckOutcome::Failed(reason) => Some(reason),
            CheckOutcome::Passed | CheckOutcome::NotStated => None,
        })
    }
}
