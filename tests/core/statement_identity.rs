//! Which rows of statements are the same: overlapping files, other mappings, equal transfers.

#![cfg(feature = "statements")]

use std::collections::{HashMap, HashSet};

use chrono::{Days, NaiveDate};
use coursegate::registrar::{Imported, TransferMatch};
use coursegate::statement::{FileLine, Mapping, RowState, StatementEntry, StatementRow, parse_csv};
use coursegate::store::{PageRequest, RowFilter};
use coursegate::{AccountId, Error, Money, Registrar};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::scene::{account, open_rows};
use crate::support::{World, admin};

fn day(day: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, 1).unwrap() + Days::new(day)
}

/// What really happened on an account.
#[derive(Debug, Clone)]
struct Booked {
    day: u64,
    cents: i64,
    balance: i64,
    reference: String,
    description: String,
}

/// How a file of it is made.
#[derive(Debug, Clone, Copy)]
struct Export {
    from: u64,
    /// Bookings of the last day that are not in it yet.
    until: usize,
    balance: bool,
    texts: u32,
    /// The school's own mapping reads the texts the other way round.
    swapped: bool,
}

fn booked(random: &mut TestRng, days: u64) -> Vec<Booked> {
    let (mut all, mut balance) = (Vec::new(), 100_000);
    for day in 0..days {
        for number in 0..random.random_range(0..6_u32) {
            let cents = [49_900, 49_900, 35_000, -49_900][random.random_range(0..4)];
            balance += cents;
            let reference = match random.random_range(0..3) {
                0 => format!("CG-{day:03}{number:03}ABCDEF"),
                1 => "ADT CASH DEPOSIT".to_owned(),
                _ => String::new(),
            };
            all.push(Booked {
                day,
                cents,
                balance,
                reference,
                description: format!("from the bank {}", number % 2),
            });
        }
    }
    all
}

fn written(all: &[Booked], export: Export) -> (String, Vec<usize>, Mapping) {
    let mut file = "Date,Amount,Balance,Reference,Description\n".to_owned();
    let mut lines = vec![usize::MAX; 2];
    for (index, it) in all.iter().enumerate().take(export.until) {
        if it.day < export.from {
            continue;
        }
        let (mut reference, description) = (it.reference.clone(), it.description.clone());
        match export.texts {
            1 => reference = reference.to_lowercase(),
            2 => reference = reference.replace(' ', "  "),
            _ => {}
        }
        let rand = |cents: i64| {
            format!(
                "{}{}.{:02}",
                if cents < 0 { "-" } else { "" },
                cents.abs() / 100,
                cents.abs() % 100
            )
        };
        file.push_str(&format!(
            "{},{},{},{reference},{description}\n",
            day(it.day),
            rand(it.cents),
            rand(it.balance)
        ));
        lines.push(index);
    }
    let mapping = Mapping::new("Date", "Amount");
    let mut mapping = match export.swapped {
        true => mapping.reference("Description").description("Reference"),
        false => mapping.reference("Reference").description("Description"),
    };
    if export.balance {
        mapping = mapping.balance("Balance");
    }
    (file, lines, mapping)
}

async fn import(registrar: &Registrar, rows: &[StatementRow]) -> Imported {
    let desk = registrar.admin(admin());
    let would = desk.statements().rehearse(&account(), rows).await.unwrap();
    let found = desk.statements().import(&account(), rows).await.unwrap();
    assert_eq!(would, found, "a rehearsal says what the import comes to");
    assert_eq!(found.added + found.doubtful + found.known, rows.len());
    found
}

async fn listed(registrar: &Registrar, filter: RowFilter) -> Vec<StatementEntry> {
    let desk = registrar.admin(admin());
    let statements = desk.statements();
    let page = statements.list(filter, PageRequest::first(500));
    page.await.unwrap().items
}

