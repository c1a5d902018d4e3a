//! What people decide. Only through a handle that carries who acts.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::Instrument;

use super::payment::ROUNDS;
use super::{Error, Registrar};
use crate::access::{EndReason, Grant, GrantSource, GrantState, Terms};
use crate::enrollment::{
    Applied, Case, CaseError, Change, Effect, InboxState, Status, Timer, TimerKey,
};
use crate::ids::{CourseId, EnrollmentId, GrantId, IdRun, LearnerId, PersonId};
use crate::port::{Committed, Lookup};
use crate::reason::{ApprovalCause, Note, Permission};
use crate::record::{Actor, Fact, Record, Source};
use crate::webhook::DeliveryKey;

/// A registrar in the hands of one person.
#[derive(Debug)]
pub struct Admin<'r> {
    pub(super) registrar: &'r Registrar,
    person: PersonId,
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

/// Access that a person gives, apart from any enrollment.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// To whom.
    pub learner: LearnerId,
    /// To which course.
    pub course: CourseId,
    /// On which terms.
    pub terms: Terms,
    /// Whether it was brought over from another system.
    pub migrated: bool,
}

impl Registrar {
    /// A handle for one person. The host has checked that they may decide.
    pub fn admin(&self, person: PersonId) -> Admin<'_> {
        Admin {
            registrar: self,
            who: Actor::Admin(person.clone()),
            person,
        }
    }

    /// Loads a case, applies a step and commits, again when the race is lost.
    pub(super) async fn update(
        &self,
        find: Lookup<'_>,
        apply: impl Fn(Case) -> Result<Applied, CaseError>,
    ) -> Result<Applied, Error> {
        for _ in 0..ROUNDS {
            let case = self
                .inner
                .store
                .load(find)
                .await?
                .case
                .ok_or(Error::NotFound("enrollment"))?;
            let mut applied = apply(case)?;
            if applied.change.is_empty() {
                return Ok(applied);
            }
            let change = std::mem::take(&mut applied.change);
            if self.commit(change).await? == Committed::Done {
                return Ok(applied);
            }
        }
        Err(Error::Contended)
    }
}

