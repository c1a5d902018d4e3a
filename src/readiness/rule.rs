use serde::Serialize;

use crate::vocabulary::string_enum;

/// How much stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingLevel {
    /// Worth knowing.
    Info,
    /// Should be mended soon.
    Warning,
    /// No real money before it is mended.
    Critical,
}

string_enum!(FindingLevel {
    Info => "info",
    Warning => "warning",
    Critical => "critical",
});

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Keys and the application id.
    Credentials,
    /// Variables and the machine.
    Environment,
    /// Who may do what, and see what.
    Security,
    /// Settings, rules and parts.
    Configuration,
    /// What to do before, during and after going live, and to go back.
    Deployment,
}

string_enum!(Category {
    Credentials => "credentials",
    Environment => "environment",
    Security => "security",
    Configuration => "configuration",
    Deployment => "deployment",
});

/// What a rule says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct About {
    /// How much it stands in the way when it is broken.
    pub level: FindingLevel,
    /// What it is about.
    pub category: Category,
    /// Why it matters.
    pub explanation: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $word:literal $level:ident $category:ident $explanation:literal $remedy:literal;)*) => {
        /// A rule of the report. Its word stays the same from version to version.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ReadinessRule {
            $(#[doc = $explanation] $name),*
        }

        string_enum!(ReadinessRule { $($name => $word),* });

        impl ReadinessRule {
            /// What the rule says of itself.
            pub fn about(&self) -> About {
                match self {
                    $(Self::$name => About {
                        level: FindingLevel::$level,
                        category: Category::$category,
                        explanation: $explanation,
                        remedy: $remedy,
                    }),*
                }
            }
        }
    };
}

