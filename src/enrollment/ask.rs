//! What a learner who asks for a course is told, from what there is already.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::offers::for_any_time;
use super::rules::EnrollmentPolicy;
use crate::access::{AccessTerms, Cover, Grant, GrantSource, GrantState, cover, cover_to_come};
use crate::payment::{AttemptStatus, Offer, PaymentAttempt, PaymentMethod, Purpose};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{PaymentReference, Status};

/// What a learner wants beside what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Intent {
    /// The course. Who has it already buys nothing.
    #[default]
    Enroll,
    /// More time, before the access they have ends. It begins where that ends.
    Renew,
    /// The course, whether they have it already or not.
    BuyAgain,
}

/// What a learner asks for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The offer of today.
    pub offer: &'a Offer,
    /// How they want to pay.
    pub declared: PaymentMethod,
    /// What they want it for.
    pub intent: Intent,
}

/// What is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// They have it already.
    Open(Cover),
    /// They have it already, from a time on.
    Begins(DateTime<Utc>),
    /// A payment that came is being confirmed.
    Confirming,
    /// Money of theirs waits for a person, or the enrollment does.
    Waits(HoldReason),
    /// The school ended their access.
    Ended,
    /// There is an attempt to pay for just this.
    GoOn(PaymentReference),
    /// A new attempt is needed.
    Start(Purpose),
}

impl Ask<'_> {
    /// What is told a learner with these grants, and no enrollment in the course.
    pub fn of_grants(&self, grants: &[Grant], now: DateTime<Utc>) -> Asked {
        match self.purpose(grants, now) {
            Ok(purpose) => Asked::Start(purpose),
            Err(has) => has,
        }
    }

    /// What is told a learner with this enrollment. Nobody is asked to pay while money of theirs
    /// that fits is on its way, or waits.
    pub fn of_case(&self, case: &Case, rules: &EnrollmentPolicy, now: DateTime<Utc>) -> Asked {
        let now = case.time(now);
        let purpose = match self.purpose(&case.grants, now) {
            Ok(purpose) => purpose,
            Err(has) => return has,
        };
        let status = &case.enrollment.status;
        if !status.is_open() && case.enrollment.is_ended_by_school() {
            return Asked::Ended;
        }
        if case.confirming.is_some() {
            return Asked::Confirming;
        }
        if let Some(reason) = self.held(case, purpose) {
            return Asked::Waits(reason);
        }
        match status {
            Status::AwaitingApproval { reason } if *reason != HoldReason::BankTransfer => {
                return Asked::Waits(*reason);
            }
            // A transfer still waits beside it, and the school ended the rest.
            _ if case.enrollment.is_ended_by_school() => return Asked::Ended,
            _ => {}
        }
        let usable = |attempt: &&PaymentAttempt| {
            let waits = matches!(
                attempt.status,
                AttemptStatus::Started | AttemptStatus::LinkReady
            );
            (waits || attempt.is_resumable())
                && attempt.is_for(self.offer, purpose, self.declared)
                && !attempt.is_turned_down()
                // A transfer that is proven waits for as long as it takes.
                && (attempt.proof.is_some() || !rules.is_stale(case, attempt, now))
                && !case.is_superseded(attempt)
                && case.covering(attempt, now).is_none()
        };
        match case.attempts.iter().rev().find(usable) {
            Some(attempt) if status.is_open() && !case.has_lapsed(now) => {
                Asked::GoOn(attempt.reference.clone())
            }
            _ => Asked::Start(purpose),
        }
    }

    /// What an attempt would be for, or what they have already.
    fn purpose(&self, grants: &[Grant], now: DateTime<Utc>) -> Result<Purpose, Asked> {
        let terms = &self.offer.terms;
        let more = || {
            let live =
                |grant: &Grant| grant.is_live(now) && grant.source != GrantSource::Provisional;
            match grants.iter().any(live) {
                true => Purpose::Upgrade,
                false => Purpose::First,
            }
        };
        let any = |_: &Grant| true;
        match self.intent {
            Intent::Enroll => match cover_to_come(grants, any, terms, now) {
                Some((from, _)) if from > now => Err(Asked::Begins(from)),
                Some((_, cover)) => Err(Asked::Open(cover)),
                None => Ok(more()),
            },
            Intent::BuyAgain => Ok(match cover_to_come(grants, any, terms, now) {
                Some(_) => Purpose::Additional,
                None => more(),
            }),
            Intent::Renew => {
                // However long the access they have lasts, more time follows it.
                let any_time = for_any_time(terms);
                match cover(grants, any, &any_time, now) {
                    Some(forever @ Cover { until: None }) => Err(Asked::Open(forever)),
                    Some(Cover { until: Some(end) }) => Ok(last(grants, &any_time, (now, end))
                        .map_or_else(more, |last| Purpose::Renewal { of: last.id })),
                    None => match cover_to_come(grants, any, &any_time, now) {
                        Some((from, _)) => Err(Asked::Begins(from)),
                        None => Ok(more()),
                    },
                }
            }
        }
    }

    /// Why money that fits waits for a person.
    fn held(&self, case: &Case, purpose: Purpose) -> Option<HoldReason> {
        let is_for = |attempt: &&PaymentAttempt| match purpose {
            Purpose::Renewal { .. } => matches!(attempt.purpose, Purpose::Renewal { .. }),
            Purpose::Additional => attempt.purpose == Purpose::Additional,
            Purpose::First | Purpose::Upgrade => true,
        };
        let fits = |attempt: &&PaymentAttempt| attempt.terms.is_at_least(&self.offer.terms);
        let waiting = case.attempts.iter().filter(is_for).filter(fits);
        waiting.filter_map(PaymentAttempt::waits).max()
    }
}

/// The grant that ends last of those that end between two times, and give some of the terms: one
/// that gives all of them before one that does not. What begins after a gap is renewed apart.
fn last<'a>(
    grants: &'a [Grant],
    terms: &AccessTerms,
    (now, until): (DateTime<Utc>, DateTime<Utc>),
) -> Option<&'a Grant> {
    grants
        .iter()
        .filter(|grant| grant.state == GrantState::Live && grant.gives_some(terms))
        .filter(|grant| {
            grant
                .expires_at
                .is_some_and(|end| end > now && end <= until)
        })
        .max_by_key(|grant| (grant.gives_all(terms), grant.expires_at, grant.id))
}
