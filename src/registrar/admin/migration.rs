//! Bringing an existing school over: access that learners have in another system.

use crate::registrar::admin::handles::Learners;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::access::{AccessTerms, Grant, GrantSource};
use crate::enrollment::{
    Case, CaseError, Effect, MigratedPayment, Migration, NewEnrollment, Timer, TimerKey,
};
use crate::event::{Event, EventKind, Source};
use crate::payment::Offer;
use crate::registrar::core::ROUNDS;
#[cfg(doc)]
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::deadline::side_by_side;
use crate::registrar::parts::system::publishing;
use crate::store::Change;
use crate::store::{CommitOutcome, Lookup, StoreError};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{CourseId, Email, ExternalKey, GrantId, IdGenerator, LearnerId, Title};

/// Grants without a payment that are written in one commit.
const BATCH: usize = 250;
/// Calls to the store at a time.
const AT_ONCE: usize = 8;

/// Access that a learner has in another system.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExistingAccess {
    /// The other system's name for it. What has the same key is the same access: bringing it over
    /// again changes nothing.
    pub key: ExternalKey,
    /// Whose it is.
    pub learner: LearnerId,
    /// To which course.
    pub course: CourseId,
    /// What it gives. For how long is said by its start and end.
    pub terms: AccessTerms,
    /// From when it counts: when it began there.
    pub starts_at: DateTime<Utc>,
    /// Until when, excluded; `None` for ever.
    pub ends_at: Option<DateTime<Utc>>,
    /// The payment it rests on, if that is to be brought over too.
    pub payment: Option<ExistingPayment>,
}

/// A payment that was made in another system.
#[derive(Debug, Clone)]
pub struct ExistingPayment {
    /// The learner's address.
    pub email: Email,
    /// The course's title.
    pub title: Title,
    /// What was paid, how and when.
    pub payment: MigratedPayment,
}

impl ExistingAccess {
    /// Full access for ever, without a payment.
    pub fn new(
        key: ExternalKey,
        learner: LearnerId,
        course: CourseId,
        starts_at: DateTime<Utc>,
    ) -> Self {
        Self {
            key,
            learner,
            course,
            terms: AccessTerms::default(),
            starts_at,
            ends_at: None,
            payment: None,
        }
    }

    /// Sets its end.
    #[must_use]
    pub fn until(mut self, end: DateTime<Utc>) -> Self {
        self.ends_at = Some(end);
        self
    }

    /// Sets what it gives: level, kinds and restrictions.
    #[must_use]
    pub fn terms(mut self, terms: AccessTerms) -> Self {
        self.terms = terms;
        self
    }

    /// Adds the payment it rests on. It counts in the figures on its own day, is found among the
    /// payments, and can be refunded.
    #[must_use]
    pub fn paid(mut self, payment: ExistingPayment) -> Self {
        self.payment = Some(payment);
        self
    }

    /// Whether a grant with its key is this access; somebody else's is none of it.
    fn is(&self, known: &Grant) -> Result<One, Error> {
        match (&known.learner, &known.course) == (&self.learner, &self.course) {
            true => Ok(One::Known),
            false => Err(Error::KeyTaken),
        }
    }

    /// The terms, lasting from its start to its end.
    fn lasting(&self) -> Result<AccessTerms, Error> {
        let seconds = match self.ends_at {
            None => None,
            Some(end) => {
                let lasting = end.signed_duration_since(self.starts_at).num_seconds();
                let lasting = u64::try_from(lasting).ok().filter(|lasting| *lasting > 0);
                Some(lasting.ok_or(Error::EndsBeforeItStarts)?)
            }
        };
        let terms = AccessTerms {
            seconds,
            ..self.terms.clone()
        };
        match terms.is_nothing() {
            true => Err(Error::NothingOffered),
            false => Ok(terms),
        }
    }
}

/// What became of access that was brought over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Migrated {
    /// How many are new.
    pub added: usize,
    /// How many had been brought over before; nothing about them was changed.
    pub known: usize,
    /// Which could not be, and why.
    pub failed: Vec<(ExternalKey, String)>,
}

/// What became of one of them.
enum One {
    Added,
    Known,
}

