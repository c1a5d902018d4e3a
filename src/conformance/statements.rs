//! Rows of bank statements: imported once, found again by what they say, and used up once.

use chrono::NaiveDate;

use super::harness::{Checked, ensure, open, start, with_step};
use crate::enrollment::StepOutcome;
use crate::payment::PaymentMethod;
use crate::statement::{FileLine, RowId, RowPart, RowState, StatementEntry, StatementRow};
use crate::store::{
    Change, CommitOutcome, Lookup, PageRequest, Queries, RowFilter, RowProbe, Store,
};
use crate::vocabulary::{AccountId, AdminId, Currency, LearnerId, Money, Note, PaymentReference};

type Failed = Box<dyn std::error::Error + Send + Sync>;

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 1, day).unwrap_or_default()
}

fn entry(name: &str, number: u32, row: StatementRow) -> Result<StatementEntry, Failed> {
    let (account, person) = (AccountId::new("fnb")?, AdminId::new("admin")?);
    let id = RowId::from(name);
    Ok(StatementEntry::new(
        id,
        (account, number),
        row,
        person,
        start(),
    ))
}

/// Two equal rows on each of three days.
fn entries() -> Result<Vec<StatementEntry>, Failed> {
    let mut entries = Vec::new();
    for at in 1..=3_u32 {
        for number in 0..2 {
            let row = StatementRow::new(day(at), Money::zar(49_900)?, "CG-1", "EFT \u{e9}");
            entries.push(entry(&format!("{at}/{number}"), number, row)?);
        }
    }
    Ok(entries)
}

async fn write<S: Store>(store: &S, entries: Vec<StatementEntry>) -> Result<CommitOutcome, Failed> {
    let change = Change {
        statement: entries,
        ..Change::default()
    };
    Ok(store.commit(change).await?)
}

async fn listed<S: Queries>(store: &S, filter: RowFilter) -> Result<Vec<StatementEntry>, Failed> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let request = PageRequest {
            after: next,
            limit: 4,
        };
        let page = store.statement(filter, request).await?;
        found.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// The same row, with another step decided.
fn decided(
    entry: &StatementEntry,
    state: RowState,
    part: Option<i64>,
) -> Result<StatementEntry, Failed> {
    let mut entry = entry.clone();
    entry.state = state;
    entry.revision += 1;
    if let Some(minor) = part {
        entry.parts.push(RowPart {
            payment: PaymentReference::new(format!("REF-{}", entry.parts.len()))?,
            amount: Money::new(minor, entry.row.amount.currency())?,
            by: AdminId::new("admin")?,
            at: start(),
        });
    }
    Ok(entry)
}

pub(super) async fn a_row_is_imported_once_and_decided_once<S: Store + Queries>(
    store: &S,
) -> Checked {
    let mut rows = entries()?;
    ensure!(
        store.accounts().await?.is_empty(),
        "there is an account before any import"
    );
    ensure!(
        write(store, rows.clone()).await? == CommitOutcome::Done,
        "rows are refused"
    );
    ensure!(
        write(store, vec![rows[3].clone()]).await? == CommitOutcome::Conflict,
        "a row is imported twice"
    );
    let mut same_number = rows[3].clone();
    same_number.id = "other".into();
    ensure!(
        write(store, vec![same_number.clone()]).await? == CommitOutcome::Conflict,
        "two imports count the same row of a day and sum"
    );
    same_number.account = AccountId::new("absa")?;
    ensure!(
        write(store, vec![same_number]).await? == CommitOutcome::Done,
        "another account has no row of its own"
    );
    let accounts = store.accounts().await?;
    let names: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    ensure!(names == ["absa", "fnb"], "accounts are not listed by name");

    rows.sort_by(|a, b| (b.row.date, &a.id).cmp(&(a.row.date, &b.id)));
    let mut found = listed(store, RowFilter::Open).await?;
    found.retain(|entry| entry.id.as_str() != "other");
    ensure!(found == rows, "the rows do not come back in order");

    let unknown = decided(
        &entry("unknown", 9, rows[0].row.clone())?,
        RowState::Matched,
        Some(49_900),
    )?;
    ensure!(
        write(store, vec![unknown]).await? == CommitOutcome::Conflict,
        "a row is decided that was never imported"
    );
    let part = decided(&rows[0], RowState::Open, Some(20_000))?;
    ensure!(
        write(store, vec![part.clone()]).await? == CommitOutcome::Done,
        "a part of a row cannot be used"
    );
    ensure!(
        write(
            store,
            vec![decided(&rows[0], RowState::Open, Some(29_900))?]
        )
        .await?
            == CommitOutcome::Conflict,
        "two persons use the same sum"
    );
    let whole = decided(&part, RowState::Matched, Some(29_900))?;
    ensure!(
        write(store, vec![whole.clone()]).await? == CommitOutcome::Done,
        "the rest of a row cannot be used"
    );
    let closed = |entry: &StatementEntry| {
        let note = Note::new("not ours");
        let by = AdminId::new("admin")?;
        decided(
            entry,
            RowState::Closed {
                by,
                at: start(),
                note,
            },
            None,
        )
    };
    ensure!(
        write(store, vec![closed(&whole)?]).await? == CommitOutcome::Conflict,
        "a row is decided twice"
    );
    let rest = closed(&rows[1])?;
    write(store, vec![rest.clone()]).await?;
    let settled = listed(store, RowFilter::Settled).await?;
    ensure!(settled == [whole.clone(), rest], "a decision is lost");
    let asked = [rows[0].id.clone(), "unknown".into()];
    ensure!(
        store.statement_rows(&asked).await? == [whole],
        "a row is not found by its name"
    );
    Ok(())
}

