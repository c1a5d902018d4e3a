//! What a webhook costs on Postgres, beside a bare sqlx program that makes the same write.
//! Rates of one run are compared: each round measures everything once, one after the other,
//! and the table shows medians.
//!
//! `cargo bench --bench postgres --features postgres,simulator`; with
//! `COURSEGATE_BENCH_LARGE=1` also at a million enrollments. It starts a Postgres of its own
//! with default durability, unless `DATABASE_URL` names one.
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

use std::sync::Arc;
use std::time::{Duration, Instant};

use coursegate::adapter::memory::RecordingPublisher;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::evidence::Grade;
use coursegate::port::{PageRequest, PaymentFilter, Records};
use coursegate::webhook::{Delivery, Signer};
use coursegate::{AppId, Config, CourseId, EnrollmentId, Registrar, Secret, Site};
use sqlx::{AssertSqlSafe, PgPool};

const APP_ID: &str = "IKTESTBENCH";
const SECRET: &str = "test-secret-0123456789abcdef";
const PATH: &str = "/payments/ikhokha";

/// Payments that were not reported yet, from :first to :last.
const DUE: &str = "
INSERT INTO coursegate.enrollments
SELECT gen_random_uuid(), 'due-' || n, 'due-' || n || '@school.example', 'course-' || n % 200, 'Course', 49900, 'ZAR',
       'card', '{\"level\":\"full\",\"kinds\":[\"full\"],\"seconds\":null,\"restrictions\":[]}', 'awaiting_payment',
       NULL, NULL, NULL, 2, now(), now(), NULL
FROM generate_series(:first, :last) AS n;
INSERT INTO coursegate.attempts
    (reference, enrollment, number, learner, course, amount, currency, title, terms, purpose, declared, link, link_url, status, created_at)
SELECT 'DUE-' || substr(learner, 5), id, 1, learner, course, price, currency, title, terms, 'first', declared, 'due' || substr(learner, 5),
       'https://pay.example/', 'link_ready', created_at
FROM coursegate.enrollments
WHERE learner LIKE 'due-%' AND substr(learner, 5)::int BETWEEN :first AND :last;
INSERT INTO coursegate.timers (kind, name, due_at)
SELECT 'enrollment', id::text, created_at + interval '7 days'
FROM coursegate.enrollments
WHERE learner LIKE 'due-%' AND substr(learner, 5)::int BETWEEN :first AND :last;
INSERT INTO coursegate.timers (kind, name, due_at)
SELECT 'attempt', 'DUE-' || n, now() + interval '1 minute' FROM generate_series(:first, :last) AS n;
ANALYZE coursegate.enrollments, coursegate.attempts, coursegate.timers;
";

/// Keeps what a commit is called with instead of committing it.
const CAPTURE: &str = "
CREATE TABLE IF NOT EXISTS coursegate.captured (change jsonb);
ALTER FUNCTION coursegate.commit(jsonb) RENAME TO commit_for_real;
CREATE FUNCTION coursegate.commit(change jsonb) RETURNS text LANGUAGE sql AS
    $$ INSERT INTO coursegate.captured VALUES (change) RETURNING 'done' $$;
";
const RELEASE: &str = "
DROP FUNCTION coursegate.commit(jsonb);
ALTER FUNCTION coursegate.commit_for_real(jsonb) RENAME TO commit;
";

