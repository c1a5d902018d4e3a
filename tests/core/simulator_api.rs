//! The simulator's API and pay pages, as the provider's own are.

use coursegate::adapter::simulator::{Choice, HttpRequest, HttpResponse, Settings, Simulator};
use coursegate::webhook::Signer;
use coursegate::{AppId, Secret};
use serde_json::{Value, json};

use crate::support::{APP_ID, SECRET};

pub const BASE: &str = "/public-api/v1/api";

pub fn simulator(settings: Settings) -> Simulator {
    Simulator::new(
        AppId::new(APP_ID).unwrap(),
        Secret::new(SECRET).unwrap(),
        settings,
    )
}

pub fn send(
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

pub fn call(simulator: &Simulator, method: &str, path: &str, body: &str) -> HttpResponse {
    let signed_path = path.split('?').next().unwrap();
    let signature = Signer::new(&Secret::new(SECRET).unwrap())
        .sign(signed_path, body.as_bytes())
        .to_hex();
    send(simulator, method, path, body, signature)
}

pub fn order(reference: &str) -> Value {
    json!({
        "entityID": APP_ID, "amount": 200, "currency": "ZAR", "requesterUrl": "https://school.example",
        "mode": "live", "externalTransactionID": reference, "description": "Thabo's course",
        "urls": {
            "callbackUrl": "https://school.example/hook", "successPageUrl": "https://school.example/ok",
            "failurePageUrl": "https://school.example/no"
        }
    })
}

pub fn answer(response: &HttpResponse) -> Value {
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
    assert_eq!(created["message"], "");
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
    let id = created["paylinkID"].as_str().unwrap();
    assert_eq!(path, format!("/{id}"));
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

/// Of a request every member is signed; `text` is left out of callbacks only.
#[test]
fn a_request_is_signed_with_its_text() {
    let simulator = simulator(Settings::new(1));
    let path = format!("{BASE}/payment");
    let mut wanted = order("A-1");
    wanted["text"] = json!("Payment of a course");
    let whole = wanted.to_string();
    assert_eq!(call(&simulator, "POST", &path, &whole).status, 200);
    assert_eq!(simulator.report(), Vec::<String>::new());
    let signer = Signer::new(&Secret::new(SECRET).unwrap());
    let without = order("A-1").to_string();
    let signature = signer.sign(&path, without.as_bytes()).to_hex();
    assert_eq!(
        send(&simulator, "POST", &path, &whole, signature).status,
        401
    );
    assert_eq!(simulator.report().len(), 1);
}

#[test]
fn nothing_else_is_at_the_root() {
    let simulator = simulator(Settings::new(1));
    for (path, status) in [
        ("/", 404),
        ("/nosuchlink00000", 404),
        ("/favicon.ico", 404),
        ("/pay/x", 404),
    ] {
        assert_eq!(call(&simulator, "GET", path, "").status, status, "{path}");
    }
    assert!(simulator.report().is_empty(), "nobody has to sign there");
}

#[test]
fn the_report_keeps_the_newest_thousand() {
    let simulator = simulator(Settings::new(1));
    for number in 0..1_200 {
        let path = format!("{BASE}/getStatus/link{number}");
        send(&simulator, "GET", &path, "", "no hex".into());
    }
    let report = simulator.report();
    assert_eq!(report.len(), 1_000);
    assert!(report[0].contains("/link200:") && report[999].contains("/link1199:"));
}
