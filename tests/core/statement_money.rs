//! Money on a statement, whether anybody waits for it or not: all of it is suggested, put down once,
//! and seen.

use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::Settings;
use coursegate::approval::Sums;
use coursegate::enrollment::Expected;
use coursegate::payment::PaymentMethod;
use coursegate::reason::HoldReason;
use coursegate::registrar::{PaymentException, RowApproval, RowOutcome, TransferMatch};
use coursegate::statement::{Likeness, RowId, RowState, StatementRow, Suggestion};
use coursegate::store::PageRequest;
use coursegate::{AdminId, CourseId, EnrollmentId, Money, PaymentReference};

use crate::scene::{
    begin, bought, bursary, by, full, leave, pay, queue, statement_row, suggested, transfer,
};
use crate::support::{World, admin, config, imported, open_rows, request};

const DAY: u64 = 86_400;

fn zar(rand: i64) -> Money {
    Money::zar(rand * 100).unwrap()
}

/// The payment exceptions.
async fn exceptions(world: &World) -> Vec<(HoldReason, Money)> {
    let desk = world.registrar.admin(admin());
    let found = desk
        .payments()
        .exceptions(PageRequest::first(100))
        .await
        .unwrap();
    let payments = found.items.into_iter().filter_map(|item| match item {
        PaymentException::Payment(item) => item.attempt.held_back().zip(item.attempt.paid()),
        _ => None,
    });
    payments.collect()
}

async fn approve(world: &World, asked: TransferMatch) -> RowApproval {
    let desk = world.registrar.admin(admin());
    desk.statements().approve(&[asked], "seen").await.remove(0)
}

/// Says what became of a row.
async fn state(world: &World, row: &RowId) -> RowState {
    let desk = world.registrar.admin(admin());
    let found = desk.statements().rows(std::slice::from_ref(row)).await;
    found.unwrap().remove(0).state
}

/// What happened before the money came.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// It is waited for.
    Waits,
    /// The time for it is over.
    Expires,
    /// The time for it is over, and the learner began anew.
    ExpiresAndAsksAgain,
    /// A person said no.
    IsRejected,
    /// The learner left.
    Leaves,
    /// The learner paid by card instead.
    PaysByCard,
    /// It came, on an earlier row.
    WasSeen,
    /// A person approved it by hand, and nobody had seen the money.
    IsApprovedByHand,
    /// The same, and its money came on an earlier row.
    IsApprovedAndCame,
    /// A person let the learner in for nothing.
    IsOverridden,
    /// The school gave the course away.
    IsGivenAway,
    /// It was to be paid by card.
    WasByCard,
    /// It was paid by card, and has the card's reference.
    WasPaidByCard,
    /// The money was sent back, and the access ended.
    IsRefunded,
}

async fn happens(world: &World, before: Before) -> PaymentReference {
    let desk = world.registrar.admin(admin());
    if let Before::WasByCard | Before::WasPaidByCard = before {
        let started = begin(world, by(PaymentMethod::Card, 499, full(30))).await;
        if let Before::WasPaidByCard = before {
            pay(world, &started.2).await;
        }
        return started.1;
    }
    let (id, reference) = transfer(world, 499, full(30)).await;
    let seen = async |rand: i64| {
        let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 30).unwrap();
        let row = StatementRow::new(day, zar(rand), &format!("first {reference}"), "");
        let row = imported(&world.registrar, row).await;
        approve(world, TransferMatch::new(row, reference.clone())).await
    };
    match before {
        Before::Expires | Before::ExpiresAndAsksAgain => {
            world.advance(40 * DAY);
            world.pass().await;
            if let Before::ExpiresAndAsksAgain = before {
                world.ask(by(PaymentMethod::Card, 499, full(30))).await;
            }
        }
        Before::IsRejected => drop(desk.approvals().reject(id, "no money").await.unwrap()),
        Before::Leaves => leave(world).await,
        Before::PaysByCard => drop(bought(world, by(PaymentMethod::Card, 499, full(30))).await),
        Before::WasSeen | Before::IsRefunded => {
            assert_eq!(seen(499).await.done, Some(RowOutcome::Approved));
            if let Before::IsRefunded = before {
                drop(
                    desk.refunds()
                        .record(&reference, "sent back")
                        .await
                        .unwrap(),
                );
            }
        }
        Before::IsApprovedByHand => drop(
            desk.approvals()
                .approve(id, "she has a slip")
                .await
                .unwrap(),
        ),
        Before::IsApprovedAndCame => {
            drop(
                desk.approvals()
                    .approve(id, "she has a slip")
                    .await
                    .unwrap(),
            );
            assert_eq!(seen(499).await.done, Some(RowOutcome::Found));
        }
        Before::IsOverridden => drop(
            desk.approvals()
                .approve_override(id, "a prize")
                .await
                .unwrap(),
        ),
        Before::IsGivenAway => drop(
            desk.learners()
                .grant(bursary(full(90)), "a prize")
                .await
                .unwrap(),
        ),
        Before::Waits | Before::WasByCard | Before::WasPaidByCard => {}
    }
    reference
}

