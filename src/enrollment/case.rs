use chrono::{DateTime, Utc};

use super::change::Change;
use super::draft::Draft;
use super::ruling::{Command, Refusal, Ruling, Transition};
use super::status::Status;
use super::{Enrollment, Version};
use crate::access::{EndReason, Grant, GrantSource, GrantState, Terms};
use crate::approval::{Decision, RefuseReason};
use crate::evidence::{Finding, Grade};
use crate::ids::{CourseId, Email, GrantId, IdRun, LearnerId, PersonId, Reference, Title};
use crate::money::Money;
use crate::payment::{
    Attempt, AttemptEvent, AttemptStatus, Method, PayLink, Payment, ProviderStatus, Standing,
};
use crate::reason::{ApprovalCause, HoldReason, Note};
use crate::record::{Actor, Basis, Fact, Source};

/// An enrollment with its attempts and the learner's grants for the course, as
/// loaded together.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// The learner's grants for the course, oldest first.
    pub grants: Vec<Grant>,
    /// Whether a delivery for it waits in the inbox.
    pub confirming: bool,
}

/// Who does something, by which way, when, and who may veto it.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// When.
    pub now: DateTime<Utc>,
    /// Who.
    pub who: &'a Actor,
    /// By which way it came.
    pub source: Source,
    /// What a person wrote about it.
    pub note: &'a Option<Note>,
    /// Who may veto it.
    pub guard: &'a dyn TransitionGuard,
    /// What to lend while a bank transfer waits.
    pub provisional: Option<&'a Terms>,
}

impl std::fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("now", &self.now)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Vetoes legal moves; it cannot allow an illegal one. A closure will do.
pub trait TransitionGuard: Send + Sync + 'static {
    /// Permits the move, or says why not.
    ///
    /// # Errors
    /// The reason, shown to the admin. A vetoed automatic approval is held.
    fn permits(&self, proposal: &Proposal<'_>) -> Result<(), Note>;
}

impl<F> TransitionGuard for F
where
    F: Fn(&Proposal<'_>) -> Result<(), Note> + Send + Sync + 'static,
{
    fn permits(&self, proposal: &Proposal<'_>) -> Result<(), Note> {
        self(proposal)
    }
}

/// A legal move that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct Proposal<'a> {
    /// The enrollment as it is.
    pub enrollment: &'a Enrollment,
    /// The move.
    pub transition: Transition,
    /// Where it would lead.
    pub to: &'a Status,
    /// Who makes it.
    pub who: &'a Actor,
}

/// Why something could not be done to an enrollment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The law refuses it.
    #[error("{}", .0.advice())]
    Refused(Refusal),
    /// The host's guard vetoed it.
    #[error("the host's rules do not permit this: {}", .0.as_str())]
    Vetoed(Note),
    /// The enrollment has no such attempt.
    #[error("the enrollment has no attempt with this reference")]
    UnknownAttempt,
    /// The enrollment has no such grant, or it ended already.
    #[error("there is no live grant with this id")]
    UnknownGrant,
}

/// What a step came to.
#[derive(Debug, Clone)]
pub struct Applied {
    /// What to write; empty when nothing changed.
    pub change: Change,
    /// The case after it.
    pub case: Case,
    /// In one word.
    pub effect: Effect,
    /// Whether a new grant was made.
    pub access_granted: bool,
}

/// What a step came to, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The enrollment is approved, by this or before.
    Approved,
    /// Something waits for a person.
    Held(HoldReason),
    /// A try to pay failed.
    Failed,
    /// Something else changed.
    Changed,
    /// Nothing changed: it was known already.
    Nothing,
}

/// What a new enrollment is made of.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Who wants the course.
    pub learner: LearnerId,
    /// Where to write to.
    pub email: Email,
    /// Which course.
    pub course: CourseId,
    /// Its title.
    pub title: Title,
    /// Its price.
    pub price: Money,
    /// The declared method.
    pub declared: Method,
    /// What an approval gives.
    pub terms: Terms,
}

impl Case {
    /// Makes an enrollment with its first attempt. A bank transfer goes straight to
    /// the queue.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`] when the guard does not permit the hold.
    pub fn open(
        opening: Opening,
        reference: Reference,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut ids = IdRun::new(step.now);
        let Opening {
            learner,
            email,
            course,
            title,
            price,
            declared,
            terms,
        } = opening;
        let enrollment = Enrollment {
            id: ids.enrollment(),
            learner,
            email,
            course,
            title,
            price,
            declared,
            terms,
            status: Status::AwaitingPayment,
            counted: None,
            version: Version::default(),
            created_at: step.now,
            updated_at: step.now,
        };
        let case = Self {
            enrollment,
            attempts: Vec::new(),
            grants: Vec::new(),
            confirming: false,
        };
        let mut draft = Draft::new(case, step, ids, true);
        draft.record(Fact::EnrollmentCreated { price, declared });
        draft.start_attempt(reference)?;
        Ok(draft.finish(Effect::Changed))
    }

