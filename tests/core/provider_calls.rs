//! What visitors can do to the provider, and what its answers can do to us: nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::evidence::Confirmation;
use coursegate::payment::{PayLink, PaymentMethod};
use coursegate::port::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
use coursegate::reason::HoldReason;
use coursegate::registrar::{Circuit, Outcome};
use coursegate::store::{PageRequest, PaymentFilter};
use coursegate::{Config, Error, ErrorKind, Money, PaymentReference};
use tokio::sync::{Semaphore, watch};

use crate::support::{World, admin, body, config, request};

/// The simulator's gateway behind a door: look-ups wait until it is opened.
#[derive(Debug, Clone)]
struct Door {
    inner: Arc<dyn PaymentGateway>,
    open: watch::Receiver<bool>,
    looks: Arc<AtomicUsize>,
    /// What it says instead of its answers.
    says: Arc<Mutex<Option<GatewayError>>>,
    /// What is changed about its answers.
    change: Option<fn(&mut Confirmation)>,
}

#[async_trait]
impl PaymentGateway for Door {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
        self.inner.create_link(request).await
    }
    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        // The provider's answer is that of the moment when it was asked.
        let said = self.says.lock().unwrap().clone();
        let mut answer = match said {
            Some(error) => return Err(error),
            None => self.inner.status(query).await,
        };
        if let (Some(change), Ok(Some(answer))) = (self.change, &mut answer) {
            change(answer);
        }
        self.open.clone().wait_for(|open| *open).await.unwrap();
        answer
    }
    async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError> {
        self.inner.history(from, to).await
    }
    async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
        self.inner.refund(request).await
    }
}

struct Scene {
    world: World,
    door: watch::Sender<bool>,
    looks: Arc<AtomicUsize>,
    says: Arc<Mutex<Option<GatewayError>>>,
}

impl Scene {
    fn new(settings: Config) -> Self {
        Self::changed(settings, None)
    }

    fn changed(settings: Config, change: Option<fn(&mut Confirmation)>) -> Self {
        let (door, open) = watch::channel(true);
        let (looks, says) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let (counter, tongue) = (looks.clone(), Arc::clone(&says));
        let world = World::with_gateway(Settings::new(1), settings, |inner| Door {
            inner: Arc::new(inner),
            open,
            looks: counter,
            says: tongue,
            change,
        });
        Self {
            world,
            door,
            looks,
            says,
        }
    }

    fn shut(&self) {
        self.door.send_replace(false);
    }

