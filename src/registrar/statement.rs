//! Bank statements: imported once, compared with what waits, decided by a person.

use serde::Serialize;

use super::Error;
use super::admin::Admin;
use super::inbox::publishing;
use crate::enrollment::{Change, Effect, Step};
use crate::ids::Reference;
use crate::payment::{Attempt, Offer};
use crate::port::{Committed, Lookup, Page, PageRequest, RowFilter};
use crate::reason::{ApprovalCause, Note, Permission};
use crate::record::{Fact, Source};
use crate::statement::{
    RowChecksum, RowKey, RowState, StatementEntry, StatementRow, Suggestion, Waiting, suggest,
};

/// Rows written in one commit.
const BATCH: usize = 500;
/// Rows that suggestions are made from at most.
const MOST_ROWS: usize = 5_000;
/// Enrollments that suggestions are made from at most.
const MOST_WAITING: usize = 10_000;
/// Enrollments or rows read at once.
const PAGE: usize = 500;

/// What became of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Rows that are new.
    pub added: usize,
    /// Rows that were imported before.
    pub known: usize,
}

/// What became of one row that was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RowApproval {
    /// The row.
    pub row: RowChecksum,
    /// The attempt it was to pay.
    pub payment: Reference,
    /// Why it was not approved; `None` when it was.
    pub problem: Option<String>,
    /// What is offered to the learner today, where the attempt was for something else. The learner
    /// gets what the attempt offered.
    pub other_offer: Option<Offer>,
}

