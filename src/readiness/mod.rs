//! Whether an installation may handle real money, and what to do about what stands in the way.
//!
//! [`check`] looks at the settings and the environment, and asks nobody. A
//! [`RegistrarBuilder`](crate::registrar::RegistrarBuilder) also knows the parts: its `check`
//! and `probe` make the report that its `build_production` wants, and a registrar without test doubles
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
pub(crate) mod age;
mod body_keys;
mod exposed;
mod keys;
mod report;
mod rule;
mod walk;

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::config::{Config, ConfigError, Environment, Mode, OnUnverified, Setting, meant};
use crate::vocabulary::EvidenceLevel;

pub use report::{LiveCheck, Probed, ReadinessFinding, Report};
pub use rule::{About, Category, FindingLevel, ReadinessRule};

use report::Fingerprint;

/// Variables that begin like settings, and are something else of ours.
const OTHERS: [&str; 1] = ["COURSEGATE_DEMO_KEY"];
/// Variables that hold secrets.
const SECRETS: [&str; 3] = [
    "IKHOKHA_APP_SECRET",
    "IKHOKHA_WEBHOOK_SECRETS",
    "COURSEGATE_BODY_KEYS",
];

/// Looks at the settings and the environment they came from; asks nobody.
pub fn check(config: &Config, environment: &Environment) -> Report {
    let findings = findings(config, environment, Utc::now());
    Report::new(findings, Some(config.mode), Some(fingerprint(config)))
}

/// The report of settings that could not be read at all.
pub fn unusable(error: &ConfigError, environment: &Environment) -> Report {
    let wrong = error.problems.iter().map(|problem| {
        ReadinessFinding::new(ReadinessRule::SettingWrong)
            .about(&problem.setting)
            .saying(format_args!(
                "It {}; expected: {}.",
                problem.what, problem.expected
            ))
            .doing(&problem.remedy)
    });
    let mut findings: Vec<ReadinessFinding> = wrong.collect();
    findings.extend(variables(environment, &[]));
    findings.extend(checklist());
    Report::new(findings, None, None)
}

/// What is found without knowing the parts.
pub(crate) fn findings(
    config: &Config,
    environment: &Environment,
    now: DateTime<Utc>,
) -> Vec<ReadinessFinding> {
    let mut findings = credentials(config);
    findings.extend(age::findings(config, now));
    let secrets: Vec<&str> = config.keys.texts().map(|(_, secret)| secret).collect();
    for finding in variables(environment, &secrets) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    let mode = match config.mode {
        Mode::Live => None,
        Mode::Staging => Some(ReadinessRule::StagingMode),
        Mode::Test => Some(ReadinessRule::TestMode),
    };
    findings.extend(mode.map(|rule| ReadinessFinding::new(rule).about("COURSEGATE_MODE")));
    findings.extend(address::findings(config));
    findings.extend(body_keys::findings(config));
    findings.extend(settings(config));
    findings.extend(checklist());
    findings
}

fn credentials(config: &Config) -> Vec<ReadinessFinding> {
    let mut findings = match config.mode {
        // A simulator's are made up.
        Mode::Staging => Vec::new(),
        Mode::Live | Mode::Test => credentials_of_provider(config),
    };
    let overlap = config.keys.texts().count() > 1;
    findings.push(ReadinessFinding::new(match overlap {
        true => ReadinessRule::SecretsOverlap,
        false => ReadinessRule::SecretShared,
    }));
    findings
}

fn credentials_of_provider(config: &Config) -> Vec<ReadinessFinding> {
    let mut findings = keys::app_id(config.app_id.as_str(), "IKHOKHA_APP_ID");
    for (label, secret) in config.keys.texts() {
        let subject = match label {
            "primary" => "IKHOKHA_APP_SECRET".to_owned(),
            label => format!("IKHOKHA_WEBHOOK_SECRETS, {label}"),
        };
        findings.extend(keys::secret(secret, config.app_id.as_str(), &subject));
    }
    findings
}

