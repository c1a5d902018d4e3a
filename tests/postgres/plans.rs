//! A webhook and the worker look rows up by their indexes, whatever the size of the school and
//! whatever the planner knows of it.

use std::collections::BTreeMap;

use chrono::{Duration, Utc};
use coursegate::Registrar;
use coursegate::access::{AccessRequest, ResourceKind};
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::enrollment::{Job, TimerKey, TimerKind};
use coursegate::payment::PaymentMethod;
use coursegate::store::{Claim, Lookup, Settlement, Store, Work, WorkKind};
use sqlx::{AssertSqlSafe, PgPool};

use crate::cluster::{fresh_schema, url};
use crate::school::{enroll, registrar};
use crate::support::{admin, body, course, learner, request, signed};

/// The tables that grow with the school.
const GROWING: [&str; 7] = [
    "attempts",
    "enrollments",
    "grants",
    "inbox",
    "outbox",
    "events",
    "timers",
];

/// More than a round may look at of one table by its indexes, and less than there is in the
/// smallest school: a join that walks a whole index is no better than a scan.
const MOST_FETCHED: i64 = 600;

/// From the sixth time on Postgres may choose one plan for all arguments.
const ROUNDS: usize = 8;

/// A school on one connection, so that all plans are made, kept and counted in one session.
struct School {
    pool: PgPool,
    schema: String,
    store: PgStore,
    registrar: Registrar,
}

#[derive(Clone, Copy, PartialEq)]
enum Statistics {
    Fresh,
    Missing,
}

/// How often a table was read from end to end, and how many of its rows by an index.
type Reads = BTreeMap<String, (i64, i64)>;

impl School {
    async fn empty() -> Self {
        let pool = pool_options().max_connections(1);
        let pool = pool.connect(url()).await.unwrap();
        let schema = fresh_schema();
        let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
        store.migrate().await.unwrap();
        let school = Self {
            registrar: registrar(store.clone()),
            pool,
            schema,
            store,
        };
        for table in GROWING {
            let text = format!("ALTER TABLE coursegate.{table} SET (autovacuum_enabled = off)");
            school.run(&text).await;
        }
        school
    }

    async fn of(size: usize, statistics: Statistics) -> Self {
        let school = Self::empty().await;
        school.fill(size, statistics).await;
        school
    }

    async fn fill(&self, size: usize, statistics: Statistics) {
        let seed = include_str!("seed.sql");
        let (rows, analyze) = seed.split_at(seed.find("ANALYZE").unwrap());
        self.run(&rows.replace(":rows", &size.to_string())).await;
        // Nothing was published for a while.
        self.run(
            "INSERT INTO coursegate.outbox
             SELECT id, enrollment, version, at FROM coursegate.events ON CONFLICT DO NOTHING",
        )
        .await;
        if statistics == Statistics::Fresh {
            self.run(analyze).await;
            self.run("ANALYZE coursegate.outbox").await;
        }
    }

    async fn run(&self, text: &str) {
        let text = text.replace("coursegate.", &format!("{}.", self.schema));
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn reads(&self) -> Reads {
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()")
            .execute(&self.pool)
            .await
            .unwrap();
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT relname::text, seq_scan, coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables
             WHERE schemaname = $1 AND relname = ANY ($2)",
        )
        .persistent(false)
        .bind(&self.schema)
        .bind(&GROWING[..])
        .fetch_all(&self.pool)
        .await
        .unwrap();
        rows.into_iter()
            .map(|(table, scans, fetched)| (table, (scans, fetched)))
            .collect()
    }

    /// What some calls read that they should not have.
    async fn excess(&self, statistics: Statistics) -> Vec<String> {
        let before = self.reads().await;
        for round in 0..ROUNDS {
            self.webhooks(round).await;
            self.people(round, statistics).await;
            self.worker(round).await;
        }
        excess(&before, &self.reads().await)
    }

