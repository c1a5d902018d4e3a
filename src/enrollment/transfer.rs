//! Money of bank transfers that people saw on a statement.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::choice::Choice;
use super::cover::Covering;
use super::draft::Draft;
use super::rules::EnrollmentPolicy;
use super::step::{CaseError, Effect, StepContext, StepOutcome};
use super::transition::Refusal;
use crate::event::EventKind;
use crate::payment::{Allocation, Offer, Payment, PaymentAttempt, PaymentMethod};
use crate::vocabulary::reason::{ApprovalCause, ExceptionAction, HoldReason};
use crate::vocabulary::{AdminId, EvidenceLevel, Money, PaymentReference, Status, string_enum};

/// Whether the money of a bank transfer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// It is waited for, or would give the learner more.
    Awaited,
    /// A person approved it by hand before it was seen on a statement.
    Vouched,
    /// It comes after the enrollment expired, was rejected or withdrawn.
    Late,
    /// The learner has what it buys already.
    Duplicate,
    /// It was to be paid in another way.
    Unasked,
}

string_enum!(Expected {
    Awaited => "awaited",
    Vouched => "vouched",
    Late => "late",
    Duplicate => "duplicate",
    Unasked => "unasked",
});

/// The money of a bank transfer that a person saw on a statement.
#[derive(Debug, Clone, Copy)]
pub struct SeenTransfer<'a> {
    /// The attempt whose reference it has.
    pub payment: &'a PaymentReference,
    /// How much it is.
    pub amount: Money,
    /// Whether it may be another sum than was asked.
    pub whatever_the_sum: bool,
}

impl Case {
    /// Whether a bank transfer with the reference of an attempt is waited for. `found` is how much of
    /// its money is on statements already, in minor units.
    pub fn expects(
        &self,
        attempt: &PaymentAttempt,
        found: i64,
        rules: &EnrollmentPolicy,
        now: DateTime<Utc>,
    ) -> Expected {
        if attempt.is_vouched() && attempt.paid().is_some_and(|paid| found < paid.minor()) {
            return Expected::Vouched;
        }
        let beside = self.beside(attempt, now);
        match self.held_transfer(beside.as_ref().unwrap_or(attempt), rules, now) {
            Some(reason) if reason.is_about_cover() => Expected::Duplicate,
            Some(_) => Expected::Late,
            None if beside.is_some() => Expected::Unasked,
            None => Expected::Awaited,
        }
    }

    /// A person saw the money of a bank transfer on a statement. What is waited for is approved, and
    /// gives what its own offer says. What is not is kept in sight: it stands among the payments
    /// that do not fit, by the attempt itself, or by another beside it where that is paid already, or
    /// was to be paid in another way. Says which attempt has the money.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`]; [`CaseError::OtherSum`] when another sum was asked;
    /// [`CaseError::Refused`], [`CaseError::Vetoed`] or [`CaseError::SecondPersonNeeded`].
    pub fn approve_seen(
        self,
        by: &AdminId,
        cause: ApprovalCause,
        seen: SeenTransfer<'_>,
        step: &StepContext<'_>,
    ) -> Result<(StepOutcome, PaymentReference), CaseError> {
        let mut draft = self.draft(step);
        let mut at = draft.index_of(seen.payment)?;
        if draft.case.enrollment.is_erased() {
            return Err(CaseError::Refused(Refusal::Erased));
        }
        draft.lapse()?;
        let (now, rules) = (draft.now(), step.rules);
        let beside = draft.case.beside(&draft.case.attempts[at], now);
        let attempt = beside.as_ref().unwrap_or(&draft.case.attempts[at]);
        let held = draft.case.held_transfer(attempt, rules, now);
        let reason = held.or(beside.as_ref().map(|_| HoldReason::BankTransfer));
        let asked = attempt.amount;
        if let Some(beside) = beside {
            at = draft.add_beside(beside)?;
        }
        let reference = draft.case.attempts[at].reference.clone();
        let applied = match reason {
            Some(reason) => draft.keep_in_sight(at, seen.amount, reason)?,
            None if asked != seen.amount && !seen.whatever_the_sum => {
                let seen = seen.amount;
                return Err(CaseError::OtherSum { asked, seen });
            }
            None => draft.approve(by, cause, &Choice::Money(at), Some(seen.amount))?,
        };
        Ok((applied, reference))
    }

