//! What happens once is on record once, whoever does it at once and whatever breaks meanwhile:
//! bursaries that are given and taken, callbacks that are parked or given up on, and all that
//! people decide.

use std::time::Duration;

use chrono::Utc;
use coursegate::access::{AccessTerms, GrantState};
use coursegate::adapter::memory::TestClock;
use coursegate::adapter::postgres::PgStore;
use coursegate::adapter::simulator::{Choice, Settings, Simulator};
use coursegate::evidence::EvidenceLevel;
use coursegate::payment::{PaymentMethod, Reversal};
use coursegate::registrar::{NewGrant, Outcome};
use coursegate::store::{Lookup, Queries, Store};
use coursegate::webhook::Delivery;
use coursegate::{AdminId, AppId, Money, Registrar, Secret};
use futures_util::future::join_all;
use sqlx::AssertSqlSafe;

use crate::broken::LostAnswers;
use crate::cluster::{fresh_schema, pool, url};
use crate::school::{enroll, onlooker, registrar};
use crate::support::{APP_ID, SECRET, admin, body, config, course, learner, request, signed};

async fn store() -> (PgStore, String) {
    let schema = fresh_schema();
    let store = PgStore::new(pool().await).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    (store, schema)
}

/// The events on record, and how often each happened.
async fn events(schema: &str) -> Vec<(String, i64)> {
    let text = format!(
        "SELECT data::json ->> 'type', count(*) FROM {schema}.events GROUP BY 1 ORDER BY 1"
    );
    let query = sqlx::query_as(AssertSqlSafe(text));
    query.fetch_all(&onlooker(url()).await).await.unwrap()
}

/// How many events of an event there are.
async fn recorded(schema: &str, kind: &str) -> i64 {
    let events = events(schema).await;
    let found = events.into_iter().find(|(event, _)| event == kind);
    found.map_or(0, |(_, count)| count)
}

fn bursary() -> NewGrant {
    NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    }
}

fn at(store: impl Store + Queries, ahead: i64) -> Registrar {
    let clock = TestClock::at(Utc::now() + chrono::Duration::seconds(ahead));
    Registrar::builder(config(), store)
        .clock(clock)
        .build_for_tests()
        .unwrap()
}

