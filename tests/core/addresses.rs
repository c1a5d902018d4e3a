//! The callback address, however it is written: what the provider is given, what it signs, what is
//! verified and what readiness tries are the same.

use std::sync::{Arc, Mutex};

use coursegate::adapter::simulator::{Choice, Settings, Simulator, SimulatorGateway};
use coursegate::evidence::Confirmation;
use coursegate::payment::{PayLink, PaymentMethod};
use coursegate::port::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
    WebError, WebProbe,
};
use coursegate::readiness::{self, ReadinessRule};
use coursegate::registrar::Outcome;
use coursegate::webhook::{Delivery, KeyRing, Signer, Verifier, VerifierError};
use coursegate::{AppId, Config, Environment, Registrar, Secret, Site, UrlError};
use proptest::prelude::{ProptestConfig, proptest};
use url::Url;

use crate::support::{APP_ID, SECRET, World, config, delivery, start};

fn at(callback_url: &str) -> Result<Config, UrlError> {
    let site = Site {
        callback_url: callback_url.to_owned(),
        ..config().site
    };
    let secret = Secret::new(SECRET).unwrap();
    Config::new(AppId::new(APP_ID).unwrap(), secret, site)
}

/// A gateway that remembers what it was asked for.
#[derive(Debug)]
struct Asked {
    provider: SimulatorGateway,
    links: Arc<Mutex<Vec<LinkRequest>>>,
}

#[async_trait::async_trait]
impl PaymentGateway for Asked {
    fn capabilities(&self) -> Capabilities {
        self.provider.capabilities()
    }

    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
        self.links.lock().unwrap().push(request.clone());
        self.provider.create_link(request).await
    }

    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        self.provider.status(query).await
    }

    async fn history(
        &self,
        from: chrono::NaiveDate,
        to: chrono::NaiveDate,
    ) -> Result<History, GatewayError> {
        self.provider.history(from, to).await
    }

    async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
        self.provider.refund(request).await
    }
}

/// The address that a probe goes to, and who is there.
#[derive(Debug)]
struct There<'r> {
    url: String,
    registrar: &'r Registrar,
}

#[async_trait::async_trait]
impl WebProbe for There<'_> {
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<u16, WebError> {
        assert_eq!(url, self.url);
        let path = Url::parse(url).unwrap().path().to_owned();
        let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let delivery = Delivery::new(path, headers, body);
        Ok(self.registrar.receive(delivery).await.http_status())
    }
}

/// Pays once with callbacks to this address, and gives the path that was agreed on.
async fn agreed(written: &str) -> String {
    let config = at(written).unwrap_or_else(|error| panic!("{written:?}: {error}"));
    let (signed, report) = (
        config.site.callback_path().unwrap(),
        readiness::check(&config, &Environment::default()),
    );
    let links = Arc::default();
    let world = World::with_gateway(Settings::new(1), config, |provider| Asked {
        provider,
        links: Arc::clone(&links),
    });
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    // What the provider is given is read alike by everybody.
    let given = links.lock().unwrap()[0].callback_url.clone();
    assert!(given.is_ascii() && !given.contains(' '), "{given}");
    assert_eq!(given, String::from(Url::parse(written).unwrap()));
    assert_eq!(Url::parse(&given).unwrap().path(), signed);
    // What it signs is verified.
    world.simulator.pay(&link, Choice::Card).unwrap();
    let callback = world.simulator.take_callbacks().remove(0);
    assert_eq!((&callback.url, &callback.path), (&given, &signed));
    let receipt = world.registrar.receive(delivery(&callback)).await;
    assert_eq!(receipt.outcome, Outcome::Approved, "{written:?}");
    // So it is by a verifier of one's own, for the path in either form.
    let path = written.split_once("://").unwrap().1;
    let path = path.find('/').map_or("/", |start| &path[start..]);
    for path in [path, &signed] {
        let keys = KeyRing::new("key", Secret::new(SECRET).unwrap());
        let verifier = Verifier::new(AppId::new(APP_ID).unwrap(), &keys, path).unwrap();
        let delivery = delivery(&callback);
        assert!(verifier.verify(&delivery, start()).is_ok(), "{path}");
    }
    // Readiness tries that address, and tells who wrote another one.
    let there = There {
        url: given,
        registrar: &world.registrar,
    };
    assert_eq!(world.registrar.probe_callbacks(&there).await, []);
    let told = report.has(ReadinessRule::CallbackPathRewritten)
        || report.has(ReadinessRule::CallbackPathOdd);
    assert!(told || path == signed, "{written:?}");
    signed
}

