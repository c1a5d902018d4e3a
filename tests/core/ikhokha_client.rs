//! The client over real HTTP: against the simulator, and against servers that mean harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coursegate::adapter::ikhokha::{ClientError, IkhokhaClient};
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Choice, Fault, Settings, Simulator};
use coursegate::enrollment::Status;
use coursegate::evidence::Stated;
use coursegate::payment::{PaymentMethod, ProviderStatus};
use coursegate::port::{GatewayError, LinkRequest, PaymentGateway, RefundRequest, StatusQuery};
use coursegate::registrar::{NextStep, Outcome};
use coursegate::store::{Lookup, PageRequest, Store};
use coursegate::webhook::Delivery;
use coursegate::{AppId, Error, Money, PayLinkId, PaymentReference, Registrar, Secret, Title};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{APP_ID, SECRET, World, config, delivery, request};

#[path = "../../examples/common/callbacks.rs"]
#[allow(dead_code, unreachable_pub, clippy::print_stderr)]
pub mod callbacks;

pub fn client(base: &str) -> IkhokhaClient {
    client_with(base, SECRET)
}

fn client_with(base: &str, secret: &str) -> IkhokhaClient {
    IkhokhaClient::new(AppId::new(APP_ID).unwrap(), &Secret::new(secret).unwrap())
        .unwrap()
        .base_url(base)
        .unwrap()
        .status_timeout(Duration::from_secs(3))
        .link_timeout(Duration::from_secs(2))
}

/// The simulator on a port of this machine, and the address of its API.
pub async fn mounted(settings: Settings) -> (Simulator, String) {
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let simulator = Simulator::new(app_id, secret, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    simulator.set_pay_base(&origin);
    let router = callbacks::mount(simulator.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (simulator, format!("{origin}/public-api/v1/api"))
}

pub fn wish(reference: &str) -> LinkRequest {
    LinkRequest {
        reference: PaymentReference::new(reference).unwrap(),
        amount: Money::zar(49_900).unwrap(),
        description: Title::new("Thabo's \"bread\" \\ caf\u{e9} \u{1f35e}").unwrap(),
        callback_url: "https://school.example/payments/ikhokha".into(),
        success_url: "https://school.example/paid".into(),
        failure_url: "https://school.example/failed".into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    }
}

fn by(reference: &PaymentReference) -> StatusQuery<'_> {
    StatusQuery::Reference(reference)
}

#[tokio::test]
async fn makes_a_link_and_sees_it_paid() {
    let (simulator, base) = mounted(Settings::new(1)).await;
    let client = client(&base);
    let wish = wish("CG-1");
    assert_eq!(client.status(by(&wish.reference)).await.unwrap(), None);
    let link = client.create_link(&wish).await.unwrap();
    let unpaid = client
        .status(StatusQuery::PayLink(&link.id))
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(unpaid.status, ProviderStatus::Other(_)));
    simulator.pay(&link.id, Choice::Card).unwrap();
    for query in [StatusQuery::PayLink(&link.id), by(&wish.reference)] {
        let paid = client.status(query).await.unwrap().unwrap();
        assert_eq!(paid.status, ProviderStatus::Paid);
        assert_eq!(paid.amount, Stated::Is(wish.amount));
        assert_eq!(paid.pay_link, Some(link.id.clone()));
        // What the provider does not say stays unsaid.
        assert_eq!(
            (paid.method, paid.currency, paid.reference),
            (None, Stated::Nothing, Stated::Nothing)
        );
    }
    let unknown = PayLinkId::new("nolinkofours000").unwrap();
    let unknown = client.status(StatusQuery::PayLink(&unknown)).await.unwrap();
    assert_eq!(unknown, None);
    // Nothing was signed or written in a way the provider would not.
    assert_eq!(simulator.report(), Vec::<String>::new());
    assert!(client.capabilities().is_test_double);
}

#[tokio::test]
async fn the_main_job_over_http() {
    let (simulator, base) = mounted(Settings::new(2)).await;
    let store = MemoryStore::new();
    let registrar = Registrar::builder(config(), store.clone())
        .gateway(client(&base))
        .build_for_tests()
        .unwrap();
    let mut links = Vec::new();
    for name in ["thandi", "sipho"] {
        let enrolled = registrar
            .enroll(request(name, PaymentMethod::Card))
            .await
            .unwrap();
        let NextStep::Pay { reference, url } = enrolled.next else {
            panic!("no pay link")
        };
        let case = store
            .load(Lookup::Enrollment(enrolled.enrollment.unwrap()))
            .await
            .unwrap()
            .case;
        let link = case.unwrap().attempts[0].link.clone().unwrap();
        assert_eq!(link.url.as_deref(), Some(url.as_str()));
        links.push((reference, link.id));
    }
    // One callback arrives, the other is lost and the learner comes back.
    simulator.pay(&links[0].1, Choice::Card).unwrap();
    let callback = simulator.take_callbacks().remove(0);
    let receipt = registrar.receive(delivery(&callback)).await;
    assert_eq!(
        (&receipt.outcome, receipt.access_granted),
        (&Outcome::Approved, true)
    );
    simulator.pay(&links[1].1, Choice::Card).unwrap();
    simulator.take_callbacks();
    let confirmed = registrar.refresh_payment(&links[1].0).await.unwrap();
    assert!(
        format!("{confirmed:?}").contains("pproved"),
        "{confirmed:?}"
    );
}

