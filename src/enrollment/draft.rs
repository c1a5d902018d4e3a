//! One change being written: every state that moves leaves exactly one event.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::command::Command;
use super::delta::Delta;
use super::rules::EnrollmentPolicy;
use super::step::{CaseError, Effect, StepContext, StepOutcome, TransitionRequest};
use super::timer::{Timer, TimerKey};
use super::transition::TransitionResult;
use crate::event::{DecisionRecord, Event, EventKind};
use crate::payment::{
    Allocation, AttemptEvent, AttemptStatus, AttemptStep, PayLink, Payment, Verdict,
};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{Closed, IdGenerator, Note, PaymentReference, Status};

pub(super) struct Draft<'s> {
    pub(super) case: Case,
    pub(super) step: &'s StepContext<'s>,
    /// Never before the last change: another instance's clock may be ahead of this one's.
    pub(super) now: DateTime<Utc>,
    pub(super) ids: IdGenerator,
    pub(super) is_new: bool,
    pub(super) events: Vec<Event>,
    touched_attempts: Vec<usize>,
    pub(super) touched_grants: Vec<usize>,
    pub(super) timers: Vec<Timer>,
    due_before: Option<DateTime<Utc>>,
    pub(super) granted: bool,
    /// Whether a provisional grant lives on between two moves of one step.
    pub(super) keeps_lent: bool,
}

impl<'s> Draft<'s> {
    pub(super) fn new(
        case: Case,
        step: &'s StepContext<'s>,
        ids: IdGenerator,
        is_new: bool,
    ) -> Self {
        let due_before = if is_new {
            None
        } else {
            step.rules.due_at(&case, case.time(step.now))
        };
        Self {
            now: case.time(step.now),
            case,
            step,
            ids,
            is_new,
            events: Vec::new(),
            touched_attempts: Vec::new(),
            touched_grants: Vec::new(),
            timers: Vec::new(),
            due_before,
            granted: false,
            keeps_lent: false,
        }
    }