/// What is suggested, what is done, and whether the learner may enter before and after.
#[tokio::test]
async fn money_that_nobody_waits_for_is_seen_as_what_it_is() {
    use Before as It;
    let kept = Some;
    for (before, expected, reason, enters) in [
        (It::Waits, Expected::Awaited, None, (false, true)),
        (
            It::Expires,
            Expected::Late,
            kept(HoldReason::LatePayment),
            (false, false),
        ),
        (
            It::ExpiresAndAsksAgain,
            Expected::Awaited,
            None,
            (false, true),
        ),
        (
            It::IsRejected,
            Expected::Late,
            kept(HoldReason::LatePayment),
            (false, false),
        ),
        (
            It::Leaves,
            Expected::Late,
            kept(HoldReason::LatePayment),
            (false, false),
        ),
        (
            It::PaysByCard,
            Expected::Duplicate,
            kept(HoldReason::DuplicatePayment),
            (true, true),
        ),
        (
            It::WasSeen,
            Expected::Duplicate,
            kept(HoldReason::DuplicatePayment),
            (true, true),
        ),
        (It::IsApprovedByHand, Expected::Vouched, None, (true, true)),
        (
            It::IsApprovedAndCame,
            Expected::Duplicate,
            kept(HoldReason::DuplicatePayment),
            (true, true),
        ),
        (It::IsOverridden, Expected::Vouched, None, (true, true)),
        (
            It::IsGivenAway,
            Expected::Duplicate,
            kept(HoldReason::AccessCovered),
            (true, true),
        ),
        (
            It::WasByCard,
            Expected::Unasked,
            kept(HoldReason::BankTransfer),
            (false, false),
        ),
        (
            It::WasPaidByCard,
            Expected::Duplicate,
            kept(HoldReason::DuplicatePayment),
            (true, true),
        ),
        (
            It::IsRefunded,
            Expected::Late,
            kept(HoldReason::LatePayment),
            (false, false),
        ),
    ] {
        let world = World::new();
        let reference = happens(&world, before).await;
        assert_eq!(world.may_enter("thandi").await, enters.0, "{before:?}");
        let before_it = exceptions(&world).await;
        let row = statement_row(&world, 499, &format!("now {reference}")).await;
        let found = suggested(&world.registrar).await;
        let [it] = &found[..] else {
            panic!("{before:?}: {found:?}")
        };
        assert_eq!(
            (&it.payment, it.expected),
            (&reference, expected),
            "{before:?}"
        );
        assert_eq!(it.likeness, Some(Likeness::Whole), "{before:?}");
        let done = approve(&world, TransferMatch::new(row.clone(), reference.clone())).await;
        assert_eq!(done.problem, None, "{before:?}");
        match (done.done.unwrap(), reason) {
            (RowOutcome::Kept { reason, .. }, Some(expected)) => {
                assert_eq!(reason, expected, "{before:?}");
                let mut now = exceptions(&world).await;
                now.retain(|it| !before_it.contains(it));
                // What may be approved as it is stands in the queue for that.
                match expected {
                    HoldReason::BankTransfer => {
                        assert!(now.is_empty(), "{before:?}: {now:?}");
                        let [id] = queue(&world).await[..] else {
                            panic!("{before:?}: it is not in sight")
                        };
                        let waits = world.case(id).await.enrollment.waits_for;
                        assert_eq!(waits, Some(expected), "{before:?}");
                    }
                    _ => assert_eq!(now, [(expected, zar(499))], "{before:?}: in sight"),
                }
            }
            (RowOutcome::Approved, None) => assert_eq!(expected, Expected::Awaited),
            (RowOutcome::Found, None) => assert_eq!(expected, Expected::Vouched),
            other => panic!("{before:?}: {other:?}"),
        }
        assert_eq!(world.may_enter("thandi").await, enters.1, "{before:?}");
        assert_eq!(state(&world, &row).await, RowState::Matched, "{before:?}");
        // It is settled, and pays nothing once more.
        assert!(suggested(&world.registrar).await.is_empty(), "{before:?}");
        let again = approve(&world, TransferMatch::new(row, reference)).await;
        assert!(
            again.done.is_none() && again.problem.is_some(),
            "{before:?}"
        );
    }
}

