//! How fast a backlog drains, beside the live rate of the same store: callbacks whose provider
//! could not be asked, timers that are due, and events that were not published. Each is made by
//! the same calls that a host makes, and drained by one running [`Worker`]; then as many callbacks
//! come live, from eight callers at once.
//!
//! `cargo bench --bench backlog --features postgres,simulator`, 100,000 of each, or as many as
//! `COURSEGATE_BACKLOG` says. It starts a Postgres of its own with default durability, unless
//! `DATABASE_URL` names one.
//!
//! Measured with 100,000 of each on two cores that others used too (ratios of one run), a second and
//! beside the live rate:
//!
//! | store | live callbacks | callbacks that wait | timers | events |
//! |---|---|---|---|---|
//! | memory | 26,082 | 14,831 (0.57) | 134,007 (5.14) | 653,837 (25) |
//! | Postgres | 676 | 286 (0.42) | 539 (0.80) | 15,752 (23) |
//!
//! [`Worker`]: coursegate::registrar::Worker
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    dead_code
)]

#[path = "../tests/postgres/cluster.rs"]
mod cluster;
#[path = "postgres/measure.rs"]
mod measure;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::NaiveDate;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::adapter::simulator::{Callback, Choice, Settings, Simulator};
use coursegate::enrollment::{Status, TransitionRequest};
use coursegate::event::Event;
use coursegate::evidence::{Confirmation, EvidenceLevel};
use coursegate::payment::{PayLink, PaymentMethod};
use coursegate::port::{
    Capabilities, EventPublisher, GatewayError, History, LinkRequest, PaymentGateway, PublishError,
    RefundRequest, StatusQuery,
};
use coursegate::registrar::{EnrollRequest, NextStep, Outcome, RegistrarBuilder};
use coursegate::store::{Queries, Store};
use coursegate::webhook::Delivery;
use coursegate::{
    AppId, BankDetails, Config, CourseId, Email, LearnerId, Money, Registrar, Secret, Site, Title,
};

use measure::rate;

const APP_ID: &str = "IKTESTBENCH";
const SECRET: &str = "test-secret-0123456789abcdef";
const PATH: &str = "/payments/ikhokha";
const CALLERS: usize = 8;

/// What was done in the background so far.
#[derive(Clone, Debug, Default)]
struct Done(Arc<AtomicUsize>);

