//! One learner's personal data: given out, and erased.

use crate::registrar::admin::handles::Learners;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::access::{Grant, GrantState};
use crate::enrollment::{Case, Enrollment, Erasure};
use crate::event::{Event, EventKind, Source};
use crate::payment::PaymentAttempt;
use crate::registrar::core::{ROUNDS, Registrar};
use crate::registrar::error::Error;
use crate::statement::StatementEntry;
use crate::store::{Change, CommitOutcome, InboxEntry, LearnerFile, Lookup};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{EnrollmentId, LearnerId};
use crate::webhook::{BodyError, DeliveryKey};

/// Everything that is kept of one learner. As JSON it answers a request for access to personal
/// data; `Debug` shows how much there is.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LearnerExport {
    /// Whose.
    pub learner: LearnerId,
    /// Their enrollments, oldest first.
    pub enrollments: Vec<EnrollmentExport>,
    /// Grants apart from any enrollment.
    pub grants: Vec<Grant>,
    /// Events about those grants.
    pub events: Vec<Event>,
}

/// Everything that is kept of one enrollment.
#[derive(Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EnrollmentExport {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Its attempts.
    pub attempts: Vec<PaymentAttempt>,
    /// Its grants.
    pub grants: Vec<Grant>,
    /// Its history.
    pub events: Vec<Event>,
    /// Callbacks for it.
    pub deliveries: Vec<DeliveryExport>,
    /// Rows of bank statements that paid it.
    pub statement: Vec<StatementEntry>,
}

/// One callback.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryExport {
    /// Its key.
    pub key: DeliveryKey,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Its body, read as text; `None` when that is not kept any more.
    pub body: Option<String>,
}