pub(super) async fn a_doubtful_row_waits_beside_the_one_it_resembles<S: Store + Queries>(
    store: &S,
) -> Checked {
    let row = StatementRow::new(day(1), Money::zar(100)?, "a", "");
    let first = entry("first", 0, row.clone())?;
    let mut doubtful = entry("again", 1, row.clone())?;
    (doubtful.resembles, doubtful.state) = (Some(first.id.clone()), RowState::Doubtful);
    let mut other = entry("other", 2, row)?;
    (other.resembles, other.state) = (Some(first.id.clone()), RowState::Doubtful);
    write(store, vec![first.clone(), doubtful.clone(), other.clone()]).await?;
    ensure!(
        listed(store, RowFilter::Open).await? == [first.clone()],
        "a doubtful row is among the open ones"
    );
    ensure!(
        listed(store, RowFilter::Doubtful).await? == [doubtful.clone(), other.clone()],
        "doubtful rows are not listed"
    );
    let apart = decided(&doubtful, RowState::Open, None)?;
    let by = AdminId::new("admin")?;
    let repeated = decided(&other, RowState::Repeated { by, at: start() }, None)?;
    ensure!(
        write(store, vec![apart.clone(), repeated.clone()]).await? == CommitOutcome::Done,
        "a doubt cannot be settled"
    );
    ensure!(
        listed(store, RowFilter::Doubtful).await?.is_empty()
            && listed(store, RowFilter::Open).await? == [apart, first]
            && listed(store, RowFilter::Settled).await? == [repeated],
        "a doubt that is settled stands"
    );
    Ok(())
}

