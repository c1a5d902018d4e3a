//! The simulator over real HTTP: its faults as a client sees them, and its callbacks as they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use coursegate::adapter::simulator::{
    Call, Choice, Fault, Injection, Settings, Simulator, UnknownAnswer,
};
use coursegate::payment::PaymentMethod;
use coursegate::port::{GatewayError, PaymentGateway, StatusQuery};
use coursegate::registrar::{NextStep, Outcome};
use coursegate::{Error, ErrorKind, PayLinkId, PaymentReference};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::ikhokha_client::{callbacks, client, mounted, wish};
use crate::simulator_api::{BASE, answer, call, order};
use crate::support::{World, config, request};

fn once(fault: Fault, call: Call) -> Injection {
    Injection::new(fault).on(call).times(1)
}

#[tokio::test]
async fn a_client_reads_each_fault_of_an_answer_as_what_it_is() {
    let (simulator, base) = mounted(Settings::new(1)).await;
    let client = client(&base).retries(0);
    let wish = wish("CG-1");
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let refused = |reason: &str| GatewayError::Refused {
        reason: reason.to_owned(),
    };
    for (fault, expected, exists) in [
        (
            Fault::ServerError,
            GatewayError::Failed { status: 500 },
            false,
        ),
        (
            Fault::AnswerLost,
            GatewayError::Failed { status: 500 },
            true,
        ),
        (Fault::AnswerTimeout, GatewayError::TimedOut, true),
        (Fault::AnswerCut, GatewayError::TimedOut, true),
        (Fault::BadRequest, refused("HTTP 400: Bad Request"), false),
        (Fault::Unauthorized, GatewayError::BadCredentials, false),
        (
            Fault::Unprocessable,
            refused("HTTP 422: Unprocessable Entity"),
            false,
        ),
        (
            Fault::RateLimited,
            GatewayError::RateLimited { wait: seconds(30) },
            false,
        ),
        (Fault::HtmlAnswer, GatewayError::Unreadable, false),
    ] {
        let before = links(&simulator);
        simulator.inject(once(fault, Call::Create));
        let begun = Instant::now();
        assert_eq!(
            client.create_link(&wish).await,
            Err(expected.clone()),
            "{fault}"
        );
        assert!(begun.elapsed() < Duration::from_secs(4), "{fault}");
        assert_eq!(links(&simulator) - before, usize::from(exists), "{fault}");
        simulator.inject(once(fault, Call::Status));
        let status = client.status(StatusQuery::Reference(&wish.reference)).await;
        assert_eq!(status, Err(expected), "{fault}");
    }
    for (lasting, wait) in [(7_000, 7), (7_001, 8), (0, 0)] {
        let busy = once(Fault::RateLimited, Call::Status).lasting(Duration::from_millis(lasting));
        simulator.inject(busy);
        let status = client.status(StatusQuery::Reference(&wish.reference)).await;
        let wait = seconds(wait);
        assert_eq!(status, Err(GatewayError::RateLimited { wait }));
    }
    let slow = once(Fault::SlowAnswer, Call::Create).lasting(Duration::from_millis(400));
    simulator.inject(slow);
    let begun = Instant::now();
    assert!(client.create_link(&wish).await.is_ok());
    assert!(begun.elapsed() >= Duration::from_millis(400));
}

/// How many links the provider has of today and yesterday.
fn links(simulator: &Simulator) -> usize {
    let today = chrono::Utc::now().date_naive();
    let yesterday = today.pred_opt().unwrap();
    let path = format!("{BASE}/payments/history?startDate={yesterday}&endDate={today}");
    answer(&call(simulator, "GET", &path, ""))
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn a_429_may_come_without_a_time() {
    let mut settings = Settings::new(1);
    settings.retry_after = None;
    let (simulator, base) = mounted(settings).await;
    simulator.inject(once(Fault::RateLimited, Call::Create));
    let error = client(&base).create_link(&wish("CG-1")).await.unwrap_err();
    assert_eq!(error, GatewayError::RateLimited { wait: None });
}

#[tokio::test]
async fn an_unknown_payment_is_answered_as_the_settings_say() {
    for unknown in UnknownAnswer::ALL {
        let mut settings = Settings::new(1);
        settings.unknown = *unknown;
        let (_, base) = mounted(settings).await;
        let client = client(&base).retries(0);
        let reference = PaymentReference::new("CG-NOBODYS").unwrap();
        let link = PayLinkId::new("nobodyslink0000").unwrap();
        for query in [
            StatusQuery::Reference(&reference),
            StatusQuery::PayLink(&link),
        ] {
            let told = client.status(query).await;
            match unknown {
                UnknownAnswer::NotFound => assert_eq!(told, Ok(None)),
                UnknownAnswer::BadRequest => {
                    assert!(
                        matches!(told, Err(GatewayError::Refused { .. })),
                        "{told:?}"
                    );
                }
                _ => assert_eq!(told, Err(GatewayError::Unreadable), "{unknown}"),
            }
        }
    }
}

/// The whole way, by the real client: the link is made, its answer lost, and the learner asks again.
#[tokio::test]
async fn a_link_whose_answer_is_lost_on_the_wire_costs_nobody_their_money() {
    for fault in [Fault::AnswerLost, Fault::AnswerTimeout, Fault::AnswerCut] {
        let (simulator, base) = mounted(Settings::new(1)).await;
        let world = World::with_gateway(Settings::new(1), config(), |_| client(&base).retries(0));
        let enroll = || {
            world
                .registrar
                .enroll(request("thandi", PaymentMethod::Card))
        };
        simulator.inject(once(fault, Call::Create));
        let error = enroll().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Provider, "{fault}");
        let Error::NoPayLink { enrollment, .. } = error else {
            panic!("{error:?}")
        };
        let first = world.case(enrollment).await.attempts[0].reference.clone();
        let lost = client(&base).status(StatusQuery::Reference(&first)).await;
        let lost = lost.unwrap().unwrap().pay_link.unwrap();
        world.advance(60);
        let NextStep::Pay { reference, url } = enroll().await.unwrap().next else {
            panic!("{fault}: no pay link")
        };
        assert!(
            reference != first && !url.contains(lost.as_str()),
            "{fault}"
        );
        simulator.pay(&lost, Choice::Card).unwrap();
        let callback = simulator.take_callbacks().remove(0);
        let receipt = world
            .registrar
            .receive(crate::support::delivery(&callback))
            .await;
        assert_eq!(receipt.outcome, Outcome::Approved, "{fault}");
        assert!(world.may_enter("thandi").await, "{fault}");
    }
}

