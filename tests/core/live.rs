//! Streams of what changed: complete, in order, for whom they are, and for nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::event::{Event, EventKind};
use coursegate::live::{AdminStream, AdminUpdate, Hub, LearnerStream, LearnerToken, LearnerUpdate};
use coursegate::payment::PaymentMethod;
use coursegate::port::{EventPublisher, PublishError, SystemClock};
use coursegate::reason::{HoldReason, Permission};
use coursegate::registrar::{CardText, CourseCard, NewGrant};
use coursegate::statement::StatementRow;
use coursegate::store::{PageRequest, Queries};
use coursegate::{AdminId, CourseId, Error, Money, PayLinkId};

use crate::support::{World, account, admin, config, course, learner, request, visitor};

fn world() -> (World, Hub) {
    let hub = Hub::new();
    let publisher = hub.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.publisher(publisher)
    });
    (world, hub)
}

async fn open(world: &World, hub: &Hub, name: &str, since: Option<LearnerToken>) -> LearnerStream {
    let courses = vec![course(), CourseId::new("other").unwrap()];
    hub.learner(&world.registrar, visitor(name), courses, since)
        .await
        .unwrap()
}

/// What comes next, if anything does.
async fn soon(stream: &mut LearnerStream) -> Option<LearnerUpdate> {
    tokio::time::timeout(Duration::from_millis(20), stream.next())
        .await
        .ok()
        .map(Result::unwrap)
}

async fn event(stream: &mut AdminStream) -> Option<AdminUpdate> {
    tokio::time::timeout(Duration::from_millis(20), stream.next())
        .await
        .ok()
        .map(Result::unwrap)
}

fn texts(cards: &[CourseCard]) -> Vec<CardText> {
    cards.iter().map(|card| card.card.text).collect()
}

async fn link(world: &World, name: &str) -> PayLinkId {
    world.attempt(name, PaymentMethod::Card).await.2
}

