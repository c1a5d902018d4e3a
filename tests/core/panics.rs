//! A host's own code that panics: the one call fails and is seen, and everything else goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::approval::{ApprovalContext, ApprovalPolicy, Decision, StandardPolicy};
use coursegate::enrollment::{Status, TransitionRequest};
use coursegate::event::{Event, EventKind};
use coursegate::evidence::Confirmation;
use coursegate::monitor::Alert;
use coursegate::notice::NoticeKind;
use coursegate::payment::{PayLink, PaymentMethod};
use coursegate::port::{
    AlertSink, Capabilities, ChannelError, EventPublisher, GatewayError, History, LinkRequest,
    Message, NotificationChannel, PaymentGateway, PublishError, RefundRequest, StatusQuery,
};
use coursegate::reason::Note;
use coursegate::registrar::{Health, HealthStatus, HostPart, Outcome};
use coursegate::store::{InboxFilter, PageRequest, Queries};
use coursegate::{ChannelName, CourseId, Error, Registrar};

use crate::support::{World, admin, body, config};

/// The part of health that is about the host's own code.
fn host(health: &Health) -> Option<&str> {
    let mut parts = health.parts.iter();
    let found = parts.find(|part| part.part == "host")?;
    assert_eq!(found.condition, HealthStatus::Degraded);
    Some(&found.reason)
}

async fn is_seen(registrar: &Registrar, part: HostPart) {
    let health = registrar.health().await;
    let said = host(&health).unwrap_or_else(|| panic!("{health}"));
    assert!(said.contains(&format!("{part} panicked")), "{said}");
    registrar.worker().pass().await.unwrap();
    let allocation = registrar.alerts();
    assert!(
        allocation.iter().any(|alert| alert.rule == "host_panicked"),
        "{allocation:?}"
    );
}

fn of_thandi(name: &str) -> bool {
    name == "thandi"
}

#[tokio::test]
async fn a_policy_that_panics_keeps_the_callback_and_is_heard_of() {
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.policy(|dossier: &ApprovalContext<'_>| -> Decision {
            assert!(
                !of_thandi(dossier.enrollment.learner.as_str()),
                "test panic: who is that?"
            );
            StandardPolicy::default().decide(dossier)
        })
    });
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Waiting, "it is durable");
    assert_eq!(receipt.http_status(), 200);
    is_seen(&world.registrar, HostPart::Decision).await;
    // Everybody else is served.
    let (_, _, other) = world.attempt("sipho", PaymentMethod::Card).await;
    world.pay(&other, Choice::Card).await;
    assert!(world.may_enter("sipho").await);
    // It is tried again, and given up on in the end, with its cause.
    for _ in 0..20 {
        world.advance(3_700);
        world.pass().await;
    }
    let dead = world.store.inbox(InboxFilter::Dead, PageRequest::first(5));
    let dead = dead.await.unwrap().items;
    assert_eq!(dead.len(), 1);
    let told = format!("{:?}", serde_json::to_string(&dead[0].state).unwrap());
    assert!(told.contains("panicked (decision)"), "{told}");
    assert!(
        !told.contains("who is that"),
        "what it said stays where it was said"
    );
    assert!(!world.may_enter("thandi").await);
    // The return page says so too.
    let asked = world.registrar.refresh_payment(&reference).await;
    assert_eq!(asked, Err(Error::Panicked(HostPart::Decision)));
}

#[tokio::test]
async fn a_guard_that_panics_ends_no_timer() {
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.guard(|proposal: &TransitionRequest<'_>| -> Result<(), Note> {
            let thandis = of_thandi(proposal.enrollment.learner.as_str());
            assert!(!(thandis && *proposal.to == Status::Expired), "test panic");
            Ok(())
        })
    });
    let (first, ..) = world.attempt("thandi", PaymentMethod::Card).await;
    let (second, ..) = world.attempt("sipho", PaymentMethod::Card).await;
    world.advance(8 * 24 * 3600);
    world.pass().await;
    world.pass().await;
    let status = async |id| world.case(id).await.enrollment.status;
    assert_eq!(status(second).await, Status::Expired);
    assert_eq!(status(first).await, Status::AwaitingPayment);
    is_seen(&world.registrar, HostPart::Other).await;
}

/// Takes everything but what is about one course.
#[derive(Debug, Clone, Default)]
struct Picky {
    /// Nor can it be told that something is missing.
    hears_of_nothing_missing: bool,
    seen: Arc<Mutex<Vec<Event>>>,
    panics: Arc<AtomicUsize>,
}