/// Asks for a course besides, by bank transfer.
async fn asks_for(
    world: &World,
    who: &str,
    name: &str,
    rand: i64,
) -> (EnrollmentId, PaymentReference) {
    let mut wish = request(who, PaymentMethod::BankTransfer);
    wish.course = CourseId::new(name).unwrap();
    wish.price = zar(rand);
    let asked = world.ask(wish).await;
    let case = world.case(asked.enrollment).await;
    (asked.enrollment, case.attempts[0].reference.clone())
}

fn of<'s>(found: &'s [Suggestion], payment: &PaymentReference) -> &'s Suggestion {
    found.iter().find(|it| it.payment == *payment).unwrap()
}

#[tokio::test]
async fn one_transfer_pays_for_two_courses() {
    let world = World::new();
    let (_, one) = asks_for(&world, "thandi", "rust-101", 499).await;
    let (_, other) = asks_for(&world, "thandi", "maths-12", 350).await;
    let row = statement_row(&world, 849, &format!("{one} {other}")).await;
    let found = suggested(&world.registrar).await;
    for (payment, part) in [(&one, zar(499)), (&other, zar(350))] {
        let it = of(&found, payment);
        assert_eq!((it.part, it.amount_fits, it.score), (part, true, 1.0));
    }
    let part = |payment: &PaymentReference, rand| {
        TransferMatch::part(row.clone(), payment.clone(), zar(rand))
    };
    assert_eq!(
        approve(&world, part(&one, 499)).await.done,
        Some(RowOutcome::Approved)
    );
    assert!(world.may_enter("thandi").await);
    // What is left is all that the other one can have.
    let left = open_rows(&world.registrar).await.remove(0);
    assert_eq!(
        (left.left(), left.state.clone()),
        (Some(zar(350)), RowState::Open)
    );
    let refused = approve(&world, part(&other, 351)).await;
    assert!(
        refused.problem.unwrap().contains("only"),
        "more than is left"
    );
    let found = suggested(&world.registrar).await;
    assert_eq!(of(&found, &other).part, zar(350));
    // The reference of the course that is paid says that this would be too much.
    assert!(
        found
            .iter()
            .all(|it| it.payment != one || it.expected == Expected::Duplicate)
    );
    let rest = TransferMatch::new(row.clone(), other.clone());
    assert_eq!(approve(&world, rest).await.done, Some(RowOutcome::Approved));
    assert_eq!(state(&world, &row).await, RowState::Matched);
    let desk = world.registrar.admin(admin());
    let entry = desk.statements().rows(&[row]).await.unwrap().remove(0);
    let parts: Vec<_> = entry
        .parts
        .iter()
        .map(|it| (it.payment.clone(), it.amount))
        .collect();
    assert_eq!(parts, [(one, zar(499)), (other, zar(350))]);
}

#[tokio::test]
async fn two_transfers_pay_for_one_course() {
    let world = World::new();
    let (id, payment) = transfer(&world, 499, full(30)).await;
    let first = statement_row(&world, 300, &format!("part {payment}")).await;
    let found = suggested(&world.registrar).await;
    assert!(!found[0].amount_fits && found[0].together.is_empty());
    let second = statement_row(&world, 199, &format!("rest {payment}")).await;
    for it in suggested(&world.registrar).await {
        assert!(it.amount_fits, "together they are the price");
        assert_eq!(it.together.len(), 1);
    }
    // One of them alone is another sum than was asked: nothing is done.
    let alone = approve(&world, TransferMatch::new(first.clone(), payment.clone())).await;
    let sums = Sums {
        is: zar(300),
        asked: zar(499),
    };
    assert_eq!((alone.done, alone.difference), (None, Some(sums)));
    assert!(!world.may_enter("thandi").await);
    let both = TransferMatch::new(first.clone(), payment.clone()).and(second.clone());
    let done = approve(&world, both).await;
    assert_eq!(
        (done.done, done.difference),
        (Some(RowOutcome::Approved), None)
    );
    assert_eq!(world.case(id).await.attempts[0].paid(), Some(zar(499)));
    for row in [&first, &second] {
        assert_eq!(state(&world, row).await, RowState::Matched);
    }
    // A row that is named twice gives its money once.
    let third = statement_row(&world, 499, "two in one").await;
    let twice = TransferMatch::new(third.clone(), payment).and(third);
    assert!(approve(&world, twice).await.problem.is_some());
}

