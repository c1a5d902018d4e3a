use chrono::{DateTime, Utc};

use crate::enrollment::{Case, EnrollmentPolicy};
use crate::evidence::{
    Check, CheckName, CheckOutcome, CheckReport, Comparison, Evidence, Sums, sum_differs,
};
use crate::payment::{PaymentAttempt, Purpose};
use crate::vocabulary::Status;
use crate::vocabulary::reason::HoldReason;

impl CheckReport {
    /// Makes every check of a payment that was heard of first at one time, and is looked at now.
    pub fn of(
        case: &Case,
        attempt: &PaymentAttempt,
        evidence: &Evidence,
        (course_offered, rules): (bool, &EnrollmentPolicy),
        (heard, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Self {
        let enrollment = &case.enrollment;
        let dearer = case.dearer_since(attempt);
        let must = |holds: bool, reason| {
            if holds {
                CheckOutcome::Passed
            } else {
                CheckOutcome::Failed(reason)
            }
        };
        let found = |finding, reason| match finding {
            Comparison::Match => CheckOutcome::Passed,
            Comparison::Differs => CheckOutcome::Failed(reason),
            Comparison::NotStated => CheckOutcome::NotStated,
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
                CheckName::Offer,
                must(dearer.is_none(), HoldReason::OldPrice),
            ),
            (
                CheckName::Attempt,
                found(evidence.attempt, HoldReason::WrongAttempt),
            ),
            (
                CheckName::Status,
                status_allows(case, attempt, rules, (heard, now)),
            ),
        ];
        Self(outcomes.map(|(name, outcome)| {
            let failed = matches!(outcome, CheckOutcome::Failed(_));
            let sums = match name {
                CheckName::Amount => evidence.stated.map(|is| Sums {
                    is,
                    asked: attempt.amount,
                }),
                CheckName::Offer => dearer.map(|asked| Sums {
                    is: attempt.amount,
                    asked,
                }),
                _ => None,
            };
            Check {
                name,
                outcome,
                sums: sums.filter(|_| failed).map(Box::new),
            }
        }))
    }
}

fn status_allows(
    case: &Case,
    attempt: &PaymentAttempt,
    rules: &EnrollmentPolicy,
    (heard, now): (DateTime<Utc>, DateTime<Utc>),
) -> CheckOutcome {
    if let Some(covering) = case.covering(attempt, now) {
        return CheckOutcome::Failed(covering.reason());
    }
    // That nobody could be asked about it for a while does not make it late.
    let waits_since = [case.confirming, attempt.heard_at()];
    let heard = waits_since.into_iter().flatten().fold(heard, DateTime::min);
    let is_stale = |attempt| rules.is_stale(case, attempt, heard);
    let in_time = match &case.enrollment.status {
        Status::Rejected { .. } | Status::Withdrawn { .. } => false,
        _ if case.is_shut_for(attempt) => false,
        // More was asked for before the access ended, and is paid soon after: whether anybody
        // noticed that end yet makes no difference.
        status if *status == Status::Expired || case.has_lapsed(now) => {
            attempt.purpose != Purpose::First && !is_stale(attempt)
        }
        // An offer is as old as any other, though nothing expires with it; but what a person
        // approved ahead of its payment waits for that.
        Status::Approved { .. } => case.is_approved_ahead(attempt, now) || !is_stale(attempt),
        Status::AwaitingApproval { .. } => !is_stale(attempt),
        // An offer that was over when the learner came back for another one. What is found at the
        // last look before an enrollment expires came in time.
        Status::AwaitingPayment | Status::Expired => {
            let last = case.latest_attempt();
            last.is_none_or(|last| !rules.is_stale(case, attempt, last.created_at))
        }
    };
    match in_time {
        true => CheckOutcome::Passed,
        false => CheckOutcome::Failed(HoldReason::LatePayment),
    }
}
