//! What money does to an enrollment.

use super::draft::Draft;
use super::ruling::{Command, Ruling, Transition};
use super::status::Status;
use super::step::{CaseError, Effect};
use crate::access::{GrantSource, GrantState};
use crate::approval::{Decision, sum_differs};
use crate::evidence::{Finding, Grade};
use crate::ids::{PersonId, Reference};
use crate::money::Money;
use crate::payment::{Attempt, Method, Payment, ProviderStatus, Standing};
use crate::reason::{HoldReason, MoneyOutcome, Note, Severity};
use crate::record::{Basis, Fact};

/// Attempts one enrollment may have.
const MAX_ATTEMPTS: usize = 100;

impl Draft<'_> {
    pub(super) fn start_attempt(&mut self, reference: Reference) -> Result<(), CaseError> {
        if self.case.attempts.len() >= MAX_ATTEMPTS {
            return Err(CaseError::TooManyAttempts(MAX_ATTEMPTS));
        }
        let enrollment = &self.case.enrollment;
        let (price, declared) = (enrollment.price, enrollment.declared);
        let subject = (enrollment.learner.clone(), enrollment.course.clone());
        let attempt = Attempt::new(
            reference.clone(),
            enrollment.id,
            subject,
            price,
            declared,
            self.now(),
        );
        self.case.attempts.push(attempt);
        self.touch_attempt(self.case.attempts.len() - 1);
        self.watch(self.case.attempts.len() - 1);
        self.record(Fact::AttemptStarted {
            reference,
            amount: price,
        });
        if declared == Method::BankTransfer {
            self.rule(&Command::Hold(HoldReason::BankTransfer))?;
        }
        Ok(())
    }

    /// Applies a decision about money that the provider, or a signed callback, says arrived.
    pub(super) fn paid(
        &mut self,
        at: usize,
        decision: Decision,
        basis: Box<Basis>,
        minimum: Grade,
    ) -> Result<Effect, CaseError> {
        let attempt = &self.case.attempts[at];
        let reference = attempt.reference.clone();
        if attempt.payment.is_some_and(|payment| {
            matches!(payment.standing, Standing::Counted | Standing::Returned)
        }) {
            return Ok(Effect::Nothing);
        }
        let evidence = &basis.evidence;
        let confirmed_paid = evidence
            .confirmation
            .as_ref()
            .is_some_and(|answer| answer.status == ProviderStatus::Paid);
        let proven =
            evidence.attempt != Finding::Differs && (confirmed_paid || evidence.grade >= minimum);
        let taken = self
            .case
            .enrollment
            .counted
            .as_ref()
            .is_some_and(|counted| *counted != reference);
        let payment = Payment {
            at: self.now(),
            amount: evidence.stated,
            method: basis.detection.method,
            grade: evidence.grade,
            standing: Standing::Counted,
        };
        let money = &self.step.rules.money;
        // Another sum than was asked is never confirmed to the cent; the host may take it.
        let taken_as_it_is = sum_differs(evidence, attempt)
            .and_then(|reason| money.outcome(reason))
            == Some(MoneyOutcome::Approve)
            && evidence.grade_whatever_the_sum() >= minimum;
        let mut veto = None;
        let mut reason = match decision {
            Decision::Approve(_) if evidence.grade < minimum && !taken_as_it_is => {
                HoldReason::WeakEvidence
            }
            Decision::Approve(_) if evidence.attempt == Finding::Differs => {
                HoldReason::WrongAttempt
            }
            Decision::Approve(_) if taken && money.duplicate == MoneyOutcome::Approve => {
                self.pay(at, payment, Some(basis))?;
                return Ok(Effect::Approved);
            }
            Decision::Approve(_) if taken => HoldReason::DuplicateMoney,
            Decision::Approve(cause) => match self.rule(&Command::PaymentConfirmed(cause)) {
                Ok(Ruling::Move(Transition::LateMoneyHeld, _)) => HoldReason::LateMoney,
                Ok(_) => {
                    self.pay(at, payment, Some(basis))?;
                    self.count(at);
                    self.grant(GrantSource::Payment { payment: reference });
                    return Ok(Effect::Approved);
                }
                Err(CaseError::Vetoed(note)) => {
                    veto = Some(note);
                    HoldReason::Vetoed
                }
                Err(other) => return Err(other),
            },
            Decision::Hold(reason) | Decision::Return(reason) => reason,
            Decision::Refuse(_) => HoldReason::HostPolicy,
        };
        if taken {
            reason = reason.max(HoldReason::DuplicateMoney);
        }
        if !proven {
            return self.doubt(&reference, reason, basis);
        }
        let effect = self.hold(at, payment, reason, basis, decision)?;
        if let Some(note) = veto {
            self.set_note(note);
        }
        Ok(effect)
    }

    /// Keeps proven money in sight, and the enrollment waiting where it was not decided.
    fn hold(
        &mut self,
        at: usize,
        payment: Payment,
        reason: HoldReason,
        basis: Box<Basis>,
        decision: Decision,
    ) -> Result<Effect, CaseError> {
        let welcome = matches!(self.case.enrollment.status, Status::Approved { .. })
            && self.case.enrollment.counted.is_none()
            && reason.severity() < Severity::Error
            && !matches!(decision, Decision::Return(_))
            && !matches!(decision, Decision::Refuse(_));
        if welcome && let Some(by) = self.approver() {
            // A person approved ahead of the money; this is the money.
            self.pay(at, payment, Some(basis))?;
            self.count(at);
            let reference = self.case.attempts[at].reference.clone();
            self.grant(GrantSource::Approval {
                by,
                payment: Some(reference),
            });
            return Ok(Effect::Approved);
        }
        let standing = match decision {
            Decision::Return(_) => Standing::RefundDue(reason),
            _ => self.step.rules.money.standing(reason),
        };
        self.pay(
            at,
            Payment {
                standing,
                ..payment
            },
            Some(basis),
        )?;
        if matches!(standing, Standing::RefundDue(_)) {
            return Ok(Effect::Held(reason));
        }
        if matches!(decision, Decision::Refuse(_)) {
            // A refusal by the law (the enrollment is approved) leaves the money held.
            let refused = self.rule(&Command::Reject(Note::from("The payment was turned down.")));
            if refused.is_ok() {
                return Ok(Effect::Held(reason));
            }
        }
        self.rule_hold(reason)?;
        Ok(Effect::Held(reason))
    }

    /// A payment that does not prove what it says moves no money; a person is asked.
    fn doubt(
        &mut self,
        reference: &Reference,
        reason: HoldReason,
        basis: Box<Basis>,
    ) -> Result<Effect, CaseError> {
        self.record(Fact::PaymentDoubted {
            reference: reference.clone(),
            reason,
        })
        .basis = Some(basis);
        self.rule_hold(reason)?;
        Ok(Effect::Held(reason))
    }

    /// A guard cannot veto a hold away: the money would be out of sight.
    pub(super) fn rule_hold(&mut self, reason: HoldReason) -> Result<(), CaseError> {
        match self.rule(&Command::Hold(reason)) {
            Ok(_) | Err(CaseError::Vetoed(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The payment to count when a person approves: held rather than to be given back, the
    /// least grave, the oldest.
    pub(super) fn held_money(&self) -> Option<usize> {
        self.case
            .attempts
            .iter()
            .enumerate()
            .filter(|(_, attempt)| attempt.holds_money())
            .filter_map(|(at, attempt)| match attempt.payment?.standing {
                Standing::Held(reason) => Some((false, reason, at)),
                Standing::RefundDue(reason) => Some((true, reason, at)),
                Standing::Counted | Standing::Returned => None,
            })
            .min()
            .map(|(_, _, at)| at)
    }

    /// The bank transfer a person vouches for when they approve: the newest.
    pub(super) fn open_transfer(&self) -> Option<usize> {
        let attempts = &self.case.attempts;
        attempts.iter().rposition(Attempt::is_open_transfer)
    }

    /// Takes a person's word for a bank transfer: they saw the statement.
    pub(super) fn vouch(&mut self, at: usize, amount: Money) -> Result<(), CaseError> {
        let payment = Payment {
            at: self.now(),
            amount: Some(amount),
            method: Method::BankTransfer,
            grade: Grade::Unsigned,
            standing: Standing::Counted,
        };
        self.pay(at, payment, None)
    }

    /// Gives the access that a person approved, resting on a payment if there is one.
    pub(super) fn let_in(&mut self, by: &PersonId, chosen: Option<usize>) {
        if let Some(at) = chosen {
            self.count(at);
        }
        let payment = chosen.map(|at| self.case.attempts[at].reference.clone());
        self.grant(GrantSource::Approval {
            by: by.clone(),
            payment,
        });
    }

    /// Who gave the live grant that rests on no payment yet.
    fn approver(&self) -> Option<PersonId> {
        self.case
            .grants
            .iter()
            .find_map(|grant| match (&grant.source, grant.state) {
                (GrantSource::Approval { by, payment: None }, GrantState::Live) => Some(by.clone()),
                _ => None,
            })
    }
}
