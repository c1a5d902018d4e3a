//! Which rows were imported before.
//!
//! | what the bank says besides day and sum | the same as an earlier row | may be the same |
//! |---|---|---|
//! | its own id of the row | same account and id | |
//! | the balance behind it | same account, day, sum and balance | the texts are alike, or one of the two has no balance |
//! | nothing | same file and line, day and sum | same account, day and sum, and not told apart by the texts |
//!
//! What is the same is known, and left out. What may be the same is kept beside the earlier row,
//! and pays nothing until a person says that it is another. So is what is read from the same line of
//! a file with another day, sum or account, and what has the same sum and balance on another day,
//! or the same day and sum in another account, where the texts are alike or the balances equal.

use std::collections::{HashMap, HashSet};

use super::entry::{RowState, StatementEntry};
use super::row::{RowId, StatementRow};
use crate::vocabulary::AccountId;

/// A text that is shorter stands in others by chance.
const SHORTEST_ALIKE: usize = 6;

/// A row to be imported.
pub(crate) struct Incoming<'r> {
    pub(crate) row: &'r StatementRow,
    /// Its name; `None` where only its number among those of the same day and sum tells it apart.
    id: Option<RowId>,
    /// The row before it in the same import that the bank says just the same of.
    repeats: Option<RowId>,
}

/// A row that was not imported before.
pub(crate) struct NewRow<'r> {
    pub(crate) row: &'r StatementRow,
    pub(crate) id: RowId,
    pub(crate) number: u32,
    pub(crate) resembles: Option<RowId>,
}

/// The names that rows of an import have already.
pub(crate) fn names(groups: &[Vec<Incoming<'_>>]) -> HashSet<RowId> {
    let rows = groups.iter().flatten();
    rows.filter_map(|incoming| incoming.id.clone()).collect()
}

/// Names the rows of an import, in groups of the same day and sum.
pub(crate) fn grouped<'r>(account: &AccountId, rows: &'r [StatementRow]) -> Vec<Vec<Incoming<'r>>> {
    let mut seen: HashMap<RowId, u32> = HashMap::new();
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<Incoming<'r>>> = Vec::new();
    for row in rows {
        let first = strong_id(account, row);
        let times = first.as_ref().map(|id| {
            let times = seen.entry(id.clone()).or_default();
            *times += 1;
            *times - 1
        });
        let (id, repeats) = match (first, times) {
            (Some(id), Some(times @ 1..)) => {
                let again = RowId::of(&[id.as_str(), &times.to_string()]);
                (Some(again), Some(id))
            }
            (id, _) => (id, None),
        };
        let group = *places.entry((row.date, row.amount)).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push(Incoming { row, id, repeats });
    }
    groups
}

/// The name of a row that the bank, or its place in a file, tells apart from all others.
pub(crate) fn strong_id(account: &AccountId, row: &StatementRow) -> Option<RowId> {
    if let Some(id) = &row.bank_id {
        return Some(RowId::of(&["bank", account.as_str(), id]));
    }
    let (day, sum) = (row.date.to_string(), row.amount.to_string());
    if let Some(balance) = row.balance {
        let balance = balance.to_string();
        return Some(RowId::of(&[
            "balance",
            account.as_str(),
            &day,
            &sum,
            &balance,
        ]));
    }
    let place = row.place.as_ref()?;
    let line = place.line.to_string();
    let parts = ["place", account.as_str(), &day, &sum, &place.file, &line];
    Some(RowId::of(&parts))
}

