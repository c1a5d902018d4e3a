//! Settings by name: from the environment, or from a file that the host reads with serde.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};

use super::environment::Environment;
use super::{BankDetails, Config, Mode, OnUnverified, Site, UrlError, path_of};
use crate::evidence::Grade;
use crate::ids::Title;
use crate::secret::{AppId, Secret, SecretError};
use crate::webhook::KeyRing;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// A sum that is above all sums.
const NEVER: u64 = u64::MAX;

/// One setting: what it is called, and what may stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// The environment variable.
    pub variable: &'static str,
    /// The key in a file.
    pub key: &'static str,
    /// What is expected.
    pub expected: &'static str,
    /// What holds when it is not set; `None` where it has to be.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
}

macro_rules! settings {
    ($($name:ident $variable:literal $key:literal $default:expr, $expected:literal, $about:literal;)*) => {
        $(const $name: Setting = Setting {
            variable: $variable,
            key: $key,
            expected: $expected,
            default: $default,
            about: $about,
        };)*

        impl Setting {
            /// Every setting there is.
            pub const ALL: &'static [Self] = &[$($name),*];
        }
    };
}

settings! {
    APP_ID "IKHOKHA_APP_ID" "app_id" None, "the application id from the provider's dashboard",
        "names the application to the provider";
    APP_SECRET "IKHOKHA_APP_SECRET" "app_secret" None, "the application secret from the provider's dashboard",
        "signs calls, and is accepted on callbacks";
    WEBHOOK_SECRETS "IKHOKHA_WEBHOOK_SECRETS" "webhook_secrets" Some("none"),
        "up to seven more secrets with commas between them, each perhaps as label=secret",
        "also accepted on callbacks: the next secret before a rotation, the last one after it";
    API_URL "IKHOKHA_API_URL" "api_url" Some(Config::API_URL), "an https address",
        "where the provider's API is";
    CALLBACK_URL "COURSEGATE_CALLBACK_URL" "callback_url" None, "a public https address without a query",
        "where the provider sends its callbacks";
    SUCCESS_URL "COURSEGATE_SUCCESS_URL" "success_url" None, "an https address; {reference} becomes the payment's",
        "where the learner goes after paying";
    FAILURE_URL "COURSEGATE_FAILURE_URL" "failure_url" None, "an https address; {reference} becomes the payment's",
        "where the learner goes after a failure";
    CANCEL_URL "COURSEGATE_CANCEL_URL" "cancel_url" Some("none"), "an https address; {reference} becomes the payment's",
        "where the learner goes after giving up";
    SITE_URL "COURSEGATE_SITE_URL" "site_url" None, "an https address",
        "the site that asks for the payment";
    MODE "COURSEGATE_MODE" "mode" Some("live"), "live or test",
        "test is for trying things out, and never ready for production";
    TIMEOUT "COURSEGATE_TIMEOUT_MS" "timeout_ms" Some("45000"), "1000 to 120000 (milliseconds)",
        "how long the provider may take to make a pay link";
    RETRIES "COURSEGATE_RETRIES" "retries" Some("3"), "0 to 10",
        "how often a look-up at the provider is tried again";
    RETRY_DELAY "COURSEGATE_RETRY_DELAY_MS" "retry_delay_ms" Some("2000"), "1 to 3600000 (milliseconds)",
        "wait before an undecided callback is tried again; doubles each time";
    RETRY_LIMIT "COURSEGATE_RETRY_LIMIT" "retry_limit" Some("12"), "1 to 100",
        "tries after which an undecided callback is given up on";
    DEADLINE "COURSEGATE_DEADLINE_MS" "deadline_ms" Some("5000"), "100 to 60000 (milliseconds)",
        "how long any call may take";
    PROVIDER_WAIT "COURSEGATE_PROVIDER_WAIT_MS" "provider_wait_ms" Some("3000"),
        "50 to 50000 (milliseconds), below the deadline",
        "how long a callback waits for the provider's word";
    MAX_BODY "COURSEGATE_MAX_BODY_BYTES" "max_body_bytes" Some("65536"), "1024 to 1048576 (bytes)",
        "largest body of a callback";
    EVIDENCE "COURSEGATE_MINIMUM_EVIDENCE" "minimum_evidence" Some("confirmed with a gateway, else signed"),
        "signed or confirmed", "the evidence an approval needs at least";
    UNVERIFIED "COURSEGATE_ON_UNVERIFIED" "on_unverified" Some("refuse"), "refuse or ask_provider",
        "what a callback with a wrong signature leads to";
    BANK_HOLDER "COURSEGATE_BANK_HOLDER" "bank_holder" Some("no bank transfers"), "the name of the account's holder",
        "where bank transfers go; all four of these or none";
    BANK_NAME "COURSEGATE_BANK_NAME" "bank_name" Some("no bank transfers"), "the name of the bank",
        "where bank transfers go; all four of these or none";
    BANK_ACCOUNT "COURSEGATE_BANK_ACCOUNT" "bank_account" Some("no bank transfers"), "the account's number",
        "where bank transfers go; all four of these or none";
    BANK_BRANCH "COURSEGATE_BANK_BRANCH" "bank_branch" Some("no bank transfers"), "the branch code",
        "where bank transfers go; all four of these or none";
    UNPAID "COURSEGATE_UNPAID_EXPIRY_DAYS" "unpaid_expiry_days" Some("7"), "0 to 3650 (days; 0 is never)",
        "when an unpaid enrollment expires";
    TRANSFER "COURSEGATE_TRANSFER_EXPIRY_DAYS" "transfer_expiry_days" Some("30"), "0 to 3650 (days; 0 is never)",
        "when a bank transfer that never came expires";
    REFUND "COURSEGATE_REFUND_KEEPING_ACCESS" "refund_keeping_access" Some("0"), "0 to 99 (percent)",
        "how much of a payment may go back before access ends";
    FOUR_EYES "COURSEGATE_FOUR_EYES_ABOVE" "four_eyes_above" Some("never"), "0 to 100000000 (cents)",
        "enrollments that cost more are approved by two people";
    PATIENCE "COURSEGATE_PATIENCE_HOURS" "patience_hours" Some("72"), "1 to 720 (hours)",
        "how long an enrollment may wait for a person before the auditor says so";
    PARKED "COURSEGATE_PARKED_ALERT_MINUTES" "parked_alert_minutes" Some("60"), "1 to 43200 (minutes)",
        "age at which a callback that matches nothing is alerted";
    AUDIT "COURSEGATE_AUDIT_EVERY_HOURS" "audit_every_hours" Some("24"), "0 to 720 (hours; 0 is never)",
        "how often money and access are compared";
    SWEEP "COURSEGATE_SWEEP_EVERY_HOURS" "sweep_every_hours" Some("24"), "0 to 720 (hours; 0 is never)",
        "how often the provider's history is looked through";
    SWEEP_DAYS "COURSEGATE_SWEEP_DAYS" "sweep_days" Some("3"), "1 to 30 (days)",
        "how far back it is looked through";
}

