use std::fmt::{self, Debug};

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::store::StoreError;
use crate::access::Grant;
use crate::audit::{Concern, ConcernKey};
use crate::enrollment::{Case, Enrollment, InboxEntry, Status};
use crate::ids::{CourseId, Email, EnrollmentId, GrantId, LearnerId, RecordId, Reference, Title};
use crate::money::Currency;
use crate::payment::{Attempt, AttemptStatus, Method, Standing};
use crate::reason::{HoldReason, MoneyOutcome};
use crate::record::Record;
use crate::statement::{RowChecksum, RowKey, StatementEntry};
use crate::webhook::DeliveryKey;

/// A page to read: what comes after a key, in the list's own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// The last key of the page before; `None` for the first page.
    pub after: Option<K>,
    /// How many at most; 1 to 500, anything else is brought into range.
    pub limit: usize,
}

impl<K> PageRequest<K> {
    /// The first page.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// The page after a key.
    pub fn after(key: K, limit: usize) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// The limit, in range.
    pub fn size(&self) -> usize {
        self.limit.clamp(1, 500)
    }
}

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T, K> {
    /// What is on it.
    pub items: Vec<T>,
    /// The key to ask for the next page with; `None` on the last.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// Cuts a page off a list that holds one item more than asked for, if there is more.
    pub(crate) fn cut(mut items: Vec<T>, size: usize, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

/// An enrollment that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Its attempts.
    pub attempts: Vec<Attempt>,
}

/// Money that arrived and does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AwkwardMoney {
    /// The attempt it arrived for.
    pub attempt: Attempt,
    /// Where the enrollment stands.
    pub enrollment: Status,
}

impl AwkwardMoney {
    /// Reasons for which money is listed while its enrollment waits for a person.
    pub const REASONS: [HoldReason; 6] = [
        HoldReason::LateMoney,
        HoldReason::DuplicateMoney,
        HoldReason::PartialPayment,
        HoldReason::ExcessPayment,
        HoldReason::AmountDiffers,
        HoldReason::CurrencyDiffers,
    ];

    /// Whether this money belongs in the list: it is to be given back, or is held for one of
    /// [`REASONS`](Self::REASONS), or is held while its enrollment waits for nobody.
    pub(crate) fn is_awkward(attempt: &Attempt, enrollment: &Status) -> bool {
        let waits = matches!(enrollment, Status::AwaitingApproval { .. });
        attempt.held_back().is_some_and(|reason| {
            let standing = attempt.payment.map(|payment| payment.standing);
            !waits
                || matches!(standing, Some(Standing::RefundDue(_)))
                || Self::REASONS.contains(&reason)
        })
    }

    /// What becomes of it: a person decides, or it is to be given back.
    pub fn outcome(&self) -> MoneyOutcome {
        let standing = self.attempt.payment.map(|payment| payment.standing);
        let waits = matches!(self.enrollment, Status::AwaitingApproval { .. });
        match standing {
            Some(Standing::RefundDue(_)) => MoneyOutcome::RefundDue,
            _ if waits => MoneyOutcome::Hold,
            _ => MoneyOutcome::RefundDue,
        }
    }
}

/// Which rows of bank statements to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFilter {
    /// Those that nobody has decided about.
    Open,
    /// Those that somebody has.
    Settled,
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

/// What to look for among payments. Everything that is given has to hold.
#[derive(Debug, Clone, Default)]
pub struct PaymentFilter {
    /// Whose.
    pub learner: Option<LearnerId>,
    /// For which course.
    pub course: Option<CourseId>,
    /// Where they stand.
    pub status: Option<AttemptStatus>,
    /// How they were paid, or are to be paid as long as they are not.
    pub method: Option<Method>,
    /// Started at this time or later.
    pub from: Option<DateTime<Utc>>,
    /// Started before this time.
    pub until: Option<DateTime<Utc>>,
    /// What they begin with.
    pub prefix: Option<Prefix>,
}

/// The beginning of a name, compared byte by byte: letters in the case they were given.
#[derive(Clone, PartialEq, Eq)]
pub enum Prefix {
    /// Of our reference.
    Reference(String),
    /// Of the learner's e-mail address.
    Email(String),
}

/// What somebody typed into a search field may be personal: only its kind is shown.
impl Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference(_) => "Reference(hidden)",
            Self::Email(_) => "Email(hidden)",
        })
    }
}

