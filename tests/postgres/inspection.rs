//! Whether everything is there that keeps money and access right.

use std::collections::BTreeSet;

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::store::Store;
use sqlx::AssertSqlSafe;

use crate::cluster::{fresh_schema, fresh_store, pool, url};

async fn store() -> (String, PgStore) {
    let schema = fresh_schema();
    let pool = pool_options().connect(url()).await.unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    (schema, store)
}

#[tokio::test]
async fn a_database_says_what_is_missing() {
    let (schema, store) = store().await;
    let never = store.inspect().await.unwrap();
    assert!(
        never
            .defects
            .contains(&"the schema was never made".to_owned())
    );
    assert!(
        never
            .defects
            .contains(&"table enrollments is missing".to_owned())
    );
    store.migrate().await.unwrap();
    let whole = store.inspect().await.unwrap();
    assert_eq!(whole.defects, Vec::<String>::new());
    let apart = (whole.now.unwrap() - chrono::Utc::now())
        .num_seconds()
        .abs();
    assert!(apart <= 5, "{apart}");

    // Each of these is taken away by itself, and missed.
    for (spoil, missed) in [
        (
            "ALTER TABLE grants DROP CONSTRAINT one_grant_per_payment",
            "constraint one_grant_per_payment is missing",
        ),
        (
            "ALTER TABLE events DISABLE TRIGGER events_only_grow",
            "trigger events_only_grow is missing",
        ),
        (
            "ALTER DOMAIN minor_units DROP CONSTRAINT an_amount_is_positive",
            "constraint an_amount_is_positive is missing",
        ),
        ("DROP INDEX inbox_due", "index inbox_due is missing"),
        ("DROP FUNCTION commit(jsonb)", "function commit is missing"),
        ("DROP TABLE read_notices", "table read_notices is missing"),
        (
            "UPDATE migrations SET sha256 = 'x' WHERE step = 1",
            "step 0001_coursegate did not run as it is here",
        ),
        (
            "ALTER TABLE grants DROP CONSTRAINT an_end_has_a_reason,
                 ADD CONSTRAINT an_end_has_a_reason CHECK (ended_at IS NULL OR true) NOT VALID",
            "constraint an_end_has_a_reason is missing",
        ),
    ] {
        let (schema, store) = self::store().await;
        store.migrate().await.unwrap();
        let text = format!("SET search_path TO {schema}; {spoil}");
        let mut connection = pool().await.acquire().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut *connection)
            .await
            .unwrap();
        connection.close_on_drop();
        let found: BTreeSet<String> = store.inspect().await.unwrap().defects.into_iter().collect();
        assert_eq!(found, BTreeSet::from([missed.to_owned()]), "{spoil}");
    }
    drop(schema);
}

/// The keys that are still needed are named.
#[tokio::test]
async fn keys_that_bodies_wait_for_are_named() {
    use coursegate::evidence::SignedBy;
    use coursegate::store::{Change, InboxEntry, InboxOutcome, InboxState};
    use coursegate::webhook::{SignedForm, StoredBody};

    let store = fresh_store().await;
    let settled = InboxState::Settled {
        outcome: InboxOutcome::Approved,
    };
    let parked = InboxState::Parked {
        next_at: crate::support::start(),
    };
    for (name, label, state) in [("a/x/1", "old", settled), ("b/x/2", "march", parked)] {
        let body = StoredBody::Sealed {
            key: label.into(),
            bytes: vec![1, 2, 3],
        };
        let by = SignedBy {
            key: "primary".into(),
            form: SignedForm::Raw,
        };
        let mut entry = InboxEntry::new(name.into(), crate::support::start(), "/hook", body, by);
        entry.state = state;
        store.commit(Change::inbox_only(entry, None)).await.unwrap();
    }
    assert_eq!(store.inspect().await.unwrap().body_keys, ["march"]);
}