/// The same writes one by one in a transaction: nine statements with its beginning and end.
const ONE_BY_ONE: [&str; 7] = [
    "SELECT version FROM coursegate.enrollments WHERE id = ($1::jsonb -> 'enrollment' ->> 'id')::uuid FOR UPDATE",
    "INSERT INTO coursegate.inbox SELECT * FROM jsonb_populate_record(NULL::coursegate.inbox, $1::jsonb -> 'inbox')",
    "UPDATE coursegate.enrollments AS e SET status = n.status, reason = n.reason, waits_for = n.waits_for,
        version = n.version, updated_at = n.updated_at, approved_at = n.updated_at
     FROM jsonb_populate_record(NULL::coursegate.enrollments, $1::jsonb -> 'enrollment') AS n WHERE e.id = n.id",
    "UPDATE coursegate.attempts AS a SET status = n.status, paid_at = n.paid_at, paid_amount = n.paid_amount,
        paid_currency = n.paid_currency, paid_method = n.paid_method, grade = n.grade, standing = n.standing,
        held_reason = n.held_reason
     FROM jsonb_populate_recordset(NULL::coursegate.attempts, $1::jsonb -> 'attempts') AS n
     WHERE a.reference = n.reference",
    "INSERT INTO coursegate.grants SELECT * FROM jsonb_populate_recordset(NULL::coursegate.grants, $1::jsonb -> 'grants')",
    "DELETE FROM coursegate.timers AS old
     USING jsonb_populate_recordset(NULL::coursegate.timers, $1::jsonb -> 'stops') AS t
     WHERE old.kind = t.kind AND old.name = t.name",
    "WITH r AS (INSERT INTO coursegate.records
        SELECT * FROM jsonb_populate_recordset(NULL::coursegate.records, $1::jsonb -> 'records') RETURNING *)
     INSERT INTO coursegate.outbox SELECT id, enrollment, version, at FROM r",
];

struct School {
    pool: PgPool,
    schema: String,
    registrar: Registrar,
    store: PgStore,
    next: usize,
}

impl School {
    async fn of(size: usize) -> Self {
        let pool = pool_options().connect(cluster::url()).await.unwrap();
        let schema = cluster::fresh_schema();
        let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
        store.migrate().await.unwrap();
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
            .minimum_evidence(Grade::Signed);
        config.deadline = Duration::from_secs(60);
        let registrar = Registrar::builder(config, store.clone())
            .publisher(RecordingPublisher::new())
            .build()
            .unwrap();
        let school = Self {
            pool,
            schema,
            registrar,
            store,
            next: 1,
        };
        let seed = include_str!("../tests/postgres/seed.sql");
        school.run(&seed.replace(":rows", &size.to_string())).await;
        school.run("VACUUM").await;
        school
    }

