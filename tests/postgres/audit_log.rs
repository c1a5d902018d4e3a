//! Tampering with any field of any event is found.

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::event::audit_log::verify_lines;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::Admin;
use coursegate::store::{PageRequest, Store};
use sqlx::{AssertSqlSafe, PgPool};

use crate::cluster::{fresh_schema, pool, url};
use crate::school::registrar;
use crate::support::{admin, course, learner, request};

pub async fn run(pool: &PgPool, schema: &str, text: &str) {
    let text = format!("SET search_path TO {schema}, public; {text}");
    let mut connection = pool.acquire().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&mut *connection)
        .await
        .unwrap();
    connection.close_on_drop();
}

/// A school with some history, sealed.
pub async fn school() -> (String, PgStore) {
    let schema = fresh_schema();
    let pool = pool_options().connect(url()).await.unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let registrar = registrar(store.clone());
    let desk = registrar.admin(admin());
    for name in ["thandi", "sipho"] {
        let wish = request(name, PaymentMethod::BankTransfer);
        let id = registrar.enroll(wish).await.unwrap().enrollment.unwrap();
        desk.approvals().approve(id, "seen").await.unwrap();
    }
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    (schema, store)
}

/// What who owns the tables can switch off.
pub const OFF: &str =
    "ALTER TABLE events DISABLE TRIGGER USER; ALTER TABLE audit_log DISABLE TRIGGER USER;
    ALTER TABLE events DROP CONSTRAINT IF EXISTS an_admin_has_a_name;";

pub async fn numbers(onlooker: &PgPool, schema: &str, which: &str) -> Vec<i64> {
    let text = format!("SELECT position FROM {schema}.audit_log WHERE {which} ORDER BY position");
    sqlx::query_scalar(AssertSqlSafe(text))
        .persistent(false)
        .fetch_all(onlooker)
        .await
        .unwrap()
}

/// A check finds it, and so does who has the export alone.
pub async fn broken_at(desk: &Admin<'_>) -> Option<u64> {
    let report = desk.audit_log().verify(None).await.unwrap();
    let page = desk
        .audit_log()
        .export(PageRequest::first(500))
        .await
        .unwrap();
    let lines = verify_lines(&page.items, None);
    let position = report.broken.map(|broken| broken.position);
    assert_eq!(lines.err().map(|broken| broken.position), position);
    position
}

/// Each column of these events, changed by whoever owns the tables, is found.
async fn every_column_is_covered(
    onlooker: &PgPool,
    schema: &str,
    desk: &Admin<'_>,
    positions: &[u64],
) {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT column_name::text, data_type::text FROM information_schema.columns
         WHERE table_schema = $1 AND table_name = 'events'",
    )
    .bind(schema)
    .fetch_all(onlooker)
    .await
    .unwrap();
    assert_eq!(columns.len(), 17);
    for position in positions {
        for (column, kind) in &columns {
            let value = match (column.as_str(), kind.as_str()) {
                ("id" | "enrollment", _) => "gen_random_uuid()",
                ("severity", _) => "CASE severity WHEN 'info' THEN 'error' ELSE 'info' END",
                ("at", _) => "at + interval '1 microsecond'",
                ("data", _) => "(data::jsonb || '{\"x\": 1}')::text",
                ("basis" | "card", _) => "'{}'",
                ("written", _) => "'[\"another text\"]'",
                (_, "bigint") => "version + 1",
                _ => "'somebody else'",
            };
            let row = format!("(SELECT event FROM audit_log WHERE position = {position})");
            let keep = "CREATE TABLE kept AS SELECT * FROM events;";
            let spoil =
                format!("{keep} {OFF} UPDATE events SET {column} = {value} WHERE id = {row}");
            run(onlooker, schema, &spoil).await;
            assert_eq!(broken_at(desk).await, Some(*position), "{column}");
            run(
                onlooker,
                schema,
                "DELETE FROM events; INSERT INTO events SELECT * FROM kept; DROP TABLE kept",
            )
            .await;
            assert_eq!(broken_at(desk).await, None);
        }
    }
}

