use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use super::contract::StoreError;
use super::figures::{CourseFigures, DayFigures, Period};
use super::inbox::InboxEntry;
use super::notices::{AdminNotice, NoticeFilter, NoticeKey};
use super::page::{Page, PageRequest};
use super::payments::{HeldPayment, PaymentFilter, PaymentItem, PaymentKey};
use crate::access::Grant;
use crate::enrollment::{Case, Enrollment};
use crate::event::Event;
use crate::event::audit_log::AuditLogEntry;
use crate::evidence::Sums;
use crate::notice::Preferences;
use crate::payment::PaymentAttempt;
use crate::reconciliation::Discrepancy;
use crate::statement::{
    FileLine, RowId, RowKey, RowState, StatementEntry, StatementRow, strong_id,
};
use crate::vocabulary::{
    AccountId, CourseId, DiscrepancyKey, EnrollmentId, EventId, GrantId, LearnerId, Money,
    PaymentReference,
};
use crate::webhook::DeliveryKey;

/// An enrollment that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Its attempts.
    pub attempts: Vec<PaymentAttempt>,
}

impl PendingItem {
    /// The attempt whose money waits, or that waits for its money; `None` when the enrollment
    /// waits for another reason.
    pub fn waiting(&self) -> Option<&PaymentAttempt> {
        self.enrollment.waiting(&self.attempts)
    }

    /// What the attempt asked whose money waits, and what is asked today, where they differ.
    pub fn sums(&self) -> Option<Sums> {
        let (is, asked) = (self.waiting()?.amount, self.enrollment.price);
        (is != asked).then_some(Sums { is, asked })
    }
}

/// What is kept of one learner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LearnerFile {
    /// Their enrollments, oldest first.
    pub enrollments: Vec<EnrollmentId>,
    /// Grants apart from any enrollment, oldest first.
    pub grants: Vec<Grant>,
    /// Events that name the learner and belong to no enrollment, oldest first.
    pub events: Vec<Event>,
}

/// What came from outside about one enrollment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Received {
    /// Callbacks.
    pub deliveries: Vec<InboxEntry>,
    /// Rows of bank statements that paid it.
    pub rows: Vec<StatementEntry>,
}

/// Which rows of bank statements to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowFilter {
    /// Those that nobody has decided about, or of whose sum something is left.
    Open,
    /// Those that may be an earlier row once more.
    Doubtful,
    /// Those that somebody has decided about.
    Settled,
}

impl RowFilter {
    /// The list that a row is in.
    pub fn of(state: &RowState) -> Self {
        match state {
            RowState::Open => Self::Open,
            RowState::Doubtful => Self::Doubtful,
            RowState::Matched | RowState::Closed { .. } | RowState::Repeated { .. } => {
                Self::Settled
            }
        }
    }
}

/// What a row to be imported is compared with: the stored row of the same name; those of the same day
/// and sum; of the same account, sum and balance; and those read from the same line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProbe {
    /// The name that it would have, where its bank, balance or line gives it one.
    pub id: Option<RowId>,
    /// The account.
    pub account: AccountId,
    /// The day.
    pub date: NaiveDate,
    /// The sum.
    pub amount: Money,
    /// The balance behind the row, in minor units.
    pub balance: Option<i64>,
    /// Where it was read.
    pub place: Option<FileLine>,
}

impl RowProbe {
    /// A probe for a row that is to be imported for an account.
    pub fn of(account: &AccountId, row: &StatementRow) -> Self {
        Self {
            id: strong_id(account, row),
            account: account.clone(),
            date: row.date,
            amount: row.amount,
            balance: row.balance,
            place: row.place.clone(),
        }
    }

    /// Whether a stored row is one of those.
    pub fn finds(&self, entry: &StatementEntry) -> bool {
        let row = &entry.row;
        let same_sum = row.amount == self.amount;
        let same_balance = self.balance.is_some() && row.balance == self.balance;
        same_sum && (row.date == self.date || entry.account == self.account && same_balance)
            || self.place.is_some() && row.place == self.place
            || self.id.as_ref() == Some(&entry.id)
    }
}

/// Which deliveries to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxFilter {
    /// Those that wait for the provider or for another try.
    Waiting,
    /// Those that name no payment we know.
    Parked,
    /// Those that were given up on.
    Dead,
}

