//! What reads for people give: parts of several tables together.

use chrono::NaiveDate;
use serde::Deserialize;

use super::enrollment::status;
use super::{AttemptRow, BadRow, EnrollmentRow};
use crate::enrollment::StatusKind;
use crate::ids::{CourseId, Email, Title};
use crate::payment::Attempt;
use crate::port::{CourseFigures, DayFigures, Figures, PaymentItem, PendingItem};

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
        let attempts: Result<_, BadRow> = row.attempts.into_iter().map(Attempt::try_from).collect();
        Ok(Self {
            enrollment: row.enrollment.try_into()?,
            attempts: attempts?,
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
