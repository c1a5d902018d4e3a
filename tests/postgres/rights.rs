//! The rights that the schema file grants are enough for everything, and each of them is missed.

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::payment::{PaymentMethod, ProofOfPayment};
use coursegate::registrar::{HealthStatus, NewGrant, NextStep, TransferMatch};
use coursegate::statement::StatementRow;
use coursegate::store::{PageRequest, Purge, Store};
use coursegate::{CourseId, Registrar, access::AccessTerms};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::cluster::{Cluster, fresh_schema};
use crate::school::{enroll, registrar};
use crate::support::{admin, course, imported, learner, price, request};

const FILE: &str = include_str!("../../src/adapter/postgres/schema/0001_coursegate.sql");

/// The statements in the head of the schema file, for this schema.
fn documented(schema: &str) -> Vec<String> {
    let head = FILE.split("CREATE DOMAIN").next().unwrap();
    let lines = head.lines().filter_map(|line| line.strip_prefix("--   "));
    let text: Vec<&str> = lines.map(str::trim).collect();
    let text = text.join(" ").replace("coursegate", schema);
    let grants = text.split_inclusive(';').map(|it| it.trim().to_owned());
    let grants: Vec<String> = grants.filter(|it| !it.is_empty()).collect();
    assert!(grants.len() > 4 && grants.iter().all(|it| it.starts_with("GRANT ")));
    grants
}

async fn run(owner: &PgPool, text: &str) {
    sqlx::raw_sql(AssertSqlSafe(text.to_owned()))
        .execute(owner)
        .await
        .unwrap();
}

/// A schema, and a role that may do in it what is documented.
async fn limited(cluster: &Cluster) -> (PgPool, String, PgStore) {
    let owner = pool_options().connect(&cluster.url()).await.unwrap();
    let schema = fresh_schema();
    let store = PgStore::new(owner.clone()).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    run(
        &owner,
        "DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object THEN END $$",
    )
    .await;
    // No right that anybody has without being given it.
    run(
        &owner,
        &format!("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM PUBLIC"),
    )
    .await;
    for grant in documented(&schema) {
        run(&owner, &grant).await;
    }
    let options: PgConnectOptions = cluster.url().parse().unwrap();
    let pool = pool_options()
        .connect_with(options.username("app"))
        .await
        .unwrap();
    (
        owner,
        schema.clone(),
        PgStore::new(pool).schema(&schema).unwrap(),
    )
}

#[tokio::test]
async fn the_documented_rights_are_enough_for_everything() {
    let cluster = Cluster::start();
    let (_, _, store) = limited(&cluster).await;
    assert_eq!(store.inspect().await.unwrap().defects, Vec::<String>::new());
    let registrar = registrar(store.clone());
    everything(&registrar, &store).await;
    // It may look whether the schema is up to date; changing it is somebody else's.
    assert_eq!(store.migrate().await, Ok(()));
}

async fn everything(registrar: &Registrar, store: &PgStore) {
    let desk = registrar.admin(admin());
    let due = enroll(registrar, store, "thandi").await;
    let receipt = registrar.receive(due.callback("SUCCESS")).await;
    assert!(receipt.access_granted, "{receipt:?}");
    // A delivery that matches nothing, tried again by hand.
    let mut stray = due.clone();
    stray.reference = coursegate::PaymentReference::new("CG-NOBODYS").unwrap();
    stray.link = coursegate::PayLinkId::new("strangerslink00").unwrap();
    let parked = registrar.receive(stray.callback("SUCCESS")).await;
    desk.operations()
        .replay(&parked.delivery.unwrap())
        .await
        .unwrap();
    let pass = registrar.worker().pass().await.unwrap();
    assert!(pass.published > 0, "{pass:?}");
    let mut wish = request("thandi", PaymentMethod::BankTransfer);
    wish.course = CourseId::new("rust-201").unwrap();
    let transfer = registrar.enroll(wish.clone()).await.unwrap();
    let NextStep::Transfer { reference, .. } = &transfer.next else {
        panic!("no reference");
    };
    let proof = ProofOfPayment::new("an-upload-1").unwrap();
    registrar
        .attach_proof(&learner("thandi"), &wish.course, proof)
        .await
        .unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
    let row = StatementRow::new(day, price(), reference.as_str(), "thandi");
    let row = imported(registrar, row).await;
    let done = desk
        .statements()
        .approve(&[TransferMatch::new(row, reference.clone())], "seen")
        .await;
    assert_eq!(done[0].problem, None, "{done:?}");
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let bursary = desk.learners().grant(new, "a bursary").await.unwrap();
    desk.learners().revoke(bursary.id, "over").await.unwrap();
    desk.approvals()
        .pending(PageRequest::first(5))
        .await
        .unwrap();
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    store
        .purge(Purge {
            before: chrono::Utc::now(),
            after: None,
            limit: 10,
        })
        .await
        .unwrap();
    desk.learners().export(&learner("thandi")).await.unwrap();
    for course in [course(), wish.course] {
        registrar
            .withdraw(&learner("thandi"), &course)
            .await
            .unwrap();
    }
    let erased = desk.learners().erase(&learner("thandi")).await.unwrap();
    assert_eq!((erased.enrollments, erased.grants), (2, 1));
    let report = desk.audit_log().verify(None).await.unwrap();
    assert!(report.holds() && report.erased > 6, "{report:?}");
}