/// Whatever files of an account are imported, in whatever order and by whatever mappings: no
/// transfer can pay twice, and none is lost.
#[tokio::test]
async fn any_files_of_an_account_pay_each_transfer_once_and_lose_none() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    for round in 0..150 {
        let all = booked(&mut random, 6);
        let (world, mut of_line) = (World::new(), HashMap::new());
        let mut seen: HashSet<usize> = HashSet::new();
        // Half of the schools have one mapping with balances, and all others change theirs.
        let steady = round % 2 == 0;
        let mut doubtful = 0;
        for _ in 0..random.random_range(2..6) {
            let export = Export {
                from: random.random_range(0..6),
                until: random.random_range(0..=all.len()),
                balance: steady || random.random(),
                texts: random.random_range(0..3),
                swapped: !steady && random.random(),
            };
            let (file, lines, mapping) = written(&all, export);
            let statement = parse_csv(file.as_bytes(), &mapping, day(28)).unwrap();
            for row in &statement.rows {
                let place = row.place.clone().unwrap();
                let index = lines[place.line as usize];
                seen.insert(index);
                of_line.insert(place, index);
            }
            let found = import(&world.registrar, &statement.rows).await;
            doubtful += found.doubtful;
            // The same file once more is nothing new, however it is read. Where another file had some
            // of its rows, the lines of this one are not known, and balances have to tell.
            let other = Export {
                swapped: !export.swapped,
                balance: steady || !export.balance,
                ..export
            };
            let again = parse_csv(file.as_bytes(), &written(&all, other).2, day(28)).unwrap();
            let again = import(&world.registrar, &again.rows).await;
            assert_eq!(again.added, 0, "{again:?}");
            if steady || found.known == 0 {
                assert_eq!(again.doubtful, 0, "{again:?}");
            }
        }
        let (open, waiting) = (
            open_rows(&world.registrar).await,
            listed(&world.registrar, RowFilter::Doubtful).await,
        );
        let transfer = |entry: &StatementEntry| of_line[entry.row.place.as_ref().unwrap()];
        let paying: HashSet<usize> = open.iter().map(transfer).collect();
        assert_eq!(paying.len(), open.len(), "a transfer can pay twice");
        let kept: HashSet<usize> = open.iter().chain(&waiting).map(transfer).collect();
        // What is known by its balance stands for one that is kept.
        let key = |index: &usize| (all[*index].day, all[*index].cents, all[*index].balance);
        let kept: HashSet<_> = kept.iter().map(key).collect();
        assert!(
            seen.iter().all(|it| kept.contains(&key(it))),
            "a transfer is lost"
        );
        let equal = |index: &usize| {
            let same = seen.iter().filter(|other| key(other) == key(index));
            same.count() > 1
        };
        if steady && !seen.iter().any(equal) {
            assert_eq!(doubtful, 0, "balances tell them apart");
            assert_eq!(open.len(), seen.len());
        }
    }
}

