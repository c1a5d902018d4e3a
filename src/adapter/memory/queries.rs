use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{MemoryStore, figures};
use crate::access::Grant;
use crate::enrollment::Case;
use crate::event::Event;
use crate::event::audit_log::AuditLogEntry;
use crate::event::form::EventText;
use crate::notice::{Notice, Preferences};
use crate::reconciliation::Discrepancy;
use crate::statement::{RowId, RowKey, StatementEntry};
use crate::store::{
    AdminNotice, CourseFigures, DayFigures, HeldPayment, InboxEntry, InboxFilter, InboxState,
    LearnerFile, NoticeFilter, NoticeKey, Page, PageRequest, PaymentFilter, PaymentItem,
    PaymentKey, PendingItem, Period, Queries, Received, RowFilter, RowProbe, StoreError,
};
use crate::vocabulary::{
    AccountId, CourseId, DiscrepancyKey, EnrollmentId, EventId, GrantId, LearnerId,
    PaymentReference,
};
use crate::webhook::DeliveryKey;

fn beyond<K>(after: Option<K>) -> (Bound<K>, Bound<K>) {
    (
        after.map_or(Bound::Unbounded, Bound::Excluded),
        Bound::Unbounded,
    )
}

#[async_trait]
impl Queries for MemoryStore {
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