    fn open(&self) {
        self.door.send_replace(true);
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    /// Visits the return page, as a task that can be broken off.
    fn visit(&self, reference: &PaymentReference) -> tokio::task::JoinHandle<bool> {
        let (registrar, reference) = (self.world.registrar.clone(), reference.clone());
        tokio::spawn(async move {
            registrar
                .refresh_payment(&reference)
                .await
                .is_ok_and(|it| it.paid)
        })
    }

    async fn until_looks(&self, number: usize) {
        while self.looks() < number {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn tabs_that_are_closed_say_nothing_about_the_provider() {
    let scene = Scene::new(config());
    let mut references = Vec::new();
    for number in 0..20 {
        let name = format!("learner-{number}");
        references.push(scene.world.attempt(&name, PaymentMethod::Card).await.1);
    }
    scene.shut();
    for (number, reference) in references.iter().enumerate() {
        let visit = scene.visit(reference);
        scene.until_looks(number + 1).await;
        visit.abort();
        assert!(visit.await.unwrap_err().is_cancelled());
    }
    let health = scene.world.registrar.provider_health().unwrap();
    assert_eq!(health.circuit, Circuit::Closed);
    assert_eq!((health.failed, health.failures_in_a_row), (0, 0));
    // And nothing good either: a provider that is tried again is still to be tried.
    scene.open();
    scene.world.simulator.set_down(true);
    for reference in &references[..5] {
        assert!(
            scene
                .world
                .registrar
                .refresh_payment(reference)
                .await
                .is_err()
        );
    }
    scene.world.simulator.set_down(false);
    let circuit = || scene.world.registrar.provider_health().unwrap().circuit;
    assert!(matches!(circuit(), Circuit::Open { .. }));
    scene.world.advance(31);
    scene.shut();
    let before = scene.looks();
    let visit = scene.visit(&references[6]);
    scene.until_looks(before + 1).await;
    assert_eq!(circuit(), Circuit::HalfOpen);
    visit.abort();
    assert!(visit.await.unwrap_err().is_cancelled());
    assert!(matches!(circuit(), Circuit::Open { .. }));
    // The next one may try at once.
    scene.open();
    assert!(
        scene
            .world
            .registrar
            .refresh_payment(&references[7])
            .await
            .is_ok()
    );
    assert_eq!(circuit(), Circuit::Closed);
}

#[tokio::test]
async fn five_thousand_visits_of_one_page_are_a_look_every_two_seconds() {
    let scene = Scene::new(config());
    let (_, reference, link) = scene.world.attempt("thandi", PaymentMethod::Card).await;
    scene.shut();
    let visits: Vec<_> = (0..2_500).map(|_| scene.visit(&reference)).collect();
    scene.until_looks(1).await;
    scene.open();
    for visit in visits {
        assert!(!visit.await.unwrap());
    }
    for _ in 0..2_500 {
        scene
            .world
            .registrar
            .refresh_payment(&reference)
            .await
            .unwrap();
    }
    assert_eq!(scene.looks(), 1);
    scene.world.simulator.pay(&link, Choice::Card).unwrap();
    scene.world.advance(3);
    assert!(
        scene
            .world
            .registrar
            .refresh_payment(&reference)
            .await
            .unwrap()
            .paid
    );
    assert_eq!(scene.looks(), 2);
}

#[tokio::test]
async fn visitors_of_many_pages_leave_calls_for_everybody_else() {
    // The usual limits.
    let mut settings = config();
    let usual = coursegate::ProviderLimits::default();
    settings.provider = usual;
    let scene = Scene::new(settings);
    let world = &scene.world;
    let mut attempts = Vec::new();
    for number in 0..300 {
        world.advance(1);
        attempts.push(
            world
                .attempt(&format!("learner-{number}"), PaymentMethod::Card)
                .await,
        );
    }
    world.advance(60);
    let before = scene.looks();
    let mut throttled = 0;
    for (_, reference, _) in &attempts {
        match world.registrar.refresh_payment(reference).await {
            Ok(confirmed) => assert!(!confirmed.paid),
            Err(Error::Gateway(GatewayError::Throttled)) => throttled += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((scene.looks() - before, throttled), (100, 200));
    // Callbacks are confirmed, people can pay, and admins can ask.
    let (_, reference, link) = &attempts[299];
    world.simulator.pay(link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    let receipt = world
        .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
        .await;
    assert_eq!(receipt.outcome, Outcome::Approved);
    world.attempt("late", PaymentMethod::Card).await;
    let desk = world.registrar.admin(admin());
    let filter = PaymentFilter::default();
    let asked = desk.payments().sync(&filter, PageRequest::first(50)).await;
    assert!(!asked.unwrap().items.is_empty());
    // A busy page is no fault of the provider's, and is told as one that will pass.
    let error = Error::Gateway(GatewayError::Throttled);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.for_learner().contains("do not pay again"));
}

#[tokio::test]
async fn a_callback_is_answered_by_a_look_that_began_after_it_came() {
    let scene = Scene::new(config());
    let (_, reference, link) = scene.world.attempt("thandi", PaymentMethod::Card).await;
    scene.shut();
    // The learner looks too early, and the look takes long.
    let early = scene.visit(&reference);
    scene.until_looks(1).await;
    scene.world.simulator.pay(&link, Choice::Card).unwrap();
    scene.world.simulator.take_callbacks();
    let callbacks: Vec<_> = (0..8)
        .map(|_| {
            let registrar = scene.world.registrar.clone();
            let text = body(link.as_str(), "SUCCESS", reference.as_str());
            tokio::spawn(async move { registrar.receive(crate::support::signed(&text)).await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.looks(), 1, "one look at a time");
    scene.open();
    early.await.unwrap();
    let mut outcomes = HashMap::new();
    for callback in callbacks {
        let outcome = callback.await.unwrap().outcome.as_str();
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    assert_eq!(
        scene.looks(),
        2,
        "and one for all who came since: {outcomes:?}"
    );
    assert_eq!(outcomes.get("approved"), Some(&1), "{outcomes:?}");
    assert!(scene.world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_look_outlives_the_visitor_who_began_it() {
    let scene = Scene::new(config());
    let (_, reference, link) = scene.world.attempt("thandi", PaymentMethod::Card).await;
    scene.world.simulator.pay(&link, Choice::Card).unwrap();
    scene.world.simulator.take_callbacks();
    scene.shut();
    let stop = Arc::new(Semaphore::new(0));
    let (worker, stopped) = (scene.world.registrar.worker(), stop.clone());
    let running = tokio::spawn(async move {
        worker
            .run(async move { drop(stopped.acquire().await) })
            .await;
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let visit = scene.visit(&reference);
    scene.until_looks(1).await;
    visit.abort();
    assert!(visit.await.unwrap_err().is_cancelled());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    scene.open();
    for _ in 0..10_000 {
        if scene.world.may_enter("thandi").await {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(
        scene.world.may_enter("thandi").await,
        "the tab was closed too early"
    );
    assert_eq!(scene.looks(), 1, "the look that was begun");
    stop.add_permits(1);
    running.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_asks_for_fewer_calls_is_left_alone_for_as_long_as_it_says() {
    let scene = Scene::new(config());
    let (_, reference, _) = scene.world.attempt("thandi", PaymentMethod::Card).await;
    let busy = |wait| GatewayError::RateLimited { wait };
    for (wait, expected) in [
        (None, 1),
        (Some(Duration::from_secs(20)), 20),
        // Five minutes at most.
        (Some(Duration::from_secs(3600)), 300),
    ] {
        *scene.says.lock().unwrap() = Some(busy(wait));
        let told = scene.world.registrar.refresh_payment(&reference).await;
        assert_eq!(told, Err(Error::Gateway(busy(wait))));
        *scene.says.lock().unwrap() = None;
        let until = scene.world.clock_now() + chrono::Duration::seconds(expected);
        let health = scene.world.registrar.provider_health().unwrap();
        assert_eq!(health.circuit, Circuit::Open { until });
        assert_eq!(health.failed, 0, "it is not failing");
        let told = scene.world.registrar.health().await;
        let told = told.parts.iter().find(|part| part.part == "provider");
        assert!(told.unwrap().reason.starts_with("It asked for fewer calls"));
        scene.world.advance(u64::try_from(expected).unwrap() + 3);
        assert!(
            scene
                .world
                .registrar
                .refresh_payment(&reference)
                .await
                .is_ok()
        );
        scene.world.advance(3);
    }
}

#[tokio::test]
async fn what_the_provider_never_takes_is_refused_before_anything_is_kept() {
    let world = World::new();
    let mut dollars = request("thandi", PaymentMethod::Card);
    dollars.price = Money::new(10_000, coursegate::Currency::new("USD").unwrap()).unwrap();
    let refused = world.registrar.enroll(dollars.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::CurrencyNotTaken(_)), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let filter = PaymentFilter::default();
    let desk = world.registrar.admin(admin());
    let kept = desk
        .payments()
        .list(&filter, PageRequest::first(1))
        .await
        .unwrap();
    assert_eq!(kept.items.len(), 0);
    // By bank transfer it is none of the provider's business.
    dollars.method = PaymentMethod::BankTransfer;
    world.registrar.enroll(dollars).await.unwrap();
}

#[test]
fn what_is_told_of_a_failed_link_follows_whether_it_may_work_later() {
    let soon = Some(Duration::from_secs(1));
    let now = crate::support::start();
    let errors = [
        (GatewayError::Unreachable, ErrorKind::Provider),
        (GatewayError::TimedOut, ErrorKind::Provider),
        (GatewayError::Unreadable, ErrorKind::Provider),
        (GatewayError::Failed { status: 500 }, ErrorKind::Provider),
        (
            GatewayError::RateLimited { wait: soon },
            ErrorKind::Provider,
        ),
        (
            GatewayError::CircuitOpen { until: now },
            ErrorKind::Provider,
        ),
        (GatewayError::Throttled, ErrorKind::Unavailable),
        (GatewayError::BadCredentials, ErrorKind::Setup),
        (GatewayError::NotSupported, ErrorKind::Setup),
        (
            GatewayError::Refused {
                reason: "no".to_owned(),
            },
            ErrorKind::Invalid,
        ),
    ];
    for (source, kind) in errors {
        let transient = source.is_transient();
        let error = Error::NoPayLink {
            enrollment: "019c1347-d280-7680-9274-32a320a20000".parse().unwrap(),
            source,
        };
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(
            error.to_string().contains("enroll again to retry"),
            transient
        );
        assert_eq!(
            error.for_learner().contains("try again in a minute"),
            transient
        );
        assert!(error.for_learner().contains("Nothing was paid"));
        assert!(!error.for_learner().contains("secret"));
    }
}

#[tokio::test]
async fn an_answer_about_something_else_opens_nothing() {
    use coursegate::evidence::Stated;
    type Change = fn(&mut Confirmation);
    let changes: [(Change, HoldReason); 5] = [
        (
            |it| it.reference = Stated::Is(PaymentReference::new("CG-OTHER").unwrap()),
            HoldReason::WrongAttempt,
        ),
        (
            |it| it.reference = Stated::Unusable,
            HoldReason::WrongAttempt,
        ),
        (
            |it| it.pay_link = Some("somebodyelses".parse().unwrap()),
            HoldReason::WrongAttempt,
        ),
        (
            |it| it.currency = Stated::Is(coursegate::Currency::new("USD").unwrap()),
            HoldReason::CurrencyDiffers,
        ),
        (
            |it| it.currency = Stated::Unusable,
            HoldReason::CurrencyDiffers,
        ),
    ];
    for (change, reason) in changes {
        let scene = Scene::changed(config(), Some(change));
        let world = &scene.world;
        let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.take_callbacks();
        let receipt = world
            .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
            .await;
        assert_eq!(receipt.outcome, Outcome::Held(reason));
        assert!(!world.may_enter("thandi").await);
        let waits = world.case(id).await.enrollment.waits_for;
        assert_eq!(waits, Some(reason), "a person is asked");
    }
}

/// Says one thing to every refund, and counts them.
#[derive(Debug, Clone)]
struct Till {
    inner: Arc<dyn PaymentGateway>,
    says: GatewayError,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl PaymentGateway for Till {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.refunds = true;
        capabilities
    }
    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
        self.inner.create_link(request).await
    }
    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        self.inner.status(query).await
    }
    async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError> {
        self.inner.history(from, to).await
    }
    async fn refund(&self, _: &RefundRequest) -> Result<(), GatewayError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(self.says != GatewayError::Panicked, "test panic");
        Err(self.says.clone())
    }
}

#[tokio::test]
async fn money_that_may_be_gone_is_not_given_back_twice() {
    let soon = Some(Duration::from_secs(1));
    let reason = "no".to_owned();
    for (says, gone) in [
        (GatewayError::TimedOut, true),
        (GatewayError::Unreadable, true),
        (GatewayError::Failed { status: 502 }, true),
        (GatewayError::Panicked, true),
        (GatewayError::Refused { reason }, false),
        (GatewayError::BadCredentials, false),
        (GatewayError::Unreachable, false),
        (GatewayError::RateLimited { wait: soon }, false),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let (counter, answer) = (asked.clone(), says.clone());
        let world = World::with_gateway(Settings::new(1), config(), |inner| Till {
            inner: Arc::new(inner),
            says: answer,
            asked: counter,
        });
        let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        world.pay(&link, Choice::Card).await;
        let desk = world.registrar.admin(admin());
        for _ in 0..2 {
            let refund = desk.refunds().request(&reference, None, "asked for").await;
            assert!(refund.is_err(), "{says:?}");
            world.advance(60);
        }
        let times = asked.load(Ordering::SeqCst);
        assert_eq!(times, if gone { 1 } else { 2 }, "{says:?}");
        let attempt = world.case(id).await.attempts.remove(0);
        assert_eq!(attempt.requested().is_some(), gone, "{says:?}");
    }
}

#[tokio::test]
async fn a_pause_that_the_provider_asked_for_is_kept_to_its_end() {
    let scene = Scene::new(config());
    let mut references = Vec::new();
    for name in ["thandi", "sipho", "zoe"] {
        references.push(scene.world.attempt(name, PaymentMethod::Card).await.1);
    }
    let circuit = || scene.world.registrar.provider_health().unwrap().circuit;
    // One look is under way, while another is told to come again in five minutes.
    scene.shut();
    let slow = scene.visit(&references[0]);
    scene.until_looks(1).await;
    let wait = Some(Duration::from_secs(300));
    *scene.says.lock().unwrap() = Some(GatewayError::RateLimited { wait });
    let told = scene.world.registrar.refresh_payment(&references[1]).await;
    assert!(told.is_err());
    *scene.says.lock().unwrap() = None;
    let until = scene.world.clock_now() + chrono::Duration::seconds(300);
    assert_eq!(circuit(), Circuit::Open { until });
    scene.open();
    slow.await.unwrap();
    assert_eq!(circuit(), Circuit::Open { until }, "that one was answered");
    scene.world.advance(301);
    assert!(
        scene
            .world
            .registrar
            .refresh_payment(&references[2])
            .await
            .is_ok()
    );
    assert_eq!(circuit(), Circuit::Closed);
}

#[tokio::test]
async fn an_enrollment_does_not_expire_while_nobody_can_read_whether_its_link_is_paid() {
    let scene = Scene::new(config());
    let (id, ..) = scene.world.attempt("thandi", PaymentMethod::Card).await;
    scene.world.advance(7 * 24 * 3600);
    for says in [
        GatewayError::Unreadable,
        GatewayError::Failed { status: 503 },
    ] {
        *scene.says.lock().unwrap() = Some(says);
        for _ in 0..12 {
            scene.world.advance(1_200);
            scene.world.pass().await;
            let status = scene.world.case(id).await.enrollment.status;
            assert_eq!(status, coursegate::enrollment::Status::AwaitingPayment);
        }
    }
    *scene.says.lock().unwrap() = None;
    for _ in 0..3 {
        scene.world.advance(3_700);
        scene.world.pass().await;
    }
    let status = scene.world.case(id).await.enrollment.status;
    assert_eq!(status, coursegate::enrollment::Status::Expired);
}
