use std::sync::Arc;

use async_trait::async_trait;
use chrono::NaiveDate;
use sqlx::Arguments;
use sqlx::encode::Encode;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::types::Type;

use super::error::CallError;
use super::rows::{AttemptRow, FiguresRow, InboxRow, PaymentRow, PendingRow, RecordRow};
use super::{PgStore, all, arguments};
use crate::enrollment::InboxEntry;
use crate::ids::{CourseId, EnrollmentId, RecordId, Reference};
use crate::payment::Attempt;
use crate::port::{
    CourseFigures, DayFigures, InboxFilter, Page, PageRequest, PaymentFilter, PaymentItem,
    PaymentKey, PendingItem, Period, Prefix, Records, StoreError,
};
use crate::record::Record;
use crate::webhook::DeliveryKey;

/// Sorts behind every text that begins with what is before it, byte by byte.
const LAST: char = char::MAX;

#[async_trait]
impl Records for PgStore {
    async fn pending(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<PendingItem, EnrollmentId>, StoreError> {
        let after = page.after.map(|id| id.as_uuid()).unwrap_or_default();
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.pending, arguments).await?;
        let items = all::<PendingRow, PendingItem>(&rows)?;
        Ok(Page::cut(items, page.size(), |item| item.enrollment.id))
    }

    async fn refunds_due(
        &self,
        page: PageRequest<Reference>,
    ) -> Result<Page<Attempt, Reference>, StoreError> {
        let after = page.after.as_ref().map_or("", Reference::as_str);
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.refunds_due, arguments).await?;
        let items = all::<AttemptRow, Attempt>(&rows)?;
        Ok(Page::cut(items, page.size(), |attempt| {
            attempt.reference.clone()
        }))
    }

    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Record>, StoreError> {
        let arguments = arguments![enrollment.as_uuid()];
        let rows = self.ask(&self.statements.timeline, arguments).await?;
        Ok(all::<RecordRow, Record>(&rows)?)
    }

    async fn unassigned(
        &self,
        page: PageRequest<RecordId>,
    ) -> Result<Page<Record, RecordId>, StoreError> {
        let after = page.after.map(|id| id.as_uuid()).unwrap_or_default();
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.unassigned, arguments).await?;
        let items = all::<RecordRow, Record>(&rows)?;
        Ok(Page::cut(items, page.size(), |record| record.id))
    }

    async fn inbox(
        &self,
        filter: InboxFilter,
        page: PageRequest<DeliveryKey>,
    ) -> Result<Page<InboxEntry, DeliveryKey>, StoreError> {
        let state = match filter {
            InboxFilter::Waiting => "waiting",
            InboxFilter::Parked => "parked",
            InboxFilter::Dead => "dead",
        };
        let after = page.after.as_ref().map_or("", DeliveryKey::as_str);
        let arguments = arguments![state, after, beyond(&page)];
        let rows = self.ask(&self.statements.inbox, arguments).await?;
        let items = all::<InboxRow, InboxEntry>(&rows)?;
        Ok(Page::cut(items, page.size(), |entry| entry.key.clone()))
    }

    async fn payments(
        &self,
        filter: &PaymentFilter,
        page: PageRequest<PaymentKey>,
    ) -> Result<Page<PaymentItem, PaymentKey>, StoreError> {
        filter.check(page.after.as_ref())?;
        let search =
            search(filter, &page).map_err(|error| CallError::from(sqlx::Error::Encode(error)))?;
        let text = Arc::from(self.schema.sql(&search.text));
        let rows = self.ask(&text, Ok(search.arguments)).await?;
        let items = all::<PaymentRow, PaymentItem>(&rows)?;
        Ok(Page::cut(items, page.size(), |item| filter.key(item)))
    }

    async fn days(
        &self,
        period: Period,
        course: Option<&CourseId>,
    ) -> Result<Vec<DayFigures>, StoreError> {
        let (from, until) = (period.from, period.until);
        let offset = f64::from(period.offset.local_minus_utc());
        let (text, arguments) = match course {
            None => (&self.statements.days, arguments![from, until, offset]),
            Some(course) => (
                &self.statements.days_of_course,
                arguments![from, until, offset, course.as_str()],
            ),
        };
        let rows = self.ask(text, arguments).await?;
        Ok(all::<FiguresRow<NaiveDate>, DayFigures>(&rows)?)
    }

    async fn courses(
        &self,
        period: Period,
        page: PageRequest<CourseId>,
    ) -> Result<Page<CourseFigures, CourseId>, StoreError> {
        let after = page.after.as_ref().map_or("", CourseId::as_str);
        let arguments = arguments![period.from, period.until, after, beyond(&page)];
        let rows = self.ask(&self.statements.courses, arguments).await?;
        let items = all::<FiguresRow<CourseId>, CourseFigures>(&rows)?;
        Ok(Page::cut(items, page.size(), |item| item.course.clone()))
    }

    async fn delivery(&self, key: &DeliveryKey) -> Result<Option<InboxEntry>, StoreError> {
        let rows = self
            .ask(&self.statements.delivery, arguments![key.as_str()])
            .await?;
        Ok(all::<InboxRow, InboxEntry>(&rows)?.pop())
    }
}

