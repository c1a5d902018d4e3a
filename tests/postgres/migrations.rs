use std::time::Duration;

use coursegate::PaymentReference;
use coursegate::adapter::postgres::{MigrateError, PgStore};
use coursegate::store::{Lookup, Store, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use crate::cluster::{fresh_schema, fresh_store, pool, url};
use crate::school::Dice;

async fn column(pool: &PgPool, text: String) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(text))
        .persistent(false)
        .fetch_all(pool)
        .await
        .unwrap()
}

async fn tables(pool: &PgPool, schema: &str) -> Vec<String> {
    let text = format!(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = '{schema}' ORDER BY tablename"
    );
    column(pool, text).await
}

const TABLES: [&str; 17] = [
    "alerts",
    "attempts",
    "audit_log",
    "discrepancies",
    "enrollments",
    "events",
    "grants",
    "inbox",
    "migrations",
    "outbox",
    "pending",
    "preferences",
    "read_notices",
    "statement_parts",
    "statement_rows",
    "tallies",
    "timers",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_may_migrate_at_once() {
    for _ in 0..5 {
        let schema = fresh_schema();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let schema = schema.clone();
                tokio::spawn(async move {
                    // Each has a pool of its own, as a process has.
                    let store = PgStore::new(pool().await).schema(&schema).unwrap();
                    store.migrate().await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        let pool = pool().await;
        assert_eq!(tables(&pool, &schema).await, TABLES);
        let steps = format!("SELECT name FROM {schema}.migrations WHERE step > 0");
        assert_eq!(column(&pool, steps).await, ["0001_coursegate"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_dies_in_the_middle_leaves_nothing_behind() {
    let mut dice = Dice::new("migrations");
    let looking_on = pool().await;
    let mut cut_short = 0;
    for _ in 0..30 {
        let schema = fresh_schema();
        let store = PgStore::new(pool().await).schema(&schema).unwrap();
        let dying = {
            let store = store.clone();
            tokio::spawn(async move { store.migrate().await })
        };
        tokio::time::sleep(Duration::from_micros(dice.below(40_000))).await;
        dying.abort();
        cut_short += usize::from(dying.await.is_err());
        // Everything, or nothing but the list of steps.
        let found = tables(&looking_on, &schema).await;
        assert!(found.len() <= 1 || found == TABLES, "{found:?}");
        assert_eq!(store.migrate().await, Ok(()));
        assert_eq!(store.migrate().await, Ok(()));
        assert_eq!(tables(&looking_on, &schema).await, TABLES);
    }
    println!("{cut_short} were cut short");
    assert!(cut_short > 0);
}

#[tokio::test]
async fn several_schools_share_a_database() {
    let pool = pool().await;
    let (first, second) = (fresh_store().await, fresh_store().await);
    let registrar = crate::school::registrar(first.clone());
    let due = crate::school::enroll(&registrar, &first, "thandi").await;
    let lookup = Lookup::Reference(&due.reference);
    assert!(first.load(lookup).await.unwrap().case.is_some());
    assert!(second.load(lookup).await.unwrap().case.is_none());
    assert_eq!(tables(&pool, "public").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_schema_from_the_future_or_edited_is_refused() {
    let pool = pool().await;
    let schema = fresh_schema();
    let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let run = async |text: &str| {
        let text = format!("UPDATE {schema}.migrations SET {text}");
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&pool)
            .await
            .unwrap();
    };
    run("step = 7 WHERE step = 1").await;
    let newer = MigrateError::Newer { found: 7, known: 1 };
    assert_eq!(store.migrate().await, Err(newer));
    run("step = 1, sha256 = 'other' WHERE step = 7").await;
    assert!(matches!(
        store.migrate().await,
        Err(MigrateError::Edited { .. })
    ));
}

#[tokio::test]
async fn the_schema_file_can_be_run_by_other_tools() {
    let pool = pool().await;
    let schema = fresh_schema();
    let file = include_str!("../../src/adapter/postgres/schema/0001_coursegate.sql");
    let text =
        format!("CREATE SCHEMA {schema};\n{file}").replace("coursegate.", &format!("{schema}."));
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&pool)
        .await
        .unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    let registrar = crate::school::registrar(store.clone());
    let due = crate::school::enroll(&registrar, &store, "thandi").await;
    assert_eq!(
        registrar
            .receive(due.callback("SUCCESS"))
            .await
            .http_status(),
        200
    );
}

#[tokio::test]
async fn odd_schema_names_are_refused() {
    let pool = pool().await;
    let long = "a".repeat(64);
    for name in [
        "",
        "Big",
        "a b",
        "a\"; DROP TABLE x; --",
        "1st",
        "pg_own",
        "a.b",
        "é",
        &long,
    ] {
        assert!(PgStore::new(pool.clone()).schema(name).is_err(), "{name}");
    }
}

#[tokio::test]
async fn events_only_grow() {
    let pool = pool().await;
    let schema = fresh_schema();
    let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let registrar = crate::school::registrar(store.clone());
    crate::school::enroll(&registrar, &store, "thandi").await;
    for text in [
        "UPDATE {} SET note = 'x'",
        "DELETE FROM {}",
        "TRUNCATE {} CASCADE",
    ] {
        let text = text.replace("{}", &format!("{schema}.events"));
        let error = sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&pool)
            .await
            .unwrap_err();
        let error = error.into_database_error().unwrap();
        assert_eq!(error.code().as_deref(), Some("CG004"));
    }
}

#[tokio::test]
async fn errors_tell_what_to_do_and_nothing_else() {
    let reference = PaymentReference::new("CG-SECRET-REFERENCE").unwrap();
    let ask = async |options: PgConnectOptions, schema: &str| {
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(2))
            .connect_lazy_with(options);
        let store = PgStore::new(pool).schema(schema).unwrap();
        store.load(Lookup::Reference(&reference)).await.unwrap_err()
    };
    let right: PgConnectOptions = url().parse().unwrap();

    let no_schema = ask(right.clone(), "not_migrated").await;
    assert!(
        matches!(no_schema, StoreError::Unusable(_)),
        "{no_schema:?}"
    );
    assert!(no_schema.to_string().contains("migrate()"));
    assert!(!no_schema.is_transient());

    let no_database = ask(right.clone().database("nowhere"), "coursegate").await;
    assert!(
        matches!(no_database, StoreError::Unusable(_)),
        "{no_database:?}"
    );

    let nobody = ask(
        right.clone().port(crate::cluster::free_port()),
        "coursegate",
    )
    .await;
    assert!(nobody.is_transient(), "{nobody:?}");

    // A row that the domain cannot have written is refused by the database itself.
    let schema = fresh_schema();
    let pool = pool().await;
    let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let registrar = crate::school::registrar(store.clone());
    let due = crate::school::enroll(&registrar, &store, "thandi").await;
    let text = format!("UPDATE {schema}.enrollments SET status = 'free_for_all'");
    let refused = sqlx::raw_sql(AssertSqlSafe(text)).execute(&pool).await;
    assert!(refused.is_err());
    for error in [no_schema, no_database, nobody] {
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("SECRET") && !text.contains("school.example"),
            "{text}"
        );
    }
    drop(due);
}
