//! Secrets that anybody could guess, that are broken, old, or no secrets any more.

use std::collections::BTreeSet;

use chrono::Duration;
use coursegate::adapter::memory::TestClock;
use coursegate::adapter::simulator::Settings;
use coursegate::port::{Certificate, CertificateProbe, WebError};
use coursegate::readiness::{ReadinessRule, Report};
use coursegate::{Config, Mode};

use crate::configuration::{environment, good};
use crate::readiness::{broken, builder};
use crate::support::{self, start};

const SECRET: &str = "IKHOKHA_APP_SECRET";

fn one(rule: ReadinessRule) -> BTreeSet<ReadinessRule> {
    BTreeSet::from([rule])
}

#[test]
fn the_application_id_is_no_secret() {
    let id = "IKMADEUPAPPLICATIONFORREADINESS1";
    assert_eq!(broken(&[(SECRET, id)]), one(ReadinessRule::SecretIsAppId));
    let lower = id.to_ascii_lowercase();
    assert_eq!(
        broken(&[(SECRET, &lower)]),
        one(ReadinessRule::SecretIsAppId)
    );
    let beside = format!("old={id}");
    let found = broken(&[("IKHOKHA_WEBHOOK_SECRETS", &beside)]);
    assert!(found.contains(&ReadinessRule::SecretIsAppId), "{found:?}");
    // Another id is only an odd secret.
    let other = "IKMADEUPAPPLICATIONFORREADINESS2";
    assert!(!broken(&[(SECRET, other)]).contains(&ReadinessRule::SecretIsAppId));
}

#[test]
fn what_fingers_type_is_no_secret() {
    for text in [
        "qwertyuiopasdfghjklzxcvbnm123456",
        "QwErTyUiOpAsDfGhJkLzXcVbNm098765",
        "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
        "1q2w3e4r1q2w3e4r1q2w3e4r1q2w3e4r",
        "4r3e2w1q4r3e2w1q4r3e2w1q4r3e2w1q",
        "asdfasdfzxcvzxcvqwerqwer12341234",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9",
        "!QAZ@WSX3edc4rfv%TGB^YHN7ujm8ik9",
        "mnbvcxzlkjhgfdsapoiuytrewq098765",
        "zyxwvutsrqponmlkjihgfedcba987654",
        "qwertzuiopasdfghjklyxcvbnm123456",
        "azertyuiopqsdfghjklmwxcvbn123456",
        "asdqweasdqwezxcvasdqweasdzxc1234",
        "NoRealKeyBut987654InTheMiddleOfX",
        "k9Zs1q2w3e4rT7uXcVbNmLp0oGhJdFaS",
        "7kGs2Lm9Xc4Vb1Nz8Rt3WyPoiuytrewq",
        "7kGsRfcderzaQWSX1qaz2wsxLm9Xc4Vb",
        "7kGs2Lm9ghijklmnXc4Vb1Nz8Rt3WyTe",
    ] {
        let found = broken(&[(SECRET, text)]);
        assert!(
            found.contains(&ReadinessRule::SecretWalk),
            "{text}: {found:?}"
        );
        // The same keys typed for the application id.
        let id = broken(&[("IKHOKHA_APP_ID", text)]);
        assert_eq!(id, one(ReadinessRule::SecretWalk), "{text}");
    }
    // As random ones look: a short piece may be in there by chance.
    for text in [
        "ThisIsNoRealKeyButOnlyForTesting",
        "NoRealKeyWithQwerInsideItself7Xy",
        "k7Rasd2PzqweN0xWu9bTfmL4vHc8sJ1g",
    ] {
        assert_eq!(broken(&[(SECRET, text)]), BTreeSet::new(), "{text}");
    }
}

#[test]
fn no_random_secret_is_refused() {
    // A generator of our own: the same 500 every time.
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..500 {
        let text: String = (0..32)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = usize::try_from((state >> 33) % 62).unwrap();
                char::from(letters[at])
            })
            .collect();
        assert_eq!(broken(&[(SECRET, &text)]), BTreeSet::new(), "{text}");
    }
}

