//! Bank statements: imported once, compared with what waits, decided by a person.

use crate::registrar::admin::handles::Statements;
use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::event::{Event, EventKind};
use crate::registrar::error::Error;
use crate::registrar::parts::system::publishing;
use crate::statement::{
    Incoming, NewRow, RowId, RowKey, RowState, StatementEntry, StatementRow, grouped, names,
    sort_out,
};
use crate::store::{Change, CommitOutcome, Page, PageRequest, RowFilter, RowProbe};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{AccountId, Note};

/// Rows written in one commit.
const BATCH: usize = 500;

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Rows that are new.
    pub added: usize,
    /// Rows that may be earlier ones once more: they pay nothing until a person says that they are
    /// others.
    pub doubtful: usize,
    /// Rows that were imported before.
    pub known: usize,
}

impl Imported {
    fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.doubtful += other.doubtful;
        self.known += other.known;
    }
}

impl Statements<'_> {
    /// Imports rows of a bank statement for one of the school's accounts. Those that were imported
    /// before are left out, so a file may be imported again, read in another way, and files may
    /// overlap. What may be an earlier row once more, and cannot be told for certain, is kept
    /// beside it as [doubtful](RowFilter::Doubtful).
    ///
    /// A row is certainly the same by the bank's own id, by its day, sum and the balance behind it, or
    /// by its line in the same file. `parse_csv` gives rows what their file has of these; rows made
    /// otherwise should have one of them.
    ///
    /// Large imports are stored in parts. Each part leaves a [event](EventKind::StatementImported) that
    /// says how far the import is: live updates show it to the admin.
    ///
    /// # Errors
    /// The store's errors; rows before the error are kept, and the import can be repeated.
    pub async fn import(
        &self,
        account: &AccountId,
        rows: &[StatementRow],
    ) -> Result<Imported, Error> {
        self.admin.allow(Permission::Approve, None).await?;
        let groups = grouped(account, rows);
        let import = (account, names(&groups));
        let mut imported = Imported::default();
        let mut done = 0;
        for batch in batches(groups) {
            done += batch.iter().map(Vec::len).sum::<usize>();
            let batch = self.import_rows(&import, &batch, (done, rows.len()));
            let found = self.admin.registrar.within(batch).await?;
            imported.add(&found);
        }
        Ok(imported)
    }

    /// What an import would come to, without importing anything.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn rehearse(
        &self,
        account: &AccountId,
        rows: &[StatementRow],
    ) -> Result<Imported, Error> {
        self.admin.allow(Permission::View, None).await?;
        let groups = grouped(account, rows);
        let import = (account, names(&groups));
        let mut imported = Imported::default();
        for batch in batches(groups) {
            let sorted = self.sorted(&import, &batch);
            let (found, _) = self.admin.registrar.within(sorted).await?;
            imported.add(&found);
        }
        Ok(imported)
    }

    /// The accounts that statements were imported for, by name.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn accounts(&self) -> Result<Vec<AccountId>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let events = &self.admin.registrar.inner.events;
        self.admin
            .registrar
            .within(async { Ok(events.accounts().await?) })
            .await
    }

    async fn import_rows(
        &self,
        import: &(&AccountId, HashSet<RowId>),
        groups: &[Vec<Incoming<'_>>],
        (done, of): (usize, usize),
    ) -> Result<Imported, Error> {
        for _ in 0..crate::registrar::core::ROUNDS {
            let (imported, new) = self.sorted(import, groups).await?;
            if new.is_empty() {
                return Ok(imported);
            }
            let count = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
            let kind = EventKind::StatementImported {
                account: import.0.clone(),
                rows: count(new.len()),
                doubtful: count(imported.doubtful),
                done: count(done),
                of: count(of),
            };
            let now = self.admin.registrar.now();
            let mut change = Change::events_only(vec![self.admin.event(kind, now)]);
            change.statement = new;
            if self.admin.registrar.commit(publishing(change)).await? == CommitOutcome::Done {
                return Ok(imported);
            }
        }
        Err(Error::Contended)
    }

    /// What of some rows is new.
    async fn sorted(
        &self,
        import: &(&AccountId, HashSet<RowId>),
        groups: &[Vec<Incoming<'_>>],
    ) -> Result<(Imported, Vec<StatementEntry>), Error> {
        let (account, names) = (import.0, &import.1);
        let rows = groups.iter().flatten().map(|incoming| incoming.row);
        let probes: Vec<RowProbe> = rows.map(|row| RowProbe::of(account, row)).collect();
        let stored = self.admin.registrar.inner.events.rows_like(&probes).await?;
        let now = self.admin.registrar.now();
        let (mut imported, mut new) = (Imported::default(), Vec::new());
        for (group, stored) in groups.iter().zip(apart(groups, &probes, stored)) {
            let sorted = sort_out(account, names, group, &stored);
            imported.known += group.len() - sorted.len();
            for NewRow {
                row,
                id,
                number,
                resembles,
            } in sorted
            {
                let by = self.admin.person().clone();
                let owner = (account.clone(), number);
                let mut entry = StatementEntry::new(id, owner, row.clone(), by, now);
                if resembles.is_some() {
                    (entry.resembles, entry.state) = (resembles, RowState::Doubtful);
                    imported.doubtful += 1;
                } else {
                    imported.added += 1;
                }
                new.push(entry);
            }
        }
        Ok((imported, new))
    }

    /// Rows of bank statements, newest day first.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn list(
        &self,
        filter: RowFilter,
        page: PageRequest<RowKey>,
    ) -> Result<Page<StatementEntry, RowKey>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let events = &self.admin.registrar.inner.events;
        self.admin
            .registrar
            .within(async { Ok(events.statement(filter, page).await?) })
            .await
    }

    /// The rows of these names, in no order; names of none are left out.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn rows(&self, rows: &[RowId]) -> Result<Vec<StatementEntry>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let events = &self.admin.registrar.inner.events;
        self.admin
            .registrar
            .within(async { Ok(events.statement_rows(rows).await?) })
            .await
    }

    /// Says that a row, or what is left of its sum, is not for any enrollment, and what it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such row that waits, or the store's errors.
    pub async fn close(&self, row: &RowId, note: impl Into<Note>) -> Result<(), Error> {
        self.admin.allow(Permission::Approve, None).await?;
        let note = note.into();
        let closed = self.decide(std::slice::from_ref(row), |entries, now| {
            for entry in entries.iter_mut() {
                entry.state = RowState::Closed {
                    by: self.admin.person().clone(),
                    at: now,
                    note: note.clone(),
                };
            }
            let row = row.as_str().to_owned();
            let mut event = self.admin.event(EventKind::StatementRowClosed { row }, now);
            event.note = Some(note.clone());
            Ok(event)
        });
        self.admin.registrar.within(closed).await
    }

    /// Says that a doubtful row is another than the one it resembles: from now on it may pay.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such doubtful row, or the store's errors.
    pub async fn tell_apart(&self, row: &RowId, note: impl Into<Note>) -> Result<(), Error> {
        self.admin.allow(Permission::Approve, None).await?;
        let note = note.into();
        let told = self.decide(std::slice::from_ref(row), |entries, now| {
            let mut resembles = String::new();
            for entry in entries.iter_mut() {
                if entry.state != RowState::Doubtful {
                    return Err(Error::NotFound("doubtful row"));
                }
                entry.state = RowState::Open;
                let known = entry.resembles.as_ref().map_or("", RowId::as_str);
                resembles = known.to_owned();
            }
            let row = row.as_str().to_owned();
            let mut event = self
                .admin
                .event(EventKind::StatementRowApart { row, resembles }, now);
            event.note = Some(note.clone()).filter(|note| !note.is_empty());
            Ok(event)
        });
        self.admin.registrar.within(told).await
    }

    /// Says that doubtful rows are the rows they resemble, once more: all of them, or none.
    ///
    /// # Errors
    /// [`Error::NotFound`] when one of them is no doubtful row, or the store's errors.
    pub async fn close_repeats(&self, rows: &[RowId]) -> Result<(), Error> {
        self.admin.allow(Permission::Approve, None).await?;
        for batch in rows.chunks(BATCH) {
            let closed = self.decide(batch, |entries, now| {
                for entry in entries.iter_mut() {
                    if entry.state != RowState::Doubtful {
                        return Err(Error::NotFound("doubtful row"));
                    }
                    let by = self.admin.person().clone();
                    entry.state = RowState::Repeated { by, at: now };
                }
                let rows = u64::try_from(entries.len()).unwrap_or(u64::MAX);
                Ok(self
                    .admin
                    .event(EventKind::StatementRowsRepeated { rows }, now))
            });
            self.admin.registrar.within(closed).await?;
        }
        Ok(())
    }

    /// Changes rows that wait for a person.
    async fn decide(
        &self,
        rows: &[RowId],
        change: impl Fn(&mut Vec<StatementEntry>, DateTime<Utc>) -> Result<Event, Error>,
    ) -> Result<(), Error> {
        let mut rows: Vec<RowId> = rows.to_vec();
        rows.sort_unstable();
        rows.dedup();
        if rows.is_empty() {
            return Ok(());
        }
        for _ in 0..crate::registrar::core::ROUNDS {
            let mut entries = self.waiting_rows(&rows).await?;
            let event = change(&mut entries, self.admin.registrar.now())?;
            for entry in &mut entries {
                entry.revision = entry.revision.saturating_add(1);
            }
            let mut change = Change::events_only(vec![event]);
            change.statement = entries;
            if self.admin.registrar.commit(publishing(change)).await? == CommitOutcome::Done {
                return Ok(());
            }
        }
        Err(Error::Contended)
    }

    /// Rows that a person still has to decide about: all of these, or an error.
    pub(in crate::registrar) async fn waiting_rows(
        &self,
        rows: &[RowId],
    ) -> Result<Vec<StatementEntry>, Error> {
        let found = self
            .admin
            .registrar
            .inner
            .events
            .statement_rows(rows)
            .await?;
        match found.len() == rows.len() && found.iter().all(|entry| entry.state.waits()) {
            true => Ok(found),
            false => Err(Error::NotFound("open row")),
        }
    }
}

