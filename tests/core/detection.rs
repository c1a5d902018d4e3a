use coursegate::detect::{
    Condition, Detection, DetectionInput, Fallback, Level, MethodDetector, Operand, Rule,
    RuleDetector, RuleProblem, RuleSet,
};
use coursegate::evidence::Evidence;
use coursegate::payment::{PaymentAttempt, PaymentMethod, Purpose};
use coursegate::webhook::{Delivery, KeyRing, ProviderEvent, Verified, Verifier};
use coursegate::{AppId, EnrollmentId, PaymentReference, Secret};
use proptest::prelude::*;

use crate::support::{APP_ID, PATH, SECRET, body, course, learner, offer, signed, start};

fn attempt(declared: PaymentMethod) -> PaymentAttempt {
    let enrollment: EnrollmentId = "019c0000-0000-7000-8000-000000000001".parse().unwrap();
    PaymentAttempt::new(
        PaymentReference::new("CG-1").unwrap(),
        enrollment,
        (learner("thandi"), course()),
        (offer(), Purpose::First),
        declared,
        start(),
    )
}

fn verified<T>(delivery: &Delivery, use_it: impl FnOnce(&Verified<'_>) -> T) -> T {
    let keys = KeyRing::new("test", Secret::new(SECRET).unwrap());
    let verifier = Verifier::new(AppId::new(APP_ID).unwrap(), &keys, PATH).unwrap();
    use_it(&verifier.verify(delivery, start()).unwrap())
}

fn detect(rules: RuleSet, declared: PaymentMethod, fields: &str) -> Detection {
    let detector = RuleDetector::new(rules).unwrap();
    let attempt = attempt(declared);
    let genuine = body("link", "SUCCESS", "CG-1");
    let text = if fields.is_empty() {
        genuine
    } else {
        genuine.replace('}', &format!(",{fields}}}"))
    };
    verified(&signed(&text), |verified| {
        let notification = ProviderEvent::parse(verified).unwrap();
        let evidence = Evidence::gather(&attempt, Some((verified, &notification)), None);
        detector.detect(&DetectionInput {
            attempt: &attempt,
            evidence: &evidence,
            notification: Some(&notification),
        })
    })
}

#[test]
fn the_standard_rules_decide_on_the_genuine_four_fields() {
    let cases = [
        (PaymentMethod::Card, PaymentMethod::Card, Level::High),
        (
            PaymentMethod::InstantEft,
            PaymentMethod::InstantEft,
            Level::High,
        ),
        (
            PaymentMethod::BankTransfer,
            PaymentMethod::BankTransfer,
            Level::High,
        ),
        (
            PaymentMethod::Unknown,
            PaymentMethod::Unknown,
            Level::Unknown,
        ),
    ];
    for (declared, expected, level) in cases {
        let found = detect(RuleSet::standard(), declared, "");
        assert_eq!((found.method, found.level), (expected, level), "{declared}");
    }
}

#[test]
fn richer_payloads_speak_for_themselves() {
    let card = r#""paymentMethod":"Credit Card","cardBrand":"VISA","cardLastFour":"1234","authCode":"A1B2C3""#;
    let found = detect(RuleSet::standard(), PaymentMethod::Unknown, card);
    assert_eq!(
        (found.method, found.level),
        (PaymentMethod::Card, Level::High)
    );
    assert_eq!(found.metadata.card_type.as_deref(), Some("VISA"));
    assert_eq!(found.metadata.masked_number.unwrap().as_str(), "******1234");
    assert_eq!(found.metadata.auth_code.as_deref(), Some("A1B2C3"));
    assert_eq!(found.metadata.response_code.as_deref(), Some("00"));

    let eft = r#""paymentMethod":"Instant EFT","bankName":"Test Bank","bankReference":"T1""#;
    let found = detect(RuleSet::standard(), PaymentMethod::Unknown, eft);
    assert_eq!(
        (found.method, found.level),
        (PaymentMethod::InstantEft, Level::High)
    );

    // Declared one thing, paid another: nobody is approved on that.
    let found = detect(RuleSet::standard(), PaymentMethod::Card, eft);
    assert_ne!(
        (found.method, found.level),
        (PaymentMethod::Card, Level::High)
    );
}

#[test]
fn a_whole_card_number_is_never_kept() {
    let found = detect(
        RuleSet::standard(),
        PaymentMethod::Card,
        r#""cardNumber":"4111 1111 1111 1111","cardType":"4111111111111111""#,
    );
    assert_eq!(
        found.metadata.masked_number.as_ref().unwrap().as_str(),
        "411111******1111"
    );
    assert!(!format!("{found:?}").contains("4111111111111111"));
    assert!(
        !serde_json::to_string(&found)
            .unwrap()
            .contains("4111111111111111")
    );
}

fn rule(
    id: &str,
    method: PaymentMethod,
    field: &str,
    condition: Condition,
    value: Option<Operand>,
    weight: f64,
) -> Rule {
    Rule {
        id: id.into(),
        method,
        field: field.into(),
        condition,
        value,
        weight,
        required: false,
        ignore_case: false,
    }
}

fn text(text: &str) -> Option<Operand> {
    Some(Operand::Text(text.into()))
}

fn set(rules: Vec<Rule>) -> RuleSet {
    RuleSet {
        version: "test".into(),
        rules,
        ..RuleSet::standard()
    }
}

#[test]
fn all_eight_conditions() {
    use Condition as C;
    let fields = r#""word":"visa debit","number":7,"deep":{"er":{"x":"y"}},"dotted.name":"z","gone":null,"flag":true"#;
    let cases = [
        ("word", C::Equals, text("visa debit"), true),
        ("word", C::Equals, text("visa"), false),
        ("word", C::Equals, text("VISA DEBIT"), false),
        ("flag", C::Equals, Some(Operand::Bool(true)), true),
        ("number", C::Equals, Some(Operand::Integer(7)), true),
        ("number", C::Equals, text("7"), false),
        ("word", C::Contains, text("sa de"), true),
        ("word", C::Contains, text("mastercard"), false),
        ("word", C::StartsWith, text("visa"), true),
        ("word", C::StartsWith, text("debit"), false),
        ("word", C::Regex, text(r"^v\w+\s+(debit|credit)$"), true),
        ("word", C::Regex, text("^visa"), true),
        ("word", C::Regex, text("debit$"), true),
        ("word", C::Regex, text("^debit"), false),
        ("word", C::Exists, None, true),
        ("gone", C::Exists, None, false),
        ("absent", C::Exists, None, false),
        ("absent", C::NotExists, None, true),
        ("word", C::NotExists, None, false),
        ("number", C::GreaterThan, Some(Operand::Integer(6)), true),
        ("number", C::GreaterThan, Some(Operand::Integer(7)), false),
        ("number", C::LessThan, Some(Operand::Fraction(7.5)), true),
        ("word", C::LessThan, Some(Operand::Integer(9)), false),
        ("deep.er.x", C::Equals, text("y"), true),
        ("deep.er.z", C::Exists, None, false),
        ("dotted.name", C::Equals, text("z"), true),
        ("status", C::Equals, text("SUCCESS"), true),
        ("@declared_method", C::Equals, text("card"), true),
        ("@evidence_level", C::Equals, text("signed"), true),
        ("@paid", C::Equals, Some(Operand::Bool(true)), true),
        ("@provider_method", C::Exists, None, false),
        ("@amount", C::Exists, None, false),
    ];
    for (field, condition, value, expected) in cases {
        let what = format!("{field} {condition:?} {value:?}");
        let found = detect(
            set(vec![rule(
                "r",
                PaymentMethod::Card,
                field,
                condition,
                value,
                0.9,
            )]),
            PaymentMethod::Card,
            fields,
        );
        assert_eq!(found.indicators[0].matched, expected, "{what}");
    }
    let mut folded = rule(
        "r",
        PaymentMethod::Card,
        "word",
        C::Regex,
        text("VISA (DEBIT|CREDIT)"),
        0.9,
    );
    folded.ignore_case = true;
    assert!(detect(set(vec![folded]), PaymentMethod::Card, fields).indicators[0].matched);
}

#[test]
fn a_payload_cannot_pass_for_a_fact_of_ours() {
    let rules = set(vec![rule(
        "declared",
        PaymentMethod::Card,
        "@declared_method",
        Condition::Equals,
        text("card"),
        0.9,
    )]);
    let found = detect(
        rules,
        PaymentMethod::Unknown,
        r#""@declared_method":"card","declared_method":"card""#,
    );
    assert_eq!(found.method, PaymentMethod::Unknown);
}

#[test]
fn every_problem_of_a_rule_set_is_named() {
    let card = |id: &str, condition, value, weight| {
        rule(id, PaymentMethod::Card, "f", condition, value, weight)
    };
    let mut bad = set(vec![
        card("twice", Condition::Exists, None, 0.5),
        card("twice", Condition::Exists, None, 0.5),
        card("", Condition::Exists, None, 0.5),
        card("heavy", Condition::Exists, None, 1.0),
        card("light", Condition::Exists, None, 0.0),
        card("nan", Condition::Exists, None, f64::NAN),
        card("value", Condition::Exists, text("x"), 0.5),
        card("missing", Condition::Equals, None, 0.5),
        card("not-a-number", Condition::GreaterThan, text("x"), 0.5),
        card("open", Condition::Regex, text("("), 0.5),
        card("bomb", Condition::Regex, text(r"\w{500}{500}"), 0.5),
        rule(
            "fact",
            PaymentMethod::Card,
            "@secret",
            Condition::Exists,
            None,
            0.5,
        ),
        rule(
            "unknown",
            PaymentMethod::Unknown,
            "f",
            Condition::Exists,
            None,
            0.5,
        ),
        rule(
            "nowhere",
            PaymentMethod::Card,
            " ",
            Condition::Exists,
            None,
            0.5,
        ),
    ]);
    bad.version = String::new();
    bad.thresholds.low = 0.9;
    let problems = RuleDetector::new(bad).unwrap_err().problems;
    assert_eq!(problems.len(), 15, "{problems:#?}");
    assert!(problems.contains(&RuleProblem::RepeatedId {
        rule: "twice".into()
    }));
    assert!(problems.contains(&RuleProblem::EmptyId { position: 3 }));
    let named = |wanted: fn(&RuleProblem) -> bool| problems.iter().any(wanted);
    assert!(named(
        |problem| matches!(problem, RuleProblem::BadRegex { rule, .. } if rule == "bomb")
    ));
    assert!(named(
        |problem| matches!(problem, RuleProblem::UnknownFact { field, .. } if field == "@secret")
    ));
}

#[test]
fn rules_are_data() {
    let json = serde_json::to_string(&RuleSet::standard()).unwrap();
    assert_eq!(
        serde_json::from_str::<RuleSet>(&json).unwrap(),
        RuleSet::standard()
    );
    let typo = r#"{"version":"1","rules":[{"id":"a","method":"card","field":"f","condition":"exists","wieght":0.5}]}"#;
    let error = serde_json::from_str::<RuleSet>(typo)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("wieght") && error.contains("line 1"),
        "{error}"
    );
    let word = typo
        .replace("wieght", "weight")
        .replace("exists", "resembles");
    assert!(
        serde_json::from_str::<RuleSet>(&word)
            .unwrap_err()
            .to_string()
            .contains("resembles")
    );
}