/// Files without balances: what overlaps is doubtful, and says beside which row.
#[tokio::test]
async fn without_a_balance_an_overlap_needs_a_persons_word() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let mapping = Mapping::new("Date", "Amount").reference("Reference");
    let file = |rows: &str| {
        let text = format!("Date,Amount,Reference\n{rows}");
        parse_csv(text.as_bytes(), &mapping, day(28)).unwrap().rows
    };
    let counts = |found: &Imported| (found.added, found.doubtful, found.known);
    let noon = file("2026-02-01,499.00,a-cash-deposit\n");
    assert_eq!(counts(&import(&world.registrar, &noon).await), (1, 0, 0));
    assert_eq!(counts(&import(&world.registrar, &noon).await), (0, 0, 1));
    // Two equal transfers of one day are two, and which of them was there at noon nobody can say.
    let evening = file("2026-02-01,499.00,a-cash-deposit\n2026-02-01,499.00,A CASH DEPOSIT\n");
    assert_eq!(counts(&import(&world.registrar, &evening).await), (1, 1, 0));
    // Texts that tell apart do so.
    let week = file("2026-02-01,499.00,thandi\n");
    assert_eq!(
        counts(&import(&world.registrar, &week).await),
        (0, 1, 0),
        "nobody can say"
    );
    let doubtful = listed(&world.registrar, RowFilter::Doubtful).await;
    assert_eq!(doubtful.len(), 2);
    let known: HashSet<_> = open_rows(&world.registrar)
        .await
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert!(
        doubtful
            .iter()
            .all(|it| known.contains(it.resembles.as_ref().unwrap()))
    );

    // It cannot pay as long as nobody has said that it is another.
    let thandi = doubtful
        .iter()
        .find(|it| it.row.reference.as_str() == "thandi")
        .unwrap();
    let again = doubtful.iter().find(|it| it.id != thandi.id).unwrap();
    let asked = world
        .enroll("thandi", coursegate::payment::PaymentMethod::BankTransfer)
        .await;
    let payment = world.case(asked.enrollment).await.attempts[0]
        .reference
        .clone();
    let pair = [TransferMatch::new(thandi.id.clone(), payment)];
    let refused = desk.statements().approve(&pair, "").await.remove(0);
    assert!(refused.problem.unwrap().contains("earlier one once more"));
    assert!(!world.may_enter("thandi").await);
    desk.statements()
        .tell_apart(&thandi.id, "another payer")
        .await
        .unwrap();
    assert_eq!(
        desk.statements().tell_apart(&thandi.id, "").await,
        Err(Error::NotFound("doubtful row"))
    );
    assert_eq!(desk.statements().approve(&pair, "").await[0].problem, None);
    assert!(world.may_enter("thandi").await);

    // All or none.
    let both = [again.id.clone(), thandi.id.clone()];
    assert!(desk.statements().close_repeats(&both).await.is_err());
    desk.statements()
        .close_repeats(&[again.id.clone(), again.id.clone()])
        .await
        .unwrap();
    let settled = listed(&world.registrar, RowFilter::Settled).await;
    let closed = settled.iter().find(|it| it.id == again.id).unwrap();
    assert!(matches!(&closed.state, RowState::Repeated { by, .. } if *by == admin()));
    assert!(
        listed(&world.registrar, RowFilter::Doubtful)
            .await
            .is_empty()
    );
}

