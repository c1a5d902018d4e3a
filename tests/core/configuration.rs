//! Settings from the environment and from files: everything that is wrong, at once, and
//! never a value.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use coursegate::evidence::EvidenceLevel;
use coursegate::{Config, Environment, Mode, OnUnverified, Setting, readiness};
use proptest::prelude::{any, prop, proptest};

/// Settings of an installation that is well: made-up credentials of the right shape.
pub fn good() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (
            "IKHOKHA_APP_ID",
            "IKMADEUPAPPLICATIONFORREADINESS1".to_owned(),
        ),
        (
            "IKHOKHA_APP_SECRET",
            "ThisIsNoRealKeyButOnlyForTesting".to_owned(),
        ),
        (
            "COURSEGATE_CALLBACK_URL",
            "https://pay.school.co.za/payments/ikhokha".to_owned(),
        ),
        (
            "COURSEGATE_SUCCESS_URL",
            "https://school.co.za/paid/{reference}".to_owned(),
        ),
        (
            "COURSEGATE_FAILURE_URL",
            "https://school.co.za/failed/{reference}".to_owned(),
        ),
        ("COURSEGATE_SITE_URL", "https://school.co.za".to_owned()),
    ])
}

pub fn environment(variables: &BTreeMap<&'static str, String>) -> Environment {
    Environment::new(
        variables
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    )
}

