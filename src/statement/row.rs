use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{PersonId, Reference};
use crate::money::Money;
use crate::reason::Note;

/// What makes a row the same as another: SHA-256 over its date, sum and texts, and over how
/// many rows before it in its file say just the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowChecksum(Arc<str>);

impl RowChecksum {
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RowChecksum {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RowChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of a bank statement: money that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatementRow {
    /// What makes it the same as another.
    pub checksum: RowChecksum,
    /// The day the bank booked it.
    pub date: NaiveDate,
    /// How much.
    pub amount: Money,
    /// The payer's reference.
    pub reference: Note,
    /// What else the bank says about it.
    pub description: Note,
}

impl StatementRow {
    /// A row. `same_before` counts the rows before it in the same statement that say just
    /// the same, so that two equal transfers on one day stay two.
    pub fn new(
        date: NaiveDate,
        amount: Money,
        reference: &str,
        description: &str,
        same_before: u32,
    ) -> Self {
        let mut sum = Sha256::new();
        for part in [
            date.to_string().as_str(),
            &amount.to_string(),
            reference.trim(),
            description.trim(),
            &same_before.to_string(),
        ] {
            // The length in front keeps the parts apart.
            sum.update(part.len().to_le_bytes());
            sum.update(part);
        }
        let checksum = base16ct::lower::encode_string(&sum.finalize());
        Self {
            checksum: RowChecksum(checksum.into()),
            date,
            amount,
            reference: Note::new(reference),
            description: Note::new(description),
        }
    }
}

/// Where a row stands in the list: newest day first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowKey {
    /// Its day.
    pub date: NaiveDate,
    /// Its checksum.
    pub checksum: RowChecksum,
}

/// A row that was imported, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatementEntry {
    /// The row.
    pub row: StatementRow,
    /// Who imported it.
    pub imported_by: PersonId,
    /// When.
    pub imported_at: DateTime<Utc>,
    /// What became of it.
    pub state: RowState,
}

impl StatementEntry {
    /// A row that was just imported.
    pub fn new(row: StatementRow, imported_by: PersonId, imported_at: DateTime<Utc>) -> Self {
        Self {
            row,
            imported_by,
            imported_at,
            state: RowState::Open,
        }
    }

    /// Its place in the list.
    pub fn key(&self) -> RowKey {
        RowKey {
            date: self.row.date,
            checksum: self.row.checksum.clone(),
        }
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RowState {
    /// Nobody has decided yet.
    Open,
    /// It paid for an enrollment.
    Matched {
        /// The attempt it paid.
        payment: Reference,
        /// Who said so.
        by: PersonId,
        /// When.
        at: DateTime<Utc>,
    },
    /// It is not for any enrollment.
    Closed {
        /// Who said so.
        by: PersonId,
        /// When.
        at: DateTime<Utc>,
        /// What it is.
        note: Note,
    },
}
