use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::reconciliation::{Closing, Discrepancy};
use crate::vocabulary::reason::ExceptionAction;
use crate::vocabulary::{
    AdminId, Currency, DiscrepancyKey, DiscrepancyKind, EnrollmentId, GrantId, Money, Note,
    PayLinkId, PaymentReference, Version,
};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct DiscrepancyRow {
    key: DiscrepancyKey,
    kind: DiscrepancyKind,
    enrollment: Option<EnrollmentId>,
    version: u64,
    payment: Option<PaymentReference>,
    pay_link: Option<PayLinkId>,
    grant_id: Option<GrantId>,
    amount: Option<i64>,
    currency: Option<Currency>,
    outcome: Option<ExceptionAction>,
    since: DateTime<Utc>,
    closed_at: Option<DateTime<Utc>>,
    closed_by: Option<AdminId>,
    note: Option<Note>,
}

impl From<Discrepancy> for DiscrepancyRow {
    fn from(from: Discrepancy) -> Self {
        let (closed_at, closed_by, note) = match from.closed {
            Some(Closing { at, by, note }) => (Some(at), Some(by), Some(note)),
            None => (None, None, None),
        };
        Self {
            key: from.key,
            kind: from.kind,
            enrollment: from.enrollment,
            version: from.version.0,
            payment: from.payment,
            pay_link: from.pay_link,
            grant_id: from.grant,
            amount: from.amount.map(|amount| amount.minor()),
            currency: from.amount.map(|amount| amount.currency()),
            outcome: from.outcome,
            since: from.since,
            closed_at,
            closed_by,
            note,
        }
    }
}

impl TryFrom<DiscrepancyRow> for Discrepancy {
    type Error = BadRow;

    fn try_from(row: DiscrepancyRow) -> Result<Self, BadRow> {
        let bad = || BadRow("discrepancies");
        let amount = row
            .amount
            .zip(row.currency)
            .map(|(minor, currency)| Money::new(minor, currency))
            .transpose()
            .map_err(|_| bad())?;
        let closed = row.closed_at.zip(row.closed_by).map(|(at, by)| Closing {
            at,
            by,
            note: row.note.unwrap_or_else(|| Note::new("")),
        });
        Ok(Self {
            key: row.key,
            kind: row.kind,
            enrollment: row.enrollment,
            version: Version(row.version),
            payment: row.payment,
            pay_link: row.pay_link,
            grant: row.grant_id,
            amount,
            outcome: row.outcome,
            since: row.since,
            closed,
        })
    }
}