    pub(super) fn rules(&self) -> &EnrollmentPolicy {
        self.step.rules
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(super) fn record(&mut self, kind: EventKind) -> &mut Event {
        let mut event = Event::new(
            self.ids.event(),
            kind,
            self.step.who.clone(),
            self.step.source,
            self.now,
        );
        event.enrollment = Some(self.case.enrollment.id);
        event.learner = Some(self.case.enrollment.learner.clone());
        event.course = Some(self.case.enrollment.course.clone());
        event.note.clone_from(self.step.note);
        self.events.push(event);
        let last = self.events.len() - 1;
        &mut self.events[last]
    }

    /// Puts a command to the enrollment. A guard may veto a move, never allow one.
    pub(super) fn rule(&mut self, command: &Command) -> Result<TransitionResult, CaseError> {
        let ruling = self.case.enrollment.status.after(command);
        match &ruling {
            TransitionResult::Unchanged(_) => {}
            TransitionResult::Rejected(refusal) => return Err(CaseError::Refused(*refusal)),
            TransitionResult::Moved(transition, to) => {
                let proposal = TransitionRequest {
                    enrollment: &self.case.enrollment,
                    transition: *transition,
                    to,
                    who: self.step.who,
                    rehearsal: self.step.rehearsal,
                };
                if !matches!(command, Command::Approve(cause) if cause.is_past_everybody()) {
                    self.step
                        .guard
                        .permits(&proposal)
                        .map_err(CaseError::Vetoed)?;
                }
                let from = std::mem::replace(&mut self.case.enrollment.status, to.clone());
                self.case.enrollment.first_approval = None;
                self.keep_closed(&from);
                self.lend_or_end(&from, to);
                self.record(EventKind::EnrollmentMoved {
                    from,
                    to: to.clone(),
                    transition: *transition,
                });
            }
        }
        Ok(ruling)
    }

    /// What closed the enrollment is not forgotten as long as money that came later waits.
    fn keep_closed(&mut self, from: &Status) {
        let queued = |status: &Status| matches!(status, Status::AwaitingApproval { .. });
        let enrollment = &mut self.case.enrollment;
        if !queued(&enrollment.status) {
            enrollment.closed = None;
        } else if !queued(from) {
            enrollment.closed = Closed::of(from).map(Box::new);
        }
    }

    /// Moves an attempt; `false` when the event changes nothing.
    pub(super) fn move_attempt(
        &mut self,
        at: usize,
        event: AttemptEvent,
    ) -> Result<bool, CaseError> {
        let attempt = &mut self.case.attempts[at];
        match attempt.status.after(event) {
            AttemptStep::Unchanged => Ok(false),
            AttemptStep::Rejected => Err(CaseError::Refused(super::Refusal::NoMoney)),
            AttemptStep::Moved(to) => {
                let from = std::mem::replace(&mut attempt.status, to);
                let reference = attempt.reference.clone();
                self.touch_attempt(at);
                match to {
                    // Told by the caller, together with the money.
                    AttemptStatus::Paid => {}
                    AttemptStatus::Refunded | AttemptStatus::Reversed => {
                        let attempt = &mut self.case.attempts[at];
                        if let Some(payment) = &mut attempt.payment {
                            let before =
                                std::mem::replace(&mut payment.allocation, Allocation::Refunded);
                            attempt.before_reversal =
                                (to == AttemptStatus::Reversed).then_some(before);
                        }
                    }
                    _ => {
                        self.record(EventKind::AttemptMoved {
                            reference,
                            from,
                            to,
                        });
                    }
                }
                Ok(true)
            }
        }
    }

    /// Puts money on an attempt. Of money that is there already, more may become known.
    pub(super) fn pay(
        &mut self,
        at: usize,
        payment: Payment,
        basis: Option<Box<DecisionRecord>>,
    ) -> Result<(), CaseError> {
        if !self.move_attempt(at, AttemptEvent::Paid)? {
            if let Some(known) = &mut self.case.attempts[at].payment
                && known.evidence_level < payment.evidence_level
            {
                let Payment {
                    amount,
                    method,
                    evidence_level,
                    ..
                } = payment;
                (known.amount, known.method, known.evidence_level) =
                    (amount, method, evidence_level);
            }
            if self.restate(at, payment.allocation)
                && let Some(event) = self.events.last_mut()
            {
                event.basis = basis;
            }
            return Ok(());
        }
        self.learn_link(at, basis.as_deref());
        let attempt = &mut self.case.attempts[at];
        // What a person said to it holds once it is proven.
        attempt.doubt = attempt.doubt.filter(|it| it.verdict != Verdict::Open);
        self.case.attempts[at].payment = Some(payment);
        self.timers.push(Timer {
            key: TimerKey::Attempt(self.case.attempts[at].reference.clone()),
            due_at: None,
        });
        let kind = EventKind::PaymentCompleted {
            reference: self.case.attempts[at].reference.clone(),
            amount: payment.amount,
            method: payment.method,
            allocation: payment.allocation,
        };
        self.record(kind).basis = basis;
        Ok(())
    }

    /// A link whose making was lost on the way is known by name from now on.
    fn learn_link(&mut self, at: usize, basis: Option<&DecisionRecord>) {
        let answer = basis.and_then(|basis| basis.evidence.confirmation.as_ref());
        if let (None, Some(id)) = (
            &self.case.attempts[at].link,
            answer.and_then(|answer| answer.pay_link.clone()),
        ) {
            self.case.attempts[at].link = Some(PayLink { id, url: None });
        }
    }

    /// Changes what money does, and says whether it did. Returned money stays returned,
    /// and counted money is never lowered.
    pub(super) fn restate(&mut self, at: usize, allocation: Allocation) -> bool {
        let attempt = &mut self.case.attempts[at];
        let Some(payment) = &mut attempt.payment else {
            return false;
        };
        match (payment.allocation, allocation) {
            (Allocation::Refunded | Allocation::Applied, _)
            | (Allocation::Kept, Allocation::Kept) => {
                return false;
            }
            (Allocation::OnHold(known), Allocation::OnHold(found))
            | (Allocation::RefundDue(known), Allocation::RefundDue(found))
                if found <= known =>
            {
                return false;
            }
            (Allocation::OnHold(_) | Allocation::RefundDue(_) | Allocation::Kept, _) => {
                payment.allocation = allocation;
            }
        }
        let reference = attempt.reference.clone();
        self.touch_attempt(at);
        self.record(EventKind::PaymentRestated {
            reference,
            allocation,
        });
        true
    }

    /// Makes a payment count: access rests on it. Other held money that would give no more than
    /// there is now becomes duplicate money.
    pub(super) fn count(&mut self, at: usize) {
        self.restate(at, Allocation::Applied);
        for other in 0..self.case.attempts.len() {
            let attempt = &self.case.attempts[other];
            let open = attempt
                .payment
                .and_then(|payment| payment.allocation.open_reason());
            if let (true, Some(known)) = (other != at, open)
                && self.case.covering(attempt, self.now).is_some()
            {
                let reason = known.max(HoldReason::DuplicatePayment);
                self.restate(other, self.step.rules.money.allocation(reason));
            }
        }
    }

    pub(super) fn index_of(&self, reference: &PaymentReference) -> Result<usize, CaseError> {
        self.case
            .attempts
            .iter()
            .position(|attempt| attempt.reference == *reference)
            .ok_or(CaseError::UnknownAttempt)
    }

    /// Has the provider asked about a new attempt, if nothing else is heard of it.
    pub(super) fn watch(&mut self, at: usize) {
        let attempt = &self.case.attempts[at];
        if let Some(due_at) = self.step.rules.look_at(attempt, self.now) {
            self.timers.push(Timer {
                key: TimerKey::Attempt(attempt.reference.clone()),
                due_at: Some(due_at),
            });
        }
    }

    pub(super) fn touch_attempt(&mut self, at: usize) {
        if !self.touched_attempts.contains(&at) {
            self.touched_attempts.push(at);
        }
    }

    /// Closes a change that may have come to nothing.
    pub(super) fn finish_if_any(mut self) -> StepOutcome {
        self.note_review();
        let effect = if self.events.is_empty() {
            Effect::Nothing
        } else {
            Effect::Changed
        };
        self.finish(effect)
    }

    /// Closes the step. Without an event there is nothing to write.
    pub(super) fn finish(mut self, effect: Effect) -> StepOutcome {
        let mut delta = Delta::default();
        if !self.events.is_empty() {
            self.drop_stale_signature();
            self.note_review();
            let enrollment = &mut self.case.enrollment;
            delta.expected = (!self.is_new).then_some(enrollment.version);
            enrollment.version = enrollment.version.next();
            enrollment.updated_at = self.now;
            let about = |event: &&mut Event| event.enrollment.is_some();
            for event in self.events.iter_mut().filter(about) {
                event.version = enrollment.version;
            }
            delta.enrollment = Some(enrollment.clone());
            delta.attempts = self
                .touched_attempts
                .iter()
                .map(|at| self.case.attempts[*at].clone())
                .collect();
            delta.grants = self
                .touched_grants
                .iter()
                .map(|at| self.case.grants[*at].clone())
                .collect();
            let due = self.step.rules.due_at(&self.case, self.now);
            if due != self.due_before {
                self.timers.push(Timer {
                    key: TimerKey::Enrollment(self.case.enrollment.id),
                    due_at: due,
                });
            }
            delta.timers = self.timers;
            delta.events = self.events;
        }
        StepOutcome {
            delta,
            case: self.case,
            effect,
            access_granted: self.granted,
        }
    }

    /// Says that an enrollment which gives access waits for a person too, or no longer does. Where
    /// the status says that itself, there is nothing to add.
    pub(super) fn note_review(&mut self) {
        let waits = self.case.waits_for(self.now);
        self.case.enrollment.waits_on = waits.and_then(|_| self.would_approve());
        let before = std::mem::replace(&mut self.case.enrollment.waits_for, waits);
        let queued = |status: &Status| matches!(status, Status::AwaitingApproval { .. });
        let moves = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::EnrollmentMoved { from, to, .. } => Some((queued(from), queued(to))),
            _ => None,
        });
        // Whoever hears that it left the queue takes it for decided.
        let (came, left) = moves.fold((false, false), |_, (from, to)| (to, from && !to));
        let told = came || (waits.is_none() && left);
        if (before != waits || (left && waits.is_some())) && !told {
            self.record(EventKind::ReviewChanged { reason: waits });
        }
    }

    pub(super) fn set_note(&mut self, note: Note) {
        if let Some(event) = self.events.last_mut() {
            event.note = Some(note);
        }
    }
}
