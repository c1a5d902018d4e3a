//! Alerts: rules at the edges of their windows, raised once, escalated, over; and where they go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::monitor::{
    Alert, AlertCondition, AlertEngine, AlertRoute, AlertRule, AlertSeverity, AlertStage, Signal,
};
use coursegate::notice::NoticeKind;
use coursegate::payment::PaymentMethod;
use coursegate::port::{AlertSink, ChannelError, Clock};
use coursegate::registrar::BuildError;
use coursegate::store::PageRequest;
use coursegate::{AppId, Config, Registrar, Secret};

use crate::support::{APP_ID, World, admin, config, signed, start, with_signature};

fn at(seconds: i64) -> DateTime<Utc> {
    start() + chrono::Duration::seconds(seconds)
}

fn standard(id: &str) -> AlertEngine {
    let mut rules = AlertRule::standard();
    rules.retain(|rule| rule.id == id);
    assert_eq!(rules.len(), 1, "{id}");
    AlertEngine::new(rules).unwrap()
}

fn stages(alerts: &[Alert]) -> Vec<AlertStage> {
    alerts.iter().map(|alert| alert.stage).collect()
}

#[test]
fn the_standard_rules_are_those_that_were_asked_for() {
    let rules = AlertRule::standard();
    let rule = |id: &str| rules.iter().find(|rule| rule.id == id).unwrap();
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let count = |at_least, within| AlertCondition::Count { at_least, within };
    assert_eq!(rule("payment_failures").condition, count(5, minutes(5)));
    assert_eq!(rule("webhook_failures").condition, count(3, minutes(2)));
    assert!(matches!(
        rule("configuration_error").condition,
        AlertCondition::Count { at_least: 1, .. }
    ));
    for (id, limit) in [("payment_latency", 10), ("sync_delay", 5)] {
        assert!(
            matches!(&rule(id).condition, AlertCondition::Above { limit: found, .. }
            if *found == Duration::from_secs(limit)),
            "{id}"
        );
    }
    assert!(matches!(
        rule("payment_volume").condition,
        AlertCondition::Drop { percent: 50, .. }
    ));
    assert!(matches!(
        rule("conversion").condition,
        AlertCondition::RatioDrop {
            percent: 30,
            of: Signal::Enrolled,
            ..
        }
    ));
    for (severity, ids) in [
        (
            AlertSeverity::Critical,
            &[
                "payment_failures",
                "webhook_failures",
                "configuration_error",
            ][..],
        ),
        (
            AlertSeverity::Business,
            &["payment_volume", "conversion"][..],
        ),
    ] {
        assert!(
            ids.iter().all(|id| rule(id).severity == severity),
            "{severity}"
        );
    }
    let text = serde_json::to_string(&rules).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<AlertRule>>(&text).unwrap(),
        rules,
        "rules are data"
    );
}

#[test]
fn a_count_at_the_edges_of_its_window() {
    let mut watch = standard("payment_failures");
    for second in [0, 10, 20, 30] {
        watch.note(Signal::PaymentFailed, 1, at(second));
        assert_eq!(watch.look(at(second)), []);
    }
    // The fifth comes when the first is exactly five minutes old: that one is outside.
    watch.note(Signal::PaymentFailed, 1, at(300));
    assert_eq!(watch.look(at(300)), []);
    let mut watch = standard("payment_failures");
    for second in [0, 10, 20, 30, 299] {
        watch.note(Signal::PaymentFailed, 1, at(second));
    }
    watch.note(Signal::PaymentCompleted, 1, at(299));
    let alerts = watch.look(at(299));
    assert_eq!(stages(&alerts), [AlertStage::Raised]);
    assert_eq!(alerts[0].message, "5 times payment failed in 5 minutes.");
    assert_eq!(
        (alerts[0].severity, alerts[0].since),
        (AlertSeverity::Critical, at(299))
    );
    // It stands once, and is over when the first leaves the window.
    watch.note(Signal::PaymentFailed, 1, at(299));
    assert_eq!(watch.look(at(299)), []);
    assert_eq!(watch.standing(at(299)).len(), 1);
    assert_eq!(watch.look(at(300)), [], "five are left");
    assert_eq!(watch.look(at(319)), [], "it stands for ten seconds more");
    assert_eq!(stages(&watch.look(at(320))), [AlertStage::Recovered]);
    assert_eq!(watch.look(at(320)), []);
    assert_eq!(watch.standing(at(320)), []);
}