#[test]
fn a_failed_required_rule_rules_its_method_out() {
    let mut required = rule(
        "needed",
        PaymentMethod::Card,
        "absent",
        Condition::Exists,
        None,
        0.1,
    );
    required.required = true;
    let strong = rule(
        "strong",
        PaymentMethod::Card,
        "status",
        Condition::Exists,
        None,
        0.99,
    );
    let found = detect(set(vec![strong, required]), PaymentMethod::Card, "");
    assert_eq!(
        (found.method, found.confidence.value()),
        (PaymentMethod::Unknown, 0.0)
    );
}

#[test]
fn fallbacks_do_what_they_say() {
    for (fallback, method) in [
        (Fallback::AssumeCard, PaymentMethod::Card),
        (Fallback::AssumeEft, PaymentMethod::InstantEft),
        (Fallback::ManualApproval, PaymentMethod::Unknown),
        (Fallback::LogAndInvestigate, PaymentMethod::Unknown),
    ] {
        let found = detect(
            RuleSet {
                fallback,
                ..RuleSet::standard()
            },
            PaymentMethod::Unknown,
            "",
        );
        assert_eq!((found.method, found.fallback), (method, Some(fallback)));
    }
}

#[test]
fn it_explains_itself() {
    let found = detect(
        RuleSet::standard(),
        PaymentMethod::Card,
        r#""bankName":"Test Bank""#,
    );
    assert_eq!(found.leading, PaymentMethod::Card);
    let contributions = found.contributions();
    let share = |id: &str| {
        contributions
            .iter()
            .find(|(rule, _)| rule.as_ref() == id)
            .unwrap()
            .1
    };
    assert!(share("declared-card") > 0.0 && share("payload-bank-name") < 0.0);
    let flip = found.nearest_flip(0.80).unwrap();
    assert_eq!(
        (flip.rule.as_ref(), flip.to_match),
        ("payload-bank-name", false)
    );
    assert!(flip.confidence.value() >= 0.80);
    assert_eq!(found.rule_set.as_ref(), "standard-1");
}