#[test]
fn quotes_that_were_kept_are_named() {
    let secret = "ThisIsNoRealKeyButOnlyForTesting";
    for text in [
        format!("\"{secret}\""),
        format!("'{secret}'"),
        format!("`{secret}`"),
        format!(" \"{secret}"),
        format!("{secret}'"),
    ] {
        let found = broken(&[(SECRET, &text)]);
        assert!(
            found.contains(&ReadinessRule::CredentialQuoted),
            "{text}: {found:?}"
        );
    }
    let id = "\"IKMADEUPAPPLICATIONFORREADINESS1\"";
    assert_eq!(
        broken(&[("IKHOKHA_APP_ID", id)]),
        one(ReadinessRule::CredentialQuoted)
    );
    // Where quotes make the settings unusable, they are named as the cause.
    let address = "\"https://pay.school.co.za/hook\"";
    let both = BTreeSet::from([ReadinessRule::SettingWrong, ReadinessRule::ValueQuoted]);
    assert_eq!(broken(&[("COURSEGATE_CALLBACK_URL", address)]), both);
    let labelled = format!("\"old={secret}x\"");
    let both = BTreeSet::from([ReadinessRule::SettingWrong, ReadinessRule::CredentialQuoted]);
    assert_eq!(broken(&[("IKHOKHA_WEBHOOK_SECRETS", &labelled)]), both);
    // A name may have an apostrophe.
    let bank = [
        ("COURSEGATE_BANK_HOLDER", "The O'Brien School's"),
        ("COURSEGATE_BANK_NAME", "Bank"),
        ("COURSEGATE_BANK_ACCOUNT", "1"),
        ("COURSEGATE_BANK_BRANCH", "1"),
    ];
    assert_eq!(broken(&bank), BTreeSet::new());
}

