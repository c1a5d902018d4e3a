use std::sync::Arc;

use coursegate::Money;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::enrollment::Status;
use coursegate::payment::PaymentMethod;
use coursegate::store::{Lookup, Store};
use sqlx::postgres::PgConnectOptions;

use crate::broken::Kind;
use crate::cluster::{fresh_schema, serializable, url};
use crate::school::{Due, duplicates, enroll, enroll_many, onlooker, problems};
use crate::support::{admin, body, request, signed};

async fn store(options: PgConnectOptions) -> (PgStore, String) {
    let pool = pool_options().connect_with(options).await.unwrap();
    let schema = fresh_schema();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    (store, schema)
}

/// Each payment's callback, 64 times at once.
async fn sixty_four_duplicates(options: PgConnectOptions, payments: usize) {
    let (store, schema) = store(options).await;
    let dues = enroll_many(&store, payments).await;
    let registrar = Kind::Right.registrar(store);
    let applied = duplicates(&registrar, &dues, 64).await;
    assert_eq!(applied, payments);
    let paid: Vec<_> = dues.into_iter().map(|due| due.reference).collect();
    Kind::Right.judge(&problems(&onlooker(url()).await, &schema, &paid).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_duplicates_of_a_thousand_payments() {
    sixty_four_duplicates(url().parse().unwrap(), 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_at_serializable() {
    sixty_four_duplicates(serializable(), 100).await;
}

/// For each payment a callback, its failure, the return page and an admin, all at once.
async fn different_events(kind: Kind, options: PgConnectOptions, payments: usize) {
    let (store, schema) = store(options).await;
    let dues = enroll_many(&store, payments).await;
    let registrar = kind.registrar(store);
    for due in &dues {
        let due = Arc::new(due.clone());
        let tasks: Vec<_> = (0..64)
            .map(|number| {
                let (registrar, due) = (registrar.clone(), due.clone());
                tokio::spawn(async move {
                    match number % 4 {
                        0 => drop(registrar.receive(due.callback("SUCCESS")).await),
                        1 => drop(registrar.receive(due.callback("FAILURE")).await),
                        2 => drop(registrar.refresh_payment(&due.reference).await),
                        _ => drop(
                            registrar
                                .admin(admin())
                                .approvals()
                                .approve(due.enrollment, "")
                                .await,
                        ),
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    kind.judge(&problems(&onlooker(url()).await, &schema, &[]).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_events_at_once() {
    different_events(Kind::Right, url().parse().unwrap(), 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_events_at_once_at_serializable() {
    different_events(Kind::Right, serializable(), 30).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_checks_and_then_acts_is_found_out() {
    different_events(Kind::CheckThenAct, url().parse().unwrap(), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_enrollments_at_once_are_one() {
    let (store, schema) = store(url().parse().unwrap()).await;
    let registrar = Kind::Right.registrar(store.clone());
    for round in 0..50 {
        let name = format!("learner-{round}");
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (registrar, wish) = (registrar.clone(), request(&name, PaymentMethod::Card));
                tokio::spawn(
                    async move { registrar.enroll(wish).await.unwrap().enrollment.unwrap() },
                )
            })
            .collect();
        let mut ids = Vec::new();
        for task in tasks {
            ids.push(task.await.unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
        // All of them were sent to the same pay page.
        let case = store.load(Lookup::Enrollment(ids[0])).await.unwrap().case;
        assert_eq!(case.unwrap().attempts.len(), 1);
    }
    Kind::Right.judge(&problems(&onlooker(url()).await, &schema, &[]).await);
}

/// What must not depend on the order.
async fn essence(store: &PgStore, due: &Due) -> String {
    let found = store
        .load(Lookup::Enrollment(due.enrollment))
        .await
        .unwrap();
    let case = found.case.unwrap();
    let attempts: Vec<_> = case
        .attempts
        .iter()
        .map(|attempt| (attempt.status, attempt.payment.map(|paid| paid.allocation)))
        .collect();
    let counted = case.carrying().any(|it| it.reference == due.reference);
    assert!(matches!(case.enrollment.status, Status::Approved { .. }));
    format!(
        "{} {counted} {attempts:?} {}",
        case.enrollment.status,
        case.grants.len()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_orders_of_six_deliveries_end_alike() {
    let (store, schema) = store(url().parse().unwrap()).await;
    let registrar = Kind::Right.registrar(store.clone());
    let mut orders = Vec::new();
    permute(&mut [0, 1, 2, 3, 4, 5], 6, &mut orders);
    assert_eq!(orders.len(), 720);
    let lanes: Vec<_> = (0..8)
        .map(|lane| {
            let (store, registrar) = (store.clone(), registrar.clone());
            let orders: Vec<_> = orders.iter().skip(lane).step_by(8).copied().collect();
            tokio::spawn(async move {
                let mut ends = Vec::new();
                for (number, order) in orders.iter().enumerate() {
                    let name = format!("learner-{lane}-{number}");
                    let first = enroll(&registrar, &store, &name).await;
                    // Another offer makes another attempt; the first stays payable.
                    let mut offer = request(&name, PaymentMethod::Card);
                    offer.price = Money::zar(29_900).unwrap();
                    registrar.enroll(offer).await.unwrap();
                    let lookup = Lookup::Enrollment(first.enrollment);
                    let case = store.load(lookup).await.unwrap().case.unwrap();
                    let second = &case.attempts[1];
                    let link = second.link.as_ref().unwrap().id.as_str();
                    let other = |status| signed(&body(link, status, second.reference.as_str()));
                    let events = [
                        first.callback("SUCCESS"),
                        first.callback("SUCCESS"),
                        first.callback("FAILURE"),
                        other("FAILURE"),
                        other("PENDING"),
                        signed(&body(link, "FAILURE", &format!("STRANGER-{name}"))),
                    ];
                    for index in order {
                        let receipt = registrar.receive(events[*index].clone()).await;
                        assert_eq!(receipt.http_status(), 200, "{receipt:?}");
                    }
                    ends.push((*order, essence(&store, &first).await));
                }
                ends
            })
        })
        .collect();
    let mut ends = Vec::new();
    for lane in lanes {
        ends.extend(lane.await.unwrap());
    }
    let (reference, expected) = &ends[0];
    for (order, end) in &ends {
        assert_eq!(end, expected, "{order:?} against {reference:?}");
    }
    Kind::Right.judge(&problems(&onlooker(url()).await, &schema, &[]).await);
}

/// Heap's algorithm.
fn permute(items: &mut [usize; 6], size: usize, out: &mut Vec<[usize; 6]>) {
    if size == 1 {
        out.push(*items);
        return;
    }
    for index in 0..size {
        permute(items, size - 1, out);
        items.swap(if size.is_multiple_of(2) { index } else { 0 }, size - 1);
    }
}