#[async_trait]
impl EventPublisher for Picky {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        if let EventKind::EnrollmentCreated { .. } = &event.kind
            && event.course.as_ref() == Some(&CourseId::new("poison").unwrap())
        {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("test panic");
        }
        if self.hears_of_nothing_missing
            && matches!(event.kind, EventKind::PublishingGivenUp { .. })
        {
            self.panics.fetch_add(1, Ordering::SeqCst);
            panic!("test panic");
        }
        self.seen.lock().unwrap().push(event.clone());
        Ok(())
    }
    fn is_test_double(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_publisher_that_panics_over_one_event_is_told_the_others() {
    let picky = Picky::default();
    let given = picky.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.publisher(given)
    });
    let mut poison = crate::support::request("thandi", PaymentMethod::Card);
    poison.course = CourseId::new("poison").unwrap();
    let poisoned = world.ask(poison).await.enrollment;
    for round in 0..100 {
        world
            .attempt(&format!("learner-{round}"), PaymentMethod::Card)
            .await;
        world.advance(40);
        world.pass().await;
    }
    assert_eq!(picky.panics.load(Ordering::SeqCst), 5);
    let seen = picky.seen.lock().unwrap().clone();
    let of = |id| {
        seen.iter()
            .filter(move |event| event.enrollment == Some(id))
    };
    // What followed it for the same enrollment came, and that one is told to be missing.
    assert!(of(poisoned).count() >= 2);
    let told = |event: &&Event| matches!(event.kind, EventKind::PublishingGivenUp { .. });
    assert_eq!(seen.iter().filter(told).count(), 1);
    // The other publisher missed nothing.
    let whole = world.publisher.published();
    let made = |event: &&Event| matches!(event.kind, EventKind::EnrollmentCreated { .. });
    assert_eq!(whole.iter().filter(made).count(), 101);
}

/// What cannot be told even that something is missing ends there: it is not told of that in turn.
#[tokio::test]
async fn giving_up_on_what_was_given_up_on_ends() {
    let picky = Picky {
        hears_of_nothing_missing: true,
        ..Picky::default()
    };
    let given = picky.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.publisher(given)
    });
    let mut poison = crate::support::request("thandi", PaymentMethod::Card);
    poison.course = CourseId::new("poison").unwrap();
    world.ask(poison).await;
    for round in 0..200 {
        world
            .attempt(&format!("learner-{round}"), PaymentMethod::Card)
            .await;
        world.advance(40);
        world.pass().await;
    }
    assert_eq!(picky.panics.load(Ordering::SeqCst), 10, "five tries each");
    let page = PageRequest::first(500);
    let events = world.store.unassigned(page).await.unwrap().items;
    let told = |event: &&Event| matches!(event.kind, EventKind::PublishingGivenUp { .. });
    assert_eq!(events.iter().filter(told).count(), 1);
    // Everybody else's events came, to the other publisher too.
    let made = |event: &&Event| matches!(event.kind, EventKind::EnrollmentCreated { .. });
    let seen = picky.seen.lock().unwrap().clone();
    assert_eq!(seen.iter().filter(made).count(), 200);
    let whole = world.publisher.published();
    assert_eq!(whole.iter().filter(made).count(), 201);
    assert_eq!(whole.iter().filter(told).count(), 1);
}

/// Panics over everything.
#[derive(Debug, Clone, Default)]
struct Broken {
    calls: Arc<AtomicUsize>,
}

impl Broken {
    fn fall(&self) -> ! {
        self.calls.fetch_add(1, Ordering::SeqCst);
        panic!("test panic");
    }
}

#[async_trait]
impl EventPublisher for Broken {
    async fn publish(&self, _: &Event) -> Result<(), PublishError> {
        self.fall()
    }
    fn is_test_double(&self) -> bool {
        true
    }
}

#[async_trait]
impl NotificationChannel for Broken {
    fn name(&self) -> ChannelName {
        ChannelName::new("mail").unwrap()
    }
    fn reaches_learners(&self) -> bool {
        true
    }
    async fn send(&self, _: &Message) -> Result<(), ChannelError> {
        self.fall()
    }
}

#[async_trait]
impl AlertSink for Broken {
    async fn alert(&self, _: &Alert) -> Result<(), ChannelError> {
        self.fall()
    }
}

#[async_trait]
impl PaymentGateway for Broken {
    fn capabilities(&self) -> Capabilities {
        Capabilities::ikhokha().test_double()
    }
    async fn create_link(&self, _: &LinkRequest) -> Result<PayLink, GatewayError> {
        self.fall()
    }
    async fn status(&self, _: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        self.fall()
    }
    async fn history(
        &self,
        _: chrono::NaiveDate,
        _: chrono::NaiveDate,
    ) -> Result<History, GatewayError> {
        self.fall()
    }
    async fn refund(&self, _: &RefundRequest) -> Result<(), GatewayError> {
        self.fall()
    }
}