#[test]
fn what_stands_for_long_is_said_once_more() {
    let mut watch = standard("webhook_failures");
    for second in 0..=(11 * 60) {
        watch.note(Signal::WebhookFailed, 1, at(second));
        let alerts = watch.look(at(second));
        let expected: &[AlertStage] = match second {
            2 => &[AlertStage::Raised],
            602 => &[AlertStage::Escalated],
            _ => &[],
        };
        assert_eq!(stages(&alerts), expected, "at {second}");
    }
    assert_eq!(watch.standing(at(661))[0].stage, AlertStage::Escalated);
    assert_eq!(stages(&watch.look(at(800))), [AlertStage::Recovered]);
}

#[test]
fn what_takes_long() {
    let mut watch = standard("payment_latency");
    watch.note(Signal::PaymentLatency, 10_000, at(0));
    assert_eq!(watch.look(at(0)), [], "no longer than the limit");
    watch.note(Signal::PaymentLatency, 10_001, at(1));
    let alerts = watch.look(at(1));
    assert_eq!(alerts[0].message, "10001 ms, which is above 10000 ms.");
    assert_eq!(watch.look(at(310)), []);
    assert_eq!(stages(&watch.look(at(311))), [AlertStage::Recovered]);
}

#[test]
fn fewer_payments_than_usual() {
    let hour = 3600;
    let mut watch = standard("payment_volume");
    // Four an hour for a day, and then fewer.
    for quarter in 0..96 {
        watch.note(Signal::PaymentCompleted, 1, at(quarter * 900));
    }
    assert_eq!(
        watch.look(at(24 * hour)),
        [],
        "a day and an hour have to be known"
    );
    watch.note(Signal::PaymentCompleted, 1, at(24 * hour + 1));
    watch.note(Signal::PaymentCompleted, 1, at(24 * hour + 2));
    assert_eq!(
        watch.look(at(25 * hour)),
        [],
        "half is no more than half less"
    );
    let mut watch = standard("payment_volume");
    for quarter in 0..96 {
        watch.note(Signal::PaymentCompleted, 1, at(quarter * 900));
    }
    watch.note(Signal::PaymentCompleted, 1, at(24 * hour + 1));
    let alerts = watch.look(at(25 * hour));
    assert_eq!(alerts[0].message, "1 in 60 minutes, usually 4.");
    // Few say nothing.
    let mut watch = standard("payment_volume");
    for number in 0..47 {
        watch.note(Signal::PaymentCompleted, 1, at(number * 1800));
    }
    assert_eq!(watch.look(at(25 * hour)), []);
}

