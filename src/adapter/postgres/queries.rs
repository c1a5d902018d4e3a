use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use sqlx::encode::Encode;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::types::Type;
use sqlx::{Arguments, Row};

use super::error::CallError;
use super::rows::{
    BadRow, CaseRow, DiscrepancyRow, EventRow, FiguresRow, GrantRow, HeldPaymentRow, InboxRow,
    NoticeRow, PaymentRow, PendingRow, PreferencesRow, StatementRowRow,
};
use super::{PgStore, all, arguments};
use crate::access::Grant;
use crate::enrollment::Case;
use crate::event::Event;
use crate::event::audit_log::{AuditLogEntry, LinkHash};
use crate::event::form::EventText;
use crate::notice::Preferences;
use crate::reconciliation::Discrepancy;
use crate::statement::{RowId, RowKey, StatementEntry};
use crate::store::{
    AdminNotice, CourseFigures, DayFigures, HeldPayment, InboxEntry, InboxFilter, LearnerFile,
    NoticeFilter, NoticeKey, Page, PageRequest, PaymentFilter, PaymentItem, PaymentKey,
    PendingItem, Period, Prefix, Queries, Received, RowFilter, RowProbe, StoreError,
};
use crate::vocabulary::{
    AccountId, CourseId, DiscrepancyKey, EnrollmentId, EventId, GrantId, LearnerId, NoticeKind,
    PaymentReference,
};
use crate::webhook::DeliveryKey;

/// Sorts behind every text that begins with what is before it, byte by byte.
const LAST: char = char::MAX;

#[async_trait]
impl Queries for PgStore {
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

    async fn payment_exceptions(
        &self,
        page: PageRequest<PaymentReference>,
    ) -> Result<Page<HeldPayment, PaymentReference>, StoreError> {
        let after = page.after.as_ref().map_or("", PaymentReference::as_str);
        let arguments = arguments![after, beyond(&page)];
        let rows = self
            .ask(&self.statements.payment_exceptions, arguments)
            .await?;
        let items = all::<HeldPaymentRow, HeldPayment>(&rows)?;
        Ok(Page::cut(items, page.size(), |item| {
            item.attempt.reference.clone()
        }))
    }