impl Admin<'_> {
    /// Imports rows of a bank statement. Those that were imported before are left out, so a
    /// file may be imported again, and files may overlap.
    ///
    /// # Errors
    /// The store's errors; rows before the error are kept, and the import can be repeated.
    pub async fn import_statement(&self, rows: Vec<StatementRow>) -> Result<Imported, Error> {
        self.allow(Permission::Approve, None).await?;
        let mut imported = Imported::default();
        for batch in rows.chunks(BATCH) {
            let added = self.registrar.within(self.import(batch)).await?;
            imported.added += added;
            imported.known += batch.len() - added;
        }
        Ok(imported)
    }

    async fn import(&self, rows: &[StatementRow]) -> Result<usize, Error> {
        let inner = &self.registrar.inner;
        let checksums: Vec<_> = rows.iter().map(|row| row.checksum.clone()).collect();
        for _ in 0..super::payment::ROUNDS {
            let known = inner.records.statement_rows(&checksums).await?;
            let mut taken: std::collections::HashSet<_> =
                known.iter().map(|entry| &entry.row.checksum).collect();
            let now = self.registrar.now();
            let mut new = Vec::new();
            for row in rows {
                if taken.insert(&row.checksum) {
                    new.push(StatementEntry::new(row.clone(), self.person().clone(), now));
                }
            }
            if new.is_empty() {
                return Ok(0);
            }
            let added = new.len();
            let fact = Fact::StatementImported {
                rows: u64::try_from(added).unwrap_or(u64::MAX),
            };
            let mut change = Change::records_only(vec![self.record(fact, now)]);
            change.statement = new;
            if self.registrar.commit(publishing(change)).await? == Committed::Done {
                return Ok(added);
            }
        }
        Err(Error::Contended)
    }

    /// Rows of bank statements, newest day first.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn statement(
        &self,
        filter: RowFilter,
        page: PageRequest<RowKey>,
    ) -> Result<Page<StatementEntry, RowKey>, Error> {
        self.allow(Permission::View, None).await?;
        let records = &self.registrar.inner.records;
        self.registrar
            .within(async { Ok(records.statement(filter, page).await?) })
            .await
    }

    /// Which open rows may be the bank transfers that enrollments wait for, best first (see
    /// [`suggest`]). Looks at the 5,000 newest open rows and the 10,000 oldest enrollments
    /// that wait.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn suggestions(&self) -> Result<Vec<Suggestion>, Error> {
        self.allow(Permission::View, None).await?;
        let (mut rows, mut next) = (Vec::new(), None);
        loop {
            let request = PageRequest {
                after: next,
                limit: PAGE,
            };
            let page = self.statement(RowFilter::Open, request).await?;
            rows.extend(page.items.into_iter().map(|entry| entry.row));
            next = page.next;
            if next.is_none() || rows.len() >= MOST_ROWS {
                break;
            }
        }
        let (mut waiting, mut next) = (Vec::new(), None);
        loop {
            let request = PageRequest {
                after: next,
                limit: PAGE,
            };
            let page = self.pending(request).await?;
            for item in page.items {
                let id = item.enrollment.id;
                let open = item
                    .attempts
                    .into_iter()
                    .filter(Attempt::is_payable_transfer);
                waiting.extend(open.map(|attempt| Waiting {
                    enrollment: id,
                    other_offer: item.enrollment.other_offer(&attempt),
                    reference: attempt.reference,
                    amount: attempt.amount,
                }));
            }
            next = page.next;
            if next.is_none() || waiting.len() >= MOST_WAITING {
                break;
            }
        }
        Ok(suggest(&rows, &waiting))
    }

    /// Approves enrollments for the rows that pay for them, one by one: one that fails does
    /// not stop the others. Each row is given with the attempt it pays, and pays for one at
    /// most. The learner gets what that attempt offered, and the row's own sum counts as paid,
    /// whether it is the price or not: look at [`Suggestion::amount_fits`] and
    /// [`Suggestion::other_offer`] first.
    pub async fn approve_rows(
        &self,
        pairs: &[(RowChecksum, Reference)],
        note: impl Into<Note>,
    ) -> Vec<RowApproval> {
        let note = note.into();
        let mut items = Vec::with_capacity(pairs.len());
        let allowed = self.allow(Permission::Approve, None).await;
        for (row, payment) in pairs {
            let approved = match &allowed {
                Err(error) => Err(error.clone()),
                Ok(()) => {
                    let approved = self.approve_row(row, payment, &note);
                    self.registrar.within(approved).await
                }
            };
            let (other_offer, problem) = match approved {
                Ok(other_offer) => (other_offer, None),
                Err(error) => (None, Some(error)),
            };
            items.push(RowApproval {
                row: row.clone(),
                payment: payment.clone(),
                problem: problem.map(|error| error.in_full()),
                other_offer,
            });
        }
        items
    }

    async fn approve_row(
        &self,
        row: &RowChecksum,
        payment: &Reference,
        note: &Note,
    ) -> Result<Option<Offer>, Error> {
        let registrar = self.registrar;
        let note = Some(note.clone()).filter(|note| !note.is_empty());
        for _ in 0..super::payment::ROUNDS {
            let mut entry = self.open_row(row).await?;
            let find = Lookup::Reference(payment);
            let found = registrar.inner.store.load(find).await?;
            let case = found.case.ok_or(Error::NotFound("payment"))?;
            let attempt = case.attempt(Some(payment.as_str()), None);
            let other_offer = attempt.and_then(|it| case.enrollment.other_offer(it));
            let now = registrar.now();
            let step: Step<'_> = registrar.step(self.who(), Source::AdminApproval, &note, now);
            let cause = ApprovalCause::ManualAdminApproval;
            let seen = (payment, entry.row.amount);
            let applied = case.approve_seen(self.person(), cause, seen, &step)?;
            match applied.effect {
                Effect::Approved => {}
                // The row stays open for the second person.
                Effect::Changed => {
                    if registrar.commit(applied.change).await? == Committed::Done {
                        return Err(Error::AwaitsSecond);
                    }
                    continue;
                }
                Effect::Nothing | Effect::Held(_) | Effect::Failed => {
                    return Err(Error::NotFound("enrollment that waits for a bank transfer"));
                }
            }
            let mut change = applied.change;
            entry.state = RowState::Matched {
                payment: payment.clone(),
                by: self.person().clone(),
                at: now,
            };
            change.statement.push(entry);
            if registrar.commit(change).await? == Committed::Done {
                return Ok(other_offer);
            }
        }
        Err(Error::Contended)
    }

    /// Says that a row is not for any enrollment, and what it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such open row, or the store's errors.
    pub async fn close_row(&self, row: &RowChecksum, note: impl Into<Note>) -> Result<(), Error> {
        self.allow(Permission::Approve, None).await?;
        let note = note.into();
        let registrar = self.registrar;
        registrar
            .within(async {
                let mut entry = self.open_row(row).await?;
                let now = registrar.now();
                entry.state = RowState::Closed {
                    by: self.person().clone(),
                    at: now,
                    note: note.clone(),
                };
                let row = row.as_str().to_owned();
                let mut record = self.record(Fact::StatementRowClosed { row }, now);
                record.note = Some(note);
                let mut change = Change::records_only(vec![record]);
                change.statement.push(entry);
                match registrar.commit(publishing(change)).await? {
                    Committed::Done => Ok(()),
                    Committed::Conflict | Committed::Duplicate => Err(Error::NotFound("open row")),
                }
            })
            .await
    }

    async fn open_row(&self, row: &RowChecksum) -> Result<StatementEntry, Error> {
        let records = &self.registrar.inner.records;
        let found = records.statement_rows(std::slice::from_ref(row)).await?;
        found
            .into_iter()
            .find(|entry| entry.state == RowState::Open)
            .ok_or(Error::NotFound("open row"))
    }
}