#[test]
fn fewer_approvals_among_the_enrolled() {
    let run = |approved_now: i64| {
        let mut watch = standard("conversion");
        for number in 0..200 {
            watch.note(Signal::Enrolled, 1, at(number * 800));
            if number % 10 < 8 {
                watch.note(Signal::Approved, 1, at(number * 800));
            }
        }
        let now = 54 * 3600;
        for number in 0..40 {
            watch.note(Signal::Enrolled, 1, at(now - 3600 + number));
            if number < approved_now {
                watch.note(Signal::Approved, 1, at(now - 3600 + number));
            }
        }
        watch.look(at(now))
    };
    assert_eq!(run(30), []);
    let alerts = run(5);
    assert_eq!(stages(&alerts), [AlertStage::Raised]);
    assert!(
        alerts[0].message.ends_with("usually 80 %."),
        "{}",
        alerts[0].message
    );
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let good = AlertRule::standard()[0].clone();
    let with = |change: &dyn Fn(&mut AlertRule)| {
        let mut rule = good.clone();
        change(&mut rule);
        AlertEngine::new(vec![rule])
            .map(drop)
            .map_err(|problem| problem.what)
    };
    assert_eq!(with(&|_| ()), Ok(()));
    assert!(with(&|rule| rule.id = String::new()).is_err());
    assert!(with(&|rule| rule.id = "a b".into()).is_err());
    let count = |at_least, seconds| AlertCondition::Count {
        at_least,
        within: Duration::from_secs(seconds),
    };
    assert!(with(&|rule| rule.condition = count(0, 60)).is_err());
    assert!(with(&|rule| rule.condition = count(1, 0)).is_err());
    assert!(with(&|rule| rule.condition = count(1, 31 * 24 * 3600)).is_err());
    let twice = AlertEngine::new(vec![good.clone(), good.clone()]).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "the alert rule \"payment_failures\" has the name of another one"
    );
    let built = Registrar::builder(config(), coursegate::adapter::memory::MemoryStore::new())
        .alert_rules(vec![good.clone(), good])
        .build_for_tests();
    assert!(matches!(built, Err(BuildError::Alerts(_))));
    assert!(serde_json::from_str::<AlertRule>(r#"{"id":"x","signal":"explosion"}"#).is_err());
}

/// Keeps what it is given, or fails.
#[derive(Debug, Clone, Default)]
struct Pager {
    rung: Arc<Mutex<Vec<(String, AlertStage)>>>,
    broken: bool,
}

#[async_trait::async_trait]
impl AlertSink for Pager {
    async fn alert(&self, alert: &Alert) -> Result<(), ChannelError> {
        let rung = (alert.rule.clone(), alert.stage);
        self.rung.lock().unwrap().push(rung);
        match self.broken {
            true => Err(ChannelError::Unavailable("no line".to_owned())),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn alerts_go_to_sinks_events_and_admins() {
    let (pager, broken) = (
        Pager::default(),
        Pager {
            broken: true,
            ..Pager::default()
        },
    );
    let world = World::with(Settings::new(1), config(), |builder| {
        builder
            .alert_sink("broken", AlertRoute::everything(), broken.clone())
            .alert_sink("pager", AlertRoute::everything(), pager.clone())
    });
    let forged = with_signature(b"{}", &"0".repeat(64));
    for _ in 0..3 {
        world.registrar.receive(forged.clone()).await;
    }
    world.pass().await;
    world.pass().await;
    let raised = ("webhook_failures".to_owned(), AlertStage::Raised);
    assert_eq!(
        *pager.rung.lock().unwrap(),
        std::slice::from_ref(&raised),
        "once, and whatever another sink does"
    );
    assert_eq!(*broken.rung.lock().unwrap(), [raised]);
    assert_eq!(world.registrar.alerts()[0].rule, "webhook_failures");
    let desk = world.registrar.admin(admin());
    let notices = desk
        .notices()
        .list(true, PageRequest::first(10))
        .await
        .unwrap();
    let notice = &notices.items[0].notice;
    assert_eq!(
        (notice.kind, notice.headline()),
        (NoticeKind::Alert, "An alert began.")
    );
    assert_eq!(
        notice.note.as_ref().unwrap().as_str(),
        "3 times webhook failed in 2 minutes."
    );
    world.advance(130);
    world.pass().await;
    assert_eq!(pager.rung.lock().unwrap()[1].1, AlertStage::Recovered);
    assert!(world.registrar.alerts().is_empty());
}

#[tokio::test]
async fn what_happens_is_watched() {
    let pager = Pager::default();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.alert_sink("pager", AlertRoute::everything(), pager.clone())
    });
    // Five declined cards.
    for number in 0..5 {
        let (_, _, link) = world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
        world.pay(&link, Choice::Decline).await;
    }
    world.registrar.receive(signed("no json")).await;
    world.pass().await;
    let mut rung: Vec<String> = pager
        .rung
        .lock()
        .unwrap()
        .iter()
        .map(|(rule, _)| rule.clone())
        .collect();
    rung.sort();
    assert_eq!(rung, ["dead_letters", "payment_failures"]);
    // A publisher that was away: what it hears late is late.
    world.publisher.set_down(true);
    world.enroll("late", PaymentMethod::BankTransfer).await;
    world.pass().await;
    world.advance(40);
    world.publisher.set_down(false);
    world.pass().await;
    let rung: Vec<String> = pager
        .rung
        .lock()
        .unwrap()
        .iter()
        .map(|(rule, _)| rule.clone())
        .collect();
    assert!(rung.contains(&"sync_delay".to_owned()), "{rung:?}");
}

/// Another process of the same installation.
fn process(world: &World, pager: &Pager, clock: impl Clock) -> Registrar {
    Registrar::builder(config(), world.store.clone())
        .gateway(world.simulator.gateway())
        .clock(clock)
        .alert_sink("pager", AlertRoute::everything(), pager.clone())
        .build_for_tests()
        .unwrap()
}

fn three(world: &World, pager: &Pager) -> [Registrar; 3] {
    [(); 3].map(|()| process(world, pager, world.clock.clone()))
}

async fn refuse(registrar: &Registrar, times: usize) {
    for _ in 0..times {
        let forged = with_signature(b"{}", &"0".repeat(64));
        registrar.receive(forged).await;
    }
}

#[tokio::test]
async fn three_processes_with_two_failures_each_raise_one_alert() {
    let (world, pager) = (World::new(), Pager::default());
    let processes = three(&world, &pager);
    let all = async || {
        for registrar in &processes {
            registrar.worker().pass().await.unwrap();
        }
    };
    all().await;
    for registrar in &processes {
        refuse(registrar, 1).await;
    }
    // In five seconds each has told the others.
    for _ in 0..2 {
        world.advance(5);
        all().await;
    }
    let rung = || {
        let mut rung = pager.rung.lock().unwrap().clone();
        rung.retain(|(rule, _)| rule == "webhook_failures");
        rung
    };
    let of = |stage| ("webhook_failures".to_owned(), stage);
    assert_eq!(rung(), [of(AlertStage::Raised)]);
    for registrar in &processes {
        assert_eq!(registrar.alerts()[0].rule, "webhook_failures");
    }
    // One that starts later knows of it too, and raises nothing.
    let late = process(&world, &pager, world.clock.clone());
    late.worker().pass().await.unwrap();
    assert_eq!(late.alerts().len(), 1);
    // It goes on for longer than the rule lets it, in one of them.
    for _ in 0..12 {
        refuse(&processes[1], 3).await;
        world.advance(60);
        all().await;
    }
    assert_eq!(rung()[1..], [of(AlertStage::Escalated)]);
    for _ in 0..40 {
        world.advance(4);
        all().await;
        late.worker().pass().await.unwrap();
    }
    assert_eq!(rung()[2..], [of(AlertStage::Recovered)]);
    for registrar in &processes {
        let stands = |alert: &Alert| alert.rule == "webhook_failures";
        assert!(!registrar.alerts().iter().any(stands));
    }
}

/// At any threshold, however failures and looks are spread over processes: raised once as soon as
/// all have looked, never twice, and over once.
#[tokio::test]
async fn an_alert_is_said_once_however_it_is_seen() {
    for seed in 0..40_u64 {
        let (world, pager) = (World::new(), Pager::default());
        let processes = three(&world, &pager);
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |of: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % of
        };
        for registrar in &processes {
            registrar.worker().pass().await.unwrap();
        }
        for _ in 0..3 {
            let at = usize::try_from(next(3)).unwrap();
            refuse(&processes[at], 1).await;
            world.advance(next(4));
            let at = usize::try_from(next(3)).unwrap();
            processes[at].worker().pass().await.unwrap();
        }
        for _ in 0..200 {
            world.advance(1 + next(2));
            let at = usize::try_from(next(3)).unwrap();
            processes[at].worker().pass().await.unwrap();
        }
        for registrar in &processes {
            registrar.worker().pass().await.unwrap();
        }
        let rung = pager.rung.lock().unwrap().clone();
        let stages: Vec<AlertStage> = rung.iter().map(|(_, stage)| *stage).collect();
        assert_eq!(
            stages,
            [AlertStage::Raised, AlertStage::Recovered],
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn a_restart_forgets_nothing_that_rules_look_back_at() {
    let (world, pager) = (World::new(), Pager::default());
    let before = process(&world, &pager, world.clock.clone());
    refuse(&before, 2).await;
    before.worker().pass().await.unwrap();
    drop(before);
    world.advance(30);
    let after = process(&world, &pager, world.clock.clone());
    refuse(&after, 1).await;
    after.worker().pass().await.unwrap();
    assert_eq!(after.alerts().len(), 1);
}

#[tokio::test]
async fn alerts_go_where_they_are_routed_by_rule_severity_and_time() {
    let sinks: [Pager; 4] = std::array::from_fn(|_| Pager::default());
    let [critical, warnings, floods, manager] = sinks.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder
            .alert_sink(
                "critical",
                AlertRoute::severities([AlertSeverity::Critical]),
                critical,
            )
            .alert_sink(
                "warnings",
                AlertRoute::severities([AlertSeverity::Warning]),
                warnings,
            )
            .alert_sink("floods", AlertRoute::rule("flood"), floods)
            .alert_sink(
                "manager",
                AlertRoute::everything().only_escalated(),
                manager,
            )
    });
    // Three failures are critical, ten wrong signatures a warning, and 61 in a minute a flood.
    refuse(&world.registrar, 70).await;
    world.pass().await;
    let rung = |at: usize| -> Vec<String> {
        let rung = sinks[at].rung.lock().unwrap();
        let rules = rung.iter().map(|(rule, _)| rule.clone());
        let mut rules: Vec<String> = rules.filter(|rule| rule != "sync_delay").collect();
        rules.sort_unstable();
        rules
    };
    assert_eq!(rung(0), ["webhook_failures"]);
    assert_eq!(rung(1), ["flood", "signature_failures"]);
    assert_eq!(rung(2), ["flood"]);
    assert!(rung(3).is_empty());
    for _ in 0..11 {
        world.advance(60);
        refuse(&world.registrar, 3).await;
        world.pass().await;
    }
    assert_eq!(
        rung(3),
        ["webhook_failures"],
        "critical ones escalate after ten minutes"
    );
    for _ in 0..30 {
        world.advance(60);
        world.pass().await;
    }
    assert_eq!(rung(0).len(), 3, "raised, escalated, over");
    assert_eq!(rung(3), ["webhook_failures"; 2], "and that it is over");
}

#[tokio::test]
async fn a_sink_that_fails_is_told_again() {
    let pager = Pager::default();
    let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
    #[derive(Debug)]
    struct Line(Pager, Arc<std::sync::atomic::AtomicBool>);
    #[async_trait::async_trait]
    impl AlertSink for Line {
        async fn alert(&self, alert: &Alert) -> Result<(), ChannelError> {
            match self.1.load(std::sync::atomic::Ordering::Relaxed) {
                true => Err(ChannelError::Unavailable("no line".to_owned())),
                false => self.0.alert(alert).await,
            }
        }
    }
    let (line, other) = (Line(pager.clone(), broken.clone()), Pager::default());
    let world = World::with(Settings::new(1), config(), |builder| {
        builder
            .alert_sink("line", AlertRoute::everything(), line)
            .alert_sink("other", AlertRoute::everything(), other.clone())
    });
    refuse(&world.registrar, 3).await;
    world.pass().await;
    broken.store(false, std::sync::atomic::Ordering::Relaxed);
    world.advance(11);
    world.pass().await;
    let raised = [("webhook_failures".to_owned(), AlertStage::Raised)];
    assert_eq!(pager.rung.lock().unwrap()[..1], raised);
    let of_others = other.rung.lock().unwrap().clone();
    let twice = of_others.iter().filter(|rung| **rung == raised[0]).count();
    assert_eq!(twice, 1, "and nobody else twice");
}

#[test]
fn routes_that_lead_nowhere_are_refused() {
    let builder = || Registrar::builder(config(), coursegate::adapter::memory::MemoryStore::new());
    let nowhere = builder()
        .alert_sink(
            "pager",
            AlertRoute::rule("webhook_failure"),
            Pager::default(),
        )
        .build_for_tests();
    assert_eq!(
        nowhere.unwrap_err().to_string(),
        "the alert sink \"pager\" is to be told of the rule \"webhook_failure\", and there is no rule of that name"
    );
    for name in ["", "log", "pager"] {
        let twice = builder()
            .alert_sink("pager", AlertRoute::everything(), Pager::default())
            .alert_sink(name, AlertRoute::everything(), Pager::default())
            .build_for_tests();
        assert_eq!(twice.unwrap_err(), BuildError::SinkTwice(name.to_owned()));
    }
}

#[tokio::test]
async fn what_a_secret_signs_is_known_to_all_processes_and_after_a_restart() {
    let (world, pager) = (World::new(), Pager::default());
    let [one, two, _] = three(&world, &pager);
    for _ in 0..3 {
        one.receive(signed("{}")).await;
    }
    two.receive(signed("[]")).await;
    one.worker().pass().await.unwrap();
    two.worker().pass().await.unwrap();
    world.advance(6);
    one.worker().pass().await.unwrap();
    let used = |registrar: &Registrar| {
        let used = registrar.key_use();
        (used[0].callbacks, used[0].last)
    };
    assert_eq!(used(&one), (4, Some(start())));
    assert_eq!(used(&two), (4, Some(start())));
    let after = process(&world, &pager, world.clock.clone());
    assert_eq!(used(&after), (0, None));
    after.health().await;
    assert_eq!(used(&after), (4, Some(start())));
    // The next secret of the same label was not used yet.
    let (app_id, next) = (AppId::new(APP_ID).unwrap(), "test-secret-of-the-next-year");
    let site = config().site;
    let next = Config::new(app_id, Secret::new(next).unwrap(), site).unwrap();
    let rotated = Registrar::builder(next, world.store.clone())
        .gateway(world.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    rotated.health().await;
    assert_eq!(used(&rotated), (0, None));
}
