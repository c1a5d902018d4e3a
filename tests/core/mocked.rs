//! Failures that no fake can produce.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Duration, Utc};
use coursegate::access::{AccessRequest, Grant, ResourceKind};
use coursegate::adapter::memory::{MemoryStore, TestClock};
use coursegate::adapter::simulator::{Choice, Settings, Simulator};
use coursegate::payment::PaymentMethod;
use coursegate::port::{Clock, Sleep};
use coursegate::registrar::{BulkOutcome, HealthStatus, NextStep, Outcome};
use coursegate::store::{
    Change, Claim, CommitOutcome, Loaded, Lookup, Purge, Purged, Queries, Settlement, Store,
    StoreError, Work,
};
use coursegate::{AppId, CourseId, LearnerId, Registrar, Secret};
use mockall::mock;

use crate::support::{
    APP_ID, SECRET, admin, config, course, delivery, events_by, learner, request, start,
};

/// What a ledger says before it writes.
#[mockall::automock]
trait Says: std::fmt::Debug + Send + Sync {
    fn refuses(&self, change: &Change) -> Option<StoreError>;
}

/// A memory store that may refuse what was decided.
#[derive(Debug)]
struct Ledger {
    store: MemoryStore,
    says: MockSays,
}

#[async_trait::async_trait]
impl Store for Ledger {
    async fn append_audit_log(
        &self,
        since: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<usize, StoreError> {
        self.store.append_audit_log(since, most).await
    }

    async fn inspect(&self) -> Result<coursegate::store::StoreReport, StoreError> {
        self.store.inspect().await
    }

    async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError> {
        self.store.load(lookup).await
    }
    async fn commit(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        match self.says.refuses(&change) {
            Some(error) => Err(error),
            None => self.store.commit(change).await,
        }
    }
    async fn grants(
        &self,
        learner: &LearnerId,
        course: &CourseId,
    ) -> Result<Vec<Grant>, StoreError> {
        self.store.grants(learner, course).await
    }
    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError> {
        self.store.claim(claim).await
    }
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.store.settle(settlements).await
    }
    async fn share(
        &self,
        share: coursegate::store::Share<'_>,
    ) -> Result<coursegate::store::Shared, StoreError> {
        self.store.share(share).await
    }
    async fn purge(&self, purge: Purge<'_>) -> Result<Purged, StoreError> {
        self.store.purge(purge).await
    }
    fn is_test_double(&self) -> bool {
        true
    }
}

events_by!(Ledger, this => Err(StoreError::Refused("nobody reads here".to_owned())));

mock! {
    #[derive(Debug)]
    Watch {}
    impl Clock for Watch {
        fn now(&self) -> DateTime<Utc>;
        fn sleep(&self, duration: std::time::Duration) -> Sleep;
        fn is_test_double(&self) -> bool;
    }
}

/// A ledger that keeps everything, but refuses what gives access.
fn refuses_access() -> Ledger {
    let mut says = MockSays::new();
    says.expect_refuses().returning(|change| {
        let refused = StoreError::Refused("SQLSTATE 23505, one_grant_per_payment".to_owned());
        (!change.grants.is_empty()).then_some(refused)
    });
    let store = MemoryStore::new();
    Ledger { store, says }
}

#[tokio::test]
async fn a_store_that_refuses_after_the_decision_is_told_in_a_sentence() {
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let simulator = Simulator::new(app_id, secret, Settings::new(1));
    let builder = Registrar::builder(config(), refuses_access());
    let registrar = builder
        .gateway(simulator.gateway())
        .build_for_tests()
        .unwrap();
    let enrolled = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap();
    let NextStep::Pay { url, .. } = enrolled.next else {
        panic!()
    };
    let link = url.rsplit('/').next().unwrap().parse().unwrap();
    simulator.pay(&link, Choice::Card).unwrap();
    for callback in simulator.take_callbacks() {
        let receipt = registrar.receive(delivery(&callback)).await;
        // It is kept, and tried again: nothing is lost, and nothing is called done.
        assert_eq!(
            (&receipt.outcome, receipt.http_status()),
            (&Outcome::Waiting, 200)
        );
        assert!(!receipt.access_granted);
    }
    let id = enrolled.enrollment.unwrap();
    let done = registrar
        .admin(admin())
        .approvals()
        .approve_all(&[id], "", false)
        .await
        .remove(0);
    let BulkOutcome::Failed(why) = done.outcome else {
        panic!("{done:?}")
    };
    assert!(why.contains("the store refuses the change"), "{why}");
    assert!(why.contains("one_grant_per_payment"), "{why}");
    let question = AccessRequest::new(learner("thandi"), course(), ResourceKind::Lesson);
    assert!(!registrar.access(&question).await.unwrap().is_allowed());
}