/// What of a group was not imported before, compared with the stored rows that are like any of it.
/// `names` are those of the whole import: what has one of them is no other row's echo.
pub(crate) fn sort_out<'r>(
    account: &AccountId,
    names: &HashSet<RowId>,
    group: &[Incoming<'r>],
    stored: &[StatementEntry],
) -> Vec<NewRow<'r>> {
    let Some(any) = group.first().map(|incoming| incoming.row) else {
        return Vec::new();
    };
    let is_own = |known: &&StatementEntry| {
        known.account == *account && (known.row.date, known.row.amount) == (any.date, any.amount)
    };
    let own: Vec<&StatementEntry> = stored.iter().filter(is_own).collect();
    // An id of the bank names a row on whatever day it is written.
    let named: HashSet<&RowId> = stored.iter().map(|known| &known.id).collect();
    // Earlier rows that have their counterpart in this import.
    let mut taken: HashSet<&RowId> = HashSet::new();
    let mut new: Vec<&Incoming<'r>> = Vec::new();
    for incoming in group {
        let is_known = |known: &&&StatementEntry| {
            incoming.id.as_ref() == Some(&known.id) || same_place(incoming.row, &known.row)
        };
        match own.iter().find(is_known) {
            Some(known) => {
                taken.insert(&known.id);
            }
            None if incoming.id.as_ref().is_some_and(|id| named.contains(id)) => {}
            None => new.push(incoming),
        }
    }
    let repeated = |known: &StatementEntry| matches!(known.state, RowState::Repeated { .. });
    let open: Vec<&StatementEntry> = own
        .iter()
        .copied()
        .filter(|known| !repeated(known) && !taken.contains(&known.id))
        .collect();
    let mut resembled: Vec<Option<RowId>> = Vec::with_capacity(new.len());
    for incoming in &new {
        let found = open
            .iter()
            .find(|known| !taken.contains(&known.id) && is_counterpart(incoming.row, &known.row));
        if let Some(known) = found {
            taken.insert(&known.id);
        }
        let found = found.map(|known| known.id.clone());
        resembled.push(incoming.repeats.clone().or(found));
    }
    let next = own.iter().map(|known| known.number.saturating_add(1)).max();
    let mut number = next.unwrap_or_default();
    let mut sorted = Vec::with_capacity(new.len());
    for (incoming, resembled) in new.into_iter().zip(resembled) {
        let left = || {
            let left = open.iter().filter(|known| !taken.contains(&known.id));
            let mut left = left.filter(|known| may_be(incoming.row, &known.row));
            left.next().copied()
        };
        let elsewhere = || {
            let mut others = stored.iter().filter(|known| !names.contains(&known.id));
            others.find(|known| is_echo(account, incoming.row, known))
        };
        let resembles =
            resembled.or_else(|| left().or_else(elsewhere).map(|known| known.id.clone()));
        let id = incoming
            .id
            .clone()
            .unwrap_or_else(|| numbered(account, incoming.row, number));
        sorted.push(NewRow {
            row: incoming.row,
            id,
            number,
            resembles,
        });
        number = number.saturating_add(1);
    }
    sorted
}

/// The name of a row that nothing but its number tells apart.
fn numbered(account: &AccountId, row: &StatementRow, number: u32) -> RowId {
    let (day, sum) = (row.date.to_string(), row.amount.to_string());
    RowId::of(&["number", account.as_str(), &day, &sum, &number.to_string()])
}

fn same_place(row: &StatementRow, known: &StatementRow) -> bool {
    row.place.is_some() && row.place == known.place
}

fn same_file(row: &StatementRow, known: &StatementRow) -> bool {
    let file = |row: &StatementRow| row.place.as_ref().map(|place| place.file.clone());
    file(row).is_some() && file(row) == file(known)
}

/// What the balances say: `None` when one of them is not known.
fn same_balance(row: &StatementRow, known: &StatementRow) -> Option<bool> {
    Some(row.balance? == known.balance?)
}

/// Whether the bank, or one file that has both, says that two rows of a day and sum are two.
fn are_two(row: &StatementRow, known: &StatementRow) -> bool {
    let ids = row.bank_id.as_ref().zip(known.bank_id.as_ref());
    ids.is_some_and(|(id, other)| id != other) || same_file(row, known)
}

/// Whether a row of the same day and sum is most likely the same.
fn is_counterpart(row: &StatementRow, known: &StatementRow) -> bool {
    match same_balance(row, known) {
        Some(same) => same,
        None => !are_two(row, known) && are_alike(row, known),
    }
}

/// Whether a row of the same day and sum may be the same, when nothing in the import is more like it.
fn may_be(row: &StatementRow, known: &StatementRow) -> bool {
    match same_balance(row, known) {
        Some(same) => same || !are_two(row, known) && are_alike(row, known),
        None => !are_two(row, known),
    }
}

/// Whether a row of another line, day, sum or account may be the same, read otherwise.
fn is_echo(account: &AccountId, row: &StatementRow, known: &StatementEntry) -> bool {
    if same_place(row, &known.row) {
        return true;
    }
    if row.amount != known.row.amount || same_file(row, &known.row) {
        return false;
    }
    let same_balance = same_balance(row, &known.row) == Some(true);
    match (known.account == *account, row.date == known.row.date) {
        (true, false) => same_balance && are_alike(row, &known.row),
        (false, true) => same_balance || are_alike(row, &known.row),
        (true, true) | (false, false) => false,
    }
}

/// Whether one says what the other does: a file may have more columns than another.
fn are_alike(row: &StatementRow, known: &StatementRow) -> bool {
    let (one, other) = (row.plain_text(), known.plain_text());
    let (short, long) = match one.len() <= other.len() {
        true => (one, other),
        false => (other, one),
    };
    short.len() >= SHORTEST_ALIKE && long.contains(&short)
}