    /// The money of a transfer that a person approved by hand is on a statement.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`]; [`CaseError::NoTransfer`] when nobody approved it by hand.
    pub fn find_transfer(
        self,
        (payment, amount): (&PaymentReference, Money),
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(payment)?;
        if !draft.case.attempts[at].is_vouched() {
            return Err(CaseError::NoTransfer);
        }
        draft.record(EventKind::TransferFound {
            reference: payment.clone(),
            amount,
        });
        Ok(draft.finish(Effect::Changed))
    }

    /// Why the money of a transfer is not waited for.
    fn held_transfer(
        &self,
        attempt: &PaymentAttempt,
        rules: &EnrollmentPolicy,
        now: DateTime<Utc>,
    ) -> Option<HoldReason> {
        let closed = match self.enrollment.status {
            Status::Expired => rules.money.late != ExceptionAction::Approve,
            Status::Rejected { .. } | Status::Withdrawn { .. } => true,
            Status::AwaitingPayment | Status::AwaitingApproval { .. } | Status::Approved { .. } => {
                false
            }
        };
        let covering = self.covering(attempt, now).map(Covering::reason);
        let late = closed || self.is_shut_for(attempt);
        covering.or(late.then_some(HoldReason::LatePayment))
    }

    /// An attempt for the money of a transfer that has the reference of one which cannot take it.
    fn beside(&self, attempt: &PaymentAttempt, now: DateTime<Utc>) -> Option<PaymentAttempt> {
        if attempt.is_payable_transfer() {
            return None;
        }
        let offer = Offer {
            price: attempt.amount,
            title: attempt.title.clone(),
            terms: attempt.terms.clone(),
        };
        let subject = (attempt.learner.clone(), attempt.course.clone());
        let enrollment = self.enrollment.id;
        let reference = PaymentReference::random();
        let bought = (offer, attempt.purpose);
        let method = PaymentMethod::BankTransfer;
        Some(PaymentAttempt::new(
            reference, enrollment, subject, bought, method, now,
        ))
    }
}

impl Draft<'_> {
    fn add_beside(&mut self, attempt: PaymentAttempt) -> Result<usize, CaseError> {
        self.check_room()?;
        let kind = EventKind::AttemptStarted {
            reference: attempt.reference.clone(),
            amount: attempt.amount,
            terms: attempt.terms.outline(),
            purpose: attempt.purpose,
        };
        self.case.attempts.push(attempt);
        let at = self.case.attempts.len() - 1;
        self.touch_attempt(at);
        self.record(kind);
        Ok(at)
    }

    /// Keeps money in sight that nobody waits for.
    fn keep_in_sight(
        mut self,
        at: usize,
        amount: Money,
        reason: HoldReason,
    ) -> Result<StepOutcome, CaseError> {
        let money = &self.step.rules.money;
        let kept =
            reason == HoldReason::DuplicatePayment && money.duplicate == ExceptionAction::Approve;
        let allocation = match kept {
            true => Allocation::Kept,
            false => money.allocation(reason),
        };
        let payment = Payment {
            at: self.now(),
            amount: Some(amount),
            method: PaymentMethod::BankTransfer,
            evidence_level: EvidenceLevel::Unsigned,
            allocation,
        };
        self.pay(at, payment, None)?;
        if matches!(allocation, Allocation::OnHold(_)) {
            self.rule_hold(reason)?;
        }
        Ok(self.finish(Effect::Held(reason)))
    }
}