#[tokio::test]
async fn a_publisher_that_panics_over_everything_loses_nothing() {
    let broken = Broken::default();
    let given = broken.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.publisher(given)
    });
    world.attempt("thandi", PaymentMethod::Card).await;
    for _ in 0..200 {
        world.advance(40);
        world.pass().await;
    }
    assert!(broken.calls.load(Ordering::SeqCst) > 5);
    // Nothing is given up on: it is to be mended, and told again then.
    let page = PageRequest::first(500);
    let events = world.store.unassigned(page).await.unwrap().items;
    let told = |event: &&Event| matches!(event.kind, EventKind::PublishingGivenUp { .. });
    assert_eq!(events.iter().filter(told).count(), 0);
    is_seen(&world.registrar, HostPart::Publisher).await;
    let health = world.registrar.health().await;
    let outbox = health.parts.iter().find(|part| part.part == "outbox");
    assert_eq!(outbox.unwrap().condition, HealthStatus::Degraded);
}

#[tokio::test]
async fn a_channel_and_a_sink_that_panic_hold_nobody_up() {
    let broken = Broken::default();
    let (channel, sink) = (broken.clone(), broken.clone());
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.channel(channel).alert_sink(
            "sink",
            coursegate::monitor::AlertRoute::everything(),
            sink,
        )
    });
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    world.pass().await;
    is_seen(&world.registrar, HostPart::Channel).await;
    // The alert's own sink panics too: then health names that, and the alert is on record.
    let health = world.registrar.health().await;
    assert!(
        host(&health).unwrap().contains("alert_sink panicked"),
        "{health}"
    );
    // The learner's notice is tried for as long as any that cannot be sent, and then given up on.
    for _ in 0..14 {
        world.advance(6 * 3600);
        world.pass().await;
    }
    let desk = world.registrar.admin(admin());
    let notices = desk
        .notices()
        .list(false, PageRequest::first(50))
        .await
        .unwrap();
    let undelivered = |event: &str| {
        let mut items = notices.items.iter();
        items.any(|item| item.notice.event == event && item.notice.kind == NoticeKind::Alert)
    };
    assert!(undelivered("notice_undelivered"), "{notices:?}");
}

#[tokio::test]
async fn a_sink_that_panics_raises_no_alert_of_its_own() {
    let broken = Broken::default();
    let sink = broken.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.alert_sink("sink", coursegate::monitor::AlertRoute::everything(), sink)
    });
    let forged = crate::support::with_signature(b"{}", &"0".repeat(64));
    for _ in 0..3 {
        world.registrar.receive(forged.clone()).await;
    }
    world.pass().await;
    assert_eq!(broken.calls.load(Ordering::SeqCst), 1);
    for _ in 0..60 {
        world.advance(60);
        world.pass().await;
        let allocation = world.registrar.alerts();
        let own = allocation.iter().any(|alert| alert.rule == "host_panicked");
        assert!(!own, "it would be given to that sink, for ever");
    }
}

#[tokio::test]
async fn a_gateway_that_panics_is_a_provider_that_fails() {
    let broken = Broken::default();
    let given = broken.clone();
    let world = World::with_gateway(Settings::new(1), config(), |_| given);
    let asked = crate::support::request("thandi", PaymentMethod::Card);
    let Err(Error::NoPayLink { source, .. }) = world.registrar.enroll(asked).await else {
        panic!("a link was made")
    };
    assert_eq!(source, GatewayError::Panicked);
    assert!(source.is_transient());
    is_seen(&world.registrar, HostPart::Gateway).await;
    // A callback that has to be confirmed waits.
    let filter = coursegate::store::PaymentFilter::default();
    let desk = world.registrar.admin(admin());
    let found = desk
        .payments()
        .list(&filter, PageRequest::first(1))
        .await
        .unwrap();
    let reference = found.items[0].attempt.reference.clone();
    let receipt = world
        .receive(&body("link1", "SUCCESS", reference.as_str()))
        .await;
    assert_eq!(receipt.outcome, Outcome::Waiting);
}

#[tokio::test]
async fn a_worker_goes_on_after_a_panic() {
    let broken = Broken::default();
    let given = broken.clone();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.publisher(given)
    });
    let (worker, clock) = (world.registrar.worker(), world.clock.clone());
    let stop = Arc::new(tokio::sync::Semaphore::new(0));
    let stopped = stop.clone();
    let running = tokio::spawn(async move {
        worker
            .run(async move { drop(stopped.acquire().await) })
            .await;
    });
    world.attempt("thandi", PaymentMethod::Card).await;
    for _ in 0..50 {
        clock.advance(std::time::Duration::from_secs(40));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    assert!(broken.calls.load(Ordering::SeqCst) > 3);
    assert!(!running.is_finished(), "it works on");
    assert!(!world.publisher.published().is_empty());
    let health = world.registrar.health().await;
    assert!(
        health
            .parts
            .iter()
            .all(|part| part.condition != HealthStatus::Down),
        "{health}"
    );
    stop.add_permits(1);
    running.await.unwrap();
}