impl Learners<'_> {
    /// Brings over access that learners have in another system, with its start and end, and with
    /// its payment if that is given. Running it twice changes nothing. One that cannot be brought
    /// over does not stop the others; it is listed with the reason.
    ///
    /// Whoever has access in this way is not sold the course again
    /// ([`Registrar::enroll`] answers [`NextStep::Open`](crate::registrar::NextStep::Open)). Neither the host's
    /// guard nor a second person is asked.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to override, or the store's errors: what was
    /// brought over before stays, and the call can be repeated.
    pub async fn bring_over(&self, rows: &[ExistingAccess]) -> Result<Migrated, Error> {
        self.admin.allow(Permission::Override, None).await?;
        let mut migrated = Migrated::default();
        let (paid, free): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.payment.is_some());
        for rows in free.chunks(BATCH) {
            let work = rows.iter().map(|row| self.is_enrolled(row));
            let enrolled = side_by_side(work.collect(), AT_ONCE).await;
            let (mut beside, mut apart) = (Vec::new(), Vec::new());
            for (row, enrolled) in rows.iter().zip(enrolled) {
                match enrolled? {
                    true => beside.push(*row),
                    false => apart.push(*row),
                }
            }
            self.bring_grants(&apart, &mut migrated).await?;
            let work = beside
                .iter()
                .map(|row| async { self.admin.registrar.within(self.bring_beside(row)).await });
            let done = side_by_side(work.collect(), AT_ONCE).await;
            for (row, one) in beside.iter().zip(done) {
                note(&mut migrated, row, one)?;
            }
        }
        for rows in paid.chunks(BATCH) {
            let work = rows
                .iter()
                .map(|row| async { self.admin.registrar.within(self.bring_payment(row)).await });
            let done = side_by_side(work.collect(), AT_ONCE).await;
            for (row, one) in rows.iter().zip(done) {
                note(&mut migrated, row, one)?;
            }
        }
        Ok(migrated)
    }

    async fn is_enrolled(&self, row: &ExistingAccess) -> Result<bool, Error> {
        let registrar = self.admin.registrar;
        let find = Lookup::Learner(&row.learner, &row.course);
        let found = registrar.inner.store.load(find);
        registrar
            .within(async { Ok(found.await?.case.is_some()) })
            .await
    }

    /// A grant without a payment, of a learner who has an enrollment in the course.
    async fn bring_beside(&self, row: &ExistingAccess) -> Result<One, Error> {
        let registrar = self.admin.registrar;
        for _ in 0..ROUNDS {
            let find = Lookup::GrantKey(&row.key);
            if let Some(known) = registrar.inner.store.load(find).await?.grant {
                return row.is(&known);
            }
            let now = registrar.now();
            let grant = self.free_grant(row, IdGenerator::new(now).grant())?;
            let step = registrar.step(self.admin.who(), Source::AdminApproval, &None, now);
            let kind = given(&grant);
            if registrar.set_apart(grant, kind, &step).await? == CommitOutcome::Done {
                return Ok(One::Added);
            }
        }
        Err(Error::Contended)
    }

    /// Grants without a payment of learners without an enrollment, all of them in one commit.
    async fn bring_grants(
        &self,
        rows: &[&ExistingAccess],
        migrated: &mut Migrated,
    ) -> Result<(), Error> {
        let registrar = self.admin.registrar;
        for _ in 0..ROUNDS {
            let work = rows.iter().map(|row| async {
                let found = registrar.inner.store.load(Lookup::GrantKey(&row.key));
                registrar.within(async { Ok(found.await?.grant) }).await
            });
            let known = side_by_side(work.collect(), AT_ONCE).await;
            let (change, done) = self.new_grants(rows, known)?;
            let committed = match change.is_empty() {
                true => CommitOutcome::Done,
                false => {
                    let committed = registrar.commit(publishing(change));
                    registrar.within(committed).await?
                }
            };
            // Otherwise another call brought one of them over meanwhile.
            if committed == CommitOutcome::Done {
                return rows
                    .iter()
                    .zip(done)
                    .try_for_each(|(row, one)| note(migrated, row, one));
            }
        }
        Err(Error::Contended)
    }

    /// The change that makes those of some grants which are not known, and what becomes of each.
    fn new_grants(
        &self,
        rows: &[&ExistingAccess],
        known: Vec<Result<Option<Grant>, Error>>,
    ) -> Result<(Change, Vec<Result<One, Error>>), Error> {
        let now = self.admin.registrar.now();
        let mut ids = IdGenerator::new(now);
        let (mut change, mut done) = (Change::default(), Vec::with_capacity(rows.len()));
        for (row, known) in rows.iter().zip(known) {
            let same_key = |grant: &&Grant| grant.key.as_ref() == Some(&row.key);
            let twice = change.grants.iter().find(same_key);
            if let Some(known) = known?.as_ref().or(twice) {
                done.push(row.is(known));
                continue;
            }
            let grant = match self.free_grant(row, ids.grant()) {
                Ok(grant) => grant,
                Err(error) => {
                    done.push(Err(error));
                    continue;
                }
            };
            let kind = given(&grant);
            let subject = (grant.learner.clone(), grant.course.clone());
            let event = Event::new(
                ids.event(),
                kind,
                self.admin.who().clone(),
                Source::AdminApproval,
                now,
            );
            change.events.push(event.about(subject.0, subject.1));
            change.timers.push(Timer {
                key: TimerKey::Grant(grant.id),
                due_at: grant.expires_at,
            });
            change.grants.push(grant);
            done.push(Ok(One::Added));
        }
        Ok((change, done))
    }

    fn free_grant(&self, row: &ExistingAccess, id: GrantId) -> Result<Grant, Error> {
        let terms = row.lasting()?;
        let source = GrantSource::Migration {
            by: self.admin.person().clone(),
            payment: None,
        };
        let subject = (row.learner.clone(), row.course.clone());
        let start = row.starts_at;
        let mut grant = Grant::new(id, subject, None, source, &terms, start);
        grant.key = Some(row.key.clone());
        Ok(grant)
    }

    /// A grant with its payment, as an enrollment of its learner.
    async fn bring_payment(&self, row: &ExistingAccess) -> Result<One, Error> {
        let Some(existing) = &row.payment else {
            return Err(Error::NotFound("payment"));
        };
        let terms = row.lasting()?;
        let migration = Migration {
            opening: NewEnrollment {
                learner: row.learner.clone(),
                email: existing.email.clone(),
                course: row.course.clone(),
                offer: Offer {
                    price: existing.payment.amount,
                    title: existing.title.clone(),
                    terms,
                },
                declared: existing.payment.method,
            },
            grant: IdGenerator::new(self.admin.registrar.now()).grant(),
            key: row.key.clone(),
            starts_at: row.starts_at,
            payment: existing.payment.clone(),
            by: self.admin.person().clone(),
        };
        let registrar = self.admin.registrar;
        let store = &registrar.inner.store;
        for _ in 0..ROUNDS {
            if let Some(known) = store.load(Lookup::GrantKey(&row.key)).await?.grant {
                return row.is(&known);
            }
            let found = store.load(Lookup::Learner(&row.learner, &row.course));
            let found = found.await?.case;
            let step = registrar.step(
                self.admin.who(),
                Source::AdminApproval,
                &None,
                registrar.now(),
            );
            let applied = match found {
                Some(case) => case.migrate(migration.clone(), &step)?,
                None => {
                    let grants = store.grants(&row.learner, &row.course).await?;
                    Case::migrate_new(migration.clone(), grants, &step)?
                }
            };
            if applied.effect == Effect::Nothing {
                return Ok(One::Known);
            }
            if registrar.commit(applied.delta).await? == CommitOutcome::Done {
                return Ok(One::Added);
            }
            let reference = Lookup::Reference(&existing.payment.reference);
            let other = store.load(reference).await?.case;
            if other.is_some_and(|case| case.enrollment.id != applied.case.enrollment.id) {
                return Err(CaseError::ReferenceTaken.into());
            }
        }
        Err(Error::Contended)
    }

    /// Every grant of one learner, whatever it comes from, oldest first.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] when nothing is kept of this learner; or the
    /// store's errors.
    pub async fn grants(&self, learner: &LearnerId) -> Result<Vec<Grant>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let file = self.learner_file(learner).await?;
        let mut grants = file.grants;
        for id in file.enrollments {
            let case = self
                .admin
                .registrar
                .within(self.admin.registrar.case_of(id))
                .await?;
            grants.extend(case.own_grants().cloned());
        }
        grants.sort_unstable_by_key(|grant| (grant.starts_at, grant.id));
        Ok(grants)
    }
}

fn given(grant: &Grant) -> EventKind {
    EventKind::GrantGiven {
        grant: grant.id,
        until: grant.expires_at,
    }
}

/// Counts what became of one; the store's own failures end the whole.
fn note(
    migrated: &mut Migrated,
    row: &ExistingAccess,
    one: Result<One, Error>,
) -> Result<(), Error> {
    match one {
        Ok(One::Added) => migrated.added += 1,
        Ok(One::Known) => migrated.known += 1,
        // A store that refuses one row takes the next.
        Err(error @ Error::Store(StoreError::Refused(_))) => {
            migrated.failed.push((row.key.clone(), error.in_full()));
        }
        Err(error @ (Error::Store(_) | Error::DeadlineExceeded)) => return Err(error),
        Err(error) => migrated.failed.push((row.key.clone(), error.in_full())),
    }
    Ok(())
}
