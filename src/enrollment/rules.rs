//! What the host decided for all enrollments: times, and payment exceptions.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::case::Case;
use crate::access::{AccessTerms, GrantState};
use crate::payment::{Allocation, PaymentAttempt, PaymentMethod};
use crate::vocabulary::Status;
use crate::vocabulary::reason::{ExceptionAction, HoldReason};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What holds for every enrollment. Part of the [`Config`](crate::Config).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnrollmentPolicy {
    /// The terms of a provisional grant while a bank transfer waits for approval (default: nothing).
    pub provisional: Option<AccessTerms>,
    /// When the provider is asked about an attempt by itself. Off without a gateway.
    pub reconciliation: SyncSchedule,
    /// Age of the newest attempt at which an unpaid enrollment expires (default 7 days). Its
    /// links stay payable: later money is late money.
    pub unpaid_expiry: Option<Duration>,
    /// The same for a bank transfer that nobody has seen (default 30 days). One with a proof
    /// of payment does not expire.
    pub transfer_expiry: Option<Duration>,
    /// What becomes of payment exceptions.
    pub money: ExceptionPolicy,
    /// How much of a payment may go back, in percent, before the access it gave ends
    /// (default 0: any refund ends it). What is left above the price never counts.
    pub refund_keeping_access: u8,
    /// Enrollments that cost more than this, in minor units (cents), are approved by two
    /// different people (default: by one). What is approved by itself is not touched by this.
    pub dual_approval_above: Option<i64>,
}

impl Default for EnrollmentPolicy {
    fn default() -> Self {
        Self {
            provisional: None,
            reconciliation: SyncSchedule::default(),
            unpaid_expiry: Some(DAY * 7),
            transfer_expiry: Some(DAY * 30),
            money: ExceptionPolicy::default(),
            refund_keeping_access: 0,
            dual_approval_above: None,
        }
    }
}

/// When the provider is asked about an attempt that nothing final is known of, by the
/// attempt's age.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncSchedule {
    /// The first times, growing (default 1 min, 5 min, 15 min, 1 h, 6 h).
    pub first: Vec<Duration>,
    /// After those, at every whole multiple of this (default one day).
    pub every: Duration,
    /// Up to this age (default 30 days).
    pub until: Duration,
}

impl Default for SyncSchedule {
    fn default() -> Self {
        Self {
            first: vec![MINUTE, MINUTE * 5, MINUTE * 15, HOUR, HOUR * 6],
            every: DAY,
            until: DAY * 30,
        }
    }
}

impl SyncSchedule {
    /// Never.
    pub fn never() -> Self {
        Self {
            first: Vec::new(),
            every: DAY,
            until: Duration::ZERO,
        }
    }

    /// The next time after `now` for an attempt that was started at `start`.
    pub fn next(&self, start: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let age = now
            .signed_duration_since(start)
            .to_std()
            .unwrap_or_default();
        let early = self.first.iter().copied().find(|first| *first > age);
        let next = match early {
            Some(next) => next,
            None => {
                let every = self.every.as_secs().max(1);
                Duration::from_secs((age.as_secs() / every + 1).checked_mul(every)?)
            }
        };
        (next <= self.until).then(|| start.checked_add_signed(chrono_of(next)?))?
    }
}

/// What becomes of payment exceptions. Everything else about it still has to be right:
/// it is proven, belongs to this attempt, and its method is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExceptionPolicy {
    /// Paid after the enrollment expired (default: hold). Money for a rejected or withdrawn
    /// one waits for a person, unless it is to be given back.
    pub late: ExceptionAction,
    /// Paid by a link from when the same access, or more, cost less (default: hold). Money for
    /// less than is asked today is no such exception: it gives the less that it was paid for.
    pub old_price: ExceptionAction,
    /// Paid again (default: refund due). Approved, it is kept, and takes the place of the other
    /// payment if that goes back. Money for access that the learner has by a grant of the school
    /// is held in any case but that.
    pub duplicate: ExceptionAction,
    /// Less than was asked (default: hold).
    pub underpayment: ExceptionAction,
    /// More than was asked (default: hold).
    pub overpayment: ExceptionAction,
    /// Paid at the provider by a link that nobody here knows (default: hold). There is
    /// nothing it could approve, so `approve` holds it too.
    pub unmatched: ExceptionAction,
}

