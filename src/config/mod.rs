//! How an installation is set up.

mod environment;
mod hint;
mod problem;
mod reader;
mod setting;
mod settings;
mod site;

use chrono::NaiveDate;
use std::fmt;
use std::time::Duration;

use crate::enrollment::EnrollmentPolicy;
use crate::vocabulary::{AppId, EvidenceLevel, Secret, string_enum};
use crate::webhook::{BodyKeys, KeyRing, Verifier};

pub use environment::Environment;
pub(crate) use hint::meant;
pub use problem::{ConfigError, ConfigProblem};
pub use setting::Setting;
pub use site::{Site, UrlError};

/// Where a bank transfer goes; shown to the learner as the host wrote it.
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct BankDetails {
    /// Name of the account's holder.
    pub account_holder: String,
    /// Name of the bank.
    pub bank: String,
    /// Account number.
    pub account_number: String,
    /// Branch code.
    pub branch_code: String,
}

impl fmt::Debug for BankDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BankDetails")
            .field("bank", &self.bank)
            .finish_non_exhaustive()
    }
}

/// What a callback with a wrong signature leads to. Either way it is answered with 401, and
/// nothing it says is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnverified {
    /// An event, and nothing else.
    Refuse,
    /// If it names an attempt that we know and that is open, the provider is asked about that
    /// soon; at most 30 times a minute in all. For an installation whose signatures break on
    /// the way, behind a proxy for example.
    AskProvider,
}

string_enum!(OnUnverified {
    Refuse => "refuse",
    AskProvider => "ask_provider",
});

/// Whether real money moves. The provider itself has no test mode that works: only the
/// simulator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Live,
    /// It cannot: everything is as in production but the provider, which has to be a simulator on
    /// this machine or its own network. A provider that may be a real one is refused.
    Staging,
    /// It does not: for trying things out. Never ready for production.
    Test,
}

string_enum!(Mode {
    Live => "live",
    Staging => "staging",
    Test => "test",
});

/// How often the provider is asked, and when it is left alone. Its own limits are not
/// published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderLimits {
    /// Failures in a row after which it is left alone (default 5).
    pub failures: u32,
    /// For how long at first (default 30 s); twice as long after each try that fails, up to
    /// five minutes.
    pub pause: Duration,
    /// Look-ups a second for visitors of the return page (default 10; ten seconds' worth of them at
    /// once). Visitors of one payment share a look-up, and an answer for two seconds.
    pub visits_per_second: u32,
    /// Pay links a second, with the look-ups they need (default 20; as above).
    pub links_per_second: u32,
    /// Look-ups a second for callbacks and admins (default 20; as above).
    pub callbacks_per_second: u32,
    /// Calls a second that nobody waits for: reconciliation and the history sync (default 5; as
    /// above).
    pub background_per_second: u32,
    /// How often a look-up that failed is tried again (default 3); give it to the client.
    pub retries: u32,
}

impl Default for ProviderLimits {
    fn default() -> Self {
        Self {
            failures: 5,
            pause: Duration::from_secs(30),
            visits_per_second: 10,
            links_per_second: 20,
            callbacks_per_second: 20,
            background_per_second: 5,
            retries: 3,
        }
    }
}

