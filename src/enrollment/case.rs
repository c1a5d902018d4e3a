use chrono::{DateTime, Utc};

use super::draft::Draft;
use super::ruling::{Command, Ruling};
use super::status::Status;
use super::step::{Applied, CaseError, Effect, Opening, Step};
use super::{Enrollment, Version};
use crate::access::{EndReason, Grant, GrantState};
use crate::approval::{Decision, RefuseReason};
use crate::evidence::Grade;
use crate::ids::{GrantId, IdRun, PersonId, Reference};
use crate::money::Money;
use crate::payment::{Attempt, AttemptEvent, PayLink, ProviderStatus};
use crate::reason::{ApprovalCause, Note};
use crate::record::{Basis, Fact};

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
            first_approver: None,
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

    pub(super) fn draft<'s>(self, step: &'s Step<'s>) -> Draft<'s> {
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

    /// A person approves; where two have to, the first of them changes nothing but that.
    ///
    /// # Errors
    /// [`CaseError::Refused`], [`CaseError::Vetoed`] or [`CaseError::SecondPersonNeeded`].
    pub fn approve(
        self,
        by: &PersonId,
        cause: ApprovalCause,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        if draft.is_first_of_two(by, cause)? {
            return Ok(draft.finish(Effect::Changed));
        }
        let Ruling::Move(..) = draft.rule(&Command::Approve(cause))? else {
            return Ok(draft.finish(Effect::Nothing));
        };
        let held = draft.held_money();
        let chosen = held.or_else(|| draft.open_transfer());
        if let (None, Some(at)) = (held, chosen) {
            draft.vouch(at, draft.case.attempts[at].amount)?;
        }
        draft.let_in(by, chosen);
        Ok(draft.finish(Effect::Approved))
    }

    /// A person approves, having seen the money of one bank transfer on a statement.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`], [`CaseError::NoTransfer`] when nobody waits for that
    /// transfer any more, [`CaseError::Refused`], [`CaseError::Vetoed`] or
    /// [`CaseError::SecondPersonNeeded`].
    pub fn approve_seen(
        self,
        by: &PersonId,
        cause: ApprovalCause,
        (payment, amount): (&Reference, Money),
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(payment)?;
        if !draft.case.attempts[at].is_open_transfer() {
            return Err(CaseError::NoTransfer);
        }
        if draft.is_first_of_two(by, cause)? {
            return Ok(draft.finish(Effect::Changed));
        }
        let Ruling::Move(..) = draft.rule(&Command::Approve(cause))? else {
            return Err(CaseError::NoTransfer);
        };
        draft.vouch(at, amount)?;
        draft.let_in(by, Some(at));
        Ok(draft.finish(Effect::Approved))
    }

    /// A person says no. Money that is held stays held until it is refunded.
    ///
    /// # Errors
    /// [`CaseError::Refused`] or [`CaseError::Vetoed`].
    pub fn reject(self, reason: Note, step: &Step<'_>) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        draft.rule(&Command::Reject(reason))?;
        Ok(draft.finish_if_any())
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

    /// Ends what is due to end: grants whose time is over, and the enrollment when nobody
    /// paid for it in time, or when the access it gave is over. Changes nothing before its
    /// time.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`].
    pub fn expire_due(self, step: &Step<'_>) -> Result<Applied, CaseError> {
        let (id, now) = (self.enrollment.id, step.now);
        let unpaid = step
            .rules
            .unpaid_until(&self)
            .is_some_and(|until| until <= now);
        let lapsed = self.has_lapsed(now);
        let mut draft = self.draft(step);
        draft.end_grants(EndReason::Expired, |grant| {
            grant.enrollment == Some(id)
                && grant.state == GrantState::Live
                && grant.expires_at.is_some_and(|end| end <= now)
        });
        if unpaid || lapsed {
            draft.rule(&Command::Expire)?;
        }
        Ok(draft.finish_if_any())
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
            .any(|known| known.id == grant && !matches!(known.state, GrantState::Ended { .. }))
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

    /// Whether it was approved and the access it gave has run out. Access by other ways does
    /// not matter; access that is suspended, or starts later, has not run out.
    pub fn has_lapsed(&self, now: DateTime<Utc>) -> bool {
        let own = |grant: &&Grant| grant.enrollment == Some(self.enrollment.id);
        let expired = |grant: &Grant| grant.expires_at.is_some_and(|end| end <= now);
        let over =
            |grant: &Grant| expired(grant) || matches!(grant.state, GrantState::Ended { .. });
        matches!(self.enrollment.status, Status::Approved { .. })
            && self.grants.iter().filter(own).all(over)
            && self.grants.iter().filter(own).any(expired)
    }

    /// The newest attempt.
    pub fn latest_attempt(&self) -> Option<&Attempt> {
        self.attempts.last()
    }
}
