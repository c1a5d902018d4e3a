//! Callbacks that never come, providers that fail, and what expires meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use coursegate::access::{AccessTerms, EndReason, GrantState};
use coursegate::adapter::memory::{MemoryStore, TestClock};
use coursegate::adapter::simulator::{Choice, Fault, Settings, SimulatorGateway};
use coursegate::enrollment::{Job, Status, TimerKey, TimerKind};
use coursegate::event::EventKind;
use coursegate::evidence::Confirmation;
use coursegate::payment::{PayLink, PaymentMethod, ProofOfPayment};
use coursegate::port::{
    Capabilities, Clock, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest,
    StatusQuery,
};
use coursegate::reason::HoldReason;
use coursegate::reconciliation::DiscrepancyKind;
use coursegate::registrar::{Circuit, NewGrant, NextStep, Outcome, Pass};
use coursegate::store::{
    Claim, InboxFilter, PageRequest, PaymentFilter, Queries, Store, Work, WorkKind,
};
use coursegate::{Error, OnUnverified, PaymentReference, Registrar};

use crate::support::{World, admin, body, config, course, learner, request, start, with_signature};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

impl World {
    /// Passes until nothing is due any more.
    async fn work(&self) -> Pass {
        let mut all = Pass::default();
        for _ in 0..500 {
            let pass = self.pass().await;
            if (pass.settled, pass.asked, pass.expired, pass.jobs) == (0, 0, 0, 0) {
                return all;
            }
            all.asked += pass.asked;
            all.found_paid += pass.found_paid;
            all.expired += pass.expired;
            all.jobs += pass.jobs;
        }
        panic!("the worker finds no end")
    }

    async fn wait(&self, seconds: u64) -> Pass {
        self.advance(seconds);
        self.work().await
    }
}

#[tokio::test]
async fn a_payment_whose_callback_is_lost_is_found_by_asking() {
    let world = World::with(
        Settings::new(1).fault(Fault::Lost, 1.0),
        config(),
        |builder| builder,
    );
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    assert!(world.pay(&link, Choice::Card).await.is_empty());
    assert_eq!(world.wait(30).await.asked, 0, "it is too early to ask");
    let pass = world.wait(30).await;
    assert_eq!((pass.asked, pass.found_paid), (1, 1));
    assert!(world.may_enter("thandi").await);
    assert_eq!(
        world.wait(40 * DAY).await.asked,
        0,
        "nothing is left to ask"
    );
}

#[tokio::test]
async fn an_open_attempt_is_asked_about_at_the_times_that_were_set() {
    let world = World::new();
    world.attempt("thandi", PaymentMethod::Card).await;
    let mut asked_at = Vec::new();
    let mut minutes = 0;
    while minutes < 40 * 24 * 60 {
        let step = if minutes < 20 { 1 } else { 20 };
        minutes += step;
        let pass = world.wait(step * MINUTE).await;
        // Its enrollment expires on the seventh day, after a last look of its own.
        asked_at.extend(std::iter::repeat_n(minutes, pass.asked - pass.expired));
    }
    let day = 24 * 60;
    let mut expected = vec![1, 5, 15, 60, 6 * 60];
    expected.extend((1..=30).map(|days| days * day));
    assert_eq!(asked_at, expected);
}

#[tokio::test]
async fn a_link_whose_making_was_lost_is_found_by_our_reference() {
    // The provider makes the link, and its answer never arrives.
    #[derive(Debug)]
    struct Deaf(SimulatorGateway);
    #[async_trait]
    impl PaymentGateway for Deaf {
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
            self.0.create_link(request).await?;
            Err(GatewayError::TimedOut)
        }
        async fn status(
            &self,
            query: StatusQuery<'_>,
        ) -> Result<Option<Confirmation>, GatewayError> {
            self.0.status(query).await
        }
        async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError> {
            self.0.history(from, to).await
        }
        async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
            self.0.refund(request).await
        }
    }
    let world = World::with(Settings::new(1), config(), |builder| builder);
    let registrar = Registrar::builder(config(), world.store.clone())
        .gateway(Deaf(world.simulator.gateway()))
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    let refused = registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await;
    assert!(matches!(refused, Err(Error::NoPayLink { .. })));
    let (desk, any) = (registrar.admin(admin()), PaymentFilter::default());
    let mut listed = desk
        .payments()
        .list(&any, PageRequest::first(1))
        .await
        .unwrap();
    let reference = listed.items.remove(0).attempt.reference;
    // Somebody has the link all the same, and pays.
    let gateway = world.simulator.gateway();
    let made = gateway.status(StatusQuery::Reference(&reference)).await;
    let link = made.unwrap().unwrap().pay_link.unwrap();
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    world.advance(MINUTE);
    registrar.worker().pass().await.unwrap();
    assert!(world.may_enter("thandi").await);
    // The link is known by name now: no history sync takes its money for an unmatched's.
    world.advance(DAY);
    let today = world.clock.now().date_naive();
    let synced = registrar
        .admin(admin())
        .payments()
        .sync_history(start().date_naive(), today)
        .await
        .unwrap();
    assert_eq!((synced.paid, synced.unmatched.len()), (1, 0));
}

