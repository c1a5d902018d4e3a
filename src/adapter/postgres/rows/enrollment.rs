use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::access::AccessTerms;
use crate::enrollment::{Enrollment, FirstApproval};
use crate::payment::PaymentMethod;
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{
    Closed, CourseId, Currency, Email, EnrollmentId, LearnerId, Money, Note, PaymentReference,
    Status, StatusKind, Title, Version,
};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct EnrollmentRow {
    id: EnrollmentId,
    learner: LearnerId,
    email: Email,
    course: CourseId,
    title: Title,
    price: i64,
    currency: Currency,
    declared: PaymentMethod,
    terms: AccessTerms,
    status: StatusKind,
    reason: Option<String>,
    waits_for: Option<HoldReason>,
    waits_on: Option<PaymentReference>,
    closed: Option<Box<Closed>>,
    first_approval: Option<Box<FirstApproval>>,
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
            Status::Withdrawn { why } => Some(why.as_str().to_owned()),
            Status::AwaitingPayment | Status::Expired => None,
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
            waits_for: from.waits_for,
            waits_on: from.waits_on,
            closed: from.closed,
            first_approval: from.first_approval,
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
            status: status(row.status, row.reason.as_deref())?,
            waits_for: row.waits_for,
            waits_on: row.waits_on,
            closed: row.closed,
            first_approval: row.first_approval,
            version: Version(row.version),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A status from its two columns.
pub(super) fn status(kind: StatusKind, reason: Option<&str>) -> Result<Status, BadRow> {
    let bad = || BadRow("enrollments");
    let word = reason.ok_or_else(bad);
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
        StatusKind::Withdrawn => Status::Withdrawn {
            why: word?.parse().map_err(|_| bad())?,
        },
    })
}
