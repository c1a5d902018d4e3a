//! Where the simulator sends its callbacks, what it signs, and what it sends again.

use std::time::Duration;

use coursegate::adapter::memory::TestClock;
use coursegate::adapter::simulator::{Callback, Choice, Fault, Injection, Settings, Simulator};
use coursegate::payment::PaymentMethod;
use coursegate::registrar::Outcome;
use coursegate::webhook::Signer;
use coursegate::{AppId, PayLinkId, Secret};
use serde_json::json;

use crate::simulator_api::{BASE, answer, call, order, simulator};
use crate::support::{APP_ID, SECRET, World, config, start};

/// A link whose callbacks go there; the status when it is refused.
fn link(simulator: &Simulator, callback_url: &str) -> Result<PayLinkId, u16> {
    let mut wanted = order("A-1");
    wanted["urls"]["callbackUrl"] = json!(callback_url);
    let path = format!("{BASE}/payment");
    let created = call(simulator, "POST", &path, &wanted.to_string());
    match created.status {
        200 => Ok(answer(&created)["paylinkID"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()),
        status => Err(status),
    }
}

pub fn paid(simulator: &Simulator, callback_url: &str) -> Callback {
    let link = link(simulator, callback_url).unwrap();
    simulator.pay(&link, Choice::Card).unwrap();
    simulator.take_callbacks().remove(0)
}

/// The path of the address, percent-encoded, without query and fragment.
#[test]
fn the_path_is_signed_as_a_url_parser_reads_it() {
    let simulator = simulator(Settings::new(1));
    for (url, path) in [
        ("https://school.example/hook", "/hook"),
        ("https://school.example/hook/", "/hook/"),
        ("https://school.example/hook?x=/y", "/hook"),
        ("https://school.example?x=/y", "/"),
        ("https://school.example", "/"),
        ("https://school.example/", "/"),
        ("https://school.example#part", "/"),
        ("https://school.example/hook#part", "/hook"),
        ("https://school.example/hook#part?x=1", "/hook"),
        ("https://school.example/caf\u{e9}", "/caf%C3%A9"),
        ("https://school.example/caf%C3%A9", "/caf%C3%A9"),
        ("https://school.example/caf%c3%a9", "/caf%c3%a9"),
        ("https://school.example/a b", "/a%20b"),
        ("https://school.example/O'Brien", "/O'Brien"),
        ("https://user:word@school.example/hook", "/hook"),
        ("https://user:word@school.example?x=/y", "/"),
        ("https://SCHOOL.Example/Hook", "/Hook"),
        ("HTTPS://school.example:8443/hook", "/hook"),
        ("https://school.example/a/../hook", "/hook"),
        ("https://[::1]:8443/hook", "/hook"),
    ] {
        let callback = paid(&simulator, url);
        assert_eq!((callback.path.as_str(), callback.url.as_str()), (path, url));
        let signer = Signer::new(&Secret::new(SECRET).unwrap());
        let expected = signer.sign(path, &callback.body).to_hex();
        let sent = callback.headers.iter().find(|(name, _)| *name == "ik-sign");
        assert_eq!(sent.unwrap().1, expected, "{url}");
    }
    for url in [
        "",
        "/hook",
        "school.example/hook",
        "ftp://school.example/",
        "https://",
        "mailto:a@b",
    ] {
        assert_eq!(link(&simulator, url), Err(400), "{url}");
    }
}

fn with_clock(settings: Settings) -> (Simulator, TestClock) {
    let clock = TestClock::at(start());
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    (
        Simulator::with_clock(app_id, secret, settings, clock.clone()),
        clock,
    )
}

#[test]
fn a_callback_that_is_not_taken_is_sent_again() {
    let mut settings = Settings::new(1);
    settings.callback_retries = 2;
    settings.callback_retry_pause = Duration::from_secs(60);
    let (simulator, clock) = with_clock(settings);
    let first = paid(&simulator, "https://school.example/hook");
    let mut callback = first.clone();
    for status in [Some(500), None] {
        assert!(simulator.callback_answered(&callback, status));
        clock.advance(Duration::from_secs(59));
        assert!(simulator.take_callbacks().is_empty());
        clock.advance(Duration::from_secs(1));
        callback = simulator.take_callbacks().remove(0);
        // Nothing in it tells the one from the other.
        assert_eq!(
            (&callback.body, &callback.headers),
            (&first.body, &first.headers)
        );
    }
    assert!(
        !simulator.callback_answered(&callback, Some(500)),
        "that was the last"
    );
    assert!(!simulator.callback_answered(&first, Some(200)));
    clock.advance(Duration::from_secs(3600));
    assert!(simulator.take_callbacks().is_empty());
    // The provider is not known to do it, so it does not by itself.
    let (plain, _) = with_clock(Settings::new(1));
    let callback = paid(&plain, "https://school.example/hook");
    assert!(!plain.callback_answered(&callback, Some(500)));
}

#[test]
fn a_callback_is_sent_again_on_demand_even_a_lost_one() {
    let (simulator, _) = with_clock(Settings::new(1));
    let link = link(&simulator, "https://school.example/hook").unwrap();
    assert!(!simulator.send_again(&link, 1), "there was none yet");
    simulator.inject(Injection::new(Fault::Lost).times(1));
    simulator.pay(&link, Choice::Card).unwrap();
    assert!(simulator.take_callbacks().is_empty());
    assert!(simulator.send_again(&link, 3));
    assert_eq!(simulator.take_callbacks().len(), 3);
    let nobodys = "nobodyslink0000".parse().unwrap();
    assert!(!simulator.send_again(&nobodys, 1));
}

#[tokio::test]
async fn callbacks_that_come_again_change_nothing() {
    let world = World::new();
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Approved
    );
    world.simulator.send_again(&link, 5);
    let again = world.deliver().await;
    assert_eq!(again.len(), 5);
    for receipt in again {
        assert_eq!(receipt.outcome.as_str(), "duplicate");
        assert_eq!(receipt.http_status(), 200);
    }
}