    fn draft<'s>(self, step: &'s Step<'s>) -> Draft<'s> {
        Draft::new(self, step, IdRun::new(step.now), false)
    }

    /// Starts another attempt, at the price and by the method of now; a closed
    /// enrollment is reopened. Old attempts stay payable.
    ///
    /// # Errors
    /// [`CaseError::Refused`] when the enrollment is approved.
    pub fn retry(
        self,
        opening: Opening,
        reference: Reference,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let now = step.now;
        let lapsed = self.has_lapsed(now);
        let mut draft = self.draft(step);
        if lapsed {
            draft.end_grants(EndReason::Expired, |grant| {
                grant.expires_at.is_some_and(|end| end <= now)
            });
            draft.rule(&Command::Expire)?;
        }
        draft.rule(&Command::Reopen)?;
        draft.case.enrollment.counted = None;
        let enrollment = &mut draft.case.enrollment;
        if (enrollment.price, enrollment.declared) != (opening.price, opening.declared) {
            let Opening {
                price, declared, ..
            } = opening;
            (enrollment.price, enrollment.declared) = (price, declared);
            draft.record(Fact::EnrollmentRevised { price, declared });
        }
        draft.case.enrollment.terms = opening.terms;
        draft.start_attempt(reference)?;
        Ok(draft.finish(Effect::Changed))
    }

    /// Keeps the pay link the provider gave.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`].
    pub fn link(
        self,
        reference: &Reference,
        link: PayLink,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        draft.case.attempts[at].link = Some(link);
        let moved = draft.move_attempt(at, AttemptEvent::LinkCreated)?;
        draft.touch_attempt(at);
        Ok(draft.finish(if moved {
            Effect::Changed
        } else {
            Effect::Nothing
        }))
    }

    /// Stops waiting for an attempt; it stays payable.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`].
    pub fn abandon(self, reference: &Reference, step: &Step<'_>) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        draft.move_attempt(at, AttemptEvent::Abandoned)?;
        Ok(draft.finish(Effect::Changed))
    }

    /// Applies a decision about a payment. Money that is not proven to the minimum
    /// never approves, whatever the policy said.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`].
    pub fn decided(
        self,
        reference: &Reference,
        status: &ProviderStatus,
        basis: Box<Basis>,
        minimum: Grade,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        let effect = match (status, basis.decision) {
            (ProviderStatus::Failed, _) | (_, Decision::Refuse(RefuseReason::PaymentFailed)) => {
                match draft.move_attempt(at, AttemptEvent::Failed)? {
                    true => Effect::Failed,
                    false => Effect::Nothing,
                }
            }
            (ProviderStatus::Other(_), _) => Effect::Nothing,
            (ProviderStatus::Paid, decision) => draft.paid(at, decision, basis, minimum)?,
        };
        Ok(draft.finish(effect))
    }

    /// A person approves.
    ///
    /// # Errors
    /// [`CaseError::Refused`] or [`CaseError::Vetoed`].
    pub fn approve(
        self,
        by: &PersonId,
        cause: ApprovalCause,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let Ruling::Move(..) = draft.rule(&Command::Approve(cause))? else {
            return Ok(draft.finish(Effect::Nothing));
        };
        let held = draft.held_money();
        let chosen = held.or_else(|| draft.open_transfer());
        if let (None, Some(at)) = (held, chosen) {
            let asked = draft.case.attempts[at].amount;
            // The person's word is the evidence: they saw the bank statement.
            let payment = Payment {
                at: draft.now(),
                amount: Some(asked),
                method: Method::BankTransfer,
                grade: Grade::Unsigned,
                standing: Standing::Counted,
            };
            draft.pay(at, payment, None)?;
        }
        if let Some(at) = chosen {
            draft.count(at);
        }
        let payment = chosen.map(|at| draft.case.attempts[at].reference.clone());
        draft.grant(GrantSource::Approval {
            by: by.clone(),
            payment,
        });
        Ok(draft.finish(Effect::Approved))
    }

    /// A person says no. Money that is held stays held until it is refunded.
    ///
    /// # Errors
    /// [`CaseError::Refused`] or [`CaseError::Vetoed`].
    pub fn reject(self, reason: Note, step: &Step<'_>) -> Result<Applied, CaseError> {
        self.command(&Command::Reject(reason), step)
    }

