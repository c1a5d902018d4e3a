use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::access::AccessTerms;
use crate::payment::{
    Allocation, AttemptStatus, Doubt, PayLink, Payment, PaymentAttempt, PaymentMethod,
    ProofOfPayment, Purpose, Refund,
};
use crate::vocabulary::{
    CourseId, Currency, EnrollmentId, EvidenceLevel, GrantId, LearnerId, Money, PayLinkId,
    PaymentReference, Title,
};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct AttemptRow {
    reference: PaymentReference,
    enrollment: EnrollmentId,
    learner: LearnerId,
    course: CourseId,
    amount: i64,
    currency: Currency,
    title: Title,
    terms: AccessTerms,
    purpose: String,
    renews: Option<GrantId>,
    declared: PaymentMethod,
    link: Option<PayLinkId>,
    link_url: Option<Arc<str>>,
    status: AttemptStatus,
    paid_at: Option<DateTime<Utc>>,
    paid_amount: Option<i64>,
    paid_currency: Option<Currency>,
    paid_method: Option<PaymentMethod>,
    evidence_level: Option<EvidenceLevel>,
    allocation: Option<String>,
    held_reason: Option<String>,
    refunds: Vec<Refund>,
    returned: i64,
    proof: Option<ProofOfPayment>,
    doubt: Option<Doubt>,
    before_reversal: Option<Allocation>,
    created_at: DateTime<Utc>,
    asked_at: DateTime<Utc>,
}

impl From<PaymentAttempt> for AttemptRow {
    fn from(from: PaymentAttempt) -> Self {
        let (payment, returned) = (from.payment, from.returned());
        let paid = payment.and_then(|payment| payment.amount);
        let (allocation, held_reason) = match payment.map(|payment| payment.allocation) {
            None => (None, None),
            Some(Allocation::Applied) => (Some("applied"), None),
            Some(Allocation::Kept) => (Some("kept"), None),
            Some(Allocation::OnHold(reason)) => (Some("on_hold"), Some(reason.as_str())),
            Some(Allocation::RefundDue(reason)) => (Some("refund_due"), Some(reason.as_str())),
            Some(Allocation::Refunded) => (Some("refunded"), None),
        };
        let (link, link_url) = match from.link {
            Some(link) => (Some(link.id), link.url),
            None => (None, None),
        };
        Self {
            reference: from.reference,
            enrollment: from.enrollment,
            learner: from.learner,
            course: from.course,
            amount: from.amount.minor(),
            currency: from.amount.currency(),
            title: from.title,
            terms: from.terms,
            purpose: from.purpose.as_str().to_owned(),
            renews: match from.purpose {
                Purpose::Renewal { of } => Some(of),
                Purpose::First | Purpose::Upgrade | Purpose::Additional => None,
            },
            declared: from.declared,
            link,
            link_url,
            status: from.status,
            paid_at: payment.map(|payment| payment.at),
            paid_amount: paid.map(|amount| amount.minor()),
            paid_currency: paid.map(|amount| amount.currency()),
            paid_method: payment.map(|payment| payment.method),
            evidence_level: payment.map(|payment| payment.evidence_level),
            allocation: allocation.map(str::to_owned),
            held_reason: held_reason.map(str::to_owned),
            refunds: from.refunds,
            returned,
            proof: from.proof,
            doubt: from.doubt,
            before_reversal: from.before_reversal,
            created_at: from.created_at,
            asked_at: from.asked_at,
        }
    }
}

impl TryFrom<AttemptRow> for PaymentAttempt {
    type Error = BadRow;

    fn try_from(row: AttemptRow) -> Result<Self, BadRow> {
        let bad = || BadRow("attempts");
        let allocation = match (row.allocation.as_deref(), row.held_reason) {
            (None, None) => None,
            (Some("applied"), None) => Some(Allocation::Applied),
            (Some("kept"), None) => Some(Allocation::Kept),
            (Some("on_hold"), Some(reason)) => {
                Some(Allocation::OnHold(reason.parse().map_err(|_| bad())?))
            }
            (Some("refund_due"), Some(reason)) => {
                Some(Allocation::RefundDue(reason.parse().map_err(|_| bad())?))
            }
            (Some("refunded"), None) => Some(Allocation::Refunded),
            _ => return Err(bad()),
        };
        let amount = row
            .paid_amount
            .zip(row.paid_currency)
            .map(|(minor, currency)| Money::new(minor, currency))
            .transpose()
            .map_err(|_| bad())?;
        let payment = match (row.paid_at, row.paid_method, row.evidence_level, allocation) {
            (Some(at), Some(method), Some(evidence_level), Some(allocation)) => Some(Payment {
                at,
                amount,
                method,
                evidence_level,
                allocation,
            }),
            (None, None, None, None) => None,
            _ => return Err(bad()),
        };
        let purpose = match (row.purpose.as_str(), row.renews) {
            ("first", None) => Purpose::First,
            ("upgrade", None) => Purpose::Upgrade,
            ("additional", None) => Purpose::Additional,
            ("renewal", Some(of)) => Purpose::Renewal { of },
            _ => return Err(bad()),
        };
        Ok(Self {
            reference: row.reference,
            enrollment: row.enrollment,
            learner: row.learner,
            course: row.course,
            amount: Money::new(row.amount, row.currency).map_err(|_| bad())?,
            title: row.title,
            terms: row.terms,
            purpose,
            declared: row.declared,
            link: row.link.map(|id| PayLink {
                id,
                url: row.link_url,
            }),
            status: row.status,
            payment,
            refunds: row.refunds,
            proof: row.proof,
            doubt: row.doubt,
            before_reversal: row.before_reversal,
            created_at: row.created_at,
            asked_at: row.asked_at,
        })
    }
}