/// Admins at two instances end the same bursaries.
async fn bursaries_end(store: PgStore, schema: &str) {
    let instances = [registrar(store.clone()), registrar(store)];
    for _ in 0..10 {
        let desk = instances[0].admin(admin());
        let grant = desk.learners().grant(bursary(), "").await.unwrap().id;
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let registrar = instances[number % 2].clone();
                tokio::spawn(
                    async move { registrar.admin(admin()).learners().revoke(grant, "").await },
                )
            })
            .collect();
        let done = join_all(tasks).await.into_iter();
        let done = done.filter(|done| done.as_ref().unwrap().is_ok()).count();
        assert_eq!(done, 1, "who ended it");
    }
    assert_eq!(recorded(schema, "grant_given").await, 10);
    assert_eq!(recorded(schema, "grant_taken").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_who_end_one_bursary_at_once_leave_one_event() {
    let (store, schema) = store().await;
    bursaries_end(store, &schema).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn also_of_a_learner_who_is_enrolled() {
    let (store, schema) = store().await;
    enroll(&registrar(store.clone()), &store, "thandi").await;
    bursaries_end(store, &schema).await;
}

/// One of everything that people decide, and what callbacks bring.
async fn a_day<S: Store + Queries>(store: S, looker: &PgStore) {
    let mut config = config().minimum_evidence(EvidenceLevel::Signed);
    config.rules.dual_approval_above = Some(1);
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let simulator = Simulator::new(app_id, secret, Settings::new(1));
    let registrar = Registrar::builder(config, store)
        .gateway(simulator.gateway())
        .build_for_tests()
        .unwrap();
    let desk = registrar.admin(admin());
    let other = NewGrant {
        learner: learner("lerato"),
        ..bursary()
    };
    let given = desk.learners().grant(other, "apart").await.unwrap();
    desk.learners().revoke(given.id, "").await.unwrap();
    let due = enroll(&registrar, looker, "thandi").await;
    let grant = desk.learners().grant(bursary(), "beside").await.unwrap();
    desk.learners().revoke(grant.id, "").await.unwrap();
    simulator.pay(&due.link, Choice::Card).unwrap();
    for status in ["FAILURE", "SUCCESS", "SUCCESS"] {
        let receipt = registrar.receive(due.callback(status)).await;
        assert_eq!(receipt.http_status(), 200, "{receipt:?}");
    }
    for number in 1..3 {
        let (cents, proof) = (Money::zar(100).unwrap(), format!("R-{number}"));
        let refunds = desk.refunds();
        let refund = refunds.record_partial(&due.reference, cents, proof);
        refund.await.unwrap();
    }
    let how = Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&due.reference, how, "")
        .await
        .unwrap();
    let refunds = desk.refunds();
    let back = refunds.record_reinstatement(&due.reference, "");
    back.await.unwrap();

    let transfer = registrar.enroll(request("sipho", PaymentMethod::BankTransfer));
    let enrollment = transfer.await.unwrap().enrollment.unwrap();
    // The first of two is told that it is done, and not that the same person came again.
    desk.approvals().approve(enrollment, "").await.unwrap();
    let second = registrar.admin(AdminId::new("second").unwrap());
    second.approvals().approve(enrollment, "").await.unwrap();

    let stranger = signed(&body("link1", "SUCCESS", "STRANGER-1"));
    let parked = registrar.receive(stranger).await;
    assert_eq!(parked.outcome, Outcome::Parked);
    registrar.receive(signed("no JSON")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_on_record_twice_because_an_answer_was_lost() {
    let ((plain, once), (broken, twice)) = (store().await, store().await);
    a_day(plain.clone(), &plain).await;
    a_day(LostAnswers(broken.clone()), &broken).await;
    assert_eq!(events(&twice).await, events(&once).await);
    for (event, times) in [
        ("grant_taken", 2),
        ("payment_returned", 2),
        ("first_approval", 1),
        ("delivery_parked", 1),
        ("delivery_dead", 1),
    ] {
        assert_eq!(recorded(&once, event).await, times, "{event}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bursary_given_over_a_connection_that_broke_is_on_record_once() {
    let (store, schema) = store().await;
    enroll(&registrar(store.clone()), &store, "thandi").await;
    let registrar = registrar(LostAnswers(store));
    let desk = registrar.admin(admin());
    desk.learners().grant(bursary(), "").await.unwrap();
    assert_eq!(recorded(&schema, "grant_given").await, 1);
}

#[tokio::test]
async fn a_bursary_does_not_end_before_it_begins() {
    for is_enrolled in [false, true] {
        let (store, schema) = store().await;
        if is_enrolled {
            enroll(&registrar(store.clone()), &store, "thandi").await;
        }
        let (fast, slow) = (at(store.clone(), 3), at(store.clone(), 0));
        let given = fast
            .admin(admin())
            .learners()
            .grant(bursary(), "")
            .await
            .unwrap();
        slow.admin(admin())
            .learners()
            .revoke(given.id, "")
            .await
            .unwrap();
        let found = store.load(Lookup::Grant(given.id)).await.unwrap();
        let ended = found.grant.unwrap();
        let GrantState::Ended { at, .. } = ended.state else {
            panic!("it lives")
        };
        assert!(at >= ended.starts_at, "{ended:?}");
        let text = format!(
            "SELECT count(*) FROM {schema}.events AS taken, {schema}.events AS given
             WHERE taken.data::json ->> 'type' = 'grant_taken' AND taken.at >= given.at
               AND given.data::json ->> 'type' = 'grant_given'"
        );
        let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(text));
        let in_order = query.fetch_one(&onlooker(url()).await).await.unwrap();
        assert_eq!(in_order, 1, "it is on record as taken before it was given");
    }
}

/// Hands one delivery over to two instances, several times at once.
async fn several(instances: &[Registrar; 2], delivery: &Delivery) {
    let copies = (0..8).map(|number| instances[number % 2].receive(delivery.clone()));
    for receipt in join_all(copies).await {
        assert_eq!(receipt.http_status(), 200, "{receipt:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_comes_several_times_at_once_is_parked_or_dead_once() {
    let (store, schema) = store().await;
    let instances = [registrar(store.clone()), registrar(store)];
    for number in 1..4 {
        let stranger = body("link1", "SUCCESS", &format!("STRANGER-{number}"));
        several(&instances, &signed(&stranger)).await;
        let unreadable = format!("no JSON {number}");
        several(&instances, &signed(&unreadable)).await;
        assert_eq!(recorded(&schema, "delivery_parked").await, number);
        assert_eq!(recorded(&schema, "delivery_dead").await, number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_was_given_up_on_is_not_given_up_on_again() {
    for limit in [0, 2] {
        let (store, schema) = store().await;
        let mut config = config();
        (config.retry_limit, config.retry_delay) = (limit, Duration::from_millis(1));
        config.retry_delay_max = Duration::from_millis(1);
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
        let simulator = Simulator::new(app_id, secret, Settings::new(1));
        let registrar = Registrar::builder(config, store.clone())
            .gateway(simulator.gateway())
            .build_for_tests()
            .unwrap();
        let due = enroll(&registrar, &store, "thandi").await;
        // The provider does not say that it is paid.
        let copies = (0..8).map(|_| registrar.receive(due.callback("SUCCESS")));
        join_all(copies).await;
        for _ in 0..2 * limit {
            tokio::time::sleep(Duration::from_millis(5)).await;
            registrar.worker().pass().await.unwrap();
        }
        let receipt = registrar.receive(due.callback("SUCCESS")).await;
        assert_eq!(receipt.outcome, Outcome::Dead);
        registrar.worker().pass().await.unwrap();
        assert_eq!(recorded(&schema, "delivery_dead").await, 1);

        // A copy that comes once it is paid is applied all the same.
        simulator.pay(&due.link, Choice::Card).unwrap();
        let receipt = registrar.receive(due.callback("SUCCESS")).await;
        assert_eq!(receipt.outcome, Outcome::Approved);
        assert_eq!(recorded(&schema, "delivery_dead").await, 1);
    }
}