#[tokio::test]
async fn a_provider_that_is_down_for_an_hour_lets_nobody_in_and_all_are_caught_up_with() {
    let world = World::with(
        Settings::new(3).fault(Fault::Lost, 0.3),
        config(),
        |builder| builder,
    );
    let mut links = Vec::new();
    for number in 0..20 {
        links.push(
            world
                .attempt(&format!("learner-{number}"), PaymentMethod::Card)
                .await
                .2,
        );
    }
    world.simulator.set_down(true);
    for link in &links {
        for receipt in world.pay(link, Choice::Card).await {
            assert_eq!(
                (receipt.outcome.clone(), receipt.http_status()),
                (Outcome::Waiting, 200)
            );
        }
    }
    for _ in 0..60 {
        world.wait(MINUTE).await;
    }
    for number in 0..20 {
        assert!(!world.may_enter(&format!("learner-{number}")).await);
    }
    let health = world.registrar.provider_health().unwrap();
    assert!(matches!(health.circuit, Circuit::Open { .. }), "{health:?}");
    assert!(health.calls < 200, "it was left alone: {health:?}");

    world.simulator.set_down(false);
    for _ in 0..8 {
        world.wait(MINUTE).await;
    }
    for number in 0..20 {
        assert!(
            world.may_enter(&format!("learner-{number}")).await,
            "{number}"
        );
    }
    let health = world.registrar.provider_health().unwrap();
    assert_eq!(
        (health.circuit, health.failures_in_a_row),
        (Circuit::Closed, 0)
    );
}

#[tokio::test]
async fn a_circuit_opens_tries_once_and_closes_again() {
    let world = World::new();
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.set_down(true);
    let ask = || world.registrar.refresh_payment(&reference);
    for _ in 0..5 {
        world.advance(3);
        assert_eq!(ask().await, Err(Error::Gateway(GatewayError::Unreachable)));
    }
    world.advance(3);
    let refused = |error| matches!(error, Err(Error::Gateway(GatewayError::CircuitOpen { .. })));
    assert!(refused(ask().await));
    let calls = || world.registrar.provider_health().unwrap().calls;
    let before = calls();
    world.advance(26);
    assert!(refused(ask().await));
    assert_eq!(calls(), before);
    world.advance(1);
    assert_eq!(ask().await, Err(Error::Gateway(GatewayError::Unreachable)));
    // One try, and it is left alone for twice as long.
    world.advance(59);
    assert!(refused(ask().await));
    world.simulator.set_down(false);
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.advance(1);
    assert!(ask().await.unwrap().access_granted);
    assert_eq!(
        world.registrar.provider_health().unwrap().circuit,
        Circuit::Closed
    );
    // No link is made of a provider that is left alone, and the learner may try again.
    world.simulator.set_down(true);
    for _ in 0..5 {
        let failed = world
            .registrar
            .enroll(request("sipho", PaymentMethod::Card))
            .await;
        assert!(matches!(failed, Err(Error::NoPayLink { .. })));
    }
    let failed = world
        .registrar
        .enroll(request("sipho", PaymentMethod::Card))
        .await;
    let Err(Error::NoPayLink { source, .. }) = failed else {
        panic!("{failed:?}")
    };
    assert!(matches!(source, GatewayError::CircuitOpen { .. }) && source.is_transient());
    world.simulator.set_down(false);
    world.advance(MINUTE);
    world.attempt("sipho", PaymentMethod::Card).await;
}

