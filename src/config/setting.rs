//! Every setting there is, in one table.

use serde::Serialize;

use super::Config;

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
        $(pub(super) const $name: Setting = Setting {
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
        "the application's name at the provider";
    APP_SECRET "IKHOKHA_APP_SECRET" "app_secret" None, "the application secret from the provider's dashboard",
        "what calls are signed with; callbacks that are signed with it are accepted";
    SECRET_SINCE "IKHOKHA_APP_SECRET_SINCE" "app_secret_since" Some("none"), "a date, such as 2026-03-31",
        "when the application secret was made; after a year the report reminds you to make a new one";
    WEBHOOK_SECRETS "IKHOKHA_WEBHOOK_SECRETS" "webhook_secrets" Some("none"),
        "up to seven more secrets with commas between them, each perhaps as label=secret",
        "what else is accepted on callbacks: the next secret before a rotation, the last one after it";
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
    MODE "COURSEGATE_MODE" "mode" Some("live"), "live, staging or test",
        "what kind of installation it is: staging is production with a simulator for a provider; test is for trying things out, and never ready";
    TIMEOUT "COURSEGATE_TIMEOUT_MS" "timeout_ms" Some("45000"), "1000 to 120000 (milliseconds)",
        "how long the provider may take to make a pay link";
    RETRIES "COURSEGATE_RETRIES" "retries" Some("3"), "0 to 10",
        "how often a look-up at the provider is tried again";
    RETRY_DELAY "COURSEGATE_RETRY_DELAY_MS" "retry_delay_ms" Some("2000"), "1 to 3600000 (milliseconds)",
        "how long an undecided callback waits before it is tried again; doubles each time";
    RETRY_LIMIT "COURSEGATE_RETRY_LIMIT" "retry_limit" Some("12"), "1 to 100",
        "how often an undecided callback is tried before it is given up on";
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
    DUAL_APPROVAL "COURSEGATE_DUAL_APPROVAL_ABOVE" "dual_approval_above" Some("never"), "0 to 100000000 (cents)",
        "the price above which two people approve an enrollment";
    APPROVAL_SLA "COURSEGATE_APPROVAL_SLA_HOURS" "approval_sla_hours" Some("72"), "1 to 720 (hours)",
        "how long an enrollment may wait for a person before the auditor says so";
    PARKED "COURSEGATE_PARKED_ALERT_MINUTES" "parked_alert_minutes" Some("60"), "1 to 43200 (minutes)",
        "how old a callback that matches nothing is when an alert says so";
    RECONCILE "COURSEGATE_RECONCILE_EVERY_HOURS" "reconcile_every_hours" Some("24"), "0 to 720 (hours; 0 is never)",
        "how often money and access are compared";
    SYNC_HISTORY "COURSEGATE_SYNC_HISTORY_EVERY_HOURS" "sync_history_every_hours" Some("24"), "0 to 720 (hours; 0 is never)",
        "how often the provider's history is looked through";
    BODY_KEYS "COURSEGATE_BODY_KEYS" "body_keys" Some("none"),
        "label=key, or several with commas between them; a key is 64 hexadecimal digits",
        "what stored bodies of callbacks are encrypted with: the first key encrypts, all of them decrypt";
    KEEP_BODIES "COURSEGATE_KEEP_BODIES_DAYS" "keep_bodies_days" Some("0"), "0 to 3650 (days; 0 is for ever)",
        "how long the bodies of settled callbacks are kept";
    SYNC_HISTORY_DAYS "COURSEGATE_SYNC_HISTORY_DAYS" "sync_history_days" Some("3"), "1 to 30 (days)",
        "how many days of the provider's history are looked through";
}
