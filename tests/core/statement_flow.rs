//! Rows of bank statements: imported once, suggested, and put down for what they paid.

#![cfg(feature = "statements")]

use chrono::NaiveDate;
use coursegate::approval::Sums;
use coursegate::enrollment::Status;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{RowOutcome, TransferMatch};
use coursegate::statement::{Mapping, RowState, StatementRow, parse_csv};
use coursegate::store::{PageRequest, RowFilter};
use coursegate::{Error, Money};

use crate::scene::{account, imported, suggested};
use crate::support::{World, admin, carrying, price};

fn mapping() -> Mapping {
    Mapping::new("Date", "Amount")
        .reference("Reference")
        .description("Description")
}

fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 2, day).unwrap()
}

fn row(reference: &str, cents: i64) -> StatementRow {
    StatementRow::new(day(1), Money::zar(cents).unwrap(), reference, "EFT")
}

#[tokio::test]
async fn a_statement_is_imported_suggested_and_approved_with_one_click() {
    let world = World::new();
    let mut references = Vec::new();
    for name in ["thandi", "sipho", "naledi"] {
        let id = world
            .enroll(name, PaymentMethod::BankTransfer)
            .await
            .enrollment;
        references.push((id, world.case(id).await.attempts[0].reference.clone()));
    }
    let file = format!(
        "Date,Amount,Reference,Description\n2026-02-01,499.00,{},a\n2026-02-01,400.00,{},b\n2026-02-02,77.00,groceries,c\n",
        references[0].1, references[1].1
    );
    let rows = parse_csv(file.as_bytes(), &mapping(), day(28))
        .unwrap()
        .rows;
    let desk = world.registrar.admin(admin());
    let imported = desk.statements().import(&account(), &rows).await.unwrap();
    assert_eq!((imported.added, imported.known), (3, 0));
    let again = desk.statements().import(&account(), &rows).await.unwrap();
    assert_eq!((again.added, again.known), (0, 3));

    let suggestions = suggested(&world.registrar).await;
    assert_eq!(suggestions.len(), 2);
    assert_eq!(
        (suggestions[0].enrollment, suggestions[0].score),
        (references[0].0, 1.0)
    );
    assert!(!suggestions[1].amount_fits);
    assert!(
        !world.may_enter("thandi").await,
        "a suggestion approves nothing"
    );

    let sure = &suggestions[0];
    let pairs = [
        TransferMatch::new(sure.row.clone(), sure.payment.clone()),
        // The same row cannot pay for a second enrollment.
        TransferMatch::new(sure.row.clone(), references[2].1.clone()),
        // Another sum than was asked.
        TransferMatch::new(suggestions[1].row.clone(), references[1].1.clone()),
        TransferMatch::new("unknown".into(), references[2].1.clone()),
    ];
    let done = desk
        .statements()
        .approve(&pairs, "statement of 2 February")
        .await;
    let problems: Vec<_> = done.iter().map(|item| item.problem.is_some()).collect();
    assert_eq!(problems, [false, true, true, true]);
    assert_eq!(done[0].done, Some(RowOutcome::Approved));
    let (is, asked) = (Money::zar(40_000).unwrap(), price());
    assert_eq!(done[2].difference, Some(Sums { is, asked }));
    assert!(world.may_enter("thandi").await);
    assert!(!world.may_enter("naledi").await);

    // The other sum, knowingly: what the row says is what was paid.
    let knowingly = TransferMatch::new(suggestions[1].row.clone(), references[1].1.clone());
    let knowingly = [knowingly.whatever_the_sum()];
    let done = desk
        .statements()
        .approve(&knowingly, "the rest is a bursary")
        .await;
    assert_eq!(done[0].problem, None);
    let case = world.case(references[1].0).await;
    assert_eq!(
        case.attempts[0].payment.unwrap().amount.unwrap().minor(),
        40_000
    );
    assert!(matches!(case.enrollment.status, Status::Approved { .. }));

    let open = desk
        .statements()
        .list(RowFilter::Open, PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(open.len(), 1);
    let left = &open[0].id;
    desk.statements().close(left, "groceries").await.unwrap();
    assert_eq!(
        desk.statements().close(left, "").await,
        Err(Error::NotFound("open row"))
    );
    let settled = desk
        .statements()
        .list(RowFilter::Settled, PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(settled.len(), 3);
    let matched = settled
        .iter()
        .filter(|entry| entry.state == RowState::Matched && entry.parts[0].by == admin());
    assert_eq!(matched.count(), 2);
    assert_eq!(price().minor(), 49_900);
}

#[tokio::test]
async fn two_admins_who_click_at_once_approve_once() {
    let world = World::new();
    let mut waiting = Vec::new();
    for name in ["thandi", "sipho"] {
        let id = world
            .enroll(name, PaymentMethod::BankTransfer)
            .await
            .enrollment;
        waiting.push(world.case(id).await.attempts[0].reference.clone());
    }
    let row = imported(&world.registrar, row("unclear", 49_900)).await;
    let clicks: Vec<_> = waiting
        .into_iter()
        .map(|payment| {
            let (registrar, row) = (world.registrar.clone(), row.clone());
            tokio::spawn(async move {
                let desk = registrar.admin(admin());
                let done = desk
                    .statements()
                    .approve(&[TransferMatch::new(row, payment)], "")
                    .await;
                done[0].problem.is_none()
            })
        })
        .collect();
    let mut approved = 0;
    for click in clicks {
        approved += usize::from(click.await.unwrap());
    }
    assert_eq!(approved, 1, "one row pays for one enrollment");
    let entered = [
        world.may_enter("thandi").await,
        world.may_enter("sipho").await,
    ];
    assert_eq!(entered.iter().filter(|entered| **entered).count(), 1);
}

#[tokio::test]
async fn an_older_reference_pays_the_attempt_it_was_given_for() {
    let world = World::new();
    let id = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let mut cheaper = crate::support::request("thandi", PaymentMethod::BankTransfer);
    cheaper.price = Money::zar(29_900).unwrap();
    world.ask(cheaper).await;
    let attempts = world.case(id).await.attempts;
    assert_eq!(attempts.len(), 2);
    let desk = world.registrar.admin(admin());
    let transfer = row(attempts[0].reference.as_str(), 49_900);
    imported(&world.registrar, transfer).await;
    let best = suggested(&world.registrar).await.remove(0);
    assert_eq!(best.payment, attempts[0].reference);
    let done = desk
        .statements()
        .approve(&[TransferMatch::new(best.row, best.payment)], "")
        .await;
    assert_eq!(done[0].problem, None);
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [attempts[0].reference.clone()]);
    assert!(case.attempts[1].payment.is_none());
}
