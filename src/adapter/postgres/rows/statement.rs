use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::statement::{FileLine, RowId, RowPart, RowState, StatementEntry, StatementRow};
use crate::vocabulary::{AccountId, AdminId, Currency, Money, Note, PaymentReference};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct StatementRowRow {
    id: RowId,
    account: AccountId,
    booked_on: NaiveDate,
    amount: i64,
    currency: Currency,
    number: u32,
    reference: Note,
    description: Note,
    balance: Option<i64>,
    bank_id: Option<Arc<str>>,
    file: Option<Arc<str>>,
    line: Option<u32>,
    resembles: Option<RowId>,
    imported_by: AdminId,
    imported_at: DateTime<Utc>,
    state: String,
    used: i64,
    decided_by: Option<AdminId>,
    decided_at: Option<DateTime<Utc>>,
    note: Option<Note>,
    revision: u32,
    parts: Vec<PartRow>,
}

/// The row's own currency is the part's.
#[derive(Serialize, Deserialize)]
struct PartRow {
    payment: PaymentReference,
    amount: i64,
    approved_by: AdminId,
    approved_at: DateTime<Utc>,
}

impl From<StatementEntry> for StatementRowRow {
    fn from(from: StatementEntry) -> Self {
        let used = from.used();
        let (state, decided, note) = match from.state {
            RowState::Open => ("open", None, None),
            RowState::Doubtful => ("doubtful", None, None),
            RowState::Matched => ("matched", None, None),
            RowState::Closed { by, at, note } => ("closed", Some((by, at)), Some(note)),
            RowState::Repeated { by, at } => ("repeated", Some((by, at)), None),
        };
        let (decided_by, decided_at) = decided.unzip();
        let row = from.row;
        let (file, line) = row.place.map(|place| (place.file, place.line)).unzip();
        Self {
            id: from.id,
            account: from.account,
            booked_on: row.date,
            amount: row.amount.minor(),
            currency: row.amount.currency(),
            number: from.number,
            reference: row.reference,
            description: row.description,
            balance: row.balance,
            bank_id: row.bank_id,
            file,
            line,
            resembles: from.resembles,
            imported_by: from.imported_by,
            imported_at: from.imported_at,
            state: state.to_owned(),
            used,
            decided_by,
            decided_at,
            note,
            revision: from.revision,
            parts: from.parts.into_iter().map(PartRow::from).collect(),
        }
    }
}

impl From<RowPart> for PartRow {
    fn from(part: RowPart) -> Self {
        Self {
            payment: part.payment,
            amount: part.amount.minor(),
            approved_by: part.by,
            approved_at: part.at,
        }
    }
}

impl TryFrom<StatementRowRow> for StatementEntry {
    type Error = BadRow;

    fn try_from(row: StatementRowRow) -> Result<Self, BadRow> {
        let bad = || BadRow("statement_rows");
        let decided = row.decided_by.zip(row.decided_at);
        let state = match (row.state.as_str(), decided) {
            ("open", None) => RowState::Open,
            ("doubtful", None) => RowState::Doubtful,
            ("matched", None) => RowState::Matched,
            ("closed", Some((by, at))) => RowState::Closed {
                by,
                at,
                note: row.note.unwrap_or_else(|| Note::new("")),
            },
            ("repeated", Some((by, at))) => RowState::Repeated { by, at },
            _ => return Err(bad()),
        };
        let money = |minor| Money::new(minor, row.currency).map_err(|_| bad());
        let parts = row.parts.into_iter().map(|part| {
            Ok(RowPart {
                payment: part.payment,
                amount: money(part.amount)?,
                by: part.approved_by,
                at: part.approved_at,
            })
        });
        let parts = parts.collect::<Result<_, BadRow>>()?;
        let place = row.file.zip(row.line);
        let kept = StatementRow {
            date: row.booked_on,
            amount: money(row.amount)?,
            reference: row.reference,
            description: row.description,
            balance: row.balance,
            bank_id: row.bank_id,
            place: place.map(|(file, line)| FileLine { file, line }),
        };
        let owner = (row.account, row.number);
        Ok(Self {
            resembles: row.resembles,
            state,
            parts,
            revision: row.revision,
            ..Self::new(row.id, owner, kept, row.imported_by, row.imported_at)
        })
    }
}