/// One row, read in two ways, and whether the second is known, doubtful or another.
#[tokio::test]
async fn what_is_told_apart_and_what_is_not() {
    #[derive(Debug, PartialEq)]
    enum Is {
        Known,
        Doubtful,
        New,
    }
    let sum = |cents| Money::zar(cents).unwrap();
    let row = || StatementRow::new(day(1), sum(49_900), "CG-7K3M9QXDT4WZ", "EFT");
    let at = |file: &[u8], line| FileLine {
        file: FileLine::checksum(file),
        line,
    };
    let other_day = |row: StatementRow| {
        let mut row = row;
        row.date = day(3);
        row
    };
    let silent = |cents| StatementRow::new(day(1), sum(cents), "", "");
    for (first, second, expected) in [
        // The bank's own id decides, whatever else is said.
        (
            row().with_bank_id("T1"),
            other_day(row()).with_bank_id("T1"),
            Is::Known,
        ),
        (row().with_bank_id("T1"), row().with_bank_id("T2"), Is::New),
        (row().with_bank_id("T1"), row(), Is::Doubtful),
        // The balance decides, with day and sum.
        (
            row().with_balance(1),
            silent(49_900).with_balance(1),
            Is::Known,
        ),
        (
            row().with_balance(1),
            silent(49_900).with_balance(2),
            Is::New,
        ),
        (row().with_balance(-1), row().with_balance(1), Is::Doubtful),
        (row().with_balance(1), row(), Is::Doubtful),
        (row(), row().with_balance(1), Is::Doubtful),
        // Nothing decides.
        (row(), row(), Is::Doubtful),
        (row(), silent(49_900), Is::Doubtful),
        (silent(49_900), silent(49_900), Is::Doubtful),
        (row(), silent(49_901), Is::New),
        (row(), other_day(row()), Is::New),
        // One line of a file is one row; two lines are two.
        (
            row().at(at(b"a", 2)),
            silent(49_900).at(at(b"a", 2)),
            Is::Known,
        ),
        (
            row().at(at(b"a", 2)),
            row().with_balance(5).at(at(b"a", 2)),
            Is::Known,
        ),
        (
            row().at(at(b"a", 2)),
            silent(1).at(at(b"a", 2)),
            Is::Doubtful,
        ),
        (
            row().at(at(b"a", 2)),
            other_day(row()).at(at(b"a", 2)),
            Is::Doubtful,
        ),
        (row().at(at(b"a", 2)), row().at(at(b"a", 3)), Is::New),
        (row().at(at(b"a", 2)), row().at(at(b"b", 2)), Is::Doubtful),
        // The day of the value and that of the booking.
        (
            row().with_balance(1),
            other_day(row()).with_balance(1),
            Is::Doubtful,
        ),
        (
            row().with_balance(1),
            other_day(silent(49_900)).with_balance(1),
            Is::New,
        ),
    ] {
        let world = World::new();
        let shown = format!("{first:?}\n{second:?}");
        assert_eq!(import(&world.registrar, &[first]).await.added, 1);
        let found = import(&world.registrar, &[second]).await;
        let is = match (found.known, found.doubtful) {
            (1, 0) => Is::Known,
            (0, 1) => Is::Doubtful,
            _ => Is::New,
        };
        assert_eq!(is, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_file_for_the_wrong_account_pays_nobody_twice() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let absa = AccountId::new("absa").unwrap();
    let row = |text: &str| StatementRow::new(day(1), Money::zar(100).unwrap(), text, "");
    for (first, second, doubtful) in [
        (
            row("CG-7K3M9QXDT4WZ").with_balance(7),
            row("CG-7K3M9QXDT4WZ").with_balance(9),
            1,
        ),
        (
            row("something").with_balance(3),
            row("else").with_balance(3),
            1,
        ),
        (
            row("one payer").with_balance(11),
            row("another").with_balance(12),
            0,
        ),
    ] {
        desk.statements()
            .import(&account(), &[first])
            .await
            .unwrap();
        let found = desk.statements().import(&absa, &[second]).await.unwrap();
        assert_eq!(found.doubtful, doubtful, "{found:?}");
    }
    assert_eq!(
        desk.statements().accounts().await.unwrap(),
        [absa, account()]
    );
}

/// Two persons import overlapping files at once: what one has not seen of the other is not
/// payable twice.
#[tokio::test]
async fn imports_at_once_see_one_another() {
    for _ in 0..20 {
        let world = World::new();
        let import = |text: &'static str| {
            let registrar = world.registrar.clone();
            tokio::spawn(async move {
                let rows = [StatementRow::new(
                    day(1),
                    Money::zar(100).unwrap(),
                    text,
                    "",
                )];
                let desk = registrar.admin(admin());
                desk.statements().import(&account(), &rows).await.unwrap()
            })
        };
        let (one, other) = (import("CG-7K3M9QXDT4WZ"), import("cg 7k3m9qxdt4wz"));
        let found = [one.await.unwrap(), other.await.unwrap()];
        let added: usize = found.iter().map(|it| it.added).sum();
        assert_eq!(added, 1, "{found:?}");
    }
}

/// The running balance of a file that only says the first and the last.
#[tokio::test]
async fn a_balance_that_adds_up_is_known_behind_each_row() {
    let file = |close: &str| {
        format!(
            ",0,OPEN,1000.25,OPEN BALANCE,,0,0\nHIST,20260203,,499,IB PAYMENT FROM,CG-1,00380,0\n\
             HIST,20260203,##,-8.5,FEE,,780,0\nHIST,20260203,,499,IB PAYMENT FROM,CG-1,00380,0\n\
             ,0,CLOSE,{close},CLOSE BALANCE,,0,0\n"
        )
    };
    let mapping = coursegate::statement::Preset::StandardBankOld.mapping();
    let balances = |file: &str| -> Vec<Option<i64>> {
        let statement = parse_csv(file.as_bytes(), &mapping, day(28)).unwrap();
        statement.rows.iter().map(|row| row.balance).collect()
    };
    assert_eq!(balances(&file("1989.75")), [Some(149_925), Some(198_975)]);
    assert_eq!(
        balances(&file("1989.76")),
        [None, None],
        "it does not add up"
    );
    let bad = file("1989.75").replace("20260203,##", "2026/02/03,##");
    assert_eq!(balances(&bad), [None, None], "a row could not be read");
}
