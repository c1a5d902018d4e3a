//! Rows as the database has them, and the way to and from the domain's types. Columns and
//! fields have the same names: rows travel as JSON in both directions.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::access::{
    AccessLevel, EndReason, Grant, GrantSource, GrantState, Kinds, Restriction, Terms,
};
use crate::enrollment::{
    Change, Enrollment, InboxEntry, InboxOutcome, InboxState, Status, StatusKind, Version,
};
use crate::evidence::{Grade, SignedBy};
use crate::ids::{
    CourseId, Email, EnrollmentId, GrantId, LearnerId, PayLinkId, PersonId, RecordId, Reference,
    Title,
};
use crate::money::{Currency, Money};
use crate::payment::{Attempt, AttemptStatus, Method, PayLink, Payment, Standing};
use crate::port::{CourseFigures, DayFigures, Figures, KnownDelivery, PaymentItem, PendingItem};
use crate::reason::{Note, Severity};
use crate::record::{Actor, Basis, Fact, Record, Source};
use crate::webhook::{DeliveryKey, SignedForm};

/// A row that the domain cannot have written: somebody else did.
#[derive(Debug, thiserror::Error)]
#[error("a row of {0} makes no sense")]
pub(super) struct BadRow(pub(super) &'static str);

#[derive(Serialize, Deserialize)]
pub(super) struct EnrollmentRow {
    id: EnrollmentId,
    learner: LearnerId,
    email: Email,
    course: CourseId,
    title: Title,
    price: i64,
    currency: Currency,
    declared: Method,
    terms: Terms,
    status: StatusKind,
    reason: Option<String>,
    counted: Option<Reference>,
    version: u64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Enrollment> for EnrollmentRow {
    fn from(from: Enrollment) -> Self {
        let status = from.status.kind();
        let reason = match from.status {
            Status::AwaitingApproval { reason } => Some(reason.as_str().to_owned()),
            Status::Approved { cause } => Some(cause.as_str().to_owned()),
            Status::Rejected { reason } => Some(reason.as_str().to_owned()),
            Status::AwaitingPayment | Status::Expired | Status::Withdrawn => None,
        };
        Self {
            id: from.id,
            learner: from.learner,
            email: from.email,
            course: from.course,
            title: from.title,
            price: from.price.minor(),
            currency: from.price.currency(),
            declared: from.declared,
            terms: from.terms,
            status,
            reason,
            counted: from.counted,
            version: from.version.0,
            created_at: from.created_at,
            updated_at: from.updated_at,
        }
    }
}

impl TryFrom<EnrollmentRow> for Enrollment {
    type Error = BadRow;

    fn try_from(row: EnrollmentRow) -> Result<Self, BadRow> {
        Ok(Self {
            id: row.id,
            learner: row.learner,
            email: row.email,
            course: row.course,
            title: row.title,
            price: Money::new(row.price, row.currency).map_err(|_| BadRow("enrollments"))?,
            declared: row.declared,
            terms: row.terms,
            status: status(row.status, row.reason)?,
            counted: row.counted,
            version: Version(row.version),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A status from its two columns.
fn status(kind: StatusKind, reason: Option<String>) -> Result<Status, BadRow> {
    let bad = || BadRow("enrollments");
    let word = reason.as_deref().ok_or_else(bad);
    Ok(match kind {
        StatusKind::AwaitingPayment => Status::AwaitingPayment,
        StatusKind::AwaitingApproval => Status::AwaitingApproval {
            reason: word?.parse().map_err(|_| bad())?,
        },
        StatusKind::Approved => Status::Approved {
            cause: word?.parse().map_err(|_| bad())?,
        },
        StatusKind::Rejected => Status::Rejected {
            reason: Note::new(word?),
        },
        StatusKind::Expired => Status::Expired,
        StatusKind::Withdrawn => Status::Withdrawn,
    })
}

#[derive(Serialize, Deserialize)]
pub(super) struct AttemptRow {
    reference: Reference,
    enrollment: EnrollmentId,
    learner: LearnerId,
    course: CourseId,
    amount: i64,
    currency: Currency,
    declared: Method,
    link: Option<PayLinkId>,
    link_url: Option<Arc<str>>,
    status: AttemptStatus,
    paid_at: Option<DateTime<Utc>>,
    paid_amount: Option<i64>,
    paid_currency: Option<Currency>,
    paid_method: Option<Method>,
    grade: Option<Grade>,
    standing: Option<String>,
    held_reason: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Attempt> for AttemptRow {
    fn from(from: Attempt) -> Self {
        let payment = from.payment;
        let paid = payment.and_then(|payment| payment.amount);
        let (standing, held_reason) = match payment.map(|payment| payment.standing) {
            None => (None, None),
            Some(Standing::Counted) => (Some("counted"), None),
            Some(Standing::Held(reason)) => (Some("held"), Some(reason.as_str())),
            Some(Standing::Returned) => (Some("returned"), None),
        };
        let (link, link_url) = match from.link {
            Some(link) => (Some(link.id), Some(link.url)),
            None => (None, None),
        };
        Self {
            reference: from.reference,
            enrollment: from.enrollment,
            learner: from.learner,
            course: from.course,
            amount: from.amount.minor(),
            currency: from.amount.currency(),
            declared: from.declared,
            link,
            link_url,
            status: from.status,
            paid_at: payment.map(|payment| payment.at),
            paid_amount: paid.map(|amount| amount.minor()),
            paid_currency: paid.map(|amount| amount.currency()),
            paid_method: payment.map(|payment| payment.method),
            grade: payment.map(|payment| payment.grade),
            standing: standing.map(str::to_owned),
            held_reason: held_reason.map(str::to_owned),
            created_at: from.created_at,
        }
    }
}

impl TryFrom<AttemptRow> for Attempt {
    type Error = BadRow;

    fn try_from(row: AttemptRow) -> Result<Self, BadRow> {
        let bad = || BadRow("attempts");
        let standing = match (row.standing.as_deref(), row.held_reason) {
            (None, None) => None,
            (Some("counted"), None) => Some(Standing::Counted),
            (Some("held"), Some(reason)) => {
                Some(Standing::Held(reason.parse().map_err(|_| bad())?))
            }
            (Some("returned"), None) => Some(Standing::Returned),
            _ => return Err(bad()),
        };
        let amount = row
            .paid_amount
            .zip(row.paid_currency)
            .map(|(minor, currency)| Money::new(minor, currency))
            .transpose()
            .map_err(|_| bad())?;
        let payment = match (row.paid_at, row.paid_method, row.grade, standing) {
            (Some(at), Some(method), Some(grade), Some(standing)) => Some(Payment {
                at,
                amount,
                method,
                grade,
                standing,
            }),
            (None, None, None, None) => None,
            _ => return Err(bad()),
        };
        let link = row.link.zip(row.link_url);
        Ok(Self {
            reference: row.reference,
            enrollment: row.enrollment,
            learner: row.learner,
            course: row.course,
            amount: Money::new(row.amount, row.currency).map_err(|_| bad())?,
            declared: row.declared,
            link: link.map(|(id, url)| PayLink { id, url }),
            status: row.status,
            payment,
            created_at: row.created_at,
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct GrantRow {
    id: GrantId,
    learner: LearnerId,
    course: CourseId,
    enrollment: Option<EnrollmentId>,
    source: String,
    payment: Option<Reference>,
    by_person: Option<PersonId>,
    level: AccessLevel,
    kinds: Kinds,
    restrictions: Vec<Restriction>,
    starts_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    end_reason: Option<EndReason>,
}

impl From<Grant> for GrantRow {
    fn from(from: Grant) -> Self {
        let (source, payment, by_person) = match from.source {
            GrantSource::Payment { payment } => ("payment", Some(payment), None),
            GrantSource::Approval { by, payment } => ("approval", payment, Some(by)),
            GrantSource::Provisional => ("provisional", None, None),
            GrantSource::Admin { by } => ("admin", None, Some(by)),
            GrantSource::Migration { by } => ("migration", None, Some(by)),
        };
        let (ended_at, end_reason) = match from.state {
            GrantState::Live => (None, None),
            GrantState::Ended { at, why } => (Some(at), Some(why)),
        };
        Self {
            id: from.id,
            learner: from.learner,
            course: from.course,
            enrollment: from.enrollment,
            source: source.to_owned(),
            payment,
            by_person,
            level: from.level,
            kinds: from.kinds,
            restrictions: from.restrictions,
            starts_at: from.starts_at,
            expires_at: from.expires_at,
            ended_at,
            end_reason,
        }
    }
}

impl TryFrom<GrantRow> for Grant {
    type Error = BadRow;

    fn try_from(row: GrantRow) -> Result<Self, BadRow> {
        let bad = || BadRow("grants");
        let source = match (row.source.as_str(), row.payment, row.by_person) {
            ("payment", Some(payment), None) => GrantSource::Payment { payment },
            ("approval", payment, Some(by)) => GrantSource::Approval { by, payment },
            ("provisional", None, None) => GrantSource::Provisional,
            ("admin", None, Some(by)) => GrantSource::Admin { by },
            ("migration", None, Some(by)) => GrantSource::Migration { by },
            _ => return Err(bad()),
        };
        let state = match (row.ended_at, row.end_reason) {
            (None, None) => GrantState::Live,
            (Some(at), Some(why)) => GrantState::Ended { at, why },
            _ => return Err(bad()),
        };
        Ok(Self {
            id: row.id,
            learner: row.learner,
            course: row.course,
            enrollment: row.enrollment,
            source,
            level: row.level,
            kinds: row.kinds,
            restrictions: row.restrictions,
            starts_at: row.starts_at,
            expires_at: row.expires_at,
            state,
        })
    }
}

/// How far a delivery is, in the four columns that say it.
#[derive(Serialize, Deserialize)]
pub(super) struct StateRow {
    state: String,
    next_at: Option<DateTime<Utc>>,
    outcome: Option<InboxOutcome>,
    cause: Option<Note>,
}

impl From<InboxState> for StateRow {
    fn from(from: InboxState) -> Self {
        let (state, next_at, outcome, cause) = match from {
            InboxState::Waiting { next_at } => ("waiting", Some(next_at), None, None),
            InboxState::Parked { next_at } => ("parked", Some(next_at), None, None),
            InboxState::Dead { cause } => ("dead", None, None, Some(cause)),
            InboxState::Settled { outcome } => ("settled", None, Some(outcome), None),
        };
        Self {
            state: state.to_owned(),
            next_at,
            outcome,
            cause,
        }
    }
}

impl TryFrom<StateRow> for InboxState {
    type Error = BadRow;

    fn try_from(row: StateRow) -> Result<Self, BadRow> {
        Ok(
            match (row.state.as_str(), row.next_at, row.outcome, row.cause) {
                ("waiting", Some(next_at), None, None) => Self::Waiting { next_at },
                ("parked", Some(next_at), None, None) => Self::Parked { next_at },
                ("dead", None, None, Some(cause)) => Self::Dead { cause },
                ("settled", None, Some(outcome), None) => Self::Settled { outcome },
                _ => return Err(BadRow("inbox")),
            },
        )
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct InboxRow {
    key: Arc<str>,
    received_at: DateTime<Utc>,
    path: String,
    /// As Postgres writes bytes: `\x` and two digits for each.
    body: String,
    signed_key: Arc<str>,
    signed_form: SignedForm,
    pay_link: Option<PayLinkId>,
    reference: Option<Reference>,
    enrollment: Option<EnrollmentId>,
    #[serde(flatten)]
    state: StateRow,
    tries: u32,
}

impl From<InboxEntry> for InboxRow {
    fn from(from: InboxEntry) -> Self {
        Self {
            key: from.key.as_str().into(),
            received_at: from.received_at,
            path: from.path,
            body: format!("\\x{}", base16ct::lower::encode_string(&from.body)),
            signed_key: from.signed_by.key,
            signed_form: from.signed_by.form,
            pay_link: from.pay_link,
            reference: from.reference,
            enrollment: from.enrollment,
            state: from.state.into(),
            tries: from.tries,
        }
    }
}

impl TryFrom<InboxRow> for InboxEntry {
    type Error = BadRow;

    fn try_from(row: InboxRow) -> Result<Self, BadRow> {
        let body = row
            .body
            .strip_prefix("\\x")
            .and_then(|digits| base16ct::lower::decode_vec(digits).ok())
            .ok_or(BadRow("inbox"))?;
        let signed_by = SignedBy {
            key: row.signed_key,
            form: row.signed_form,
        };
        Ok(Self {
            body,
            pay_link: row.pay_link,
            reference: row.reference,
            enrollment: row.enrollment,
            state: row.state.try_into()?,
            tries: row.tries,
            ..Self::new(
                DeliveryKey::from(row.key.as_ref()),
                row.received_at,
                &row.path,
                &[],
                signed_by,
            )
        })
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct RecordRow {
    pub(super) id: RecordId,
    enrollment: Option<EnrollmentId>,
    version: u64,
    #[serde(skip_deserializing)]
    event: &'static str,
    #[serde(skip_deserializing)]
    severity: Option<Severity>,
    fact: Fact,
    #[serde(flatten)]
    who: ActorRow,
    source: Source,
    note: Option<Note>,
    basis: Option<Box<Basis>>,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct ActorRow {
    actor: String,
    actor_id: Option<String>,
}

impl From<Actor> for ActorRow {
    fn from(from: Actor) -> Self {
        let (actor, actor_id) = match from {
            Actor::SystemCardPayment => ("system_card_payment", None),
            Actor::SystemEftPayment => ("system_eft_payment", None),
            Actor::System => ("system", None),
            Actor::Learner(id) => ("learner", Some(id.as_str().to_owned())),
            Actor::Admin(id) => ("admin", Some(id.as_str().to_owned())),
        };
        Self {
            actor: actor.to_owned(),
            actor_id,
        }
    }
}

impl TryFrom<ActorRow> for Actor {
    type Error = BadRow;

    fn try_from(row: ActorRow) -> Result<Self, BadRow> {
        let bad = || BadRow("records");
        Ok(match (row.actor.as_str(), row.actor_id) {
            ("system_card_payment", None) => Self::SystemCardPayment,
            ("system_eft_payment", None) => Self::SystemEftPayment,
            ("system", None) => Self::System,
            ("learner", Some(id)) => Self::Learner(LearnerId::new(id).map_err(|_| bad())?),
            ("admin", Some(id)) => Self::Admin(PersonId::new(id).map_err(|_| bad())?),
            _ => return Err(bad()),
        })
    }
}

impl From<Record> for RecordRow {
    fn from(from: Record) -> Self {
        Self {
            id: from.id,
            enrollment: from.enrollment,
            version: from.version.0,
            event: from.fact.event(),
            severity: Some(from.fact.severity()),
            fact: from.fact,
            who: from.who.into(),
            source: from.source,
            note: from.note,
            basis: from.basis,
            at: from.at,
        }
    }
}

impl TryFrom<RecordRow> for Record {
    type Error = BadRow;

    fn try_from(row: RecordRow) -> Result<Self, BadRow> {
        Ok(Self {
            id: row.id,
            enrollment: row.enrollment,
            version: Version(row.version),
            fact: row.fact,
            who: row.who.try_into()?,
            source: row.source,
            note: row.note,
            basis: row.basis,
            at: row.at,
        })
    }
}

/// The argument of the function `commit`. What is absent is left out.
#[derive(Serialize)]
pub(super) struct ChangeRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<InboxRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment: Option<EnrollmentRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grants: Vec<GrantRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<RecordRow>,
    publish: bool,
}

impl From<Change> for ChangeRow {
    fn from(from: Change) -> Self {
        Self {
            inbox: from.inbox.map(InboxRow::from),
            enrollment: from.enrollment.map(EnrollmentRow::from),
            expected: from.expected.map(|version| version.0),
            attempts: from.attempts.into_iter().map(AttemptRow::from).collect(),
            grants: from.grants.into_iter().map(GrantRow::from).collect(),
            records: from.records.into_iter().map(RecordRow::from).collect(),
            publish: from.publish,
        }
    }
}

/// What `load` asks of a delivery.
#[derive(Deserialize)]
pub(super) struct KnownRow {
    #[serde(flatten)]
    state: StateRow,
    enrollment: Option<EnrollmentId>,
    received_at: DateTime<Utc>,
    tries: u32,
}

impl TryFrom<KnownRow> for KnownDelivery {
    type Error = BadRow;

    fn try_from(row: KnownRow) -> Result<Self, BadRow> {
        Ok(Self {
            state: row.state.try_into()?,
            enrollment: row.enrollment,
            received_at: row.received_at,
            tries: row.tries,
        })
    }
}

/// One line of a list of payments.
#[derive(Deserialize)]
pub(super) struct PaymentRow {
    attempt: AttemptRow,
    email: Email,
    title: Title,
    status: StatusKind,
    reason: Option<String>,
}

impl TryFrom<PaymentRow> for PaymentItem {
    type Error = BadRow;

    fn try_from(row: PaymentRow) -> Result<Self, BadRow> {
        Ok(Self {
            attempt: row.attempt.try_into()?,
            email: row.email,
            title: row.title,
            enrollment: status(row.status, row.reason)?,
        })
    }
}

/// One enrollment of the approval queue.
#[derive(Deserialize)]
pub(super) struct PendingRow {
    enrollment: EnrollmentRow,
    attempts: Vec<AttemptRow>,
}

impl TryFrom<PendingRow> for PendingItem {
    type Error = BadRow;

    fn try_from(row: PendingRow) -> Result<Self, BadRow> {
        let attempts: Result<_, BadRow> = row.attempts.into_iter().map(Attempt::try_from).collect();
        Ok(Self {
            enrollment: row.enrollment.try_into()?,
            attempts: attempts?,
        })
    }
}

/// The figures of one day or course.
#[derive(Deserialize)]
pub(super) struct FiguresRow<K> {
    name: K,
    #[serde(flatten)]
    figures: Figures,
}

impl TryFrom<FiguresRow<NaiveDate>> for DayFigures {
    type Error = BadRow;

    fn try_from(row: FiguresRow<NaiveDate>) -> Result<Self, BadRow> {
        Ok(Self {
            day: row.name,
            figures: row.figures,
        })
    }
}

impl TryFrom<FiguresRow<CourseId>> for CourseFigures {
    type Error = BadRow;

    fn try_from(row: FiguresRow<CourseId>) -> Result<Self, BadRow> {
        Ok(Self {
            course: row.name,
            figures: row.figures,
        })
    }
}
