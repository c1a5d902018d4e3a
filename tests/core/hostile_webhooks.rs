use coursegate::adapter::simulator::Choice;
use coursegate::event::EventKind;
use coursegate::payment::PaymentMethod;
use coursegate::reason::{HoldReason, SecurityEvent};
use coursegate::registrar::{Outcome, Receipt};
use coursegate::store::{InboxFilter, InboxState, PageRequest, Queries};
use coursegate::webhook::{
    Delivery, KeyRing, SignedForm, SignedTime, Signer, Verifier, VerifyError,
};
use coursegate::{AppId, Config, Secret};

use crate::support::{
    APP_ID, PATH, SECRET, World, body, config, signed, signed_bytes, start, with_signature,
};

/// A paid attempt whose callback was never delivered.
struct Target {
    world: World,
    genuine: String,
}

async fn target() -> Target {
    let world = World::new();
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    let genuine = body(link.as_str(), "SUCCESS", reference.as_str());
    Target { world, genuine }
}

fn refused(receipt: &Receipt) -> VerifyError {
    match receipt.outcome {
        Outcome::Refused(error) => error,
        ref other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn signatures_that_are_not_right_are_refused_and_nothing_is_kept() {
    let Target { world, genuine } = target().await;
    let bytes = genuine.as_bytes();
    let right = Signer::new(&Secret::new(SECRET).unwrap())
        .sign(PATH, bytes)
        .to_hex();
    let other = Signer::new(&Secret::new("test-secret-of-somebody-else").unwrap())
        .sign(PATH, bytes)
        .to_hex();
    let headers = |pairs: &[(&str, &str)]| {
        Delivery::new(
            PATH,
            pairs
                .iter()
                .map(|(name, value)| (*name, value.as_bytes().to_vec())),
            bytes,
        )
    };
    let app = ("ik-appid", APP_ID);
    let cases = [
        (headers(&[("ik-sign", &right)]), VerifyError::MissingAppId),
        (
            headers(&[app, app, ("ik-sign", &right)]),
            VerifyError::RepeatedAppId,
        ),
        (
            headers(&[("ik-appid", "IKSOMEBODYELSE"), ("ik-sign", &right)]),
            VerifyError::WrongAppId,
        ),
        (headers(&[app]), VerifyError::MissingSignature),
        (
            headers(&[app, ("ik-sign", &right), ("IK-SIGN", &right)]),
            VerifyError::RepeatedSignature,
        ),
        (with_signature(bytes, ""), VerifyError::MalformedSignature),
        (
            with_signature(bytes, &right[..63]),
            VerifyError::MalformedSignature,
        ),
        (
            with_signature(bytes, &format!("{right}00")),
            VerifyError::MalformedSignature,
        ),
        (
            with_signature(bytes, &format!("{},{}", &right[..32], &right[..31])),
            VerifyError::MalformedSignature,
        ),
        (
            with_signature(bytes, &"zz".repeat(32)),
            VerifyError::MalformedSignature,
        ),
        (
            with_signature(bytes, &"\u{fe}".repeat(32)),
            VerifyError::MalformedSignature,
        ),
        (
            with_signature(bytes, &"00".repeat(32)),
            VerifyError::WrongSignature,
        ),
        (with_signature(bytes, &other), VerifyError::WrongSignature),
        (
            with_signature(genuine.replace("SUCCESS", "success").as_bytes(), &right),
            VerifyError::WrongSignature,
        ),
        (with_signature(b"", &right), VerifyError::WrongSignature),
    ];
    let count = cases.len();
    for (delivery, expected) in cases {
        // Only so many are recorded in an hour.
        world.advance(3600);
        let receipt = world.registrar.receive(delivery).await;
        assert_eq!((refused(&receipt), receipt.http_status()), (expected, 401));
        assert_eq!((receipt.delivery, receipt.enrollment), (None, None));
    }
    assert!(!world.may_enter("thandi").await);
    for filter in [InboxFilter::Waiting, InboxFilter::Parked, InboxFilter::Dead] {
        assert!(
            world
                .store
                .inbox(filter, PageRequest::first(10))
                .await
                .unwrap()
                .items
                .is_empty()
        );
    }
    let events = world
        .store
        .unassigned(PageRequest::first(100))
        .await
        .unwrap()
        .items;
    assert_eq!(events.len(), count);
    assert!(
        events
            .iter()
            .all(|event| matches!(event.kind, EventKind::DeliveryRefused { .. }))
    );
    // The genuine one still works.
    assert_eq!(world.receive(&genuine).await.outcome, Outcome::Approved);
}

#[tokio::test]
async fn a_flood_of_forgeries_does_not_fill_the_store() {
    let Target { world, genuine } = target().await;
    for _ in 0..1000 {
        world
            .registrar
            .receive(with_signature(genuine.as_bytes(), &"00".repeat(32)))
            .await;
    }
    world.advance(3600);
    world
        .registrar
        .receive(with_signature(genuine.as_bytes(), &"00".repeat(32)))
        .await;
    let events = world
        .store
        .unassigned(PageRequest::first(500))
        .await
        .unwrap()
        .items;
    // Six in one hour, one that a flood began, and one in the next.
    assert_eq!(events.len(), 8);
    let floods = events.iter().filter(|event| {
        let of = SecurityEvent::BadSignature;
        event.kind == EventKind::FloodBegan { of }
    });
    assert_eq!(floods.count(), 1);
    let last = events.iter().max_by_key(|event| event.at).unwrap();
    assert!(matches!(
        last.kind,
        EventKind::DeliveryRefused {
            unrecorded: 994,
            ..
        }
    ));
}

#[tokio::test]
async fn what_anybody_outside_can_have_written_in_a_day_is_a_handful() {
    let Target { world, genuine } = target().await;
    let forged = with_signature(genuine.as_bytes(), &"00".repeat(32));
    for _ in 0..24 * 60 {
        for _ in 0..2 {
            world.registrar.receive(forged.clone()).await;
        }
        world.advance(60);
    }
    let events = world.store.unassigned(PageRequest::first(500)).await;
    let events = events.unwrap().items;
    assert!(events.len() <= 24 * 7 + 7, "{}", events.len());
    // None of them is out of the count.
    let counted = events.iter().map(|event| match event.kind {
        EventKind::DeliveryRefused { unrecorded, .. } => 1 + unrecorded,
        _ => 0,
    });
    let counted: u64 = counted.sum();
    assert!(counted > 2 * 24 * 60 - 130, "{counted}");
}

/// A genuine callback verifies for ever: whoever has one can send it again.
#[tokio::test]
async fn a_payment_that_is_told_of_again_long_after_is_a_replay() {
    let Target { world, genuine } = target().await;
    assert_eq!(world.receive(&genuine).await.outcome, Outcome::Approved);
    let events = async || {
        let page = world.store.unassigned(PageRequest::first(500)).await;
        let events = page.unwrap().items.into_iter();
        let told = events.filter(|event| {
            matches!(
                event.kind,
                EventKind::DeliveryRepeated { .. } | EventKind::FloodBegan { .. }
            )
        });
        told.map(|event| event.kind).collect::<Vec<_>>()
    };
    // Soon after it may be the sender's second try.
    world.advance(3600 - 61 - 60);
    for _ in 0..60 {
        let again = world.receive(&genuine).await;
        assert!(matches!(again.outcome, Outcome::Duplicate(_)));
    }
    assert_eq!(events().await, []);
    // But not so often.
    world.advance(61);
    for _ in 0..500 {
        world.receive(&genuine).await;
    }
    let of = SecurityEvent::Replay;
    assert_eq!(events().await, [EventKind::FloodBegan { of }]);
    world.advance(60);
    for _ in 0..200 {
        let again = world.receive(&genuine).await;
        assert!(matches!(again.outcome, Outcome::Duplicate(_)));
        assert_eq!(again.http_status(), 200);
    }
    let told = events().await;
    assert_eq!(told.len(), 8, "at most so many an hour, and two floods");
    assert!(told.contains(&EventKind::FloodBegan { of }));
    world.advance(3600);
    world.receive(&genuine).await;
    let Some(EventKind::DeliveryRepeated { unrecorded, .. }) = events().await.pop() else {
        panic!("not told again");
    };
    assert_eq!(unrecorded, 194);
    // The desk sees both alerts.
    for _ in 0..100 {
        world.receive(&genuine).await;
    }
    world.pass().await;
    let alerts = world.registrar.alerts();
    let mut allocation: Vec<&str> = alerts.iter().map(|alert| alert.rule.as_str()).collect();
    allocation.sort_unstable();
    allocation.retain(|rule| *rule != "sync_delay");
    assert_eq!(allocation, ["flood", "replays"]);

    // A card may be declined twice, days apart.
    let (_, reference, link) = world.attempt("sipho", PaymentMethod::Card).await;
    let declined = body(link.as_str(), "FAILURE", reference.as_str());
    world.receive(&declined).await;
    world.advance(7200);
    let before = events().await.len();
    world.receive(&declined).await;
    assert_eq!(events().await.len(), before);
}

#[tokio::test]
async fn an_oversized_body_is_refused_before_it_is_hashed() {
    let Target { world, .. } = target().await;
    let huge = vec![b' '; Verifier::DEFAULT_MAX_BODY + 1];
    let receipt = world.registrar.receive(signed_bytes(&huge)).await;
    assert_eq!(receipt.http_status(), 413);
    let largest = vec![b' '; Verifier::DEFAULT_MAX_BODY];
    let receipt = world.registrar.receive(signed_bytes(&largest)).await;
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Unreadable, 200)
    );
}

