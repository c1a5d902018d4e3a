//! How an installation does: each part well, strained and failing, and why.

use coursegate::Registrar;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::payment::PaymentMethod;
use coursegate::readiness::ReadinessRule;
use coursegate::registrar::{Health, HealthStatus};

use crate::support::{World, body, config, signed};

fn part<'h>(health: &'h Health, name: &str) -> (HealthStatus, &'h str) {
    let part = health.parts.iter().find(|part| part.part == name).unwrap();
    (part.condition, part.reason.as_str())
}

#[tokio::test]
async fn a_quiet_installation_is_well() {
    let world = World::new();
    let before = world.registrar.health().await;
    assert_eq!(
        part(&before, "worker").0,
        HealthStatus::Degraded,
        "none has run yet"
    );
    world.pass().await;
    let health = world.registrar.health().await;
    assert_eq!(
        (health.condition, health.http_status()),
        (HealthStatus::Ok, 200),
        "{health}"
    );
    let names: Vec<&str> = health.parts.iter().map(|part| part.part).collect();
    assert_eq!(
        names,
        [
            "database",
            "inbox",
            "provider",
            "callbacks",
            "outbox",
            "live",
            "worker",
            "configuration"
        ]
    );
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(
        (&json["condition"], &json["parts"][0]["condition"]),
        (&"ok".into(), &"ok".into())
    );
    assert!(
        health
            .to_string()
            .starts_with("ok\ndatabase   ok        It answers."),
        "{health}"
    );
}

#[tokio::test]
async fn a_worker_that_stands_still_is_down() {
    let world = World::new();
    world.pass().await;
    world.advance(59);
    assert_eq!(
        part(&world.registrar.health().await, "worker").0,
        HealthStatus::Ok
    );
    world.advance(1);
    let health = world.registrar.health().await;
    assert_eq!(
        part(&health, "worker"),
        (
            HealthStatus::Down,
            "It has not looked at its work for 60 s."
        )
    );
    assert_eq!(
        (health.condition, health.http_status()),
        (HealthStatus::Down, 503)
    );
    world.pass().await;
    assert_eq!(
        part(&world.registrar.health().await, "worker").0,
        HealthStatus::Ok
    );
}

/// A process that only serves pages hears of the worker of another one.
#[tokio::test]
async fn a_worker_of_another_process_counts() {
    let worker = World::new();
    let pages = Registrar::builder(config(), worker.store.clone())
        .clock(worker.clock.clone())
        .build_for_tests()
        .unwrap();
    let missing = |registrar: &Registrar| {
        let findings = registrar.running_findings();
        findings
            .iter()
            .any(|it| it.rule == ReadinessRule::WorkerMissing)
    };
    let nobody = pages.health().await;
    let (condition, reason) = part(&nobody, "worker");
    assert_eq!(condition, HealthStatus::Degraded);
    assert!(
        reason.contains("none of another was seen for three minutes"),
        "{reason}"
    );
    assert!(missing(&pages) && missing(&worker.registrar));
    worker.pass().await;
    worker.advance(6);
    let seen = pages.health().await;
    assert_eq!(
        part(&seen, "worker"),
        (
            HealthStatus::Ok,
            "None runs in this process; one of another was seen 6 s ago."
        )
    );
    assert!(!missing(&pages) && !missing(&worker.registrar));
    // As long as it works, it is seen; for how long it works says nothing.
    for _ in 0..20 {
        worker.advance(50);
        worker.pass().await;
        let health = pages.health().await;
        assert_eq!(part(&health, "worker").0, HealthStatus::Ok, "{health}");
    }
    // One that started later knows it too.
    let late = Registrar::builder(config(), worker.store.clone())
        .clock(worker.clock.clone())
        .build_for_tests()
        .unwrap();
    assert_eq!(part(&late.health().await, "worker").0, HealthStatus::Ok);
    worker.advance(240);
    for registrar in [&pages, &late] {
        let health = registrar.health().await;
        assert_eq!(
            part(&health, "worker").0,
            HealthStatus::Degraded,
            "{health}"
        );
        assert!(missing(registrar));
    }
    assert!(missing(&worker.registrar), "its own stands still");
}

