//! Access that people give and take, apart from any approval.

use crate::access::{AccessTerms, EndReason, Grant, GrantSource};
use crate::enrollment::{CaseError, Delta, StepContext};
use crate::event::{EventKind, Source};
use crate::registrar::admin::handles::Learners;
use crate::registrar::core::{ROUNDS, Registrar};
use crate::registrar::error::Error;
use crate::store::{CommitOutcome, Lookup};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{CourseId, GrantId, IdGenerator, LearnerId, Note};

/// Access that a person gives, apart from any enrollment.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// To whom.
    pub learner: LearnerId,
    /// To which course.
    pub course: CourseId,
    /// On which terms.
    pub terms: AccessTerms,
}

impl Learners<'_> {
    /// Gives access apart from any enrollment: a bursary, a staff member. It asks for the
    /// permission to override, and for nobody else: neither the host's guard nor a second person.
    ///
    /// # Errors
    /// [`Error::UnknownCourse`], [`Error::NothingOffered`] when the terms give no access, or the
    /// store's errors.
    pub async fn grant(&self, new: NewGrant, note: impl Into<Note>) -> Result<Grant, Error> {
        self.admin.allow(Permission::Override, None).await?;
        if !self.admin.registrar.inner.courses.offers(&new.course) {
            return Err(Error::UnknownCourse(new.course));
        }
        if new.terms.is_nothing() {
            return Err(Error::NothingOffered);
        }
        let now = self.admin.registrar.now();
        let mut ids = IdGenerator::new(now);
        let source = GrantSource::Admin {
            by: self.admin.person().clone(),
        };
        let subject = (new.learner, new.course);
        let grant = Grant::new(ids.grant(), subject, None, source, &new.terms, now);
        let kind = EventKind::GrantGiven {
            grant: grant.id,
            until: grant.expires_at,
        };
        let note = Some(note.into()).filter(|note| !note.is_empty());
        let registrar = self.admin.registrar;
        registrar
            .within(async {
                // It begins when it is given, however many races are lost.
                let step = registrar.step(self.admin.who(), Source::AdminApproval, &note, now);
                for _ in 0..ROUNDS {
                    let set = registrar.set_apart(grant.clone(), kind.clone(), &step);
                    if set.await? == CommitOutcome::Done {
                        return Ok(grant);
                    }
                }
                Err(Error::Contended)
            })
            .await
    }

    /// Ends one grant; others are left alone. With the last one of an enrollment the school ends
    /// that too, and the learner cannot enroll again by themselves: [`approve`](crate::registrar::Approvals::approve)
    /// gives the access anew. A grant that is suspended for a dispute ends because the money is
    /// lost: then the learner may pay again. One that is suspended is no live one: when another is
    /// revoked it stays, and counts again once its dispute is won; revoke it too if it should not.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such grant that has not ended, or the store's errors.
    pub async fn revoke(&self, grant: GrantId, note: impl Into<Note>) -> Result<(), Error> {
        self.admin.allow(Permission::Override, None).await?;
        let note = note.into();
        let registrar = self.admin.registrar;
        registrar
            .within(async {
                let find = Lookup::Grant(grant);
                if registrar.inner.store.load(find).await?.case.is_some() {
                    let revoked = self.admin.change(find, note, |case, step| {
                        case.revoke(grant, EndReason::Revoked, step)
                    });
                    return revoked.await.map(drop);
                }
                let note = Some(note).filter(|note| !note.is_empty());
                for _ in 0..ROUNDS {
                    let now = registrar.now();
                    let step = registrar.step(self.admin.who(), Source::AdminApproval, &note, now);
                    let known = registrar.inner.store.load(find).await?.grant;
                    let known = known.ok_or(Error::NotFound("grant"))?;
                    let ended = registrar.end_apart(known, EndReason::Revoked, &step);
                    match ended.await? {
                        None => return Err(CaseError::UnknownGrant.into()),
                        Some(CommitOutcome::Done) => return Ok(()),
                        Some(CommitOutcome::Conflict | CommitOutcome::Duplicate) => {}
                    }
                }
                Err(Error::Contended)
            })
            .await
    }
}

impl Registrar {
    /// Ends a grant apart from any enrollment; `None` when it ended before.
    pub(in crate::registrar) async fn end_apart(
        &self,
        mut grant: Grant,
        why: EndReason,
        step: &StepContext<'_>,
    ) -> Result<Option<CommitOutcome>, Error> {
        if !grant.end(step.now, why) {
            return Ok(None);
        }
        let kind = EventKind::GrantTaken {
            grant: grant.id,
            why,
        };
        self.set_apart(grant, kind, step).await.map(Some)
    }

    /// Writes what became of a grant apart from any enrollment, and with it what that means for
    /// its learner's enrollment in the course, if there is one.
    pub(in crate::registrar) async fn set_apart(
        &self,
        grant: Grant,
        kind: EventKind,
        step: &StepContext<'_>,
    ) -> Result<CommitOutcome, Error> {
        let find = Lookup::Learner(&grant.learner, &grant.course);
        let delta = match self.inner.store.load(find).await?.case {
            Some(case) => case.set_apart(grant, kind, step)?.delta,
            None => Delta::apart(grant, kind, step),
        };
        self.commit(delta).await
    }
}
