use std::sync::Arc;
use std::time::Duration;

use coursegate::Secret;
use coursegate::adapter::memory::RecordingPublisher;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::evidence::SignedBy;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::Outcome;
use coursegate::store::{Change, InboxEntry, InboxFilter, InboxState, PageRequest, Queries, Store};
use coursegate::webhook::{BodyKeys, DeliveryKey, SignedForm, StoredBody};
use tokio::sync::Notify;

use crate::support::{PATH, World, admin, body, config, start};

#[tokio::test]
async fn a_callback_the_provider_confirms_later_is_applied_by_the_worker() {
    let world = World::new();
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world
        .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
        .await;
    assert_eq!(receipt.outcome, Outcome::Waiting);
    assert_eq!(world.pass().await.settled, 0, "not due yet");
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.advance(3);
    assert_eq!(world.pass().await.settled, 1);
    assert!(world.may_enter("thandi").await);
    assert_eq!(world.pass().await.settled, 0);
}

#[tokio::test]
async fn a_callback_nobody_confirms_is_given_up_on_shown_and_replayed() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world
        .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
        .await;
    let desk = world.registrar.admin(admin());
    let mut tries = 0;
    while desk
        .operations()
        .inbox(InboxFilter::Dead, PageRequest::first(1))
        .await
        .unwrap()
        .items
        .is_empty()
    {
        world.advance(4600);
        world.pass().await;
        tries += 1;
        assert!(tries < 50);
    }
    assert_eq!(tries, 12);
    assert!(world.case(enrollment).await.confirming.is_none());
    let dead = desk
        .operations()
        .inbox(InboxFilter::Dead, PageRequest::first(1))
        .await
        .unwrap()
        .items
        .remove(0);
    world.advance(4600);
    assert_eq!(world.pass().await.waiting, 0, "nobody tries it any more");

    world.simulator.pay(&link, Choice::Card).unwrap();
    desk.operations().replay(&dead.key).await.unwrap();
    assert_eq!(world.pass().await.settled, 1);
    assert!(world.may_enter("thandi").await);
    assert!(
        desk.operations().replay(&dead.key).await.is_err(),
        "it is settled"
    );
}

#[tokio::test]
async fn waits_grow_and_are_spread() {
    let world = World::new();
    let mut waits = Vec::new();
    for number in 0..20 {
        let (_, reference, link) = world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
        world
            .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
            .await;
    }
    let desk = world.registrar.admin(admin());
    for _ in 0..3 {
        let entries = desk
            .operations()
            .inbox(InboxFilter::Waiting, PageRequest::first(100))
            .await
            .unwrap()
            .items;
        let due: Vec<_> = entries
            .iter()
            .map(|entry| entry.state.due_at().unwrap())
            .collect();
        assert!(
            due.iter().collect::<std::collections::HashSet<_>>().len() > 1,
            "they do not come back at once"
        );
        let longest = *due.iter().max().unwrap();
        waits.push((longest - coursegate::port::Clock::now(&world.clock)).num_milliseconds());
        world.advance(10);
        assert_eq!(world.pass().await.waiting, 20);
    }
    assert!(
        waits[0] <= 2_500 && waits[1] > waits[0] && waits[2] > waits[1],
        "{waits:?}"
    );
}