#[tokio::test]
async fn tampering_with_any_field_of_any_event_is_found() {
    let (schema, store) = school().await;
    let registrar = registrar(store.clone());
    let desk = registrar.admin(admin());
    let report = desk.audit_log().verify(None).await.unwrap();
    assert!(report.holds(), "{report:?}");
    let newest = report.newest.unwrap();
    assert!(newest.position >= 8);
    assert!(
        desk.audit_log()
            .verify(Some(newest.clone()))
            .await
            .unwrap()
            .holds()
    );

    let onlooker = pool().await;
    let end = newest.position;
    every_column_is_covered(&onlooker, &schema, &desk, &[1, end / 2, end]).await;
    // The same once somebody was erased, of events that were emptied and of those that were not.
    registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    desk.learners().erase(&learner("thandi")).await.unwrap();
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    let report = desk.audit_log().verify(Some(newest)).await.unwrap();
    assert!(report.holds() && report.erased > 3, "{report:?}");
    let emptied: Vec<i64> = numbers(&onlooker, &schema, "salt IS NULL").await;
    let whole: Vec<i64> = numbers(&onlooker, &schema, "salt IS NOT NULL").await;
    let some = [
        emptied[0],
        emptied[emptied.len() - 1],
        whole[0],
        whole[whole.len() - 1],
    ];
    let some = some.map(|position| u64::try_from(position).unwrap());
    every_column_is_covered(&onlooker, &schema, &desk, &some).await;

    // Taken out, swapped, cut off, made anew.
    let spoils = [
        ("DELETE FROM events WHERE id = (SELECT event FROM audit_log WHERE position = 3)", Some(3)),
        ("DELETE FROM audit_log WHERE position = 4", Some(4)),
        (
            "UPDATE audit_log AS a SET event = b.event FROM audit_log AS b
             WHERE (a.position, b.position) IN ((2, 5), (5, 2))",
            Some(2),
        ),
        ("UPDATE audit_log SET hash = decode(repeat('ab', 32), 'hex') WHERE position = 6", Some(6)),
        ("UPDATE audit_log SET kept = decode(repeat('ab', 32), 'hex') WHERE position = 3", Some(3)),
        ("UPDATE audit_log SET personal = decode(repeat('ab', 32), 'hex') WHERE position = 3", Some(3)),
        ("UPDATE audit_log SET salt = decode(repeat('ab', 16), 'hex') WHERE position = 4", Some(4)),
        ("UPDATE audit_log SET salt = NULL WHERE position = 5", Some(5)),
        ("INSERT INTO events SELECT gen_random_uuid(), enrollment, version, course, name, notice, severity,
            data, actor, admin, source, basis, at - interval '1 day', learner, note, written, card
            FROM events LIMIT 1", None),
    ];
    for (spoil, at) in spoils {
        let (schema, store) = school().await;
        let registrar = crate::school::registrar(store.clone());
        let desk = registrar.admin(admin());
        run(
            &onlooker,
            &schema,
            "ALTER TABLE audit_log DROP CONSTRAINT an_event_is_appended_once",
        )
        .await;
        run(&onlooker, &schema, &format!("{OFF} {spoil}")).await;
        let report = desk.audit_log().verify(None).await.unwrap();
        assert!(!report.holds(), "{spoil}");
        assert_eq!(report.broken.map(|broken| broken.position), at, "{spoil}");
    }
    // Who rewrites everything is found by who noted a link.
    let (schema, store) = school().await;
    let registrar = crate::school::registrar(store.clone());
    let desk = registrar.admin(admin());
    let noted = desk.audit_log().verify(None).await.unwrap().newest.unwrap();
    let rewrite =
        "UPDATE events SET note = 'never seen' WHERE note IS NOT NULL; DELETE FROM audit_log;";
    run(&onlooker, &schema, &format!("{OFF} {rewrite}")).await;
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    assert!(desk.audit_log().verify(None).await.unwrap().holds());
    let report = desk.audit_log().verify(Some(noted)).await.unwrap();
    assert_eq!(
        report.broken.unwrap().what,
        "it is not the link that was noted"
    );
}

/// Several instances seal at once, while events are written: one chain, with everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_seal_one_chain() {
    let (_, store) = school().await;
    let registrar = registrar(store.clone());
    let sealers: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    store.append_audit_log(None, 3).await.unwrap();
                }
            })
        })
        .collect();
    for number in 0..30 {
        let wish = request(&format!("learner-{number}"), PaymentMethod::BankTransfer);
        registrar.enroll(wish).await.unwrap();
    }
    for sealer in sealers {
        sealer.await.unwrap();
    }
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    let report = registrar
        .admin(admin())
        .audit_log()
        .verify(None)
        .await
        .unwrap();
    assert!(report.holds(), "{report:?}");
    assert!(report.newest.unwrap().position > 90);
}

/// The session's time zone and number formats change nothing.
#[tokio::test]
async fn the_chain_does_not_depend_on_the_session() {
    let (schema, _) = school().await;
    let options: sqlx::postgres::PgConnectOptions = url().parse().unwrap();
    let odd = options.options([
        ("TimeZone", "Pacific/Chatham"),
        ("DateStyle", "German"),
        ("extra_float_digits", "0"),
        ("IntervalStyle", "sql_standard"),
    ]);
    let store = PgStore::new(pool_options().connect_with(odd).await.unwrap())
        .schema(&schema)
        .unwrap();
    let registrar = registrar(store);
    assert!(
        registrar
            .admin(admin())
            .audit_log()
            .verify(None)
            .await
            .unwrap()
            .holds()
    );
}
