use chrono::{DateTime, FixedOffset, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::vocabulary::{CourseId, Currency};

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
    /// How long approval took from enrolling, for half of these at most, in seconds. What came
    /// approved, from another system, is left out.
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
