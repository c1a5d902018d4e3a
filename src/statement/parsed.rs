//! What was read of a file, line by line.

use std::fmt;

use serde::Serialize;

use super::row::StatementRow;

/// What a file held. Each of its lines is in one count, and the counts add up:
/// `lines == rows.len() + outgoing + pending + bad.len() + skipped`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedStatement {
    /// Money that arrived, in the order of the file.
    pub rows: Vec<StatementRow>,
    /// Lines of the file.
    pub lines: usize,
    /// Rows of money that left the account.
    pub outgoing: usize,
    /// Rows that the bank has not booked yet: they come back when they are booked.
    pub pending: usize,
    /// Lines that are no rows, and rows without a sum: the header, what stands before it, blank
    /// lines, balances, notes.
    pub skipped: usize,
    /// Rows that could not be read.
    pub bad: Vec<BadRow>,
}

/// A row that could not be read. What stands in it is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BadRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: BadReason,
}

/// Why a row could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BadReason {
    /// A quote is opened and not closed in the line.
    OpenQuote,
    /// The day is not written as the mapping says, or there is no such day.
    NoDay,
    /// The year has two digits, and the mapping does not say which century they mean.
    TwoDigitYear,
    /// The day has no year, and nothing before it gives it one.
    NoYear,
    /// The day is before 2000, or more than a year ahead.
    FarDay,
    /// The sum cannot be read without a guess, or is larger than any.
    NoSum,
    /// The word for the direction is none that the mapping names.
    NoDirection,
    /// What stands there says both that money arrived and that it left.
    BothDirections,
}

impl BadReason {
    /// What it means, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenQuote => "a quote is opened and not closed in this line",
            Self::NoDay => "its day is not written as the mapping says, or does not exist",
            Self::TwoDigitYear => "its year has two digits: say which century in `century`",
            Self::NoYear => "its day has no year: say where to find it in `statement_day`",
            Self::FarDay => "its day is before 2000 or more than a year ahead",
            Self::NoSum => "its sum cannot be read without a guess",
            Self::NoDirection => "its word for the direction is none that the mapping names",
            Self::BothDirections => "it says both that money arrived and that it left",
        }
    }
}

impl fmt::Display for BadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