    async fn discrepancies(
        &self,
        page: PageRequest<DiscrepancyKey>,
    ) -> Result<Page<Discrepancy, DiscrepancyKey>, StoreError> {
        let after = page.after.as_ref().map_or("", DiscrepancyKey::as_str);
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.discrepancies, arguments).await?;
        let items = all::<DiscrepancyRow, Discrepancy>(&rows)?;
        Ok(Page::cut(items, page.size(), |discrepancy| {
            discrepancy.key.clone()
        }))
    }

    async fn discrepancy(&self, key: &DiscrepancyKey) -> Result<Option<Discrepancy>, StoreError> {
        let arguments = arguments![key.as_str()];
        let rows = self.ask(&self.statements.discrepancy, arguments).await?;
        Ok(all::<DiscrepancyRow, Discrepancy>(&rows)?.pop())
    }

    async fn cases(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<Case, EnrollmentId>, StoreError> {
        let after = page.after.map(|id| id.as_uuid()).unwrap_or_default();
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.cases, arguments).await?;
        let items = all::<CaseRow, Case>(&rows)?;
        Ok(Page::cut(items, page.size(), |case| case.enrollment.id))
    }

    async fn loose_grants(
        &self,
        page: PageRequest<GrantId>,
    ) -> Result<Page<Grant, GrantId>, StoreError> {
        let after = page.after.map(|id| id.as_uuid()).unwrap_or_default();
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.loose_grants, arguments).await?;
        let items = all::<GrantRow, Grant>(&rows)?;
        Ok(Page::cut(items, page.size(), |grant| grant.id))
    }

    async fn statement(
        &self,
        filter: RowFilter,
        page: PageRequest<RowKey>,
    ) -> Result<Page<StatementEntry, RowKey>, StoreError> {
        let state = match filter {
            RowFilter::Open => "open",
            RowFilter::Doubtful => "doubtful",
            RowFilter::Settled => "settled",
        };
        let (date, id) = match &page.after {
            Some(key) => (key.date, key.id.as_str()),
            // No later day can be written with four digits.
            None => (
                NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or_default(),
                "",
            ),
        };
        let arguments = arguments![state, date, id, beyond(&page)];
        let rows = self.ask(&self.statements.statement, arguments).await?;
        let items = all::<StatementRowRow, StatementEntry>(&rows)?;
        Ok(Page::cut(items, page.size(), StatementEntry::key))
    }

    async fn statement_rows(&self, rows: &[RowId]) -> Result<Vec<StatementEntry>, StoreError> {
        let ids: Vec<&str> = rows.iter().map(RowId::as_str).collect();
        let rows = self
            .ask(&self.statements.statement_rows, arguments![&ids])
            .await?;
        Ok(all::<StatementRowRow, StatementEntry>(&rows)?)
    }

    async fn rows_like(&self, probes: &[RowProbe]) -> Result<Vec<StatementEntry>, StoreError> {
        let accounts: Vec<&str> = probes.iter().map(|it| it.account.as_str()).collect();
        let days: Vec<NaiveDate> = probes.iter().map(|it| it.date).collect();
        let sums: Vec<i64> = probes.iter().map(|it| it.amount.minor()).collect();
        let currencies: Vec<String> = probes
            .iter()
            .map(|it| it.amount.currency().code().to_owned())
            .collect();
        let balances: Vec<Option<i64>> = probes.iter().map(|it| it.balance).collect();
        let places = probes.iter().filter_map(|it| it.place.as_ref());
        let files: Vec<&str> = places.clone().map(|place| place.file.as_ref()).collect();
        let lines: Vec<i32> = places
            .map(|place| i32::try_from(place.line).unwrap_or(i32::MAX))
            .collect();
        let ids = probes.iter().filter_map(|it| it.id.as_ref());
        let ids: Vec<&str> = ids.map(RowId::as_str).collect();
        let arguments = arguments![
            &accounts,
            &days,
            &sums,
            &currencies,
            &balances,
            &files,
            &lines,
            &ids
        ];
        let rows = self.ask(&self.statements.rows_like, arguments).await?;
        Ok(all::<StatementRowRow, StatementEntry>(&rows)?)
    }

    async fn rows_paying(
        &self,
        payments: &[PaymentReference],
    ) -> Result<Vec<StatementEntry>, StoreError> {
        let payments: Vec<&str> = payments.iter().map(PaymentReference::as_str).collect();
        let rows = self
            .ask(&self.statements.rows_paying, arguments![&payments])
            .await?;
        Ok(all::<StatementRowRow, StatementEntry>(&rows)?)
    }

    async fn cases_of(&self, references: &[PaymentReference]) -> Result<Vec<Case>, StoreError> {
        let references: Vec<&str> = references.iter().map(PaymentReference::as_str).collect();
        let rows = self
            .ask(&self.statements.cases_of, arguments![&references])
            .await?;
        Ok(all::<CaseRow, Case>(&rows)?)
    }

    async fn accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        let rows = self
            .ask(&self.statements.accounts, Ok(PgArguments::default()))
            .await?;
        let name = |row: &PgRow| {
            let name: String = row.try_get(0)?;
            AccountId::new(name).map_err(|_| CallError::Row(BadRow("statement_rows")))
        };
        Ok(rows.iter().map(name).collect::<Result<_, _>>()?)
    }

    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Event>, StoreError> {
        let arguments = arguments![enrollment.as_uuid()];
        let rows = self.ask(&self.statements.timeline, arguments).await?;
        Ok(all::<EventRow, Event>(&rows)?)
    }

    async fn unassigned(
        &self,
        page: PageRequest<EventId>,
    ) -> Result<Page<Event, EventId>, StoreError> {
        let after = page.after.map(|id| id.as_uuid()).unwrap_or_default();
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.unassigned, arguments).await?;
        let items = all::<EventRow, Event>(&rows)?;
        Ok(Page::cut(items, page.size(), |event| event.id))
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

    async fn audit_log(
        &self,
        page: PageRequest<u64>,
    ) -> Result<Page<AuditLogEntry, u64>, StoreError> {
        let after = i64::try_from(page.after.unwrap_or_default()).unwrap_or(i64::MAX);
        let arguments = arguments![after, beyond(&page)];
        let rows = self.ask(&self.statements.audit_log, arguments).await?;
        let link = |row: &PgRow| -> Result<AuditLogEntry, CallError> {
            Ok(AuditLogEntry {
                position: u64::try_from(row.try_get::<i64, _>("position")?)
                    .map_err(|_| BadRow("audit_log"))?,
                event: EventId::from_uuid(row.try_get("event")?),
                salt: row.try_get("salt")?,
                kept: LinkHash::from_hex(row.try_get::<String, _>("kept")?),
                personal: LinkHash::from_hex(row.try_get::<String, _>("personal")?),
                hash: LinkHash::from_hex(row.try_get::<String, _>("hash")?),
                text: match (row.try_get("kept_text")?, row.try_get("personal_text")?) {
                    (Some(kept), Some(personal)) => Some(EventText { kept, personal }),
                    _ => None,
                },
            })
        };
        let items = rows.iter().map(link).collect::<Result<_, _>>()?;
        Ok(Page::cut(items, page.size(), |link: &AuditLogEntry| {
            link.position
        }))
    }

    async fn missing_from_audit_log(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let rows = self
            .ask(&self.statements.missing_from_audit_log, arguments![before])
            .await?;
        let row = rows.first().ok_or(CallError::Row(BadRow("events")))?;
        let count: i64 = row.try_get(0).map_err(CallError::from)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let arguments = arguments![id.as_uuid()];
        let rows = self.ask(&self.statements.event, arguments).await?;
        Ok(all::<EventRow, Event>(&rows)?.pop())
    }

    async fn notices(
        &self,
        filter: &NoticeFilter,
        page: PageRequest<NoticeKey>,
    ) -> Result<Page<AdminNotice, NoticeKey>, StoreError> {
        let kinds: Vec<&str> = filter.kinds.iter().map(NoticeKind::as_str).collect();
        let arguments = arguments![
            filter.person.as_str(),
            &kinds,
            filter.unread,
            filter.since,
            page.after.map(|key| key.at),
            page.after.map(|key| key.id.as_uuid()),
            beyond(&page),
        ];
        let rows = self.ask(&self.statements.notices, arguments).await?;
        let items = all::<NoticeRow, AdminNotice>(&rows)?;
        Ok(Page::cut(items, page.size(), AdminNotice::key))
    }

    async fn preferences(&self) -> Result<Vec<Preferences>, StoreError> {
        let rows = self
            .ask(&self.statements.preferences, Ok(PgArguments::default()))
            .await?;
        Ok(all::<PreferencesRow, Preferences>(&rows)?)
    }

    async fn learner(&self, learner: &LearnerId) -> Result<LearnerFile, StoreError> {
        self.learner_file(learner).await
    }

    async fn received(&self, enrollment: EnrollmentId) -> Result<Received, StoreError> {
        self.all_received(enrollment).await
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
