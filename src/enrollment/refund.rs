//! Money that goes back: given back by the school, or taken back by the payer's bank.

use super::case::Case;
use super::draft::Draft;
use super::step::{CaseError, Effect, StepContext, StepOutcome};
use super::transition::Refusal;
use crate::access::{EndReason, Grant, GrantState};
use crate::event::EventKind;
use crate::payment::{
    Allocation, AttemptEvent, AttemptStatus, PaymentAttempt, ProofOfPayment, Refund, RefundState,
};
use crate::vocabulary::reason::{ExceptionAction, HoldReason};
use crate::vocabulary::{AdminId, Money, Note, PaymentReference, Reversal, Status};

/// Money to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repayment {
    /// How much; `None` for all that is left.
    pub amount: Option<Money>,
    /// What proves it, or why it is asked for.
    pub proof: Note,
    /// Who gives it.
    pub by: AdminId,
}

impl Case {
    /// Money of one attempt went back. The same proof and sum said twice is one refund.
    /// Unless the part is small enough (see
    /// [`EnrollmentPolicy::refund_keeping_access`](super::EnrollmentPolicy)), the grant that rests on the
    /// payment ends; others are left alone.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`], [`CaseError::Refused`] when no money arrived for it, or
    /// [`CaseError::RefundTooLarge`].
    pub fn refund(
        self,
        reference: &PaymentReference,
        repayment: Repayment,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        let attempt = &draft.case.attempts[at];
        if attempt.returned_already(&repayment) {
            return Ok(draft.finish(Effect::Nothing));
        }
        let amount = attempt.refundable(repayment.amount)?;
        draft.give_back(at, amount, repayment)?;
        Ok(draft.finish(Effect::Changed))
    }

    /// Notes that the provider is being asked to give money back, before it is: nobody asks
    /// a second time while the answer is not known.
    ///
    /// # Errors
    /// As [`Case::refund`]; [`CaseError::RefundUnknown`] while one is under way; and
    /// [`CaseError::Refused`] when the payer's bank took the money back, which would send it twice.
    pub fn request_refund(
        self,
        reference: &PaymentReference,
        repayment: Repayment,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        let now = draft.now;
        let attempt = &mut draft.case.attempts[at];
        if attempt.requested().is_some() {
            return Err(CaseError::RefundUnknown);
        }
        if attempt.status == AttemptStatus::Reversed {
            return Err(CaseError::Refused(Refusal::TakenBack));
        }
        let amount = attempt.refundable(repayment.amount)?;
        attempt.refunds.push(Refund {
            amount,
            state: RefundState::Requested,
            proof: repayment.proof,
            by: repayment.by,
            at: now,
        });
        draft.touch_attempt(at);
        draft.record(EventKind::RefundRequested {
            reference: reference.clone(),
            amount,
        });
        Ok(draft.finish(Effect::Changed))
    }

    /// The provider did not give back what it was asked for.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`].
    pub fn refund_failed(
        self,
        reference: &PaymentReference,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        let refunds = &mut draft.case.attempts[at].refunds;
        let Some(requested) = refunds
            .iter()
            .position(|refund| refund.state == RefundState::Requested)
        else {
            return Ok(draft.finish(Effect::Nothing));
        };
        let amount = refunds.remove(requested).amount;
        draft.touch_attempt(at);
        draft.record(EventKind::RefundFailed {
            reference: reference.clone(),
            amount,
        });
        Ok(draft.finish(Effect::Changed))
    }

    /// The payer's bank took the money back. The grant that rests on it is suspended until
    /// somebody decides. Money that was given back before can be taken back all the same.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`], or [`CaseError::Refused`] when no money arrived for it.
    pub fn reverse(
        self,
        reference: &PaymentReference,
        how: Reversal,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        let held = draft.case.attempts[at].held_back();
        if !draft.move_attempt(at, AttemptEvent::Reversed)? {
            return Ok(draft.finish(Effect::Nothing));
        }
        draft.record(EventKind::PaymentReversed {
            reference: reference.clone(),
            how,
        });
        draft.unbase(reference);
        draft.suspend_grants(how, |grant| grant.source.payment() == Some(reference));
        draft.reconsider()?;
        draft.release(held)?;
        Ok(draft.finish(Effect::Changed))
    }