    async fn payment_exceptions(
        &self,
        request: PageRequest<PaymentReference>,
    ) -> Result<Page<HeldPayment, PaymentReference>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let listed = state.exceptions.range(beyond(request.after));
        let items = listed
            .filter_map(|(reference, id)| {
                let row = state.rows.get(id)?;
                let mut attempts = row.attempts.iter();
                let attempt = attempts.find(|attempt| attempt.reference == *reference)?;
                Some(HeldPayment {
                    attempt: attempt.clone(),
                    enrollment: row.enrollment.status.clone(),
                    waits_for: row.enrollment.waits_for,
                })
            })
            .take(size + 1)
            .collect();
        Ok(Page::cut(items, size, |item| {
            item.attempt.reference.clone()
        }))
    }

    async fn discrepancies(
        &self,
        request: PageRequest<DiscrepancyKey>,
    ) -> Result<Page<Discrepancy, DiscrepancyKey>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let unchanged = |discrepancy: &&Discrepancy| {
            discrepancy.enrollment.is_none_or(|id| {
                let row = state.rows.get(&id);
                row.is_some_and(|row| row.enrollment.version == discrepancy.version)
            })
        };
        let items = state
            .discrepancies
            .range(beyond(request.after))
            .map(|(_, discrepancy)| discrepancy)
            .filter(|discrepancy| discrepancy.closed.is_none())
            .filter(unchanged)
            .take(size + 1)
            .cloned()
            .collect();
        Ok(Page::cut(items, size, |discrepancy| {
            discrepancy.key.clone()
        }))
    }

    async fn discrepancy(&self, key: &DiscrepancyKey) -> Result<Option<Discrepancy>, StoreError> {
        Ok(self.lock().discrepancies.get(key).cloned())
    }

    async fn cases(
        &self,
        request: PageRequest<EnrollmentId>,
    ) -> Result<Page<Case, EnrollmentId>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let mut ids: Vec<EnrollmentId> = state
            .rows
            .keys()
            .filter(|id| request.after.is_none_or(|after| **id > after))
            .copied()
            .collect();
        ids.sort_unstable();
        ids.truncate(size + 1);
        let items = ids.into_iter().filter_map(|id| state.case(id)).collect();
        Ok(Page::cut(items, size, |case: &Case| case.enrollment.id))
    }

    async fn loose_grants(
        &self,
        request: PageRequest<GrantId>,
    ) -> Result<Page<Grant, GrantId>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let free = state.free_grants.values().flatten();
        let others = state.rows.values().flat_map(|row| {
            let own = (&row.enrollment.learner, &row.enrollment.course);
            let grants = row.grants.iter();
            grants.filter(move |grant| (&grant.learner, &grant.course) != own)
        });
        let mut items: Vec<Grant> = free
            .chain(others)
            .filter(|grant| request.after.is_none_or(|after| grant.id > after))
            .cloned()
            .collect();
        items.sort_by_key(|grant| grant.id);
        items.truncate(size + 1);
        Ok(Page::cut(items, size, |grant| grant.id))
    }

    async fn statement(
        &self,
        filter: RowFilter,
        request: PageRequest<RowKey>,
    ) -> Result<Page<StatementEntry, RowKey>, StoreError> {
        Ok(self.lock().statement.page(filter, request))
    }

    async fn statement_rows(&self, rows: &[RowId]) -> Result<Vec<StatementEntry>, StoreError> {
        let state = self.lock();
        let known = rows.iter().filter_map(|row| state.statement.get(row));
        Ok(known.cloned().collect())
    }

    async fn rows_like(&self, probes: &[RowProbe]) -> Result<Vec<StatementEntry>, StoreError> {
        Ok(self.lock().statement.like(probes))
    }

    async fn rows_paying(
        &self,
        payments: &[PaymentReference],
    ) -> Result<Vec<StatementEntry>, StoreError> {
        let state = self.lock();
        let paying = state.statement.paying(payments);
        Ok(paying.into_iter().cloned().collect())
    }

    async fn cases_of(&self, references: &[PaymentReference]) -> Result<Vec<Case>, StoreError> {
        let state = self.lock();
        let found = references
            .iter()
            .filter_map(|it| state.by_reference.get(it));
        let ids: BTreeSet<EnrollmentId> = found.copied().collect();
        Ok(ids.into_iter().filter_map(|id| state.case(id)).collect())
    }

    async fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        Ok(self.lock().statement.accounts().cloned().collect())
    }

    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Event>, StoreError> {
        Ok(self
            .lock()
            .rows
            .get(&enrollment)
            .map_or_else(Vec::new, |row| {
                row.events
                    .iter()
                    .map(|event| event.as_ref().clone())
                    .collect()
            }))
    }

    async fn unassigned(
        &self,
        request: PageRequest<EventId>,
    ) -> Result<Page<Event, EventId>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let events = state.unassigned.range(beyond(request.after));
        let items = events
            .take(size + 1)
            .map(|(_, event)| event.as_ref().clone())
            .collect();
        Ok(Page::cut(items, size, |event| event.id))
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

    async fn audit_log(
        &self,
        request: PageRequest<u64>,
    ) -> Result<Page<AuditLogEntry, u64>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let after = request.after.unwrap_or_default();
        let links = (1..)
            .zip(&state.audit_log)
            .filter(|(position, _)| *position > after);
        let items = links
            .take(size + 1)
            .map(|(position, link)| {
                let event = state.events().find(|event| event.id == link.event);
                AuditLogEntry {
                    position,
                    event: link.event,
                    salt: link.salt.clone(),
                    kept: link.kept.clone(),
                    personal: link.personal.clone(),
                    hash: link.hash.clone(),
                    text: event.map(|event| EventText::of(event)),
                }
            })
            .collect();
        Ok(Page::cut(items, size, |link: &AuditLogEntry| link.position))
    }

    async fn missing_from_audit_log(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let state = self.lock();
        let old = state.events().filter(|event| event.at < before);
        let sealed =
            |event: &&Arc<Event>| state.audit_log.iter().any(|link| link.event == event.id);
        let missing = old.filter(|event| !sealed(event)).count();
        Ok(u64::try_from(missing).unwrap_or(u64::MAX))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let state = self.lock();
        let found = state.events().find(|event| event.id == id);
        Ok(found.map(|event| event.as_ref().clone()))
    }

    async fn notices(
        &self,
        filter: &NoticeFilter,
        request: PageRequest<NoticeKey>,
    ) -> Result<Page<AdminNotice, NoticeKey>, StoreError> {
        let size = request.size();
        let state = self.lock();
        let item = |event: &Arc<Event>| {
            let kind = event.kind.notice()?;
            let wanted =
                filter.kinds.contains(&kind) && filter.since.is_none_or(|since| event.at >= since);
            let read = wanted && state.read.contains(&(filter.person.clone(), event.id));
            (wanted && !(filter.unread && read)).then_some(AdminNotice {
                notice: Notice::of(event)?,
                read,
            })
        };
        let mut items: Vec<AdminNotice> = state.events().filter_map(item).collect();
        items.retain(|item| request.after.is_none_or(|after| item.key() < after));
        items.sort_unstable_by_key(|item| Reverse(item.key()));
        items.truncate(size + 1);
        Ok(Page::cut(items, size, AdminNotice::key))
    }

    async fn preferences(&self) -> Result<Vec<Preferences>, StoreError> {
        Ok(self.lock().preferences.values().cloned().collect())
    }

    async fn learner(&self, learner: &LearnerId) -> Result<LearnerFile, StoreError> {
        Ok(self.lock().learner(learner))
    }

    async fn received(&self, enrollment: EnrollmentId) -> Result<Received, StoreError> {
        Ok(self.lock().received(enrollment))
    }

    async fn delivery(&self, key: &DeliveryKey) -> Result<Option<InboxEntry>, StoreError> {
        Ok(self.lock().inbox.get(key).map(|kept| kept.entry.clone()))
    }
}
