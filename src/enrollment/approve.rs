//! What a person approves: which money, on whose terms, and who has to sign.

use super::case::Case;
use super::choice::Choice;
use super::command::Command;
use super::draft::Draft;
use super::first_approval::{Approvable, FirstApproval};
use super::step::{CaseError, Effect, StepContext, StepOutcome};
use super::transition::{Refusal, TransitionResult};
use crate::access::GrantSource;
use crate::event::EventKind;
use crate::payment::{Allocation, Doubt, Payment, PaymentAttempt, PaymentMethod, Verdict};
use crate::vocabulary::reason::{ApprovalCause, HoldReason};
use crate::vocabulary::{AdminId, EvidenceLevel, Money};

impl Case {
    /// A person approves; where two have to, the first of them changes nothing but that. Money
    /// that is held, or the newest bank transfer, carries it, and gives what its own offer says.
    ///
    /// # Errors
    /// [`CaseError::Refused`], [`CaseError::Vetoed`] or [`CaseError::SecondPersonNeeded`].
    pub fn approve(
        self,
        by: &AdminId,
        cause: ApprovalCause,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        draft.lapse()?;
        let chosen = draft.to_approve()?;
        if let Choice::Nothing = chosen {
            // What waited beside the access may have come to nothing by time alone.
            draft.note_review();
            return Ok(draft.finish(Effect::Nothing));
        }
        draft.approve(by, cause, &chosen, None)
    }
}

impl Draft<'_> {
    pub(super) fn approve(
        mut self,
        by: &AdminId,
        cause: ApprovalCause,
        chosen: &Choice,
        seen: Option<Money>,
    ) -> Result<StepOutcome, CaseError> {
        if self.case.enrollment.is_erased() {
            return Err(CaseError::Refused(Refusal::Erased));
        }
        if let TransitionResult::Rejected(refusal) =
            self.case.enrollment.status.after(&Command::Approve(cause))
        {
            return Err(CaseError::Refused(refusal));
        }
        if self.is_first_of_two(by, cause, self.approvable(chosen.attempt(), seen))? {
            return Ok(self.finish(Effect::Changed));
        }
        self.rule(&Command::Approve(cause))?;
        if let Choice::Money(at) = *chosen {
            let attempt = &self.case.attempts[at];
            if !attempt.holds_money() {
                let amount = seen.unwrap_or(attempt.amount);
                self.vouch(at, amount)?;
            }
        }
        self.let_in(by, chosen);
        Ok(self.finish(Effect::Approved))
    }

    /// Takes a person's word for a bank transfer: they saw the statement.
    fn vouch(&mut self, at: usize, amount: Money) -> Result<(), CaseError> {
        let payment = Payment {
            at: self.now(),
            amount: Some(amount),
            method: PaymentMethod::BankTransfer,
            evidence_level: EvidenceLevel::Unsigned,
            allocation: Allocation::Applied,
        };
        self.pay(at, payment, None)
    }

    /// Gives the access that a person approved, resting on a payment if there is one.
    fn let_in(&mut self, by: &AdminId, chosen: &Choice) {
        let by = by.clone();
        match *chosen {
            Choice::Money(at) => {
                let payment = self.case.attempts[at].reference.clone();
                self.grant(at, GrantSource::Approval { by, payment });
                self.count(at);
            }
            Choice::Ahead(Some(at)) => self.grant_accepted(at, by),
            Choice::Ahead(None) => {
                let terms = self.case.enrollment.terms.clone();
                self.grant_ahead(by, &terms);
            }
            Choice::Nothing => {}
        }
    }

    /// A person turns money down that was told of and is not proven.
    pub(super) fn refuse_doubt(&mut self, at: usize) {
        if let Some(doubt) = self.case.attempts[at].open_doubt() {
            self.case.attempts[at].doubt = Some(Doubt {
                verdict: Verdict::Refused,
                ..doubt
            });
            self.touch_attempt(at);
        }
    }

    fn approvable(&self, chosen: Option<usize>, seen: Option<Money>) -> Approvable {
        let enrollment = &self.case.enrollment;
        let attempt = chosen.map(|at| &self.case.attempts[at]);
        Approvable {
            payment: attempt.map(|attempt| attempt.reference.clone()),
            amount: attempt.map_or(enrollment.price, |attempt| attempt.amount),
            price: attempt.map_or(enrollment.price, |attempt| self.case.asked_since(attempt)),
            terms: attempt
                .map_or(&enrollment.terms, |attempt| &attempt.terms)
                .clone(),
            money: attempt.and_then(|attempt| attempt.payment),
            returned: attempt.map_or(0, PaymentAttempt::returned),
            proof: attempt.and_then(|attempt| attempt.proof.clone()),
            doubt: attempt.and_then(|attempt| attempt.doubt),
            seen,
        }
    }

    /// Whether this approval is the first of two that are needed; it is noted then.
    fn is_first_of_two(
        &mut self,
        by: &AdminId,
        cause: ApprovalCause,
        of: Approvable,
    ) -> Result<bool, CaseError> {
        let limit = self.rules().dual_approval_above;
        if cause.is_past_everybody() || limit.is_none_or(|limit| of.highest() <= limit) {
            return Ok(false);
        }
        match &self.case.enrollment.first_approval {
            Some(first) if first.of == of => match first.by.is_same_person(by) {
                true => Err(CaseError::SecondPersonNeeded),
                false => Ok(false),
            },
            _ => {
                let by = by.clone();
                self.case.enrollment.first_approval = Some(Box::new(FirstApproval { by, of }));
                self.record(EventKind::FirstApproval);
                Ok(true)
            }
        }
    }

    /// Drops a first signature when what it was for is not what would be approved now.
    pub(super) fn drop_stale_signature(&mut self) {
        let Some(first) = &self.case.enrollment.first_approval else {
            return;
        };
        let chosen = match (&first.of.payment, first.of.seen) {
            (Some(payment), Some(_)) => self.index_of(payment).ok(),
            _ => self.to_approve().ok().and_then(|chosen| chosen.attempt()),
        };
        if self.approvable(chosen, first.of.seen) != first.of {
            self.case.enrollment.first_approval = None;
        }
    }

    /// A guard cannot veto a hold away: the money would be out of sight.
    pub(super) fn rule_hold(&mut self, reason: HoldReason) -> Result<(), CaseError> {
        match self.rule(&Command::Hold(reason)) {
            Ok(_) | Err(CaseError::Vetoed(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }
}
