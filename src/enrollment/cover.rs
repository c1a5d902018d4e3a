//! What a payment would add to what the learner has already.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::offers::for_any_time;
use crate::access::{EndReason, Grant, GrantSource, GrantState, cover, cover_to_come};
use crate::payment::{Allocation, Payment, PaymentAttempt, Purpose};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{GrantId, PaymentReference, Status};

/// Why a payment would buy nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covering {
    /// Another payment for this enrollment gives all of it.
    Paid,
    /// Grants give all of it that rest on no payment for this enrollment: a bursary, for example.
    Given,
}

impl Covering {
    /// Why such money is kept back.
    pub fn reason(self) -> HoldReason {
        match self {
            Self::Paid => HoldReason::DuplicatePayment,
            Self::Given => HoldReason::AccessCovered,
        }
    }
}

impl Case {
    /// The grants of this enrollment.
    pub fn own_grants(&self) -> impl Iterator<Item = &Grant> + Clone {
        let id = self.enrollment.id;
        self.grants
            .iter()
            .filter(move |grant| grant.enrollment == Some(id))
    }

    /// Why the money of an attempt buys nothing, if it does: a renewal that was paid already, or
    /// access that the learner has. `None` when it gives them something.
    pub fn covering(&self, attempt: &PaymentAttempt, now: DateTime<Utc>) -> Option<Covering> {
        self.covering_by(attempt, |_| true, now)
    }

    /// The same, looking only at some grants.
    pub(super) fn covering_by(
        &self,
        attempt: &PaymentAttempt,
        counts: impl Fn(&Grant) -> bool,
        now: DateTime<Utc>,
    ) -> Option<Covering> {
        // What a person gave ahead of any payment waits for one.
        let awaited = self
            .own_grants()
            .any(|grant| self.waits_for_money_of(grant, attempt, now));
        let other = |grant: &Grant| {
            // More time behind what a person gave ahead of this money does not replace it.
            let replaces = !awaited || !self.is_apart_from_first(grant);
            counts(grant) && replaces && !attempt.gave(grant) && !self.is_ahead(grant)
        };
        let id = self.enrollment.id;
        let paid = |grant: &Grant| {
            other(grant) && grant.enrollment == Some(id) && grant.source.payment().is_some()
        };
        let mut terms = attempt.terms.clone();
        match attempt.purpose {
            Purpose::Additional => return self.is_bought_again(attempt).then_some(Covering::Paid),
            Purpose::Renewal { of } if self.is_renewed(of, attempt) => return Some(Covering::Paid),
            // More time is only worth nothing to who has all there is, without a gap.
            Purpose::Renewal { .. } => terms.seconds = None,
            Purpose::First | Purpose::Upgrade => {}
        }
        let renews = matches!(attempt.purpose, Purpose::Renewal { .. });
        let covers = |counts: &dyn Fn(&Grant) -> bool| match renews {
            true => cover(&self.grants, counts, &terms, now).is_some(),
            false => cover_to_come(&self.grants, counts, &terms, now).is_some(),
        };
        match (covers(&other), covers(&paid)) {
            (false, _) => None,
            (true, true) => Some(Covering::Paid),
            (true, false) => Some(Covering::Given),
        }
    }

    /// Until when the learner has what an attempt buys: `None` for ever.
    pub fn open_until(
        &self,
        attempt: &PaymentAttempt,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let bought = |grant: &&Grant| grant.source.payment() == Some(&attempt.reference);
        let last = self.own_grants().find(bought).and_then(|it| it.expires_at);
        let terms = for_any_time(&attempt.terms);
        cover(&self.grants, |_| true, &terms, now).map_or(last, |cover| cover.until)
    }

    /// Whether a person gave a grant of this enrollment ahead of a payment that did not come yet.
    pub(super) fn is_ahead(&self, grant: &Grant) -> bool {
        grant.enrollment == Some(self.enrollment.id)
            && matches!(grant.source, GrantSource::Ahead { payment: None, .. })
    }

    /// Whether a person gave all that an attempt buys ahead of a payment that is still to come.
    pub fn is_approved_ahead(&self, attempt: &PaymentAttempt, now: DateTime<Utc>) -> bool {
        let gives = |grant: &Grant| match attempt.accepted() {
            Some(accepted) => grant.id == accepted,
            None => grant.gives_all(&attempt.terms) && !self.is_accepted(grant),
        };
        self.own_grants()
            .any(|grant| self.is_ahead(grant) && grant.is_to_come(now) && gives(grant))
    }

    /// Whether a grant that a person gave ahead of any payment is what an attempt pays for. More
    /// time, and the same once more, are apart from that.
    pub(super) fn waits_for_money_of(
        &self,
        grant: &Grant,
        attempt: &PaymentAttempt,
        now: DateTime<Utc>,
    ) -> bool {
        let fits = match attempt.accepted() {
            Some(accepted) => grant.id == accepted,
            None => {
                grant.is_on(&attempt.terms)
                    && matches!(attempt.purpose, Purpose::First | Purpose::Upgrade)
                    && !self.is_accepted(grant)
            }
        };
        self.is_ahead(grant) && grant.is_to_come(now) && fits
    }

    /// Whether a grant was given for an attempt ahead of the proof of its money.
    fn is_accepted(&self, grant: &Grant) -> bool {
        self.attempts
            .iter()
            .any(|it| it.accepted() == Some(grant.id))
    }

