//! One instance's clock is hours off: nobody else may notice.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use coursegate::access::{AccessRequest, ResourceKind};
use coursegate::adapter::memory::RecordingPublisher;
use coursegate::adapter::postgres::PgStore;
use coursegate::adapter::simulator::{Choice, Settings, Simulator};
use coursegate::event::Event;
use coursegate::payment::PaymentMethod;
use coursegate::port::{Clock, Sleep, SystemClock};
use coursegate::registrar::{HealthStatus, NextStep, Outcome};
use coursegate::{AppId, Registrar, Secret};

use crate::cluster::fresh_store;
use crate::support::{APP_ID, SECRET, config, course, delivery, learner, request};

/// A machine's clock that is set wrong.
#[derive(Debug)]
struct Off(TimeDelta);

impl Clock for Off {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

struct Instance {
    registrar: Registrar,
    published: RecordingPublisher,
}

fn instance(store: &PgStore, simulator: &Simulator, off: TimeDelta) -> Instance {
    let published = RecordingPublisher::new();
    let registrar = Registrar::builder(config(), store.clone())
        .gateway(simulator.gateway())
        .publisher(published.clone())
        .clock(Off(off))
        .build_for_tests()
        .unwrap();
    Instance {
        registrar,
        published,
    }
}

#[tokio::test]
async fn an_instance_whose_clock_is_hours_off_hides_and_delays_nothing() {
    for off in [TimeDelta::hours(2), TimeDelta::hours(-2)] {
        let store = fresh_store().await;
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
        let simulator = Simulator::new(app_id, secret, Settings::new(1));
        let wrong = instance(&store, &simulator, off);
        let right = instance(&store, &simulator, TimeDelta::zero());
        // Whoever runs it looks at its health, or runs a worker.
        let health = wrong.registrar.health().await;
        let clock = health.parts.iter().find(|part| part.part == "clock");
        let clock = clock.expect("nobody says that its clock is off");
        assert_eq!(clock.condition, HealthStatus::Degraded);
        assert!(
            clock.reason.contains("7200 s") || clock.reason.contains("7199 s"),
            "{clock:?}"
        );
        assert!(
            right
                .registrar
                .health()
                .await
                .parts
                .iter()
                .all(|part| part.part != "clock")
        );

        let enrolled = wrong
            .registrar
            .enroll(request("thandi", PaymentMethod::Card))
            .await;
        let NextStep::Pay { url, .. } = enrolled.unwrap().next else {
            panic!("no pay link")
        };
        let link = url.rsplit('/').next().unwrap().parse().unwrap();
        simulator.pay(&link, Choice::Card).unwrap();
        for callback in simulator.take_callbacks() {
            let receipt = wrong.registrar.receive(delivery(&callback)).await;
            assert_eq!(receipt.outcome, Outcome::Approved);
        }
        // It dies. The other one lets in, and tells of everything at once.
        drop(wrong);
        let question = AccessRequest::new(learner("thandi"), course(), ResourceKind::Lesson);
        let answer = right.registrar.access(&question).await.unwrap();
        assert!(answer.is_allowed(), "{off}: {answer:?}");
        right.registrar.worker().pass().await.unwrap();
        let published = right.published.published();
        let opens = |event: &Event| event.kind.name() == "course_access_granted";
        assert!(published.iter().any(opens), "{off}: {published:?}");
        for event in published {
            let apart = (event.at - Utc::now()).abs();
            assert!(apart < TimeDelta::minutes(1), "{off}: stamped {apart} off");
        }
    }
}
