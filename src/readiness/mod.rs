//! Whether an installation may handle real money, and what to do about what stands in the way.
//!
//! [`check`] looks at the settings and the environment, and asks nobody. A
//! [`RegistrarBuilder`](crate::registrar::RegistrarBuilder) also knows the parts: its `check`
//! and `probe` make the report that its `production` wants, and a registrar without test doubles
//! is made in no other way.
//!
//! ```
//! use coursegate::{Config, Environment, readiness};
//!
//! let environment = Environment::of_process();
//! let report = match Config::from_environment(&environment) {
//!     Ok(config) => readiness::check(&config, &environment),
//!     Err(error) => readiness::unusable(&error, &environment),
//! };
//! println!("{report}");
//! assert!(!report.ready, "no settings are set here");
//! ```
//!
#![doc = include_str!("rules.md")]

pub(crate) mod address;
mod keys;
mod report;
mod rule;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::config::{Config, ConfigError, Environment, Mode, OnUnverified, Setting};
use crate::evidence::Grade;
use crate::reason::words;

/// What may be asked for a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Probe {
    /// The store: whether it answers, has everything that it needs, and the right time.
    Store,
    /// The provider: whether it answers and takes the credentials, by a look-up of a payment
    /// that does not exist.
    Provider,
}

words!(Probe {
    Store => "store",
    Provider => "provider",
});

pub use report::{Finding, Probed, Report};
pub use rule::{About, Category, Level, Rule};

use report::Fingerprint;

/// Days after which a secret is due for a rotation.
const A_YEAR: i64 = 365;
/// Build tools copy variables that begin like this into pages.
const EXPOSED: [&str; 9] = [
    "VITE_",
    "NEXT_PUBLIC_",
    "REACT_APP_",
    "PUBLIC_",
    "NUXT_PUBLIC_",
    "EXPO_PUBLIC_",
    "VUE_APP_",
    "GATSBY_",
    "STORYBOOK_",
];
/// Variables that begin like settings, and are something else of ours.
const OTHERS: [&str; 1] = ["COURSEGATE_DEMO_KEY"];

/// Looks at the settings and the environment they came from; asks nobody.
pub fn check(config: &Config, environment: &Environment) -> Report {
    let findings = findings(config, environment);
    Report::new(findings, Some(config.mode), Some(fingerprint(config)))
}

/// The report of settings that could not be read at all.
pub fn unusable(error: &ConfigError, environment: &Environment) -> Report {
    let wrong = error.problems.iter().map(|problem| {
        Finding::new(Rule::SettingWrong)
            .about(&problem.setting)
            .saying(format_args!(
                "It {}; expected: {}.",
                problem.what, problem.expected
            ))
            .doing(&problem.remedy)
    });
    let mut findings: Vec<Finding> = wrong.collect();
    findings.extend(variables(environment, &[]));
    findings.extend(checklist());
    Report::new(findings, None, None)
}

/// What is found without knowing the parts.
pub(crate) fn findings(config: &Config, environment: &Environment) -> Vec<Finding> {
    let mut findings = credentials(config);
    let secrets: Vec<&str> = config.keys.texts().map(|(_, secret)| secret).collect();
    findings.extend(variables(environment, &secrets));
    let mode = match config.mode {
        Mode::Live => None,
        Mode::Staging => Some(Rule::StagingMode),
        Mode::Test => Some(Rule::TestMode),
    };
    findings.extend(mode.map(|rule| Finding::new(rule).about("COURSEGATE_MODE")));
    findings.extend(address::findings(config));
    findings.extend(settings(config));
    findings.extend(checklist());
    findings
}

fn credentials(config: &Config) -> Vec<Finding> {
    let mut findings = match config.mode {
        // A simulator's are made up.
        Mode::Staging => Vec::new(),
        Mode::Live | Mode::Test => credentials_of_provider(config),
    };
    findings.extend(secret_age(config, Utc::now()));
    let overlap = config.keys.texts().count() > 1;
    findings.push(Finding::new(match overlap {
        true => Rule::SecretsOverlap,
        false => Rule::SecretShared,
    }));
    findings
}

/// Whether the secret is due for a rotation.
pub(crate) fn secret_age(config: &Config, now: DateTime<Utc>) -> Option<Finding> {
    let rule = match config.secret_since {
        None => Rule::SecretAgeUnknown,
        Some(since) if (now.date_naive() - since).num_days() > A_YEAR => Rule::SecretOld,
        Some(_) => return None,
    };
    Some(Finding::new(rule).about("COURSEGATE_SECRET_SINCE"))
}

