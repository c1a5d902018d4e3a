//! Money and access, compared in both directions.
//!
//! [`reconcile`] looks at one case and names what does not agree. It is pure; walking through
//! all cases, repairing what is safe and queueing the rest is the registrar's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::{Grant, GrantSource, GrantState};
use crate::enrollment::Case;
use crate::payment::{Allocation, PaymentAttempt};
use crate::vocabulary::reason::ExceptionAction;
use crate::vocabulary::{AdminId, EnrollmentId, GrantId, Money, Note, PayLinkId, PaymentReference};
pub use crate::vocabulary::{DiscrepancyKey, DiscrepancyKind};
use crate::vocabulary::{Status, Version};

/// Something that a person has to look into. It stands until somebody closes it, or until
/// the enrollment it is about changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Discrepancy {
    /// What makes it the same as another.
    pub key: DiscrepancyKey,
    /// What is wrong.
    pub kind: DiscrepancyKind,
    /// The enrollment it is about.
    pub enrollment: Option<EnrollmentId>,
    /// The version of the enrollment that was looked at.
    pub version: Version,
    /// The payment it is about.
    pub payment: Option<PaymentReference>,
    /// The pay link it is about.
    pub pay_link: Option<PayLinkId>,
    /// The grant it is about.
    pub grant: Option<GrantId>,
    /// The sum it is about.
    pub amount: Option<Money>,
    /// What is to become of the money, if it is about money that nobody knows.
    pub outcome: Option<ExceptionAction>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who closed it, and why.
    pub closed: Option<Closing>,
}

/// How a discrepancy was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// When.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: AdminId,
    /// What they did about it.
    pub note: Note,
}

impl Discrepancy {
    /// Money at the provider by a link that nobody here knows.
    pub fn unmatched(
        pay_link: PayLinkId,
        amount: Option<Money>,
        outcome: ExceptionAction,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            key: DiscrepancyKey::new(format!("unmatched:{pay_link}")),
            kind: DiscrepancyKind::UnmatchedPayment,
            enrollment: None,
            version: Version::default(),
            payment: None,
            pay_link: Some(pay_link),
            grant: None,
            amount,
            outcome: Some(match outcome {
                ExceptionAction::RefundDue => outcome,
                ExceptionAction::Approve | ExceptionAction::Hold => ExceptionAction::Hold,
            }),
            since: now,
            closed: None,
        }
    }

    /// What is wrong with a live grant that belongs to no enrollment, or to one of somebody
    /// else; `None` when nothing is.
    pub(crate) fn loose(grant: &Grant, now: DateTime<Utc>) -> Option<Self> {
        let kind = match (grant.enrollment, grant.source.payment()) {
            (Some(_), _) => DiscrepancyKind::GrantDiffers,
            (None, Some(_)) => DiscrepancyKind::AccessWithoutMoney,
            (None, None) => return None,
        };
        (grant.state == GrantState::Live).then(|| Self {
            key: DiscrepancyKey::new(format!("{kind}:{}", grant.id)),
            kind,
            enrollment: None,
            version: Version::default(),
            payment: grant.source.payment().cloned(),
            pay_link: None,
            grant: Some(grant.id),
            amount: None,
            outcome: None,
            since: now,
            closed: None,
        })
    }

    fn about(case: &Case, kind: DiscrepancyKind, now: DateTime<Utc>) -> Self {
        let (id, version) = (case.enrollment.id, case.enrollment.version);
        Self {
            key: DiscrepancyKey::new(format!("{kind}:{id}:{}", version.0)),
            kind,
            enrollment: Some(id),
            version,
            payment: None,
            pay_link: None,
            grant: None,
            amount: None,
            outcome: None,
            since: now,
            closed: None,
        }
    }

    fn payment(mut self, attempt: &PaymentAttempt) -> Self {
        self.key = DiscrepancyKey::new(format!("{}:{}", self.key, attempt.reference));
        self.payment = Some(attempt.reference.clone());
        self.amount = attempt.paid();
        self
    }

    fn grant(mut self, grant: &Grant) -> Self {
        self.key = DiscrepancyKey::new(format!("{}:{}", self.key, grant.id));
        self.grant = Some(grant.id);
        self.payment = grant.source.payment().cloned();
        self
    }
}

/// Names what does not agree in one case. `approval_sla` is how long an enrollment may wait for
/// a person.
pub fn reconcile(case: &Case, approval_sla: Duration, now: DateTime<Utc>) -> Vec<Discrepancy> {
    let mut found = Vec::new();
    let enrollment = &case.enrollment;
    let attempt = |reference: &PaymentReference| {
        case.attempts
            .iter()
            .find(|attempt| attempt.reference == *reference)
    };
    for paid in case.attempts.iter().filter(|attempt| attempt.holds_money()) {
        let counts = matches!(
            paid.payment.map(|payment| payment.allocation),
            Some(Allocation::Applied)
        );
        // Whoever ended the grant on purpose has ended the access that was paid for.
        let has_grant = case
            .grants
            .iter()
            .any(|grant| grant.source.payment() == Some(&paid.reference));
        if counts && !has_grant {
            found.push(
                Discrepancy::about(case, DiscrepancyKind::MoneyWithoutAccess, now).payment(paid),
            );
        }
    }
    for grant in case
        .grants
        .iter()
        .filter(|grant| grant.state == GrantState::Live)
    {
        let other_subject =
            (&grant.learner, &grant.course) != (&enrollment.learner, &enrollment.course);
        if other_subject {
            found.push(Discrepancy::about(case, DiscrepancyKind::GrantDiffers, now).grant(grant));
            continue;
        }
        let backed = match grant.source.payment() {
            Some(payment) => attempt(payment).is_some_and(|paid| {
                paid.holds_money()
                    && (&paid.learner, &paid.course) == (&grant.learner, &grant.course)
            }),
            None => !matches!(grant.source, GrantSource::Payment { .. }),
        };
        let provisional = grant.source == GrantSource::Provisional
            && !matches!(enrollment.status, Status::AwaitingApproval { .. });
        if !backed || provisional {
            found.push(
                Discrepancy::about(case, DiscrepancyKind::AccessWithoutMoney, now).grant(grant),
            );
        }
        let paid = grant.source.payment().and_then(attempt);
        if paid.is_some_and(|paid| !grant.is_within(&paid.terms)) {
            found.push(
                Discrepancy::about(case, DiscrepancyKind::GrantExceedsOffer, now).grant(grant),
            );
        }
    }
    match &enrollment.status {
        Status::Approved { .. } => {
            let ever = |grant: &Grant| grant.enrollment == Some(enrollment.id);
            if !case.grants.iter().any(ever) && found.is_empty() {
                found.push(Discrepancy::about(
                    case,
                    DiscrepancyKind::ApprovedWithoutAccess,
                    now,
                ));
            }
        }
        Status::AwaitingPayment
        | Status::AwaitingApproval { .. }
        | Status::Rejected { .. }
        | Status::Expired
        | Status::Withdrawn { .. } => {}
    }
    if enrollment.waits_for.is_some() {
        let waited = now.signed_duration_since(enrollment.updated_at);
        if waited.to_std().is_ok_and(|waited| waited > approval_sla) {
            found.push(Discrepancy::about(
                case,
                DiscrepancyKind::PendingTooLong,
                now,
            ));
        }
    }
    found
}