pub(super) async fn rows_are_found_by_what_they_say<S: Store + Queries>(store: &S) -> Checked {
    let place = |file: &str, line| FileLine {
        file: file.into(),
        line,
    };
    let mut stored = Vec::new();
    let mut numbers = std::collections::HashMap::new();
    for (at, (date, minor, balance, line)) in [
        (1, 100, Some(-500), 1),
        (1, 100, None, 2),
        (1, 200, Some(900), 3),
        (2, 100, Some(900), 4),
        (3, 100, Some(-500), 5),
        (
            3,
            i64::from(u32::MAX),
            Some(i64::MAX),
            u32::try_from(i32::MAX)?,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        for currency in ["ZAR", "USD"] {
            let amount = Money::new(minor, Currency::new(currency)?)?;
            let mut row = StatementRow::new(day(date), amount, "", "");
            (row.balance, row.place) = (balance, Some(place(currency, line)));
            if at == 1 {
                row = row.with_bank_id("T-1");
            }
            let number = numbers.entry((date, amount)).or_insert(0);
            stored.push(entry(&format!("{at}{currency}"), *number, row)?);
            *number += 1;
        }
    }
    write(store, stored.clone()).await?;
    let mut probes = Vec::new();
    for known in &stored {
        let probe = RowProbe::of(&known.account, &known.row);
        let mut elsewhere = probe.clone();
        elsewhere.account = AccountId::new("absa")?;
        let mut unplaced = probe.clone();
        (unplaced.place, unplaced.date, unplaced.id) = (None, day(9), None);
        let mut placed = probe.clone();
        (placed.date, placed.amount, placed.id) = (day(9), Money::zar(1)?, None);
        let mut named = placed.clone();
        (named.place, named.id) = (None, Some(known.id.clone()));
        probes.extend([probe, elsewhere, unplaced, placed, named]);
    }
    stored.sort_by(|a, b| (a.row.date, a.number, &a.id).cmp(&(b.row.date, b.number, &b.id)));
    let cases = probes.iter().map(std::slice::from_ref);
    for asked in cases.chain([&probes[..3], &probes[..], &[]]) {
        let expected: Vec<_> = stored
            .iter()
            .filter(|known| asked.iter().any(|probe| probe.finds(known)))
            .cloned()
            .collect();
        ensure!(
            store.rows_like(asked).await? == expected,
            "rows like another are not found, or not in order"
        );
    }
    Ok(())
}

/// An erasure takes the texts out of rows that paid for the enrollment, and, unless they are open, of
/// those that look like them or name it.
pub(super) async fn an_erasure_reaches_rows_like_the_learners<S: Store + Queries>(
    store: &S,
) -> Checked {
    let StepOutcome { delta, case, .. } = open("thandi", "REF-T", PaymentMethod::BankTransfer)?;
    let payment = case.attempts[0].reference.clone();
    store.commit(delta.into()).await?;
    let StepOutcome { delta, case, .. } = with_step(|step| case.reject(Note::new("no"), step))?;
    store.commit(delta.into()).await?;

    let row = |at: u32, text: &str| -> Result<StatementRow, Failed> {
        Ok(StatementRow::new(day(at), Money::zar(100)?, text, "thandi"))
    };
    let closed = || -> Result<RowState, Failed> {
        Ok(RowState::Closed {
            by: AdminId::new("admin")?,
            at: start(),
            note: Note::new("thandi"),
        })
    };
    let mut twin = entry("twin", 1, row(1, "cash")?)?;
    (twin.state, twin.resembles) = (RowState::Doubtful, Some("paid".into()));
    let rows = vec![
        entry("paid", 0, row(1, "cash")?)?,
        twin,
        entry("named", 0, row(2, "eft ref-t 1")?)?,
        entry("open", 0, row(3, "eft REF-T 1")?)?,
        entry("other", 0, row(4, "cash")?)?,
    ];
    write(store, rows.clone()).await?;
    let mut paid = decided(&rows[0], RowState::Matched, Some(100))?;
    paid.parts[0].payment = payment;
    let settled = [
        decided(&rows[2], closed()?, None)?,
        decided(&rows[4], closed()?, None)?,
    ];
    write(store, [&[paid], &settled[..]].concat()).await?;

    let events = store.timeline(case.enrollment.id).await?;
    let loaded = store.load(Lookup::Enrollment(case.enrollment.id)).await?;
    let case = loaded.case.ok_or("the enrollment is gone")?;
    let pseudonym = LearnerId::new("erased-1")?;
    let StepOutcome { delta, .. } = with_step(|step| case.erase(&pseudonym, &events, step))?;
    ensure!(
        store.commit(delta.into()).await? == CommitOutcome::Done,
        "an erasure is refused"
    );
    for (name, is_emptied) in [
        ("paid", true),
        ("twin", true),
        ("named", true),
        ("open", false),
        ("other", false),
    ] {
        let found = store.statement_rows(&[RowId::from(name)]).await?;
        let found = found.first().ok_or("a row is gone")?;
        let note = match &found.state {
            RowState::Closed { note, .. } => note.as_str(),
            _ => "",
        };
        let row = &found.row;
        let texts = [row.reference.as_str(), row.description.as_str(), note];
        let said = texts.iter().any(|text| !text.is_empty());
        ensure!(
            said != is_emptied,
            "the row {name} is emptied: {is_emptied} is expected"
        );
        ensure!(found.row.amount == Money::zar(100)?, "a sum is gone");
    }
    Ok(())
}
