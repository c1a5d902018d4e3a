use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::ids::{PersonId, Reference};
use crate::money::{Currency, Money};
use crate::reason::Note;
use crate::statement::{RowChecksum, RowState, StatementEntry, StatementRow};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct StatementRowRow {
    checksum: RowChecksum,
    booked_on: NaiveDate,
    amount: i64,
    currency: Currency,
    reference: Note,
    description: Note,
    imported_by: PersonId,
    imported_at: DateTime<Utc>,
    state: String,
    payment: Option<Reference>,
    decided_by: Option<PersonId>,
    decided_at: Option<DateTime<Utc>>,
    note: Option<Note>,
}

impl From<StatementEntry> for StatementRowRow {
    fn from(from: StatementEntry) -> Self {
        let (state, payment, decided, note) = match from.state {
            RowState::Open => ("open", None, None, None),
            RowState::Matched { payment, by, at } => {
                ("matched", Some(payment), Some((by, at)), None)
            }
            RowState::Closed { by, at, note } => ("closed", None, Some((by, at)), Some(note)),
        };
        let (decided_by, decided_at) = decided.unzip();
        let row = from.row;
        Self {
            checksum: row.checksum,
            booked_on: row.date,
            amount: row.amount.minor(),
            currency: row.amount.currency(),
            reference: row.reference,
            description: row.description,
            imported_by: from.imported_by,
            imported_at: from.imported_at,
            state: state.to_owned(),
            payment,
            decided_by,
            decided_at,
            note,
        }
    }
}

impl TryFrom<StatementRowRow> for StatementEntry {
    type Error = BadRow;

    fn try_from(row: StatementRowRow) -> Result<Self, BadRow> {
        let bad = || BadRow("statement_rows");
        let decided = row.decided_by.zip(row.decided_at);
        let state = match (row.state.as_str(), row.payment, decided) {
            ("open", None, None) => RowState::Open,
            ("matched", Some(payment), Some((by, at))) => RowState::Matched { payment, by, at },
            ("closed", None, Some((by, at))) => RowState::Closed {
                by,
                at,
                note: row.note.unwrap_or_else(|| Note::new("")),
            },
            _ => return Err(bad()),
        };
        let kept = StatementRow {
            checksum: row.checksum,
            date: row.booked_on,
            amount: Money::new(row.amount, row.currency).map_err(|_| bad())?,
            reference: row.reference,
            description: row.description,
        };
        Ok(Self {
            state,
            ..Self::new(kept, row.imported_by, row.imported_at)
        })
    }
}