fn with(name: &'static str, value: &str) -> BTreeMap<&'static str, String> {
    let mut variables = good();
    variables.insert(name, value.to_owned());
    variables
}

fn problems(variables: &BTreeMap<&'static str, String>) -> Vec<String> {
    match Config::from_environment(&environment(variables)) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = Config::from_environment(&environment(&good())).unwrap();
    assert_eq!(config.link_wait, Duration::from_millis(45_000));
    assert_eq!(config.provider.retries, 3);
    assert_eq!(config.retry_delay, Duration::from_millis(2_000));
    assert_eq!(config.mode, Mode::Live);
    assert_eq!(config.api_url, "https://api.ikhokha.com/public-api/v1/api");
    assert_eq!(
        (config.minimum_evidence, config.on_unverified),
        (None, OnUnverified::Refuse)
    );
    assert!(config.bank.is_none());
    // A setting that says the default changes nothing.
    for setting in Setting::ALL {
        let Some(default) = setting.default else {
            continue;
        };
        if default.contains(' ') || ["none", "never"].contains(&default) {
            continue;
        }
        let said = Config::from_environment(&environment(&with(setting.variable, default)));
        assert_eq!(
            format!("{:?}", said.unwrap()),
            format!("{config:?}"),
            "{}",
            setting.variable
        );
    }
}

#[test]
fn every_setting_does_something() {
    let plain = format!(
        "{:?}",
        Config::from_environment(&environment(&good())).unwrap()
    );
    let others = [
        ("COURSEGATE_CANCEL_URL", "https://school.co.za/cancelled"),
        ("COURSEGATE_MODE", "test"),
        ("COURSEGATE_TIMEOUT_MS", "30000"),
        ("COURSEGATE_RETRIES", "0"),
        ("COURSEGATE_RETRY_DELAY_MS", "500"),
        ("COURSEGATE_RETRY_LIMIT", "5"),
        ("COURSEGATE_DEADLINE_MS", "8000"),
        ("COURSEGATE_PROVIDER_WAIT_MS", "1000"),
        ("COURSEGATE_MAX_BODY_BYTES", "1024"),
        ("COURSEGATE_MINIMUM_EVIDENCE", "signed"),
        ("COURSEGATE_ON_UNVERIFIED", "ask_provider"),
        ("COURSEGATE_UNPAID_EXPIRY_DAYS", "0"),
        ("COURSEGATE_TRANSFER_EXPIRY_DAYS", "14"),
        ("COURSEGATE_REFUND_KEEPING_ACCESS", "25"),
        ("COURSEGATE_DUAL_APPROVAL_ABOVE", "100000"),
        ("COURSEGATE_APPROVAL_SLA_HOURS", "24"),
        ("COURSEGATE_PARKED_ALERT_MINUTES", "5"),
        ("COURSEGATE_RECONCILE_EVERY_HOURS", "0"),
        ("COURSEGATE_SYNC_HISTORY_EVERY_HOURS", "12"),
        ("COURSEGATE_SYNC_HISTORY_DAYS", "7"),
        ("IKHOKHA_API_URL", "https://api.ikhokha.example/v1"),
        ("COURSEGATE_KEEP_BODIES_DAYS", "400"),
        ("IKHOKHA_APP_SECRET_SINCE", "2026-01-31"),
        (
            "COURSEGATE_BODY_KEYS",
            "march=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        ),
        (
            "IKHOKHA_WEBHOOK_SECRETS",
            "old=AnotherMadeUpKeyNobodyEverUsed12",
        ),
    ];
    for (name, value) in others {
        let config = Config::from_environment(&environment(&with(name, value))).unwrap();
        assert_ne!(format!("{config:?}"), plain, "{name}");
    }
    let mut banked = good();
    for setting in Setting::ALL
        .iter()
        .filter(|setting| setting.key.starts_with("bank_"))
    {
        banked.insert(setting.variable, "000000001".to_owned());
    }
    assert!(
        Config::from_environment(&environment(&banked))
            .unwrap()
            .bank
            .is_some()
    );
    // None is left out of this test.
    let tried = others.len() + 4 + good().len();
    assert_eq!(tried, Setting::ALL.len());
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut variables = good();
    variables.remove("IKHOKHA_APP_SECRET");
    variables.insert("COURSEGATE_TIMEOUT_MS", "soon".to_owned());
    variables.insert("COURSEGATE_RETRIES", "11".to_owned());
    variables.insert(
        "COURSEGATE_CALLBACK_URL",
        "https://school.co.za/hook?x=1".to_owned(),
    );
    variables.insert("COURSEGATE_MODE", "LIVE".to_owned());
    variables.insert("COURSEGATE_BANK_NAME", "Bank".to_owned());
    assert_eq!(
        problems(&variables),
        [
            "IKHOKHA_APP_SECRET is not set; expected: the application secret from the provider's dashboard. \
             Set it: it is what calls are signed with; callbacks that are signed with it are accepted.",
            "COURSEGATE_CALLBACK_URL has a query or a fragment; expected: a public https address without a query. \
             The provider signs the path only: put what you need into the path.",
            "COURSEGATE_MODE is none of the words; expected: live, staging or test. Write one of the words, in lower case.",
            "COURSEGATE_TIMEOUT_MS is not a whole number; expected: 1000 to 120000 (milliseconds). Write digits only.",
            "COURSEGATE_RETRIES is out of range; expected: 0 to 10. The default is 3.",
            "COURSEGATE_BANK_HOLDER is not set while others of the bank are; expected: the name of the account's holder. \
             Set all four of the bank's settings, or none.",
            "COURSEGATE_BANK_ACCOUNT is not set while others of the bank are; expected: the account's number. \
             Set all four of the bank's settings, or none.",
            "COURSEGATE_BANK_BRANCH is not set while others of the bank are; expected: the branch code. \
             Set all four of the bank's settings, or none.",
        ]
    );
}

#[test]
fn each_variable_unset_empty_padded_no_text_and_absurd() {
    for setting in Setting::ALL {
        let name = setting.variable;
        let required = setting.default.is_none();
        let mut unset = good();
        unset.remove(name);
        let found = problems(&unset);
        assert_eq!(found.len(), usize::from(required), "{name}: {found:?}");
        assert!(
            found
                .iter()
                .all(|problem| problem.starts_with(&format!("{name} is not set")))
        );

        for empty in ["", " ", "\t\n", "\u{feff}"] {
            let found = problems(&with(name, empty));
            let own = |problem: &&String| problem.starts_with(&format!("{name} is empty"));
            assert_eq!(found.iter().filter(own).count(), 1, "{name}: {found:?}");
        }

        let variables = good();
        let mut pairs: Vec<(OsString, OsString)> = variables
            .iter()
            .filter(|(other, _)| **other != name)
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        pairs.push((name.into(), OsString::from_vec(vec![0x66, 0xff, 0xfe])));
        let error = Config::from_environment(&Environment::new(pairs)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("{name} is not readable text")),
            "{name}: {error}"
        );

        // Whatever it is, it is refused when it is absurd.
        let absurd = "\u{202e}\u{0}nonsense that is \u{1f4a3} very long ".repeat(500);
        let error = Config::from_environment(&environment(&with(name, &absurd))).unwrap_err();
        assert!(error.to_string().contains(name), "{name}");
        assert!(error.problems.iter().any(|problem| problem.setting == name));
        assert!(
            !error.to_string().contains("nonsense"),
            "a value is repeated: {name}"
        );
    }
    // Padding is taken off, and reported.
    for (name, value) in good() {
        let padded = environment(&with(name, &format!(" \u{feff}{value}\r\n")));
        let config = Config::from_environment(&padded).unwrap();
        let plain = Config::from_environment(&environment(&good())).unwrap();
        assert_eq!(format!("{config:?}"), format!("{plain:?}"));
        let report = readiness::check(&config, &padded);
        let said = report
            .findings
            .iter()
            .find(|finding| finding.rule == readiness::ReadinessRule::ValuePadded);
        assert_eq!(
            said.and_then(|finding| finding.subject.as_deref()),
            Some(name)
        );
    }
}

#[test]
fn secrets_for_a_rotation() {
    let list = "AnotherMadeUpKeyNobodyEverUsed12, next=OneMoreMadeUpKeyNobodyEverUsed34";
    let config = Config::from_environment(&environment(&with("IKHOKHA_WEBHOOK_SECRETS", list)));
    assert!(format!("{:?}", config.unwrap().keys).contains("next"));
    for (list, says) in [
        ("a=x,a=y", "has a label twice"),
        ("primary=x", "has a label twice"),
        ("=x", "has a label that cannot be one"),
        ("a b=x", "has a label that cannot be one"),
        ("x,,y", "is empty"),
        ("next=\u{fc}", "holds a character that no credential has"),
        ("a,b,c,d,e,f,g,h", "has more than seven secrets"),
    ] {
        let found = problems(&with("IKHOKHA_WEBHOOK_SECRETS", list));
        assert!(
            found.iter().any(|problem| problem.contains(says)),
            "{list}: {found:?}"
        );
    }
}

#[test]
fn the_same_from_a_file() {
    let file = r#"{
        "app_id": "IKMADEUPAPPLICATIONFORREADINESS1", "app_secret": "ThisIsNoRealKeyButOnlyForTesting",
        "webhook_secrets": ["old=AnotherMadeUpKeyNobodyEverUsed12", "OneMoreMadeUpKeyNobodyEverUsed34"],
        "callback_url": "https://pay.school.co.za/payments/ikhokha", "success_url": "https://school.co.za/paid",
        "failure_url": "https://school.co.za/failed", "site_url": "https://school.co.za",
        "timeout_ms": 30000, "minimum_evidence": "confirmed"
    }"#;
    let config: Config = serde_json::from_str(file).unwrap();
    assert_eq!(config.link_wait, Duration::from_secs(30));
    assert_eq!(config.minimum_evidence, Some(EvidenceLevel::Confirmed));
    let typo = file.replace("timeout_ms", "timeuot_ms");
    let error = serde_json::from_str::<Config>(&typo)
        .unwrap_err()
        .to_string();
    assert!(error.contains("there is no setting timeuot_ms"), "{error}");
    let wrong = file
        .replace("30000", "1")
        .replace("https://school.co.za/paid", "paid");
    let error = serde_json::from_str::<Config>(&wrong)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("timeout_ms is out of range")
            && error.contains("success_url is no web address"),
        "{error}"
    );
    let odd = file.replace("30000", "[[]]");
    assert!(serde_json::from_str::<Config>(&odd).is_err());
}