/// Variables that should not be there, or not like that.
fn variables(environment: &Environment, secrets: &[&str]) -> Vec<ReadinessFinding> {
    let mut findings = Vec::new();
    let mut secrets = secrets.to_vec();
    secrets.extend(secrets_in(environment));
    for (name, value) in environment.iter() {
        let value = value.unwrap_or_default();
        let trimmed = value.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if exposed::is_exposed(name, trimmed, &secrets) {
            findings.push(ReadinessFinding::new(ReadinessRule::SecretExposed).about(shown(name)));
        }
        let ours = name.starts_with("IKHOKHA_") || name.starts_with("COURSEGATE_");
        if !ours || OTHERS.contains(&name) {
            continue;
        }
        let known = Setting::ALL.iter().any(|setting| setting.variable == name);
        if known && keys::is_quoted(trimmed) {
            let rule = match SECRETS.contains(&name) || name == "IKHOKHA_APP_ID" {
                true => ReadinessRule::CredentialQuoted,
                false => ReadinessRule::ValueQuoted,
            };
            findings.push(ReadinessFinding::new(rule).about(name));
        }
        match Setting::ALL.iter().find(|setting| setting.variable == name) {
            Some(_) if value != trimmed && !trimmed.is_empty() => {
                findings.push(ReadinessFinding::new(ReadinessRule::ValuePadded).about(name));
            }
            Some(_) => {}
            None => {
                let finding =
                    ReadinessFinding::new(ReadinessRule::VariableUnknown).about(shown(name));
                // One letter is a slip; more may be another name.
                let found = nearest(name, 1)
                    .or_else(|| meant(name).map(|setting| setting.variable))
                    .or_else(|| nearest(name, 3));
                findings.push(match found {
                    Some(near) => finding.doing(format!("Did you mean {near}?")),
                    None => finding,
                });
            }
        }
    }
    findings
}

/// What stands in the variables for secrets, whether or not the settings can be read. A label may
/// stand before each.
fn secrets_in(environment: &Environment) -> impl Iterator<Item = &str> {
    let values = SECRETS
        .iter()
        .filter_map(|name| environment.get(name)?.ok());
    let items = values.flat_map(|value| value.split(','));
    let trimmed = items.map(|item| match item.split_once('=') {
        Some((_, secret)) if !secret.trim_matches('=').is_empty() => secret,
        _ => item,
    });
    let bare = |c: char| c.is_whitespace() || keys::QUOTES.contains(&c);
    trimmed
        .map(move |item| item.trim_matches(bare))
        .filter(|item| !item.is_empty())
}

/// A name that somebody else chose: it may be long, or hold anything.
fn shown(name: &str) -> String {
    let plain = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_');
    plain.take(64).collect()
}

/// The setting whose name is at most so many letters away.
fn nearest(name: &str, most: usize) -> Option<&'static str> {
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
    (distance(best) <= most).then_some(best.variable)
}

/// Settings that work, and are not wise.
fn settings(config: &Config) -> Vec<ReadinessFinding> {
    let usual = Duration::from_secs(10)..=Duration::from_secs(60);
    let broken = [
        (
            !usual.contains(&config.link_wait),
            ReadinessRule::TimeoutOdd,
            "COURSEGATE_TIMEOUT_MS",
        ),
        (
            config.deadline > Duration::from_secs(10),
            ReadinessRule::DeadlineLong,
            "COURSEGATE_DEADLINE_MS",
        ),
        (
            config.provider.retries == 0,
            ReadinessRule::RetriesOff,
            "COURSEGATE_RETRIES",
        ),
        (
            config.max_body > 256 * 1024,
            ReadinessRule::BodyLarge,
            "COURSEGATE_MAX_BODY_BYTES",
        ),
        (
            config.reconcile_every.is_none(),
            ReadinessRule::ReconciliationOff,
            "COURSEGATE_RECONCILE_EVERY_HOURS",
        ),
        (
            config.sync_history_every.is_none(),
            ReadinessRule::HistorySyncOff,
            "COURSEGATE_SYNC_HISTORY_EVERY_HOURS",
        ),
        (
            config.body_keys.is_empty(),
            ReadinessRule::BodiesPlain,
            "COURSEGATE_BODY_KEYS",
        ),
        (
            config.keep_bodies.is_none(),
            ReadinessRule::BodiesForever,
            "COURSEGATE_KEEP_BODIES_DAYS",
        ),
        (
            config.bank.is_none(),
            ReadinessRule::BankMissing,
            "COURSEGATE_BANK_HOLDER",
        ),
        (
            config
                .minimum_evidence
                .is_some_and(|evidence_level| evidence_level < EvidenceLevel::Confirmed),
            ReadinessRule::SignatureAlone,
            "COURSEGATE_MINIMUM_EVIDENCE",
        ),
        (
            config.on_unverified == OnUnverified::AskProvider,
            ReadinessRule::UnverifiedAsks,
            "COURSEGATE_ON_UNVERIFIED",
        ),
    ];
    let broken = broken.into_iter().filter(|(broken, ..)| *broken);
    broken
        .map(|(_, rule, subject)| ReadinessFinding::new(rule).about(subject))
        .collect()
}

/// What no program can see.
fn checklist() -> [ReadinessFinding; 4] {
    [
        ReadinessRule::BeforeDeployment,
        ReadinessRule::DuringDeployment,
        ReadinessRule::AfterDeployment,
        ReadinessRule::Rollback,
    ]
    .map(ReadinessFinding::new)
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