/// Where a page of payments ended. Its kind follows from the filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentKey {
    /// Newest first: the order without a prefix.
    Newest(DateTime<Utc>, Reference),
    /// By reference: the order with a prefix of it.
    Reference(Reference),
    /// By e-mail address, then reference: the order with a prefix of the address.
    Email(Email, Reference),
}

impl PaymentFilter {
    /// The key of a payment in this filter's order.
    pub fn key(&self, item: &PaymentItem) -> PaymentKey {
        let reference = item.attempt.reference.clone();
        match self.prefix {
            None => PaymentKey::Newest(item.attempt.created_at, reference),
            Some(Prefix::Reference(_)) => PaymentKey::Reference(reference),
            Some(Prefix::Email(_)) => PaymentKey::Email(item.email.clone(), reference),
        }
    }

    /// Refuses a key that is of another order than this filter's.
    pub(crate) fn check(&self, key: Option<&PaymentKey>) -> Result<(), StoreError> {
        match (&self.prefix, key) {
            (_, None)
            | (None, Some(PaymentKey::Newest(..)))
            | (Some(Prefix::Reference(_)), Some(PaymentKey::Reference(_)))
            | (Some(Prefix::Email(_)), Some(PaymentKey::Email(..))) => Ok(()),
            _ => Err(StoreError::Refused(
                "the page's key is of another order".to_owned(),
            )),
        }
    }
}

/// One payment, made or tried, with what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentItem {
    /// The attempt.
    pub attempt: Attempt,
    /// The learner's e-mail address.
    pub email: Email,
    /// The course's title.
    pub title: Title,
    /// Where the enrollment stands.
    pub enrollment: Status,
}

/// A stretch of time, cut into days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From this time on.
    pub from: DateTime<Utc>,
    /// Until before this time.
    pub until: DateTime<Utc>,
    /// What a day is: its distance from UTC. South Africa is two hours ahead, all year.
    pub offset: FixedOffset,
}

/// Figures of a day or a course.
///
/// Enrollments count on the day they were made, and payments on the day the money arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Enrollments made.
    pub enrolled: u64,
    /// How many of these were approved since: divided by `enrolled`, the conversion.
    pub approved: u64,
    /// How long approval took from enrolling, for half of these at most, in seconds.
    pub median_approval: Option<u64>,
    /// The same for nine of ten.
    pub slow_approval: Option<u64>,
    /// Payments that arrived and were not given back.
    pub payments: u64,
    /// Their sums, less what went back of them, one for each currency.
    pub sums: Vec<Sum>,
}

/// A sum in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// The currency.
    pub currency: Currency,
    /// How much, in its minor unit (cents).
    pub minor: i64,
}

/// The figures of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayFigures {
    /// The day.
    pub day: NaiveDate,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// The figures of one course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CourseFigures {
    /// The course.
    pub course: CourseId,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Reads for people: queues and histories, in pages.
#[async_trait]
pub trait Records: Debug + Send + Sync + 'static {
    /// Enrollments that wait for a person, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pending(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<PendingItem, EnrollmentId>, StoreError>;

    /// Payments that arrived and do not fit: late, paid twice, another sum than was asked, or
    /// left behind by a rejection or a withdrawal. By reference.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn awkward_money(
        &self,
        page: PageRequest<Reference>,
    ) -> Result<Page<AwkwardMoney, Reference>, StoreError>;

    /// Concerns that stand, by key. One about an enrollment stands as long as that does not
    /// change.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn concerns(
        &self,
        page: PageRequest<ConcernKey>,
    ) -> Result<Page<Concern, ConcernKey>, StoreError>;

    /// One concern, whether it stands or not.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn concern(&self, key: &ConcernKey) -> Result<Option<Concern>, StoreError>;

    /// Every enrollment with its attempts and grants, oldest first: what an audit walks
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
    async fn statement_rows(&self, rows: &[RowChecksum])
    -> Result<Vec<StatementEntry>, StoreError>;

    /// Everything that happened to one enrollment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Record>, StoreError>;

    /// Records that belong to no enrollment, oldest first: refused, parked and dead deliveries.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unassigned(
        &self,
        page: PageRequest<RecordId>,
    ) -> Result<Page<Record, RecordId>, StoreError>;

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

    /// One delivery.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delivery(&self, key: &DeliveryKey) -> Result<Option<InboxEntry>, StoreError>;
}
