//! Access that people give and take, apart from any approval.

use super::Error;
use super::admin::Admin;
use crate::access::{EndReason, Grant, GrantSource, GrantState, Terms};
use crate::enrollment::{CaseError, Change, Timer, TimerKey};
use crate::ids::{CourseId, GrantId, IdRun, LearnerId};
use crate::port::Lookup;
use crate::reason::{Note, Permission};
use crate::record::{Fact, Record, Source};

/// Access that a person gives, apart from any enrollment.
#[derive(Debug, Clone)]
pub struct NewGrant {
    /// To whom.
    pub learner: LearnerId,
    /// To which course.
    pub course: CourseId,
    /// On which terms.
    pub terms: Terms,
}

impl Admin<'_> {
    /// Gives access apart from any enrollment: a bursary, a staff member. It asks for the
    /// permission to override, and for nobody else: neither the host's guard nor a second person.
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
        let source = GrantSource::Admin {
            by: self.person().clone(),
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
            self.who().clone(),
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

    /// Ends one grant; others are left alone. With the last one of an enrollment the school ends
    /// that too, and the learner cannot enroll again by themselves: [`approve`](Self::approve)
    /// gives the access anew. A grant that is suspended for a dispute ends because the money is
    /// lost: then the learner may pay again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such grant that has not ended, or the store's errors.
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
}