#[tokio::test]
async fn payments_without_callbacks_are_remarkable() {
    let world = World::new();
    for name in ["thandi", "sipho"] {
        world.enroll(name, PaymentMethod::Card).await;
    }
    world.advance(3600);
    let health = world.registrar.health().await;
    assert_eq!(
        part(&health, "callbacks").0,
        HealthStatus::Ok,
        "two are few"
    );
    let (_, _, link) = world.attempt("zola", PaymentMethod::Card).await;
    let health = world.registrar.health().await;
    let (condition, reason) = part(&health, "callbacks");
    assert_eq!(condition, HealthStatus::Degraded);
    assert!(
        reason.starts_with("3 payments were started in 60 minutes, and no callback came"),
        "{reason}"
    );
    // A probe of our own is no callback of the provider's.
    let probe = signed(r#"{"coursegate_probe":"1"}"#);
    world.registrar.receive(probe).await;
    let health = world.registrar.health().await;
    assert_eq!(part(&health, "callbacks").0, HealthStatus::Degraded);
    world.pay(&link, Choice::Card).await;
    let health = world.registrar.health().await;
    assert_eq!(
        part(&health, "callbacks"),
        (HealthStatus::Ok, "The last one came 0 s ago.")
    );
    // A forged one is no callback.
    world.advance(60);
    world
        .registrar
        .receive(crate::support::with_signature(b"{}", &"0".repeat(64)))
        .await;
    let health = world.registrar.health().await;
    assert_eq!(part(&health, "callbacks").1, "The last one came 60 s ago.");
}

#[tokio::test]
async fn a_publisher_that_is_down_and_what_is_given_up_on_show() {
    let world = World::new();
    world.publisher.set_down(true);
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    world.pass().await;
    let health = world.registrar.health().await;
    let moment = "Some of it has been on its way for 0 s.";
    assert_eq!(part(&health, "outbox"), (HealthStatus::Ok, moment));
    world.advance(61);
    world.pass().await;
    let health = world.registrar.health().await;
    assert_eq!(
        part(&health, "outbox").0,
        HealthStatus::Degraded,
        "{health}"
    );
    world.publisher.set_down(false);
    world.advance(31);
    world.pass().await;
    let health = world.registrar.health().await;
    let all = "What was committed is published.";
    assert_eq!(part(&health, "outbox"), (HealthStatus::Ok, all));
    let (condition, reason) = part(&health, "live");
    assert_eq!(condition, HealthStatus::Degraded, "it took long: {reason}");
    world.registrar.receive(signed("no json")).await;
    let health = world.registrar.health().await;
    assert_eq!(part(&health, "inbox").0, HealthStatus::Degraded);
    assert!(
        part(&health, "inbox")
            .1
            .starts_with("1 callbacks were given up on")
    );
}

#[tokio::test]
async fn a_provider_that_fails_shows() {
    let world = World::with(Settings::new(1), config(), |builder| builder);
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.set_down(true);
    for _ in 0..5 {
        let paid = signed(&body(link.as_str(), "SUCCESS", reference.as_str()));
        world.registrar.receive(paid).await;
    }
    let health = world.registrar.health().await;
    let (condition, reason) = part(&health, "provider");
    assert_eq!(condition, HealthStatus::Degraded);
    assert!(
        reason.starts_with("It failed 5 times in a row and is left alone until"),
        "{reason}"
    );
    assert_eq!(
        health.http_status(),
        200,
        "enrollments by transfer still work"
    );
    world.simulator.set_down(false);
    world.advance(31);
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert_eq!(
        part(&world.registrar.health().await, "provider").0,
        HealthStatus::Ok
    );
}