#[test]
fn a_secret_is_found_in_whatever_a_page_is_given() {
    let secret = &good()[SECRET];
    let key = "5f1c9e0b7a3d48e2961f0c5b8d27a4e3c96b10f7d8452ae19b3c6d0f7e81a254";
    let json = format!(r#"{{"payments":{{"id":"IK","key":"{secret}"}}}}"#);
    let escaped = format!(r#""{{\"key\":\"{secret}\"}}""#);
    let address = format!("https://school.co.za/?key={secret}&x=1");
    for value in [
        secret.clone(),
        format!("\"{secret}\""),
        format!("'{secret}'"),
        json,
        escaped,
        address,
        format!("a,{secret},b"),
        // The secret as base64 and as hex.
        "VGhpc0lzTm9SZWFsS2V5QnV0T25seUZvclRlc3Rpbmc=".to_owned(),
        "x:5468697349734E6F5265616C4B65794275744F6E6C79466F7254657374696E67".to_owned(),
    ] {
        for name in [
            "NEXT_PUBLIC_CONFIG",
            "VITE_CONFIG",
            "REACT_APP_CONFIG",
            "PUBLIC_CONFIG",
            "NUXT_PUBLIC_CONFIG",
            "EXPO_PUBLIC_CONFIG",
            "GATSBY_CONFIG",
            "NG_APP_CONFIG",
            "BUN_PUBLIC_CONFIG",
            "vite_config",
        ] {
            let found = broken(&[(name, &value)]);
            assert_eq!(found, one(ReadinessRule::SecretExposed), "{name}={value}");
        }
        assert_eq!(broken(&[("CONFIG", &value)]), BTreeSet::new(), "{value}");
    }
    // Those that are not the current secret, and those of settings that cannot be read.
    let keys = format!("march={key}");
    let found = broken(&[("COURSEGATE_BODY_KEYS", &keys), ("VITE_X", key)]);
    assert_eq!(found, one(ReadinessRule::SecretExposed));
    let found = broken(&[("COURSEGATE_RETRIES", "many"), ("VITE_X", secret)]);
    assert_eq!(
        found,
        BTreeSet::from([ReadinessRule::SettingWrong, ReadinessRule::SecretExposed])
    );
    let found = broken(&[("NEXT_PUBLIC_IK_APP_SECRET", "whatever")]);
    assert_eq!(found, one(ReadinessRule::SecretExposed));
    for (name, value) in [
        ("NEXT_PUBLIC_CONFIG", r#"{"key":"AnotherMadeUpKey"}"#),
        ("VITE_SECRETARY", "Thandi"),
        ("PUBLIC_TRIKE_SECRET", "whatever"),
    ] {
        assert_eq!(broken(&[(name, value)]), BTreeSet::new(), "{name}");
    }
}

#[cfg(feature = "encryption")]
#[test]
fn a_body_key_that_can_be_guessed_is_named() {
    let of = |key: &str| {
        let keys = format!("march={key}");
        broken(&[("COURSEGATE_BODY_KEYS", &keys)])
    };
    for key in [
        "0000000000000000000000000000000000000000000000000000000000000001",
        "abababababababababababababababababababababababababababababababab",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(of(key), one(ReadinessRule::BodyKeyUniform), "{key}");
    }
    for key in [
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "1F1E1D1C1B1A191817161514131211100F0E0D0C0B0A09080706050403020100",
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f",
        "000306090c0f1215181b1e2124272a2d303336393c3f4245484b4e5154575a5d",
        "00010203040506070809101112131415161718192021222324252627282930ff",
        "0000000100020003000400050006000700080009000a000b000c000d000e000f",
        "0010000000110000001200000013000000140000001500000016000000170000",
        "6162636465666768696a6b6c6d6e6f707172737475767778797a303132333435",
    ] {
        let found = of(key);
        let named = found.contains(&ReadinessRule::BodyKeyCounter)
            || found.contains(&ReadinessRule::BodyKeyUniform);
        assert!(named && found.len() == 1, "{key}: {found:?}");
    }
    let secret = &good()[SECRET];
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let base64 = "VGhpc0lzTm9SZWFsS2V5QnV0T25seUZvclRlc3Rpbmc=";
    let made = [
        hex(secret.as_bytes()),
        hex(secret.as_bytes()).to_uppercase(),
        hex(&hex(secret.as_bytes()).as_bytes()[..32]),
        hex(&base64.as_bytes()[..32]),
        hex(good()["IKHOKHA_APP_ID"].as_bytes()),
        // SHA-256 of the secret.
        hex(&sha256(secret)),
    ];
    for key in made {
        let found = of(&key);
        assert!(
            found.contains(&ReadinessRule::BodyKeyIsSecret),
            "{key}: {found:?}"
        );
    }
    // Behind a good key, and made of a secret that was the current one.
    let good_key = "5f1c9e0b7a3d48e2961f0c5b8d27a4e3c96b10f7d8452ae19b3c6d0f7e81a254";
    let old = "AnotherMadeUpKeyNobodyEverUsed12";
    let keys = format!("march={good_key},may={}", hex(old.as_bytes()));
    let secrets = format!("old={old}");
    let found = broken(&[
        ("COURSEGATE_BODY_KEYS", &keys),
        ("IKHOKHA_WEBHOOK_SECRETS", &secrets),
    ]);
    let both = BTreeSet::from([
        ReadinessRule::BodyKeyIsSecret,
        ReadinessRule::SecretsOverlap,
    ]);
    assert_eq!(found, both);
    assert_eq!(of(good_key), BTreeSet::new());
}

#[cfg(feature = "encryption")]
fn sha256(text: &str) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(text).into()
}

#[test]
fn an_old_secret_reminds_of_its_rotation() {
    let since = "IKHOKHA_APP_SECRET_SINCE";
    assert_eq!(
        broken(&[(since, "2001-02-03")]),
        one(ReadinessRule::SecretOld)
    );
    for wrong in [
        "yesterday",
        "2026-02-30",
        "31-03-2026",
        "2026-3",
        "20260331",
    ] {
        assert_eq!(
            broken(&[(since, wrong)]),
            one(ReadinessRule::SettingWrong),
            "{wrong}"
        );
    }
    let report = |days: Option<i64>, mode| -> Report {
        let variables = environment(&good());
        let mut config = Config::from_environment(&variables).unwrap();
        config.secret_since = days.map(|days| (start() - Duration::days(days)).date_naive());
        config.mode = mode;
        builder(config)
            .clock(TestClock::at(start()))
            .check(&variables)
    };
    // Days old, whether it is old, and whether its age is unknown.
    for (days, old, unknown) in [
        (None, false, true),
        (Some(0), false, false),
        (Some(365), false, false),
        (Some(366), true, false),
        (Some(4000), true, false),
        (Some(-1), false, false),
        (Some(-2), false, true),
    ] {
        let report = report(days, Mode::Live);
        let found = (
            report.has(ReadinessRule::SecretOld),
            report.has(ReadinessRule::SecretAgeUnknown),
        );
        assert_eq!(found, (old, unknown), "{days:?}");
    }
    let staging = report(Some(4000), Mode::Staging);
    assert!(
        !staging.has(ReadinessRule::SecretOld) && !staging.has(ReadinessRule::SecretAgeUnknown)
    );
}

/// A server that runs for long is reminded too.
#[tokio::test]
async fn a_secret_grows_old_while_the_server_runs() {
    let mut config = support::config();
    config.secret_since = Some(start().date_naive() - Duration::days(364));
    let world = support::World::with(Settings::new(1), config, |builder| builder);
    let old = || {
        let findings = world.registrar.running_findings();
        let of_age = findings
            .into_iter()
            .filter(|it| it.rule == ReadinessRule::SecretOld);
        of_age.collect::<Vec<_>>()
    };
    assert_eq!(old(), []);
    world.advance(2 * 24 * 3600);
    let findings = old();
    assert_eq!(findings.len(), 1);
    let text = findings[0].to_string();
    assert!(text.contains("It is 366 days old."), "{text}");
}

/// A host with this certificate.
#[derive(Debug)]
struct Shown(Result<Option<Certificate>, WebError>);

#[async_trait::async_trait]
impl CertificateProbe for Shown {
    async fn certificate(&self, url: &str) -> Result<Option<Certificate>, WebError> {
        assert_eq!(url, support::config().site.callback_url);
        self.0.clone()
    }
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_named() {
    let world = support::World::new();
    let found = async |shown: Result<Option<Certificate>, WebError>| {
        let findings = world.registrar.probe_certificate(&Shown(shown)).await;
        findings
            .iter()
            .map(|finding| finding.rule)
            .collect::<Vec<_>>()
    };
    let in_days = |days: i64, is_trusted: bool| {
        let ends = start() + Duration::days(days);
        Ok(Some(Certificate { ends, is_trusted }))
    };
    for (days, rules) in [
        (90, &[][..]),
        (22, &[]),
        (21, &[ReadinessRule::CertificateEnding]),
        (1, &[ReadinessRule::CertificateEnding]),
        (0, &[ReadinessRule::CertificateOver]),
        (-5, &[ReadinessRule::CertificateOver]),
    ] {
        assert_eq!(found(in_days(days, true)).await, rules, "{days}");
        let over = days <= 0;
        let untrusted = [if over {
            ReadinessRule::CertificateOver
        } else {
            ReadinessRule::CallbackUnreachable
        }];
        assert_eq!(found(in_days(days, false)).await, untrusted, "{days}");
    }
    // Plain http, which another rule is about.
    assert_eq!(found(Ok(None)).await, []);
    let error = Err(WebError("no connection".to_owned()));
    assert_eq!(found(error).await, [ReadinessRule::CallbackUnreachable]);
    let soon = Shown(in_days(20, true));
    let text = world.registrar.probe_certificate(&soon).await[0].to_string();
    let date = (start() + Duration::days(20))
        .format("%Y-%m-%d")
        .to_string();
    assert!(text.contains(&date), "{text}");
}
