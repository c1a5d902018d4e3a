//! Access and payments that are brought over from another system.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::command::Command;
use super::draft::Draft;
use super::step::{CaseError, Effect, NewEnrollment, StepContext, StepOutcome};
use crate::access::{Grant, GrantSource};
use crate::event::EventKind;
use crate::payment::{Allocation, AttemptEvent, Payment, PaymentAttempt, PaymentMethod, Purpose};
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{AdminId, EvidenceLevel, ExternalKey, GrantId, Money, PaymentReference};

/// A payment that was made in another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigratedPayment {
    /// The other system's name for it, which becomes our reference.
    pub reference: PaymentReference,
    /// How much was paid.
    pub amount: Money,
    /// How it was paid.
    pub method: PaymentMethod,
    /// When.
    pub at: DateTime<Utc>,
}

/// Access with the payment it rests on, as it is brought over.
#[derive(Debug, Clone)]
pub struct Migration {
    /// Who had what: the terms last from the start of the access to its end.
    pub opening: NewEnrollment,
    /// The grant to be made.
    pub grant: GrantId,
    /// The other system's name for the access.
    pub key: ExternalKey,
    /// From when it counts.
    pub starts_at: DateTime<Utc>,
    /// The payment.
    pub payment: MigratedPayment,
    /// Who brings it over.
    pub by: AdminId,
}

impl Case {
    /// Brings a paid access over, to a learner without an enrollment in the course.
    ///
    /// # Errors
    /// [`CaseError::Refused`].
    pub fn migrate_new(
        migration: Migration,
        grants: Vec<Grant>,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = Self::new_draft(migration.opening.clone(), grants, step);
        draft.case.enrollment.created_at = migration.starts_at.min(step.now);
        draft.bring_over(migration)
    }

    /// Brings a paid access over, to a learner's enrollment. Access that is there stands, and what
    /// is asked today stays asked.
    ///
    /// # Errors
    /// [`CaseError::Refused`] when the learner left since, and the access is not over;
    /// [`CaseError::ReferenceTaken`] when the enrollment has a payment of that name.
    pub fn migrate(
        self,
        migration: Migration,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        self.draft(step).bring_over(migration)
    }
}

impl Draft<'_> {
    fn bring_over(mut self, migration: Migration) -> Result<StepOutcome, CaseError> {
        let Migration {
            opening,
            grant,
            key,
            starts_at,
            payment,
            by,
        } = migration;
        let same = |known: &Grant| known.key.as_ref() == Some(&key);
        if self.case.grants.iter().any(same) {
            return Ok(self.finish(Effect::Nothing));
        }
        let reference = payment.reference.clone();
        if self.index_of(&reference).is_ok() {
            return Err(CaseError::ReferenceTaken);
        }
        let enrollment = self.case.enrollment.id;
        let subject = (opening.learner, opening.course);
        let terms = opening.offer.terms.clone();
        let attempt = PaymentAttempt::new(
            reference.clone(),
            enrollment,
            subject.clone(),
            (opening.offer, Purpose::First),
            payment.method,
            payment.at,
        );
        self.case.attempts.push(attempt);
        let at = self.case.attempts.len() - 1;
        self.touch_attempt(at);
        let is_over = terms.expiry(starts_at).is_some_and(|end| end <= self.now);
        // What is over is no reason to close what the learner is about to buy.
        if self.is_new || !is_over {
            self.rule(&Command::Approve(ApprovalCause::Migration))?;
        }
        self.move_attempt(at, AttemptEvent::Paid)?;
        self.case.attempts[at].payment = Some(Payment {
            at: payment.at,
            amount: Some(payment.amount),
            method: payment.method,
            evidence_level: EvidenceLevel::Unsigned,
            allocation: Allocation::Applied,
        });
        self.record(EventKind::PaymentCompleted {
            reference: reference.clone(),
            amount: Some(payment.amount),
            method: payment.method,
            allocation: Allocation::Applied,
        });
        let source = GrantSource::Migration {
            by,
            payment: Some(reference),
        };
        let mut made = Grant::new(grant, subject, Some(enrollment), source, &terms, starts_at);
        made.key = Some(key);
        self.put_grant(made);
        Ok(self.finish(Effect::Approved))
    }
}
