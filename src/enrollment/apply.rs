//! The steps of a case: what a learner, a payment, a person or time does with it.

use chrono::TimeDelta;

use super::command::Command;
use super::draft::Draft;
use super::state::Enrollment;
use super::step::{CaseError, Effect, NewEnrollment, StepContext, StepOutcome};
use super::transition::TransitionResult;
use crate::access::{EndReason, Grant, GrantState};
use crate::event::{DecisionRecord, EventKind};
use crate::payment::{
    Allocation, AttemptEvent, Offer, PayLink, PaymentAttempt, PaymentMethod, ProviderStatus,
    Purpose,
};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{
    Decision, EvidenceLevel, GrantId, IdGenerator, Note, PaymentReference, RefuseReason, Status,
    Version,
};

use super::case::Case;

/// How often it is noted that a learner goes on with the same attempt.
const A_DAY: TimeDelta = TimeDelta::days(1);

impl Case {
    /// Makes an enrollment with its first attempt, for a learner with these grants for the
    /// course. A bank transfer goes straight to the queue.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`] when the guard does not permit the hold.
    pub fn open(
        opening: NewEnrollment,
        (grants, purpose): (Vec<Grant>, Purpose),
        reference: PaymentReference,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = Self::new_draft(opening, grants, step);
        draft.start_attempt(reference, purpose)?;
        Ok(draft.finish(Effect::Changed))
    }

