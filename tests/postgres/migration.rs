//! Bringing an existing school over, at its size.

use std::time::Instant;

use chrono::{Duration, FixedOffset, Utc};
use coursegate::access::{AccessRequest, ResourceKind};
use coursegate::enrollment::MigratedPayment;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{ExistingAccess, ExistingPayment};
use coursegate::store::Period;
use coursegate::{CourseId, Email, ExternalKey, LearnerId, Money, PaymentReference, Title};

use crate::cluster::{pool, store_on};
use crate::school::registrar;
use crate::support::admin;

/// Learners in the short form; `COURSEGATE_MIGRATE=5000` is the size of a school.
const SHORT: usize = 500;

fn row(number: usize) -> ExistingAccess {
    let began = Utc::now() - Duration::days(100);
    let row = ExistingAccess::new(
        ExternalKey::new(format!("moodle-{number}")).unwrap(),
        LearnerId::new(format!("old-{number}")).unwrap(),
        CourseId::new(format!("course-{}", number % 20)).unwrap(),
        began,
    )
    .until(began + Duration::days(365));
    if number.is_multiple_of(2) {
        return row;
    }
    row.paid(ExistingPayment {
        email: Email::new(format!("old-{number}@school.example")).unwrap(),
        title: Title::new("A course").unwrap(),
        payment: MigratedPayment {
            reference: PaymentReference::new(format!("OLD-{number}")).unwrap(),
            amount: Money::zar(49_900).unwrap(),
            method: PaymentMethod::BankTransfer,
            at: began,
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_school_is_brought_over_and_twice_is_once() {
    let asked = std::env::var("COURSEGATE_MIGRATE").ok();
    let size = asked.and_then(|size| size.parse().ok()).unwrap_or(SHORT);
    let registrar = registrar(store_on(pool().await).await);
    let desk = registrar.admin(admin());
    let rows: Vec<_> = (0..size).map(row).collect();
    let begun = Instant::now();
    let first = desk.learners().bring_over(&rows).await.unwrap();
    let taken = begun.elapsed();
    println!("{size} learners, half of them with a payment: {taken:?}");
    assert_eq!((first.added, first.failed), (size, Vec::new()));
    let again = desk.learners().bring_over(&rows).await.unwrap();
    assert_eq!((again.added, again.known), (0, size));
    for number in [0, 1, size - 1] {
        let (learner, course) = (rows[number].learner.clone(), rows[number].course.clone());
        let question = AccessRequest::new(learner, course, ResourceKind::Quiz);
        assert!(registrar.access(&question).await.unwrap().is_allowed());
    }
    let day = Utc::now() - Duration::days(102);
    let period = Period {
        from: day,
        until: day + Duration::days(4),
        offset: FixedOffset::east_opt(0).unwrap(),
    };
    let figures = desk.payments().days(period, None).await.unwrap();
    let payments: u64 = figures.iter().map(|day| day.figures.payments).sum();
    assert_eq!(payments, u64::try_from(size / 2).unwrap());
}
