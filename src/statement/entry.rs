use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::row::{RowId, StatementRow};
use crate::vocabulary::{AccountId, AdminId, Money, Note, PaymentReference};

/// Where a row stands in the list: newest day first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowKey {
    /// Its day.
    pub date: NaiveDate,
    /// Its name.
    pub id: RowId,
}

/// A row that was imported, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatementEntry {
    /// Its name.
    pub id: RowId,
    /// The school's account that the money arrived in.
    pub account: AccountId,
    /// Which of the account's rows of that day and sum it is, from 0.
    pub number: u32,
    /// What was read.
    pub row: StatementRow,
    /// An earlier row that it may be the same as.
    pub resembles: Option<RowId>,
    /// Who imported it.
    pub imported_by: AdminId,
    /// When.
    pub imported_at: DateTime<Utc>,
    /// What became of it.
    pub state: RowState,
    /// What it paid, oldest first.
    pub parts: Vec<RowPart>,
    /// How often that was changed.
    pub revision: u32,
}

/// What a row, or a part of its sum, paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPart {
    /// The attempt.
    pub payment: PaymentReference,
    /// How much of the row's sum.
    pub amount: Money,
    /// Who said so.
    pub by: AdminId,
    /// When.
    pub at: DateTime<Utc>,
}

impl StatementEntry {
    /// A row that was just imported.
    pub fn new(
        id: RowId,
        (account, number): (AccountId, u32),
        row: StatementRow,
        imported_by: AdminId,
        imported_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            account,
            number,
            row,
            resembles: None,
            imported_by,
            imported_at,
            state: RowState::Open,
            parts: Vec::new(),
            revision: 0,
        }
    }

    /// Its place in the list.
    pub fn key(&self) -> RowKey {
        RowKey {
            date: self.row.date,
            id: self.id.clone(),
        }
    }

    /// How much of its sum paid for something, in minor units.
    pub fn used(&self) -> i64 {
        self.parts.iter().map(|part| part.amount.minor()).sum()
    }

    /// How much of its sum is left; `None` when nothing is.
    pub fn left(&self) -> Option<Money> {
        let amount = self.row.amount;
        Money::new(amount.minor() - self.used(), amount.currency()).ok()
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RowState {
    /// Nobody has decided yet, or a part of its sum is left.
    Open,
    /// It may be an earlier row once more, and pays nothing until a person says that it is another.
    Doubtful,
    /// All of its sum paid for something.
    Matched,
    /// It, or what is left of it, is not for any enrollment.
    Closed {
        /// Who said so.
        by: AdminId,
        /// When.
        at: DateTime<Utc>,
        /// What it is.
        note: Note,
    },
    /// It is the row that it resembles, once more.
    Repeated {
        /// Who said so.
        by: AdminId,
        /// When.
        at: DateTime<Utc>,
    },
}

impl RowState {
    /// Whether a person still has to decide about it.
    pub fn waits(&self) -> bool {
        matches!(self, Self::Open | Self::Doubtful)
    }
}
