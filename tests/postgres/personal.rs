//! After an erasure no table holds anything of the learner, and the audit log holds.

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::payment::{PaymentMethod, ProofOfPayment};
use coursegate::registrar::{NewGrant, NextStep, TransferMatch};
use coursegate::statement::StatementRow;
use coursegate::store::{PageRequest, Queries, RowFilter, Store};
use coursegate::{CourseId, Money, access::AccessTerms};
use sqlx::{AssertSqlSafe, PgPool};

use crate::cluster::{fresh_schema, pool, url};
use crate::school::{enroll, registrar};
use crate::support::{account, admin, course, imported, learner, price, request, signed_bytes};

/// What is known of nobody else.
const MARKS: [&str; 6] = [
    "thandi",
    "0821234567",
    "fnb-app",
    "payer",
    "T MOKOENA",
    "AUTH-77",
];

/// Where in the whole schema one of the marks stands.
async fn traces(onlooker: &PgPool, schema: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1",
    )
    .bind(schema)
    .fetch_all(onlooker)
    .await
    .unwrap();
    assert!(tables.len() > 12);
    let mut found = Vec::new();
    for table in tables {
        // Bodies are bytes: shown as text, so that marks in them are found as well.
        let columns = match table.as_str() {
            "inbox" => "t::text || coalesce(encode(t.body, 'escape'), '')",
            _ => "t::text",
        };
        let query = format!("SELECT {columns} FROM {schema}.{table} AS t");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_all(onlooker)
            .await
            .unwrap();
        for row in rows {
            let lower = row.to_lowercase();
            let marks = MARKS
                .iter()
                .filter(|mark| lower.contains(&mark.to_lowercase()));
            found.extend(marks.map(|mark| format!("{table}: {mark}")));
        }
    }
    found
}

