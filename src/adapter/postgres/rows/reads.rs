//! What reads for people give: parts of several tables together.

use chrono::NaiveDate;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::enrollment::status;
use super::{AttemptRow, BadRow, EnrollmentRow, GrantRow};
use crate::access::Grant;
use crate::enrollment::Case;
use crate::payment::PaymentAttempt;
use crate::store::{CourseFigures, DayFigures, Figures, HeldPayment, PaymentItem, PendingItem};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{CourseId, Email, StatusKind, Title};

/// One line of a list of payments.
#[derive(Deserialize)]
pub(in super::super) struct PaymentRow {
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
            enrollment: status(row.status, row.reason.as_deref())?,
        })
    }
}

/// One enrollment of the approval queue.
#[derive(Deserialize)]
pub(in super::super) struct PendingRow {
    enrollment: EnrollmentRow,
    attempts: Vec<AttemptRow>,
}

impl TryFrom<PendingRow> for PendingItem {
    type Error = BadRow;

    fn try_from(row: PendingRow) -> Result<Self, BadRow> {
        let attempts: Result<_, BadRow> = row
            .attempts
            .into_iter()
            .map(PaymentAttempt::try_from)
            .collect();
        Ok(Self {
            enrollment: row.enrollment.try_into()?,
            attempts: attempts?,
        })
    }
}

/// Payment exceptions.
#[derive(Deserialize)]
pub(in super::super) struct HeldPaymentRow {
    attempt: AttemptRow,
    status: StatusKind,
    reason: Option<String>,
    waits_for: Option<HoldReason>,
}

impl TryFrom<HeldPaymentRow> for HeldPayment {
    type Error = BadRow;

    fn try_from(row: HeldPaymentRow) -> Result<Self, BadRow> {
        Ok(Self {
            attempt: row.attempt.try_into()?,
            enrollment: status(row.status, row.reason.as_deref())?,
            waits_for: row.waits_for,
        })
    }
}

/// One enrollment with everything around it.
#[derive(Deserialize)]
pub(in super::super) struct CaseRow {
    enrollment: EnrollmentRow,
    attempts: Vec<AttemptRow>,
    grants: Vec<GrantRow>,
    confirming: Option<DateTime<Utc>>,
}

impl TryFrom<CaseRow> for Case {
    type Error = BadRow;

    fn try_from(row: CaseRow) -> Result<Self, BadRow> {
        let attempts: Result<_, BadRow> = row
            .attempts
            .into_iter()
            .map(PaymentAttempt::try_from)
            .collect();
        let grants: Result<_, BadRow> = row.grants.into_iter().map(Grant::try_from).collect();
        Ok(Self {
            enrollment: row.enrollment.try_into()?,
            attempts: attempts?,
            grants: grants?,
            confirming: row.confirming,
        })
    }
}

/// The figures of one day or course.
#[derive(Deserialize)]
pub(in super::super) struct FiguresRow<K> {
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