/// One row more than a page holds tells whether there is another page.
fn beyond<K>(page: &PageRequest<K>) -> i64 {
    i64::try_from(page.size() + 1).unwrap_or(i64::MAX)
}

/// A search for payments: only the conditions that are asked for are in it, so that the
/// database picks the index that suits them.
struct Search {
    text: String,
    arguments: PgArguments,
}

impl Search {
    /// Adds a condition; `?` stands for the value.
    fn with<'q, T>(&mut self, condition: &str, value: T) -> Result<(), BoxDynError>
    where
        T: Encode<'q, Postgres> + Type<Postgres>,
    {
        self.arguments.add(value)?;
        let place = format!("${}", self.arguments.len());
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('?', &place));
        Ok(())
    }

    /// Adds conditions for a text that begins with `start`.
    fn beginning(&mut self, column: &str, start: &str) -> Result<(), BoxDynError> {
        self.with(&format!("{column} >= ?"), start)?;
        self.with(&format!("{column} < ?"), format!("{start}{LAST}"))
    }
}

fn search(filter: &PaymentFilter, page: &PageRequest<PaymentKey>) -> Result<Search, BoxDynError> {
    let mut search = Search {
        text:
            "SELECT json_build_object('attempt', row_to_json(a), 'email', e.email, 'title', e.title,
                 'status', e.status, 'reason', e.reason)
             FROM coursegate.attempts AS a JOIN coursegate.enrollments AS e ON e.id = a.enrollment
             WHERE true"
                .to_owned(),
        arguments: PgArguments::default(),
    };
    if let Some(learner) = &filter.learner {
        search.with("e.learner = ?", learner.as_str())?;
    }
    if let Some(course) = &filter.course {
        search.with("a.course = ?", course.as_str())?;
    }
    if let Some(status) = filter.status {
        search.with("a.status = ?", status.as_str())?;
    }
    if let Some(method) = filter.method {
        search.with("a.method = ?", method.as_str())?;
    }
    if let Some(from) = filter.from {
        search.with("a.created_at >= ?", from)?;
    }
    if let Some(until) = filter.until {
        search.with("a.created_at < ?", until)?;
    }
    let order = match &filter.prefix {
        None => "a.created_at DESC, a.reference DESC",
        Some(Prefix::Reference(start)) => {
            search.beginning("a.reference", start)?;
            "a.reference"
        }
        Some(Prefix::Email(start)) => {
            search.beginning("e.email", start)?;
            "e.email, a.reference"
        }
    };
    match &page.after {
        None => {}
        Some(PaymentKey::Newest(at, reference)) => {
            search.with("a.created_at <= ?", *at)?;
            search.arguments.add(*at)?;
            let at = search.arguments.len();
            let condition = format!("(a.created_at, a.reference) < (${at}, ?)");
            search.with(&condition, reference.as_str())?;
        }
        Some(PaymentKey::Reference(reference)) => {
            search.with("a.reference > ?", reference.as_str())?;
        }
        Some(PaymentKey::Email(email, reference)) => {
            search.with("e.email >= ?", email.as_str())?;
            let email = search.arguments.len();
            let condition = format!("(e.email, a.reference) > (${email}, ?)");
            search.with(&condition, reference.as_str())?;
        }
    }
    search.arguments.add(beyond(page))?;
    let limit = search.arguments.len();
    search
        .text
        .push_str(&format!(" ORDER BY {order} LIMIT ${limit}"));
    Ok(search)
}
