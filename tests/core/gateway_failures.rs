use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use coursegate::access::Grant;
use coursegate::adapter::memory::{MemoryStore, TestClock};
use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::evidence::Confirmation;
use coursegate::payment::{AttemptStatus, PayLink, PaymentMethod};
use coursegate::port::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
use coursegate::registrar::{NextStep, Outcome};
use coursegate::store::{
    Change, Claim, CommitOutcome, InboxFilter, Loaded, Lookup, PageRequest, Queries, Settlement,
    Store, StoreError, Work,
};
use coursegate::{CourseId, Error, ErrorKind, LearnerId, PaymentReference, Registrar};

use crate::support::{World, body, config, events_by, request, signed, start};

type Answer<T> = Result<T, GatewayError>;

/// Answers as it is told, in order, and keeps what it was asked.
#[derive(Debug, Default, Clone)]
struct Scripted {
    links: Arc<Mutex<VecDeque<Answer<PayLink>>>>,
    statuses: Arc<Mutex<VecDeque<Answer<Option<Confirmation>>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    fn new(
        links: impl IntoIterator<Item = Answer<PayLink>>,
        statuses: impl IntoIterator<Item = Answer<Option<Confirmation>>>,
    ) -> Self {
        Self {
            links: Arc::new(Mutex::new(links.into_iter().collect())),
            statuses: Arc::new(Mutex::new(statuses.into_iter().collect())),
            asked: Arc::default(),
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl PaymentGateway for Scripted {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ikhokha().test_double()
    }
    async fn create_link(&self, _: &LinkRequest) -> Answer<PayLink> {
        self.asked.lock().unwrap().push("create".into());
        self.links
            .lock()
            .unwrap()
            .pop_front()
            .expect("one call too many")
    }
    async fn status(&self, query: StatusQuery<'_>) -> Answer<Option<Confirmation>> {
        let by = if matches!(query, StatusQuery::Reference(_)) {
            "reference"
        } else {
            "link"
        };
        self.asked.lock().unwrap().push(by.into());
        self.statuses
            .lock()
            .unwrap()
            .pop_front()
            .expect("one call too many")
    }

    async fn history(&self, _: NaiveDate, _: NaiveDate) -> Result<History, GatewayError> {
        Err(GatewayError::NotSupported)
    }

    async fn refund(&self, _: &RefundRequest) -> Result<(), GatewayError> {
        Err(GatewayError::NotSupported)
    }
}

fn unpaid() -> Confirmation {
    Confirmation {
        pay_link: Some("lost".parse().unwrap()),
        reference: coursegate::evidence::Stated::Nothing,
        status: coursegate::payment::ProviderStatus::from_word("PENDING"),
        amount: coursegate::evidence::Stated::Nothing,
        currency: coursegate::evidence::Stated::Nothing,
        method: None,
        created_at: None,
    }
}

fn link(id: &str) -> PayLink {
    PayLink {
        id: id.parse().unwrap(),
        url: Some(format!("https://pay.example/{id}").into()),
    }
}

#[tokio::test]
async fn a_provider_that_fails_keeps_the_enrollment_and_a_retry_works() {
    let failing = Scripted::new([Err(GatewayError::Unreachable), Ok(link("second"))], []);
    let store = MemoryStore::new();
    let registrar = Registrar::builder(config(), store.clone())
        .gateway(failing)
        .build_for_tests()
        .unwrap();
    let error = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap_err();
    let Error::NoPayLink { enrollment, source } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (source, error.kind(), error.kind().http_status()),
        (&GatewayError::Unreachable, ErrorKind::Provider, 502)
    );
    let enrolled = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap();
    assert_eq!(enrolled.enrollment, Some(*enrollment));
    assert!(matches!(enrolled.next, NextStep::Pay { url, .. } if url.ends_with("second")));
}

#[tokio::test]
async fn after_a_timeout_the_provider_is_asked_before_another_link_is_made() {
    // The link was made, and the answer was lost: its address is not known to anybody.
    let slow = Scripted::new(
        [Err(GatewayError::TimedOut), Ok(link("fresh"))],
        [Ok(Some(unpaid()))],
    );
    let (store, clock) = (MemoryStore::new(), TestClock::at(start()));
    let registrar = Registrar::builder(config(), store.clone())
        .gateway(slow.clone())
        .clock(clock.clone())
        .build_for_tests()
        .unwrap();
    registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap_err();
    clock.advance(Duration::from_secs(45));
    let enrolled = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap();
    let case = store
        .load(Lookup::Enrollment(enrolled.enrollment.unwrap()))
        .await
        .unwrap()
        .case
        .unwrap();
    let statuses: Vec<_> = case.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!(
        statuses,
        [AttemptStatus::Abandoned, AttemptStatus::LinkReady]
    );
    assert_eq!(slow.asked(), ["create", "reference", "create"]);

    // And when it does not know the reference, the same attempt is used.
    let lost = Scripted::new([Err(GatewayError::TimedOut), Ok(link("fresh"))], [Ok(None)]);
    let store = MemoryStore::new();
    let registrar = Registrar::builder(config(), store.clone())
        .gateway(lost)
        .build_for_tests()
        .unwrap();
    registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap_err();
    let enrolled = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap();
    let case = store
        .load(Lookup::Enrollment(enrolled.enrollment.unwrap()))
        .await
        .unwrap()
        .case
        .unwrap();
    assert_eq!(case.attempts.len(), 1);
}

/// Never answers.
#[derive(Debug)]
struct Frozen;

#[async_trait]
impl PaymentGateway for Frozen {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ikhokha().test_double()
    }
    async fn create_link(&self, _: &LinkRequest) -> Result<PayLink, GatewayError> {
        std::future::pending().await
    }
    async fn status(&self, _: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        std::future::pending().await
    }

