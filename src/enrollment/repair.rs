//! What an auditor may mend by itself, and what a person is asked about instead of it.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::step::{CaseError, Effect, StepContext, StepOutcome};
use crate::access::{EndReason, Grant, GrantSource};
use crate::payment::{Allocation, AttemptStatus, PaymentAttempt};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{EvidenceLevel, PaymentReference, Reversal, Status};

impl Case {
    /// Mends what is safe to mend: a proven payment that carries an approved enrollment gets
    /// its grant; a grant ends that was provisional until a decision, or whose payment went back; one
    /// whose payment was taken back is suspended. Anything else is left for a person, and what
    /// is due to expire for its timer.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`].
    pub fn repair(
        self,
        minimum: EvidenceLevel,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let status_of = |attempts: &[PaymentAttempt], grant: &Grant| {
            let payment = grant.source.payment()?;
            let paid = attempts
                .iter()
                .find(|attempt| attempt.reference == *payment)?;
            Some(paid.status)
        };
        let attempts = draft.case.attempts.clone();
        let waits = matches!(
            draft.case.enrollment.status,
            Status::AwaitingApproval { .. }
        );
        draft.end_grants(EndReason::Decided, |grant| {
            grant.source == GrantSource::Provisional && !waits
        });
        draft.end_grants(EndReason::Refunded, |grant| {
            status_of(&attempts, grant) == Some(AttemptStatus::Refunded)
        });
        draft.suspend_grants(Reversal::Reversed, |grant| {
            status_of(&attempts, grant) == Some(AttemptStatus::Reversed)
        });
        if let Some(at) = draft.case.unserved(minimum) {
            let payment = draft.case.attempts[at].reference.clone();
            draft.grant(at, GrantSource::Payment { payment });
        }
        Ok(draft.finish_if_any())
    }

    /// A payment that counts for an approved enrollment and never gave access.
    fn unserved(&self, minimum: EvidenceLevel) -> Option<usize> {
        let approved = matches!(self.enrollment.status, Status::Approved { .. });
        let subject = (&self.enrollment.learner, &self.enrollment.course);
        let unserved = |paid: &PaymentAttempt| {
            let proven = paid.payment.is_some_and(|payment| {
                payment.allocation == Allocation::Applied && payment.evidence_level >= minimum
            });
            let served = self
                .grants
                .iter()
                .any(|grant| grant.source.payment() == Some(&paid.reference));
            paid.holds_money() && proven && !served && (&paid.learner, &paid.course) == subject
        };
        self.attempts.iter().position(unserved).filter(|_| approved)
    }

    /// The provider could not be brought to confirm a payment that a callback told of at this
    /// time: a person is asked, unless one decided about it before. No money is moved by it.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`].
    pub fn unconfirmed(
        self,
        reference: &PaymentReference,
        heard: DateTime<Utc>,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        if draft.case.attempts[at].payment.is_some() {
            return Ok(draft.finish(Effect::Nothing));
        }
        if !draft.note_doubt(reference, HoldReason::Unconfirmed, heard)? {
            return Ok(draft.finish(Effect::Nothing));
        }
        draft.rule_hold(HoldReason::Unconfirmed)?;
        Ok(draft.finish(Effect::Held(HoldReason::Unconfirmed)))
    }
}
