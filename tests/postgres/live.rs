//! Live updates across instances that share a database.

use std::time::{Duration, Instant};

use coursegate::access::Visitor;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::live::{AdminStream, AdminUpdate, Hub, LearnerStream};
use coursegate::payment::PaymentMethod;
use coursegate::{AppId, Registrar, Secret};
use tokio::task::JoinHandle;

use crate::cluster::{fresh_schema, pool, url};
use crate::support::{APP_ID, SECRET, admin, config, course, learner, request};

/// One process: a registrar, its worker, and a hub that hears what any process announces.
struct Instance {
    registrar: Registrar,
    hub: Hub,
    tasks: Vec<JoinHandle<()>>,
}

impl Instance {
    fn new(store: &PgStore) -> Self {
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
        let simulator = Simulator::new(app_id, secret, Settings::new(1));
        let registrar = Registrar::builder(config(), store.clone())
            .gateway(simulator.gateway())
            .publisher(store.announcer())
            .build_for_tests()
            .unwrap();
        let hub = Hub::new();
        let (worker, store, heard) = (registrar.worker(), store.clone(), hub.clone());
        let tasks = vec![
            tokio::spawn(async move { worker.run(std::future::pending()).await }),
            tokio::spawn(async move {
                let missed = heard.clone();
                store.subscribe(heard, move || missed.resync()).await;
            }),
        ];
        Self {
            registrar,
            hub,
            tasks,
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reads on until a card says so.
async fn shows(stream: &mut LearnerStream, reason: &str) -> Duration {
    let begun = Instant::now();
    let reading = async {
        loop {
            let update = stream.next().await.unwrap();
            if update.cards().iter().any(|card| card.card.reason == reason) {
                return begun.elapsed();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .unwrap_or_else(|_| panic!("no card says {reason}"))
}

async fn tells(stream: &mut AdminStream, wanted: impl Fn(&AdminUpdate) -> bool) -> Duration {
    let begun = Instant::now();
    let reading = async {
        while !wanted(&stream.next().await.unwrap()) {}
        begun.elapsed()
    };
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("the admins are not told")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_at_one_instance_shows_at_the_other() {
    let schema = fresh_schema();
    let options = pool_options().connect_with({
        let options: sqlx::postgres::PgConnectOptions = url().parse().unwrap();
        options.application_name(&schema)
    });
    let store = PgStore::new(options.await.unwrap())
        .schema(&schema)
        .unwrap();
    store.migrate().await.unwrap();
    let (here, there) = (Instance::new(&store), Instance::new(&store));
    let mut cards = there
        .hub
        .learner(
            &there.registrar,
            Visitor::new(learner("thandi")),
            vec![course()],
            None,
        )
        .await
        .unwrap();
    let mut queue = there
        .hub
        .admins(&there.registrar, admin(), None)
        .await
        .unwrap();
    shows(&mut cards, "not_enrolled").await;
    tells(&mut queue, |update| {
        matches!(update, AdminUpdate::Snapshot { .. })
    })
    .await;

    let wish = request("thandi", PaymentMethod::BankTransfer);
    let enrolled = here
        .registrar
        .enroll(wish)
        .await
        .unwrap()
        .enrollment
        .unwrap();
    let waits = |update: &AdminUpdate| match update {
        AdminUpdate::Event(event) => event.pending.is_some(),
        AdminUpdate::Snapshot { pending, .. } => !pending.is_empty(),
        _ => false,
    };
    let seen = tells(&mut queue, waits).await;
    assert!(seen < Duration::from_secs(1), "{seen:?}");
    shows(&mut cards, "bank_transfer").await;

    // Every connection breaks, and what happens then is not told, but found.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE application_name = $1";
    sqlx::query(cut)
        .bind(&schema)
        .execute(&pool().await)
        .await
        .unwrap();
    let begun = Instant::now();
    loop {
        // The first calls may find their connections broken.
        if here
            .registrar
            .admin(admin())
            .approvals()
            .approve(enrolled, "")
            .await
            .is_ok()
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    shows(&mut cards, "access").await;
    let decided = |update: &AdminUpdate| match update {
        AdminUpdate::Event(event) => event.decided,
        AdminUpdate::Snapshot { pending, .. } => pending.is_empty(),
        _ => false,
    };
    tells(&mut queue, decided).await;

    // And it goes on as before: approved here, seen there.
    let mut others = there
        .hub
        .learner(
            &there.registrar,
            Visitor::new(learner("sipho")),
            vec![course()],
            None,
        )
        .await
        .unwrap();
    shows(&mut others, "not_enrolled").await;
    let wish = request("sipho", PaymentMethod::BankTransfer);
    let enrolled = here
        .registrar
        .enroll(wish)
        .await
        .unwrap()
        .enrollment
        .unwrap();
    shows(&mut others, "bank_transfer").await;
    here.registrar
        .admin(admin())
        .approvals()
        .approve(enrolled, "")
        .await
        .unwrap();
    let told = shows(&mut others, "access").await;
    assert!(told < Duration::from_secs(2), "{told:?}");
}