#[tokio::test]
async fn server_errors_are_tried_again_for_look_ups_only() {
    let (simulator, base) = mounted(Settings::new(3)).await;
    let wish = wish("CG-1");
    let link = client(&base).create_link(&wish).await.unwrap();
    simulator.pay(&link.id, Choice::Card).unwrap();

    let (_, always) = mounted(Settings::new(3).fault(Fault::ServerError, 1.0)).await;
    // It may exist now, for all anybody knows.
    assert_eq!(
        client(&always).create_link(&wish).await,
        Err(GatewayError::Failed { status: 500 })
    );
    let error = client(&always)
        .status(by(&wish.reference))
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");

    let (_, often) = mounted(Settings::new(5).fault(Fault::ServerError, 0.4)).await;
    let client = client(&often);
    let mut answered = 0;
    for _ in 0..10 {
        answered += usize::from(client.status(by(&wish.reference)).await == Ok(None));
    }
    assert!(
        answered >= 9,
        "only {answered} of 10 look-ups were answered"
    );
}

#[tokio::test]
async fn faults_of_the_status_are_passed_on_as_they_are() {
    for (fault, status, exact) in [
        (Fault::WrongAmount, ProviderStatus::Paid, false),
        (
            Fault::LaggingStatus,
            ProviderStatus::from_word("PENDING"),
            true,
        ),
    ] {
        let (simulator, base) = mounted(Settings::new(4).fault(fault, 1.0)).await;
        let (client, wish) = (client(&base), wish("CG-1"));
        let link = client.create_link(&wish).await.unwrap();
        simulator.pay(&link.id, Choice::Card).unwrap();
        let found = client.status(by(&wish.reference)).await.unwrap().unwrap();
        assert_eq!(found.status, status, "{fault}");
        assert_eq!(found.amount == Stated::Is(wish.amount), exact, "{fault}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_said_to_be_wrong() {
    let (_, base) = mounted(Settings::new(6)).await;
    let client = client_with(&base, "test-secret-of-somebody-else");
    let error = client.create_link(&wish("CG-1")).await.unwrap_err();
    assert_eq!(error, GatewayError::BadCredentials);
    let error = client
        .status(by(&PaymentReference::new("CG-1").unwrap()))
        .await
        .unwrap_err();
    assert_eq!(error, GatewayError::BadCredentials);
    let shown = format!("{client:?} {error:?} {error}");
    assert!(
        !shown.contains("test-secret") && !shown.contains(APP_ID),
        "{shown}"
    );
}

/// What a hand-made server does with each connection.
#[derive(Clone)]
enum Trick {
    Say(String),
    Drip,
    Reset,
    /// First the one, and then the other.
    Then(String, String),
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

fn ok(body: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", body)
}

/// A server that plays a trick on everybody, and counts its requests.
async fn hostile(trick: Trick) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!(
        "http://{}/public-api/v1/api",
        listener.local_addr().unwrap()
    );
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let trick = trick.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 1 << 16];
                drop(stream.read(&mut request).await);
                match trick {
                    Trick::Say(text) => drop(stream.write_all(text.as_bytes()).await),
                    Trick::Then(first, rest) => {
                        let text = if number == 0 { first } else { rest };
                        drop(stream.write_all(text.as_bytes()).await);
                    }
                    Trick::Drip => {
                        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{";
                        drop(stream.write_all(head.as_bytes()).await);
                        while stream.write_all(b" ").await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                    Trick::Reset => drop(stream.set_zero_linger()),
                }
            });
        }
    });
    (base, count)
}