fn credentials_of_provider(config: &Config) -> Vec<Finding> {
    let mut findings = keys::app_id(config.app_id.as_str(), "IKHOKHA_APP_ID");
    for (label, secret) in config.keys.texts() {
        let is_app_id = secret.eq_ignore_ascii_case(config.app_id.as_str());
        let subject = match label {
            "primary" => "IKHOKHA_APP_SECRET".to_owned(),
            label => format!("IKHOKHA_WEBHOOK_SECRETS, {label}"),
        };
        if is_app_id {
            findings.push(Finding::new(Rule::SecretIsAppId).about(&subject));
        }
        findings.extend(keys::secret(secret, &subject));
    }
    findings
}

/// Variables that should not be there, or not like that.
fn variables(environment: &Environment, secrets: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, value) in environment.iter() {
        let value = value.unwrap_or_default();
        let trimmed = value.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let upper = name.to_ascii_uppercase();
        let exposed = EXPOSED.iter().any(|prefix| upper.starts_with(prefix));
        let named = upper.contains("IKHOKHA") && upper.contains("SECRET")
            || upper.contains("COURSEGATE_BODY_KEY");
        // As it is, in quotes, or inside JSON.
        let holds = secrets.iter().any(|secret| trimmed.contains(secret));
        if exposed && !trimmed.is_empty() && (named || holds) {
            findings.push(Finding::new(Rule::SecretExposed).about(shown(name)));
        }
        let ours = name.starts_with("IKHOKHA_") || name.starts_with("COURSEGATE_");
        if !ours || OTHERS.contains(&name) {
            continue;
        }
        match Setting::ALL.iter().find(|setting| setting.variable == name) {
            Some(_) if value != trimmed && !trimmed.is_empty() => {
                findings.push(Finding::new(Rule::ValuePadded).about(name));
            }
            Some(_) => {}
            None => {
                let finding = Finding::new(Rule::VariableUnknown).about(shown(name));
                findings.push(match meant(name).or_else(|| nearest(name)) {
                    Some(near) => finding.doing(format!("Did you mean {near}?")),
                    None => finding,
                });
            }
        }
    }
    findings
}

/// A name that somebody else chose: it may be long, or hold anything.
fn shown(name: &str) -> String {
    let plain = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_');
    plain.take(64).collect()
}

/// The setting that people mean by a name that others use for it.
fn meant(name: &str) -> Option<&'static str> {
    let (app_id, secret) = ("IKHOKHA_APP_ID", "IKHOKHA_APP_SECRET");
    Some(match name {
        "IKHOKHA_API_KEY"
        | "IKHOKHA_APP_KEY"
        | "IKHOKHA_KEY"
        | "IKHOKHA_ID"
        | "IKHOKHA_APPLICATION_ID"
        | "IKHOKHA_APPLICATION_KEY"
        | "IKHOKHA_APPLICATION_KEY_ID"
        | "IKHOKHA_CLIENT_ID"
        | "IKHOKHA_MERCHANT_ID" => app_id,
        "IKHOKHA_SECRET"
        | "IKHOKHA_API_SECRET"
        | "IKHOKHA_SECRET_KEY"
        | "IKHOKHA_APPLICATION_SECRET"
        | "IKHOKHA_APPLICATION_KEY_SECRET"
        | "IKHOKHA_CLIENT_SECRET"
        | "IKHOKHA_SIGN_SECRET"
        | "IKHOKHA_APP_SIGN_SECRET" => secret,
        "IKHOKHA_URL"
        | "IKHOKHA_BASE_URL"
        | "IKHOKHA_ENDPOINT"
        | "IKHOKHA_API_ENDPOINT"
        | "IKHOKHA_API_BASE_URL" => "IKHOKHA_API_URL",
        "IKHOKHA_CALLBACK_URL" | "IKHOKHA_WEBHOOK_URL" | "COURSEGATE_WEBHOOK_URL" => {
            "COURSEGATE_CALLBACK_URL"
        }
        "IKHOKHA_SUCCESS_URL" | "IKHOKHA_RETURN_URL" | "COURSEGATE_RETURN_URL" => {
            "COURSEGATE_SUCCESS_URL"
        }
        "IKHOKHA_FAILURE_URL" | "IKHOKHA_FAIL_URL" => "COURSEGATE_FAILURE_URL",
        "IKHOKHA_CANCEL_URL" => "COURSEGATE_CANCEL_URL",
        "IKHOKHA_MODE" | "IKHOKHA_ENV" | "IKHOKHA_ENVIRONMENT" | "COURSEGATE_ENV" => {
            "COURSEGATE_MODE"
        }
        _ => return None,
    })
}

