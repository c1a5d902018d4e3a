//! What an admin looks at before they decide.

use crate::detect::Counterfactual;
use crate::enrollment::Case;
use crate::event::{DecisionRecord, Event};
use crate::registrar::admin::handles::{Approvals, Learners, Operations, Payments};
use crate::registrar::error::Error;
use crate::store::{
    CourseFigures, DayFigures, InboxEntry, InboxFilter, Lookup, Page, PageRequest, PaymentFilter,
    PaymentItem, PaymentKey, PendingItem, Period,
};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{CourseId, EnrollmentId, EventId, LearnerId};
use crate::webhook::DeliveryKey;

/// Everything about one enrollment that a person needs to decide.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Explanation {
    /// The enrollment, its attempts and the learner's grants.
    pub case: Case,
    /// What the newest decision about a payment rested on.
    pub basis: Option<DecisionRecord>,
    /// How much each indicator that matched moved the confidence.
    pub contributions: Vec<(String, f64)>,
    /// The one rule whose other answer would have crossed the approval threshold of 0.80.
    pub nearest_flip: Option<Counterfactual>,
    /// What to do, in one sentence, while it waits for a person.
    pub advice: Option<&'static str>,
    /// Everything that happened, oldest first.
    pub history: Vec<Event>,
}

impl Approvals<'_> {
    /// The enrollments that wait for a person, oldest first.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn pending(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<PendingItem, EnrollmentId>, Error> {
        self.admin.allow(Permission::View, None).await?;
        self.admin
            .registrar
            .within(async { Ok(self.admin.registrar.inner.events.pending(page).await?) })
            .await
    }

    /// Everything about one enrollment: evidence, detection, checks, history.
    ///
    /// # Errors
    /// [`Error::NotFound`] or the store's errors.
    pub async fn explain(&self, enrollment: EnrollmentId) -> Result<Explanation, Error> {
        self.admin.allow(Permission::View, Some(enrollment)).await?;
        let inner = &self.admin.registrar.inner;
        self.admin
            .registrar
            .within(async {
                let found = inner.store.load(Lookup::Enrollment(enrollment)).await?;
                let case = found.case.ok_or(Error::NotFound("enrollment"))?;
                let history = inner.events.timeline(enrollment).await?;
                let basis = history
                    .iter()
                    .rev()
                    .find_map(|event| event.basis.as_deref().cloned());
                let detection = basis.as_ref().map(|basis| &basis.detection);
                Ok(Explanation {
                    contributions: detection.map_or_else(Vec::new, |detection| {
                        let pairs = detection.contributions();
                        pairs
                            .into_iter()
                            .map(|(rule, share)| (rule.to_string(), share))
                            .collect()
                    }),
                    nearest_flip: detection.and_then(|detection| detection.nearest_flip(0.80)),
                    advice: case.enrollment.waits_for.map(|reason| reason.advice()),
                    case,
                    basis,
                    history,
                })
            })
            .await
    }
}

impl Payments<'_> {
    /// Payments, made and tried, that match a filter.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn list(
        &self,
        filter: &PaymentFilter,
        page: PageRequest<PaymentKey>,
    ) -> Result<Page<PaymentItem, PaymentKey>, Error> {
        self.admin.allow(Permission::View, None).await?;
        self.admin
            .registrar
            .within(async {
                Ok(self
                    .admin
                    .registrar
                    .inner
                    .events
                    .payments(filter, page)
                    .await?)
            })
            .await
    }

    /// The same as lines of CSV (RFC 4180): the first page begins with [`PaymentItem::CSV_HEADER`].
    ///
    /// # Errors
    /// [`Error::Forbidden`], or the store's errors.
    pub async fn export(
        &self,
        filter: &PaymentFilter,
        page: PageRequest<PaymentKey>,
    ) -> Result<Page<String, PaymentKey>, Error> {
        let header = page
            .after
            .is_none()
            .then(|| PaymentItem::CSV_HEADER.to_owned());
        let found = self.list(filter, page).await?;
        let lines = found.items.iter().map(PaymentItem::csv);
        Ok(Page {
            items: header.into_iter().chain(lines).collect(),
            next: found.next,
        })
    }

    /// Figures for each day of a period, of one course or of all.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn days(
        &self,
        period: Period,
        course: Option<&CourseId>,
    ) -> Result<Vec<DayFigures>, Error> {
        self.admin.allow(Permission::View, None).await?;
        self.admin
            .registrar
            .within(async {
                Ok(self
                    .admin
                    .registrar
                    .inner
                    .events
                    .days(period, course)
                    .await?)
            })
            .await
    }

    /// Figures for each course in a period.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn courses(
        &self,
        period: Period,
        page: PageRequest<CourseId>,
    ) -> Result<Page<CourseFigures, CourseId>, Error> {
        self.admin.allow(Permission::View, None).await?;
        self.admin
            .registrar
            .within(async {
                Ok(self
                    .admin
                    .registrar
                    .inner
                    .events
                    .courses(period, page)
                    .await?)
            })
            .await
    }
}

impl Learners<'_> {
    /// Everything that happened to one learner, in all their courses, oldest first.
    /// [`EventKind::sentence`](crate::event::EventKind::sentence) says each in plain words.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::NotFound`] when nothing is kept of this learner; or the
    /// store's errors.
    pub async fn timeline(&self, learner: &LearnerId) -> Result<Vec<Event>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let file = self.learner_file(learner).await?;
        let events = &self.admin.registrar.inner.events;
        let mut history = file.events;
        for id in file.enrollments {
            let timeline = async { Ok(events.timeline(id).await?) };
            history.extend(self.admin.registrar.within(timeline).await?);
        }
        history.sort_unstable_by_key(|event| (event.at, event.enrollment, event.version, event.id));
        Ok(history)
    }
}

impl Operations<'_> {
    /// Deliveries that are not settled: waiting, parked or given up on.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn inbox(
        &self,
        filter: InboxFilter,
        page: PageRequest<DeliveryKey>,
    ) -> Result<Page<InboxEntry, DeliveryKey>, Error> {
        self.admin.allow(Permission::View, None).await?;
        self.admin
            .registrar
            .within(async {
                Ok(self
                    .admin
                    .registrar
                    .inner
                    .events
                    .inbox(filter, page)
                    .await?)
            })
            .await
    }

    /// Events that belong to no enrollment: refused, parked and dead deliveries.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn unassigned(
        &self,
        page: PageRequest<EventId>,
    ) -> Result<Page<Event, EventId>, Error> {
        self.admin.allow(Permission::View, None).await?;
        self.admin
            .registrar
            .within(async { Ok(self.admin.registrar.inner.events.unassigned(page).await?) })
            .await
    }
}