/// What is wrong with one setting. It never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// The variable, or the key in a file.
    pub setting: String,
    /// What is wrong.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            what,
            expected,
            remedy,
        } = self;
        write!(f, "{setting} {what}; expected: {expected}. {remedy}")
    }
}

/// Everything that is wrong with the settings, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.problems))]
#[non_exhaustive]
pub struct ConfigError {
    /// The problems, in the order of [`Setting::ALL`].
    pub problems: Vec<ConfigProblem>,
}

fn listed(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl Config {
    /// Reads the settings from this process's environment. The names are those of
    /// [`Setting::ALL`].
    ///
    /// # Errors
    /// [`ConfigError`] lists every setting that is wrong, and never a value.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_environment(&Environment::of_process())
    }

    /// Reads the settings from an environment.
    ///
    /// # Errors
    /// [`ConfigError`] lists every setting that is wrong, and never a value.
    pub fn from_environment(environment: &Environment) -> Result<Self, ConfigError> {
        read(
            |setting| {
                let found = environment.get(setting.variable)?;
                Some(found.map_err(|_| "is no text"))
            },
            |setting| setting.variable,
        )
    }
}

/// What stands in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(SecretString),
    Number(u64),
    List(Vec<SecretString>),
}

impl Scalar {
    fn text(&self) -> SecretString {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string().into(),
            Self::List(items) => {
                let items: Vec<&str> = items.iter().map(ExposeSecret::expose_secret).collect();
                items.join(",").into()
            }
        }
    }
}