/// Only `FAILURE` is known; a link that failed stays payable, whatever it is called.
#[tokio::test]
async fn another_word_for_a_failed_payment_closes_nothing() {
    for (callback_word, status_word) in [
        ("FAILURE", None),
        ("FAILURE", Some("FAILED")),
        ("DECLINED", None),
        ("DECLINED", Some("DECLINED")),
        ("CANCELLED", Some("EXPIRED")),
    ] {
        let mut settings = Settings::new(1);
        settings.failed_word = callback_word.to_owned();
        settings.failed_status_word = status_word.map(str::to_owned);
        let world = World::with(settings, config(), |builder| builder);
        let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        world.simulator.pay(&link, Choice::Decline).unwrap();
        let callback = world.simulator.take_callbacks().remove(0);
        let text = String::from_utf8(callback.body.clone()).unwrap();
        assert!(
            text.contains(&format!(r#""status":"{callback_word}""#)),
            "{text}"
        );
        let path = format!("{BASE}/getStatus/{link}");
        let status = answer(&call(&world.simulator, "GET", &path, ""));
        assert_eq!(status["status"], status_word.unwrap_or("PENDING"));
        let receipt = world
            .registrar
            .receive(crate::support::delivery(&callback))
            .await;
        assert_eq!(receipt.http_status(), 200, "{callback_word}");
        assert!(!world.may_enter("thandi").await);
        world.advance(3);
        assert!(
            !world
                .registrar
                .refresh_payment(&reference)
                .await
                .unwrap()
                .paid
        );
        // The same link is paid after all.
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        assert_eq!(receipt.outcome, Outcome::Approved, "{callback_word}");
        assert!(world.may_enter("thandi").await);
    }
}