    /// The beginning of a new enrollment.
    pub(super) fn new_draft<'s>(
        opening: NewEnrollment,
        grants: Vec<Grant>,
        step: &'s StepContext<'s>,
    ) -> Draft<'s> {
        let mut ids = IdGenerator::new(step.now);
        let Offer {
            price,
            title,
            terms,
        } = opening.offer;
        let declared = opening.declared;
        let enrollment = Enrollment {
            id: ids.enrollment(),
            learner: opening.learner,
            email: opening.email,
            course: opening.course,
            title,
            price,
            declared,
            terms,
            status: Status::AwaitingPayment,
            waits_for: None,
            waits_on: None,
            closed: None,
            first_approval: None,
            version: Version::default(),
            created_at: step.now,
            updated_at: step.now,
        };
        let case = Self {
            enrollment,
            attempts: Vec::new(),
            grants,
            confirming: None,
        };
        let mut draft = Draft::new(case, step, ids, true);
        draft.record(EventKind::EnrollmentCreated { price, declared });
        draft
    }

    pub(super) fn draft<'s>(self, step: &'s StepContext<'s>) -> Draft<'s> {
        Draft::new(self, step, IdGenerator::new(step.now), false)
    }

    /// Starts another attempt, with the offer and by the method of now; a closed enrollment is
    /// reopened. Old attempts stay payable, each for its own offer, and access that there is
    /// stands.
    ///
    /// # Errors
    /// [`CaseError::Refused`] when the school ended the access, or for first access when there is
    /// some; [`CaseError::TooManyAttempts`].
    pub fn retry(
        self,
        opening: NewEnrollment,
        purpose: Purpose,
        reference: PaymentReference,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        draft.lapse()?;
        // What is approved stays so: this is about more, or instead of what is suspended.
        if !matches!(draft.case.enrollment.status, Status::Approved { .. })
            && let TransitionResult::Moved(..) = draft.rule(&Command::Reopen)?
        {
            draft.hold_what_waits()?;
        }
        draft.wish_again()?;
        draft.ask_today(opening);
        draft.start_attempt(reference, purpose)?;
        Ok(draft.finish(Effect::Changed))
    }

    /// The learner goes on with an attempt that there is: what it offers is what is asked today.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`], [`CaseError::Refused`] when the school ended the access, or
    /// [`CaseError::Vetoed`].
    pub fn go_on(
        self,
        reference: &PaymentReference,
        opening: NewEnrollment,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(reference)?;
        let by_transfer = opening.declared == PaymentMethod::BankTransfer;
        let latest = draft.case.latest_attempt();
        let is_latest = latest.is_some_and(|latest| latest.reference == *reference);
        let opened = draft.wish_again()?;
        draft.ask_today(opening);
        let resumed = by_transfer && draft.move_attempt(at, AttemptEvent::Resumed)?;
        let recent = draft.now - draft.case.attempts[at].asked_at < A_DAY;
        if opened || resumed || !is_latest || !recent {
            draft.ask_again(Some(at));
        }
        if by_transfer {
            draft.rule(&Command::Hold(HoldReason::BankTransfer))?;
        }
        Ok(draft.finish_if_any())
    }

    /// The learner comes back to money of theirs that waits: it is put before a person again.
    ///
    /// # Errors
    /// [`CaseError::Refused`] when the school ended the access.
    pub fn come_back(
        self,
        opening: &NewEnrollment,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        draft.rename(&opening.email, &opening.offer.title);
        if !draft.case.enrollment.status.is_open() {
            draft.rule(&Command::Reopen)?;
            draft.hold_what_waits()?;
        } else if draft.case.enrollment.is_left_by_learner() && draft.wish_again()? {
            draft.ask_again(None);
        }
        Ok(draft.finish_if_any())
    }

    /// Keeps the learner's newest address and the course's newest title. Neither changes what is
    /// offered.
    ///
    /// # Errors
    /// None: a step on a case gives a result.
    pub fn rename(
        self,
        opening: &NewEnrollment,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        draft.rename(&opening.email, &opening.offer.title);
        Ok(draft.finish_if_any())
    }

    /// Keeps the pay link the provider gave.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`].
    pub fn link(
        self,
        reference: &PaymentReference,
        link: PayLink,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
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
    pub fn abandon(
        self,
        reference: &PaymentReference,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
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
        reference: &PaymentReference,
        status: &ProviderStatus,
        basis: Box<DecisionRecord>,
        minimum: EvidenceLevel,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
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
            (ProviderStatus::Paid, _) => draft.paid(at, basis, minimum)?,
        };
        Ok(draft.finish(effect))
    }

    /// A person says no. Money that is held is to be given back. Where the learner has access,
    /// that stands: only what came beside it is turned down.
    ///
    /// # Errors
    /// [`CaseError::Refused`] or [`CaseError::Vetoed`].
    pub fn reject(self, reason: Note, step: &StepContext<'_>) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        let beside = matches!(draft.case.enrollment.status, Status::Approved { .. })
            && draft.case.waits_for(draft.now).is_some();
        if draft.case.enrollment.is_ended_by_school() && draft.close_again()? {
            // The school has ended it all already: a no to other money does not open it again.
            draft.set_note(reason);
        } else if !beside {
            draft.rule(&Command::Reject(reason))?;
        }
        for at in 0..draft.case.attempts.len() {
            let attempt = &draft.case.attempts[at];
            if let Some(reason) = attempt.held_back() {
                draft.restate(at, Allocation::RefundDue(reason));
            } else if attempt.is_open_transfer() {
                draft.move_attempt(at, AttemptEvent::Abandoned)?;
            }
            draft.refuse_doubt(at);
        }
        Ok(draft.finish_if_any())
    }

    /// The learner leaves; the enrollment's grants end.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`].
    pub fn withdraw(self, step: &StepContext<'_>) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        // Leaving undoes nothing that the school did, and takes no money out of sight.
        if draft.case.enrollment.is_ended_by_school() {
            return Ok(draft.finish(Effect::Nothing));
        }
        if let TransitionResult::Moved(..) = draft.rule(&Command::Withdraw)? {
            let id = draft.case.enrollment.id;
            draft.end_grants(EndReason::Withdrawn, |grant| grant.enrollment == Some(id));
        }
        Ok(draft.finish_if_any())
    }

    /// Ends what is due to end: grants whose time is over, and the enrollment when the access it
    /// gave is over. Changes nothing before its time.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`].
    pub fn end_due(self, step: &StepContext<'_>) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        draft.end_due()?;
        Ok(draft.finish_if_any())
    }

    /// The same, and lets the enrollment expire when nobody paid for it in time.
    ///
    /// # Errors
    /// [`CaseError::Vetoed`].
    pub fn expire_due(self, step: &StepContext<'_>) -> Result<StepOutcome, CaseError> {
        let mut draft = self.draft(step);
        draft.end_due()?;
        // What waited beside access that is over may wait for a person now.
        let until = step.rules.unpaid_until(&draft.case);
        if until.is_some_and(|until| until <= draft.now) {
            match draft.case.enrollment.status {
                // A transfer for more that never came: what there is stands.
                Status::Approved { .. } => {
                    let now = draft.now;
                    let over = |it: &&PaymentAttempt| {
                        let until = step.rules.transfer_until(it);
                        until.is_some_and(|until| until <= now)
                    };
                    let over = draft.case.transfers_beside(now).filter(over);
                    let over: Vec<PaymentReference> = over.map(|it| it.reference.clone()).collect();
                    for reference in &over {
                        let at = draft.index_of(reference)?;
                        draft.move_attempt(at, AttemptEvent::Abandoned)?;
                    }
                }
                _ => drop(draft.rule(&Command::Expire)?),
            }
        }
        Ok(draft.finish_if_any())
    }

    /// Ends one grant. The last of an enrollment takes it with it: by a decision of the school, or,
    /// where it was suspended for a dispute, because the money is lost.
    ///
    /// # Errors
    /// [`CaseError::UnknownGrant`], or [`CaseError::Vetoed`].
    pub fn revoke(
        self,
        grant: GrantId,
        why: EndReason,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let known = self.grants.iter().find(|known| known.id == grant);
        let lost = match known.map(|known| known.state) {
            None | Some(GrantState::Ended { .. }) => return Err(CaseError::UnknownGrant),
            Some(GrantState::Suspended { .. }) => true,
            Some(GrantState::Live) => false,
        };
        let why = if lost { EndReason::Reversed } else { why };
        let mut draft = self.draft(step);
        draft.end_grants(why, |known| known.id == grant);
        match lost {
            true => draft.reconsider()?,
            // What the school ended does not go on by other money.
            false => draft.follow(),
        }
        let approved = matches!(draft.case.enrollment.status, Status::Approved { .. });
        if approved && draft.case.is_bare() {
            match lost {
                true => draft.close_bare(&Command::Refund)?,
                false => {
                    draft.rule(&Command::Revoke)?;
                    // Money that is here is seen to; a transfer to come is asked for no more.
                    draft.hold_money()?;
                }
            }
        }
        Ok(draft.finish(Effect::Changed))
    }
}
