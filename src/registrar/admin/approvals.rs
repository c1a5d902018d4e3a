//! What a person decides about enrollments that wait.

use crate::enrollment::{CaseError, Effect, StepContext, StepOutcome};
use crate::event::Source;
use crate::registrar::admin::handles::Approvals;
use crate::registrar::error::Error;
use crate::store::Lookup;
use crate::vocabulary::reason::{ApprovalCause, Permission};
use crate::vocabulary::{EnrollmentId, Note, Status, Version};
use serde::Serialize;

/// What a bulk approval did, or would do, with one enrollment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BulkItem {
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: BulkOutcome,
}

/// What came of one item of a bulk approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "why")]
#[non_exhaustive]
pub enum BulkOutcome {
    /// Approved; in a dry run: would be.
    Approved,
    /// It was approved before.
    AlreadyApproved,
    /// It is approved by one person now, or would be, and a second one has to.
    AwaitsSecond,
    /// It could not be, and why.
    Failed(String),
}

impl Approvals<'_> {
    /// Approves one enrollment. A bank transfer's money counts as seen by this person. Money that
    /// is held gives what its own offer says; without any, the learner gets what is asked today.
    ///
    /// An `Ok` says that they have access by it: just now, or before already. Where a page shows
    /// people what they approve, use [`approve_shown`](Self::approve_shown).
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] when the law or the host's guard says no, as for an
    /// enrollment whose payment is disputed, or that the learner left; or the store's errors.
    pub async fn approve(
        &self,
        enrollment: EnrollmentId,
        note: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin
            .allow(Permission::Approve, Some(enrollment))
            .await?;
        let note = note.into();
        let approved = self.approve_as(enrollment, ApprovalCause::ManualAdminApproval, note);
        Ok(self
            .admin
            .registrar
            .within(approved)
            .await?
            .case
            .enrollment
            .status)
    }

    /// Approves one enrollment as it was shown: the page keeps the version
    /// ([`Enrollment::version`](crate::enrollment::Enrollment::version)) of what it showed. Money that
    /// comes between a look and a click is not approved unseen.
    ///
    /// # Errors
    /// As [`approve`](Self::approve), and [`Error::Refused`] with
    /// [`CaseError::ChangedSince`] when anything about it changed since.
    pub async fn approve_shown(
        &self,
        enrollment: EnrollmentId,
        shown: Version,
        note: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin
            .allow(Permission::Approve, Some(enrollment))
            .await?;
        let find = Lookup::Enrollment(enrollment);
        let cause = ApprovalCause::ManualAdminApproval;
        let approved = self.admin.change(find, note.into(), |case, step| {
            match case.enrollment.version == shown {
                true => case.approve(&self.admin.person, cause, step),
                false => Err(CaseError::ChangedSince),
            }
        });
        Ok(self
            .admin
            .registrar
            .within(approved)
            .await?
            .case
            .enrollment
            .status)
    }

    /// Approves one enrollment past the host's guard and the second person. It is recorded as
    /// `system_override`.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to override; [`Error::NotFound`];
    /// [`Error::Refused`] when the law says no; or the store's errors.
    pub async fn approve_override(
        &self,
        enrollment: EnrollmentId,
        note: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin
            .allow(Permission::Override, Some(enrollment))
            .await?;
        let note = note.into();
        let approved = self.approve_as(enrollment, ApprovalCause::SystemOverride, note);
        Ok(self
            .admin
            .registrar
            .within(approved)
            .await?
            .case
            .enrollment
            .status)
    }

    async fn approve_as(
        &self,
        enrollment: EnrollmentId,
        cause: ApprovalCause,
        note: Note,
    ) -> Result<StepOutcome, Error> {
        self.admin
            .change(Lookup::Enrollment(enrollment), note, |case, step| {
                case.approve(&self.admin.person, cause, step)
            })
            .await
    }

    /// Rejects one enrollment, with a reason for the learner. Money that is held has to be given
    /// back from then on. Access that the learner has stands: then only what came beside it is
    /// turned down.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`], or the store's errors.
    pub async fn reject(
        &self,
        enrollment: EnrollmentId,
        reason: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin
            .allow(Permission::Approve, Some(enrollment))
            .await?;
        let reason = reason.into();
        let find = Lookup::Enrollment(enrollment);
        let rejected = self.admin.change(find, reason.clone(), |case, step| {
            case.reject(reason.clone(), step)
        });
        Ok(self
            .admin
            .registrar
            .within(rejected)
            .await?
            .case
            .enrollment
            .status)
    }

    /// Approves many, one by one: one that fails does not stop the others. A dry run
    /// says what would happen and writes nothing.
    pub async fn approve_all(
        &self,
        enrollments: &[EnrollmentId],
        note: impl Into<Note>,
        dry_run: bool,
    ) -> Vec<BulkItem> {
        let note = note.into();
        let mut items = Vec::with_capacity(enrollments.len());
        if let Err(error) = self.admin.allow(Permission::Approve, None).await {
            let failed = |enrollment: &EnrollmentId| BulkItem {
                enrollment: *enrollment,
                outcome: BulkOutcome::Failed(error.in_full()),
            };
            return enrollments.iter().map(failed).collect();
        }
        for &enrollment in enrollments {
            let cause = ApprovalCause::BulkApproval;
            let result = match dry_run {
                true => {
                    self.admin
                        .registrar
                        .within(self.try_approval(enrollment, cause))
                        .await
                }
                false => {
                    self.admin
                        .registrar
                        .within(self.approve_as(enrollment, cause, note.clone()))
                        .await
                }
            };
            let outcome = match result {
                Ok(applied) if applied.effect == Effect::Approved => BulkOutcome::Approved,
                Ok(applied) if applied.effect == Effect::Changed => BulkOutcome::AwaitsSecond,
                Ok(_) => BulkOutcome::AlreadyApproved,
                Err(error) => BulkOutcome::Failed(error.in_full()),
            };
            items.push(BulkItem {
                enrollment,
                outcome,
            });
        }
        items
    }

    async fn try_approval(
        &self,
        enrollment: EnrollmentId,
        cause: ApprovalCause,
    ) -> Result<StepOutcome, Error> {
        let found = self
            .admin
            .registrar
            .inner
            .store
            .load(Lookup::Enrollment(enrollment))
            .await?;
        let case = found.case.ok_or(Error::NotFound("enrollment"))?;
        let now = self.admin.registrar.now();
        let step = StepContext {
            rehearsal: true,
            ..self
                .admin
                .registrar
                .step(&self.admin.who, Source::AdminApproval, &None, now)
        };
        Ok(case.approve(&self.admin.person, cause, &step)?)
    }
}