impl Admin<'_> {
    pub(super) fn person(&self) -> &PersonId {
        &self.person
    }

    pub(super) fn who(&self) -> &Actor {
        &self.who
    }

    /// A record of something this person did.
    pub(super) fn record(&self, fact: Fact, now: DateTime<Utc>) -> Record {
        Record::new(
            IdRun::new(now).record(),
            fact,
            self.who.clone(),
            Source::AdminApproval,
            now,
        )
    }

    /// Approves one enrollment. A bank transfer's money counts as seen by this person.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`], or the store's errors.
    pub async fn approve(
        &self,
        enrollment: EnrollmentId,
        note: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.allow(Permission::Approve, Some(enrollment)).await?;
        let note = note.into();
        let approved = self.approve_as(enrollment, ApprovalCause::ManualAdminApproval, note);
        Ok(self
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
    ) -> Result<Applied, Error> {
        self.change(Lookup::Enrollment(enrollment), note, |case, step| {
            case.approve(&self.person, cause, step)
        })
        .await
    }

    /// Rejects one enrollment, with a reason for the learner. Money that is held stays
    /// in sight until it is refunded.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`], or the store's errors.
    pub async fn reject(
        &self,
        enrollment: EnrollmentId,
        reason: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.allow(Permission::Approve, Some(enrollment)).await?;
        let reason = reason.into();
        let find = Lookup::Enrollment(enrollment);
        let rejected = self.change(find, reason.clone(), |case, step| {
            case.reject(reason.clone(), step)
        });
        Ok(self
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
        if let Err(error) = self.allow(Permission::Approve, None).await {
            let failed = |enrollment: &EnrollmentId| BulkItem {
                enrollment: *enrollment,
                outcome: BulkOutcome::Failed(error.to_string()),
            };
            return enrollments.iter().map(failed).collect();
        }
        for &enrollment in enrollments {
            let cause = ApprovalCause::BulkApproval;
            let result = match dry_run {
                true => {
                    self.registrar
                        .within(self.try_approval(enrollment, cause))
                        .await
                }
                false => {
                    self.registrar
                        .within(self.approve_as(enrollment, cause, note.clone()))
                        .await
                }
            };
            let outcome = match result {
                Ok(applied) if applied.effect == Effect::Approved => BulkOutcome::Approved,
                Ok(applied) if applied.effect == Effect::Changed => BulkOutcome::AwaitsSecond,
                Ok(_) => BulkOutcome::AlreadyApproved,
                Err(error) => BulkOutcome::Failed(error.to_string()),
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
    ) -> Result<Applied, Error> {
        let found = self
            .registrar
            .inner
            .store
            .load(Lookup::Enrollment(enrollment))
            .await?;
        let case = found.case.ok_or(Error::NotFound("enrollment"))?;
        let step = self.registrar.step(
            &self.who,
            Source::AdminApproval,
            &None,
            self.registrar.now(),
        );
        Ok(case.approve(&self.person, cause, &step)?)
    }

    /// Gives access apart from any enrollment: a bursary, a staff member, a migration.
    ///
    /// # Errors
    /// [`Error::UnknownCourse`] or the store's errors.
    pub async fn grant(&self, new: NewGrant, note: impl Into<Note>) -> Result<Grant, Error> {
        self.allow(Permission::Override, None).await?;
        if !self.registrar.inner.courses.offers(&new.course) {
            return Err(Error::UnknownCourse(new.course));
        }
        let now = self.registrar.now();
        let mut ids = IdRun::new(now);
        let source = match new.migrated {
            true => GrantSource::Migration {
                by: self.person.clone(),
            },
            false => GrantSource::Admin {
                by: self.person.clone(),
            },
        };
        let grant = Grant::new(
            ids.grant(),
            (new.learner, new.course),
            None,
            source,
            &new.terms,
            now,
        );
        let fact = Fact::GrantGiven {
            grant: grant.id,
            until: grant.expires_at,
        };
        self.registrar
            .within(self.write_grant(&grant, fact, note.into(), &mut ids))
            .await?;
        Ok(grant)
    }

    async fn write_grant(
        &self,
        grant: &Grant,
        fact: Fact,
        note: Note,
        ids: &mut IdRun,
    ) -> Result<(), Error> {
        let now = self.registrar.now();
        let mut record = Record::new(
            ids.record(),
            fact,
            self.who.clone(),
            Source::AdminApproval,
            now,
        )
        .about(grant.learner.clone(), grant.course.clone());
        record.note = Some(note);
        let mut change = Change::records_only(vec![record]);
        change.grants.push(grant.clone());
        change.timers.push(Timer {
            key: TimerKey::Grant(grant.id),
            due_at: grant.expires_at.filter(|_| grant.state == GrantState::Live),
        });
        change.publish = true;
        self.registrar.commit(change).await?;
        Ok(())
    }

    /// Ends one grant; others are left alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such live grant, or the store's errors.
    pub async fn revoke(&self, grant: GrantId, note: impl Into<Note>) -> Result<(), Error> {
        self.allow(Permission::Override, None).await?;
        let note = note.into();
        self.registrar
            .within(async {
                let find = Lookup::Grant(grant);
                let found = self.registrar.inner.store.load(find).await?;
                let mut known = found.grant.ok_or(Error::NotFound("grant"))?;
                if found.case.is_some() {
                    let revoked = self.change(find, note, |case, step| {
                        case.revoke(grant, EndReason::Revoked, step)
                    });
                    return revoked.await.map(drop);
                }
                let now = self.registrar.now();
                if !known.end(now, EndReason::Revoked) {
                    return Err(CaseError::UnknownGrant.into());
                }
                let fact = Fact::GrantTaken {
                    grant,
                    why: EndReason::Revoked,
                };
                self.write_grant(&known, fact, note, &mut IdRun::new(now))
                    .await
            })
            .await
    }

    /// Makes a delivery that was parked or given up on due again; a worker takes it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such unsettled delivery, or the store's errors.
    pub async fn replay(&self, delivery: &DeliveryKey) -> Result<(), Error> {
        self.allow(Permission::Replay, None).await?;
        self.registrar
            .within(async {
                let found = self.registrar.inner.records.delivery(delivery).await?;
                let mut entry = found
                    .filter(|entry| !entry.state.is_settled())
                    .ok_or(Error::NotFound("unsettled delivery"))?;
                let now = self.registrar.now();
                entry.state = InboxState::Waiting { next_at: now };
                entry.tries = 0;
                let fact = Fact::DeliveryReplayed {
                    key: delivery.clone(),
                };
                let record = self.record(fact, now);
                self.registrar
                    .commit(Change::inbox_only(entry, Some(record)))
                    .await?;
                Ok(())
            })
            .await
    }

    pub(super) async fn change(
        &self,
        find: Lookup<'_>,
        note: Note,
        apply: impl Fn(Case, &crate::enrollment::Step<'_>) -> Result<Applied, CaseError>,
    ) -> Result<Applied, Error> {
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
