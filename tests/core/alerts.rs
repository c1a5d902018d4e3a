//! Alerts: rules at the edges of their windows, raised once, escalated, over; and where they go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coursegate::Registrar;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::monitor::{
    Alert, AlertCondition, AlertRule, AlertSeverity, AlertStage, Signal, Watch,
};
use coursegate::notice::NoticeKind;
use coursegate::payment::Method;
use coursegate::port::{AlertSink, ChannelError, PageRequest};
use coursegate::registrar::BuildError;

use crate::support::{World, admin, config, signed, start, with_signature};

fn at(seconds: i64) -> DateTime<Utc> {
    start() + chrono::Duration::seconds(seconds)
}

fn standard(id: &str) -> Watch {
    let mut rules = AlertRule::standard();
    rules.retain(|rule| rule.id == id);
    assert_eq!(rules.len(), 1, "{id}");
    Watch::new(rules).unwrap()
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
    assert_eq!(stages(&watch.look(at(310))), [AlertStage::Recovered]);
    assert_eq!(watch.look(at(310)), []);
    assert_eq!(watch.standing(at(310)), []);
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
    assert_eq!(watch.look(at(300)), []);
    assert_eq!(stages(&watch.look(at(301))), [AlertStage::Recovered]);
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
        Watch::new(vec![rule])
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
    let twice = Watch::new(vec![good.clone(), good.clone()]).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "the alert rule \"payment_failures\" has the name of another one"
    );
    let built = Registrar::builder(config(), coursegate::adapter::memory::MemoryStore::new())
        .alert_rules(vec![good.clone(), good])
        .build();
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
async fn alerts_go_to_sinks_records_and_admins() {
    let (pager, broken) = (
        Pager::default(),
        Pager {
            broken: true,
            ..Pager::default()
        },
    );
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.alert_sink(broken.clone()).alert_sink(pager.clone())
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
    let notices = desk.notices(true, PageRequest::first(10)).await.unwrap();
    let notice = &notices.items[0].notice;
    assert_eq!(
        (notice.kind, notice.headline()),
        (NoticeKind::Alert, "An alert began.")
    );
    assert_eq!(
        notice.note.as_ref().unwrap().as_str(),
        "3 times webhook failed in 2 minutes."
    );
    world.advance(120);
    world.pass().await;
    assert_eq!(pager.rung.lock().unwrap()[1].1, AlertStage::Recovered);
    assert!(world.registrar.alerts().is_empty());
}

#[tokio::test]
async fn what_happens_is_watched() {
    let pager = Pager::default();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.alert_sink(pager.clone())
    });
    // Five declined cards.
    for number in 0..5 {
        let (_, _, link) = world
            .attempt(&format!("learner-{number}"), Method::Card)
            .await;
        world.pay(&link, Choice::Decline).await;
    }
    world.registrar.receive(signed("no json")).await;
    world.pass().await;
    let rung: Vec<String> = pager
        .rung
        .lock()
        .unwrap()
        .iter()
        .map(|(rule, _)| rule.clone())
        .collect();
    assert_eq!(rung, ["payment_failures", "dead_letters"]);
    // A publisher that was away: what it hears late is late.
    world.publisher.set_down(true);
    world.enrol("late", Method::BankTransfer).await;
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