proptest! {
    #[test]
    fn order_does_not_matter_and_evidence_only_helps_its_own_side(
        weights in prop::collection::vec((0.01f64..0.99, 0usize..3), 1..12),
        extra in 0.01f64..0.99,
        turn in 0usize..12,
    ) {
        let methods = [PaymentMethod::Card, PaymentMethod::InstantEft, PaymentMethod::BankTransfer];
        let build = |weights: &[(f64, usize)]| {
            let rules = weights.iter().enumerate().map(|(index, (weight, method))| {
                rule(&format!("r{index}"), methods[*method], "status", Condition::Exists, None, *weight)
            });
            set(rules.collect())
        };
        let found = detect(build(&weights), PaymentMethod::Card, "");
        let mut turned = weights.clone();
        turned.rotate_left(turn % weights.len());
        let again = detect(build(&turned), PaymentMethod::Card, "");
        prop_assert!((found.confidence.value() - again.confidence.value()).abs() < 1e-9);

        let leading = methods.iter().position(|method| *method == found.leading).unwrap();
        let more = detect(build(&[weights.clone(), vec![(extra, leading)]].concat()), PaymentMethod::Card, "");
        prop_assert!(more.confidence.value() >= found.confidence.value() - 1e-9);
        let contrary = detect(build(&[weights, vec![(extra, (leading + 1) % 3)]].concat()), PaymentMethod::Card, "");
        if contrary.leading == found.leading {
            prop_assert!(contrary.confidence.value() <= found.confidence.value() + 1e-9);
        }
    }
}