/// From a map with the keys of [`Setting::ALL`]. An unknown key is an error.
impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, Scalar>::deserialize(input)?;
        let known = |key: &str| Setting::ALL.iter().any(|setting| setting.key == key);
        if let Some(key) = map.keys().find(|key| !known(key)) {
            let known: Vec<&str> = Setting::ALL.iter().map(|setting| setting.key).collect();
            return Err(serde::de::Error::custom(format!(
                "there is no setting {}; there are {}",
                crate::reason::Note::new(key.chars().take(40).collect::<String>()).as_str(),
                known.join(", ")
            )));
        }
        let texts: BTreeMap<&str, SecretString> = map
            .iter()
            .map(|(key, value)| (key.as_str(), value.text()))
            .collect();
        let find = |setting: &Setting| Some(Ok(texts.get(setting.key)?.expose_secret()));
        read(find, |setting| setting.key).map_err(serde::de::Error::custom)
    }
}

/// Reads settings one by one, and keeps what is wrong with them.
struct Reader<'f, F> {
    find: F,
    name: fn(&Setting) -> &'static str,
    problems: Vec<ConfigProblem>,
    _found: std::marker::PhantomData<&'f str>,
}

impl<'f, F> Reader<'f, F>
where
    F: Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
{
    fn wrong(&mut self, setting: &Setting, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.push(ConfigProblem {
            setting: (self.name)(setting).to_owned(),
            what: what.into(),
            expected: setting.expected.to_owned(),
            remedy: remedy.into(),
        });
    }

    /// The text of a setting, without white space around it; `None` when it is not set, or
    /// is wrong.
    fn text(&mut self, setting: &Setting) -> Option<&'f str> {
        let required = setting.default.is_none();
        match (self.find)(setting) {
            None if required => {
                self.wrong(
                    setting,
                    "is not set",
                    format!("Set it: it {}.", setting.about),
                );
                None
            }
            None => None,
            Some(Err(what)) => {
                self.wrong(setting, what, "Copy it again, as plain text.");
                None
            }
            Some(Ok(text)) => {
                let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
                if text.is_empty() {
                    let remedy = match required {
                        true => "Set it to a value.",
                        false => "Set it to a value, or unset it for the default.",
                    };
                    self.wrong(setting, "is empty", remedy);
                    return None;
                }
                Some(text)
            }
        }
    }

    fn number(&mut self, setting: &Setting, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(text) = self.text(setting) else {
            return default;
        };
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>() {
            Ok(number) if digits && range.contains(&number) => number,
            Err(_) if !digits => {
                self.wrong(setting, "is not a whole number", "Write digits only.");
                default
            }
            _ => {
                let remedy = match setting.default {
                    Some(default) => format!("The default is {default}."),
                    None => "Write one in range.".to_owned(),
                };
                self.wrong(setting, "is out of range", remedy);
                default
            }
        }
    }

    fn millis(&mut self, setting: &Setting, range: RangeInclusive<u64>, default: u64) -> Duration {
        Duration::from_millis(self.number(setting, range, default))
    }

    /// A time in larger units, of which 0 is never.
    fn every(&mut self, setting: &Setting, most: u64, default: u64, unit: u64) -> Option<Duration> {
        let number = self.number(setting, 0..=most, default);
        (number > 0).then(|| Duration::from_secs(number * unit))
    }

    fn word<T: FromStr>(&mut self, setting: &Setting) -> Option<T> {
        let parsed = self.text(setting)?.parse().ok();
        if parsed.is_none() {
            self.wrong(
                setting,
                "is none of the words",
                "Write one of the words, in lower case.",
            );
        }
        parsed
    }

    fn url(&mut self, setting: &Setting) -> Option<String> {
        let text = self.text(setting)?;
        match path_of(text, "it") {
            Ok(_) => Some(text.to_owned()),
            Err(_) => {
                let remedy =
                    "Write all of it, from https:// on, without credentials or white space.";
                self.wrong(setting, "is no web address", remedy);
                None
            }
        }
    }

    fn secret(&mut self, setting: &Setting, text: &str) -> Option<Secret> {
        match Secret::new(text) {
            Ok(secret) => Some(secret),
            Err(error) => {
                self.wrong(setting, refused(error), "Copy it again from the dashboard.");
                None
            }
        }
    }
}

