//! What money does to an enrollment.

use chrono::{DateTime, TimeDelta, Utc};

use super::command::Command;
use super::cover::Covering;
use super::draft::Draft;
use super::step::{CaseError, Effect, NewEnrollment};
use super::transition::TransitionResult;
use crate::access::{Grant, GrantSource, cover};
use crate::event::{DecisionRecord, EventKind};
use crate::evidence::{Comparison, sum_differs};
use crate::payment::{
    Allocation, Doubt, Offer, Payment, PaymentAttempt, PaymentMethod, ProviderStatus, Purpose,
    Verdict,
};
use crate::vocabulary::reason::{ExceptionAction, HoldReason, Severity};
use crate::vocabulary::{
    AdminId, Decision, Email, EvidenceLevel, Note, PaymentReference, Status, Title, Transition,
};

/// Attempts one enrollment may have.
const MAX_ATTEMPTS: usize = 100;
/// What tells two times apart in every store.
const A_MOMENT: TimeDelta = TimeDelta::microseconds(1);

impl Draft<'_> {
    /// Notes that the learner asked for the course again, and goes on with what there is.
    pub(super) fn ask_again(&mut self, at: Option<usize>) {
        if let Some(at) = at {
            let others = self.case.attempts.iter().map(|it| it.asked_at + A_MOMENT);
            let asked_at = others.fold(self.now, DateTime::max);
            self.case.attempts[at].asked_at = asked_at;
            self.touch_attempt(at);
        }
        let reference = at.map(|at| self.case.attempts[at].reference.clone());
        self.record(EventKind::AskedAgain { reference });
    }

    /// Takes what the learner asks for as the offer of today.
    pub(super) fn ask_today(&mut self, opening: NewEnrollment) {
        let NewEnrollment {
            email,
            offer,
            declared,
            ..
        } = opening;
        self.rename(&email, &offer.title);
        let Offer { price, terms, .. } = offer;
        let enrollment = &mut self.case.enrollment;
        let known = (enrollment.price, enrollment.declared, &enrollment.terms);
        if known != (price, declared, &terms) {
            (enrollment.price, enrollment.declared) = (price, declared);
            let outline = terms.outline();
            enrollment.terms = terms;
            self.record(EventKind::EnrollmentRevised {
                price,
                declared,
                terms: outline,
            });
        }
    }

    /// Keeps the newest address and title.
    pub(super) fn rename(&mut self, email: &Email, title: &Title) {
        let enrollment = &mut self.case.enrollment;
        if (&enrollment.email, &enrollment.title) != (email, title) {
            enrollment.email = email.clone();
            enrollment.title = title.clone();
            self.record(EventKind::DetailsChanged);
        }
    }

    /// Whether the enrollment may have one more attempt.
    pub(super) fn check_room(&self) -> Result<(), CaseError> {
        match self.case.attempts.len() {
            ..MAX_ATTEMPTS => Ok(()),
            _ => Err(CaseError::TooManyAttempts(MAX_ATTEMPTS)),
        }
    }

    /// Starts an attempt to pay for what is asked today.
    pub(super) fn start_attempt(
        &mut self,
        reference: PaymentReference,
        purpose: Purpose,
    ) -> Result<(), CaseError> {
        self.check_room()?;
        let enrollment = &self.case.enrollment;
        let declared = enrollment.declared;
        let subject = (enrollment.learner.clone(), enrollment.course.clone());
        let attempt = PaymentAttempt::new(
            reference.clone(),
            enrollment.id,
            subject,
            (enrollment.offer(), purpose),
            declared,
            self.now(),
        );
        let kind = EventKind::AttemptStarted {
            reference,
            amount: attempt.amount,
            terms: attempt.terms.outline(),
            purpose,
        };
        self.case.attempts.push(attempt);
        self.touch_attempt(self.case.attempts.len() - 1);
        self.watch(self.case.attempts.len() - 1);
        self.record(kind);
        if declared == PaymentMethod::BankTransfer {
            self.rule(&Command::Hold(HoldReason::BankTransfer))?;
        }
        Ok(())
    }

    /// Applies a decision about money that the provider, or a signed callback, says arrived.
    pub(super) fn paid(
        &mut self,
        at: usize,
        basis: Box<DecisionRecord>,
        minimum: EvidenceLevel,
    ) -> Result<Effect, CaseError> {
        let attempt = &self.case.attempts[at];
        let reference = attempt.reference.clone();
        if attempt.payment.is_some_and(|it| it.allocation.is_settled()) {
            return Ok(Effect::Nothing);
        }
        let (evidence, decision) = (&basis.evidence, basis.decision);
        let confirmed_paid = evidence
            .confirmation
            .as_ref()
            .is_some_and(|answer| answer.status == ProviderStatus::Paid);
        let proven = evidence.attempt != Comparison::Differs
            && (confirmed_paid || evidence.evidence_level >= minimum);
        let covering = self.case.covering(attempt, self.now());
        let payment = Payment {
            at: self.now(),
            amount: evidence.stated,
            method: basis.detection.method,
            evidence_level: evidence.evidence_level,
            allocation: Allocation::Applied,
        };
        let money = &self.step.rules.money;
        // Another sum than was asked is never confirmed to the cent; the host may take it.
        let taken_as_it_is = sum_differs(evidence, attempt)
            .and_then(|reason| money.outcome(reason))
            == Some(ExceptionAction::Approve)
            && evidence.level_whatever_the_sum() >= minimum;
        let keeps = money.duplicate == ExceptionAction::Approve;
        let mut veto = None;
        let mut reason = match decision {
            Decision::Approve(_) if evidence.evidence_level < minimum && !taken_as_it_is => {
                HoldReason::WeakEvidence
            }
            Decision::Approve(_) if evidence.attempt == Comparison::Differs => {
                HoldReason::WrongAttempt
            }
            Decision::Approve(_) if covering == Some(Covering::Paid) && keeps => {
                let allocation = Allocation::Kept;
                self.pay(
                    at,
                    Payment {
                        allocation,
                        ..payment
                    },
                    Some(basis),
                )?;
                return Ok(Effect::Approved);
            }
            Decision::Approve(_) if covering == Some(Covering::Paid) => {
                HoldReason::DuplicatePayment
            }
            Decision::Approve(_) if covering == Some(Covering::Given) && !keeps => {
                HoldReason::AccessCovered
            }
            // Money that came after somebody closed it, or turned this very money down.
            Decision::Approve(_) if self.case.is_shut_for(attempt) => HoldReason::LatePayment,
            Decision::Approve(cause) => match self.rule(&Command::PaymentConfirmed(cause)) {
                Ok(TransitionResult::Moved(Transition::LateMoneyHeld, _)) => {
                    HoldReason::LatePayment
                }
                Ok(_) => {
                    self.pay(at, payment, Some(basis))?;
                    self.grant(at, GrantSource::Payment { payment: reference });
                    self.count(at);
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
        reason = match covering {
            Some(Covering::Paid) => reason.max(HoldReason::DuplicatePayment),
            Some(Covering::Given) => reason.max(HoldReason::AccessCovered),
            None => reason,
        };
        if !proven {
            return self.doubt(&reference, reason, basis);
        }
        let effect = self.hold(at, payment, reason, basis)?;
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
        basis: Box<DecisionRecord>,
    ) -> Result<Effect, CaseError> {
        let decision = basis.decision;
        let doubted = self.case.attempts[at].open_doubt();
        let welcome = matches!(self.case.enrollment.status, Status::Approved { .. })
            && reason.severity() < Severity::Error
            && !matches!(decision, Decision::Return(_) | Decision::Refuse(_))
            && reason < HoldReason::OldPrice;
        if welcome && let Some(by) = self.approved_ahead(at) {
            // A person approved ahead of the money; this is the money.
            self.pay(at, payment, Some(basis))?;
            let payment = self.case.attempts[at].reference.clone();
            self.grant(at, GrantSource::Approval { by, payment });
            self.count(at);
            return Ok(Effect::Approved);
        }
        let allocation = match decision {
            Decision::Return(_) => Allocation::RefundDue(reason),
            _ => self.step.rules.money.allocation(reason),
        };
        self.pay(
            at,
            Payment {
                allocation,
                ..payment
            },
            Some(basis),
        )?;
        // It waits no more for being unproven.
        self.release(doubted.map(|doubt| doubt.reason))?;
        if matches!(allocation, Allocation::RefundDue(_)) {
            return Ok(Effect::Held(reason));
        }
        // A policy says nothing against what a person, or the learner, said.
        if matches!(decision, Decision::Refuse(_)) && self.case.enrollment.closed.is_none() {
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
        reference: &PaymentReference,
        reason: HoldReason,
        basis: Box<DecisionRecord>,
    ) -> Result<Effect, CaseError> {
        if !self.note_doubt(reference, reason, self.now)? {
            return Ok(Effect::Nothing);
        }
        if let Some(event) = self.events.last_mut() {
            event.basis = Some(basis);
        }
        self.rule_hold(reason)?;
        Ok(Effect::Held(reason))
    }

    /// Puts down that money was told of which is not proven; `false` when a person decided about
    /// that already.
    pub(super) fn note_doubt(
        &mut self,
        reference: &PaymentReference,
        reason: HoldReason,
        heard: DateTime<Utc>,
    ) -> Result<bool, CaseError> {
        let at = self.index_of(reference)?;
        let (case, now) = (&self.case, self.now);
        let attempt = &case.attempts[at];
        let decided = attempt.doubt.is_some_and(|it| it.verdict != Verdict::Open);
        if decided || case.is_approved_ahead(attempt, now) {
            return Ok(false);
        }
        if attempt.payment.is_none() {
            let known = attempt.open_doubt();
            let doubt = Doubt {
                reason: known.map_or(reason, |known| known.reason.max(reason)),
                since: known.map_or(heard, |known| known.since.min(heard)),
                verdict: Verdict::Open,
            };
            self.case.attempts[at].doubt = Some(doubt);
            self.touch_attempt(at);
        }
        self.record(EventKind::PaymentDoubted {
            reference: reference.clone(),
            reason,
        });
        Ok(true)
    }

    /// Who gave the live access, ahead of any payment, that this attempt would pay for. Another
    /// payment may not have come for it yet.
    fn approved_ahead(&self, at: usize) -> Option<AdminId> {
        let attempt = &self.case.attempts[at];
        let now = self.now();
        let ahead = |grant: &Grant| self.case.is_ahead(grant);
        let awaited = |grant: &&Grant| attempt.accepted() == Some(grant.id) && ahead(grant);
        if let Some(grant) = self.case.own_grants().find(awaited) {
            return ahead_by(grant);
        }
        let first = |it: &PaymentAttempt| matches!(it.purpose, Purpose::First | Purpose::Upgrade);
        if !first(attempt) || attempt.is_turned_down() || self.case.carrying().any(first) {
            return None;
        }
        cover(&self.case.grants, ahead, &attempt.terms, now)?;
        self.case.own_grants().find_map(ahead_by)
    }
}

/// Who gave a grant ahead of any payment, if somebody did.
fn ahead_by(grant: &Grant) -> Option<AdminId> {
    match &grant.source {
        GrantSource::Ahead { by, payment: None } => Some(by.clone()),
        _ => None,
    }
}