rules! {
    SecretShort "secret_short" Critical Credentials
        "The secret is so short that it can be guessed: the provider's have 32 characters."
        "Copy the whole application secret from the provider's dashboard.";
    SecretUniform "secret_uniform" Critical Credentials
        "The secret repeats a few characters: no generated one does."
        "Copy the application secret from the provider's dashboard.";
    SecretWalk "secret_walk" Critical Credentials
        "The credential counts, or walks along a keyboard: a person typed it, and anybody can guess it."
        "Copy your own from the provider's dashboard.";
    SecretIsAppId "secret_is_app_id" Critical Credentials
        "The secret is the application id, which every callback names: anybody can sign with it."
        "Copy the application secret from the provider's dashboard; the id is another field there.";
    CredentialQuoted "credential_quoted" Critical Credentials
        "The credential has quotes around it: they were kept, and the provider knows it without them."
        "Set the variable again without quotes; some files of variables keep them.";
    SecretPlaceholder "secret_placeholder" Critical Credentials
        "The credential is a placeholder, or from an example."
        "Copy your own from the provider's dashboard.";
    SecretLeaked "secret_leaked" Critical Credentials
        "The credential is published in somebody's code: anybody can sign callbacks with it."
        "Make a new application in the provider's dashboard, and use its secret.";
    SecretOld "secret_old" Warning Credentials
        "The secret is more than a year old: each year more people and backups have it."
        "Make a new one in the provider's dashboard, keep the old one in IKHOKHA_WEBHOOK_SECRETS until no callback was signed with it for a day, and set IKHOKHA_APP_SECRET_SINCE to the new one's date.";
    SecretAgeUnknown "secret_age_unknown" Info Credentials
        "It is not known when the secret was made: nothing reminds you to make a new one after a year."
        "Set IKHOKHA_APP_SECRET_SINCE to the date on which it was made.";
    SecretShape "secret_shape" Warning Credentials
        "The provider's secrets are 32 letters and digits in mixed case; this one is not."
        "Compare it with the dashboard; a character may have been lost.";
    AppIdShape "app_id_shape" Warning Credentials
        "The provider's application ids are IK and 30 upper-case letters or digits; this one is not."
        "Compare it with the dashboard; a character may have been lost.";
    SecretShared "secret_shared" Info Credentials
        "One secret signs both calls and callbacks: this provider has no other way."
        "There is nothing to change, but whoever has the secret can do both: keep it well.";
    SecretsOverlap "secrets_overlap" Info Credentials
        "More than one secret is accepted on callbacks: a rotation is under way."
        "Drop the old one once no callback has been signed with it for a day.";
    OldSecretUsed "old_secret_used" Warning Credentials
        "Callbacks are still signed with a secret that is not the current one."
        "Wait until links made with the old secret are paid before you drop it.";
    SettingWrong "setting_wrong" Critical Environment
        "A setting is missing or wrong."
        "Set it as the finding says.";
    SecretExposed "secret_exposed" Critical Environment
        "A secret stands in a variable that build tools copy into pages: every visitor can read it."
        "Take it out, build the pages again, and make a new secret: this one is no secret any more.";
    TestMode "test_mode" Critical Environment
        "The mode is test: no real money moves."
        "Set COURSEGATE_MODE to live, or unset it.";
    StagingMode "staging_mode" Warning Environment
        "The mode is staging: no real money moves, credentials are not judged, and whoever reaches the simulator gets access without paying."
        "Give it a database of its own, which no real school uses; for real money unset COURSEGATE_MODE.";
    ValuePadded "value_padded" Warning Environment
        "A value has white space around it. It is ignored here, but other programs may not ignore it."
        "Set the variable again without it.";
    ValueQuoted "value_quoted" Warning Environment
        "A value has quotes around it, which count as part of it."
        "Set the variable again without quotes: Docker's `--env-file`, for one, keeps them.";
    VariableUnknown "variable_unknown" Warning Environment
        "A variable looks like a setting, but there is no setting of that name: it changes nothing."
        "Compare its name with the list of settings.";
    ClockSkewed "clock_skewed" Warning Environment
        "This machine's clock and the database's differ by more than five seconds."
        "Synchronise both clocks, with NTP for example.";
    ClockWrong "clock_wrong" Critical Environment
        "This machine's clock and the database's differ by more than a minute: expiry and leases go wrong."
        "Synchronise both clocks, with NTP for example.";
    PlainHttp "plain_http" Critical Security
        "An address is plain http: anybody on the way can read and change what is sent."
        "Use https.";
    ApiHostOther "api_host_other" Critical Security
        "The host of the API address is not exactly the provider's: somebody else would be asked about payments."
        "Unset IKHOKHA_API_URL, or set it to `https://api.ikhokha.com/public-api/v1/api`.";
    StagingProvider "staging_provider" Critical Security
        "The mode is staging, and the provider may be a real one: it is not on this machine or its own network, so that real money could move."
        "Set IKHOKHA_API_URL to the address of a simulator, such as `http://127.0.0.1:8081/public-api/v1/api`, and make the client with `IkhokhaClient::from_config`.";
    AddressUnreadable "address_unreadable" Critical Configuration
        "An address cannot be read, or has port 0: nobody can reach it."
        "Write it like `https://school.co.za/payments/ikhokha`.";
    AddressExample "address_example" Critical Configuration
        "An address has a name that is reserved for examples: it is not yours."
        "Set it to your site's public name.";
    AddressTunnel "address_tunnel" Critical Security
        "An address is that of a tunnel to a developer's machine: when the tunnel ends, somebody else may get its name, and what is sent there."
        "Set it to your site's public name.";
    CallbackPathOdd "callback_path_odd" Critical Configuration
        "Programs read the path of the callback address in different ways (`//`, quotes, brackets, a `%` that escapes nothing): the provider may sign another path, or a proxy may pass on another one."
        "Use plain segments of letters, digits and `-`, such as `/payments/ikhokha`.";
    CallbackPathRewritten "callback_path_rewritten" Warning Configuration
        "The path of the callback address is not written as it stands in a URL (`/a/../b`, spaces, letters with accents): the provider is given, and signs, the form that it has in a URL."
        "Route the path that `Site::callback_path` gives, or use plain segments of letters, digits and `-`, such as `/payments/ikhokha`.";
    PageWithoutReference "page_without_reference" Warning Configuration
        "The page that learners come back to does not learn which payment it is about: it cannot ask whether that payment arrived."
        "Put `{reference}` into COURSEGATE_SUCCESS_URL, and call `Registrar::refresh_payment` with it on that page.";
    ApiPathOther "api_path_other" Critical Configuration
        "The API address does not have the provider's path: the provider would not know any call."
        "Unset IKHOKHA_API_URL, or set it to `https://api.ikhokha.com/public-api/v1/api`.";
    ApiAddressUnused "api_address_unused" Warning Configuration
        "The client asks another address than the settings name."
        "Make the client with `IkhokhaClient::from_config`, so that it uses the settings.";
    CallbackNotPublic "callback_not_public" Critical Security
        "The callback address cannot be reached from outside: no callback of the provider would arrive."
        "Set it to your site's public name.";
    CallbackWithQuery "callback_with_query" Critical Security
        "The callback address has a query, which the provider does not sign."
        "Put what you need into the path.";
    PageElsewhere "page_elsewhere" Warning Security
        "A page that learners come back to is not on your site."
        "Check that the page is yours; a page on your own site is better.";
    UnverifiedAsks "unverified_asks" Warning Security
        "This server asks the provider about callbacks with a wrong signature, so that strangers can cause calls."
        "Find out what breaks the signatures, mend it, and then unset COURSEGATE_ON_UNVERIFIED, or set it to refuse.";
    SignatureAlone "signature_alone" Warning Security
        "A signature alone approves: whoever has the secret can let anybody in."
        "Unset COURSEGATE_MINIMUM_EVIDENCE, and give the builder a gateway with `RegistrarBuilder::gateway`.";
    RolesMissing "roles_missing" Warning Security
        "Whoever the host makes an admin may do everything: approve, refund, and give access."
        "Say who may do what with `RegistrarBuilder::permissions`.";
    BodyKeyUniform "body_key_uniform" Critical Credentials
        "A key for stored bodies repeats a few characters: no generated one does."
        "Make one with `openssl rand -hex 32`, put it first, and keep the old one behind it.";
    BodyKeyCounter "body_key_counter" Critical Credentials
        "A key for stored bodies counts: no generated one does."
        "Make one with `openssl rand -hex 32`, put it first, and keep the old one behind it.";
    BodyKeyIsSecret "body_key_is_secret" Critical Credentials
        "A key for stored bodies is made of the application secret or id: whoever knows that reads the bodies too."
        "Make one with `openssl rand -hex 32`, put it first, and keep the old one behind it.";
    BodyKeyMissing "body_key_missing" Critical Credentials
        "Callbacks that wait are encrypted with a key that is not configured: they cannot be handled."
        "Add the missing key to COURSEGATE_BODY_KEYS, behind the one that is to encrypt.";
    BodiesPlain "bodies_plain" Info Security
        "Bodies of callbacks are stored as they came: whoever reads the database reads them."
        "Set COURSEGATE_BODY_KEYS (feature `encryption`), unless the disk is encrypted and that is enough.";
    BodiesForever "bodies_forever" Info Security
        "Bodies of callbacks are kept for ever: the law may ask you to keep personal data no longer than needed."
        "Set COURSEGATE_KEEP_BODIES_DAYS to as long as you may be asked about a payment.";
    UnknownApproved "unknown_approved" Warning Security
        "The rules take a payment of unknown method for a card: it may be approved without a person."
        "Set the fallback of the rules to `Fallback::ManualApproval`, unless this is what you want.";
    TimeoutOdd "timeout_odd" Warning Configuration
        "A pay link may take less than ten seconds or more than a minute: learners see errors, or wait for long."
        "Unset COURSEGATE_TIMEOUT_MS for the usual 45 seconds.";
    DeadlineLong "deadline_long" Warning Configuration
        "A callback may take longer than ten seconds to answer: the sender may have given up by then."
        "Unset COURSEGATE_DEADLINE_MS for the usual 5 seconds.";
    RetriesOff "retries_off" Warning Configuration
        "A look-up at the provider that fails is not tried again."
        "Unset COURSEGATE_RETRIES for the usual 3.";
    BodyLarge "body_large" Warning Configuration
        "Strangers may make this server read large bodies: the provider's callbacks have less than 1 KiB."
        "Unset COURSEGATE_MAX_BODY_BYTES for the usual 64 KiB.";
    ReconciliationOff "reconciliation_off" Warning Configuration
        "Money and access are never compared: a learner who paid and has no access is not found."
        "Unset COURSEGATE_RECONCILE_EVERY_HOURS for once a day.";
    HistorySyncOff "history_sync_off" Warning Configuration
        "The provider's history is never looked through: money by lost links is not found."
        "Unset COURSEGATE_SYNC_HISTORY_EVERY_HOURS for once a day.";
    BankMissing "bank_missing" Info Configuration
        "Bank transfers are not offered."
        "Set the four COURSEGATE_BANK_ settings to offer them.";
    RuleDead "rule_dead" Warning Configuration
        "A detection rule reads a field that the provider never sends: it can never match."
        "Take the rule out, or read another field.";
    TestDouble "test_double" Critical Configuration
        "A part is meant for tests only."
        "Give the builder a real one: `PgStore`, `IkhokhaClient`, `SystemClock`, a publisher of your own or of this crate.";
    GatewayMissing "gateway_missing" Warning Configuration
        "There is no gateway: pay links cannot be made, and payments cannot be confirmed."
        "Give the builder an `IkhokhaClient` with `RegistrarBuilder::gateway`.";
    PublisherMissing "publisher_missing" Info Configuration
        "Nothing is published: pages do not change by themselves."
        "Give the builder a `Hub`, the announcer of `PgStore::announcer`, or a `NatsBus` with `RegistrarBuilder::publisher`.";
    AlertsUnheard "alerts_unheard" Warning Configuration
        "Critical alerts go to the log only: nobody is called when payments fail at night."
        "Give the builder a sink with `RegistrarBuilder::alert_sink`, such as a `WebhookSink`, on an `AlertRoute` that takes them.";
    ChannelMissing "channel_missing" Warning Configuration
        "No notification channel: admins hear of transfers that wait only when they look, and learners of nothing."
        "Give the builder a channel with `RegistrarBuilder::channel`.";
    MetricsOff "metrics_off" Warning Configuration
        "Nothing is measured: the feature `metrics` is off, or no recorder is installed."
        "Turn the feature on, and install a recorder before the report is made, such as that of the crate metrics-exporter-prometheus.";
    WorkerMissing "worker_missing" Warning Configuration
        "In the last three minutes no process of this installation was seen to run a worker: nothing expires, is retried, published or added to the audit log."
        "Run `Registrar::worker` in one process at least.";
    NotProbed "not_probed" Warning Configuration
        "This part was not tried: it may be out of reach, or lack something."
        "Make the report with `RegistrarBuilder::probe`, and let it try everything.";
    StoreUnreachable "store_unreachable" Critical Configuration
        "The database does not answer."
        "Start it, and compare the address, the user and the password.";
    StoreDefective "store_defective" Critical Configuration
        "The database lacks something that keeps money and access right."
        "Run `PgStore::migrate`. What is still missing then was dropped by somebody: restore it from the schema file.";
    ProviderUnreachable "provider_unreachable" Critical Configuration
        "The provider does not answer, or puts this call off."
        "Check that this machine may make https calls to it, and try again.";
    ProviderAnswers "provider_answers" Info Configuration
        "The provider answers a question about a payment that nobody made, and accepts these credentials."
        "There is nothing to do.";
    ProviderAnswersOddly "provider_answers_oddly" Warning Configuration
        "The provider gives an unusual answer to a question about a payment that nobody made. Some providers do."
        "Compare the API address; then pay a small sum of your own, and see that it is confirmed.";
    MethodDeclared "method_declared" Info Security
        "The provider tells no method: a payment that was declared as card and paid by EFT is approved when the provider confirms it, like a card. Its cause says that the card was declared."
        "There is nothing to do if you rely on every payment that the provider confirms; otherwise set `StandardPolicy::approve_cards` to false, and approve by hand.";
    ProviderRefuses "provider_refuses" Critical Credentials
        "The provider answers, and refuses these credentials."
        "Compare the application id and the secret with the dashboard.";
    CallbackUnreachable "callback_unreachable" Critical Configuration
        "A signed callback to your own address does not arrive: the provider's would not arrive either."
        "Open the address from outside; compare the route, the proxy and the certificate.";
    CertificateEnding "certificate_ending" Warning Security
        "The certificate of your callback address ends within 21 days: then no callback arrives."
        "Renew it, and find out why that did not happen by itself.";
    CertificateOver "certificate_over" Critical Security
        "The certificate of your callback address is over: no callback arrives."
        "Renew it, and find out why that did not happen by itself.";
    LiveSilent "live_silent" Warning Configuration
        "Changes do not arrive at the live streams: pages do not change by themselves."
        "Run `Registrar::worker`, and give the builder the `Hub`, or the announcer or bus that the hub hears.";
    CallbackUnchecked "callback_unchecked" Critical Security
        "Your callback address accepts a wrong signature: whatever answers there is not this crate."
        "Route the address to `Registrar::receive` with the raw body.";
    BeforeDeployment "before_deployment" Info Deployment
        "Before: back up the database, run `PgStore::migrate`, keep the last version and its settings at hand."
        "Do it, and note who did.";
    DuringDeployment "during_deployment" Info Deployment
        "During: start one new instance, make this report with `RegistrarBuilder::probe` there, then replace the others one by one."
        "Old and new instances may share the database while you do.";
    AfterDeployment "after_deployment" Info Deployment
        "After: pay a real course of R 5 by card and one by EFT, see the course open, refund both, and look at the admin page's problems."
        "The provider has no test mode: real money is the only test.";
    Rollback "rollback" Info Deployment
        "To go back: start the last version with its settings. Callbacks that come meanwhile wait in the inbox, or the provider is asked about their payments."
        "Keep accepting the last secret until no link made with it is open.";
}