#[tokio::test]
async fn a_callback_address_is_what_a_url_parser_reads() {
    for (written, path) in [
        ("https://school.example/hook", "/hook"),
        ("https://school.example", "/"),
        ("https://school.example/café/hook", "/caf%C3%A9/hook"),
        ("https://school.example/caf%C3%A9/hook", "/caf%C3%A9/hook"),
        ("https://school.example/caf%c3%a9/hook", "/caf%c3%a9/hook"),
        ("https://school.example/my hook", "/my%20hook"),
        ("https://school.example/my%20hook", "/my%20hook"),
        ("https://school.example/a\u{a0}b", "/a%C2%A0b"),
        ("https://school.example/a/../hook", "/hook"),
        ("https://school.example/a/%2e%2E/./hook", "/hook"),
        ("https://school.example//hook", "//hook"),
        ("https://school.example/100%", "/100%"),
        ("https://school.example/O'Brien", "/O'Brien"),
        ("https://school.example/\"<{}>`", "/%22%3C%7B%7D%3E%60"),
        ("HTTPS://SCHOOL.Example:443/Hook", "/Hook"),
        ("https://école.example/hook", "/hook"),
    ] {
        assert_eq!(agreed(written).await, path, "{written}");
    }
}

/// The parser would take these away, or read them as something else, without a word.
#[test]
fn what_looks_like_another_address_is_refused() {
    for written in [
        "",
        "/hook",
        "school.example/hook",
        "https:school.example/hook",
        "https:/school.example/hook",
        "https:///school.example/hook",
        "ftp://school.example/hook",
        "https://",
        "https://school.example:99999/hook",
        "https://1.2.3.999/hook",
        "https://user:word@school.example/hook",
        "https://user@school.example/hook",
        "https://school.example/a\\b",
        "https://school.example/a\tb",
        "https://school.example/a\nb",
        "https://school.example/a\u{200b}b",
        "https://school.example/\u{202e}b",
        "\u{feff}https://school.example/hook",
        " https://school.example/hook",
        "https://school.example/hook ",
    ] {
        let refused = matches!(at(written), Err(UrlError::Invalid { .. }));
        assert!(refused, "{written:?}");
    }
    for written in ["https://school.example/hook?", "https://school.example/h#x"] {
        let refused = matches!(at(written), Err(UrlError::CallbackWithQuery));
        assert!(refused, "{written:?}");
    }
    let verifier = |path: &str| {
        let keys = KeyRing::new("key", Secret::new(SECRET).unwrap());
        Verifier::new(AppId::new(APP_ID).unwrap(), &keys, path)
    };
    for path in ["", "hook", "/a?b", "/a#b", "/a\\b", "/a\tb", "/hook "] {
        let refused = verifier(path).unwrap_err();
        assert_eq!(refused, VerifierError::BadPath, "{path:?}");
    }
}

#[tokio::test]
async fn pages_are_given_in_the_same_form_with_the_reference_in_its_place() {
    let mut config = config();
    config.site.success_url = "https://école.example/payé/{reference}?an={reference}".into();
    config.site.failure_url = "https://school.example/#/nie betaal/{reference}".into();
    config.site.cancel_url = Some("https://school.example/a/../{reference}".into());
    config.site.requester_url = "https://École.example".into();
    let links = Arc::default();
    let world = World::with_gateway(Settings::new(1), config, |provider| Asked {
        provider,
        links: Arc::clone(&links),
    });
    let (_, reference, _) = world.attempt("thandi", PaymentMethod::Card).await;
    let asked = links.lock().unwrap()[0].clone();
    let host = "https://xn--cole-9oa.example";
    assert_eq!(
        asked.success_url,
        format!("{host}/pay%C3%A9/{reference}?an={reference}")
    );
    assert_eq!(
        asked.failure_url,
        format!("https://school.example/#/nie%20betaal/{reference}")
    );
    assert_eq!(
        asked.cancel_url,
        Some(format!("https://school.example/{reference}"))
    );
    assert_eq!(asked.requester_url, format!("{host}/"));
}

/// A provider that reads the address for itself signs what we verify, from the address as written
/// too: the parser's form is the same read once or twice.
#[test]
fn an_address_that_is_written_in_two_ways_is_signed_alike() {
    let signer = Signer::new(&Secret::new(SECRET).unwrap());
    let simulator = |url: &str| {
        let secret = Secret::new(SECRET).unwrap();
        let simulator = Simulator::new(AppId::new(APP_ID).unwrap(), secret, Settings::new(1));
        crate::simulator_callbacks::paid(&simulator, url)
    };
    let written = simulator("https://school.example/café/my hook");
    let given = simulator("https://school.example/caf%C3%A9/my%20hook");
    assert_eq!(written.path, given.path);
    let expected = signer.sign("/caf%C3%A9/my%20hook", &given.body).to_hex();
    assert!(given.headers.contains(&("ik-sign", expected)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_part_reads_the_callback_path_alike(
        path in "(/([a-zA-Z0-9 ._~!$&()*+,;=:@%'\"<>|^`{}\\[\\]é世߷-]|%[0-9a-fA-F]{2}|\\.|%2e){0,6}){1,4}",
    ) {
        let written = format!("https://school.example{}", path.trim_end());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(agreed(&written));
    }
}
