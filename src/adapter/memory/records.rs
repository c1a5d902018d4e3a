use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{MemoryStore, figures};
use crate::enrollment::{InboxEntry, InboxState};
use crate::ids::{CourseId, EnrollmentId, RecordId, Reference};
use crate::payment::Attempt;
use crate::port::{
    CourseFigures, DayFigures, InboxFilter, Page, PageRequest, PaymentFilter, PaymentItem,
    PaymentKey, PendingItem, Period, Records, StoreError,
};
use crate::record::Record;
use crate::webhook::DeliveryKey;

fn beyond<K>(after: Option<K>) -> (Bound<K>, Bound<K>) {
    (
        after.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

#[async_trait]
impl Records for MemoryStore {
    async fn pending(
        &self,
        request: PageRequest<EnrollmentId>,
    ) -> Result<Page<PendingItem, EnrollmentId>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let rows = state
            .pending
            .range(beyond(request.after))
            .filter_map(|id| state.rows.get(id));
        let items = rows
            .take(size + 1)
            .map(|row| PendingItem {
                enrollment: row.enrollment.clone(),
                attempts: row.attempts.clone(),
            })
            .collect();
        Ok(Page::cut(items, size, |item| item.enrollment.id))
    }

    async fn refunds_due(
        &self,
        request: PageRequest<Reference>,
    ) -> Result<Page<Attempt, Reference>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let due = state.refunds_due.range(beyond(request.after));
        let items = due
            .filter_map(|(reference, id)| {
                let attempts = &state.rows.get(id)?.attempts;
                attempts
                    .iter()
                    .find(|attempt| attempt.reference == *reference)
            })
            .take(size + 1)
            .cloned()
            .collect();
        Ok(Page::cut(items, size, |attempt| attempt.reference.clone()))
    }

    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Record>, StoreError> {
        Ok(self
            .lock()
            .rows
            .get(&enrollment)
            .map_or_else(Vec::new, |row| {
                row.records
                    .iter()
                    .map(|record| record.as_ref().clone())
                    .collect()
            }))
    }

    async fn unassigned(
        &self,
        request: PageRequest<RecordId>,
    ) -> Result<Page<Record, RecordId>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let records = state.unassigned.range(beyond(request.after));
        let items = records
            .take(size + 1)
            .map(|(_, record)| record.as_ref().clone())
            .collect();
        Ok(Page::cut(items, size, |record| record.id))
    }

    async fn inbox(
        &self,
        filter: InboxFilter,
        request: PageRequest<DeliveryKey>,
    ) -> Result<Page<InboxEntry, DeliveryKey>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let entries = state
            .unsettled
            .range(beyond(request.after))
            .filter_map(|key| state.inbox.get(key));
        let items = entries
            .map(|kept| &kept.entry)
            .filter(|entry| {
                matches!(
                    (filter, &entry.state),
                    (InboxFilter::Waiting, InboxState::Waiting { .. })
                        | (InboxFilter::Parked, InboxState::Parked { .. })
                        | (InboxFilter::Dead, InboxState::Dead { .. })
                )
            })
            .take(size + 1)
            .cloned()
            .collect();
        Ok(Page::cut(items, size, |entry| entry.key.clone()))
    }

    async fn payments(
        &self,
        filter: &PaymentFilter,
        request: PageRequest<PaymentKey>,
    ) -> Result<Page<PaymentItem, PaymentKey>, StoreError> {
        let size = request.size();
        filter.check(request.after.as_ref())?;
        let state = self.lock();
        let mut items: Vec<PaymentItem> = state
            .rows
            .values()
            .flat_map(|row| row.attempts.iter().map(move |attempt| (row, attempt)))
            .filter(|(row, attempt)| figures::matches(filter, &row.enrollment, attempt))
            .map(|(row, attempt)| PaymentItem {
                attempt: attempt.clone(),
                email: row.enrollment.email.clone(),
                title: row.enrollment.title.clone(),
                enrollment: row.enrollment.status.clone(),
            })
            .collect();
        drop(state);
        let place = |item: &PaymentItem| figures::Place::of(filter.key(item));
        if let Some(after) = request.after.map(figures::Place::of) {
            items.retain(|item| place(item) > after);
        }
        items.sort_by_cached_key(place);
        items.truncate(size + 1);
        Ok(Page::cut(items, size, |item| filter.key(item)))
    }

    async fn days(
        &self,
        period: Period,
        course: Option<&CourseId>,
    ) -> Result<Vec<DayFigures>, StoreError> {
        let day = |at: DateTime<Utc>| at.with_timezone(&period.offset).date_naive();
        let figures = figures::gather(&self.lock(), period, |found, at| {
            course.is_none_or(|course| course == found).then(|| day(at))
        });
        Ok(figures
            .into_iter()
            .map(|(day, figures)| DayFigures { day, figures })
            .collect())
    }

    async fn courses(
        &self,
        period: Period,
        request: PageRequest<CourseId>,
    ) -> Result<Page<CourseFigures, CourseId>, StoreError> {
        let size = request.size();
        let figures = figures::gather(&self.lock(), period, |found, _| Some(found.clone()));
        let items = figures
            .into_iter()
            .filter(|(course, _)| request.after.as_ref().is_none_or(|after| course > after))
            .take(size + 1)
            .map(|(course, figures)| CourseFigures { course, figures })
            .collect();
        Ok(Page::cut(items, size, |item| item.course.clone()))
    }

    async fn delivery(&self, key: &DeliveryKey) -> Result<Option<InboxEntry>, StoreError> {
        Ok(self.lock().inbox.get(key).map(|kept| kept.entry.clone()))
    }
}
