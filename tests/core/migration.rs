//! Bringing an existing school over.

use chrono::{DateTime, Duration, FixedOffset, Utc};
use coursegate::access::{AccessLevel, AccessTerms, GrantSource};
use coursegate::adapter::simulator::Choice;
use coursegate::enrollment::{MigratedPayment, Status};
use coursegate::payment::{AttemptStatus, PaymentMethod, Purpose};
use coursegate::reason::{ApprovalCause, WithdrawReason};
use coursegate::registrar::{ExistingAccess, ExistingPayment, NextStep};
use coursegate::store::{PageRequest, PaymentFilter, Period, Store};
use coursegate::{Email, ExternalKey, Money, PaymentReference, Title};

use crate::support::{World, admin, course, learner, request, start, visitor, withdrawn};

fn key(text: &str) -> ExternalKey {
    ExternalKey::new(text).unwrap()
}

fn days(days: i64) -> DateTime<Utc> {
    start() + Duration::days(days)
}

fn existing(name: &str) -> ExistingAccess {
    ExistingAccess::new(
        key(&format!("moodle-{name}")),
        learner(name),
        course(),
        days(-100),
    )
    .until(days(265))
}

fn paid(name: &str, rand: i64) -> ExistingAccess {
    existing(name).paid(ExistingPayment {
        email: Email::new(format!("{name}@school.example")).unwrap(),
        title: Title::new("Rust from the start").unwrap(),
        payment: MigratedPayment {
            reference: PaymentReference::new(format!("OLD-{name}")).unwrap(),
            amount: Money::zar(rand * 100).unwrap(),
            method: PaymentMethod::BankTransfer,
            at: days(-100),
        },
    })
}

#[tokio::test]
async fn a_school_is_brought_over_once_however_often_the_script_runs() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let rows = [existing("thandi"), paid("sipho", 900), existing("thandi")];
    let first = desk.learners().bring_over(&rows).await.unwrap();
    assert_eq!((first.added, first.known, first.failed.len()), (2, 1, 0));
    for name in ["thandi", "sipho"] {
        assert!(world.may_enter(name).await);
        let grants = desk.learners().grants(&learner(name)).await.unwrap();
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].key, Some(key(&format!("moodle-{name}"))));
        assert_eq!(grants[0].starts_at, days(-100));
        assert_eq!(grants[0].expires_at, Some(days(265)));
        // They are not sold it again.
        let year = AccessTerms::lasting(std::time::Duration::from_secs(365 * 86_400));
        let told = world
            .registrar
            .enroll(request(name, PaymentMethod::Card).terms(year));
        let until = Some(days(265));
        assert_eq!(told.await.unwrap().next, NextStep::Open { until });
    }
    // Ended by hand meanwhile: the script does not bring it back.
    let grant = desk.learners().grants(&learner("thandi")).await.unwrap()[0].id;
    desk.learners().revoke(grant, "").await.unwrap();
    let second = desk.learners().bring_over(&rows).await.unwrap();
    assert_eq!((second.added, second.known, second.failed.len()), (0, 3, 0));
    assert!(!world.may_enter("thandi").await);
    world.advance(266 * 86_400);
    world.pass().await;
    assert!(!world.may_enter("sipho").await);
}

#[tokio::test]
async fn a_payment_that_is_brought_over_is_a_payment() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    desk.learners()
        .bring_over(&[paid("sipho", 900)])
        .await
        .unwrap();
    let filter = PaymentFilter {
        learner: Some(learner("sipho")),
        ..PaymentFilter::default()
    };
    let listed = desk
        .payments()
        .list(&filter, PageRequest::first(10))
        .await
        .unwrap();
    let attempt = &listed.items[0].attempt;
    assert_eq!(attempt.status, AttemptStatus::Paid);
    assert_eq!(attempt.purpose, Purpose::First);
    let cause = ApprovalCause::Migration;
    assert_eq!(listed.items[0].enrollment, Status::Approved { cause });
    // Its money counts on its own day.
    let period = |from| Period {
        from,
        until: from + Duration::days(1),
        offset: FixedOffset::east_opt(0).unwrap(),
    };
    let figures = desk
        .payments()
        .days(period(days(-100)), None)
        .await
        .unwrap();
    assert_eq!(figures[0].figures.sums[0].minor, 90_000);
    assert!(
        desk.payments()
            .days(period(days(0)), None)
            .await
            .unwrap()
            .is_empty()
    );
    // The comparison of money and access has nothing to say.
    let report = desk.operations().reconcile(None, 100).await.unwrap();
    assert!(report.discrepancies.is_empty() && report.repaired.is_empty());
    // It can be renewed, and given back.
    let year = AccessTerms::lasting(std::time::Duration::from_secs(365 * 86_400));
    let renewal = world
        .ask(request("sipho", PaymentMethod::Card).terms(year).renew())
        .await;
    let link = world.case(renewal.enrollment).await.attempts[1]
        .link
        .clone()
        .unwrap()
        .id;
    world.pay(&link, Choice::Card).await;
    let grants = desk.learners().grants(&learner("sipho")).await.unwrap();
    assert_eq!(grants[1].starts_at, days(265));
    let old = PaymentReference::new("OLD-sipho").unwrap();
    desk.refunds().record(&old, "EFT 17").await.unwrap();
    // What was bought after it begins now.
    assert!(world.may_enter("sipho").await);
    let renewed = world.case(renewal.enrollment).await.attempts[1]
        .reference
        .clone();
    let status = desk.refunds().record(&renewed, "R-1").await.unwrap();
    assert_eq!(status, withdrawn(WithdrawReason::MoneyBack));
}

