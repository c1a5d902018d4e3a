//! Learners who are refused: counted by reason, and an event when they come from everywhere.

use std::net::IpAddr;

use coursegate::access::{AccessRequest, RequestContext, ResourceKind};
use coursegate::event::{Event, EventKind};
use coursegate::payment::PaymentMethod;
use coursegate::reason::{SecurityEvent, Severity};
use coursegate::store::{PageRequest, Queries};

use crate::support::{World, course, learner};

fn question(name: &str, address: Option<&str>) -> AccessRequest {
    let context = RequestContext {
        ip: address.map(|address| address.parse::<IpAddr>().unwrap()),
        ..RequestContext::default()
    };
    AccessRequest::new(learner(name), course(), ResourceKind::Lesson).from(context)
}

/// Refused so often, each time from another of so many addresses, with pauses of some seconds.
async fn refused(world: &World, name: &str, times: usize, addresses: usize, pause: u64) {
    for round in 0..times {
        let address = format!("203.0.113.{}", round % addresses);
        let asked = question(name, Some(&address));
        let answer = world.registrar.access(&asked).await.unwrap();
        assert!(!answer.is_allowed());
        world.advance(pause);
    }
}

async fn told(world: &World) -> Vec<Event> {
    let page = PageRequest::first(500);
    let mut events = world.store.unassigned(page).await.unwrap().items;
    events.retain(|event| {
        let of = SecurityEvent::AccessProbing;
        matches!(event.kind, EventKind::AccessProbed { .. })
            || event.kind == EventKind::FloodBegan { of }
    });
    events
}

#[tokio::test]
async fn a_learner_refused_often_from_many_addresses_is_an_event() {
    let world = World::new();
    let id = world
        .enroll("thandi@canary.example", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    refused(&world, "thandi@canary.example", 19, 5, 1).await;
    assert_eq!(told(&world).await, []);
    refused(&world, "thandi@canary.example", 1, 1, 1).await;
    let events = told(&world).await;
    assert_eq!(events.len(), 1);
    let kind = &events[0].kind;
    assert_eq!(
        (kind.name(), kind.severity()),
        ("security_event", Severity::Warning)
    );
    // It names the enrollment, and neither learner nor addresses.
    let note = events[0].note.as_ref().unwrap().as_str();
    assert_eq!(note, format!("enrollment {id}"));
    let text = serde_json::to_string(&events[0]).unwrap();
    assert!(
        !text.contains("canary") && !text.contains("203.0"),
        "{text}"
    );
    assert!(!kind.sentence().contains("canary"));
    // Once in ten minutes, however often they are refused.
    refused(&world, "thandi@canary.example", 400, 9, 1).await;
    assert_eq!(told(&world).await.len(), 1);
    refused(&world, "thandi@canary.example", 400, 9, 1).await;
    assert_eq!(told(&world).await.len(), 2);
    // And the desk hears of it.
    world.pass().await;
    let alerts = world.registrar.alerts();
    assert!(alerts.iter().any(|alert| alert.rule == "access_probing"));
}

#[tokio::test]
async fn few_refusals_few_addresses_and_long_pauses_are_none() {
    let world = World::new();
    refused(&world, "few-addresses", 500, 4, 1).await;
    refused(&world, "few-refusals", 19, 19, 1).await;
    // Twenty in ten minutes are one every 31 seconds and a half.
    refused(&world, "long-pauses", 200, 20, 32).await;
    for _ in 0..100 {
        let nowhere = question("no-address", None);
        world.registrar.access(&nowhere).await.unwrap();
    }
    for round in 0..100 {
        // One connection, whose address changes.
        let address = format!("2001:db8:1:2::{round}");
        let asked = question("one-network", Some(&address));
        world.registrar.access(&asked).await.unwrap();
    }
    for round in 0..100 {
        let name = format!("learner-{round}");
        refused(&world, &name, 1, 1, 0).await;
    }
    assert_eq!(told(&world).await, []);
}

#[tokio::test]
async fn many_such_learners_do_not_fill_the_store() {
    let world = World::new();
    for number in 0..200 {
        refused(&world, &format!("learner-{number}"), 20, 5, 0).await;
    }
    let events = told(&world).await;
    assert_eq!(events.len(), 7, "so many an hour, and that a flood began");
    // Nobody is enrolled, so there is nothing to name.
    assert!(events.iter().all(|event| event.note.is_none()));
    world.advance(3600);
    refused(&world, "one-more", 20, 5, 0).await;
    let last = told(&world).await.pop().unwrap().kind;
    assert!(matches!(
        last,
        EventKind::AccessProbed {
            unrecorded: 194,
            ..
        }
    ));
}

#[tokio::test]
async fn who_may_enter_is_no_event() {
    let world = World::new();
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world
        .pay(&link, coursegate::adapter::simulator::Choice::Card)
        .await;
    for round in 0..200 {
        let asked = question("thandi", Some(&format!("203.0.113.{round}")));
        assert!(world.registrar.access(&asked).await.unwrap().is_allowed());
    }
    assert_eq!(told(&world).await, []);
}