    /// Money that the payer's bank took back came again. A grant that was suspended for it
    /// counts again; where that gives no access, a person decides what the money is for, and
    /// where other money gives the same, it is duplicate money.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`], or [`CaseError::Refused`] when it was not taken back.
    pub fn reinstate(
        self,
        reference: &PaymentReference,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        if !draft.move_attempt(at, AttemptEvent::Reinstated)? {
            return Ok(draft.finish(Effect::Nothing));
        }
        draft.record(EventKind::PaymentReinstated {
            reference: reference.clone(),
        });
        let before = draft.case.attempts[at].before_reversal.take();
        let keeping = i64::from(draft.rules().refund_keeping_access);
        if before == Some(Allocation::Refunded) || draft.case.attempts[at].is_given_back(keeping) {
            // It was given back too, or so much of it that its access ended.
            draft.move_attempt(at, AttemptEvent::Refunded)?;
            return Ok(draft.finish(Effect::Changed));
        }
        if let Some(allocation @ (Allocation::OnHold(_) | Allocation::RefundDue(_))) = before {
            // It never counted, and that it went and came again makes it no better.
            let useful = draft
                .case
                .covering(&draft.case.attempts[at], draft.now)
                .is_none();
            return match allocation {
                Allocation::RefundDue(reason) if useful && reason.is_about_cover() => {
                    draft.reinstate_as(at, Allocation::OnHold(reason))
                }
                allocation => draft.reinstate_as(at, allocation),
            };
        }
        let rests = |grant: &Grant| grant.source.payment() == Some(reference);
        let now = draft.now;
        let since = draft.case.own_grants().find_map(|grant| match grant.state {
            GrantState::Suspended { at, .. } if rests(grant) => Some(at),
            _ => None,
        });
        // A renewal that began instead of it meanwhile is no second payment for the same.
        let renewals: Vec<PaymentReference> = draft.case.renewals().collect();
        let stands_in = |grant: &Grant| {
            let bought = grant.source.payment();
            since.is_some_and(|since| grant.starts_at >= since)
                && bought.is_some_and(|bought| renewals.contains(bought))
        };
        let attempt = &draft.case.attempts[at];
        let allocation = match draft.case.covering_by(attempt, |it| !stands_in(it), now) {
            Some(covering) => {
                draft.end_grants(EndReason::Reversed, rests);
                let money = &draft.rules().money;
                match money.outcome(covering.reason()) {
                    Some(ExceptionAction::Approve) => Allocation::Kept,
                    _ => money.allocation(covering.reason()),
                }
            }
            None => {
                draft.rebase(at);
                draft.end_grants(EndReason::Expired, |grant| {
                    rests(grant) && grant.expires_at.is_some_and(|end| end <= now)
                });
                draft.resume_grants(rests);
                draft.follow();
                if let Some(since) = since {
                    draft.push_back(since);
                }
                match draft
                    .case
                    .own_grants()
                    .any(|it| rests(it) && it.is_to_come(now))
                {
                    true => Allocation::Applied,
                    false => Allocation::OnHold(HoldReason::LatePayment),
                }
            }
        };
        draft.reinstate_as(at, allocation)
    }

    /// Keeps what the learner shows for their bank transfer, with the newest one that is open.
    ///
    /// # Errors
    /// [`CaseError::NoTransfer`].
    pub fn prove(
        self,
        proof: ProofOfPayment,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = match draft.case.enrollment.status {
            Status::AwaitingApproval { .. } => draft.open_transfer(),
            Status::Approved { .. } => draft
                .case
                .transfers_beside(draft.now)
                .next()
                .and_then(|beside| draft.index_of(&beside.reference).ok()),
            _ => None,
        };
        let at = at.ok_or(CaseError::NoTransfer)?;
        let attempt = &mut draft.case.attempts[at];
        if attempt.proof.as_ref() == Some(&proof) {
            return Ok(draft.finish(Effect::Nothing));
        }
        attempt.proof = Some(proof);
        let reference = attempt.reference.clone();
        draft.touch_attempt(at);
        draft.record(EventKind::ProofAttached { reference });
        Ok(draft.finish(Effect::Changed))
    }
}

impl Draft<'_> {
    /// Puts down what money does that came again.
    fn reinstate_as(mut self, at: usize, allocation: Allocation) -> Result<StepOutcome, CaseError> {
        if let Some(payment) = &mut self.case.attempts[at].payment {
            payment.allocation = allocation;
        }
        self.lapse()?;
        match allocation {
            Allocation::OnHold(reason) => self.rule_hold(reason)?,
            // What came beside it meanwhile buys no more than it gives.
            Allocation::Applied => self.count(at),
            Allocation::Kept | Allocation::RefundDue(_) | Allocation::Refunded => {}
        }
        Ok(self.finish(Effect::Changed))
    }
}

impl PaymentAttempt {
    /// The refund that the provider was asked for, as long as its answer is not known.
    pub fn requested(&self) -> Option<&Refund> {
        self.refunds
            .iter()
            .find(|refund| refund.state == RefundState::Requested)
    }

    /// Whether so much of its money was given back that it counts for nothing, when this many
    /// percent of it may go back before that.
    pub(super) fn is_given_back(&self, keeping: i64) -> bool {
        let (left, returned) = (self.left(), self.returned());
        let small = returned * 100 <= (left + returned) * keeping;
        left == 0 || (returned > 0 && left < self.amount.minor() && !small)
    }

    fn returned_already(&self, repayment: &Repayment) -> bool {
        let all_is_gone = repayment.amount.is_none() && self.payment.is_some() && self.left() == 0;
        let same = |refund: &Refund| {
            refund.state == RefundState::Done
                && repayment
                    .amount
                    .is_none_or(|amount| amount == refund.amount)
                && !repayment.proof.is_empty()
                && refund.proof == repayment.proof
        };
        all_is_gone || self.refunds.iter().any(same)
    }

    /// The sum that can go back of what was asked for.
    fn refundable(&self, asked: Option<Money>) -> Result<Money, CaseError> {
        let arrived = matches!(
            self.status,
            AttemptStatus::Paid | AttemptStatus::Refunded | AttemptStatus::Reversed
        );
        let paid = self.paid().filter(|_| arrived);
        let paid = paid.ok_or(CaseError::Refused(Refusal::NoMoney))?;
        let left = self.left();
        let too_large = CaseError::RefundTooLarge { left };
        match asked {
            Some(sum) if sum.currency() == paid.currency() && sum.minor() <= left => Ok(sum),
            Some(_) => Err(too_large),
            None => Money::new(left, paid.currency()).map_err(|_| too_large),
        }
    }
}