impl Default for ExceptionPolicy {
    fn default() -> Self {
        Self {
            late: ExceptionAction::Hold,
            old_price: ExceptionAction::Hold,
            duplicate: ExceptionAction::RefundDue,
            underpayment: ExceptionAction::Hold,
            overpayment: ExceptionAction::Hold,
            unmatched: ExceptionAction::Hold,
        }
    }
}

impl ExceptionPolicy {
    /// The outcome for a reason that is about the money itself.
    pub fn outcome(&self, reason: HoldReason) -> Option<ExceptionAction> {
        match reason {
            HoldReason::LatePayment => Some(self.late),
            HoldReason::OldPrice => Some(self.old_price),
            HoldReason::AccessCovered if self.duplicate == ExceptionAction::RefundDue => {
                Some(ExceptionAction::Hold)
            }
            HoldReason::AccessCovered => Some(self.duplicate),
            HoldReason::DuplicatePayment => Some(self.duplicate),
            HoldReason::Underpayment => Some(self.underpayment),
            HoldReason::Overpayment => Some(self.overpayment),
            _ => None,
        }
    }

    /// What money does that is kept back for this reason.
    pub fn allocation(&self, reason: HoldReason) -> Allocation {
        match self.outcome(reason) {
            Some(ExceptionAction::RefundDue) => Allocation::RefundDue(reason),
            _ => Allocation::OnHold(reason),
        }
    }
}

impl EnrollmentPolicy {
    /// When something about a case falls due by itself: it expires, or a grant of it does; or what
    /// waits for a person beside access may come to nothing, since more access begins.
    pub fn due_at(&self, case: &Case, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let id = case.enrollment.id;
        let own = case
            .grants
            .iter()
            .filter(|grant| grant.enrollment == Some(id) && grant.state == GrantState::Live);
        let access_ends = own.filter_map(|grant| grant.expires_at).min();
        let waits = case.enrollment.waits_for.is_some();
        let to_begin = case
            .grants
            .iter()
            .filter(|grant| waits && grant.state == GrantState::Live && grant.starts_at > now);
        let access_begins = to_begin.map(|grant| grant.starts_at).min();
        [access_ends, access_begins, self.unpaid_until(case)]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the enrollment expires unless it is paid for.
    pub fn unpaid_until(&self, case: &Case) -> Option<DateTime<Utc>> {
        let latest = case.latest_attempt()?;
        let term = match &case.enrollment.status {
            Status::AwaitingPayment => self.unpaid_expiry?,
            Status::AwaitingApproval {
                reason: HoldReason::BankTransfer,
            } if !vouched_for(&case.attempts) => self.transfer_expiry?,
            // A transfer for more than the learner has.
            Status::Approved { .. } => {
                let beside = case.transfers_beside(case.enrollment.updated_at);
                return beside.filter_map(|it| self.transfer_until(it)).min();
            }
            _ => return None,
        };
        latest.asked_at.checked_add_signed(chrono_of(term)?)
    }

    /// When a bank transfer that never came is given up; not at all if it is proven.
    pub(super) fn transfer_until(&self, attempt: &PaymentAttempt) -> Option<DateTime<Utc>> {
        let term = self.transfer_expiry.filter(|_| attempt.proof.is_none())?;
        attempt.asked_at.checked_add_signed(chrono_of(term)?)
    }

    /// Whether the offer of an attempt was made so long ago that an enrollment for it alone would
    /// have expired unpaid.
    pub fn is_stale(&self, case: &Case, attempt: &PaymentAttempt, now: DateTime<Utc>) -> bool {
        let term = match attempt.declared {
            PaymentMethod::BankTransfer => self.transfer_expiry,
            PaymentMethod::Card | PaymentMethod::InstantEft | PaymentMethod::Unknown => {
                self.unpaid_expiry
            }
        };
        let offered = case.last_offered(attempt);
        let until = term
            .and_then(chrono_of)
            .and_then(|term| offered.checked_add_signed(term));
        until.is_some_and(|until| until <= now)
    }

    /// When the provider is to be asked about an attempt next.
    pub fn look_at(&self, attempt: &PaymentAttempt, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        attempt
            .is_open()
            .then(|| self.reconciliation.next(attempt.created_at, now))?
    }
}

/// Whether there is money, or a proof of it, that a person has to look at.
fn vouched_for(attempts: &[PaymentAttempt]) -> bool {
    attempts.iter().any(|attempt| {
        attempt.waits().is_some() || (attempt.is_open_transfer() && attempt.proof.is_some())
    })
}

fn chrono_of(duration: Duration) -> Option<chrono::Duration> {
    chrono::Duration::from_std(duration).ok()
}
