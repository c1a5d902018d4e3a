//! Canaries in keys, e-mails and card numbers must not appear in logs, `Debug` or errors.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::payment::PaymentMethod;
use coursegate::registrar::NextStep;
use coursegate::store::{InboxFilter, PageRequest, Queries};
use coursegate::webhook::{KeyRing, ProviderEvent, Signer, Verifier};
use coursegate::{AppId, BankDetails, Email, Secret};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::support::{
    APP_ID, PATH, SECRET, World, admin, body, config, request, signed, signed_bytes, start,
    with_signature,
};

const CARD: &str = "4111111111111111";
const SPACED_CARD: &str = "4111 1111 1111 1111";
const EMAIL: &str = "canary-mailbox@school.example";
const ROTATED: &str = "test-secret-canary-rotated";

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Of the whole process: what the other tests log is looked at as well.
    pub fn of_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_span_events(FmtSpan::CLOSE)
                .with_writer(log.clone())
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn assert_clean(text: &str, what: &str) {
    let signature = Signer::new(&Secret::new(SECRET).unwrap())
        .sign(PATH, b"canary")
        .to_hex();
    for canary in [
        SECRET,
        ROTATED,
        EMAIL,
        "canary-mailbox",
        CARD,
        SPACED_CARD,
        APP_ID,
        signature.as_str(),
        "responseCode",
    ] {
        assert!(!text.contains(canary), "{what} shows {canary}: {text}");
    }
}

#[tokio::test]
async fn nothing_secret_or_personal_is_shown_anywhere() {
    let log = Log::of_process();

    let settings = config()
        .also_accept("rotated", Secret::new(ROTATED).unwrap())
        .bank(BankDetails {
            account_holder: EMAIL.into(),
            bank: "Test Bank".into(),
            account_number: CARD.into(),
            branch_code: "1".into(),
        });
    assert_clean(&format!("{settings:?}"), "Debug of the configuration");
    let mut rich = Settings::new(1);
    rich.rich = true;
    let world = World::with(rich, settings, |builder| builder);
    assert_clean(
        &format!("{:?} {:?}", world.registrar, world.simulator),
        "Debug of the parts",
    );
    let mut shown = String::new();

    // A learner whose id is an e-mail address, as many hosts have it.
    let mut wish = request(EMAIL, PaymentMethod::Card);
    wish.email = Email::new(EMAIL).unwrap();
    shown.push_str(&format!("{wish:?}"));
    let enrolled = world.ask(wish).await;
    shown.push_str(&format!("{enrolled:?}"));
    let NextStep::Pay { reference, .. } = &enrolled.next else {
        panic!("no link")
    };
    let link = world.case(enrolled.enrollment).await.attempts[0]
        .link
        .clone()
        .unwrap()
        .id;

    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    let genuine = body(link.as_str(), "SUCCESS", reference.as_str());
    let with_card = genuine.replace(
        '}',
        &format!(r#","cardNumber":"{CARD}","cardType":"{SPACED_CARD}","payer":"{EMAIL}"}}"#),
    );
    let deliveries = [
        with_signature(with_card.as_bytes(), &"00".repeat(32)),
        with_signature(with_card.as_bytes(), EMAIL),
        signed_bytes(format!("{{\"payer\":\"{EMAIL}\",\"card\":\"{CARD}\"").as_bytes()),
        signed(&body("strangerslink00", "SUCCESS", EMAIL)),
        signed(&body(CARD, "SUCCESS", CARD)),
        signed(&genuine.replace("SUCCESS", EMAIL)),
        signed(&with_card),
    ];
    for delivery in deliveries {
        shown.push_str(&format!("{delivery:?}"));
        let receipt = world.registrar.receive(delivery).await;
        shown.push_str(&format!("{receipt:?}"));
    }
    world.advance(10);
    world.registrar.worker().pass().await.unwrap();
    assert!(world.case(enrolled.enrollment).await.grants.len() == 1);

    let desk = world.registrar.admin(admin());
    let transfer = world.enroll("sipho", PaymentMethod::BankTransfer).await;
    shown.push_str(&format!("{transfer:?} {desk:?}"));
    desk.approvals()
        .reject(transfer.enrollment, format!("paid with {SPACED_CARD}"))
        .await
        .unwrap();
    for enrollment in [enrolled.enrollment, transfer.enrollment] {
        shown.push_str(&format!(
            "{:?}",
            desk.approvals().explain(enrollment).await.unwrap()
        ));
    }
    for filter in [InboxFilter::Waiting, InboxFilter::Parked, InboxFilter::Dead] {
        shown.push_str(&format!(
            "{:?}",
            world
                .store
                .inbox(filter, PageRequest::first(10))
                .await
                .unwrap()
        ));
    }
    shown.push_str(&format!(
        "{:?}",
        world
            .store
            .unassigned(PageRequest::first(50))
            .await
            .unwrap()
    ));
    shown.push_str(&format!("{:?}", world.publisher.published()));
    assert_clean(&shown, "Debug");

    let errors = [
        Email::new(format!("{EMAIL} {CARD}"))
            .unwrap_err()
            .to_string(),
        Secret::new("test-secret with a space")
            .unwrap_err()
            .to_string(),
        AppId::new("").unwrap_err().to_string(),
        format!(
            "{:?}",
            desk.approvals()
                .approve_all(&[transfer.enrollment], "", true)
                .await
        ),
    ];
    assert_clean(&errors.join(" "), "an error");

    // What is stored about cards and notes is masked as well.
    let events = serde_json::to_string(
        &desk
            .approvals()
            .explain(enrolled.enrollment)
            .await
            .unwrap()
            .history,
    )
    .unwrap();
    assert!(
        !events.contains(CARD)
            && !events.contains(SPACED_CARD)
            && events.contains("411111******1111"),
        "{events}"
    );
    let rejected = serde_json::to_string(
        &desk
            .approvals()
            .explain(transfer.enrollment)
            .await
            .unwrap()
            .history,
    )
    .unwrap();
    assert!(!rejected.contains(SPACED_CARD));

    let logged = log.text();
    assert!(
        logged.contains("webhook refused") && logged.contains("applied"),
        "the log is really captured: {logged}"
    );
    assert_clean(&logged, "the log");
}

#[test]
fn a_notification_shows_no_values() {
    let delivery = signed(&body("link", "SUCCESS", EMAIL));
    let verifier = Verifier::new(
        AppId::new(APP_ID).unwrap(),
        &KeyRing::new("k", Secret::new(SECRET).unwrap()),
        PATH,
    )
    .unwrap();
    let verified = verifier.verify(&delivery, start()).unwrap();
    let notification = ProviderEvent::parse(&verified).unwrap();
    let value = notification.field("externalTransactionID").unwrap();
    assert_clean(
        &format!(
            "{verifier:?} {verified:?} {notification:?} {value:?} {:?}",
            notification.reference()
        ),
        "Debug",
    );
}