    /// An enrollment, its callbacks, and the access that follows.
    async fn webhooks(&self, round: usize) {
        let parked = signed(&body("nobodys", "SUCCESS", &format!("CG-PARKED-{round}")));
        self.registrar.receive(parked).await;
        let name = format!("newcomer-{round}");
        let due = enroll(&self.registrar, &self.store, &name).await;
        for status in ["FAILURE", "SUCCESS", "SUCCESS"] {
            let receipt = self.registrar.receive(due.callback(status)).await;
            assert_eq!(receipt.http_status(), 200, "{receipt:?}");
        }
        let question = AccessRequest::new(learner(&name), course(), ResourceKind::Lesson);
        assert!(self.registrar.access(&question).await.unwrap().is_allowed());
        for lookup in [
            Lookup::PayLink(&due.link),
            Lookup::Learner(&learner(&name), &course()),
            Lookup::Enrollment(due.enrollment),
        ] {
            assert!(self.store.load(lookup).await.unwrap().case.is_some());
        }
    }

    /// A bank transfer that a person approves, another that is rejected, and its erasure.
    async fn people(&self, round: usize, statistics: Statistics) {
        let desk = self.registrar.admin(admin());
        for name in [format!("kept-{round}"), format!("erased-{round}")] {
            let wish = request(&name, PaymentMethod::BankTransfer);
            let id = self
                .registrar
                .enroll(wish)
                .await
                .unwrap()
                .enrollment
                .unwrap();
            if name.starts_with("kept") {
                desk.approvals().approve(id, "").await.unwrap();
            } else {
                desk.approvals().reject(id, "no money came").await.unwrap();
                // It ends with sealing, for which the planner has to know how old events are.
                if statistics == Statistics::Fresh {
                    desk.learners().erase(&learner(&name)).await.unwrap();
                }
            }
        }
    }

    /// Everything a worker takes, and every answer to it.
    async fn worker(&self, round: usize) {
        let now = Utc::now() + Duration::days(365);
        let timers = TimerKind::ALL.iter().copied().map(WorkKind::Timers);
        for kind in [WorkKind::Inbox, WorkKind::Outbox]
            .into_iter()
            .chain(timers)
        {
            let claim = Claim {
                kind,
                limit: 8,
                now,
                lease: std::time::Duration::from_secs(1),
            };
            let work = self.store.claim(claim).await.unwrap();
            let mut settlements = Vec::new();
            for (number, work) in work.into_iter().enumerate() {
                let odd = number % 2 == 1;
                settlements.push(match work {
                    Work::Message(event) if odd => Settlement::Published(event.id),
                    Work::Message(event) => Settlement::Retry {
                        event: event.id,
                        next_at: now + Duration::days(1),
                    },
                    Work::Timer(timer) if odd => Settlement::Finish(timer),
                    Work::Timer(timer) => Settlement::Reschedule {
                        timer,
                        next_at: now + Duration::days(1),
                        cursor: None,
                    },
                    Work::Delivery(_) => continue,
                });
            }
            if kind == WorkKind::Timers(TimerKind::Attempt) {
                assert_eq!(settlements.len(), 8, "round {round}");
                settlements.push(Settlement::Ensure {
                    key: TimerKey::Job(Job::Reconcile),
                    due_at: now,
                });
            }
            self.store.settle(&settlements).await.unwrap();
        }
    }
}

/// What was read between two looks that should not have been.
fn excess(before: &Reads, after: &Reads) -> Vec<String> {
    assert_eq!(after.len(), GROWING.len());
    let mut excess = Vec::new();
    for (table, (scans, fetched)) in after {
        let (scans, fetched) = (scans - before[table].0, fetched - before[table].1);
        if scans > 0 {
            excess.push(format!("{table} was read from end to end {scans} times"));
        }
        if fetched > MOST_FETCHED * i64::try_from(ROUNDS).unwrap() {
            excess.push(format!("{fetched} rows of {table} were looked at"));
        }
    }
    excess
}