/// The settings of a registrar.
///
/// ```
/// use coursegate::{AppId, Config, Secret, Site};
///
/// let config = Config::new(
///     AppId::new("IKTESTAPP")?,
///     Secret::new("test-secret-0123456789abcdef")?,
///     Site {
///         callback_url: "https://school.example/payments/ikhokha".into(),
///         success_url: "https://school.example/paid/{reference}".into(),
///         failure_url: "https://school.example/failed/{reference}".into(),
///         cancel_url: None,
///         requester_url: "https://school.example".into(),
///     },
/// )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The application id.
    pub app_id: AppId,
    /// The secrets accepted on callbacks, the current one first. At most eight.
    pub keys: KeyRing,
    /// The host's pages.
    pub site: Site,
    /// Where the provider's API is; give it to the client. Default: [`Config::API_URL`].
    pub api_url: String,
    /// Whether real money moves (default: it does).
    pub mode: Mode,
    /// The evidence an approval needs at least. Default: [`EvidenceLevel::Confirmed`] with a
    /// gateway, [`EvidenceLevel::Signed`] without.
    pub minimum_evidence: Option<EvidenceLevel>,
    /// Largest body of a callback, in bytes (default 65,536).
    pub max_body: usize,
    /// How long any call may take (default 5 s).
    pub deadline: Duration,
    /// How long a callback waits for the provider's answer (default 3 s). Must be
    /// below `deadline`, so that the delivery can still be stored.
    pub provider_wait: Duration,
    /// How long the provider may take to make a pay link (default 45 s).
    pub link_wait: Duration,
    /// Where bank transfers go; without it they cannot be chosen.
    pub bank: Option<BankDetails>,
    /// What holds for every enrollment: when the provider is asked about it, when it
    /// expires, and what becomes of payment exceptions.
    pub rules: EnrollmentPolicy,
    /// How often the provider is asked, and when it is left alone.
    pub provider: ProviderLimits,
    /// What a callback with a wrong signature leads to (default: nothing).
    pub on_unverified: OnUnverified,
    /// Age at which a parked delivery is alerted (default 1 h).
    pub parked_alert: Duration,
    /// How long an enrollment may wait for a person before the auditor says so (default 3 days).
    pub approval_sla: Duration,
    /// How often the worker compares money and access (default once a day; `None` never).
    pub reconcile_every: Option<Duration>,
    /// How often the worker looks through the provider's history for money that nobody here
    /// knows of (default once a day; `None` never).
    pub sync_history_every: Option<Duration>,
    /// How often new events are added to the audit log (default every 5 s; `None` never).
    pub audit_log_every: Option<Duration>,
    /// What stored bodies of callbacks are encrypted with (default: they are kept as they came).
    pub body_keys: BodyKeys,
    /// How long the bodies of settled callbacks are kept (default: for ever). Everything else
    /// about them stays.
    pub keep_bodies: Option<Duration>,
    /// When the application secret was made (default: not known). Readiness reminds of its rotation
    /// after a year.
    pub secret_since: Option<NaiveDate>,
    /// How many days back it looks (default 3).
    pub sync_history_days: u32,
    /// Wait before an undecided delivery is tried again; doubles each time (default 2 s).
    pub retry_delay: Duration,
    /// Longest such wait (default 1 h).
    pub retry_delay_max: Duration,
    /// Tries after which an undecided delivery is given up on (default 12).
    pub retry_limit: u32,
}

impl Config {
    /// Settings with the usual defaults. The secret is accepted under the label `primary`.
    ///
    /// # Errors
    /// [`UrlError`] when one of the site's addresses cannot be right.
    pub fn new(app_id: AppId, secret: Secret, site: Site) -> Result<Self, UrlError> {
        site.check()?;
        Ok(Self::with_keys(
            app_id,
            KeyRing::new("primary", secret),
            site,
        ))
    }

    /// The provider's API (official example repository `ikhokha/ik-pay-api-examples`).
    pub const API_URL: &'static str = "https://api.ikhokha.com/public-api/v1/api";

    fn with_keys(app_id: AppId, keys: KeyRing, site: Site) -> Self {
        Self {
            app_id,
            keys,
            site,
            api_url: Self::API_URL.to_owned(),
            mode: Mode::Live,
            minimum_evidence: None,
            max_body: Verifier::DEFAULT_MAX_BODY,
            deadline: Duration::from_secs(5),
            provider_wait: Duration::from_secs(3),
            link_wait: Duration::from_secs(45),
            bank: None,
            rules: EnrollmentPolicy::default(),
            provider: ProviderLimits::default(),
            on_unverified: OnUnverified::Refuse,
            parked_alert: Duration::from_secs(3600),
            approval_sla: Duration::from_secs(3 * 24 * 3600),
            reconcile_every: Some(Duration::from_secs(24 * 3600)),
            sync_history_every: Some(Duration::from_secs(24 * 3600)),
            audit_log_every: Some(Duration::from_secs(5)),
            body_keys: BodyKeys::default(),
            keep_bodies: None,
            secret_since: None,
            sync_history_days: 3,
            retry_delay: Duration::from_secs(2),
            retry_delay_max: Duration::from_secs(3600),
            retry_limit: 12,
        }
    }

    /// Accepts one more secret on callbacks: the next one before a rotation, or the
    /// last one after it.
    #[must_use]
    pub fn also_accept(mut self, label: impl AsRef<str>, secret: Secret) -> Self {
        self.keys = self.keys.and(label, secret);
        self
    }

    /// Offers bank transfers to this account.
    #[must_use]
    pub fn bank(mut self, bank: BankDetails) -> Self {
        self.bank = Some(bank);
        self
    }

    /// Sets the evidence an approval needs at least.
    #[must_use]
    pub fn minimum_evidence(mut self, evidence_level: EvidenceLevel) -> Self {
        self.minimum_evidence = Some(evidence_level);
        self
    }
}