fn refused(error: SecretError) -> &'static str {
    match error {
        SecretError::Empty { .. } => "is empty",
        SecretError::BadCharacter { .. } => "holds a character that no credential has",
    }
}

/// Reads everything, so that every problem is found at once.
fn read<'f>(
    find: impl Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
    name: fn(&Setting) -> &'static str,
) -> Result<Config, ConfigError> {
    let mut reader = Reader {
        find,
        name,
        problems: Vec::new(),
        _found: std::marker::PhantomData,
    };
    let app_id = reader
        .text(&APP_ID)
        .and_then(|text| match AppId::new(text) {
            Ok(id) => Some(id),
            Err(error) => {
                reader.wrong(&APP_ID, refused(error), "Copy it again from the dashboard.");
                None
            }
        });
    let keys = keys(&mut reader);
    let api_url = reader.url(&API_URL);
    let site = site(&mut reader);
    let mode = reader.word::<Mode>(&MODE);
    let link_wait = reader.millis(&TIMEOUT, 1000..=120_000, 45_000);
    let retries = reader.number(&RETRIES, 0..=10, 3);
    let retry_delay = reader.millis(&RETRY_DELAY, 1..=3_600_000, 2000);
    let retry_limit = reader.number(&RETRY_LIMIT, 1..=100, 12);
    let deadline = reader.millis(&DEADLINE, 100..=60_000, 5000);
    let provider_wait = reader.millis(&PROVIDER_WAIT, 50..=50_000, 3000);
    if provider_wait >= deadline {
        let remedy = "A callback that waits for the provider must still be stored in time.";
        reader.wrong(&PROVIDER_WAIT, "is not below the deadline", remedy);
    }
    let max_body = reader.number(&MAX_BODY, 1024..=1_048_576, 65_536);
    let minimum_evidence = reader.word::<Grade>(&EVIDENCE);
    if minimum_evidence == Some(Grade::Unsigned) {
        reader.wrong(
            &EVIDENCE,
            "would let anybody in",
            "Write signed or confirmed.",
        );
    }
    let on_unverified = reader.word::<OnUnverified>(&UNVERIFIED);
    let bank = bank(&mut reader);
    let unpaid = reader.every(&UNPAID, 3650, 7, DAY);
    let transfer = reader.every(&TRANSFER, 3650, 30, DAY);
    let keeping = reader.number(&REFUND, 0..=99, 0);
    let four_eyes = reader.number(&FOUR_EYES, 0..=100_000_000, NEVER);
    let patience = reader.number(&PATIENCE, 1..=720, 72);
    let parked = reader.number(&PARKED, 1..=43_200, 60);
    let audit_every = reader.every(&AUDIT, 720, 24, HOUR);
    let sweep_every = reader.every(&SWEEP, 720, 24, HOUR);
    let sweep_days = reader.number(&SWEEP_DAYS, 1..=30, 3);

    let problems = reader.problems;
    let (Some(app_id), Some(keys), Some(site), true) = (app_id, keys, site, problems.is_empty())
    else {
        return Err(ConfigError { problems });
    };
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let mut config = Config::with_keys(app_id, keys, site);
    if let Some(url) = api_url {
        config.api_url = url;
    }
    config.mode = mode.unwrap_or(config.mode);
    config.link_wait = link_wait;
    config.provider.retries = small(retries);
    config.retry_delay = retry_delay;
    config.retry_delay_max = config.retry_delay_max.max(retry_delay);
    config.retry_limit = small(retry_limit);
    config.deadline = deadline;
    config.provider_wait = provider_wait;
    config.max_body = usize::try_from(max_body).unwrap_or(config.max_body);
    config.minimum_evidence = minimum_evidence;
    config.on_unverified = on_unverified.unwrap_or(config.on_unverified);
    config.bank = bank;
    config.rules.unpaid_expiry = unpaid;
    config.rules.transfer_expiry = transfer;
    config.rules.refund_keeping_access = u8::try_from(keeping).unwrap_or_default();
    config.rules.four_eyes_above = i64::try_from(four_eyes).ok();
    config.patience = Duration::from_secs(patience * HOUR);
    config.parked_alert = Duration::from_secs(parked * 60);
    config.audit_every = audit_every;
    config.sweep_every = sweep_every;
    config.sweep_days = small(sweep_days);
    Ok(config)
}