#[tokio::test]
async fn background_calls_keep_to_their_limit_and_people_do_not_wait_for_them() {
    let mut settings = config();
    settings.provider.background_per_second = 1;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let mut references = Vec::new();
    for number in 0..30 {
        references.push(
            world
                .attempt(&format!("learner-{number}"), PaymentMethod::Card)
                .await
                .1,
        );
    }
    world.advance(MINUTE);
    let mut asked = 0;
    let health = || world.registrar.provider_health().unwrap();
    let before = health().calls;
    for _ in 0..10 {
        asked += world.pass().await.asked;
    }
    assert_eq!(asked, 10, "no more are taken than may be asked about");
    assert_eq!(health().calls - before, 10, "ten seconds' worth at once");
    // Somebody who waits is served.
    world
        .registrar
        .refresh_payment(&references[0])
        .await
        .unwrap();
    // The others come as time passes, and none is forgotten.
    for _ in 0..60 {
        world.advance(1);
        world.pass().await;
    }
    assert!(health().calls - before >= 30, "{:?}", health());
}

#[tokio::test]
async fn an_unpaid_enrollment_expires_after_a_last_look_for_its_money() {
    let world = World::with(
        Settings::new(1).fault(Fault::Lost, 1.0),
        config(),
        |builder| builder,
    );
    let (unpaid, ..) = world.attempt("thandi", PaymentMethod::Card).await;
    let (paid, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    world.wait(6 * DAY + 23 * HOUR).await;
    let status = async |id| world.case(id).await.enrollment.status;
    assert_eq!(status(unpaid).await, Status::AwaitingPayment);
    // In the last hour, between two looks, and with the callback lost.
    world.simulator.pay(&link, Choice::Card).unwrap();
    let pass = world.wait(HOUR).await;
    assert!(pass.expired >= 1, "{pass:?}");
    assert_eq!(status(unpaid).await, Status::Expired);
    assert!(matches!(status(paid).await, Status::Approved { .. }));

    // Enrolling again reopens it, and it has a week again.
    world.attempt("thandi", PaymentMethod::Card).await;
    world.wait(6 * DAY).await;
    assert_eq!(status(unpaid).await, Status::AwaitingPayment);
    world.wait(DAY).await;
    assert_eq!(status(unpaid).await, Status::Expired);
}

#[tokio::test]
async fn nothing_expires_while_nobody_knows_whether_it_is_paid() {
    let world = World::new();
    let (enrollment, ..) = world.attempt("thandi", PaymentMethod::Card).await;
    world.wait(6 * DAY + HOUR).await;
    world.simulator.set_down(true);
    for _ in 0..48 {
        world.wait(HOUR).await;
    }
    let status = async || world.case(enrollment).await.enrollment.status;
    assert_eq!(status().await, Status::AwaitingPayment);
    world.simulator.set_down(false);
    for _ in 0..3 {
        world.wait(HOUR).await;
    }
    assert_eq!(status().await, Status::Expired);
}

#[tokio::test]
async fn a_bank_transfer_expires_later_and_not_at_all_with_a_proof() {
    let world = World::new();
    let unseen = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let shown = world
        .enroll("sipho", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let proof = ProofOfPayment::new("upload-4711").unwrap();
    let attach = |name, proof| {
        let (learner, course) = (learner(name), course());
        let registrar = world.registrar.clone();
        async move { registrar.attach_proof(&learner, &course, proof).await }
    };
    attach("sipho", proof.clone()).await.unwrap();
    attach("sipho", proof.clone()).await.unwrap();
    assert!(matches!(
        attach("nobody", proof.clone()).await,
        Err(Error::NotFound(_))
    ));
    assert_eq!(
        world.case(shown).await.attempts[0].proof,
        Some(proof.clone())
    );
    world.wait(29 * DAY).await;
    let status = async |id| world.case(id).await.enrollment.status;
    assert!(matches!(
        status(unseen).await,
        Status::AwaitingApproval { .. }
    ));
    world.wait(DAY).await;
    assert_eq!(status(unseen).await, Status::Expired);
    world.wait(365 * DAY).await;
    assert!(matches!(
        status(shown).await,
        Status::AwaitingApproval { .. }
    ));
    let timeline = world
        .registrar
        .admin(admin())
        .approvals()
        .explain(shown)
        .await
        .unwrap()
        .history;
    let attached = |kind: &EventKind| matches!(kind, EventKind::ProofAttached { .. });
    assert_eq!(
        timeline
            .iter()
            .filter(|event| attached(&event.kind))
            .count(),
        1
    );
    assert!(matches!(
        attach("thandi", proof).await,
        Err(Error::Refused(_))
    ));
    for bad in ["", "a b", "caf\u{e9}", &"x".repeat(501)] {
        assert!(ProofOfPayment::new(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn access_that_was_bought_for_a_time_ends_with_an_event() {
    let world = World::new();
    let mut wish = request("thandi", PaymentMethod::Card);
    wish.terms = AccessTerms::lasting(Duration::from_secs(30 * DAY));
    let enrolled = world.ask(wish.clone()).await;
    let link = world.case(enrolled.enrollment).await.attempts[0]
        .link
        .clone()
        .unwrap()
        .id;
    world.pay(&link, Choice::Card).await;
    // And access that an admin gave, apart from any enrollment.
    let desk = world.registrar.admin(admin());
    let given = NewGrant {
        learner: learner("sipho"),
        course: course(),
        terms: AccessTerms::lasting(Duration::from_secs(10 * DAY)),
    };
    let free = desk.learners().grant(given, "a trial").await.unwrap();
    assert!(world.may_enter("sipho").await);
    world.wait(10 * DAY).await;
    assert!(!world.may_enter("sipho").await);
    let grants = world
        .store
        .grants(&free.learner, &free.course)
        .await
        .unwrap();
    let ended = |state| {
        matches!(
            state,
            GrantState::Ended {
                why: EndReason::Expired,
                ..
            }
        )
    };
    assert!(ended(grants[0].state));

    assert!(world.may_enter("thandi").await);
    world.wait(20 * DAY).await;
    assert!(!world.may_enter("thandi").await);
    let case = world.case(enrolled.enrollment).await;
    assert_eq!(case.enrollment.status, Status::Expired);
    assert!(ended(case.grants[0].state));
    // It can be bought again.
    let again = world.ask(wish).await;
    assert!(matches!(again.next, NextStep::Pay { .. }), "{again:?}");
}

#[tokio::test]
async fn a_payment_that_nobody_confirms_ends_up_before_a_person_who_sees_why() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let paid = body(link.as_str(), "SUCCESS", reference.as_str());
    assert_eq!(world.receive(&paid).await.outcome, Outcome::Waiting);
    let desk = world.registrar.admin(admin());
    let dead = async || {
        let page = desk
            .operations()
            .inbox(InboxFilter::Dead, PageRequest::first(1))
            .await;
        !page.unwrap().items.is_empty()
    };
    while !dead().await {
        world.wait(HOUR).await;
    }
    let queue = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap()
        .items;
    let unconfirmed = Status::AwaitingApproval {
        reason: HoldReason::Unconfirmed,
    };
    assert_eq!(
        (queue.len(), &queue[0].enrollment.status),
        (1, &unconfirmed)
    );
    let why = desk.approvals().explain(enrollment).await.unwrap();
    assert!(why.advice.unwrap().contains("could not confirm"));
    let told = |event: &coursegate::event::Event| {
        let note = event.note.as_ref().map_or("", |note| note.as_str());
        note.contains("dashboard") && note.contains("replay")
    };
    assert!(why.history.iter().any(told), "what to do");
    assert!(!world.may_enter("thandi").await);
    // The provider comes round after all: nobody needs to decide any more.
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.wait(DAY).await;
    assert!(world.may_enter("thandi").await);
    assert!(
        desk.approvals()
            .pending(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn a_parked_callback_is_alerted_once_when_it_is_old() {
    let world = World::new();
    let stranger = body("strangerslink00", "SUCCESS", "CG-STRANGER");
    assert_eq!(world.receive(&stranger).await.outcome, Outcome::Parked);
    let alerts = || {
        let overdue = |kind: &EventKind| matches!(kind, EventKind::DeliveryOverdue { .. });
        let published = world.publisher.published();
        published
            .iter()
            .filter(|event| overdue(&event.kind))
            .count()
    };
    for _ in 0..59 {
        world.wait(MINUTE).await;
    }
    assert_eq!(alerts(), 0, "it is not old yet");
    world.wait(MINUTE).await;
    world.pass().await;
    assert_eq!(alerts(), 1);
    for _ in 0..48 {
        world.wait(HOUR).await;
    }
    assert_eq!(alerts(), 1, "it is told once");
    let desk = world.registrar.admin(admin());
    let parked = desk
        .operations()
        .inbox(InboxFilter::Parked, PageRequest::first(10))
        .await;
    assert_eq!(parked.unwrap().items.len(), 1, "it is kept");
}

#[tokio::test]
async fn an_unverified_callback_only_makes_us_ask_and_only_if_that_was_set() {
    for setting in [OnUnverified::Refuse, OnUnverified::AskProvider] {
        let mut settings = config();
        settings.on_unverified = setting;
        let world = World::with(Settings::new(1), settings, |builder| builder);
        let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        let forged = |reference: &str| {
            let body = body(link.as_str(), "SUCCESS", reference);
            with_signature(body.as_bytes(), &"ab".repeat(32))
        };
        let receipt = world.registrar.receive(forged(reference.as_str())).await;
        assert_eq!(receipt.http_status(), 401);
        let asks = setting == OnUnverified::AskProvider;
        assert_eq!(world.work().await.asked, usize::from(asks), "{setting:?}");
        assert!(!world.may_enter("thandi").await, "its word is not taken");

        world.simulator.pay(&link, Choice::Card).unwrap();
        world.registrar.receive(forged(reference.as_str())).await;
        let unknown = world.registrar.receive(forged("CG-UNKNOWN")).await;
        let pass = world.work().await;
        assert_eq!(
            (unknown.http_status(), pass.asked),
            (401, usize::from(asks))
        );
        assert_eq!(world.may_enter("thandi").await, asks);
    }
    // A flood of them leads to few look-ups.
    let mut settings = config();
    settings.on_unverified = OnUnverified::AskProvider;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let body = body(link.as_str(), "SUCCESS", reference.as_str());
    let mut asked = 0;
    for _ in 0..100 {
        let forged = with_signature(body.as_bytes(), &"ab".repeat(32));
        world.registrar.receive(forged).await;
        asked += world.work().await.asked;
    }
    assert_eq!(asked, 30);
}

#[tokio::test]
async fn money_by_links_that_nobody_knows_is_found_listed_and_closed() {
    let world = World::new();
    let (_, _, ours) = world.attempt("thandi", PaymentMethod::Card).await;
    // Another installation, with the same account at the provider.
    let other = Registrar::builder(config(), MemoryStore::new())
        .gateway(world.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    for name in ["sipho", "naledi"] {
        let enrolled = other
            .enroll(request(name, PaymentMethod::Card))
            .await
            .unwrap();
        let NextStep::Pay { url, .. } = enrolled.next else {
            panic!("no pay link")
        };
        let id = coursegate::PayLinkId::new(url.rsplit('/').next().unwrap()).unwrap();
        if name == "sipho" {
            world.simulator.pay(&id, Choice::Card).unwrap();
        }
    }
    world.simulator.pay(&ours, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    let desk = world.registrar.admin(admin());
    let day = start().date_naive();
    let synced = desk.payments().sync_history(day, day).await.unwrap();
    assert_eq!((synced.listed, synced.paid, synced.found.len()), (3, 2, 1));
    assert!(
        synced.unmatched.is_empty(),
        "it may be one that is just being made"
    );
    assert!(world.may_enter("thandi").await, "our own was found");

    world.advance(3 * HOUR);
    let synced = desk.payments().sync_history(day, day).await.unwrap();
    assert_eq!((synced.unmatched.len(), synced.found.len()), (1, 0));
    assert!(
        desk.payments()
            .sync_history(day, day)
            .await
            .unwrap()
            .unmatched
            .is_empty(),
        "it is known"
    );
    let discrepancies = desk
        .operations()
        .discrepancies(PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(
        (discrepancies.len(), discrepancies[0].kind),
        (1, DiscrepancyKind::UnmatchedPayment)
    );
    assert_eq!(discrepancies[0].amount, Some(crate::support::price()));
    let exceptions = desk
        .payments()
        .exceptions(PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(exceptions.len(), 1);
    desk.operations()
        .close_discrepancy(&discrepancies[0].key, "sipho's, of the other school")
        .await
        .unwrap();
    assert!(
        desk.operations()
            .close_discrepancy(&discrepancies[0].key, "")
            .await
            .is_err()
    );
    assert!(
        desk.operations()
            .discrepancies(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        desk.payments()
            .sync_history(day, day)
            .await
            .unwrap()
            .unmatched
            .is_empty(),
        "it was looked into"
    );

    // The worker does it every day by itself.
    let fresh = MemoryStore::new();
    let registrar = Registrar::builder(config(), fresh)
        .gateway(world.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    registrar.worker().pass().await.unwrap();
    world.advance(DAY);
    registrar.worker().pass().await.unwrap();
    let found = registrar
        .admin(admin())
        .operations()
        .discrepancies(PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(found.items.len(), 2);
}

/// Counts how often the provider is asked about each payment, and can be slow.
#[derive(Debug, Clone)]
struct Counting {
    gateway: SimulatorGateway,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    hangs: Arc<Mutex<bool>>,
}

#[async_trait]
impl PaymentGateway for Counting {
    fn capabilities(&self) -> Capabilities {
        self.gateway.capabilities()
    }
    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
        self.gateway.create_link(request).await
    }
    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        *self
            .asked
            .lock()
            .unwrap()
            .entry(format!("{query:?}"))
            .or_default() += 1;
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        tokio::task::yield_now().await;
        self.gateway.status(query).await
    }
    async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError> {
        *self
            .asked
            .lock()
            .unwrap()
            .entry("history".to_owned())
            .or_default() += 1;
        if *self.hangs.lock().unwrap() {
            std::future::pending::<()>().await;
        }
        self.gateway.history(from, to).await
    }
    async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
        self.gateway.refund(request).await
    }
}

fn counting(world: &World) -> (Counting, Registrar) {
    let counting = Counting {
        gateway: world.simulator.gateway(),
        asked: Arc::default(),
        hangs: Arc::default(),
    };
    let mut settings = config();
    settings.provider.background_per_second = 1000;
    let registrar = Registrar::builder(settings, world.store.clone())
        .gateway(counting.clone())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    (counting, registrar)
}

#[tokio::test]
async fn two_workers_at_once_ask_about_each_payment_once() {
    let world = World::new();
    for number in 0..60 {
        world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
    }
    let (counted, registrar) = counting(&world);
    world.advance(MINUTE);
    let workers = [(); 4].map(|()| {
        let worker = registrar.worker();
        tokio::spawn(async move {
            for _ in 0..20 {
                worker.pass().await.unwrap();
            }
        })
    });
    for worker in workers {
        worker.await.unwrap();
    }
    let asked = counted.asked.lock().unwrap();
    assert_eq!(asked.len(), 60);
    assert!(asked.values().all(|times| *times == 1), "{asked:?}");
}

#[tokio::test]
async fn what_a_worker_was_killed_over_is_taken_over_when_its_lease_ends() {
    let world = World::new();
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    let (counted, registrar) = counting(&world);
    world.advance(MINUTE);
    *counted.hangs.lock().unwrap() = true;
    let worker = registrar.worker();
    let killed = tokio::spawn(async move { worker.run(std::future::pending()).await });
    while counted.asked.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    *counted.hangs.lock().unwrap() = false;
    assert_eq!(
        registrar.worker().pass().await.unwrap().asked,
        0,
        "it is leased"
    );
    world.advance(5 * MINUTE);
    assert_eq!(registrar.worker().pass().await.unwrap().found_paid, 1);
    assert!(world.may_enter("thandi").await);
}

/// Its history never answers: the job waits for it, and the worker dies meanwhile.
#[tokio::test]
async fn the_jobs_of_a_worker_that_was_killed_are_done_by_another_one_a_minute_later() {
    let world = World::new();
    let (counted, registrar) = counting(&world);
    registrar.worker().pass().await.unwrap();
    world.advance(2 * 24 * 60 * MINUTE);
    *counted.hangs.lock().unwrap() = true;
    let worker = registrar.worker();
    let killed = tokio::spawn(async move { worker.run(std::future::pending()).await });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    *counted.hangs.lock().unwrap() = false;
    let sweeps = async || {
        registrar.worker().pass().await.unwrap();
        counted.asked.lock().unwrap()["history"]
    };
    assert_eq!(sweeps().await, 1, "another one has it");
    world.advance(MINUTE);
    assert_eq!(sweeps().await, 2);
}

#[tokio::test]
async fn what_waits_for_the_provider_delays_neither_the_chain_nor_what_expires() {
    let world = World::new();
    for number in 0..200 {
        world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
    }
    let (counted, registrar) = counting(&world);
    registrar.worker().pass().await.unwrap();
    world.advance(2 * 60 * MINUTE);
    *counted.hangs.lock().unwrap() = true;
    let newest = async || {
        let links = Queries::audit_log(&world.store, PageRequest::first(10_000))
            .await
            .unwrap();
        links.items.len()
    };
    let before = newest().await;
    let worker = registrar.worker();
    let running = tokio::spawn(async move { worker.run(std::future::pending()).await });
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(!counted.asked.lock().unwrap().is_empty(), "it asks");
    assert!(
        newest().await >= before + 200,
        "the audit log waits for the provider"
    );
    running.abort();
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_ends_what_it_is_at() {
    // In real time.
    let world = World::new();
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.advance(MINUTE);
    let stop = Arc::new(tokio::sync::Notify::new());
    let (worker, stopped) = (world.registrar.worker(), stop.clone());
    let running = tokio::spawn(async move { worker.run(stopped.notified()).await });
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert!(world.may_enter("thandi").await);
    stop.notify_one();
    tokio::time::timeout(Duration::from_secs(5), running)
        .await
        .expect("it stops though its clock stands still")
        .unwrap();
}

#[tokio::test]
async fn open_payments_can_be_asked_about_at_once() {
    let world = World::with(
        Settings::new(1).fault(Fault::Lost, 1.0),
        config(),
        |builder| builder,
    );
    for number in 0..5 {
        let (_, _, link) = world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
        if number % 2 == 0 {
            world.pay(&link, Choice::Card).await;
        }
    }
    let desk = world.registrar.admin(admin());
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let request = PageRequest {
            after: next,
            limit: 2,
        };
        let page = desk
            .payments()
            .sync(&PaymentFilter::default(), request)
            .await
            .unwrap();
        found.extend(page.items.into_iter().map(|item| item.paid));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(found.iter().filter(|paid| **paid).count(), 3);
    assert_eq!(found.len(), 5);
}

#[tokio::test]
async fn without_a_gateway_nothing_is_asked_and_the_rest_goes_on() {
    let clock = TestClock::at(start());
    let store = MemoryStore::new();
    let registrar = Registrar::builder(config(), store.clone())
        .clock(clock.clone())
        .build_for_tests()
        .unwrap();
    registrar
        .enroll(request("thandi", PaymentMethod::BankTransfer))
        .await
        .unwrap();
    clock.advance(Duration::from_secs(31 * DAY));
    let pass = registrar.worker().pass().await.unwrap();
    assert_eq!((pass.asked, pass.expired), (0, 1));
    assert_eq!(registrar.provider_health(), None);
    let reference = PaymentReference::new("CG-1").unwrap();
    assert_eq!(
        registrar.refresh_payment(&reference).await,
        Err(Error::NotFound("payment"))
    );
    let mut left = Vec::new();
    for kind in TimerKind::ALL {
        let claim = Claim {
            kind: WorkKind::Timers(*kind),
            limit: 10,
            now: clock.now() + chrono::Duration::days(365),
            lease: Duration::from_secs(1),
        };
        left.extend(store.claim(claim).await.unwrap());
    }
    let jobs = left.iter().filter(|work| {
        let Work::Timer(timer) = work else {
            return false;
        };
        matches!(
            timer.key,
            TimerKey::Job(Job::Reconcile | Job::AppendAuditLog)
        )
    });
    assert_eq!((jobs.count(), left.len()), (2, 2), "nothing else: {left:?}");
}

#[tokio::test]
async fn calls_that_fail_at_once_open_the_circuit_once() {
    let world = World::new();
    let mut references = Vec::new();
    for number in 0..20 {
        let name = format!("learner-{number}");
        references.push(world.attempt(&name, PaymentMethod::Card).await.1);
    }
    let (_, registrar) = counting(&world);
    world.simulator.set_down(true);
    let calls: Vec<_> = references
        .iter()
        .map(|reference| {
            let (registrar, reference) = (registrar.clone(), reference.clone());
            tokio::spawn(async move { registrar.refresh_payment(&reference).await })
        })
        .collect();
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
    let health = registrar.provider_health().unwrap();
    assert_eq!(health.calls, 20, "all were under way");
    let until = world.clock.now() + chrono::Duration::seconds(30);
    assert_eq!(health.circuit, Circuit::Open { until });
    // And the next time it is left alone for twice as long, not for ever longer.
    world.advance(30);
    registrar.refresh_payment(&references[0]).await.unwrap_err();
    let until = world.clock.now() + chrono::Duration::seconds(60);
    assert_eq!(
        registrar.provider_health().unwrap().circuit,
        Circuit::Open { until }
    );
}