/// Reads for people: queues and histories, in pages.
#[async_trait]
pub trait Queries: Debug + Send + Sync + 'static {
    /// Enrollments that wait for a person, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pending(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<PendingItem, EnrollmentId>, StoreError>;

    /// Payment exceptions, payments that arrived and are late, paid twice, another sum than was asked, or
    /// left behind by a rejection or a withdrawal. By reference.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn payment_exceptions(
        &self,
        page: PageRequest<PaymentReference>,
    ) -> Result<Page<HeldPayment, PaymentReference>, StoreError>;

    /// Discrepancies that stand, by key. One about an enrollment stands as long as that does not
    /// change.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn discrepancies(
        &self,
        page: PageRequest<DiscrepancyKey>,
    ) -> Result<Page<Discrepancy, DiscrepancyKey>, StoreError>;

    /// One discrepancy, whether it stands or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn discrepancy(&self, key: &DiscrepancyKey) -> Result<Option<Discrepancy>, StoreError>;

    /// Every enrollment with its attempts and grants, oldest first: what a reconciliation walks
    /// through.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn cases(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<Case, EnrollmentId>, StoreError>;

    /// Grants that belong to no enrollment, or to one of another learner or course; oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn loose_grants(
        &self,
        page: PageRequest<GrantId>,
    ) -> Result<Page<Grant, GrantId>, StoreError>;

    /// Rows of bank statements, newest day first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn statement(
        &self,
        filter: RowFilter,
        page: PageRequest<RowKey>,
    ) -> Result<Page<StatementEntry, RowKey>, StoreError>;

    /// Those of these rows that were imported, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn statement_rows(&self, rows: &[RowId]) -> Result<Vec<StatementEntry>, StoreError>;

    /// Every row that one of these probes [finds](RowProbe::finds), once, oldest day first, then
    /// by number and account.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rows_like(&self, probes: &[RowProbe]) -> Result<Vec<StatementEntry>, StoreError>;

    /// Rows that paid one of these payments, or a part of it, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn rows_paying(
        &self,
        payments: &[PaymentReference],
    ) -> Result<Vec<StatementEntry>, StoreError>;

    /// The enrollments that have one of these attempts, each once with its attempts and grants, oldest
    /// first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn cases_of(&self, references: &[PaymentReference]) -> Result<Vec<Case>, StoreError>;

    /// The accounts that rows were imported for, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn accounts(&self) -> Result<Vec<AccountId>, StoreError>;

    /// Everything that happened to one enrollment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Event>, StoreError>;

    /// Events that belong to no enrollment, oldest first: refused, parked and dead deliveries.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unassigned(
        &self,
        page: PageRequest<EventId>,
    ) -> Result<Page<Event, EventId>, StoreError>;

    /// Deliveries that are not settled, by key.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn inbox(
        &self,
        filter: InboxFilter,
        page: PageRequest<DeliveryKey>,
    ) -> Result<Page<InboxEntry, DeliveryKey>, StoreError>;

    /// Payments, made and tried: newest first, or with a prefix in the order of what it is
    /// a prefix of.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Refused`] when the page's key is of another order.
    async fn payments(
        &self,
        filter: &PaymentFilter,
        page: PageRequest<PaymentKey>,
    ) -> Result<Page<PaymentItem, PaymentKey>, StoreError>;

    /// Figures for each day of a period on which anything happened, of one course or of all.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn days(
        &self,
        period: Period,
        course: Option<&CourseId>,
    ) -> Result<Vec<DayFigures>, StoreError>;

    /// Figures for each course in which anything happened in a period, by course.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn courses(
        &self,
        period: Period,
        page: PageRequest<CourseId>,
    ) -> Result<Page<CourseFigures, CourseId>, StoreError>;

    /// Links of the audit log, in its order.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn audit_log(
        &self,
        page: PageRequest<u64>,
    ) -> Result<Page<AuditLogEntry, u64>, StoreError>;

    /// How many events from before a time are not in the audit log.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn missing_from_audit_log(&self, before: DateTime<Utc>) -> Result<u64, StoreError>;

    /// One event.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError>;

    /// Notices, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn notices(
        &self,
        filter: &NoticeFilter,
        page: PageRequest<NoticeKey>,
    ) -> Result<Page<AdminNotice, NoticeKey>, StoreError>;

    /// What every admin who chose it is told of, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn preferences(&self) -> Result<Vec<Preferences>, StoreError>;

    /// Everything that is kept of one learner, beside their enrollments' own.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn learner(&self, learner: &LearnerId) -> Result<LearnerFile, StoreError>;

    /// What came from outside about one enrollment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn received(&self, enrollment: EnrollmentId) -> Result<Received, StoreError>;

    /// One delivery.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delivery(&self, key: &DeliveryKey) -> Result<Option<InboxEntry>, StoreError>;
}
