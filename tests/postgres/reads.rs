//! Reads for people, at the size of a school that has done well.

use chrono::{DateTime, Duration, FixedOffset, Utc};
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::enrollment::TimerKind;
use coursegate::notice::NoticeKind;
use coursegate::payment::{AttemptStatus, PaymentMethod};
use coursegate::store::{
    Claim, InboxFilter, Lookup, NoticeFilter, PageRequest, PaymentFilter, Period, Prefix, Queries,
    RowFilter, Settlement, Store, WorkKind,
};
use coursegate::webhook::DeliveryKey;
use coursegate::{AdminId, CourseId, EnrollmentId, LearnerId, PayLinkId, PaymentReference};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::cluster::{fresh_schema, url};
use crate::school::onlooker;

pub async fn seed(pool: &PgPool, schema: &str, rows: usize) {
    let text = include_str!("seed.sql")
        .replace("coursegate.", &format!("{schema}."))
        .replace(":rows", &rows.to_string());
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(pool)
        .await
        .unwrap();
}

/// A pool whose connections can be told from others.
async fn named_pool(schema: &str) -> PgPool {
    let options: PgConnectOptions = url().parse().unwrap();
    let options = options.application_name(schema);
    pool_options().connect_with(options).await.unwrap()
}

/// Closes a pool, and waits until its connections are gone: each hands its statistics in as
/// the last thing it does.
async fn close(pool: PgPool, looking_on: &PgPool, schema: &str) {
    pool.close().await;
    let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let left = async || -> i64 {
        let count = sqlx::query_scalar(left).bind(schema);
        count.fetch_one(looking_on).await.unwrap()
    };
    while left().await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// How often each big table was read from end to end so far.
async fn scans(pool: &PgPool, schema: &str) -> Vec<(String, i64)> {
    sqlx::query_as(
        "SELECT relname::text, seq_scan FROM pg_stat_user_tables
         WHERE schemaname = $1 AND n_live_tup > 10000 ORDER BY relname",
    )
    .bind(schema)
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_search_reads_a_big_table_from_end_to_end() {
    // COURSEGATE_ROWS=1000000 takes a minute.
    let rows = std::env::var("COURSEGATE_ROWS")
        .ok()
        .and_then(|rows| rows.parse().ok())
        .unwrap_or(100_000);
    let schema = fresh_schema();
    let pool = named_pool(&schema).await;
    let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    seed(&pool, &schema, rows).await;
    let looking_on = onlooker(url()).await;
    close(pool, &looking_on, &schema).await;
    let before = scans(&looking_on, &schema).await;
    assert_eq!(before.len(), 6, "{before:?}");

    let pool = named_pool(&schema).await;
    let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
    // Seven times each: from the sixth on, Postgres may choose one plan for all arguments.
    for round in 1..=7 {
        everything(&store, rows, round * 1000 + 3).await;
    }
    close(pool, &looking_on, &schema).await;
    let after = scans(&looking_on, &schema).await;
    assert_eq!(before, after);

    // Nor does the queue look at more than it shows, least of all beyond its end.
    let fetched = "SELECT idx_tup_fetch FROM pg_stat_user_tables
         WHERE schemaname = $1 AND relname = 'enrollments'";
    let fetched = async || -> i64 {
        let count = sqlx::query_scalar(fetched).bind(&schema);
        count.fetch_one(&looking_on).await.unwrap()
    };
    let before = fetched().await;
    let pool = named_pool(&schema).await;
    let store = PgStore::new(pool.clone()).schema(&schema).unwrap();
    let end: EnrollmentId = "ffffffff-ffff-ffff-ffff-ffffffffffff".parse().unwrap();
    for _ in 0..10 {
        let page = store.pending(PageRequest::first(50)).await.unwrap();
        assert_eq!(page.items.len(), 50);
        let page = store.pending(PageRequest::after(end, 50)).await.unwrap();
        assert!(page.items.is_empty());
    }
    close(pool, &looking_on, &schema).await;
    let looked_at = fetched().await - before;
    // Ten pages of 51, and what the planner looks up at the ends of an index.
    assert!((510..700).contains(&looked_at), "{looked_at}");

    // The counters do see one.
    let pool = named_pool(&schema).await;
    let text = format!("SELECT count(*) FROM {schema}.enrollments WHERE title = 'nothing'");
    sqlx::raw_sql(AssertSqlSafe(text))
        .execute(&pool)
        .await
        .unwrap();
    close(pool, &looking_on, &schema).await;
    assert_ne!(scans(&looking_on, &schema).await, after);
}

/// Every read there is, with something to find.
async fn everything(store: &PgStore, rows: usize, number: usize) {
    let enrollment: EnrollmentId = format!("019c0000-0000-7000-8000-{number:012x}")
        .parse()
        .unwrap();
    let reference = PaymentReference::new(format!("SEED-{number}")).unwrap();
    let (learner, course) = (
        LearnerId::new(format!("learner-{number}")).unwrap(),
        CourseId::new(format!("course-{}", number % 200)).unwrap(),
    );
    let key = DeliveryKey::from(format!("link{number}/SUCCESS/SEED-{number}").as_str());
    let link = format!("link{number}");
    let pay_link = PayLinkId::new(&link).unwrap();
    for lookup in [
        Lookup::Enrollment(enrollment),
        Lookup::Reference(&reference),
        Lookup::PayLink(&pay_link),
        Lookup::Learner(&learner, &course),
        Lookup::Delivery {
            key: &key,
            reference: Some(reference.as_str()),
            pay_link: None,
        },
        Lookup::Delivery {
            key: &key,
            reference: None,
            pay_link: Some(&link),
        },
    ] {
        let found = store.load(lookup).await.unwrap();
        assert_eq!(found.case.unwrap().enrollment.id, enrollment, "{lookup:?}");
    }
    assert_eq!(store.grants(&learner, &course).await.unwrap().len(), 1);
    assert_eq!(store.timeline(enrollment).await.unwrap().len(), 2);
    assert!(store.delivery(&key).await.unwrap().is_some());
    let pending = store.pending(PageRequest::first(50)).await.unwrap();
    assert_eq!(pending.items.len(), 50);
    let next = PageRequest::after(pending.next.unwrap(), 50);
    assert_eq!(store.pending(next).await.unwrap().items.len(), 50);
    let due = Claim {
        kind: WorkKind::Timers(TimerKind::Attempt),
        limit: 8,
        now: Utc::now(),
        lease: std::time::Duration::from_secs(1),
    };
    assert_eq!(store.claim(due).await.unwrap().len(), 8);
    // A reconciliation reads everything there is, page by page: `loose_grants` is not among these.
    store
        .payment_exceptions(PageRequest::first(50))
        .await
        .unwrap();
    store.discrepancies(PageRequest::first(50)).await.unwrap();
    store.cases(PageRequest::first(50)).await.unwrap();
    store
        .statement(RowFilter::Open, PageRequest::first(50))
        .await
        .unwrap();
    store.unassigned(PageRequest::first(50)).await.unwrap();
    let timeline = store.timeline(enrollment).await.unwrap();
    assert!(store.event(timeline[0].id).await.unwrap().is_some());
    let person = AdminId::new("nomsa").unwrap();
    for unread in [true, false] {
        let filter = NoticeFilter {
            person: person.clone(),
            kinds: NoticeKind::ALL.to_vec(),
            unread,
            since: None,
        };
        let page = store
            .notices(&filter, PageRequest::first(50))
            .await
            .unwrap();
        assert_eq!(page.items.len(), 50);
        let next = PageRequest::after(page.next.unwrap(), 50);
        assert_eq!(store.notices(&filter, next).await.unwrap().items.len(), 50);
    }
    let read: Vec<_> = timeline.iter().map(|event| event.id).collect();
    let read = Settlement::Read {
        person,
        notices: read,
    };
    store.settle(&[read]).await.unwrap();
    store.audit_log(PageRequest::first(50)).await.unwrap();
    let recently = Utc::now() - Duration::hours(1);
    store.append_audit_log(Some(recently), 100).await.unwrap();
    for filter in [InboxFilter::Waiting, InboxFilter::Parked, InboxFilter::Dead] {
        store.inbox(filter, PageRequest::first(50)).await.unwrap();
    }

    let all = PaymentFilter::default;
    let begun: DateTime<Utc> = "2025-01-01T00:00:00Z".parse().unwrap();
    let middle = begun + Duration::seconds(30 * i64::try_from(rows / 2).unwrap());
    let some_of = |course: &CourseId| PaymentFilter {
        course: Some(course.clone()),
        ..all()
    };
    let searches = [
        all(),
        PaymentFilter {
            learner: Some(learner.clone()),
            ..all()
        },
        some_of(&course),
        PaymentFilter {
            status: Some(AttemptStatus::Paid),
            ..all()
        },
        PaymentFilter {
            status: Some(AttemptStatus::Failed),
            ..all()
        },
        PaymentFilter {
            method: Some(PaymentMethod::InstantEft),
            ..all()
        },
        PaymentFilter {
            from: Some(middle),
            until: Some(middle + Duration::hours(1)),
            ..all()
        },
        PaymentFilter {
            status: Some(AttemptStatus::Paid),
            until: Some(middle),
            ..some_of(&course)
        },
        PaymentFilter {
            prefix: Some(Prefix::Reference(format!("SEED-{number}"))),
            ..all()
        },
        PaymentFilter {
            prefix: Some(Prefix::Reference("SEED-".to_owned())),
            ..all()
        },
        PaymentFilter {
            prefix: Some(Prefix::Email(format!("learner-{number}@"))),
            ..all()
        },
        PaymentFilter {
            prefix: Some(Prefix::Email("learner-".to_owned())),
            ..all()
        },
    ];
    for filter in searches {
        let first = store
            .payments(&filter, PageRequest::first(50))
            .await
            .unwrap();
        assert!(!first.items.is_empty(), "{filter:?}");
        if let Some(next) = first.next {
            let second = store
                .payments(&filter, PageRequest::after(next, 50))
                .await
                .unwrap();
            let last = &first.items.last().unwrap().attempt.reference;
            assert!(!second.items.is_empty());
            assert!(
                second
                    .items
                    .iter()
                    .all(|item| item.attempt.reference != *last)
            );
        }
    }
    let period = Period {
        from: middle,
        until: middle + Duration::days(2),
        offset: FixedOffset::east_opt(2 * 3600).unwrap(),
    };
    let days = store.days(period, None).await.unwrap();
    let enrolled: u64 = days.iter().map(|day| day.figures.enrolled).sum();
    assert_eq!(enrolled, 2 * 24 * 120);
    assert!(!store.days(period, Some(&course)).await.unwrap().is_empty());
    let courses = store.courses(period, PageRequest::first(50)).await.unwrap();
    assert_eq!(courses.items.len(), 50);
}
