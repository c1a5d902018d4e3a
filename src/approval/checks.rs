use serde::{Deserialize, Serialize};

use crate::enrollment::{Enrollment, Status};
use crate::evidence::{Evidence, Finding};
use crate::payment::Attempt;
use crate::reason::{HoldReason, words};

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
    /// The payment names this attempt and its pay link.
    Attempt,
    /// The enrollment can take this money now.
    Status,
}

words!(CheckName {
    Exists => "exists",
    Learner => "learner",
    Course => "course",
    Amount => "amount",
    Currency => "currency",
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// What it found.
    #[serde(flatten)]
    pub outcome: CheckOutcome,
}

/// Every check of one payment: all of them, not the first that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckReport([Check; 7]);

impl CheckReport {
    /// Makes every check.
    pub fn of(
        enrollment: &Enrollment,
        attempt: &Attempt,
        evidence: &Evidence,
        course_offered: bool,
    ) -> Self {
        let must = |holds: bool, reason| {
            if holds {
                CheckOutcome::Passed
            } else {
                CheckOutcome::Failed(reason)
            }
        };
        let found = |finding, reason| match finding {
            Finding::Match => CheckOutcome::Passed,
            Finding::Differs => CheckOutcome::Failed(reason),
            Finding::NotStated => CheckOutcome::NotStated,
        };
        let course = match attempt.course == enrollment.course {
            true => must(course_offered, HoldReason::UnknownCourse),
            false => CheckOutcome::Failed(HoldReason::WrongCourse),
        };
        let outcomes = [
            (
                CheckName::Exists,
                must(
                    attempt.enrollment == enrollment.id,
                    HoldReason::WrongAttempt,
                ),
            ),
            (
                CheckName::Learner,
                must(
                    attempt.learner == enrollment.learner,
                    HoldReason::WrongLearner,
                ),
            ),
            (CheckName::Course, course),
            (
                CheckName::Amount,
                found(
                    evidence.amount,
                    sum_differs(evidence, attempt).unwrap_or(HoldReason::AmountDiffers),
                ),
            ),
            (
                CheckName::Currency,
                found(evidence.currency, HoldReason::CurrencyDiffers),
            ),
            (
                CheckName::Attempt,
                found(evidence.attempt, HoldReason::WrongAttempt),
            ),
            (CheckName::Status, status_allows(enrollment, attempt)),
        ];
        Self(outcomes.map(|(name, outcome)| Check { name, outcome }))
    }

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

/// How the sum that was stated differs from the one that was asked, if both are sums.
pub(crate) fn sum_differs(evidence: &Evidence, attempt: &Attempt) -> Option<HoldReason> {
    if evidence.amount != Finding::Differs {
        return None;
    }
    let (stated, asked) = (evidence.stated?, attempt.amount);
    match stated.minor().cmp(&asked.minor()) {
        std::cmp::Ordering::Less => Some(HoldReason::PartialPayment),
        std::cmp::Ordering::Greater => Some(HoldReason::ExcessPayment),
        std::cmp::Ordering::Equal => None,
    }
}

fn status_allows(enrollment: &Enrollment, attempt: &Attempt) -> CheckOutcome {
    match &enrollment.status {
        Status::AwaitingPayment | Status::AwaitingApproval { .. } => CheckOutcome::Passed,
        // Approved ahead of any payment: this one is welcome.
        Status::Approved { .. } => match &enrollment.counted {
            Some(counted) if *counted != attempt.reference => {
                CheckOutcome::Failed(HoldReason::DuplicateMoney)
            }
            _ => CheckOutcome::Passed,
        },
        Status::Rejected { .. } | Status::Expired | Status::Withdrawn => {
            CheckOutcome::Failed(HoldReason::LateMoney)
        }
    }
}
