//! What a webhook costs on Postgres, beside a bare sqlx program that shares nothing with this crate
//! (`postgres/bare.sql` and `postgres/bare.rs`). Rates of one run are compared: each round measures
//! everything once, one after the other, and the table shows medians of five rounds (at a million
//! enrollments it is one round).
//!
//! `cargo bench --bench postgres --features postgres,simulator`; with `COURSEGATE_BENCH_LARGE=1`
//! also at a million enrollments. It starts a Postgres of its own with default durability, unless
//! `DATABASE_URL` names one, where it must be allowed to make databases.
//!
//! Each measurement has a fresh copy of one database, so that "10,000" is 10,000 enrollments, the
//! payments that it reports among them, and no measurement pays for the one before it.
//!
//! Measured with `COURSEGATE_BENCH_CALLERS=8` at 10,000 on two shared cores, one run after the other,
//! before and after commits looked rows up by index:
//!
//! | | receive /s | bare /s | ratio | commit /s | bare write /s | ratio | one by one /s |
//! |---|---|---|---|---|---|---|---|
//! | before | 702 | 4,562 | 0.15 | 953 | 6,290 | 0.15 | 3,278 |
//! | after | 1,740 | 4,659 | 0.37 | 2,492 | 6,739 | 0.37 | 3,246 |
//!
//! Two pairs of runs before that, while others used the machine: 684 and 1,318 (0.21 and 0.40 of
//! bare), 805 and 1,739 (0.17 and 0.39).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    dead_code
)]

#[path = "postgres/bare.rs"]
mod bare;
#[path = "../tests/postgres/cluster.rs"]
mod cluster;
#[path = "postgres/measure.rs"]
mod measure;

use std::time::Duration;

use coursegate::adapter::memory::RecordingPublisher;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::evidence::EvidenceLevel;
use coursegate::store::{PageRequest, PaymentFilter, Queries};
use coursegate::webhook::{Delivery, Signer};
use coursegate::{AppId, Config, CourseId, EnrollmentId, Registrar, Secret, Site};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};

use bare::Payment;
use measure::{median, rate, time};

const APP_ID: &str = "IKTESTBENCH";
const SECRET: &str = "test-secret-0123456789abcdef";
const PATH: &str = "/payments/ikhokha";

/// Keeps what a commit is called with instead of committing it.
const CAPTURE: &str = "
CREATE TABLE coursegate.captured (change jsonb);
ALTER FUNCTION coursegate.commit(jsonb) RENAME TO commit_for_real;
CREATE FUNCTION coursegate.commit(change jsonb) RETURNS text LANGUAGE sql AS
    $$ INSERT INTO coursegate.captured VALUES (change) RETURNING 'done' $$;
";

/// Payments of a measurement.
const ITEMS: usize = 1500;
/// Payments before it, so that every connection has its plans.
const WARM: usize = 200;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Program {
    /// Whole `receive`.
    Receive,
    /// The function `commit` alone, with the changes that `receive` would commit.
    Commit,
    /// The floor: one statement to read and one to write.
    Bare,
    /// Its one statement to write.
    BareWrite,
    /// Its writes with a statement for each table, in a transaction.
    OneByOne,
}

impl Program {
    const ALL: [Self; 5] = [
        Self::Receive,
        Self::Commit,
        Self::Bare,
        Self::BareWrite,
        Self::OneByOne,
    ];
}

/// A database with so many enrollments, of which each measurement has a copy.
struct Template {
    admin: PgPool,
    name: String,
    copies: usize,
    deliveries: Vec<Delivery>,
    payments: Vec<Payment>,
    changes: Vec<String>,
}

