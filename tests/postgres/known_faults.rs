//! Faults that the storm found, each as small as it gets. They wait to be mended: run them with
//! `--ignored`. The storm tells of them, and does not fail by them, in `storm/checks.rs`.

use std::time::Duration;

use chrono::Utc;
use coursegate::Registrar;
use coursegate::access::Terms;
use coursegate::adapter::memory::TestClock;
use coursegate::adapter::postgres::PgStore;
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::port::{Records, Store};
use coursegate::registrar::NewGrant;
use coursegate::webhook::Delivery;
use coursegate::{AppId, Secret};
use futures_util::future::join_all;
use sqlx::AssertSqlSafe;

use crate::broken::LostAnswer;
use crate::cluster::{fresh_schema, pool, url};
use crate::school::{enrol, onlooker, registrar};
use crate::support::{APP_ID, SECRET, admin, body, config, course, learner, signed};

async fn store() -> (PgStore, String) {
    let schema = fresh_schema();
    let store = PgStore::new(pool().await).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    (store, schema)
}

/// How many records of an event there are.
async fn recorded(schema: &str, fact: &str) -> i64 {
    let text = format!("SELECT count(*) FROM {schema}.records WHERE fact::json ->> 'fact' = $1");
    sqlx::query_scalar(AssertSqlSafe(text))
        .bind(fact)
        .fetch_one(&onlooker(url()).await)
        .await
        .unwrap()
}

fn bursary() -> NewGrant {
    NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: Terms::default(),
    }
}

fn at(store: impl Store + Records, ahead: i64) -> Registrar {
    let clock = TestClock::at(Utc::now() + chrono::Duration::seconds(ahead));
    Registrar::builder(config(), store)
        .clock(clock)
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "known fault: without an enrollment there is no version that one of them could lose by"]
async fn admins_who_end_one_bursary_at_once_leave_one_record() {
    let (store, schema) = store().await;
    let registrar = registrar(store);
    for _ in 0..10 {
        let desk = registrar.admin(admin());
        let grant = desk.grant(bursary(), "").await.unwrap().id;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let registrar = registrar.clone();
                tokio::spawn(async move { registrar.admin(admin()).revoke(grant, "").await })
            })
            .collect();
        let done = join_all(tasks).await;
        assert!(done.into_iter().any(|done| done.unwrap().is_ok()));
    }
    assert_eq!(recorded(&schema, "grant_taken").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "known fault: the same grant is decided again, with a record of its own"]
async fn a_bursary_given_over_a_connection_that_broke_is_on_record_once() {
    let (store, schema) = store().await;
    enrol(&registrar(store.clone()), &store, "thandi").await;
    let registrar = registrar(LostAnswer::new(store));
    let desk = registrar.admin(admin());
    desk.grant(bursary(), "").await.unwrap();
    assert_eq!(recorded(&schema, "grant_given").await, 1);
}

#[tokio::test]
#[ignore = "known fault: only time within an enrollment never runs backwards"]
async fn a_bursary_does_not_end_before_it_begins() {
    let (store, schema) = store().await;
    let (fast, slow) = (at(store.clone(), 3), at(store, 0));
    let grant = fast.admin(admin()).grant(bursary(), "").await.unwrap().id;
    slow.admin(admin()).revoke(grant, "").await.unwrap();
    let text = format!("SELECT count(*) FROM {schema}.grants WHERE ended_at < starts_at");
    let onlooker = onlooker(url()).await;
    let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(text));
    assert_eq!(query.fetch_one(&onlooker).await.unwrap(), 0);
}

/// Hands one delivery over, several times at once.
async fn several(registrar: &Registrar, delivery: &Delivery) {
    let copies = (0..8).map(|_| registrar.receive(delivery.clone()));
    for receipt in join_all(copies).await {
        assert_eq!(receipt.http_status(), 200, "{receipt:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "known fault: each of those that find nothing stored yet writes a record"]
async fn a_callback_that_comes_several_times_at_once_is_parked_or_dead_once() {
    let (store, schema) = store().await;
    let registrar = registrar(store);
    several(&registrar, &signed(&body("link1", "SUCCESS", "STRANGER-1"))).await;
    several(&registrar, &signed("no JSON")).await;
    assert_eq!(recorded(&schema, "delivery_parked").await, 1);
    assert_eq!(recorded(&schema, "delivery_dead").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "known fault: what is dead dies again with each copy that comes"]
async fn a_callback_that_was_given_up_on_is_not_given_up_on_again() {
    let (store, schema) = store().await;
    let mut config = config();
    (config.retry_limit, config.retry_delay) = (0, Duration::from_millis(1));
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let simulator = Simulator::new(app_id, secret, Settings::new(1));
    let registrar = Registrar::builder(config, store.clone())
        .gateway(simulator.gateway())
        .build()
        .unwrap();
    let due = enrol(&registrar, &store, "thandi").await;
    // The provider does not say that it is paid.
    for _ in 0..3 {
        registrar.receive(due.callback("SUCCESS")).await;
    }
    assert_eq!(recorded(&schema, "delivery_dead").await, 1);
}