#[tokio::test]
async fn a_learner_sees_the_button_change_and_nobody_elses() {
    let (world, hub) = world();
    let mut stream = open(&world, &hub, "thandi", None).await;
    let mut other = open(&world, &hub, "sipho", None).await;
    let Some(LearnerUpdate::Snapshot(cards)) = soon(&mut stream).await else {
        panic!("no snapshot first")
    };
    assert_eq!(texts(&cards), [CardText::EnrollNow, CardText::EnrollNow]);
    assert!(soon(&mut other).await.is_some());

    // An enrollment that did not exist when the stream was opened.
    let link = link(&world, "thandi").await;
    assert_eq!(
        soon(&mut stream).await,
        None,
        "nothing is told before it is published"
    );
    world.pass().await;
    let enrolled = soon(&mut stream).await.unwrap();
    assert_eq!(enrolled.cards().len(), 1, "the other course did not change");
    assert_eq!(enrolled.cards()[0].card.reason, "awaiting_payment");
    world.pay(&link, Choice::Card).await;
    world.pass().await;
    let paid = soon(&mut stream).await.unwrap();
    assert_eq!(texts(paid.cards()), [CardText::ContinueCourse]);
    assert!(paid.cards()[0].version > enrolled.cards()[0].version);
    assert_eq!(soon(&mut stream).await, None);
    assert_eq!(soon(&mut other).await, None, "another learner's update");

    // Refused and granted again, apart from any enrollment.
    let desk = world.registrar.admin(admin());
    let given = NewGrant {
        learner: learner("sipho"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let grant = desk.learners().grant(given, "").await.unwrap();
    world.pass().await;
    assert_eq!(
        texts(soon(&mut other).await.unwrap().cards()),
        [CardText::ContinueCourse]
    );
    desk.learners().revoke(grant.id, "").await.unwrap();
    world.pass().await;
    assert_eq!(
        texts(soon(&mut other).await.unwrap().cards()),
        [CardText::EnrollNow]
    );
    assert_eq!(soon(&mut stream).await, None);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_broke_off() {
    let (world, hub) = world();
    let link = link(&world, "thandi").await;
    world.pass().await;
    let mut stream = open(&world, &hub, "thandi", None).await;
    soon(&mut stream).await.unwrap();
    let token = stream.token();
    drop(stream);
    assert_eq!(hub.listeners(), 0, "it left the hub");
    // Nothing happened: nothing is sent.
    let mut same = open(&world, &hub, "thandi", Some(token.clone())).await;
    assert_eq!(soon(&mut same).await, None);
    drop(same);
    // Much happened, and was published while nobody listened.
    world.pay(&link, Choice::Card).await;
    world.pass().await;
    let text = serde_json::to_string(&token).unwrap();
    let mut resumed = open(&world, &hub, "thandi", serde_json::from_str(&text).ok()).await;
    let Some(LearnerUpdate::Changed(cards)) = soon(&mut resumed).await else {
        panic!("nothing changed")
    };
    assert_eq!(texts(&cards), [CardText::ContinueCourse]);
    assert_eq!(soon(&mut resumed).await, None);
    // A reader who saw nothing of many changes is told the last of them, once.
    let slow = open(&world, &hub, "thandi", Some(resumed.token())).await;
    let desk = world.registrar.admin(admin());
    for _ in 0..50 {
        let given = NewGrant {
            learner: learner("thandi"),
            course: CourseId::new("other").unwrap(),
            terms: AccessTerms::default(),
        };
        let grant = desk.learners().grant(given, "").await.unwrap();
        desk.learners().revoke(grant.id, "").await.unwrap();
        world.pass().await;
    }
    let mut slow = slow;
    let told = soon(&mut slow).await;
    assert!(told.is_none_or(|told| texts(told.cards()) == [CardText::EnrollNow]));
    assert_eq!(soon(&mut slow).await, None);
}

/// Commits, publications, breaks and readings in a thousand orders: in the end each reader
/// shows what is so, and none has shown an older version after a newer one.
#[tokio::test]
async fn a_thousand_interleavings_skip_nothing() {
    for seed in 0..1000_u64 {
        let (world, hub) = world();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut throw = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let mut steps = vec!["enroll", "pay", "refund"].into_iter();
        let mut stream = Some(open(&world, &hub, "thandi", None).await);
        let mut token = LearnerToken::default();
        let mut shown: Option<CourseCard> = None;
        let mut paid = None;
        for _ in 0..14 {
            match throw(4) {
                0 => match steps.next() {
                    Some("enroll") => {
                        paid = Some(world.attempt("thandi", PaymentMethod::Card).await);
                    }
                    Some("pay") => {
                        let (_, _, link) = paid.as_ref().unwrap();
                        world.pay(link, Choice::Card).await;
                    }
                    Some(_) => {
                        let (_, reference, _) = paid.as_ref().unwrap();
                        let desk = world.registrar.admin(admin());
                        desk.refunds().record(reference, "R-1").await.unwrap();
                    }
                    None => {}
                },
                1 => drop(world.pass().await),
                2 => {
                    if let Some(open) = stream.take() {
                        token = open.token();
                    } else {
                        stream = Some(open(&world, &hub, "thandi", Some(token.clone())).await);
                    }
                }
                _ => {
                    if let Some(open) = &mut stream {
                        read(open, &mut shown, seed).await;
                    }
                }
            }
        }
        world.pass().await;
        let mut last = match stream {
            Some(open) => open,
            None => open(&world, &hub, "thandi", Some(token)).await,
        };
        while read(&mut last, &mut shown, seed).await {}
        let truth = world
            .registrar
            .course_card(Some(&visitor("thandi")), &course())
            .await
            .unwrap();
        assert_eq!(shown.as_ref(), Some(&truth), "seed {seed}");
    }
}

/// Takes in what is there already.
async fn read(stream: &mut LearnerStream, shown: &mut Option<CourseCard>, seed: u64) -> bool {
    let ready = tokio::time::timeout(Duration::ZERO, stream.next()).await;
    let Ok(update) = ready else {
        return false;
    };
    for card in update.unwrap().cards() {
        if card.course == course() {
            let before = shown.replace(card.clone());
            assert!(
                before.is_none_or(|before| before.version <= card.version),
                "seed {seed}"
            );
        }
    }
    true
}

#[tokio::test]
async fn admins_see_the_queue_and_then_what_happens_to_it() {
    let (world, hub) = world();
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    let mut stream = hub.admins(&world.registrar, admin(), None).await.unwrap();
    let Some(AdminUpdate::Snapshot { pending, more }) = event(&mut stream).await else {
        panic!("no snapshot first")
    };
    assert_eq!(
        (pending.len(), pending[0].reason, more),
        (1, HoldReason::BankTransfer, false)
    );
    world.pass().await;
    while event(&mut stream).await.is_some() {}

    let waiting = world
        .enroll("sipho", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    world.pass().await;
    let mut seen = Vec::new();
    while let Some(AdminUpdate::Event(happened)) = event(&mut stream).await {
        assert_eq!(happened.enrollment, Some(waiting));
        seen.push((happened.event, happened.pending));
    }
    assert_eq!(
        seen,
        [
            ("enrollment_created", None),
            ("payment_started", None),
            ("enrollment_updated", Some(HoldReason::BankTransfer)),
        ]
    );
    let token = stream.token();
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(waiting, "")
        .await
        .unwrap();
    world.pass().await;
    // Whoever was away hears all of it; and nothing personal is in it.
    let mut resumed = hub
        .admins(&world.registrar, admin(), Some(&token))
        .await
        .unwrap();
    for stream in [&mut stream, &mut resumed] {
        let mut decided = 0;
        while let Some(AdminUpdate::Event(happened)) = event(stream).await {
            decided += usize::from(happened.decided);
            let text = serde_json::to_string(&happened).unwrap();
            assert!(!text.contains("sipho") && !text.contains('@'), "{text}");
        }
        assert_eq!(decided, 1);
    }
    // A place of another hub, or one that nobody gave, leads to the queue anew.
    for odd in [
        "",
        "x.1",
        &token.replace(|c: char| c.is_ascii_digit(), "f"),
        "a.b.c",
    ] {
        let mut stream = hub
            .admins(&world.registrar, admin(), Some(odd))
            .await
            .unwrap();
        assert!(
            matches!(event(&mut stream).await, Some(AdminUpdate::Snapshot { .. })),
            "{odd}"
        );
    }
}

/// A world where a person may view as long as a switch is on.
fn guarded() -> (World, Hub, Arc<AtomicBool>) {
    let hub = Hub::new();
    let (publisher, allowed) = (hub.clone(), Arc::new(AtomicBool::new(true)));
    let switch = allowed.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        let permissions =
            move |_: &AdminId, what| what == Permission::Approve || switch.load(Ordering::Relaxed);
        builder.publisher(publisher).permissions(permissions)
    });
    (world, hub, allowed)
}

async fn refusals(world: &World) -> usize {
    let page = PageRequest::first(100);
    let events = world.store.unassigned(page).await.unwrap().items;
    let refused = |event: &&Event| matches!(event.kind, EventKind::ActionRefused { .. });
    events.iter().filter(refused).count()
}

const FORBIDDEN: Error = Error::Forbidden(Permission::View);

#[tokio::test]
async fn nobody_opens_the_admins_stream_without_permission_nor_goes_on_with_it() {
    let (world, hub, allowed) = guarded();
    let mut stream = hub.admins(&world.registrar, admin(), None).await.unwrap();
    assert!(event(&mut stream).await.is_some());
    let token = stream.token();
    allowed.store(false, Ordering::Relaxed);
    for since in [None, Some(token.as_str())] {
        let refused = hub.admins(&world.registrar, admin(), since).await;
        assert_eq!(refused.unwrap_err(), FORBIDDEN);
    }
    assert_eq!(refusals(&world).await, 2);
}

#[tokio::test]
async fn an_event_does_not_reach_an_admin_who_lost_the_permission() {
    let (world, hub, allowed) = guarded();
    let mut stream = hub.admins(&world.registrar, admin(), None).await.unwrap();
    assert!(event(&mut stream).await.is_some());
    let waiting = tokio::spawn(async move {
        let said = stream.next().await;
        (stream, said)
    });
    tokio::task::yield_now().await;
    allowed.store(false, Ordering::Relaxed);
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    world.pass().await;
    let (mut stream, said) = waiting.await.unwrap();
    assert_eq!(said.unwrap_err(), FORBIDDEN);
    // It is over, and was recorded once.
    allowed.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(stream.next().await.unwrap_err(), FORBIDDEN);
    }
    assert_eq!(refusals(&world).await, 1);
}

#[tokio::test]
async fn a_quiet_stream_ends_within_a_minute_of_the_permission() {
    let (world, hub, allowed) = guarded();
    let mut stream = hub.admins(&world.registrar, admin(), None).await.unwrap();
    assert!(event(&mut stream).await.is_some());
    let waiting = tokio::spawn(async move { stream.next().await });
    for minutes in 0..3 {
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "after {minutes} minutes");
        world.advance(60);
    }
    tokio::task::yield_now().await;
    allowed.store(false, Ordering::Relaxed);
    world.advance(60);
    let ended = tokio::time::timeout(Duration::from_secs(5), waiting).await;
    assert_eq!(ended.unwrap().unwrap().unwrap_err(), FORBIDDEN);
}