    async fn run(&self, text: &str) {
        let text = self.own(text);
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    fn own(&self, text: &str) -> String {
        text.replace("coursegate.", &format!("{}.", self.schema))
    }

    /// So many payments that were not reported yet.
    async fn due(&mut self, count: usize) -> Vec<Delivery> {
        let (first, last) = (self.next, self.next + count - 1);
        self.next += count;
        let text = DUE
            .replace(":first", &first.to_string())
            .replace(":last", &last.to_string());
        self.run(&text).await;
        let signer = Signer::new(&Secret::new(SECRET).unwrap());
        (first..=last)
            .map(|number| {
                let body = format!(
                    r#"{{"paylinkID":"due{number}","status":"SUCCESS","externalTransactionID":"DUE-{number}","responseCode":"00"}}"#
                );
                let sign = signer.sign(PATH, body.as_bytes()).to_hex();
                Delivery::new(PATH, [("ik-appid", APP_ID), ("ik-sign", &sign)], body)
            })
            .collect()
    }

    /// The changes that so many webhooks would commit.
    async fn changes(&mut self, count: usize) -> Vec<String> {
        let deliveries = self.due(count).await;
        self.run(CAPTURE).await;
        self.receive(&deliveries, 8).await;
        let text = self.own("SELECT change::text FROM coursegate.captured");
        let changes = sqlx::query_scalar(AssertSqlSafe(text))
            .fetch_all(&self.pool)
            .await
            .unwrap();
        self.run(RELEASE).await;
        self.run("TRUNCATE coursegate.captured").await;
        assert_eq!(changes.len(), count);
        changes
    }

    async fn receive(&self, deliveries: &[Delivery], callers: usize) -> f64 {
        let registrar = self.registrar.clone();
        rate(deliveries, callers, move |delivery| {
            let registrar = registrar.clone();
            async move { assert_eq!(registrar.receive(delivery).await.http_status(), 200) }
        })
        .await
    }

    /// The bare program: one statement.
    async fn one_statement(&self, changes: &[String], callers: usize) -> f64 {
        let (pool, text) = (
            self.pool.clone(),
            Arc::<str>::from(self.own("SELECT coursegate.commit($1::jsonb)")),
        );
        rate(changes, callers, move |change| {
            let (pool, text) = (pool.clone(), text.clone());
            async move {
                let done: String = sqlx::query_scalar(AssertSqlSafe(text))
                    .bind(change)
                    .fetch_one(&pool)
                    .await
                    .unwrap();
                assert_eq!(done, "done");
            }
        })
        .await
    }

    async fn one_by_one(&self, changes: &[String], callers: usize) -> f64 {
        let pool = self.pool.clone();
        let texts: Arc<[Arc<str>]> = ONE_BY_ONE
            .iter()
            .map(|text| Arc::from(self.own(text)))
            .collect();
        rate(changes, callers, move |change| {
            let (pool, texts) = (pool.clone(), texts.clone());
            async move {
                let mut transaction = pool.begin().await.unwrap();
                for text in texts.iter() {
                    sqlx::query(AssertSqlSafe(text.clone()))
                        .bind(&change)
                        .execute(&mut *transaction)
                        .await
                        .unwrap();
                }
                transaction.commit().await.unwrap();
            }
        })
        .await
    }
}

/// How many a second, with so many callers at once.
async fn rate<T, F>(items: &[T], callers: usize, handle: impl Fn(T) -> F) -> f64
where
    T: Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let handle = &handle;
    let tasks: Vec<Vec<F>> = (0..callers)
        .map(|caller| {
            items
                .iter()
                .skip(caller)
                .step_by(callers)
                .cloned()
                .map(handle)
                .collect()
        })
        .collect();
    let begun = Instant::now();
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|futures| {
            tokio::spawn(async move {
                for future in futures {
                    future.await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    items.len() as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const ROUNDS: usize = 5;
const ITEMS: usize = 1500;

/// Rates of whole `receive`, one statement, the same writes one by one, and duplicates.
async fn compare(school: &mut School, callers: usize) -> [f64; 4] {
    // All of it beforehand: new statistics make every connection plan anew.
    let deliveries = school.due(ROUNDS * ITEMS).await;
    let changes = school.changes(2 * ROUNDS * ITEMS).await;
    let (for_one, for_each) = changes.split_at(ROUNDS * ITEMS);
    let warm = school.due(400).await;
    school.receive(&warm, 8).await;
    let mut rates = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        let part = round * ITEMS..(round + 1) * ITEMS;
        let deliveries = &deliveries[part.clone()];
        rates[0].push(school.receive(deliveries, callers).await);
        rates[1].push(school.one_statement(&for_one[part.clone()], callers).await);
        rates[2].push(school.one_by_one(&for_each[part], callers).await);
        rates[3].push(school.receive(deliveries, callers).await);
    }
    rates.map(median)
}

async fn time<T>(mut call: impl AsyncFnMut() -> T) -> f64 {
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        call().await;
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    median(times)
}

async fn reads(school: &School) {
    let store = &school.store;
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
            let mut school = School::of(*size).await;
            println!("\n{size} enrollments\n");
            reads(&school).await;
            println!();
            // Caches and plans.
            compare(&mut school, 8).await;
            println!("| callers | receive /s | one statement /s | ratio | one by one /s | ratio | duplicates /s | ratio |");
            println!("|---|---|---|---|---|---|---|---|");
            for callers in [1, 8, 32] {
                let [whole, one, eight, duplicate] = compare(&mut school, callers).await;
                println!(
                    "| {callers} | {whole:.0} | {one:.0} | {:.2} | {eight:.0} | {:.2} | {duplicate:.0} | {:.2} |",
                    whole / one,
                    whole / eight,
                    duplicate / whole
                );
            }
            school.pool.close().await;
        }
    });
}
