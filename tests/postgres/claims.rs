use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coursegate::enrollment::{DueTimer, TimerKind, Version};
use coursegate::store::{Claim, Settlement, Store, Work, WorkKind};
use coursegate::{EnrollmentId, EventId};

use crate::cluster::fresh_store;
use crate::school::{enroll_many, registrar};
use crate::support::{body, signed};

const LEASE: Duration = Duration::from_secs(30);

fn claim(kind: WorkKind, now: DateTime<Utc>, limit: usize) -> Claim {
    Claim {
        kind,
        limit,
        now,
        lease: LEASE,
    }
}

type Published = Vec<(Option<EnrollmentId>, Version, EventId)>;

/// Eight workers empty the outbox, while new events come into it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_publish_each_event_once_and_in_order() {
    let store = fresh_store().await;
    let dues = enroll_many(&store, 100).await;
    let receiving = {
        let registrar = registrar(store.clone());
        tokio::spawn(async move {
            for due in dues {
                for status in ["FAILURE", "SUCCESS"] {
                    let receipt = registrar.receive(due.callback(status)).await;
                    assert_eq!(receipt.http_status(), 200);
                }
            }
        })
    };
    let published = std::sync::Arc::new(std::sync::Mutex::new(Published::new()));
    let receiving = std::sync::Arc::new(receiving);
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (store, published, receiving) =
                (store.clone(), published.clone(), receiving.clone());
            tokio::spawn(async move {
                loop {
                    let over = receiving.is_finished();
                    let work = store
                        .claim(claim(WorkKind::Outbox, Utc::now(), 5))
                        .await
                        .unwrap();
                    if work.is_empty() && over {
                        return;
                    }
                    for work in work {
                        let Work::Message(event) = work else {
                            panic!("not an event")
                        };
                        tokio::task::yield_now().await;
                        let entry = (event.enrollment, event.version, event.id);
                        published.lock().unwrap().push(entry);
                        store
                            .settle(&[Settlement::Published(event.id)])
                            .await
                            .unwrap();
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let published = published.lock().unwrap();
    let ids: BTreeSet<_> = published.iter().map(|(_, _, id)| *id).collect();
    assert_eq!(ids.len(), published.len(), "an event was published twice");
    // At least created, linked, paid and granted for each.
    assert!(published.len() >= 500, "{}", published.len());
    let mut last: BTreeMap<EnrollmentId, (Version, EventId)> = BTreeMap::new();
    for (enrollment, version, id) in published.iter() {
        let place = last.entry(enrollment.unwrap()).or_insert((*version, *id));
        assert!(*place <= (*version, *id), "out of order");
        *place = (*version, *id);
    }
    assert_eq!(last.len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_of_a_dead_worker_ends() {
    let store = fresh_store().await;
    let registrar = registrar(store.clone());
    for number in 0..20 {
        let parked = signed(&body(
            &format!("link{number}"),
            "SUCCESS",
            &format!("CG-{number}"),
        ));
        assert_eq!(registrar.receive(parked).await.http_status(), 200);
    }
    let later = Utc::now() + Duration::from_secs(3600);
    // Eight claim at once, and die.
    let claims: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(
                async move { store.claim(claim(WorkKind::Inbox, later, 4)).await.unwrap() },
            )
        })
        .collect();
    let mut keys = Vec::new();
    for claimed in claims {
        for work in claimed.await.unwrap() {
            let Work::Delivery(entry) = work else {
                panic!("not a delivery")
            };
            keys.push(entry.key);
        }
    }
    let distinct: BTreeSet<_> = keys.iter().cloned().collect();
    assert_eq!((keys.len(), distinct.len()), (20, 20));
    let again = store
        .claim(claim(WorkKind::Inbox, later, 100))
        .await
        .unwrap();
    assert!(again.is_empty(), "leased work was handed out again");
    let after = later + LEASE;
    let taken_over = store
        .claim(claim(WorkKind::Inbox, after, 100))
        .await
        .unwrap();
    assert_eq!(taken_over.len(), 20);

    let messages = store
        .claim(claim(WorkKind::Outbox, later, 100))
        .await
        .unwrap();
    assert_eq!(messages.len(), 20);
    let again = store
        .claim(claim(WorkKind::Outbox, later, 100))
        .await
        .unwrap();
    assert!(again.is_empty());
    let taken_over = store
        .claim(claim(WorkKind::Outbox, after, 100))
        .await
        .unwrap();
    assert_eq!(taken_over.len(), 20);
}

/// Eight workers take what is due; each attempt is taken once, and the dead ones' are taken over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_workers_take_each_timer_once_and_take_over_from_the_dead() {
    let store = fresh_store().await;
    enroll_many(&store, 100).await;
    let due = Utc::now() + Duration::from_secs(120);
    let claim_all = |now: DateTime<Utc>| {
        let claims: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut timers = Vec::new();
                    loop {
                        let work = store
                            .claim(claim(WorkKind::Timers(TimerKind::Attempt), now, 3))
                            .await
                            .unwrap();
                        if work.is_empty() {
                            return timers;
                        }
                        for work in work {
                            let Work::Timer(timer) = work else {
                                panic!("not a timer")
                            };
                            timers.push(timer);
                        }
                    }
                })
            })
            .collect();
        async move {
            let mut timers = Vec::new();
            for claimed in claims {
                timers.extend(claimed.await.unwrap());
            }
            timers
        }
    };
    let keys = |timers: &[DueTimer]| -> BTreeSet<_> {
        timers.iter().map(|timer| timer.key.clone()).collect()
    };
    let taken = claim_all(due).await;
    assert_eq!((taken.len(), keys(&taken).len()), (100, 100));
    assert!(
        claim_all(due).await.is_empty(),
        "leased work was handed out again"
    );
    // All eight die. Others take over, and what the dead ones still say is not heard once
    // the timer was settled.
    let taken_over = claim_all(due + LEASE).await;
    assert_eq!(keys(&taken_over), keys(&taken));
    let later = due + Duration::from_secs(3600);
    let again = |timer: &DueTimer, next_at| Settlement::Reschedule {
        timer: timer.clone(),
        next_at,
        cursor: None,
    };
    let settled: Vec<_> = taken_over.iter().map(|timer| again(timer, later)).collect();
    store.settle(&settled).await.unwrap();
    let from_the_dead: Vec<_> = taken.iter().cloned().map(Settlement::Finish).collect();
    store.settle(&from_the_dead).await.unwrap();
    assert_eq!(keys(&claim_all(later).await), keys(&taken));
}