/// What the role may not do, whatever it sends.
#[tokio::test]
async fn the_documented_rights_change_no_event_and_no_link() {
    let cluster = Cluster::start();
    let (owner, schema, store) = limited(&cluster).await;
    let registrar = registrar(store.clone());
    enroll(&registrar, &store, "thandi").await;
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    let options: PgConnectOptions = cluster.url().parse().unwrap();
    let app = pool_options()
        .connect_with(options.username("app"))
        .await
        .unwrap();
    for text in [
        "UPDATE {}.events SET note = NULL",
        "DELETE FROM {}.events",
        "UPDATE {}.audit_log SET salt = NULL",
        "DELETE FROM {}.audit_log",
        "INSERT INTO {}.audit_log SELECT position + 100, gen_random_uuid(), form, salt, kept, personal, hash FROM {}.audit_log",
        "LOCK TABLE {}.audit_log IN ACCESS EXCLUSIVE MODE",
        "ALTER TABLE {}.events DISABLE TRIGGER USER",
        "CREATE FUNCTION {}.sha256(bytea) RETURNS bytea LANGUAGE sql RETURN $1",
    ] {
        let text = format!("SET cg.erasing = 'on'; {}", text.replace("{}", &schema));
        let error = sqlx::raw_sql(AssertSqlSafe(text.clone()))
            .execute(&app)
            .await
            .unwrap_err();
        let error = error.into_database_error().unwrap();
        assert_eq!(error.code().as_deref(), Some("42501"), "{text}");
    }
    // Objects of the caller are in nobody's way, even those of the session.
    let spoil = "CREATE TEMP TABLE events (id uuid); CREATE TEMP TABLE audit_log (position bigint);
        CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql RETURN '\\x00'::bytea;
        SET search_path = pg_temp, pg_catalog;";
    let seal = format!(
        "{spoil} SELECT {schema}.append_audit_log('00000000-0000-0000-0000-000000000000', 10)"
    );
    run(&owner, "GRANT TEMPORARY ON DATABASE postgres TO app").await;
    enroll(&registrar, &store, "sipho").await;
    run(&app, &seal).await;
    let report = registrar
        .admin(admin())
        .audit_log()
        .verify(None)
        .await
        .unwrap();
    assert!(report.holds(), "{report:?}");
    assert!(report.newest.unwrap().position > 4);
}

/// Each right, taken away by itself, is named.
#[tokio::test]
async fn a_right_that_is_missing_is_named() {
    let cluster = Cluster::start();
    let (owner, schema, store) = limited(&cluster).await;
    let tables: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, privilege_type::text FROM information_schema.role_table_grants
         WHERE table_schema = $1 AND grantee = 'app'",
    )
    .bind(&schema)
    .fetch_all(&owner)
    .await
    .unwrap();
    assert!(tables.len() > 35);
    for (table, right) in tables {
        let object = format!("{right} ON {schema}.{table}");
        run(&owner, &format!("REVOKE {object} FROM app")).await;
        let defects = store.inspect().await.unwrap().defects;
        let missed = format!("the right to {right} on {table} is missing");
        assert!(defects.contains(&missed), "{defects:?} of {object}");
        run(&owner, &format!("GRANT {object} TO app")).await;
    }
    for function in [
        "commit",
        "deliveries",
        "empty_events",
        "erase",
        "kept_text",
        "personal_text",
        "append_audit_log",
    ] {
        let object = format!("EXECUTE ON FUNCTION {schema}.{function}");
        run(&owner, &format!("REVOKE {object} FROM app")).await;
        let missed = format!("the right to EXECUTE on {function} is missing");
        assert_eq!(store.inspect().await.unwrap().defects, [missed]);
        run(&owner, &format!("GRANT {object} TO app")).await;
    }
    run(&owner, &format!("REVOKE USAGE ON SCHEMA {schema} FROM app")).await;
    let missed = "the right to USAGE of the schema is missing";
    assert_eq!(store.inspect().await.unwrap().defects, [missed]);
}

/// No function of ours depends on the search path of who calls it.
#[tokio::test]
async fn every_function_has_its_search_path() {
    let cluster = Cluster::start();
    let (owner, schema, _) = limited(&cluster).await;
    // Bound when it was made (prosqlbody), with a path of its own, or not code at all.
    let loose: Vec<String> = sqlx::query_scalar(
        "SELECT proname::text FROM pg_proc AS p
         WHERE pronamespace = $1::regnamespace AND prokind <> 'a' AND prosqlbody IS NULL
           AND NOT coalesce(proconfig @> ARRAY['search_path=pg_catalog, pg_temp'], false)",
    )
    .bind(&schema)
    .fetch_all(&owner)
    .await
    .unwrap();
    assert_eq!(loose, Vec::<String>::new());
}

#[tokio::test]
async fn a_database_that_only_reads_is_not_well() {
    let cluster = Cluster::start();
    let pool = pool_options().connect(&cluster.url()).await.unwrap();
    let schema = fresh_schema();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let database = async |registrar: &Registrar| {
        let health = registrar.health().await;
        let part = health.parts.iter().find(|part| part.part == "database");
        part.unwrap().clone()
    };
    let writes = registrar(store.clone());
    enroll(&writes, &store, "thandi").await;
    assert_eq!(database(&writes).await.condition, HealthStatus::Ok);

    let options: PgConnectOptions = cluster.url().parse().unwrap();
    let options = options.options([("default_transaction_read_only", "on")]);
    let pool = pool_options().connect_with(options).await.unwrap();
    let reads = registrar(PgStore::new(pool).schema(&schema).unwrap());
    let refused = reads
        .enroll(request("sipho", PaymentMethod::BankTransfer))
        .await;
    assert!(refused.is_err());
    let told = database(&reads).await;
    assert_eq!(told.condition, HealthStatus::Down);
    assert!(told.reason.contains("read-only"), "{}", told.reason);
    assert_eq!(reads.health().await.http_status(), 503);
}