impl Template {
    async fn of(size: usize) -> Self {
        let admin = pool_options().connect(cluster::url()).await.unwrap();
        let name = format!("bench_{}_{size}", std::process::id());
        run(&admin, &format!("CREATE DATABASE {name}")).await;
        let signer = Signer::new(&Secret::new(SECRET).unwrap());
        let (mut deliveries, mut payments) = (Vec::new(), Vec::new());
        for number in 1..=WARM + ITEMS {
            let body = format!(
                r#"{{"paylinkID":"due{number}","status":"SUCCESS","externalTransactionID":"DUE-{number}","responseCode":"00"}}"#
            );
            let sign = signer.sign(PATH, body.as_bytes()).to_hex();
            payments.push(Payment::numbered(number, body.clone()));
            let headers = [("ik-appid", APP_ID), ("ik-sign", &sign)];
            deliveries.push(Delivery::new(PATH, headers, body));
        }
        let mut template = Self {
            admin,
            name,
            copies: 0,
            deliveries,
            payments,
            changes: Vec::new(),
        };
        let pool = template.connect(&template.name, "auto").await;
        PgStore::new(pool.clone()).migrate().await.unwrap();
        let seed = include_str!("../tests/postgres/seed.sql");
        let seeded = size - template.payments.len();
        run(&pool, &seed.replace(":rows", &seeded.to_string())).await;
        let due = include_str!("postgres/due.sql");
        run(
            &pool,
            &due.replace(":due", &template.payments.len().to_string()),
        )
        .await;
        run(&pool, include_str!("postgres/bare.sql")).await;
        run(&pool, "VACUUM ANALYZE").await;
        pool.close().await;
        template.capture().await;
        template
    }

    /// A pool on one database. A large statement is worth a plan that is kept.
    async fn connect(&self, database: &str, plans: &str) -> PgPool {
        let options: PgConnectOptions = cluster::url().parse().unwrap();
        let options = options
            .database(database)
            .options([("plan_cache_mode", plans)]);
        pool_options().connect_with(options).await.unwrap()
    }

    async fn copy(&mut self, plans: &str) -> (PgPool, String) {
        self.copies += 1;
        let copy = format!("{}_{}", self.name, self.copies);
        run(
            &self.admin,
            &format!("CREATE DATABASE {copy} TEMPLATE {}", self.name),
        )
        .await;
        (self.connect(&copy, plans).await, copy)
    }

    async fn drop(&self, pool: PgPool, copy: &str) {
        pool.close().await;
        run(&self.admin, &format!("DROP DATABASE {copy} WITH (FORCE)")).await;
    }

    /// Notes the changes that the webhooks commit.
    async fn capture(&mut self) {
        let (pool, copy) = self.copy("auto").await;
        run(&pool, CAPTURE).await;
        receive(&registrar(&pool), &self.deliveries, 8).await;
        self.changes = sqlx::query_scalar("SELECT change::text FROM coursegate.captured")
            .fetch_all(&pool)
            .await
            .unwrap();
        assert_eq!(self.changes.len(), self.deliveries.len());
        self.drop(pool, &copy).await;
    }

    /// One measurement: how many a second, and how many duplicates after that.
    async fn measure(&mut self, program: Program, callers: usize) -> (f64, Option<f64>) {
        let plans = match program {
            Program::Receive | Program::Commit => "auto",
            Program::Bare | Program::BareWrite | Program::OneByOne => "force_generic_plan",
        };
        let (pool, copy) = self.copy(plans).await;
        let registrar = registrar(&pool);
        let mut rates = (0.0, None);
        for (callers, part) in [(8, 0..WARM), (callers, WARM..WARM + ITEMS)] {
            let payments = &self.payments[part.clone()];
            rates.0 = match program {
                Program::Receive => {
                    let deliveries = &self.deliveries[part];
                    let first = receive(&registrar, deliveries, callers).await;
                    rates.1 = Some(receive(&registrar, deliveries, callers).await);
                    first
                }
                Program::Commit => {
                    let pool = pool.clone();
                    rate(&self.changes[part], callers, move |change| {
                        commit(pool.clone(), change)
                    })
                    .await
                }
                _ => {
                    let pool = pool.clone();
                    let pay = move |payment| bare_program(program, pool.clone(), payment);
                    rate(payments, callers, pay).await
                }
            };
        }
        self.drop(pool, &copy).await;
        rates
    }
}

async fn run(pool: &PgPool, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(pool)
        .await
        .unwrap();
}