impl fmt::Debug for LearnerExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearnerExport")
            .field("enrollments", &self.enrollments)
            .field("grants", &self.grants.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EnrollmentExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrollmentExport")
            .field("enrollment", &self.enrollment.id)
            .field("events", &self.events.len())
            .field("deliveries", &self.deliveries.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeliveryExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryExport")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What an erasure did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LearnerErased {
    /// What the learner is called in what stays. It leads back to nobody.
    pub pseudonym: LearnerId,
    /// Enrollments that name it now.
    pub enrollments: usize,
    /// Grants apart from any enrollment that name it now.
    pub grants: usize,
}

impl Learners<'_> {
    /// Everything that is kept of one learner. That it was given out is recorded.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to view; [`Error::NotFound`] when nothing is
    /// kept of this learner; [`Error::Body`] when a stored body cannot be decrypted; or the
    /// store's errors.
    pub async fn export(&self, learner: &LearnerId) -> Result<LearnerExport, Error> {
        self.admin.allow(Permission::View, None).await?;
        let file = self.learner_file(learner).await?;
        let mut enrollments = Vec::with_capacity(file.enrollments.len());
        for id in file.enrollments {
            enrollments.push(
                self.admin
                    .registrar
                    .within(self.export_enrollment(id))
                    .await?,
            );
        }
        Ok(LearnerExport {
            learner: learner.clone(),
            enrollments,
            grants: file.grants,
            events: file.events,
        })
    }

    async fn export_enrollment(&self, id: EnrollmentId) -> Result<EnrollmentExport, Error> {
        let inner = &self.admin.registrar.inner;
        let case = self.admin.registrar.case_of(id).await?;
        let events = inner.events.timeline(id).await?;
        let received = inner.events.received(id).await?;
        let deliveries = received.deliveries.iter();
        let deliveries = deliveries
            .map(|entry| self.admin.registrar.delivery_export(entry))
            .collect::<Result<_, Error>>()?;
        let subject = &case.enrollment;
        let mut event = self
            .admin
            .event(EventKind::PersonalExported, self.admin.registrar.now())
            .about(subject.learner.clone(), subject.course.clone());
        event.enrollment = Some(id);
        event.version = case.enrollment.version;
        let change = Change::events_only(vec![event]);
        self.admin.registrar.commit(change).await?;
        let Case {
            enrollment,
            attempts,
            mut grants,
            ..
        } = case;
        grants.retain(|grant| grant.enrollment == Some(id));
        Ok(EnrollmentExport {
            enrollment,
            attempts,
            grants,
            events,
            deliveries,
            statement: received.rows,
        })
    }

    /// Takes a learner out of what is stored: their id, address, what they showed and what
    /// people wrote about them, what was told of their cards, and the bodies of callbacks. Sums,
    /// dates, decisions and who made them stay, under a pseudonym, and so does the audit log: events
    /// are emptied of what is personal, and nothing else of them changes.
    ///
    /// It goes enrollment by enrollment, each in one commit with an event of it; call it again
    /// when it fails halfway. Rows of bank statements that are still open keep their texts, since
    /// their money is not settled: settle them first. What left the store before (publishers, channels, exports,
    /// backups) is out of its reach.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to configure; [`Error::NotFound`] when
    /// nothing is kept of this learner; [`Error::StillOpen`] when something of theirs is not
    /// over: nothing was erased then; or the store's errors.
    pub async fn erase(&self, learner: &LearnerId) -> Result<LearnerErased, Error> {
        self.admin.allow(Permission::Configure, None).await?;
        let file = self.learner_file(learner).await?;
        let registrar = self.admin.registrar;
        let live = |grant: &&Grant| !matches!(grant.state, GrantState::Ended { .. });
        let grants = file.grants.iter().filter(live).map(|grant| grant.id);
        let grants: Vec<_> = grants.collect();
        let mut enrollments = Vec::new();
        for &id in &file.enrollments {
            if !registrar.within(registrar.case_of(id)).await?.is_over() {
                enrollments.push(id);
            }
        }
        if !enrollments.is_empty() || !grants.is_empty() {
            return Err(Error::StillOpen {
                enrollments,
                grants,
            });
        }
        // Random, and made of nothing: it is not to lead back.
        let pseudonym = LearnerId::new(format!("erased-{}", Uuid::new_v4()));
        let pseudonym = pseudonym.map_err(|_| Error::NotFound("learner"))?;
        for &id in &file.enrollments {
            registrar
                .within(self.erase_enrollment(id, &pseudonym))
                .await?;
        }
        if !file.grants.is_empty() {
            let change = self.without(&pseudonym, &file);
            registrar.within(registrar.commit(change)).await?;
        }
        // Until it is in the audit log, nothing vouches for what was emptied.
        registrar.append_recent().await?;
        Ok(LearnerErased {
            pseudonym,
            enrollments: file.enrollments.len(),
            grants: file.grants.len(),
        })
    }

    async fn erase_enrollment(&self, id: EnrollmentId, pseudonym: &LearnerId) -> Result<(), Error> {
        let registrar = self.admin.registrar;
        for _ in 0..ROUNDS {
            let case = registrar.case_of(id).await?;
            let events = registrar.inner.events.timeline(id).await?;
            let who = self.admin.who();
            let step = registrar.step(who, Source::AdminApproval, &None, registrar.now());
            let change = case.erase(pseudonym, &events, &step)?.delta;
            if registrar.commit(change).await? == CommitOutcome::Done {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }

    /// Grants apart from any enrollment, without their learner.
    fn without(&self, pseudonym: &LearnerId, file: &LearnerFile) -> Change {
        let now = self.admin.registrar.now();
        let personal = file.events.iter().filter(|event| event.is_personal());
        let kind = EventKind::PersonalErased {
            events: personal.map(|event| event.id).collect(),
            grants: file.grants.iter().map(|grant| grant.id).collect(),
        };
        let event = self.admin.event(kind, now);
        let mut change = Change::events_only(vec![event]);
        change.publish = true;
        change.grants.clone_from(&file.grants);
        for grant in &mut change.grants {
            grant.learner = pseudonym.clone();
            grant.key = None;
        }
        change.erasure = Some(Erasure::under(pseudonym.clone()));
        change
    }

    pub(in crate::registrar) async fn learner_file(
        &self,
        learner: &LearnerId,
    ) -> Result<LearnerFile, Error> {
        let events = &self.admin.registrar.inner.events;
        let file = self
            .admin
            .registrar
            .within(async { Ok(events.learner(learner).await?) })
            .await?;
        if file.enrollments.is_empty() && file.grants.is_empty() {
            return Err(Error::NotFound("learner"));
        }
        Ok(file)
    }
}

impl Registrar {
    pub(in crate::registrar) async fn case_of(&self, id: EnrollmentId) -> Result<Case, Error> {
        let found = self.inner.store.load(Lookup::Enrollment(id)).await?;
        found.case.ok_or(Error::NotFound("enrollment"))
    }

    fn delivery_export(&self, entry: &InboxEntry) -> Result<DeliveryExport, Error> {
        let body = match self.inner.config.body_keys.open(&entry.key, &entry.body) {
            Ok(body) => Some(String::from_utf8_lossy(&body).into_owned()),
            Err(BodyError::Gone) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(DeliveryExport {
            key: entry.key.clone(),
            received_at: entry.received_at,
            body,
        })
    }
}
