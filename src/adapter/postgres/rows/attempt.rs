use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::evidence::Grade;
use crate::ids::{CourseId, EnrollmentId, LearnerId, PayLinkId, Reference};
use crate::money::{Currency, Money};
use crate::payment::{Attempt, AttemptStatus, Method, PayLink, Payment, Standing};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct AttemptRow {
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