/// Another sum than was asked is taken when a person says so, and counts as what it is.
#[tokio::test]
async fn another_sum_is_asked_about_first() {
    for rand in [1, 498, 500, 5_000] {
        let world = World::new();
        let (id, payment) = transfer(&world, 499, full(30)).await;
        let row = statement_row(&world, rand, payment.as_str()).await;
        let asked = TransferMatch::new(row.clone(), payment);
        let done = approve(&world, asked.clone()).await;
        let sums = Sums {
            is: zar(rand),
            asked: zar(499),
        };
        assert_eq!((done.done, done.difference), (None, Some(sums)));
        assert!(!world.may_enter("thandi").await);
        assert_eq!(
            state(&world, &row).await,
            RowState::Open,
            "nothing was done"
        );
        let done = approve(&world, asked.whatever_the_sum()).await;
        assert_eq!(
            (done.done, done.difference),
            (Some(RowOutcome::Approved), Some(sums))
        );
        assert!(world.may_enter("thandi").await);
        assert_eq!(world.case(id).await.attempts[0].paid(), Some(zar(rand)));
    }
}

/// A learner who writes the reference of another of their courses.
#[tokio::test]
async fn the_reference_of_another_course_suggests_this_one() {
    let world = World::new();
    let (_, paid) = asks_for(&world, "thandi", "rust-101", 499).await;
    let (_, meant) = asks_for(&world, "thandi", "maths-12", 350).await;
    let (_, strangers) = asks_for(&world, "sipho", "maths-12", 350).await;
    let first = statement_row(&world, 499, paid.as_str()).await;
    approve(&world, TransferMatch::new(first, paid.clone())).await;
    statement_row(&world, 350, &format!("{paid} again")).await;
    let found = suggested(&world.registrar).await;
    let it = of(&found, &meant);
    assert_eq!(it.likeness, Some(Likeness::OtherCourse));
    assert!(it.amount_fits && it.score < 0.8, "{it:?}");
    assert_eq!(of(&found, &paid).expected, Expected::Duplicate);
    assert!(found.iter().all(|it| it.payment != strangers));
}

/// Two persons who put parts of one row on two courses at once: both, and no cent twice.
#[tokio::test(flavor = "multi_thread")]
async fn parts_at_once_are_each_taken_once() {
    for _ in 0..20 {
        let world = World::new();
        let (_, one) = asks_for(&world, "thandi", "rust-101", 499).await;
        let (_, other) = asks_for(&world, "thandi", "maths-12", 499).await;
        let row = statement_row(&world, 499, "both of them").await;
        let tried = [one, other].map(|payment| {
            let (registrar, row) = (world.registrar.clone(), row.clone());
            tokio::spawn(async move {
                let desk = registrar.admin(AdminId::new("sipho").unwrap());
                let asked = TransferMatch::part(row, payment, zar(499));
                desk.statements().approve(&[asked], "").await.remove(0)
            })
        });
        let mut done = 0;
        for task in tried {
            done += usize::from(task.await.unwrap().done.is_some());
        }
        assert_eq!(done, 1, "the money of one row is for one of them");
        assert_eq!(state(&world, &row).await, RowState::Matched);
    }
}