#[tokio::test]
async fn a_parked_callback_is_applied_when_its_attempt_appears() {
    // The callback overtakes the write of its attempt: the registrar of another
    // instance has not committed yet.
    let world = World::new();
    let other = World::new();
    let (_, reference, link) = other.attempt("thandi", PaymentMethod::Card).await;
    other.simulator.pay(&link, Choice::Card).unwrap();
    let early = body(link.as_str(), "SUCCESS", reference.as_str());
    let late = coursegate::Registrar::builder(config(), world.store.clone())
        .gateway(other.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    assert_eq!(
        late.receive(crate::support::signed(&early)).await.outcome,
        Outcome::Parked
    );

    // Now the attempt is committed, by the other store's own words.
    let case = other
        .case(other.enroll("thandi", PaymentMethod::Card).await.enrollment)
        .await;
    let mut change = Change::default();
    change.enrollment = Some(case.enrollment);
    change.attempts = case.attempts;
    world.store.commit(change).await.unwrap();
    let pass = late.worker().pass().await.unwrap();
    assert_eq!((pass.settled, pass.waiting), (1, 0));
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn an_event_that_cannot_be_published_holds_back_what_follows_it() {
    let world = World::new();
    world.publisher.set_down(true);
    world.attempt("thandi", PaymentMethod::Card).await;
    let (_, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let pass = world.pass().await;
    assert_eq!(pass.published, 0);
    assert!(pass.unpublished > 0);
    world.publisher.set_down(false);
    assert_eq!(world.pass().await.published, 0, "it waits a moment");
    world.advance(2);
    world.pass().await;
    let published = world.publisher.published();
    let of = |enrollment| {
        published
            .iter()
            .filter(move |event| event.enrollment == Some(enrollment))
    };
    for enrollment in published
        .iter()
        .filter_map(|event| event.enrollment)
        .collect::<std::collections::HashSet<_>>()
    {
        assert!(of(enrollment).is_sorted_by_key(|event| (event.version, event.id)));
    }
    assert_eq!(published.len(), 9);
}

#[tokio::test]
async fn a_running_worker_is_woken_by_a_commit_and_stops_when_told() {
    // In real time: the system's clock, no runtime of the library's own.
    let publisher = RecordingPublisher::new();
    let simulator = World::with(Settings::new(1), config(), |builder| builder).simulator;
    let registrar =
        coursegate::Registrar::builder(config(), coursegate::adapter::memory::MemoryStore::new())
            .gateway(simulator.gateway())
            .publisher(publisher.clone())
            .build_for_tests()
            .unwrap();
    let stop = Arc::new(Notify::new());
    let (worker, told) = (registrar.worker(), stop.clone());
    let running = tokio::spawn(async move { worker.run(told.notified()).await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    registrar
        .enroll(crate::support::request("thandi", PaymentMethod::Card))
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(10), async {
        while publisher.published().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the worker publishes");
    stop.notify_one();
    tokio::time::timeout(Duration::from_secs(10), running)
        .await
        .expect("the worker stops")
        .unwrap();
}

#[tokio::test]
async fn a_replay_of_what_cannot_be_read_is_given_up_on_again() {
    let world = World::new();
    world.receive("{").await;
    let desk = world.registrar.admin(admin());
    let dead = desk
        .operations()
        .inbox(InboxFilter::Dead, PageRequest::first(1))
        .await
        .unwrap()
        .items
        .remove(0);
    desk.operations().replay(&dead.key).await.unwrap();
    assert!(
        desk.operations()
            .inbox(InboxFilter::Dead, PageRequest::first(1))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    world.pass().await;
    assert_eq!(
        desk.operations()
            .inbox(InboxFilter::Dead, PageRequest::first(9))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    world.advance(3600);
    let pass = world.pass().await;
    assert_eq!((pass.settled, pass.waiting), (0, 0));
}

/// A callback that an older version could not read was kept under a key made of its bytes.
#[tokio::test]
async fn what_could_not_be_read_before_is_applied_once_and_leaves_the_inbox() {
    let secret = Secret::new(format!("{:064x}", 7)).unwrap();
    let sealed = BodyKeys::default().and("march", &secret).unwrap();
    for keys in [BodyKeys::default(), sealed] {
        let mut settings = config();
        settings.body_keys = keys;
        let world = World::with(Settings::new(1), settings, |builder| builder);
        let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.take_callbacks();
        let text = body(link.as_str(), "SUCCESS", reference.as_str());
        let by = SignedBy {
            key: "primary".into(),
            form: SignedForm::Raw,
        };
        let key = DeliveryKey::from("unreadable/0123456789abcdef");
        let kept = StoredBody::Plain(text.into_bytes());
        let mut entry = InboxEntry::new(key.clone(), start(), PATH, kept, by);
        entry.state = InboxState::Waiting { next_at: start() };
        let change = Change::inbox_only(entry, None);
        world.store.commit(change).await.unwrap();

        assert_eq!(world.pass().await.settled, 1);
        assert!(world.may_enter("thandi").await);
        let old = world.store.delivery(&key).await.unwrap().unwrap();
        assert!(old.state.is_settled(), "{old:?}");
        world.advance(120);
        assert_eq!(world.pass().await.settled, 0, "it comes again and again");
    }
}

/// The provider is away for most of a day while a hundred payments arrive.
#[tokio::test]
async fn a_callback_waits_for_a_provider_that_is_left_alone_without_a_try_being_counted() {
    let mut settings = config();
    settings.retry_limit = 3;
    settings.provider.failures = 1;
    settings.provider.pause = Duration::from_secs(3600);
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let mut learners = Vec::new();
    for number in 0..100 {
        let name = format!("learner-{number}");
        let (_, reference, link) = world.attempt(&name, PaymentMethod::Card).await;
        learners.push((name, reference, link));
    }
    world.simulator.set_down(true);
    for (_, reference, link) in &learners {
        world.simulator.pay(link, Choice::Card).unwrap();
        let callback = body(link.as_str(), "SUCCESS", reference.as_str());
        assert_eq!(world.receive(&callback).await.outcome, Outcome::Waiting);
    }
    for _ in 0..20 {
        world.advance(3600);
        world.pass().await;
    }
    let desk = world.registrar.admin(admin());
    let operations = desk.operations();
    let dead = operations.inbox(InboxFilter::Dead, PageRequest::first(100));
    let dead = dead.await.unwrap().items.len();
    // Those by which it was tried whether it is back; ten or so of a hundred.
    assert!(
        dead <= 10,
        "{dead} were given up on, most of them never asked about"
    );
    world.simulator.set_down(false);
    for _ in 0..40 {
        world.advance(1800);
        world.pass().await;
    }
    let mut out = 0;
    for (name, ..) in &learners {
        out += usize::from(!world.may_enter(name).await);
    }
    assert_eq!(out, 0, "of 100 who paid");
}