/// The setting whose name is at most three letters away.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.as_bytes();
    let distance = |setting: &Setting| {
        let other = setting.variable.as_bytes();
        let mut row: Vec<usize> = (0..=other.len()).collect();
        for (i, a) in name.iter().enumerate() {
            let mut before = row[0];
            row[0] = i + 1;
            for (j, b) in other.iter().enumerate() {
                let change = before + usize::from(a != b);
                before = row[j + 1];
                row[j + 1] = change.min(row[j] + 1).min(before + 1);
            }
        }
        row[other.len()]
    };
    if name.len() > 64 {
        return None;
    }
    let best = Setting::ALL
        .iter()
        .min_by_key(|setting| distance(setting))?;
    (distance(best) <= 3).then_some(best.variable)
}

/// Settings that work, and are not wise.
fn settings(config: &Config) -> Vec<Finding> {
    let usual = Duration::from_secs(10)..=Duration::from_secs(60);
    let broken = [
        (
            !usual.contains(&config.link_wait),
            Rule::TimeoutOdd,
            "COURSEGATE_TIMEOUT_MS",
        ),
        (
            config.deadline > Duration::from_secs(10),
            Rule::DeadlineLong,
            "COURSEGATE_DEADLINE_MS",
        ),
        (
            config.provider.retries == 0,
            Rule::RetriesOff,
            "COURSEGATE_RETRIES",
        ),
        (
            config.max_body > 256 * 1024,
            Rule::BodyLarge,
            "COURSEGATE_MAX_BODY_BYTES",
        ),
        (
            config.audit_every.is_none(),
            Rule::AuditOff,
            "COURSEGATE_AUDIT_EVERY_HOURS",
        ),
        (
            config.sweep_every.is_none(),
            Rule::SweepOff,
            "COURSEGATE_SWEEP_EVERY_HOURS",
        ),
        (
            config.body_keys.is_empty(),
            Rule::BodiesPlain,
            "COURSEGATE_BODY_KEYS",
        ),
        (
            config.body_keys.is_uniform(),
            Rule::BodyKeyUniform,
            "COURSEGATE_BODY_KEYS",
        ),
        (
            config.body_keys.is_guessable(&config.keys),
            Rule::BodyKeyGuessable,
            "COURSEGATE_BODY_KEYS",
        ),
        (
            config.keep_bodies.is_none(),
            Rule::BodiesForever,
            "COURSEGATE_KEEP_BODIES_DAYS",
        ),
        (
            config.bank.is_none(),
            Rule::BankMissing,
            "COURSEGATE_BANK_HOLDER",
        ),
        (
            config
                .minimum_evidence
                .is_some_and(|grade| grade < Grade::Confirmed),
            Rule::SignatureAlone,
            "COURSEGATE_MINIMUM_EVIDENCE",
        ),
        (
            config.on_unverified == OnUnverified::AskProvider,
            Rule::UnverifiedAsks,
            "COURSEGATE_ON_UNVERIFIED",
        ),
    ];
    let broken = broken.into_iter().filter(|(broken, ..)| *broken);
    broken
        .map(|(_, rule, subject)| Finding::new(rule).about(subject))
        .collect()
}

/// What no program can see.
fn checklist() -> [Finding; 4] {
    [
        Rule::BeforeDeployment,
        Rule::DuringDeployment,
        Rule::AfterDeployment,
        Rule::Rollback,
    ]
    .map(Finding::new)
}

/// Which settings a report was made for.
pub(crate) fn fingerprint(config: &Config) -> Fingerprint {
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update(text.len().to_le_bytes());
        digest.update(text);
    };
    add(config.app_id.as_str());
    let labels: BTreeSet<(&str, &str)> = config.keys.texts().collect();
    for (label, secret) in labels {
        add(label);
        add(secret);
    }
    // Everything else has a `Debug` that shows it; credentials and bank details hide themselves.
    add(&format!("{config:?}"));
    digest.finalize().into()
}