proptest! {
    /// Whatever the environment holds: no panic, and no secret in what is said.
    #[test]
    fn any_environment_is_survived(
        values in prop::collection::vec((0..Setting::ALL.len(), any::<Option<String>>()), 0..40),
        noise in prop::collection::vec(("[A-Z_]{0,80}", ".{0,40}"), 0..10),
    ) {
        let mut variables: BTreeMap<String, String> =
            good().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        variables.extend(noise);
        for (at, value) in values {
            let name = Setting::ALL[at].variable.to_owned();
            match value {
                Some(value) => variables.insert(name, format!("canary-{value}")),
                None => variables.remove(&name),
            };
        }
        let environment = Environment::new(variables);
        let (said, report) = match Config::from_environment(&environment) {
            Ok(config) => (format!("{config:?}"), readiness::check(&config, &environment)),
            Err(error) => (format!("{error} {error:?}"), readiness::unusable(&error, &environment)),
        };
        let report = format!("{report} {report:?} {} {environment:?}", serde_json::to_string(&report).unwrap());
        assert!(!report.contains("canary-"), "{report}");
        assert!(!report.contains("ThisIsNoRealKeyButOnlyForTesting"));
        assert!(!said.contains("ThisIsNoRealKeyButOnlyForTesting"));
    }
}