#[tokio::test]
async fn hex_case_does_not_matter() {
    let Target { world, genuine } = target().await;
    let signature = Signer::new(&Secret::new(SECRET).unwrap())
        .sign(PATH, genuine.as_bytes())
        .to_hex();
    let receipt = world
        .registrar
        .receive(with_signature(
            genuine.as_bytes(),
            &signature.to_uppercase(),
        ))
        .await;
    assert_eq!(receipt.outcome, Outcome::Approved);
}

#[tokio::test]
async fn what_is_signed_and_unreadable_is_kept_and_never_approves() {
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let many: String = (0..100)
        .map(|number| format!(r#","x{number}":1"#))
        .collect();
    let Target { world, genuine } = target().await;
    let with = |field: &str| genuine.replace('}', &format!(",{field}}}"));
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe{}".to_vec(),
        genuine.replace("SUCCESS", "SUC\u{0}CESS").into_bytes(),
        [genuine.as_bytes(), b"{}"].concat(),
        genuine
            .replace(r#""status":"SUCCESS""#, r#""status":1"#)
            .into_bytes(),
        genuine
            .replace(r#""status":"SUCCESS""#, r#""status":null"#)
            .into_bytes(),
        genuine.replace(r#""status":"SUCCESS","#, "").into_bytes(),
        with(r#""status":"FAILURE""#).into_bytes(),
        genuine
            .replace(
                r#""status":"SUCCESS""#,
                r#""status":"FAILURE","status":"SUCCESS""#,
            )
            .into_bytes(),
        with(r#""paylinkId":"2zh1zj6y8xpb0g3""#).into_bytes(),
        with(r#""x":{"y":1,"y":2}"#).into_bytes(),
        with(r#""x":1,"x":2"#).into_bytes(),
        with(&many[1..]).into_bytes(),
        with(&deep[1..deep.len() - 1]).into_bytes(),
        genuine.replace("CG-", "CG\\u0000").into_bytes(),
        genuine.replace("CG-", &"x".repeat(200)).into_bytes(),
    ];
    let count = bodies.len();
    for bytes in bodies {
        let receipt = world.registrar.receive(signed_bytes(&bytes)).await;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        assert_eq!(
            (receipt.outcome.clone(), receipt.http_status()),
            (Outcome::Unreadable, 200),
            "{text}"
        );
    }
    assert!(!world.may_enter("thandi").await);
    let dead = world
        .store
        .inbox(InboxFilter::Dead, PageRequest::first(100))
        .await
        .unwrap()
        .items;
    assert_eq!(dead.len(), count);
    // Sent again, it is not kept twice.
    world.registrar.receive(signed_bytes(b"{")).await;
    assert_eq!(
        world
            .store
            .inbox(InboxFilter::Dead, PageRequest::first(100))
            .await
            .unwrap()
            .items
            .len(),
        count
    );
}

#[tokio::test]
async fn an_unknown_status_word_means_nothing_final() {
    let Target { world, genuine } = target().await;
    for word in ["success", "COMPLETED", "SUC/CESS", "REFUNDED"] {
        let receipt = world.receive(&genuine.replace("SUCCESS", word)).await;
        assert_eq!(receipt.outcome, Outcome::NotFinal, "{word}");
    }
    assert!(!world.may_enter("thandi").await);
    assert_eq!(
        world.receive(&genuine).await.outcome,
        Outcome::Approved,
        "and does not stand in the way"
    );
}

#[tokio::test]
async fn an_old_genuine_success_cannot_be_replayed_for_a_refunded_payment() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let genuine = body(link.as_str(), "SUCCESS", reference.as_str());
    world.pay(&link, Choice::Card).await;
    world
        .registrar
        .admin(crate::support::admin())
        .refunds()
        .record(&reference, "dashboard R-1")
        .await
        .unwrap();
    assert!(!world.may_enter("thandi").await);
    assert!(matches!(
        world.receive(&genuine).await.outcome,
        Outcome::Duplicate(_)
    ));
    // Not even in another spelling of the same bytes.
    let respelt = genuine.replace(':', ": ");
    assert!(matches!(
        world.receive(&respelt).await.outcome,
        Outcome::Duplicate(_)
    ));
    assert!(!world.may_enter("thandi").await);
    assert!(!world.case(enrollment).await.attempts[0].holds_money());
}

#[tokio::test]
async fn a_success_the_provider_does_not_confirm_gives_nothing() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    // Somebody has the secret: the signature is right, and nothing was paid.
    let stolen = body(link.as_str(), "SUCCESS", reference.as_str());
    let receipt = world.receive(&stolen).await;
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Waiting, 200)
    );
    assert!(!world.may_enter("thandi").await);
    assert!(world.case(enrollment).await.confirming.is_some());
}

#[tokio::test]
async fn a_payment_cannot_be_turned_to_another_enrollment() {
    let world = World::new();
    let (_, cheap_reference, cheap_link) = world.attempt("mallory", PaymentMethod::Card).await;
    let (victim, reference, _) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&cheap_link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    // A signed callback that names one's reference and the other's pay link.
    let crossed = body(cheap_link.as_str(), "SUCCESS", reference.as_str());
    let receipt = world.receive(&crossed).await;
    assert_ne!(receipt.outcome, Outcome::Approved);
    assert!(!world.may_enter("thandi").await);
    assert!(!world.case(victim).await.attempts[0].holds_money());
    let own = body(cheap_link.as_str(), "SUCCESS", cheap_reference.as_str());
    assert_eq!(world.receive(&own).await.outcome, Outcome::Approved);
}

#[tokio::test]
async fn amounts_in_a_callback_can_only_raise_doubts() {
    let claims = [
        "0",
        "-49900",
        "49901",
        "49900.0",
        "9223372036854775808",
        r#""49900""#,
        "{}",
        "1e3",
        "true",
    ];
    for claim in claims {
        let Target { world, genuine } = target().await;
        let receipt = world
            .receive(&genuine.replace('}', &format!(r#","amount":{claim}}}"#)))
            .await;
        assert_eq!(
            receipt.outcome,
            Outcome::Held(HoldReason::AmountDiffers),
            "{claim}"
        );
        assert!(!world.may_enter("thandi").await);
    }
    let Target { world, genuine } = target().await;
    let exact = genuine.replace('}', r#","amount":49900}"#);
    assert_eq!(world.receive(&exact).await.outcome, Outcome::Approved);
}

#[tokio::test]
async fn keys_rotate_with_an_overlap_and_the_receipt_names_the_one() {
    let rotating = |config: Config| {
        (2..=8).fold(config, |config, number| {
            config.also_accept(
                format!("key-{number}"),
                Secret::new(format!("test-secret-number-{number}")).unwrap(),
            )
        })
    };
    let world = World::with(Default::default(), rotating(config()), |builder| builder);
    for number in [2, 8] {
        let name = format!("learner-{number}");
        let (_, reference, link) = world.attempt(&name, PaymentMethod::Card).await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        let bytes = body(link.as_str(), "SUCCESS", reference.as_str()).into_bytes();
        let secret = Secret::new(format!(" test-secret-number-{number}\n")).unwrap();
        let signature = Signer::new(&secret).sign(PATH, &bytes).to_hex();
        let receipt = world
            .registrar
            .receive(with_signature(&bytes, &signature))
            .await;
        assert_eq!(receipt.key, Some(format!("key-{number}").into()));
        assert_eq!(receipt.outcome, Outcome::Approved);
    }
    let nine =
        rotating(config()).also_accept("key-9", Secret::new("test-secret-number-9").unwrap());
    assert!(
        coursegate::Registrar::builder(nine, coursegate::adapter::memory::MemoryStore::new())
            .build_for_tests()
            .is_err()
    );
}

#[tokio::test]
async fn raw_comes_first_then_the_canonical_form_then_the_query() {
    let secret = Secret::new(SECRET).unwrap();
    let signer = Signer::new(&secret);
    let verifier = Verifier::new(
        AppId::new(APP_ID).unwrap(),
        &KeyRing::new("k", secret),
        PATH,
    )
    .unwrap();
    let compact =
        r#"{"paylinkID":"a","status":"SUCCESS","externalTransactionID":"b","responseCode":"00"}"#;
    let spaced = r#"{ "paylinkID" : "a", "status" : "SUCCESS", "externalTransactionID" : "b", "responseCode" : "00", "text" : "x" }"#;
    let with_query = format!("{PATH}?from=provider");
    let verify = |path: &str, body: &str, signature: String| {
        let headers = [("ik-appid", APP_ID), ("ik-sign", signature.as_str())];
        let delivery = Delivery::new(path, headers, body.as_bytes());
        verifier
            .verify(&delivery, start())
            .map(|verified| verified.form())
    };
    let sign = |path: &str, body: &str| signer.sign(path, body.as_bytes()).to_hex();

    assert_eq!(
        verify(PATH, compact, sign(PATH, compact)),
        Ok(SignedForm::Raw)
    );
    assert_eq!(
        verify("/what/a/proxy/shows", compact, sign(PATH, compact)),
        Ok(SignedForm::Raw)
    );
    assert_eq!(
        verify(PATH, spaced, sign(PATH, spaced)),
        Ok(SignedForm::Raw)
    );
    assert_eq!(
        verify(PATH, spaced, sign(PATH, compact)),
        Ok(SignedForm::Canonical)
    );
    assert_eq!(
        verify(&with_query, compact, sign(PATH, compact)),
        Ok(SignedForm::Raw)
    );
    assert_eq!(
        verify(&with_query, compact, sign(&with_query, compact)),
        Ok(SignedForm::RawWithQuery)
    );
    assert_eq!(
        verify(&with_query, spaced, sign(&with_query, compact)),
        Ok(SignedForm::CanonicalWithQuery)
    );
    let elsewhere = "/some/other/path";
    assert_eq!(
        verify(elsewhere, compact, sign(elsewhere, compact)),
        Err(VerifyError::WrongSignature)
    );
    assert_eq!(
        verify(PATH, compact, sign(PATH, spaced)),
        Err(VerifyError::WrongSignature)
    );
}

#[test]
fn a_signed_time_is_checked_where_the_scheme_has_one() {
    let secret = Secret::new(SECRET).unwrap();
    let signer = Signer::new(&secret);
    let verifier = Verifier::new(
        AppId::new(APP_ID).unwrap(),
        &KeyRing::new("k", secret),
        PATH,
    )
    .unwrap()
    .signed_time(SignedTime::new("x-sent-at"));
    let sent = start().timestamp().to_string();
    let signature = signer.sign(&format!("{sent}.{PATH}"), b"{}").to_hex();
    let verify = |time: &str, seconds: i64| {
        let headers = [
            ("ik-appid", APP_ID),
            ("ik-sign", signature.as_str()),
            ("X-Sent-At", time),
        ];
        let delivery = Delivery::new(PATH, headers, b"{}".to_vec());
        verifier
            .verify(&delivery, start() + chrono::Duration::seconds(seconds))
            .map(|_| ())
    };
    assert_eq!(verify(&sent, 0), Ok(()));
    assert_eq!(verify(&sent, 300), Ok(()));
    assert_eq!(verify(&sent, -300), Ok(()));
    assert_eq!(verify(&sent, 301), Err(VerifyError::OutsideTolerance));
    assert_eq!(verify("soon", 0), Err(VerifyError::MissingTime));
    assert_eq!(
        verify(&(start().timestamp() + 1).to_string(), 0),
        Err(VerifyError::WrongSignature)
    );
}

#[tokio::test]
async fn a_callback_nobody_can_match_is_parked_and_matched_when_its_attempt_appears() {
    let world = World::new();
    let stranger = body("2zh1zj6y8xpb0g3", "SUCCESS", "SOMEBODY-ELSES");
    let receipt = world.receive(&stranger).await;
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Parked, 200)
    );
    let parked = world
        .store
        .inbox(InboxFilter::Parked, PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert!(matches!(parked[0].state, InboxState::Parked { .. }));
    // The same again is the same row, and one event.
    world.receive(&stranger).await;
    world.registrar.receive(signed(&stranger)).await;
    assert_eq!(
        world
            .store
            .inbox(InboxFilter::Parked, PageRequest::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    assert_eq!(
        world
            .store
            .unassigned(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}