#[tokio::test]
async fn no_trace_of_an_erased_learner_is_left_in_any_table() {
    let schema = fresh_schema();
    let store = PgStore::new(pool_options().connect(url()).await.unwrap())
        .schema(&schema)
        .unwrap();
    store.migrate().await.unwrap();
    let registrar = registrar(store.clone());
    let desk = registrar.admin(admin());

    // A card payment with a talkative callback, and one that nobody can read.
    let due = enroll(&registrar, &store, "thandi").await;
    let callback = format!(
        r#"{{"paylinkID":"{}","status":"SUCCESS","externalTransactionID":"{}","payer":"T MOKOENA","authCode":"AUTH-77"}}"#,
        due.link.as_str(),
        due.reference.as_str()
    );
    registrar.receive(signed_bytes(callback.as_bytes())).await;
    // A bank transfer, with proof, notes and a row of the statement.
    let mut wish = request("thandi", PaymentMethod::BankTransfer);
    wish.course = CourseId::new("rust-201").unwrap();
    let transfer = registrar.enroll(wish.clone()).await.unwrap();
    let NextStep::Transfer { reference, .. } = &transfer.next else {
        panic!("no reference");
    };
    let proof = ProofOfPayment::new("fnb-app-0821234567").unwrap();
    registrar
        .attach_proof(&learner("thandi"), &wish.course, proof)
        .await
        .unwrap();
    let day = chrono::NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
    let said = format!("{} THANDI", reference.as_str());
    let row = StatementRow::new(day, price(), &said, "T MOKOENA");
    let row = imported(&registrar, row).await;
    let pair = [TransferMatch::new(row, reference.clone())];
    let done = desk
        .statements()
        .approve(&pair, "called her on 0821234567")
        .await;
    assert_eq!(done[0].problem, None, "{done:?}");
    // Rows that look like it, and rows that name it: an earlier one once more, a doubtful one, and one that
    // was closed by mistake.
    let again = |day: u32, note: &str| {
        let day = chrono::NaiveDate::from_ymd_opt(2026, 2, day).unwrap();
        StatementRow::new(day, price(), &said, note)
    };
    let twins = [again(1, "T MOKOENA 1"), again(1, "T MOKOENA 2")];
    let found = desk.statements().import(&account(), &twins).await.unwrap();
    assert_eq!(found.doubtful + found.added, 2, "{found:?}");
    let statements = desk.statements();
    let page = statements.list(RowFilter::Doubtful, PageRequest::first(5));
    let twin = page.await.unwrap().items.remove(0).id;
    desk.statements().close_repeats(&[twin]).await.unwrap();
    let closed = imported(&registrar, again(9, "T MOKOENA 3")).await;
    desk.statements()
        .close(&closed, "by mistake")
        .await
        .unwrap();
    let statements = desk.statements();
    let open = statements.list(RowFilter::Open, PageRequest::first(5));
    for entry in open.await.unwrap().items {
        desk.statements()
            .close(&entry.id, "once more")
            .await
            .unwrap();
    }
    // One that was rejected in words, and a bursary.
    let mut wish = request("thandi", PaymentMethod::BankTransfer);
    wish.course = CourseId::new("rust-301").unwrap();
    let rejected = registrar.enroll(wish).await.unwrap();
    desk.approvals()
        .reject(rejected.enrollment.unwrap(), "thandi never paid")
        .await
        .unwrap();
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let bursary = desk
        .learners()
        .grant(new, "thandi is a good one")
        .await
        .unwrap();
    desk.learners()
        .revoke(bursary.id, "told thandi")
        .await
        .unwrap();
    // And somebody else, who is to stay as they are.
    let other = enroll(&registrar, &store, "sipho").await;
    registrar.receive(other.callback("SUCCESS")).await;
    while store.append_audit_log(None, 100).await.unwrap() > 0 {}
    let noted = desk.audit_log().verify(None).await.unwrap().newest.unwrap();

    let onlooker = pool().await;
    let before = traces(&onlooker, &schema).await;
    for mark in MARKS {
        assert!(
            before.iter().any(|it| it.ends_with(mark)),
            "{mark} in {before:?}"
        );
    }
    let export = desk.learners().export(&learner("thandi")).await.unwrap();
    let json = serde_json::to_string(&export).unwrap();
    for mark in MARKS {
        assert!(json.contains(mark), "{mark} is not given out");
    }
    assert_eq!(export.enrollments.len(), 3);
    assert_eq!(export.grants.len(), 1);

    for course in [course(), CourseId::new("rust-201").unwrap()] {
        registrar
            .withdraw(&learner("thandi"), &course)
            .await
            .unwrap();
    }
    let erased = desk.learners().erase(&learner("thandi")).await.unwrap();
    assert_eq!((erased.enrollments, erased.grants), (3, 1));
    assert_eq!(traces(&onlooker, &schema).await, Vec::<String>::new());

    // The money is still there for the books, and the audit log holds.
    let rows = store
        .statement(RowFilter::Settled, PageRequest::first(5))
        .await
        .unwrap();
    assert_eq!(rows.items[0].row.amount, price());
    let payments: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT sum(amount)::bigint FROM {schema}.attempts WHERE status = 'paid'"
    )))
    .fetch_one(&onlooker)
    .await
    .unwrap();
    assert_eq!(
        Money::zar(payments).unwrap(),
        Money::zar(3 * 49_900).unwrap()
    );
    let report = desk.audit_log().verify(Some(noted)).await.unwrap();
    assert!(report.holds(), "{report:?}");
    assert!(report.erased > 6, "{report:?}");
    // What only looks like an erasure is found.
    let off = format!(
        "ALTER TABLE {schema}.events DISABLE TRIGGER USER;
         ALTER TABLE {schema}.audit_log DISABLE TRIGGER USER;
         UPDATE {schema}.audit_log SET salt = NULL WHERE position = 2;
         UPDATE {schema}.events SET note = 'other' WHERE id =
             (SELECT event FROM {schema}.audit_log WHERE position = 2)"
    );
    sqlx::raw_sql(AssertSqlSafe(off))
        .execute(&onlooker)
        .await
        .unwrap();
    let report = desk.audit_log().verify(None).await.unwrap();
    assert_eq!(report.broken.unwrap().position, 2);
}