fn registrar(pool: &PgPool) -> Registrar {
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
        .minimum_evidence(EvidenceLevel::Signed);
    config.deadline = Duration::from_secs(60);
    // More than any school has in ten seconds.
    config.provider.links_per_second = 1_000_000;
    config.provider.callbacks_per_second = 1_000_000;
    Registrar::builder(config, PgStore::new(pool.clone()))
        .publisher(RecordingPublisher::new())
        .build_for_tests()
        .unwrap()
}

async fn receive(registrar: &Registrar, deliveries: &[Delivery], callers: usize) -> f64 {
    let registrar = registrar.clone();
    rate(deliveries, callers, move |delivery| {
        let registrar = registrar.clone();
        async move { assert_eq!(registrar.receive(delivery).await.http_status(), 200) }
    })
    .await
}

async fn commit(pool: PgPool, change: String) {
    let done: String = sqlx::query_scalar("SELECT coursegate.commit($1::jsonb)")
        .bind(change)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(done, "done");
}

async fn bare_program(program: Program, pool: PgPool, payment: Payment) {
    if program == Program::Bare {
        payment.read(&pool).await;
    }
    match program {
        Program::OneByOne => payment.write_one_by_one(&pool).await,
        _ => payment.write(&pool).await,
    }
}

/// Rates of each program, and of duplicates.
async fn compare(template: &mut Template, callers: usize, rounds: usize) -> ([f64; 5], f64) {
    let mut rates = [const { Vec::new() }; 5];
    let mut duplicates = Vec::new();
    for _ in 0..rounds {
        for (program, rates) in Program::ALL.into_iter().zip(&mut rates) {
            let (rate, again) = template.measure(program, callers).await;
            rates.push(rate);
            duplicates.extend(again);
        }
    }
    (rates.map(median), median(duplicates))
}

async fn reads(template: &mut Template) {
    let (pool, copy) = template.copy("auto").await;
    let store = PgStore::new(pool.clone());
    let enrollment: EnrollmentId = "019c0000-0000-7000-8000-000000001003".parse().unwrap();
    let pending = time(async || store.pending(PageRequest::first(50)).await.unwrap()).await;
    let timeline = time(async || store.timeline(enrollment).await.unwrap()).await;
    let filter = PaymentFilter {
        course: Some(CourseId::new("course-7").unwrap()),
        ..PaymentFilter::default()
    };
    let search = time(async || {
        store
            .payments(&filter, PageRequest::first(50))
            .await
            .unwrap()
    })
    .await;
    println!("| pending page (50) | {pending:.2} ms |");
    println!("| timeline of one enrollment | {timeline:.2} ms |");
    println!("| payments of a course (50) | {search:.2} ms |");
    template.drop(pool, &copy).await;
}

fn main() {
    // `cargo test --benches` and a filter have nothing to do here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let large = std::env::var_os("COURSEGATE_BENCH_LARGE").is_some();
    let sizes: &[usize] = if large {
        &[10_000, 1_000_000]
    } else {
        &[10_000]
    };
    runtime.block_on(async {
        for size in sizes {
            // A copy of a million takes much longer than what is measured on it.
            let rounds = if *size > 100_000 { 1 } else { 5 };
            let mut template = Template::of(*size).await;
            println!("\n{size} enrollments\n");
            reads(&mut template).await;
            println!("\n| callers | receive /s | bare /s | ratio | commit /s | bare write /s | ratio | one by one /s | receive to it | duplicates /s |");
            println!("|---|---|---|---|---|---|---|---|---|---|");
            for callers in callers() {
                let ([whole, commit, bare, write, each], duplicates) =
                    compare(&mut template, callers, rounds).await;
                println!(
                    "| {callers} | {whole:.0} | {bare:.0} | {:.2} | {commit:.0} | {write:.0} | {:.2} | {each:.0} | {:.2} | {duplicates:.0} |",
                    whole / bare,
                    commit / write,
                    whole / each
                );
            }
            let name = template.name.clone();
            run(&template.admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    });
}

/// How many call at once: `COURSEGATE_BENCH_CALLERS=8` measures that alone.
fn callers() -> Vec<usize> {
    match std::env::var("COURSEGATE_BENCH_CALLERS") {
        Ok(number) => vec![number.parse().unwrap()],
        Err(_) => vec![1, 8, 32],
    }
}