#[tokio::test]
async fn it_fits_what_the_learner_began_here() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    let done = desk
        .learners()
        .bring_over(&[paid("sipho", 900)])
        .await
        .unwrap();
    assert_eq!(done.added, 1);
    let case = world.case(id).await;
    assert_eq!(case.attempts.len(), 2);
    assert!(matches!(
        case.grants[0].source,
        GrantSource::Migration {
            payment: Some(_),
            ..
        }
    ));
    // The old link was for more: access for ever.
    world.pay(&link, Choice::Card).await;
    assert_eq!(world.case(id).await.grants.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_brought_over_is_named_and_stops_nothing() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let backwards = existing("thandi").until(days(-101));
    let mut paid_backwards = paid("ann", 10);
    paid_backwards.ends_at = Some(days(-100));
    let mut taken = paid("ben", 900);
    taken.payment.as_mut().unwrap().payment.reference = PaymentReference::new("OLD-sipho").unwrap();
    let rows = [
        backwards,
        paid("sipho", 900),
        paid_backwards,
        taken,
        existing("zoe"),
    ];
    let done = desk.learners().bring_over(&rows).await.unwrap();
    assert_eq!((done.added, done.known), (2, 0));
    let failed: Vec<&str> = done.failed.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(failed, ["moodle-thandi", "moodle-ann", "moodle-ben"]);
    assert!(done.failed[0].1.contains("ends before it starts"));
    assert!(
        done.failed[2]
            .1
            .contains("another payment has this reference")
    );
    assert!(world.may_enter("sipho").await && world.may_enter("zoe").await);
}

#[tokio::test]
async fn the_old_system_says_what_it_gave() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let limited = AccessTerms {
        level: AccessLevel::Limited,
        ..AccessTerms::default()
    };
    desk.learners()
        .bring_over(&[existing("thandi").terms(limited)])
        .await
        .unwrap();
    // More than that is for sale, and the card lets them in meanwhile.
    let card = world
        .registrar
        .learner_card(Some(&visitor("thandi")), &course())
        .await
        .unwrap();
    assert_eq!(card.reason, "access");
    let more = world.ask(request("thandi", PaymentMethod::Card)).await;
    assert!(matches!(more.next, NextStep::Pay { .. }));
    assert_eq!(
        world.case(more.enrollment).await.attempts[0].purpose,
        Purpose::Upgrade
    );
}

#[tokio::test]
async fn a_key_is_never_that_of_somebody_else() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    desk.learners()
        .bring_over(&[existing("thandi"), paid("sipho", 900)])
        .await
        .unwrap();
    let before = desk.learners().grants(&learner("sipho")).await.unwrap();
    // The same keys for a learner with an enrollment, and for one without.
    world.attempt("ben", PaymentMethod::Card).await;
    let mut rows = Vec::new();
    for other in ["ben", "ann"] {
        for (named, mut row) in [("thandi", existing(other)), ("sipho", paid(other, 10))] {
            row.key = key(&format!("moodle-{named}"));
            rows.push(row);
        }
    }
    let done = desk.learners().bring_over(&rows).await.unwrap();
    assert_eq!((done.added, done.known, done.failed.len()), (0, 0, 4));
    assert!(done.failed[0].1.contains("another learner or course"));
    assert_eq!(
        desk.learners().grants(&learner("sipho")).await.unwrap(),
        before
    );
    assert!(!world.may_enter("ben").await && !world.may_enter("ann").await);
    // After an erasure nothing is left that leads back, the key included.
    let old = PaymentReference::new("OLD-sipho").unwrap();
    let refunds = desk.refunds();
    let status = refunds.record(&old, "EFT for Sipho N");
    status.await.unwrap();
    desk.learners().erase(&learner("sipho")).await.unwrap();
    while world.store.append_audit_log(None, 100).await.unwrap() > 0 {}
    let lines = desk
        .audit_log()
        .export(PageRequest::first(500))
        .await
        .unwrap();
    // The payment's own reference stays, whatever the old system put in it.
    let lines = lines.items.concat().replace("OLD-sipho", "");
    assert!(!lines.contains("sipho") && !lines.contains("Sipho"));
    let all = desk
        .payments()
        .list(&PaymentFilter::default(), PageRequest::first(10))
        .await
        .unwrap();
    let text = serde_json::to_string(&all.items).unwrap();
    assert!(
        !text.contains("Sipho N") && !text.contains("moodle-sipho"),
        "{text}"
    );
}
