//! A course with seats: what a guard may rely on.

use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::Status;
use coursegate::payment::PaymentMethod;
use coursegate::reason::HoldReason;
use coursegate::registrar::BulkOutcome;
use coursegate::store::PageRequest;

use crate::support::{World, admin, config, course, delivery, learner};

#[path = "../../examples/cohort.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example as it is")]
mod example;

use example::Seats;

const LEARNERS: usize = 64;
const SEATS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_learners_race_for_twenty_seats_and_dry_runs_take_none() {
    let seats = Seats::new(course(), SEATS);
    let guard = seats.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.guard(guard.clone()).publisher(guard)
    });
    let mut enrollments = Vec::new();
    for number in 0..LEARNERS {
        let (id, _, link) = world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        enrollments.push(id);
    }
    // Every callback three times at once, with dry runs in between.
    let mut tasks = Vec::new();
    for callback in world.simulator.take_callbacks() {
        for _ in 0..3 {
            let (registrar, delivery) = (world.registrar.clone(), delivery(&callback));
            tasks.push(tokio::spawn(async move {
                drop(registrar.receive(delivery).await);
            }));
        }
        let (registrar, all) = (world.registrar.clone(), enrollments.clone());
        tasks.push(tokio::spawn(async move {
            registrar
                .admin(admin())
                .approvals()
                .approve_all(&all, "", true)
                .await;
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut approved = Vec::new();
    let mut held = Vec::new();
    for id in &enrollments {
        match world.case(*id).await.enrollment.status {
            Status::Approved { .. } => approved.push(*id),
            Status::AwaitingApproval { reason } => {
                assert_eq!(reason, HoldReason::Vetoed);
                held.push(*id);
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((approved.len(), held.len()), (SEATS, LEARNERS - SEATS));
    assert_eq!(seats.taken(), SEATS);

    // One leaves, and their seat is free once that was published.
    let desk = world.registrar.admin(admin());
    let says = async |dry_run| {
        let items = desk.approvals().approve_all(&held[..2], "", dry_run).await;
        let ok = |item: &&coursegate::registrar::BulkItem| item.outcome == BulkOutcome::Approved;
        items.iter().filter(ok).count()
    };
    assert_eq!(says(true).await, 0, "no seat");
    let leaver = world.case(approved[0]).await.enrollment.learner;
    world.registrar.withdraw(&leaver, &course()).await.unwrap();
    while world.pass().await.published > 0 {}
    assert_eq!(seats.taken(), SEATS - 1);
    // Each of two would get it, and however often that is asked, it is still there.
    for _ in 0..3 {
        assert_eq!(says(true).await, 2);
    }
    assert_eq!(seats.taken(), SEATS - 1);
    assert_eq!(says(false).await, 1);
    assert_eq!(seats.taken(), SEATS);
    // The operator's word goes past it, and a restart finds everybody.
    let last = *held.last().unwrap();
    desk.approvals()
        .approve_override(last, "a chair from next door")
        .await
        .unwrap();
    let restarted = Seats::new(course(), SEATS);
    restarted.refill(&world.registrar, admin()).await.unwrap();
    assert_eq!(restarted.taken(), SEATS + 1);
    let queue = desk
        .approvals()
        .pending(PageRequest::first(100))
        .await
        .unwrap();
    assert_eq!(queue.items.len(), LEARNERS - SEATS - 2);
    assert!(!world.may_enter(learner("learner-x").as_str()).await);
}

#[tokio::test]
async fn a_seat_by_bank_transfer_is_not_freed_by_older_news_and_not_kept_by_who_left() {
    let seats = Seats::new(course(), 1);
    let guard = seats.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.guard(guard.clone()).publisher(guard)
    });
    let desk = world.registrar.admin(admin());
    let first = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let second = world
        .enroll("sipho", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    desk.approvals().approve(first, "seen").await.unwrap();
    // What is published now was written before the approval, and with it.
    while world.pass().await.published > 0 {}
    assert_eq!(seats.taken(), 1);
    assert!(
        desk.approvals().approve(second, "seen").await.is_err(),
        "no seat is free"
    );
    seats.refill(&world.registrar, admin()).await.unwrap();
    assert_eq!(seats.taken(), 1);

    // The seat changes hands, and comes back before anything of it was published.
    world
        .registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    while world.pass().await.published > 0 {}
    assert_eq!(seats.taken(), 0);
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    desk.approvals().approve(first, "seen").await.unwrap();
    while world.pass().await.published > 0 {}
    assert_eq!(seats.taken(), 1);

    // Who is approved past the guard has a seat as well.
    desk.approvals()
        .approve_override(second, "a chair from next door")
        .await
        .unwrap();
    while world.pass().await.published > 0 {}
    assert_eq!(seats.taken(), 2);
}