/// Two rows that name a payment which was approved by hand: one is its transfer, the other came twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_vouched_transfer_is_found_once() {
    for _ in 0..20 {
        let world = World::new();
        let (id, payment) = transfer(&world, 499, full(30)).await;
        let desk = world.registrar.admin(admin());
        desk.approvals()
            .approve(id, "she has a slip")
            .await
            .unwrap();
        let day = |day| chrono::NaiveDate::from_ymd_opt(2026, 1, day).unwrap();
        let mut tried = Vec::new();
        for at in [29, 30] {
            let row = StatementRow::new(day(at), zar(499), payment.as_str(), "");
            let row = imported(&world.registrar, row).await;
            let (registrar, payment) = (world.registrar.clone(), payment.clone());
            tried.push(async move {
                let desk = registrar.admin(AdminId::new("sipho").unwrap());
                let asked = TransferMatch::new(row, payment);
                desk.statements()
                    .approve(&[asked], "")
                    .await
                    .remove(0)
                    .done
                    .unwrap()
            });
        }
        let tried: Vec<_> = tried.into_iter().map(tokio::spawn).collect();
        let (mut found, mut kept) = (0, 0);
        for task in tried {
            match task.await.unwrap() {
                RowOutcome::Found => found += 1,
                RowOutcome::Kept { .. } => kept += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((found, kept), (1, 1));
        assert_eq!(
            exceptions(&world).await,
            [(HoldReason::DuplicatePayment, zar(499))]
        );
    }
}

/// Two signatures for a transfer: the rows stay open for the second.
#[tokio::test]
async fn a_row_waits_for_the_second_signature() {
    let mut settings = config();
    settings.rules.dual_approval_above = Some(10_000);
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (_, payment) = transfer(&world, 499, full(30)).await;
    let (one, two) = (
        statement_row(&world, 300, payment.as_str()).await,
        statement_row(&world, 199, &format!("rest {payment}")).await,
    );
    let both = TransferMatch::new(one.clone(), payment).and(two.clone());
    for (name, done) in [
        ("nomsa", None),
        ("nomsa", None),
        ("sipho", Some(RowOutcome::Approved)),
    ] {
        let desk = world.registrar.admin(AdminId::new(name).unwrap());
        let found = desk
            .statements()
            .approve(std::slice::from_ref(&both), "")
            .await
            .remove(0);
        assert_eq!(found.done, done, "{found:?}");
        let open = done.is_none();
        assert_eq!(world.may_enter("thandi").await, !open);
        for row in [&one, &two] {
            assert_eq!(state(&world, row).await == RowState::Open, open);
        }
    }
}

/// The rest of a row whose first part paid for a course, closed with a note.
#[tokio::test]
async fn what_is_left_of_a_row_is_closed_with_a_word() {
    let world = World::new();
    let (_, payment) = transfer(&world, 499, AccessTerms::default()).await;
    let row = statement_row(&world, 600, payment.as_str()).await;
    let part = TransferMatch::part(row.clone(), payment.clone(), zar(499));
    assert_eq!(approve(&world, part).await.done, Some(RowOutcome::Approved));
    let desk = world.registrar.admin(admin());
    desk.statements().close(&row, "a donation").await.unwrap();
    assert!(
        matches!(state(&world, &row).await, RowState::Closed { note, .. } if note.as_str() == "a donation")
    );
    let entry = desk
        .statements()
        .rows(std::slice::from_ref(&row))
        .await
        .unwrap()
        .remove(0);
    assert_eq!((entry.used(), entry.left()), (49_900, Some(zar(101))));
    let more = approve(&world, TransferMatch::new(row, payment)).await;
    assert!(more.problem.is_some(), "closed is closed");
}

/// Sums that no payment can be made of.
#[tokio::test]
async fn a_match_that_makes_no_sense_is_refused() {
    let world = World::new();
    let (_, payment) = transfer(&world, 499, full(30)).await;
    let row = statement_row(&world, 499, "a transfer").await;
    let dollars = Money::new(49_900, coursegate::Currency::new("USD").unwrap()).unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let foreign = imported(&world.registrar, StatementRow::new(day, dollars, "usd", "")).await;
    let nobody = PaymentReference::new("CG-NOBODYS").unwrap();
    let mut empty = TransferMatch::new(row.clone(), payment.clone());
    empty.rows.clear();
    for asked in [
        TransferMatch::new(row.clone(), nobody),
        TransferMatch::new("unknown".into(), payment.clone()),
        TransferMatch::part(row.clone(), payment.clone(), zar(500)),
        TransferMatch::part(row.clone(), payment.clone(), dollars),
        TransferMatch::new(row.clone(), payment.clone()).and(foreign.clone()),
        TransferMatch::new(foreign, payment.clone()),
        empty,
    ] {
        let done = approve(&world, asked.clone()).await;
        assert!(
            done.done.is_none() && done.problem.is_some(),
            "{asked:?}: {done:?}"
        );
    }
    assert!(!world.may_enter("thandi").await);
    assert_eq!(state(&world, &row).await, RowState::Open);
}