/// A place for callbacks: how many came, how many are held, and what it answers.
#[derive(Clone, Default)]
struct Handler {
    came: Arc<AtomicUsize>,
    held: Arc<AtomicUsize>,
    most_held: Arc<AtomicUsize>,
    /// How many are answered with 500 before any is taken.
    refuses: Arc<AtomicUsize>,
}

impl Handler {
    async fn open(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let takes = async |State(handler): State<Self>| {
            handler.came.fetch_add(1, Ordering::SeqCst);
            let refuses = |left: usize| left.checked_sub(1);
            let left = handler
                .refuses
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuses);
            match left {
                Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
                Err(_) => StatusCode::OK,
            }
        };
        let hangs = async |State(handler): State<Self>| {
            let held = Held::new(&handler);
            handler
                .most_held
                .fetch_max(handler.held.load(Ordering::SeqCst), Ordering::SeqCst);
            std::future::pending::<()>().await;
            drop(held);
        };
        let router = Router::new()
            .route("/takes", post(takes))
            .route("/hangs", post(hangs))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        here
    }

    async fn until_came(&self, number: usize, time_limit: Duration) {
        let begun = Instant::now();
        while self.came.load(Ordering::SeqCst) < number {
            let came = self.came.load(Ordering::SeqCst);
            assert!(begun.elapsed() < time_limit, "{came} of {number} came");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(handler: &Handler) -> Self {
        handler.held.fetch_add(1, Ordering::SeqCst);
        Self(handler.held.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn pay(simulator: &Simulator, callback_url: &str) {
    let mut wanted: Value = order("A-1");
    wanted["urls"]["callbackUrl"] = json!(callback_url);
    let created = call(
        simulator,
        "POST",
        &format!("{BASE}/payment"),
        &wanted.to_string(),
    );
    let link = answer(&created)["paylinkID"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    simulator.pay(&link, Choice::Card).unwrap();
}

#[tokio::test]
async fn a_handler_that_never_answers_delays_nobody_else() {
    let (simulator, _) = mounted(Settings::new(1)).await;
    let handler = Handler::default();
    let here = handler.open().await;
    tokio::spawn(callbacks::send_all(simulator.clone()));
    for _ in 0..10 {
        pay(&simulator, &format!("{here}/hangs"));
        pay(&simulator, &format!("{here}/takes"));
    }
    handler.until_came(10, Duration::from_secs(2)).await;
    assert_eq!(handler.held.load(Ordering::SeqCst), 10);
}

#[tokio::test]
async fn so_many_callbacks_are_under_way_and_each_for_so_long() {
    let (simulator, _) = mounted(Settings::new(1)).await;
    let handler = Handler::default();
    let here = handler.open().await;
    let limit = Duration::from_millis(300);
    tokio::spawn(callbacks::send_within(simulator.clone(), 4, limit));
    for _ in 0..10 {
        pay(&simulator, &format!("{here}/hangs"));
    }
    pay(&simulator, &format!("{here}/takes"));
    // It comes once two rounds of four have run out of time.
    let begun = Instant::now();
    handler.until_came(1, Duration::from_secs(5)).await;
    assert!(begun.elapsed() >= limit * 2, "{:?}", begun.elapsed());
    assert_eq!(handler.most_held.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_callback_that_is_answered_with_an_error_comes_again() {
    let mut settings = Settings::new(1);
    settings.callback_retries = 3;
    settings.callback_retry_pause = Duration::from_millis(100);
    let (simulator, _) = mounted(settings).await;
    let handler = Handler::default();
    handler.refuses.store(2, Ordering::SeqCst);
    let here = handler.open().await;
    tokio::spawn(callbacks::send_all(simulator.clone()));
    pay(&simulator, &format!("{here}/takes"));
    handler.until_came(3, Duration::from_secs(5)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(handler.came.load(Ordering::SeqCst), 3, "it was taken");
}