#[tokio::test]
async fn hostile_servers_get_nothing_and_hold_nobody_up() {
    let elsewhere = hostile(Trick::Say(ok("{}"))).await;
    let redirect = format!("location: {}/payment\r\n", elsewhere.0);
    let unreadable = [
        Trick::Say(ok(&format!("{{\"x\":\"{}\"}}", "y".repeat(70_000)))),
        Trick::Say(ok(r#"{"responseCode":"00","paylinkUrl":"#)),
        Trick::Say(answer(
            "200 OK",
            "content-type: text/html\r\n",
            "<html>Hello</html>",
        )),
        Trick::Say(answer("307 Temporary Redirect", &redirect, "")),
        Trick::Say(answer("204 No Content", "", "")),
    ];
    for trick in unreadable {
        let (base, count) = hostile(trick).await;
        let error = client(&base).create_link(&wish("CG-1")).await.unwrap_err();
        assert_eq!(error, GatewayError::Unreadable);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        let reference = PaymentReference::new("CG-1").unwrap();
        let error = client(&base).status(by(&reference)).await.unwrap_err();
        assert_eq!(error, GatewayError::Unreadable);
    }
    assert_eq!(
        elsewhere.1.load(Ordering::SeqCst),
        0,
        "a redirect was followed"
    );

    for trick in [Trick::Drip, Trick::Reset] {
        let (base, count) = hostile(trick).await;
        let begun = Instant::now();
        let error = client(&base).create_link(&wish("CG-1")).await.unwrap_err();
        assert_eq!(error, GatewayError::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(4));
        assert_eq!(
            count.load(Ordering::SeqCst),
            1,
            "a link was asked for twice"
        );
    }
    let (base, count) = hostile(Trick::Reset).await;
    let reference = PaymentReference::new("CG-1").unwrap();
    assert!(
        client(&base)
            .status(by(&reference))
            .await
            .unwrap_err()
            .is_transient()
    );
    assert!(
        count.load(Ordering::SeqCst) >= 2,
        "a look-up was not tried again"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/api", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&base).create_link(&wish("CG-1")).await.unwrap_err();
    assert_eq!(error, GatewayError::Unreachable);
}

#[tokio::test]
async fn come_again_later_is_obeyed() {
    let busy = answer("429 Too Many Requests", "retry-after: 1\r\n", "");
    let paid = r#"{"paylinkId":"abc123","status":"PAID","amount":49900,"createdAt":"2026-01-31T09:00:00.000Z"}"#;
    let (base, count) = hostile(Trick::Then(busy.clone(), ok(paid))).await;
    let reference = PaymentReference::new("CG-1").unwrap();
    let begun = Instant::now();
    let found = client(&base).status(by(&reference)).await.unwrap().unwrap();
    assert_eq!(found.status, ProviderStatus::Paid);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(count.load(Ordering::SeqCst), 2);
    // Later than there is time for is not waited for.
    let (base, count) = hostile(Trick::Say(
        busy.replace("retry-after: 1", "retry-after: 3600"),
    ))
    .await;
    let begun = Instant::now();
    let error = client(&base).status(by(&reference)).await.unwrap_err();
    let wait = Some(Duration::from_secs(3600));
    assert_eq!(error, GatewayError::RateLimited { wait });
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn whatever_stands_in_retry_after_ends_nothing() {
    let paid = r#"{"paylinkID":"abc123","status":"PAID","amount":49900}"#;
    let reference = PaymentReference::new("CG-1").unwrap();
    let hour = Some(Duration::from_secs(3600));
    // What is no number of seconds is as if it were not there: it is tried again soon.
    for (text, wait) in [
        ("18446744073709551615", hour),
        ("18446744073709551616", hour),
        ("99999999999999999999999999999999", hour),
        ("3601", hour),
        ("9223372036854775807", hour),
        ("-1", None),
        ("1e9", None),
        ("1.5", None),
        ("+5", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        ("\u{0661}", None),
    ] {
        let busy = answer(
            "429 Too Many Requests",
            &format!("retry-after: {text}\r\n"),
            "",
        );
        let (base, count) = hostile(Trick::Then(busy, ok(paid))).await;
        let found = client(&base).status(by(&reference)).await;
        match wait {
            Some(_) => {
                assert_eq!(found, Err(GatewayError::RateLimited { wait }), "{text}");
                assert_eq!(count.load(Ordering::SeqCst), 1, "{text}");
            }
            None => assert!(found.unwrap().is_some(), "{text}"),
        }
    }
    // A call that is never tried again says so too.
    let busy = answer(
        "429 Too Many Requests",
        "retry-after: 18446744073709551615\r\n",
        "",
    );
    let (base, _) = hostile(Trick::Say(busy)).await;
    let error = client(&base).create_link(&wish("CG-1")).await.unwrap_err();
    assert_eq!(error, GatewayError::RateLimited { wait: hour });
}

/// A provider whose first link is made and its answer lost, and that answers so to a look by
/// reference; everything later works. Counts links.
async fn loses_the_first_link(look: &'static str, reset: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counter = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counter = counter.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 1 << 16];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&request[..read]).into_owned();
                if !text.starts_with("POST") {
                    let known = ok(r#"{"paylinkID":"link1","status":"PENDING","amount":49900}"#);
                    let said = match text.contains("/external?") {
                        true => look,
                        false => &known,
                    };
                    drop(stream.write_all(said.as_bytes()).await);
                    return;
                }
                let number = counter.fetch_add(1, Ordering::SeqCst);
                if number == 0 {
                    match reset {
                        true => drop(stream.set_zero_linger()),
                        false => {
                            let lost = answer("500 Internal Server Error", "", "");
                            drop(stream.write_all(lost.as_bytes()).await);
                        }
                    }
                    return;
                }
                let made = format!(
                    r#"{{"responseCode":"00","message":"","paylinkUrl":"http://{address}/{number}","paylinkID":"link{number}"}}"#
                );
                drop(stream.write_all(ok(&made).as_bytes()).await);
            });
        }
    });
    (format!("http://{address}/public-api/v1/api"), count)
}

#[tokio::test]
async fn a_lost_link_locks_nobody_out_whatever_the_provider_answers() {
    let answers = [
        answer(
            "400 Bad Request",
            "",
            r#"{"message":"no such transaction"}"#,
        ),
        answer("404 Not Found", "", ""),
        answer("422 Unprocessable Entity", "", ""),
        answer("500 Internal Server Error", "", ""),
        answer("204 No Content", "", ""),
        ok(r#"{"responseCode":"99","message":"not found"}"#),
        ok("null"),
        ok("[]"),
        ok("{}"),
        ok(""),
        ok("<html>not found</html>"),
        ok(r#"{"paylinkID":"lost","status":"PENDING","amount":49900}"#),
    ];
    for (look, reset) in answers
        .iter()
        .flat_map(|look| [(look, true), (look, false)])
    {
        let look: &'static str = look.clone().leak();
        let (base, links) = loses_the_first_link(look, reset).await;
        let world = World::with_gateway(Settings::new(1), config(), |_| client(&base).retries(0));
        let enroll = || {
            world
                .registrar
                .enroll(request("thandi", PaymentMethod::Card))
        };
        assert!(enroll().await.is_err(), "{look}");
        // As long as another call may still be making it, nobody makes a second one.
        world.advance(60);
        let next = enroll().await;
        let next = next
            .unwrap_or_else(|error| panic!("{error:?} after {look}"))
            .next;
        assert!(matches!(next, NextStep::Pay { .. }), "{look}");
        assert_eq!(links.load(Ordering::SeqCst), 2, "{look}");
        let (learner, course) = (crate::support::learner("thandi"), crate::support::course());
        let find = Lookup::Learner(&learner, &course);
        let case = world.store.load(find).await.unwrap().case.unwrap();
        assert!(case.attempts.len() <= 2, "{look}");
        // The other one is watched, and keeps nothing open.
        for _ in 0..8 {
            world.advance(24 * 3600);
            world.pass().await;
        }
        let case = world.case(case.enrollment.id).await;
        assert_eq!(case.enrollment.status, Status::Expired, "{look}");
    }
}

#[tokio::test]
async fn a_look_that_is_told_what_is_wrong_starts_nothing() {
    for (look, expected) in [
        (
            answer("401 Unauthorized", "", ""),
            GatewayError::BadCredentials,
        ),
        (
            answer("403 Forbidden", "", ""),
            GatewayError::BadCredentials,
        ),
        (
            answer("429 Too Many Requests", "retry-after: 60\r\n", ""),
            GatewayError::RateLimited {
                wait: Some(Duration::from_secs(60)),
            },
        ),
    ] {
        let (base, links) = loses_the_first_link(look.leak(), true).await;
        let world = World::with_gateway(Settings::new(1), config(), |_| client(&base).retries(0));
        let enroll = || {
            world
                .registrar
                .enroll(request("thandi", PaymentMethod::Card))
        };
        assert!(enroll().await.is_err());
        for _ in 0..5 {
            world.advance(400);
            let Err(Error::NoPayLink { source, enrollment }) = enroll().await else {
                panic!("a link was made")
            };
            assert_eq!(source, expected);
            assert_eq!(world.case(enrollment).await.attempts.len(), 1);
        }
        assert_eq!(links.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_provider_that_loses_every_link_is_not_asked_for_ever_more() {
    let lost = answer("500 Internal Server Error", "", "");
    let (base, count) = hostile(Trick::Say(lost)).await;
    let world = World::with_gateway(Settings::new(1), config(), |_| client(&base).retries(0));
    // A learner who tries every minute for a day.
    for _ in 0..1_440 {
        let told = world
            .registrar
            .enroll(request("thandi", PaymentMethod::Card))
            .await;
        assert!(matches!(told, Err(Error::NoPayLink { .. })), "{told:?}");
        world.advance(60);
    }
    let (learner, course) = (crate::support::learner("thandi"), crate::support::course());
    let find = Lookup::Learner(&learner, &course);
    let case = world.store.load(find).await.unwrap().case.unwrap();
    assert!(case.attempts.len() < 70, "{}", case.attempts.len());
    drop(count);
}

#[tokio::test]
async fn a_paid_answer_is_read_whatever_else_stands_in_it() {
    let reference = PaymentReference::new("CG-1").unwrap();
    for extra in [
        r#""createdAt":"yesterday""#,
        r#""createdAt":1767000000"#,
        r#""createdAt":null"#,
        r#""createdAt":{"day":1}"#,
        r#""createdAt":"2026-01-31 09:00:00""#,
        r#""description":7"#,
        r#""currency":null,"externalTransactionID":"""#,
    ] {
        let text = format!(r#"{{"paylinkID":"abc123","status":"PAID","amount":49900,{extra}}}"#);
        let (base, _) = hostile(Trick::Say(ok(&text))).await;
        let found = client(&base).status(by(&reference)).await.unwrap().unwrap();
        assert_eq!(found.status, ProviderStatus::Paid, "{extra}");
        assert_eq!(found.created_at, None, "{extra}");
        assert_eq!(
            (found.reference, found.currency),
            (Stated::Nothing, Stated::Nothing)
        );
    }
    let usd = coursegate::Currency::new("USD").unwrap();
    for (extra, stated, currency) in [
        (
            r#""externalTransactionID":"CG-2""#,
            Stated::Is(PaymentReference::new("CG-2").unwrap()),
            Stated::Nothing,
        ),
        (
            r#""externalTransactionID":5"#,
            Stated::Unusable,
            Stated::Nothing,
        ),
        (r#""currency":"usd""#, Stated::Nothing, Stated::Is(usd)),
        (r#""currency":"rand""#, Stated::Nothing, Stated::Unusable),
        (r#""currency":710"#, Stated::Nothing, Stated::Unusable),
    ] {
        let text = format!(r#"{{"paylinkID":"abc123","status":"PAID","amount":49900,{extra}}}"#);
        let (base, _) = hostile(Trick::Say(ok(&text))).await;
        let found = client(&base).status(by(&reference)).await.unwrap().unwrap();
        assert_eq!(
            (found.reference, found.currency),
            (stated, currency),
            "{extra}"
        );
    }
}

#[tokio::test]
async fn a_report_judges_the_address_and_the_credentials_that_are_used() {
    use coursegate::readiness::{LiveCheck, ReadinessRule};
    let (simulator, base) = mounted(Settings::new(3)).await;
    drop(simulator);
    let mut settings = config();
    settings.api_url = base.clone();
    let probe = async |client: IkhokhaClient| {
        let builder = Registrar::builder(settings.clone(), MemoryStore::new()).gateway(client);
        let environment = coursegate::Environment::new([("PATH", "/usr/bin")]);
        builder.probe(&environment, &[LiveCheck::Provider]).await
    };
    let report = probe(IkhokhaClient::from_config(&settings).unwrap()).await;
    assert!(report.has(ReadinessRule::ProviderAnswers), "{report}");
    assert!(
        !report.has(ReadinessRule::ApiAddressUnused) && report.has(ReadinessRule::ApiHostOther)
    );
    // Another address than the settings', a wrong secret, and no path.
    let report = probe(client(&base.replace("/api", "/api2"))).await;
    assert!(report.has(ReadinessRule::ApiAddressUnused), "{report}");
    let report = probe(client_with(&base, "test-secret-of-another-school")).await;
    assert!(report.has(ReadinessRule::ProviderRefuses), "{report}");
    assert!(!report.has(ReadinessRule::ProviderUnreachable), "{report}");
    assert!(format!("{report}").contains("compare application id and secret"));
    let real = IkhokhaClient::new(AppId::new(APP_ID).unwrap(), &Secret::new(SECRET).unwrap())
        .unwrap()
        .base_url("https://api.ikhokha.com/")
        .unwrap();
    let builder = Registrar::builder(config(), MemoryStore::new()).gateway(real);
    let environment = coursegate::Environment::new([("PATH", "/usr/bin")]);
    let report = builder.check(&environment);
    assert!(report.has(ReadinessRule::ApiPathOther), "{report}");
}

#[tokio::test]
async fn a_pay_page_on_a_port_of_its_own_is_nobodys() {
    for (url, fine) in [
        ("https://securepay.ikhokha.red/abc", true),
        ("https://securepay.ikhokha.red:443/abc", true),
        ("https://securepay.ikhokha.red:8443/abc", false),
        ("https://securepay.ikhokha.red:80/abc", false),
        ("https://securepay.ikhokha.com:444/abc", false),
    ] {
        let made = format!(
            r#"{{"responseCode":"00","message":"","paylinkUrl":"{url}","paylinkID":"abc"}}"#
        );
        let (base, _) = hostile(Trick::Say(ok(&made))).await;
        let link = client(&base).create_link(&wish("CG-1")).await;
        assert_eq!(link.is_ok(), fine, "{url}");
    }
}

#[tokio::test]
async fn odd_amounts_and_refusals() {
    for (amount, expected) in [
        ("49900", Stated::Is(Money::zar(49_900).unwrap())),
        ("499.00", Stated::Unusable),
        ("\"49900\"", Stated::Unusable),
        ("-1", Stated::Unusable),
        ("null", Stated::Nothing),
    ] {
        let body = format!(r#"{{"paylinkID":"abc123","status":"PAID","amount":{amount}}}"#);
        let (base, _) = hostile(Trick::Say(ok(&body))).await;
        let reference = PaymentReference::new("CG-1").unwrap();
        let found = client(&base).status(by(&reference)).await.unwrap().unwrap();
        assert_eq!(found.amount, expected, "{amount}");
    }
    let said = format!(
        r#"{{"responseCode":"14","message":"card 4111111111111111 \u0007 {}"}}"#,
        "long ".repeat(100)
    );
    for refusal in [ok(&said), answer("400 Bad Request", "", &said)] {
        let (base, _) = hostile(Trick::Say(refusal)).await;
        let error = client(&base).create_link(&wish("CG-1")).await.unwrap_err();
        let GatewayError::Refused { reason } = &error else {
            panic!("{error:?}")
        };
        assert!(
            reason.starts_with("14: card ") && reason.len() <= 120,
            "{reason}"
        );
        assert!(!reason.contains("4111111111111111") && !error.is_transient());
    }
}

/// Learners are sent to the provider's own pages and nowhere else.
#[tokio::test]
async fn a_pay_page_elsewhere_is_not_shown_to_anybody() {
    let links = [
        ("https://securepay.ikhokha.red/abc", true),
        ("https://securepay.ikhokha.com/abc", true),
        ("http://securepay.ikhokha.red/abc", false),
        ("https://securepay.ikhokha.red.evil.example/abc", false),
        ("https://evil.example/securepay.ikhokha.red", false),
        ("https://securepay.ikhokha.red@evil.example/", false),
        ("https://x@securepay.ikhokha.red/", false),
        ("javascript:alert(1)", false),
        ("", false),
    ];
    for (url, allowed) in links {
        let body = format!(
            r#"{{"responseCode":"00","paylinkUrl":"{url}","paylinkID":"abc123","externalTransactionID":"CG-1"}}"#
        );
        let (base, _) = hostile(Trick::Say(ok(&body))).await;
        let made = client(&base).create_link(&wish("CG-1")).await;
        assert_eq!(made.is_ok(), allowed, "{url}: {made:?}");
    }
    // Nor a link that was made for somebody else.
    let other = r#"{"responseCode":"00","paylinkUrl":"https://securepay.ikhokha.red/a","paylinkID":"a1","externalTransactionID":"CG-2"}"#;
    let (base, _) = hostile(Trick::Say(ok(other))).await;
    assert!(client(&base).create_link(&wish("CG-1")).await.is_err());
}

#[test]
fn odd_addresses_are_refused() {
    let client =
        || IkhokhaClient::new(AppId::new(APP_ID).unwrap(), &Secret::new(SECRET).unwrap()).unwrap();
    for url in [
        "http://api.ikhokha.com/public-api/v1/api",
        "http://127.0.0.1.evil.example/",
        "https://user:word@api.ikhokha.com/",
        "https://api.ikhokha.com/?x=1",
        "https://api.ikhokha.com/#x",
        "ftp://api.ikhokha.com/",
        "api.ikhokha.com",
        "",
    ] {
        let refused = client().base_url(url);
        assert!(matches!(refused, Err(ClientError::BadAddress)), "{url}");
    }
    for url in [
        "https://other.example/api/",
        "http://127.0.0.1:8081/api",
        "http://[::1]:1/",
    ] {
        assert!(client().base_url(url).is_ok(), "{url}");
    }
    assert!(!client().capabilities().is_test_double);
}

fn day(day: u32) -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
}

#[tokio::test]
async fn lists_the_payments_of_some_days() {
    let (simulator, base) = mounted(Settings::new(4)).await;
    let client = client(&base);
    let mut links = Vec::new();
    for number in 0..3 {
        links.push(
            client
                .create_link(&wish(&format!("CG-{number}")))
                .await
                .unwrap()
                .id,
        );
    }
    simulator.pay(&links[1], Choice::Card).unwrap();
    let today = chrono::Utc::now().date_naive();
    let listed = client.history(today, today).await.unwrap();
    assert_eq!((listed.payments.len(), listed.unreadable), (3, 0));
    let paid: Vec<_> = listed
        .payments
        .iter()
        .filter(|payment| payment.status == ProviderStatus::Paid)
        .collect();
    assert_eq!(
        (paid.len(), &paid[0].pay_link),
        (1, &Some(links[1].clone()))
    );
    assert_eq!(paid[0].amount, Stated::Is(Money::zar(49_900).unwrap()));
    assert!(
        client
            .history(day(1), day(2))
            .await
            .unwrap()
            .payments
            .is_empty()
    );
    assert_eq!(
        simulator.report(),
        Vec::<String>::new(),
        "the query is not signed"
    );
}

#[tokio::test]
async fn a_list_that_is_odd_is_read_as_far_as_it_goes() {
    let entry = r#"{"paylinkID":"abc","status":"PAID","createdAt":"2026-01-01T00:00:00.000Z","amount":100}"#;
    let lists = [
        (format!("[{entry},{{}},7,{entry}]"), Some((2, 2))),
        ("[]".to_owned(), Some((0, 0))),
        (format!("{{\"payments\":[{entry}]}}"), None),
        (format!("[{entry}"), None),
        ("null".to_owned(), None),
        // Larger than a look-up's answer may be, and than any list may be.
        (
            format!("[{}]", vec![entry; 10_000].join(",")),
            Some((10_000, 0)),
        ),
        (format!("[\"{}\"]", "x".repeat(9 << 20)), None),
    ];
    for (body, expected) in lists {
        let (base, _) = hostile(Trick::Say(ok(&body))).await;
        let listed = client(&base).history(day(1), day(2)).await;
        let found = listed
            .as_ref()
            .ok()
            .map(|list| (list.payments.len(), list.unreadable));
        assert_eq!(found, expected);
        if expected.is_none() {
            assert_eq!(listed, Err(GatewayError::Unreadable));
        }
    }
    let (base, count) = hostile(Trick::Then(answer("503 Down", "", ""), ok("[]"))).await;
    assert!(client(&base).history(day(1), day(2)).await.is_ok());
    assert_eq!(count.load(Ordering::SeqCst), 2, "it is tried again");
}

#[tokio::test]
async fn asks_for_a_refund_only_where_that_was_switched_on_and_never_twice() {
    let mut settings = Settings::new(5);
    settings.refunds = true;
    let (simulator, base) = mounted(settings).await;
    let link = client(&base).create_link(&wish("CG-1")).await.unwrap().id;
    simulator.pay(&link, Choice::Card).unwrap();
    let refund = |cents| RefundRequest {
        pay_link: link.clone(),
        amount: Money::zar(cents).unwrap(),
        reason: "the learner's wish".into(),
    };
    let off = client(&base);
    assert_eq!(
        off.refund(&refund(100)).await,
        Err(GatewayError::NotSupported)
    );
    assert!(!off.capabilities().refunds);
    let on = client(&base).experimental_refunds();
    assert!(on.capabilities().refunds);
    on.refund(&refund(49_800)).await.unwrap();
    let refused = on.refund(&refund(200)).await.unwrap_err();
    assert!(matches!(refused, GatewayError::Refused { .. }), "{refused}");
    assert_eq!(simulator.report(), Vec::<String>::new());

    for (trick, error) in [
        (Trick::Reset, GatewayError::TimedOut),
        (
            Trick::Say(answer("500 Internal Server Error", "", "")),
            GatewayError::Failed { status: 500 },
        ),
    ] {
        let (base, count) = hostile(trick).await;
        let lost = client(&base)
            .experimental_refunds()
            .refund(&refund(1))
            .await;
        assert_eq!(lost, Err(error), "it may have gone through");
        assert_eq!(count.load(Ordering::SeqCst), 1, "it was asked for twice");
    }
    let (base, _) = hostile(Trick::Say(ok(r#"{"status":"MAYBE"}"#))).await;
    let unclear = client(&base)
        .experimental_refunds()
        .refund(&refund(1))
        .await;
    assert_eq!(unclear, Err(GatewayError::Unreadable));
}

/// Every fault there is, over HTTP: the learner is in, or somebody is shown why not.
#[tokio::test]
async fn every_fault_ends_in_access_or_in_a_queue() {
    let each = Fault::ALL
        .iter()
        .map(|fault| tokio::spawn(one_fault(*fault)));
    for done in each.collect::<Vec<_>>() {
        done.await.unwrap();
    }
}

async fn one_fault(fault: Fault) {
    let rate = if fault.is_of_answers() { 0.5 } else { 1.0 };
    let mut settings = Settings::new(6).fault(fault, rate);
    settings.delay = Duration::from_millis(300);
    settings.answer_delay = Duration::from_millis(300);
    settings.retry_after = Some(Duration::from_secs(1));
    let (simulator, base) = mounted(settings).await;
    let mut settings = config();
    settings.rules.reconciliation.first = [100, 300, 700, 1500, 3000, 6000]
        .map(Duration::from_millis)
        .to_vec();
    settings.provider.pause = Duration::from_millis(200);
    // A link that is lost is given up soon.
    settings.link_wait = Duration::from_secs(2);
    let store = MemoryStore::new();
    let registrar = Registrar::builder(settings, store.clone())
        .gateway(client(&base))
        .build_for_tests()
        .unwrap();
    let mut link = None;
    for _ in 0..400 {
        if let Ok(enrolled) = registrar
            .enroll(request("thandi", PaymentMethod::Card))
            .await
            && let NextStep::Pay { url, .. } = enrolled.next
        {
            link = PayLinkId::new(url.rsplit('/').next().unwrap()).ok();
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    simulator.pay(&link.unwrap(), Choice::Card).unwrap();
    let desk_person = crate::support::admin();
    let question = coursegate::access::AccessRequest::new(
        crate::support::learner("thandi"),
        crate::support::course(),
        coursegate::access::ResourceKind::Lesson,
    );
    let begun = Instant::now();
    loop {
        for callback in simulator.take_callbacks() {
            registrar.receive(delivery(&callback)).await;
        }
        registrar.worker().pass().await.unwrap();
        let differs = matches!(fault, Fault::WrongAmount | Fault::ShortAmount);
        let entered = registrar.access(&question).await.unwrap().is_allowed();
        let desk = registrar.admin(desk_person.clone());
        let first = PageRequest::first(10);
        let queued = !desk
            .payments()
            .exceptions(first)
            .await
            .unwrap()
            .items
            .is_empty();
        assert!(!(entered && queued), "{fault}");
        if (differs && queued) || (!differs && entered) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{fault}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Probes over real HTTP: to an address that hands callbacks to a registrar, to one that takes
/// whatever comes, and to one where nobody is.
#[tokio::test]
async fn a_callback_address_is_probed_over_http() {
    use axum::http::{HeaderMap, StatusCode};
    use axum::{Router, body::Bytes, extract::State, routing::post};
    use coursegate::adapter::ikhokha::HttpProbe;
    use coursegate::readiness::ReadinessRule;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let world = |path: &str| {
        let mut config = config();
        config.site.callback_url = format!("{here}{path}");
        World::with(Settings::new(1), config, |builder| builder).registrar
    };
    let ours = world("/payments/ikhokha");
    let receive = async |State(registrar): State<Registrar>, headers: HeaderMap, body: Bytes| {
        let delivery = Delivery::new("/payments/ikhokha", headers.iter(), body);
        let status = registrar.receive(delivery).await.http_status();
        StatusCode::from_u16(status).unwrap()
    };
    let router = Router::new()
        .route("/payments/ikhokha", post(receive))
        .route("/open", post(async || StatusCode::OK))
        .with_state(ours.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let probe = HttpProbe::new().unwrap();
    assert_eq!(ours.probe_callbacks(&probe).await, []);
    let rules = async |path: &str| -> Vec<ReadinessRule> {
        let found = world(path).probe_callbacks(&probe).await;
        found.into_iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(rules("/open").await, [ReadinessRule::CallbackUnchecked]);
    assert_eq!(
        rules("/nowhere").await,
        [ReadinessRule::CallbackUnreachable]
    );
    let mut config = config();
    config.site.callback_url = "http://127.0.0.1:9/hook".into();
    let nobody = World::with(Settings::new(1), config, |builder| builder);
    let found = nobody.registrar.probe_callbacks(&probe).await;
    assert_eq!(found[0].rule, ReadinessRule::CallbackUnreachable);
    assert!(
        found[0].explanation.contains("no connection"),
        "{}",
        found[0].explanation
    );
}

/// An alert arrives as JSON; an address that refuses is an error, and its token is not shown.
#[tokio::test]
async fn alerts_are_posted() {
    use axum::http::StatusCode;
    use axum::{Router, body::Bytes, extract::State, routing::post};
    use coursegate::adapter::ikhokha::WebhookSink;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let heard: Arc<std::sync::Mutex<Vec<serde_json::Value>>> = Arc::default();
    let take = async |State(heard): State<Arc<std::sync::Mutex<Vec<serde_json::Value>>>>,
                      body: Bytes| {
        heard
            .lock()
            .unwrap()
            .push(serde_json::from_slice(&body).unwrap());
    };
    let router = Router::new()
        .route("/hook/test-secret-token", post(take))
        .route("/closed", post(async || StatusCode::FORBIDDEN))
        .with_state(heard.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let sink = WebhookSink::new(&format!("{here}/hook/test-secret-token")).unwrap();
    assert!(!format!("{sink:?}").contains("test-secret"));
    let closed = WebhookSink::new(&format!("{here}/closed")).unwrap();
    let world = World::with(Settings::new(1), config(), |builder| {
        builder
            .alert_sink(
                "closed",
                coursegate::monitor::AlertRoute::everything(),
                closed,
            )
            .alert_sink("open", coursegate::monitor::AlertRoute::everything(), sink)
    });
    for _ in 0..3 {
        world
            .registrar
            .receive(crate::support::with_signature(b"{}", "00"))
            .await;
    }
    world.pass().await;
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 1);
    assert_eq!(
        (&heard[0]["rule"], &heard[0]["stage"]),
        (&"webhook_failures".into(), &"raised".into())
    );
    for address in [
        "http://hooks.example/x",
        "ftp://x",
        "no address",
        "https://user:pass@hooks.example/",
    ] {
        assert!(
            matches!(WebhookSink::new(address), Err(ClientError::BadAddress)),
            "{address}"
        );
    }
}