    async fn history(&self, _: NaiveDate, _: NaiveDate) -> Result<History, GatewayError> {
        Err(GatewayError::NotSupported)
    }

    async fn refund(&self, _: &RefundRequest) -> Result<(), GatewayError> {
        Err(GatewayError::NotSupported)
    }
}

#[tokio::test]
async fn a_frozen_provider_does_not_hold_a_callback_and_nothing_is_lost() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let mut hurried = config();
    hurried.provider_wait = Duration::from_millis(20);
    let registrar = Registrar::builder(hurried, world.store.clone())
        .gateway(Frozen)
        .build_for_tests()
        .unwrap();
    let receipt = registrar
        .receive(signed(&body(link.as_str(), "SUCCESS", reference.as_str())))
        .await;
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Waiting, 200)
    );
    assert!(world.case(enrollment).await.confirming.is_some());
}

/// A store that is down, or never answers.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Down,
    Hangs,
}

/// Takes inbox rows, and refuses every change of an enrollment.
#[derive(Debug, Clone)]
struct Stubborn(MemoryStore);

#[async_trait]
impl Store for Stubborn {
    async fn append_audit_log(
        &self,
        since: Option<chrono::DateTime<chrono::Utc>>,
        most: usize,
    ) -> Result<usize, StoreError> {
        self.0.append_audit_log(since, most).await
    }

    async fn inspect(&self) -> Result<coursegate::store::StoreReport, StoreError> {
        self.0.inspect().await
    }

    async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError> {
        self.0.load(lookup).await
    }
    async fn commit(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        match change.enrollment {
            Some(_) => Err(StoreError::Refused("not today".into())),
            None => self.0.commit(change).await,
        }
    }
    async fn grants(
        &self,
        learner: &LearnerId,
        course: &CourseId,
    ) -> Result<Vec<Grant>, StoreError> {
        self.0.grants(learner, course).await
    }
    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError> {
        self.0.claim(claim).await
    }
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.0.settle(settlements).await
    }
    async fn share(
        &self,
        share: coursegate::store::Share<'_>,
    ) -> Result<coursegate::store::Shared, StoreError> {
        self.0.share(share).await
    }
    async fn purge(
        &self,
        purge: coursegate::store::Purge<'_>,
    ) -> Result<coursegate::store::Purged, StoreError> {
        self.0.purge(purge).await
    }
    fn is_test_double(&self) -> bool {
        true
    }
}

