use std::fmt::{self, Debug};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::contract::StoreError;
use crate::enrollment::Enrollment;
use crate::payment::{Allocation, AttemptStatus, PaymentAttempt, PaymentMethod};
use crate::vocabulary::reason::{ExceptionAction, HoldReason};
use crate::vocabulary::{CourseId, Email, LearnerId, PaymentReference, Status, Title};

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
    pub method: Option<PaymentMethod>,
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
    Newest(DateTime<Utc>, PaymentReference),
    /// By reference: the order with a prefix of it.
    Reference(PaymentReference),
    /// By e-mail address, then reference: the order with a prefix of the address.
    Email(Email, PaymentReference),
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
    ///
    /// # Errors
    /// [`StoreError::Refused`].
    pub fn check(&self, key: Option<&PaymentKey>) -> Result<(), StoreError> {
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
    pub attempt: PaymentAttempt,
    /// The learner's e-mail address.
    pub email: Email,
    /// The course's newest title; the one that was paid for is the attempt's.
    pub title: Title,
    /// Where the enrollment stands.
    pub enrollment: Status,
}

impl PaymentItem {
    /// What the columns of [`csv`](Self::csv) are. Sums are in cents.
    pub const CSV_HEADER: &'static str = "started_at,reference,enrollment,learner,email,course,title,asked_cents,paid_cents,\
        returned_cents,currency,method,payment,paid_at,allocation,enrollment_status";

    /// The payment as a line of CSV (RFC 4180), without the line's end. A cell that a
    /// spreadsheet would take for a formula begins with an apostrophe.
    pub fn csv(&self) -> String {
        let attempt = &self.attempt;
        let payment = attempt.payment.as_ref();
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let allocation = payment.map(|payment| match payment.allocation {
            Allocation::Applied => "applied",
            Allocation::Kept => "kept",
            Allocation::OnHold(_) => "on_hold",
            Allocation::RefundDue(_) => "refund_due",
            Allocation::Refunded => "refunded",
        });
        let cells = [
            time(attempt.created_at),
            attempt.reference.as_str().to_owned(),
            attempt.enrollment.to_string(),
            attempt.learner.as_str().to_owned(),
            self.email.as_str().to_owned(),
            attempt.course.as_str().to_owned(),
            attempt.title.as_str().to_owned(),
            attempt.amount.minor().to_string(),
            attempt
                .paid()
                .map_or_else(String::new, |paid| paid.minor().to_string()),
            attempt.returned().to_string(),
            attempt.amount.currency().to_string(),
            payment
                .map_or(attempt.declared, |payment| payment.method)
                .to_string(),
            attempt.status.to_string(),
            payment.map_or_else(String::new, |payment| time(payment.at)),
            allocation.unwrap_or_default().to_owned(),
            self.enrollment.kind().to_string(),
        ];
        cells.map(|cell| csv_cell(&cell)).join(",")
    }
}

fn csv_cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = format!("{}{text}", if formula { "'" } else { "" });
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// Payments that arrived and need a decision: payment exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldPayment {
    /// The attempt it arrived for.
    pub attempt: PaymentAttempt,
    /// Where the enrollment stands.
    pub enrollment: Status,
    /// Why the enrollment waits for a person, if it does.
    pub waits_for: Option<HoldReason>,
}

impl HeldPayment {
    /// Reasons for which money is listed while its enrollment waits for a person.
    pub const REASONS: [HoldReason; 8] = [
        HoldReason::OldPrice,
        HoldReason::LatePayment,
        HoldReason::AccessCovered,
        HoldReason::DuplicatePayment,
        HoldReason::Underpayment,
        HoldReason::Overpayment,
        HoldReason::AmountDiffers,
        HoldReason::CurrencyDiffers,
    ];

    /// Whether this money belongs in the list: it is to be given back, or is held for one of
    /// [`REASONS`](Self::REASONS), or is held and not what a person is shown in the queue.
    pub fn is_exception(attempt: &PaymentAttempt, enrollment: &Enrollment) -> bool {
        let waits = enrollment.waits_for.is_some()
            && enrollment.waits_on.as_ref() == Some(&attempt.reference);
        attempt.held_back().is_some_and(|reason| {
            let allocation = attempt.payment.map(|payment| payment.allocation);
            !waits
                || matches!(allocation, Some(Allocation::RefundDue(_)))
                || Self::REASONS.contains(&reason)
        })
    }

    /// What becomes of it: a person decides, or it is to be given back.
    pub fn outcome(&self) -> ExceptionAction {
        let allocation = self.attempt.payment.map(|payment| payment.allocation);
        let waits = self.waits_for.is_some();
        match allocation {
            Some(Allocation::RefundDue(_)) => ExceptionAction::RefundDue,
            _ if waits => ExceptionAction::Hold,
            _ => ExceptionAction::RefundDue,
        }
    }
}