    /// Whether money of an attempt opens nothing by itself: somebody closed the enrollment before it
    /// came, or turned this very money down, or the learner was erased.
    pub fn is_shut_for(&self, attempt: &PaymentAttempt) -> bool {
        let enrollment = &self.enrollment;
        enrollment.closed.is_some() || enrollment.is_erased() || attempt.is_turned_down()
    }

    /// Whether a grant was bought as more time, or as the same once more.
    fn is_apart_from_first(&self, grant: &Grant) -> bool {
        let apart = |it: &PaymentAttempt| {
            matches!(it.purpose, Purpose::Renewal { .. } | Purpose::Additional)
        };
        let bought = |it: &&PaymentAttempt| grant.source.payment() == Some(&it.reference);
        self.attempts.iter().find(bought).is_some_and(apart)
    }

    /// Whether no grant of the enrollment is left but a provisional one.
    pub(super) fn is_bare(&self) -> bool {
        !self.own_grants().any(|grant| {
            grant.source != GrantSource::Provisional
                && !matches!(grant.state, GrantState::Ended { .. })
        })
    }

    /// Whether another attempt has renewed a grant, for as much or more.
    fn is_renewed(&self, of: GrantId, but: &PaymentAttempt) -> bool {
        let same = |other: &&PaymentAttempt| {
            other.purpose == Purpose::Renewal { of }
                && other.reference != but.reference
                && other.terms.is_at_least(&but.terms)
        };
        self.attempts.iter().filter(same).any(|other| {
            self.own_grants().any(|grant| {
                grant.source.payment() == Some(&other.reference)
                    && !matches!(
                        grant.state,
                        GrantState::Suspended { .. }
                            | GrantState::Ended {
                                why: EndReason::Refunded
                                    | EndReason::Reversed
                                    | EndReason::Revoked
                                    | EndReason::Withdrawn,
                                ..
                            }
                    )
            })
        })
    }

    /// Whether another attempt to buy as much again was paid since this one was started: both are
    /// one wish.
    fn is_bought_again(&self, attempt: &PaymentAttempt) -> bool {
        self.carrying().any(|other| {
            let since = |payment: Payment| payment.at >= attempt.created_at;
            other.purpose == Purpose::Additional
                && other.reference != attempt.reference
                && other.terms.is_at_least(&attempt.terms)
                && other.payment.is_some_and(since)
        })
    }

    /// The bank transfers that are asked for, newest first. A first purchase that was made another
    /// way is not asked for any more, unless it is proven.
    pub(super) fn transfers(&self) -> impl Iterator<Item = &PaymentAttempt> {
        let last = self.latest_attempt().map(|last| &last.reference);
        self.attempts.iter().rev().filter(move |attempt| {
            let asked = attempt.purpose != Purpose::First
                || attempt.proof.is_some()
                || Some(&attempt.reference) == last;
            asked && attempt.is_open_transfer()
        })
    }

    /// Those of them that would give more than the access that there is.
    pub(super) fn transfers_beside(
        &self,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = &PaymentAttempt> {
        self.transfers()
            .filter(move |attempt| self.covering(attempt, now).is_none())
    }

    /// The attempts to renew what the learner has.
    pub(super) fn renewals(&self) -> impl Iterator<Item = PaymentReference> {
        let renews = |it: &&PaymentAttempt| matches!(it.purpose, Purpose::Renewal { .. });
        self.attempts
            .iter()
            .filter(renews)
            .map(|it| it.reference.clone())
    }

    /// The attempts on whose money a grant of this enrollment rests that has not ended.
    pub fn carrying(&self) -> impl Iterator<Item = &PaymentAttempt> {
        self.attempts.iter().filter(|attempt| {
            let counts = attempt
                .payment
                .is_some_and(|payment| payment.allocation == Allocation::Applied);
            let rests = |grant: &Grant| {
                grant.source.payment() == Some(&attempt.reference)
                    && !matches!(grant.state, GrantState::Ended { .. })
            };
            attempt.holds_money() && counts && self.own_grants().any(rests)
        })
    }

    /// The gravest reason why money waits for a person: it is held, or was told of and is not
    /// proven.
    pub(super) fn waiting_reason(&self) -> Option<HoldReason> {
        self.attempts.iter().filter_map(PaymentAttempt::waits).max()
    }

    /// What waits for a person: why the enrollment is held; or, where it gives access already,
    /// what came beside it and would give more.
    pub fn waits_for(&self, now: DateTime<Utc>) -> Option<HoldReason> {
        match &self.enrollment.status {
            Status::AwaitingApproval { reason } => Some(*reason),
            Status::Approved { .. } => {
                let waiting = self.attempts.iter().filter(|it| it.waits().is_some());
                let useful = |attempt: &&PaymentAttempt| self.covering(attempt, now).is_none();
                let held = waiting.filter(useful).filter_map(PaymentAttempt::waits);
                let transfers = self.transfers_beside(now);
                held.chain(transfers.map(|_| HoldReason::BankTransfer))
                    .max()
            }
            Status::AwaitingPayment
            | Status::Rejected { .. }
            | Status::Expired
            | Status::Withdrawn { .. } => None,
        }
    }
}
