//! Settings by name: from the environment, or from a file that the host reads with serde.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::environment::Environment;
use super::hint::meant;
use super::problem::ConfigError;
use super::reader::{Reader, refused};
use super::setting::{
    API_URL, APP_ID, APP_SECRET, APPROVAL_SLA, BANK_ACCOUNT, BANK_BRANCH, BANK_HOLDER, BANK_NAME,
    BODY_KEYS, CALLBACK_URL, CANCEL_URL, DEADLINE, DUAL_APPROVAL, EVIDENCE, FAILURE_URL,
    KEEP_BODIES, MAX_BODY, MODE, PARKED, PROVIDER_WAIT, RECONCILE, REFUND, RETRIES, RETRY_DELAY,
    RETRY_LIMIT, SECRET_SINCE, SITE_URL, SUCCESS_URL, SYNC_HISTORY, SYNC_HISTORY_DAYS, Setting,
    TIMEOUT, TRANSFER, UNPAID, UNVERIFIED, WEBHOOK_SECRETS,
};
use super::{BankDetails, Config, Mode, OnUnverified, Site, UrlError};
use crate::vocabulary::AppId;
use crate::vocabulary::EvidenceLevel;
#[cfg(feature = "encryption")]
use crate::vocabulary::Secret;
use crate::vocabulary::Title;
#[cfg(feature = "encryption")]
use crate::webhook::BodyError;
use crate::webhook::{BodyKeys, KeyRing};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// A sum that is above all sums.
const NEVER: u64 = u64::MAX;

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
                Some(found.map_err(|_| "is not readable text"))
            },
            |setting| setting.variable,
        )
        .map_err(|error| error.hinted(environment))
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
            let meant = meant(key).map(|setting| format!("did you mean {}? ", setting.key));
            return Err(serde::de::Error::custom(format!(
                "there is no setting {}; {}there are {}",
                crate::vocabulary::Note::new(key.chars().take(40).collect::<String>()).as_str(),
                meant.unwrap_or_default(),
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
        let remedy = format!(
            "Lower it, or raise {}: a callback that waits for the provider must still be stored in time.",
            (reader.name)(&DEADLINE)
        );
        reader.wrong(&PROVIDER_WAIT, "is not below the deadline", remedy);
    }
    let max_body = reader.number(&MAX_BODY, 1024..=1_048_576, 65_536);
    let minimum_evidence = reader.word::<EvidenceLevel>(&EVIDENCE);
    if minimum_evidence == Some(EvidenceLevel::Unsigned) {
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
    let dual_approval = reader.number(&DUAL_APPROVAL, 0..=100_000_000, NEVER);
    let approval_sla = reader.number(&APPROVAL_SLA, 1..=720, 72);
    let parked = reader.number(&PARKED, 1..=43_200, 60);
    let reconcile_every = reader.every(&RECONCILE, 720, 24, HOUR);
    let sync_history_every = reader.every(&SYNC_HISTORY, 720, 24, HOUR);
    let body_keys = body_keys(&mut reader);
    let keep_bodies = reader.every(&KEEP_BODIES, 3650, 0, DAY);
    let secret_since = reader.day(&SECRET_SINCE);
    let sync_history_days = reader.number(&SYNC_HISTORY_DAYS, 1..=30, 3);

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
    config.rules.dual_approval_above = i64::try_from(dual_approval).ok();
    config.approval_sla = Duration::from_secs(approval_sla * HOUR);
    config.parked_alert = Duration::from_secs(parked * 60);
    config.reconcile_every = reconcile_every;
    config.sync_history_every = sync_history_every;
    config.body_keys = body_keys;
    config.keep_bodies = keep_bodies;
    config.secret_since = secret_since;
    config.sync_history_days = small(sync_history_days);
    Ok(config)
}

/// What stored bodies are encrypted with.
fn body_keys<'f, F>(reader: &mut Reader<'f, F>) -> BodyKeys
where
    F: Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
{
    let mut keys = BodyKeys::default();
    let Some(text) = reader.text(&BODY_KEYS) else {
        return keys;
    };
    #[cfg(not(feature = "encryption"))]
    {
        let _ = (text, &mut keys);
        let remedy = "Build with the feature `encryption` of coursegate, or unset it.";
        reader.wrong(&BODY_KEYS, "needs a feature that is off", remedy);
    }
    #[cfg(feature = "encryption")]
    for item in text.split(',') {
        let (label, key) = item.split_once('=').unwrap_or_default();
        let added = match Secret::new(key) {
            Ok(key) => keys.clone().and(label.trim(), &key),
            Err(_) => Err(BodyError::NotAKey),
        };
        match added {
            Ok(more) => keys = more,
            Err(BodyError::BadLabel) => {
                let remedy = "A label is 1 to 32 letters, digits, - and _; each key has its own.";
                reader.wrong(
                    &BODY_KEYS,
                    "has a label that cannot be one, or twice",
                    remedy,
                );
            }
            Err(_) => {
                let remedy = "Make one with `openssl rand -hex 32`, and write label=key.";
                reader.wrong(&BODY_KEYS, "holds something that is no key", remedy);
            }
        }
    }
    keys
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
        let remedy = "Take out the oldest.";
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