#[tokio::test]
async fn a_clock_that_jumps_back_never_turns_the_order_of_things_around() {
    let time = Arc::new(Mutex::new(start()));
    let mut clock = MockWatch::new();
    let shown = time.clone();
    clock.expect_now().returning(move || *shown.lock().unwrap());
    clock
        .expect_sleep()
        .returning(|_| Box::pin(std::future::pending()));
    clock.expect_is_test_double().return_const(true);
    let store = MemoryStore::new();
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let simulator = Simulator::new(app_id, secret, Settings::new(1));
    let builder = Registrar::builder(config(), store.clone());
    let registrar = builder
        .gateway(simulator.gateway())
        .clock(clock)
        .build_for_tests()
        .unwrap();
    let enrolled = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap();
    let id = enrolled.enrollment.unwrap();
    // Approved by an instance whose clock is two hours ahead, and paid by one that is right.
    let desk = registrar.admin(admin());
    *time.lock().unwrap() += Duration::hours(2);
    desk.approvals()
        .approve(id, "they pay today")
        .await
        .unwrap();
    *time.lock().unwrap() -= Duration::hours(2);
    let NextStep::Pay { url, .. } = enrolled.next else {
        panic!()
    };
    simulator
        .pay(
            &url.rsplit('/').next().unwrap().parse().unwrap(),
            Choice::Card,
        )
        .unwrap();
    for callback in simulator.take_callbacks() {
        registrar.receive(delivery(&callback)).await;
    }
    let case = store
        .load(Lookup::Enrollment(id))
        .await
        .unwrap()
        .case
        .unwrap();
    assert_eq!(case.grants.len(), 1, "the money came for that approval");
    assert_eq!(case.carrying().count(), 1);
    let history = store.timeline(id).await.unwrap();
    assert!(
        history.is_sorted_by_key(|event| (event.version, event.at)),
        "time runs on"
    );
}

/// On a full disk some writes find room: that the last one worked does not say that all is well.
#[tokio::test]
async fn a_store_that_takes_some_writes_only_is_not_well() {
    let mut says = MockSays::new();
    says.expect_refuses().returning(|change| {
        let about = change.enrollment.as_ref();
        let full = about.is_some_and(|it| it.learner.as_str() == "sipho");
        full.then(|| StoreError::Unavailable("its disk is full, SQLSTATE 53100".to_owned()))
    });
    let (clock, store) = (TestClock::at(start()), MemoryStore::new());
    let registrar = Registrar::builder(config(), Ledger { store, says })
        .gateway(
            Simulator::new(
                AppId::new(APP_ID).unwrap(),
                Secret::new(SECRET).unwrap(),
                Settings::new(1),
            )
            .gateway(),
        )
        .clock(clock.clone())
        .build_for_tests()
        .unwrap();
    let database = async || {
        let health = registrar.health().await;
        let part = health.parts.iter().find(|part| part.part == "database");
        part.unwrap().clone()
    };
    let enroll = async |name| {
        registrar
            .enroll(request(name, PaymentMethod::BankTransfer))
            .await
    };
    enroll("thandi").await.unwrap();
    assert_eq!(database().await.condition, HealthStatus::Ok);
    let error = enroll("sipho").await.unwrap_err();
    assert!(error.in_full().contains("disk is full"));
    assert_eq!(database().await.condition, HealthStatus::Down);
    clock.advance(std::time::Duration::from_secs(10));
    enroll("lerato").await.unwrap();
    let told = database().await;
    assert_eq!(told.condition, HealthStatus::Degraded, "{told:?}");
    assert!(told.reason.contains("10 s ago") && told.reason.contains("disk"));
    clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(database().await.condition, HealthStatus::Ok);
}