    /// The learner leaves; the enrollment's grants end.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`].
    pub fn withdraw(self, step: &Step<'_>) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        if let Ruling::Move(..) = draft.rule(&Command::Withdraw)? {
            let id = draft.case.enrollment.id;
            draft.case.enrollment.counted = None;
            draft.end_grants(EndReason::Withdrawn, |grant| grant.enrollment == Some(id));
        }
        Ok(draft.finish(Effect::Changed))
    }

    /// Nobody paid in time, or the bought access is over.
    ///
    /// # Errors
    /// [`CaseError::Refused`] or [`CaseError::Vetoed`].
    pub fn expire(self, step: &Step<'_>) -> Result<Applied, CaseError> {
        self.command(&Command::Expire, step)
    }

    fn command(self, command: &Command, step: &Step<'_>) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let effect = match draft.rule(command)? {
            Ruling::Move(..) => Effect::Changed,
            Ruling::Stay(_) | Ruling::Refuse(_) => Effect::Nothing,
        };
        Ok(draft.finish(effect))
    }

    /// The money of one attempt went back. The grant that rests on it ends; others
    /// are left alone.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`], or [`CaseError::Refused`] when no money arrived for it.
    pub fn refund(self, reference: &Reference, step: &Step<'_>) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        if !draft.move_attempt(at, AttemptEvent::Refunded)? {
            return Ok(draft.finish(Effect::Nothing));
        }
        let counted = draft.case.enrollment.counted.as_ref() == Some(reference);
        if counted {
            draft.case.enrollment.counted = None;
            draft.rule(&Command::Refund)?;
        } else if matches!(
            draft.case.enrollment.status,
            Status::AwaitingApproval { .. }
        ) && draft.held_money().is_none()
        {
            draft.rule(&Command::Refund)?;
        }
        draft.end_grants(EndReason::Refunded, |grant| {
            grant.source.payment() == Some(reference)
        });
        Ok(draft.finish(Effect::Changed))
    }

    /// Ends one grant.
    ///
    /// # Errors
    /// [`CaseError::UnknownGrant`].
    pub fn revoke(
        self,
        grant: GrantId,
        why: EndReason,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        if !self
            .grants
            .iter()
            .any(|known| known.id == grant && known.state == GrantState::Live)
        {
            return Err(CaseError::UnknownGrant);
        }
        let mut draft = self.draft(step);
        draft.end_grants(why, |known| known.id == grant);
        Ok(draft.finish(Effect::Changed))
    }

    /// The attempt a payment speaks of: by our reference, else by its pay link.
    pub fn attempt(&self, reference: Option<&str>, pay_link: Option<&str>) -> Option<&Attempt> {
        let by_reference = |wanted| {
            self.attempts
                .iter()
                .find(|attempt| attempt.reference.as_str() == wanted)
        };
        let by_link = |wanted| {
            self.attempts.iter().find(|attempt| {
                attempt
                    .link
                    .as_ref()
                    .is_some_and(|link| link.id.as_str() == wanted)
            })
        };
        reference
            .and_then(by_reference)
            .or_else(|| pay_link.and_then(by_link))
    }

    /// Whether it was approved and the access it gave has run out.
    pub fn has_lapsed(&self, now: DateTime<Utc>) -> bool {
        let expired = |grant: &Grant| grant.expires_at.is_some_and(|end| end <= now);
        matches!(self.enrollment.status, Status::Approved { .. })
            && !self.grants.iter().any(|grant| grant.is_live(now))
            && self.grants.iter().any(expired)
    }

    /// The newest attempt.
    pub fn latest_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}

impl Draft<'_> {
    fn start_attempt(&mut self, reference: Reference) -> Result<(), CaseError> {
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
    fn paid(
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
        let mut veto = None;
        let mut reason = match decision {
            Decision::Approve(_) if evidence.grade < minimum => HoldReason::WeakEvidence,
            Decision::Approve(_) if evidence.attempt == Finding::Differs => {
                HoldReason::WrongAttempt
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
            Decision::Hold(reason) => reason,
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
            && reason.severity() < crate::reason::Severity::Error;
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
        self.pay(
            at,
            Payment {
                standing: Standing::Held(reason),
                ..payment
            },
            Some(basis),
        )?;
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
    fn rule_hold(&mut self, reason: HoldReason) -> Result<(), CaseError> {
        match self.rule(&Command::Hold(reason)) {
            Ok(_) | Err(CaseError::Vetoed(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// The held payment to count when a person approves: the least grave, the oldest.
    fn held_money(&self) -> Option<usize> {
        self.case
            .attempts
            .iter()
            .enumerate()
            .filter(|(_, attempt)| attempt.holds_money())
            .filter_map(|(at, attempt)| match attempt.payment?.standing {
                Standing::Held(reason) => Some((reason, at)),
                Standing::Counted | Standing::Returned => None,
            })
            .min()
            .map(|(_, at)| at)
    }

    /// The bank transfer a person vouches for when they approve.
    fn open_transfer(&self) -> Option<usize> {
        self.case.attempts.iter().rposition(|attempt| {
            attempt.declared == Method::BankTransfer && attempt.status == AttemptStatus::Started
        })
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
