//! The names that people use for settings that are called otherwise here.

use super::environment::Environment;
use super::problem::ConfigError;
use super::setting::{
    API_URL, APP_ID, APP_SECRET, CALLBACK_URL, CANCEL_URL, FAILURE_URL, MODE, SITE_URL,
    SUCCESS_URL, Setting,
};

/// Words that say whose settings these are, or of which machine, and not which.
const VENDOR: [&str; 4] = ["IKHOKHA", "IK", "IKPAY", "COURSEGATE"];
const NOISE: [&str; 12] = [
    "PAY",
    "PAYMENT",
    "PAYMENTS",
    "GATEWAY",
    "LIVE",
    "PROD",
    "PRODUCTION",
    "SANDBOX",
    "TEST",
    "DEV",
    "MERCHANT",
    "PUBLIC",
];
/// What is left of a name then. The provider calls them application key and application secret in
/// some places, id and secret in others; its headers are IK-APPID and IK-SIGN.
const NAMES: [(Setting, &[&str]); 9] = [
    (
        APP_ID,
        &[
            "API_KEY",
            "APIKEY",
            "APP_KEY",
            "APPKEY",
            "APP_ID",
            "APPID",
            "APP_KEY_ID",
            "API_ID",
            "API_KEY_ID",
            "APPLICATION_ID",
            "APPLICATION_KEY",
            "APPLICATION_KEY_ID",
            "CLIENT_ID",
            "CLIENT_KEY",
            "ID",
            "KEY",
            "KEY_ID",
            "ENTITY_ID",
            "ACCESS_KEY",
            "ACCESS_KEY_ID",
        ],
    ),
    (
        APP_SECRET,
        &[
            "SECRET",
            "SECRETKEY",
            "SECRET_KEY",
            "APP_SECRET",
            "APPSECRET",
            "APP_SECRET_KEY",
            "APP_KEY_SECRET",
            "API_SECRET",
            "APISECRET",
            "API_SECRET_KEY",
            "API_KEY_SECRET",
            "APPLICATION_SECRET",
            "APPLICATION_SECRET_KEY",
            "APPLICATION_KEY_SECRET",
            "CLIENT_SECRET",
            "KEY_SECRET",
            "PRIVATE_KEY",
            "SIGN_SECRET",
            "SIGN_KEY",
            "SIGNING_KEY",
            "SIGNING_SECRET",
            "SIGNATURE_SECRET",
            "SIGNATURE_KEY",
            "HMAC_KEY",
            "HMAC_SECRET",
            "WEBHOOK_SECRET",
            "WEBHOOK_KEY",
            "CALLBACK_SECRET",
        ],
    ),
    (
        API_URL,
        &[
            "API_BASE_URL",
            "API_BASE",
            "BASE_URL",
            "API_URL",
            "API_HOST",
            "API_ENDPOINT",
            "ENDPOINT",
            "ENDPOINT_URL",
            "HOST",
            "URL",
        ],
    ),
    (
        CALLBACK_URL,
        &[
            "CALLBACK_URL",
            "CALLBACK",
            "WEBHOOK_URL",
            "WEBHOOK",
            "NOTIFY_URL",
            "NOTIFICATION_URL",
            "IPN_URL",
            "HOOK_URL",
        ],
    ),
    (
        SUCCESS_URL,
        &[
            "SUCCESS_URL",
            "SUCCESS_PAGE_URL",
            "SUCCESS_PAGE",
            "RETURN_URL",
            "REDIRECT_URL",
            "PAID_URL",
            "SUCCESS_REDIRECT_URL",
            "THANK_YOU_URL",
        ],
    ),
    (
        FAILURE_URL,
        &[
            "FAILURE_URL",
            "FAILURE_PAGE_URL",
            "FAILURE_PAGE",
            "FAIL_URL",
            "FAILED_URL",
            "ERROR_URL",
            "FAILURE_REDIRECT_URL",
        ],
    ),
    (
        CANCEL_URL,
        &[
            "CANCEL_URL",
            "CANCEL_PAGE_URL",
            "CANCEL_PAGE",
            "CANCELLED_URL",
            "CANCELED_URL",
            "CANCEL_REDIRECT_URL",
        ],
    ),
    (
        SITE_URL,
        &[
            "SITE_URL",
            "REQUESTER_URL",
            "WEBSITE_URL",
            "WEBSITE",
            "APP_URL",
            "FRONTEND_URL",
            "PUBLIC_URL",
            "BASE_SITE_URL",
        ],
    ),
    (MODE, &["MODE", "ENV", "ENVIRONMENT"]),
];
/// Names that programs other than this one use all the time.
const COMMON: [&str; 10] = [
    "ID",
    "KEY",
    "URL",
    "HOST",
    "ENV",
    "ENVIRONMENT",
    "MODE",
    "ENDPOINT",
    "CALLBACK",
    "WEBHOOK",
];

/// The setting that people mean by a name which is none; `None` where nobody can tell.
pub(crate) fn meant(name: &str) -> Option<&'static Setting> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    let is_ours = |word: &&str| VENDOR.contains(word);
    let vendor = name.split('_').any(|word| is_ours(&word));
    let left: Vec<&str> = name.split('_').filter(|word| !is_ours(word)).collect();
    let bare: Vec<&str> = left
        .iter()
        .copied()
        .filter(|word| !NOISE.contains(word))
        .collect();
    let found = named(&left.join("_"), vendor).or_else(|| named(&bare.join("_"), vendor))?;
    Setting::ALL
        .iter()
        .find(|setting| setting.variable == found)
}

fn named(name: &str, vendor: bool) -> Option<&'static str> {
    if !vendor && COMMON.contains(&name) {
        return None;
    }
    let known = NAMES.iter().find(|(_, names)| names.contains(&name));
    known.map(|(setting, _)| setting.variable)
}

impl ConfigError {
    /// Adds what stands under another name to the remedies of what is not set.
    pub(super) fn hinted(mut self, environment: &Environment) -> Self {
        for problem in &mut self.problems {
            if environment.get(&problem.setting).is_some() {
                continue;
            }
            let names = environment.iter().filter(|(name, value)| {
                let is_it = meant(name).is_some_and(|setting| setting.variable == problem.setting);
                let known = Setting::ALL.iter().any(|setting| setting.variable == *name);
                is_it && !known && value.is_some_and(|value| !value.trim().is_empty())
            });
            let names: Vec<&str> = names.map(|(name, _)| name).take(3).collect();
            if !names.is_empty() {
                let said = format!(
                    " {} is set: if that is what you mean, call it {}.",
                    names.join(" or "),
                    problem.setting
                );
                problem.remedy.push_str(&said);
            }
        }
        self
    }
}