async fn school_reads_by_index(size: usize, statistics: Statistics) {
    let school = School::of(size, statistics).await;
    let excess = school.excess(statistics).await;
    assert!(excess.is_empty(), "{size} enrollments: {excess:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_from_end_to_end_at_any_size() {
    for size in [1_000, 5_000, 10_000, 20_000] {
        school_reads_by_index(size, Statistics::Fresh).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_without_statistics() {
    for size in [1_000, 10_000] {
        school_reads_by_index(size, Statistics::Missing).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_with_statistics_of_a_smaller_school() {
    let school = School::of(1_000, Statistics::Fresh).await;
    school
        .run(
            "ALTER TABLE coursegate.events DISABLE TRIGGER USER;
             TRUNCATE coursegate.enrollments, coursegate.attempts, coursegate.grants, coursegate.pending,
                 coursegate.inbox, coursegate.events, coursegate.outbox, coursegate.timers;
             ALTER TABLE coursegate.events ENABLE TRIGGER USER",
        )
        .await;
    school.fill(20_000, Statistics::Missing).await;
    let excess = school.excess(Statistics::Fresh).await;
    assert!(excess.is_empty(), "{excess:#?}");
}

/// What the webhooks of some rounds commit.
async fn recorded_commits(rounds: usize) -> Vec<String> {
    let school = School::empty().await;
    school
        .run(
            "CREATE TABLE coursegate.recorded (number bigserial, change jsonb);
             ALTER FUNCTION coursegate.commit(jsonb) RENAME TO commit_for_real;
             CREATE FUNCTION coursegate.commit(change jsonb) RETURNS text LANGUAGE sql AS $$
                 INSERT INTO coursegate.recorded (change) VALUES (change);
                 SELECT coursegate.commit_for_real(change)
             $$",
        )
        .await;
    for round in 0..rounds {
        school.webhooks(round).await;
    }
    let list = format!(
        "SELECT change::text FROM {}.recorded ORDER BY number",
        school.schema
    );
    let list = sqlx::query_scalar(AssertSqlSafe(list));
    list.fetch_all(&school.pool).await.unwrap()
}

impl School {
    async fn commit(&self, changes: &[String]) {
        for change in changes {
            let text = format!("SELECT {}.commit($1::jsonb)", self.schema);
            let call = sqlx::query_scalar(AssertSqlSafe(text)).bind(change);
            let done: String = call.fetch_one(&self.pool).await.unwrap();
            assert_eq!(done, "done");
        }
    }
}

/// Plans that were made while there was next to nothing are still used when there is much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_by_plans_that_a_commit_made_in_an_empty_school() {
    let changes = recorded_commits(2 * ROUNDS).await;
    let (first, later) = changes.split_at(changes.len() / 2);
    let school = School::empty().await;
    school.run("VACUUM ANALYZE").await;
    school.commit(first).await;
    school.fill(10_000, Statistics::Missing).await;
    let before = school.reads().await;
    school.commit(later).await;
    let excess = excess(&before, &school.reads().await);
    assert!(excess.is_empty(), "{excess:#?}");
}

/// The check does see a join with a function that is taken for a hundred rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_is_estimated_too_high_is_found() {
    let changes = recorded_commits(ROUNDS).await;
    for size in [1_000, 10_000] {
        let school = School::of(size, Statistics::Fresh).await;
        school
            .run(
                "CREATE OR REPLACE FUNCTION coursegate.commit(change jsonb) RETURNS text LANGUAGE plpgsql AS $$
                 BEGIN
                     UPDATE coursegate.attempts AS old SET status = a.status
                         FROM jsonb_populate_recordset(NULL::coursegate.attempts, change -> 'attempts') AS a
                         WHERE old.reference = a.reference AND old.enrollment = a.enrollment;
                     RETURN 'done';
                 END $$",
            )
            .await;
        let before = school.reads().await;
        school.commit(&changes).await;
        let excess = excess(&before, &school.reads().await);
        assert!(!excess.is_empty(), "{size} enrollments");
    }
}
