//! How old the secret is.

use chrono::{DateTime, NaiveDate, Utc};

use super::report::ReadinessFinding;
use super::rule::ReadinessRule;
use crate::config::{Config, Mode};

/// After so many days a secret should be exchanged.
const ROTATION: i64 = 365;

/// What the age of the secret comes to.
pub(super) fn findings(config: &Config, now: DateTime<Utc>) -> Vec<ReadinessFinding> {
    let unknown =
        ReadinessFinding::new(ReadinessRule::SecretAgeUnknown).about("IKHOKHA_APP_SECRET_SINCE");
    match config.secret_since {
        _ if config.mode == Mode::Staging => Vec::new(),
        None => vec![unknown],
        // A day may have begun elsewhere.
        Some(since) if days(since, now) < -1 => vec![unknown.saying("The date is yet to come.")],
        Some(_) => secret_old(config, now).into_iter().collect(),
    }
}

/// A secret that should have been exchanged.
pub(crate) fn secret_old(config: &Config, now: DateTime<Utc>) -> Option<ReadinessFinding> {
    let days = days(config.secret_since?, now);
    let old = days > ROTATION && config.mode != Mode::Staging;
    old.then(|| {
        let finding = ReadinessFinding::new(ReadinessRule::SecretOld).about("IKHOKHA_APP_SECRET");
        finding.saying(format_args!("It is {days} days old."))
    })
}

fn days(since: NaiveDate, now: DateTime<Utc>) -> i64 {
    (now.date_naive() - since).num_days()
}
