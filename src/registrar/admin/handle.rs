//! What people decide. Only through a handle that carries who acts.

use crate::registrar::admin::handles::Approvals;
use crate::registrar::admin::handles::Operations;
use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::Instrument;

use crate::enrollment::{Case, CaseError, Effect, StepContext, StepOutcome};
use crate::event::{Actor, Event, EventKind, Source};
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::webhook::payment::ROUNDS;
use crate::store::Change;
use crate::store::InboxState;
use crate::store::{CommitOutcome, Lookup};
use crate::vocabulary::Note;
use crate::vocabulary::reason::{ApprovalCause, Permission};
use crate::vocabulary::{AdminId, EnrollmentId, IdGenerator};
use crate::vocabulary::{Status, Version};
use crate::webhook::DeliveryKey;

/// A registrar in the hands of one person.
#[derive(Debug, Clone)]
pub struct Admin<'r> {
    pub(in crate::registrar) registrar: &'r Registrar,
    pub(in crate::registrar) person: AdminId,
    who: Actor,
}

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

impl Registrar {
    /// A handle for one person. The host has checked that they may decide.
    pub fn admin(&self, person: AdminId) -> Admin<'_> {
        Admin {
            registrar: self,
            who: Actor::Admin(person.clone()),
            person,
        }
    }

    /// Loads a case, applies a step and commits, again when the race is lost.
    pub(in crate::registrar) async fn update(
        &self,
        find: Lookup<'_>,
        apply: impl Fn(Case) -> Result<StepOutcome, CaseError>,
    ) -> Result<StepOutcome, Error> {
        for _ in 0..ROUNDS {
            let case = self
                .inner
                .store
                .load(find)
                .await?
                .case
                .ok_or(Error::NotFound("enrollment"))?;
            let mut applied = apply(case)?;
            if applied.delta.is_empty() {
                return Ok(applied);
            }
            let delta = std::mem::take(&mut applied.delta);
            if self.commit(delta).await? == CommitOutcome::Done {
                return Ok(applied);
            }
        }
        Err(Error::Contended)
    }
}

impl Admin<'_> {
    pub(in crate::registrar) fn person(&self) -> &AdminId {
        &self.person
    }

    pub(in crate::registrar) fn who(&self) -> &Actor {
        &self.who
    }

    /// An event of something this person did.
    pub(in crate::registrar) fn event(&self, kind: EventKind, now: DateTime<Utc>) -> Event {
        Event::new(
            IdGenerator::new(now).event(),
            kind,
            self.who.clone(),
            Source::AdminApproval,
            now,
        )
    }

    pub(in crate::registrar) async fn change(
        &self,
        find: Lookup<'_>,
        note: Note,
        apply: impl Fn(Case, &StepContext<'_>) -> Result<StepOutcome, CaseError>,
    ) -> Result<StepOutcome, Error> {
        let note = (!note.is_empty()).then_some(note);
        let registrar = self.registrar;
        let enrollment = match &find {
            Lookup::Enrollment(id) => Some(tracing::field::display(*id)),
            _ => None,
        };
        let span = tracing::info_span!("coursegate.desk", enrollment);
        registrar
            .update(find, |case| {
                apply(
                    case,
                    &registrar.step(&self.who, Source::AdminApproval, &note, registrar.now()),
                )
            })
            .instrument(span)
            .await
    }
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

impl Operations<'_> {
    /// Makes a delivery that was parked or given up on due again; a worker takes it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such unsettled delivery, or the store's errors.
    pub async fn replay(&self, delivery: &DeliveryKey) -> Result<(), Error> {
        self.admin.allow(Permission::Replay, None).await?;
        self.admin
            .registrar
            .within(async {
                for _ in 0..ROUNDS {
                    let found = self.admin.registrar.inner.events.delivery(delivery).await?;
                    let mut entry = found
                        .filter(|entry| !entry.state.is_settled())
                        .ok_or(Error::NotFound("unsettled delivery"))?;
                    let now = self.admin.registrar.now();
                    let due = InboxState::Waiting { next_at: now };
                    let was = std::mem::replace(&mut entry.state, due);
                    entry.tries = 0;
                    let kind = EventKind::DeliveryReplayed {
                        key: delivery.clone(),
                    };
                    let event = self.admin.event(kind, now);
                    let change = Change::inbox_only(entry, Some(event)).inbox_was(Some(was));
                    if self.admin.registrar.commit(change).await? == CommitOutcome::Done {
                        return Ok(());
                    }
                }
                Err(Error::Contended)
            })
            .await
    }
}