#[tokio::test]
async fn an_admin_who_falls_behind_is_shown_the_queue_anew() {
    let (world, hub) = world();
    let mut slow = hub.admins(&world.registrar, admin(), None).await.unwrap();
    assert!(event(&mut slow).await.is_some());
    for number in 0..400 {
        world
            .enroll(&format!("learner-{number}"), PaymentMethod::BankTransfer)
            .await;
    }
    for _ in 0..10 {
        world.pass().await;
    }
    let Some(AdminUpdate::Snapshot { pending, more }) = event(&mut slow).await else {
        panic!("it was told old news")
    };
    assert_eq!((pending.len(), more), (100, true));
    assert_eq!(
        event(&mut slow).await,
        None,
        "what the snapshot holds is not told again"
    );
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    world.pass().await;
    assert!(matches!(
        event(&mut slow).await,
        Some(AdminUpdate::Event(_))
    ));
}

/// A large statement is stored in parts, and each says how far it is.
#[tokio::test]
async fn an_import_says_how_far_it_is() {
    let (world, hub) = world();
    let mut stream = hub.admins(&world.registrar, admin(), None).await.unwrap();
    while event(&mut stream).await.is_some() {}
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let rows = |upto: i64| -> Vec<StatementRow> {
        let row = |cents| StatementRow::new(day, Money::zar(cents).unwrap(), "", "");
        (1..=upto)
            .map(|cents| row(cents).with_balance(cents))
            .collect()
    };
    let desk = world.registrar.admin(admin());
    for (upto, expected) in [(1_200, vec![500, 1_000, 1_200]), (1_300, vec![1_300])] {
        desk.statements()
            .import(&account(), &rows(upto))
            .await
            .unwrap();
        world.pass().await;
        let mut seen = Vec::new();
        while let Some(AdminUpdate::Event(happened)) = event(&mut stream).await {
            let import = happened.import.unwrap();
            assert_eq!(import.of, u64::try_from(upto).unwrap());
            let sent = serde_json::to_value(&happened).unwrap();
            assert_eq!(sent["import"]["done"], import.done, "as the page reads it");
            seen.push(import.done);
        }
        // Parts without anything new say nothing.
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn streams_that_are_dropped_leave_nothing_behind() {
    let (world, hub) = world();
    for number in 0..100 {
        world
            .enroll(&format!("learner-{number}"), PaymentMethod::BankTransfer)
            .await;
    }
    let mut streams = Vec::new();
    for number in 0..200 {
        streams.push(open(&world, &hub, &format!("learner-{}", number % 100), None).await);
    }
    assert_eq!(hub.listeners(), 200);
    streams.truncate(100);
    assert_eq!(hub.listeners(), 100);
    drop(streams);
    assert_eq!(hub.listeners(), 0);
    world.pass().await;
    assert!(format!("{hub:?}").contains("listeners: 0"));
}

#[tokio::test]
async fn a_publisher_that_is_down_holds_up_no_other() {
    let (world, hub) = world();
    let mut stream = open(&world, &hub, "thandi", None).await;
    soon(&mut stream).await.unwrap();
    world.publisher.set_down(true);
    let enrolled = world
        .ask(request("thandi", PaymentMethod::BankTransfer))
        .await;
    world.pass().await;
    assert!(soon(&mut stream).await.is_some());
    // What follows in the same enrollment waits for the next round, a second later, at most.
    let desk = world.registrar.admin(admin());
    desk.approvals()
        .approve(enrolled.enrollment, "")
        .await
        .unwrap();
    world.advance(1);
    world.pass().await;
    let update = soon(&mut stream).await.unwrap();
    assert_eq!(update.cards()[0].card.text, CardText::ContinueCourse);
    for _ in 0..100 {
        world.advance(2);
        world.pass().await;
    }
    assert!(world.publisher.published().is_empty());
    assert_eq!(soon(&mut stream).await, None, "the hub is not told again");

    // Back again, it hears of everything, once and in order.
    world.publisher.set_down(false);
    world.advance(60);
    world.pass().await;
    let told = world.publisher.published();
    let timeline = world.store.timeline(enrolled.enrollment).await.unwrap();
    assert_eq!(told, timeline);
}

/// Never answers.
#[derive(Debug)]
struct Silent;

#[async_trait::async_trait]
impl EventPublisher for Silent {
    async fn publish(&self, _: &Event) -> Result<(), PublishError> {
        std::future::pending().await
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_publisher_that_never_answers_costs_the_others_a_moment() {
    let hub = Hub::new();
    let publisher = hub.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder
            .clock(SystemClock)
            .publisher(Silent)
            .publisher(publisher)
    });
    let worker = world.registrar.worker();
    let working = tokio::spawn(async move { worker.run(std::future::pending()).await });
    let mut stream = open(&world, &hub, "thandi", None).await;
    stream.next().await.unwrap();
    for number in 0..4 {
        let begun = Instant::now();
        let wish = request("thandi", PaymentMethod::BankTransfer);
        let id = world.ask(wish).await.enrollment;
        stream.next().await.unwrap();
        let desk = world.registrar.admin(admin());
        desk.approvals()
            .reject(id, format!("no money came, {number}"))
            .await
            .unwrap();
        stream.next().await.unwrap();
        // Asked once more, it is waited for once: two seconds, and no more than two of them.
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
    working.abort();
}

/// A publisher is away for long, and much piles up for it: what is new still comes at once.
#[tokio::test]
async fn a_backlog_does_not_crowd_out_what_is_new() {
    let (world, hub) = world();
    world.publisher.set_down(true);
    for number in 0..600 {
        world
            .enroll(&format!("learner-{number}"), PaymentMethod::BankTransfer)
            .await;
    }
    while world.pass().await.unpublished > 0 {}
    let mut passes = 0;
    for round in 0..5 {
        let name = format!("new-{round}");
        let mut stream = open(&world, &hub, &name, None).await;
        soon(&mut stream).await.unwrap();
        world.advance(1);
        world.enroll(&name, PaymentMethod::BankTransfer).await;
        while soon(&mut stream).await.is_none() {
            world.pass().await;
            passes += 1;
        }
    }
    // Eighteen hundred events are seven batches: most of the time they are not in the way.
    assert!(passes <= 25, "{passes} batches until five were told");
    // Nothing is lost by it.
    world.publisher.set_down(false);
    world.advance(60);
    while world.pass().await.published > 0 {}
    let told = world.publisher.published();
    let of_enrollments = told.iter().filter(|event| event.enrollment.is_some());
    assert_eq!(of_enrollments.count(), 605 * 3);
}

#[tokio::test]
async fn a_probe_says_whether_live_updates_arrive() {
    let (world, hub) = world();
    let worker = world.registrar.worker();
    let task = tokio::spawn(async move { worker.run(std::future::pending()).await });
    let mut stream = hub.admins(&world.registrar, admin(), None).await.unwrap();
    let before = world
        .case(world.enroll("thandi", PaymentMethod::Card).await.enrollment)
        .await;
    assert_eq!(hub.probe(&world.registrar).await, []);
    // It is heard, and means nothing to anybody.
    let heard = loop {
        match event(&mut stream).await.unwrap() {
            AdminUpdate::Event(event) if event.event == "live_probed" => break event,
            _ => {}
        }
    };
    assert_eq!((heard.enrollment, heard.notice), (None, None));
    let after = world.case(before.enrollment.id).await;
    assert_eq!(after, before);

    // A hub that hears of nothing.
    let deaf = Hub::new();
    let (registrar, clock) = (world.registrar.clone(), world.clock.clone());
    let probed = tokio::spawn(async move { deaf.probe(&registrar).await });
    while !probed.is_finished() {
        clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }
    let found = probed.await.unwrap();
    assert_eq!(
        found[0].rule,
        coursegate::readiness::ReadinessRule::LiveSilent
    );
    task.abort();
}
