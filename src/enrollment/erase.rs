//! An enrollment without personal data.

use super::case::Case;
use super::delta::Erasure;
use super::state::NOWHERE;
use super::step::{CaseError, Effect, StepContext, StepOutcome};
use crate::access::{Grant, GrantState};
use crate::event::{Event, EventKind};
use crate::payment::PaymentAttempt;
use crate::vocabulary::{Email, LearnerId, Note, Status};

impl Case {
    /// Whether nothing is to come any more: it is closed, or what it gave is over, and no money
    /// of it waits for a person.
    pub fn is_over(&self) -> bool {
        let live = |grant: &Grant| !matches!(grant.state, GrantState::Ended { .. });
        let own = |grant: &&Grant| grant.enrollment == Some(self.enrollment.id);
        let waits = matches!(
            self.enrollment.status,
            Status::AwaitingPayment | Status::AwaitingApproval { .. }
        );
        let held = self
            .attempts
            .iter()
            .any(|it| it.held_back().is_some() || it.waits().is_some());
        !waits && !held && !self.grants.iter().filter(own).any(live)
    }

    /// Takes out what tells of the learner, here and in those of these events of it that hold
    /// anything of the kind. Sums, methods, dates, decisions and who made them stay.
    ///
    /// # Errors
    /// [`CaseError::NotOver`].
    pub fn erase(
        self,
        pseudonym: &LearnerId,
        events: &[Event],
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        if !self.is_over() {
            return Err(CaseError::NotOver);
        }
        let mut draft = self.draft(step);
        let personal = events.iter().filter(|event| event.is_personal());
        let kind = EventKind::PersonalErased {
            events: personal.map(|event| event.id).collect(),
            grants: Vec::new(),
        };
        draft.record(kind).learner = None;
        let enrollment = &mut draft.case.enrollment;
        enrollment.learner = pseudonym.clone();
        if let Ok(nowhere) = Email::new(NOWHERE) {
            enrollment.email = nowhere;
        }
        if let Status::Rejected { reason } = &mut enrollment.status {
            *reason = Note::new("erased");
        }
        let id = enrollment.id;
        for attempt in &mut draft.case.attempts {
            attempt.learner = pseudonym.clone();
            attempt.proof = None;
            for refund in &mut attempt.refunds {
                refund.proof = Note::new("");
            }
        }
        draft
            .case
            .grants
            .retain(|grant| grant.enrollment == Some(id));
        for grant in &mut draft.case.grants {
            grant.learner = pseudonym.clone();
            grant.key = None;
        }
        let mut applied = draft.finish(Effect::Changed);
        let all: &[PaymentAttempt] = &applied.case.attempts;
        applied.delta.attempts = all.to_vec();
        applied.delta.grants.clone_from(&applied.case.grants);
        applied.delta.erasure = Some(Erasure::under(pseudonym.clone()));
        Ok(applied)
    }
}
