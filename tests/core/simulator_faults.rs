use coursegate::adapter::simulator::{
    Choice, Fault, HttpRequest, HttpResponse, Settings, Simulator,
};
use coursegate::payment::Method;
use coursegate::port::{InboxFilter, PageRequest, Records};
use coursegate::reason::HoldReason;
use coursegate::registrar::{Outcome, Receipt};
use coursegate::webhook::{SignedForm, Signer};
use coursegate::{AppId, Secret};
use serde_json::{Value, json};

use crate::support::{APP_ID, SECRET, World, config};

const BASE: &str = "/public-api/v1/api";

async fn with_fault(fault: Fault) -> (World, Vec<Receipt>) {
    let world = World::with(Settings::new(7).fault(fault, 1.0), config(), |builder| {
        builder
    });
    let (_, _, link) = world.attempt("thandi", Method::Card).await;
    let receipts = world.pay(&link, Choice::Card).await;
    (world, receipts)
}

fn outcomes(receipts: &[Receipt]) -> Vec<&'static str> {
    receipts
        .iter()
        .map(|receipt| receipt.outcome.as_str())
        .collect()
}

#[tokio::test]
async fn each_fault_does_what_it_says_and_money_and_access_agree_in_the_end() {
    let cases = [
        (Fault::Lost, vec![], false),
        (Fault::Duplicate, vec!["applied", "duplicate"], true),
        (Fault::Delayed, vec![], false),
        (Fault::Reordered, vec!["applied"], true),
        (Fault::Forged, vec!["refused", "applied"], true),
        (Fault::ExtraText, vec!["applied"], true),
        (Fault::ExtraField, vec!["applied"], true),
        (Fault::UnknownStatus, vec!["not_final"], false),
        (Fault::WrongReference, vec!["held"], false),
        (Fault::NotJson, vec!["unreadable"], false),
        (Fault::WrongAmount, vec!["held"], false),
        (Fault::LaggingStatus, vec!["waiting"], false),
    ];
    for (fault, expected, enters) in cases {
        let (world, receipts) = with_fault(fault).await;
        assert_eq!(outcomes(&receipts), expected, "{fault}");
        assert_eq!(world.may_enter("thandi").await, enters, "{fault}");
        assert!(receipts.iter().all(|receipt| receipt.http_status() < 500));
        // Late callbacks come, the worker works, the learner returns.
        world.advance(60);
        world.deliver().await;
        world.pass().await;
        let enrollment = world.enrol("thandi", Method::Card).await.enrollment;
        let reference = world.case(enrollment).await.attempts[0].reference.clone();
        world.registrar.confirm(&reference).await.unwrap();
        let held = matches!(fault, Fault::WrongAmount);
        assert_eq!(world.may_enter("thandi").await, !held, "{fault}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_signed_is_found_by_the_canonical_form() {
    let (_, receipts) = with_fault(Fault::ExtraText).await;
    assert_eq!(receipts[0].form, Some(SignedForm::Canonical));
}

#[tokio::test]
async fn a_wrong_reference_is_held_with_an_error_or_parked() {
    let (world, receipts) = with_fault(Fault::WrongReference).await;
    // The pay link is ours, the reference is not.
    assert_eq!(receipts[0].outcome, Outcome::Held(HoldReason::WrongAttempt));
    assert!(
        world
            .store
            .inbox(InboxFilter::Parked, PageRequest::first(1))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let run = async |seed| {
        let settings = Settings::new(seed)
            .fault(Fault::Lost, 0.3)
            .fault(Fault::Duplicate, 0.3)
            .fault(Fault::Reordered, 0.5);
        let world = World::with(settings, config(), |builder| builder);
        let mut seen = Vec::new();
        for number in 0..20 {
            let (_, _, link) = world
                .attempt(&format!("learner-{number}"), Method::Card)
                .await;
            seen.push((
                link.as_str().to_owned(),
                outcomes(&world.pay(&link, Choice::Card).await),
            ));
        }
        seen
    };
    assert_eq!(run(5).await, run(5).await);
    assert_ne!(run(5).await, run(6).await);
}

#[tokio::test]
async fn a_rich_payload_tells_the_method() {
    let mut settings = Settings::new(1);
    settings.rich = true;
    let world = World::with(settings, config(), |builder| builder);
    let (_, _, link) = world.attempt("thandi", Method::Unknown).await;
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Applied
    );
    let (_, _, link) = world.attempt("sipho", Method::Unknown).await;
    assert_eq!(
        world.pay(&link, Choice::InstantEft).await[0].outcome,
        Outcome::Held(HoldReason::InstantEft)
    );
}

fn simulator(settings: Settings) -> Simulator {
    Simulator::new(
        AppId::new(APP_ID).unwrap(),
        Secret::new(SECRET).unwrap(),
        settings,
    )
}

fn send(
    simulator: &Simulator,
    method: &str,
    path: &str,
    body: &str,
    signature: String,
) -> HttpResponse {
    let headers = vec![
        ("IK-APPID".to_owned(), APP_ID.to_owned()),
        ("ik-sign".to_owned(), signature),
    ];
    simulator.handle(&HttpRequest {
        method: method.into(),
        path: path.into(),
        headers,
        body: body.into(),
    })
}

fn call(simulator: &Simulator, method: &str, path: &str, body: &str) -> HttpResponse {
    let signed_path = path.split('?').next().unwrap();
    let signature = Signer::new(&Secret::new(SECRET).unwrap())
        .sign(signed_path, body.as_bytes())
        .to_hex();
    send(simulator, method, path, body, signature)
}

fn order(reference: &str) -> Value {
    json!({
        "entityID": APP_ID, "amount": 200, "currency": "ZAR", "requesterUrl": "https://school.example",
        "mode": "live", "externalTransactionID": reference, "description": "Thabo's course",
        "urls": {
            "callbackUrl": "https://school.example/hook", "successPageUrl": "https://school.example/ok",
            "failurePageUrl": "https://school.example/no"
        }
    })
}

fn answer(response: &HttpResponse) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn the_api_answers_as_the_provider_does() {
    let simulator = simulator(Settings::new(1));
    let created = call(
        &simulator,
        "POST",
        &format!("{BASE}/payment"),
        &order("A 1").to_string(),
    );
    assert_eq!(created.status, 200);
    let created = answer(&created);
    let id = created["paylinkID"].as_str().unwrap();
    assert_eq!(
        (
            created["responseCode"].as_str(),
            created["externalTransactionID"].as_str()
        ),
        (Some("00"), Some("A 1"))
    );
    assert!(
        id.len() == 15
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    );

    let status = answer(&call(
        &simulator,
        "GET",
        &format!("{BASE}/getStatus/{id}"),
        "",
    ));
    assert_eq!(
        (status["status"].as_str(), status["amount"].as_i64()),
        (Some("PENDING"), Some(200))
    );
    simulator.pay(&id.parse().unwrap(), Choice::Card).unwrap();
    let by_reference = call(
        &simulator,
        "GET",
        &format!("{BASE}/getStatus/external?externalReference=A%201"),
        "",
    );
    assert_eq!(answer(&by_reference)["status"], "PAID");
    let today = chrono::Utc::now().date_naive();
    let history = call(
        &simulator,
        "GET",
        &format!("{BASE}/payments/history?startDate={today}&endDate={today}"),
        "",
    );
    assert_eq!(answer(&history).as_array().unwrap().len(), 1);

    let callback = simulator.take_callbacks().remove(0);
    let text = String::from_utf8(callback.body).unwrap();
    assert_eq!(text, crate::support::body(id, "SUCCESS", "A 1"));
    assert_eq!(
        (callback.path.as_str(), callback.url.as_str()),
        ("/hook", "https://school.example/hook")
    );
    assert_eq!(
        call(&simulator, "GET", &format!("{BASE}/getStatus/nothing"), "").status,
        404
    );
    assert!(simulator.report().is_empty());
}

#[test]
fn requests_that_are_not_right_are_refused() {
    let simulator = simulator(Settings::new(1));
    let path = format!("{BASE}/payment");
    for (field, value) in [
        ("amount", json!(0)),
        ("amount", json!(-5)),
        ("amount", json!(1.5)),
        ("currency", json!("USD")),
        ("mode", json!("test")),
        ("entityID", json!("")),
        ("externalTransactionID", json!("")),
        ("requesterUrl", json!("school")),
        ("urls", json!({})),
    ] {
        let mut wanted = order("A-1");
        wanted[field] = value;
        assert_eq!(
            call(&simulator, "POST", &path, &wanted.to_string()).status,
            400,
            "{field}"
        );
    }
    assert_eq!(call(&simulator, "POST", &path, "{").status, 400);
    assert_eq!(
        send(
            &simulator,
            "POST",
            &path,
            &order("A-1").to_string(),
            "00".repeat(32)
        )
        .status,
        401
    );
    assert_eq!(
        send(
            &simulator,
            "POST",
            &path,
            &order("A-1").to_string(),
            "no hex".into()
        )
        .status,
        401
    );
    assert_eq!(call(&simulator, "DELETE", &path, "").status, 404);
    assert_eq!(simulator.report().len(), 2);
}

#[test]
fn odd_signatures_are_explained_and_accepted_only_where_switched_on() {
    let secret = Secret::new(SECRET).unwrap();
    let status = format!("{BASE}/getStatus/external?externalReference=A-1");
    let with_query = Signer::new(&secret).sign(&status, b"").to_hex();
    let create = format!("{BASE}/payment");
    let spaced = serde_json::to_string_pretty(&order("A-1")).unwrap();
    let raw = Signer::new(&secret)
        .sign(&create, spaced.as_bytes())
        .to_hex();
    let compact = order("A-1").to_string();
    // As two official samples do it: the apostrophe is left alone.
    let mut message = format!("{create}{compact}")
        .replace('\\', "\\\\")
        .replace('"', "\\\"");
    message.retain(|c| c != '\0');
    let hmac = Signer::hmac_sha256(SECRET.as_bytes(), message.as_bytes());
    let apostrophe: String = hmac.iter().map(|byte| format!("{byte:02x}")).collect();

    let strict = simulator(Settings::new(1));
    assert_eq!(
        send(&strict, "GET", &status, "", with_query.clone()).status,
        401
    );
    assert_eq!(
        send(&strict, "POST", &create, &spaced, raw.clone()).status,
        401
    );
    assert_eq!(
        send(&strict, "POST", &create, &compact, apostrophe.clone()).status,
        401
    );
    let report = strict.report().join("\n");
    for hint in [
        "covers the query",
        "over the raw body",
        "apostrophes unescaped",
    ] {
        assert!(report.contains(hint), "{report}");
    }
    let mut lenient = Settings::new(1);
    (
        lenient.lenient_query,
        lenient.lenient_raw,
        lenient.lenient_apostrophe,
    ) = (true, true, true);
    let lenient = simulator(lenient);
    assert_eq!(
        send(&lenient, "GET", &status, "", with_query).status,
        404,
        "accepted, and unknown"
    );
    assert_eq!(send(&lenient, "POST", &create, &spaced, raw).status, 200);
    assert_eq!(
        send(&lenient, "POST", &create, &compact, apostrophe).status,
        200
    );
}

#[test]
fn the_hosted_page_offers_every_choice_and_sends_the_payer_back() {
    let simulator = simulator(Settings::new(1));
    simulator.set_pay_base("http://127.0.0.1:9");
    let mut wanted = order("A-1");
    wanted["description"] = json!("<script>alert(1)</script>");
    let created = answer(&call(
        &simulator,
        "POST",
        &format!("{BASE}/payment"),
        &wanted.to_string(),
    ));
    let url = created["paylinkUrl"].as_str().unwrap();
    let path = url.strip_prefix("http://127.0.0.1:9").unwrap();
    let visit = |method: &str, form: &str| {
        simulator.handle(&HttpRequest {
            method: method.into(),
            path: path.into(),
            headers: vec![],
            body: form.into(),
        })
    };
    let page = String::from_utf8(visit("GET", "").body).unwrap();
    for offer in ["Pay by card", "Instant EFT", "declined", "Cancel", "R 2.00"] {
        assert!(page.contains(offer), "{offer}");
    }
    assert!(!page.contains("<script>"));
    assert_eq!(visit("POST", "choice=gold").status, 400);
    let location = |response: HttpResponse| {
        response
            .headers
            .iter()
            .find(|(name, _)| *name == "location")
            .unwrap()
            .1
            .clone()
    };
    assert_eq!(
        location(visit("POST", "choice=cancel")),
        "https://school.example/no"
    );
    assert!(simulator.take_callbacks().is_empty());
    assert_eq!(
        location(visit("POST", "choice=decline")),
        "https://school.example/no"
    );
    assert_eq!(
        location(visit("POST", "choice=eft")),
        "https://school.example/ok"
    );
    assert_eq!(simulator.take_callbacks().len(), 2);
    // It cannot be paid twice.
    visit("POST", "choice=card");
    assert!(simulator.take_callbacks().is_empty());
    assert!(
        String::from_utf8(visit("GET", "").body)
            .unwrap()
            .contains("Already paid")
    );
}