/// Groups for one commit each. A group is never parted.
fn batches(groups: Vec<Vec<Incoming<'_>>>) -> Vec<Vec<Vec<Incoming<'_>>>> {
    let mut batches: Vec<Vec<Vec<Incoming<'_>>>> = Vec::new();
    let mut room = 0;
    for group in groups {
        let rows = group.len();
        match batches.last_mut() {
            Some(batch) if rows <= room => {
                batch.push(group);
                room -= rows;
            }
            _ => {
                batches.push(vec![group]);
                room = BATCH.saturating_sub(rows);
            }
        }
    }
    batches
}

/// For each group, the stored rows that are like any of it.
fn apart(
    groups: &[Vec<Incoming<'_>>],
    probes: &[RowProbe],
    stored: Vec<StatementEntry>,
) -> Vec<Vec<StatementEntry>> {
    let mut at = 0;
    let mut places: HashMap<_, Vec<usize>> = HashMap::new();
    let mut balances: HashMap<_, Vec<usize>> = HashMap::new();
    let (mut days, mut ids) = (HashMap::new(), HashMap::new());
    for (index, group) in groups.iter().enumerate() {
        for probe in &probes[at..at + group.len()] {
            days.insert((probe.date, probe.amount), index);
            if let Some(balance) = probe.balance {
                let key = (probe.account.clone(), probe.amount, balance);
                balances.entry(key).or_default().push(index);
            }
            if let Some(id) = probe.id.clone() {
                ids.insert(id, index);
            }
            if let Some(place) = probe.place.clone() {
                places.entry(place).or_default().push(index);
            }
        }
        at += group.len();
    }
    let mut found: Vec<Vec<StatementEntry>> = groups.iter().map(|_| Vec::new()).collect();
    for entry in stored {
        let row = &entry.row;
        let mut like: Vec<usize> = Vec::new();
        like.extend(days.get(&(row.date, row.amount)));
        like.extend(ids.get(&entry.id));
        if let Some(balance) = row.balance {
            let key = (entry.account.clone(), row.amount, balance);
            like.extend(balances.get(&key).into_iter().flatten());
        }
        let place = row.place.as_ref().and_then(|place| places.get(place));
        like.extend(place.into_iter().flatten());
        like.sort_unstable();
        like.dedup();
        for index in like {
            found[index].push(entry.clone());
        }
    }
    found
}