impl Done {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventPublisher for Done {
    async fn publish(&self, _: &Event) -> Result<(), PublishError> {
        self.count();
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

/// A provider that is asked enough already.
#[derive(Debug)]
struct Busy;

#[async_trait]
impl PaymentGateway for Busy {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::ikhokha();
        capabilities.is_test_double = true;
        capabilities
    }

    async fn create_link(&self, _: &LinkRequest) -> Result<PayLink, GatewayError> {
        Err(GatewayError::Throttled)
    }

    async fn status(&self, _: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        Err(GatewayError::Throttled)
    }

    async fn history(&self, _: NaiveDate, _: NaiveDate) -> Result<History, GatewayError> {
        Err(GatewayError::Throttled)
    }

    async fn refund(&self, _: &RefundRequest) -> Result<(), GatewayError> {
        Err(GatewayError::Throttled)
    }
}

fn config() -> Config {
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let page = "https://school.example/returned/{reference}";
    let site = Site {
        callback_url: format!("https://school.example{PATH}"),
        success_url: page.into(),
        failure_url: page.into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    };
    let mut config = Config::new(app_id, secret, site)
        .unwrap()
        .bank(BankDetails {
            account_holder: "Test School".into(),
            bank: "Test Bank".into(),
            account_number: "000000001".into(),
            branch_code: "000001".into(),
        });
    config.deadline = Duration::from_secs(60);
    // What a provider takes is not what is measured.
    config.provider.links_per_second = 1_000_000;
    config.provider.callbacks_per_second = 1_000_000;
    config.provider.background_per_second = 1_000_000;
    config
}

fn simulator() -> Simulator {
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    Simulator::new(app_id, secret, Settings::new(1))
}

fn request(kind: &str, number: usize, method: PaymentMethod) -> EnrollRequest {
    EnrollRequest::new(
        LearnerId::new(format!("{kind}-{number}")).unwrap(),
        Email::new(format!("{kind}-{number}@school.example")).unwrap(),
        CourseId::new("rust-101").unwrap(),
        Title::new("Rust").unwrap(),
        Money::zar(49_900).unwrap(),
        method,
    )
}

fn delivery(callback: Callback) -> Delivery {
    Delivery::new(callback.path, callback.headers, callback.body)
}

/// Learners who asked for the course, one after the other for each caller.
async fn enrolled(registrar: &Registrar, kind: &'static str, many: usize, method: PaymentMethod) {
    let numbers: Vec<usize> = (0..many).collect();
    let registrar = registrar.clone();
    rate(&numbers, CALLERS, move |number| {
        let registrar = registrar.clone();
        async move {
            registrar
                .enroll(request(kind, number, method))
                .await
                .unwrap();
        }
    })
    .await;
}

/// The callbacks of learners who paid.
async fn paid(
    registrar: &Registrar,
    simulator: &Simulator,
    kind: &'static str,
    many: usize,
) -> Vec<Delivery> {
    let numbers: Vec<usize> = (0..many).collect();
    let (registrar, simulator) = (registrar.clone(), simulator.clone());
    let payer = simulator.clone();
    rate(&numbers, CALLERS, move |number| {
        let (registrar, payer) = (registrar.clone(), payer.clone());
        async move {
            let asked = registrar
                .enroll(request(kind, number, PaymentMethod::Card))
                .await;
            let NextStep::Pay { url, .. } = asked.unwrap().next else {
                panic!("no pay link")
            };
            let link = url.rsplit('/').next().unwrap().parse().unwrap();
            payer.pay(&link, Choice::Card).unwrap();
        }
    })
    .await;
    simulator
        .take_callbacks()
        .into_iter()
        .map(delivery)
        .collect()
}

/// How many a second come and are answered with this.
async fn received(registrar: &Registrar, deliveries: &[Delivery], outcome: Outcome) -> f64 {
    let registrar = registrar.clone();
    rate(deliveries, CALLERS, move |delivery| {
        let (registrar, outcome) = (registrar.clone(), outcome.clone());
        async move { assert_eq!(registrar.receive(delivery).await.outcome, outcome) }
    })
    .await
}

/// How many a second one worker does, until so many are done.
async fn drained(registrar: &Registrar, done: &Done, many: usize) -> f64 {
    let before = done.0.load(Ordering::Relaxed);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = registrar.worker();
    let begun = Instant::now();
    let running = tokio::spawn(async move {
        worker.run(async { drop(stopped.await) }).await;
    });
    while done.0.load(Ordering::Relaxed) - before < many {
        assert!(!running.is_finished(), "the worker ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rate = many as f64 / begun.elapsed().as_secs_f64();
    drop(stop);
    running.await.unwrap();
    rate
}

/// One store's rates: live, and each backlog.
async fn measured<S: Store + Queries + Clone>(
    store: impl AsyncFn() -> S,
    many: usize,
) -> (f64, [f64; 3]) {
    let builder =
        |config, store: &S| -> RegistrarBuilder { Registrar::builder(config, store.clone()) };

    // Callbacks that wait since the provider could not be asked.
    let callbacks = store().await;
    let (simulator, done) = (simulator(), Done::default());
    let approvals = done.clone();
    let registrar = builder(config(), &callbacks)
        .gateway(simulator.gateway())
        .guard(move |proposal: &TransitionRequest<'_>| {
            if matches!(proposal.to, Status::Approved { .. }) {
                approvals.count();
            }
            Ok(())
        })
        .build_for_tests()
        .unwrap();
    let waiting = paid(&registrar, &simulator, "late", many).await;
    let live = paid(&registrar, &simulator, "live", many).await;
    let away = builder(config(), &callbacks)
        .gateway(Busy)
        .build_for_tests()
        .unwrap();
    received(&away, &waiting, Outcome::Waiting).await;
    // What was not asked for waits up to half a minute.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let inbox = drained(&registrar, &done, many).await;
    let live = received(&registrar, &live, Outcome::Approved).await;

    // Bank transfers that nobody saw, and that are over.
    let timers = store().await;
    let done = Done::default();
    let expiries = done.clone();
    let mut settings = config().minimum_evidence(EvidenceLevel::Signed);
    settings.rules.transfer_expiry = Some(Duration::from_millis(1));
    let registrar = builder(settings, &timers)
        .gateway(Busy)
        .guard(move |proposal: &TransitionRequest<'_>| {
            if matches!(proposal.to, Status::Expired) {
                expiries.count();
            }
            Ok(())
        })
        .build_for_tests()
        .unwrap();
    enrolled(&registrar, "over", many, PaymentMethod::BankTransfer).await;
    let expired = drained(&registrar, &done, many).await;

    // Events that nobody was told of.
    let events = store().await;
    let done = Done::default();
    let registrar = builder(config().minimum_evidence(EvidenceLevel::Signed), &events)
        .publisher(done.clone())
        .build_for_tests()
        .unwrap();
    enrolled(&registrar, "told", many, PaymentMethod::BankTransfer).await;
    let published = drained(&registrar, &done, many).await;
    (live, [inbox, expired, published])
}

fn print(store: &str, (live, drained): (f64, [f64; 3])) {
    let cells: Vec<String> = drained
        .iter()
        .map(|rate| format!("{rate:.0} ({:.2})", rate / live))
        .collect();
    println!("| {store} | {live:.0} | {} |", cells.join(" | "));
}

fn main() {
    // `cargo test --benches` and a filter have nothing to do here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let many = std::env::var("COURSEGATE_BACKLOG").ok();
    let many = many.map_or(100_000, |many| many.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("\n{many} of each; a second, and beside live\n");
        println!("| store | live callbacks | callbacks that wait | timers | events |");
        println!("|---|---|---|---|---|");
        print("memory", measured(async || MemoryStore::new(), many).await);
        let pool = pool_options().connect(cluster::url()).await.unwrap();
        let fresh = async || {
            let store = PgStore::new(pool.clone())
                .schema(&cluster::fresh_schema())
                .unwrap();
            store.migrate().await.unwrap();
            store
        };
        print("Postgres", measured(fresh, many).await);
    });
}