/// The current secret, and those accepted beside it.
fn keys<'f, F>(reader: &mut Reader<'f, F>) -> Option<KeyRing>
where
    F: Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
{
    let current = reader.text(&APP_SECRET);
    let current = current.and_then(|text| reader.secret(&APP_SECRET, text));
    let mut further = Vec::new();
    if let Some(text) = reader.text(&WEBHOOK_SECRETS) {
        for (at, item) in text.split(',').enumerate() {
            let (label, secret) = match item.split_once('=') {
                Some((label, secret)) => (label.trim().to_owned(), secret),
                None => (format!("extra-{}", at + 1), item),
            };
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if label.is_empty() || label.len() > 32 || !label.bytes().all(fits) {
                let remedy = "A label is 1 to 32 letters, digits, - and _.";
                reader.wrong(&WEBHOOK_SECRETS, "has a label that cannot be one", remedy);
            } else if label == "primary" || further.iter().any(|(known, _)| *known == label) {
                let remedy =
                    "Give each secret a label of its own; primary is the application secret's.";
                reader.wrong(&WEBHOOK_SECRETS, "has a label twice", remedy);
            } else if let Some(secret) = reader.secret(&WEBHOOK_SECRETS, secret) {
                further.push((label, secret));
            }
        }
    }
    if further.len() > 7 {
        let remedy = "Drop the oldest.";
        reader.wrong(&WEBHOOK_SECRETS, "has more than seven secrets", remedy);
    }
    let ring = KeyRing::new("primary", current?);
    Some(
        further
            .into_iter()
            .fold(ring, |ring, (label, secret)| ring.and(label, secret)),
    )
}

fn site<'f, F>(reader: &mut Reader<'f, F>) -> Option<Site>
where
    F: Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
{
    let callback_url = reader.url(&CALLBACK_URL);
    let success_url = reader.url(&SUCCESS_URL);
    let failure_url = reader.url(&FAILURE_URL);
    let cancel_url = reader.url(&CANCEL_URL);
    let requester_url = reader.url(&SITE_URL);
    let site = Site {
        callback_url: callback_url?,
        success_url: success_url?,
        failure_url: failure_url?,
        cancel_url,
        requester_url: requester_url?,
    };
    match site.check() {
        Ok(()) => Some(site),
        Err(UrlError::CallbackWithQuery) => {
            let remedy = "The provider signs the path only: put what you need into the path.";
            reader.wrong(&CALLBACK_URL, "has a query or a fragment", remedy);
            None
        }
        // Each address was checked by itself.
        Err(UrlError::Invalid { .. }) => None,
    }
}

fn bank<'f, F>(reader: &mut Reader<'f, F>) -> Option<BankDetails>
where
    F: Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
{
    let settings = [BANK_HOLDER, BANK_NAME, BANK_ACCOUNT, BANK_BRANCH];
    let texts = settings.map(|setting| {
        let text = reader.text(&setting)?;
        // It is shown to learners.
        if Title::check(text).is_err() {
            let remedy = "Copy it again, as plain text of at most 300 bytes.";
            reader.wrong(&setting, "is too long, or holds hidden characters", remedy);
            return None;
        }
        Some(text.to_owned())
    });
    if texts.iter().all(Option::is_none) {
        return None;
    }
    for (setting, text) in settings.iter().zip(&texts) {
        let known = (reader.name)(setting);
        let said = reader
            .problems
            .iter()
            .any(|problem| problem.setting == known);
        if text.is_none() && !said {
            let remedy = "Set all four of the bank's settings, or none.";
            reader.wrong(setting, "is not set while others of the bank are", remedy);
        }
    }
    let [account_holder, bank, account_number, branch_code] = texts;
    Some(BankDetails {
        account_holder: account_holder?,
        bank: bank?,
        account_number: account_number?,
        branch_code: branch_code?,
    })
}