impl Broken {
    async fn fail<T>(self) -> Result<T, StoreError> {
        match self {
            Self::Down => Err(StoreError::Unavailable("switched off".into())),
            Self::Hangs => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Store for Broken {
    async fn append_audit_log(
        &self,
        since: Option<chrono::DateTime<chrono::Utc>>,
        most: usize,
    ) -> Result<usize, StoreError> {
        let _ = (since, most);
        Ok(0)
    }

    async fn inspect(&self) -> Result<coursegate::store::StoreReport, StoreError> {
        Ok(coursegate::store::StoreReport::default())
    }

    async fn load(&self, _: Lookup<'_>) -> Result<Loaded, StoreError> {
        self.fail().await
    }
    async fn commit(&self, _: Change) -> Result<CommitOutcome, StoreError> {
        self.fail().await
    }
    async fn grants(&self, _: &LearnerId, _: &CourseId) -> Result<Vec<Grant>, StoreError> {
        self.fail().await
    }
    async fn claim(&self, _: Claim) -> Result<Vec<Work>, StoreError> {
        self.fail().await
    }
    async fn settle(&self, _: &[Settlement]) -> Result<(), StoreError> {
        self.fail().await
    }
    async fn share(
        &self,
        _: coursegate::store::Share<'_>,
    ) -> Result<coursegate::store::Shared, StoreError> {
        self.fail().await
    }
    async fn purge(
        &self,
        _: coursegate::store::Purge<'_>,
    ) -> Result<coursegate::store::Purged, StoreError> {
        self.fail().await
    }
    fn is_test_double(&self) -> bool {
        true
    }
}

events_by!(Broken, this => this.fail().await);

#[tokio::test]
async fn a_store_that_is_down_asks_the_sender_to_come_again() {
    let registrar = Registrar::builder(config(), Broken::Down)
        .build_for_tests()
        .unwrap();
    let receipt = registrar
        .receive(signed(&body("link", "SUCCESS", "CG-1")))
        .await;
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Unavailable, 503)
    );
    let error = registrar
        .refresh_payment(&PaymentReference::new("CG-1").unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind().http_status(), 503);
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("switched off")
    );
}

#[tokio::test]
async fn a_store_that_hangs_is_left_at_the_deadline() {
    let clock = TestClock::at(start());
    let registrar = Registrar::builder(config(), Broken::Hangs)
        .clock(clock.clone())
        .build_for_tests()
        .unwrap();
    let waiting = tokio::spawn(async move {
        registrar
            .receive(signed(&body("link", "SUCCESS", "CG-1")))
            .await
    });
    tokio::task::yield_now().await;
    clock.advance(Duration::from_millis(4_999));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    clock.advance(Duration::from_millis(1));
    assert_eq!(waiting.await.unwrap().http_status(), 503);
}

#[tokio::test]
async fn a_provider_with_internal_errors_leaves_the_learner_confirming() {
    let world = World::with(
        Settings::new(3).fault(Fault::ServerError, 0.0),
        config(),
        |builder| builder,
    );
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let sick = World::with(
        Settings::new(3).fault(Fault::ServerError, 1.0),
        config(),
        |builder| builder,
    );
    let registrar = Registrar::builder(config(), world.store.clone())
        .gateway(sick.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    world.simulator.pay(&link, Choice::Card).unwrap();
    let receipt = registrar
        .receive(signed(&body(link.as_str(), "SUCCESS", reference.as_str())))
        .await;
    assert_eq!(receipt.outcome, Outcome::Waiting);
    assert!(matches!(
        registrar.refresh_payment(&reference).await,
        Err(Error::Gateway(GatewayError::Failed { status: 500 }))
    ));
    // The provider recovers.
    world.advance(3600);
    world.pass().await;
    assert!(world.may_enter("thandi").await);
}

events_by!(Stubborn, this => Broken::Down.fail().await);

#[tokio::test]
async fn a_change_the_store_will_never_take_is_kept_and_given_up_on_in_sight() {
    let world = World::new();
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    let registrar = Registrar::builder(config(), Stubborn(world.store.clone()))
        .gateway(world.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    let callback = signed(&body(link.as_str(), "SUCCESS", reference.as_str()));
    let receipt = registrar.receive(callback).await;
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Waiting, 200)
    );
    for _ in 0..12 {
        world.advance(4600);
        registrar.worker().pass().await.unwrap();
    }
    let dead = world
        .store
        .inbox(InboxFilter::Dead, PageRequest::first(2))
        .await
        .unwrap()
        .items;
    assert_eq!(dead.len(), 1);

    // The store is mended, and an admin replays it.
    let desk = world.registrar.admin(crate::support::admin());
    desk.operations().replay(&dead[0].key).await.unwrap();
    world.pass().await;
    assert!(world.may_enter("thandi").await);
}
