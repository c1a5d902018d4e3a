use chrono::NaiveDate;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::problem::ConfigProblem;
use super::setting::Setting;
use crate::vocabulary::{Secret, SecretError};
use crate::webhook::web_address;

/// Reads settings one by one, and keeps what is wrong with them.
pub(super) struct Reader<'f, F> {
    pub(super) find: F,
    pub(super) name: fn(&Setting) -> &'static str,
    pub(super) problems: Vec<ConfigProblem>,
    pub(super) _found: std::marker::PhantomData<&'f str>,
}

impl<'f, F> Reader<'f, F>
where
    F: Fn(&Setting) -> Option<Result<&'f str, &'static str>>,
{
    pub(super) fn wrong(
        &mut self,
        setting: &Setting,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(ConfigProblem {
            setting: (self.name)(setting).to_owned(),
            what: what.into(),
            expected: setting.expected.to_owned(),
            remedy: remedy.into(),
        });
    }

    /// The text of a setting, without white space around it; `None` when it is not set, or
    /// is wrong.
    pub(super) fn text(&mut self, setting: &Setting) -> Option<&'f str> {
        let required = setting.default.is_none();
        match (self.find)(setting) {
            None if required => {
                self.wrong(
                    setting,
                    "is not set",
                    format!("Set it: it is {}.", setting.about),
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

    pub(super) fn number(
        &mut self,
        setting: &Setting,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
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

    /// A day, if one is set.
    pub(super) fn day(&mut self, setting: &Setting) -> Option<NaiveDate> {
        let text = self.text(setting)?;
        if setting.default == Some(text) {
            return None;
        }
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
        if day.is_none() {
            self.wrong(
                setting,
                "is no day",
                "Write year, month and day like 2026-01-31.",
            );
        }
        day
    }

    pub(super) fn millis(
        &mut self,
        setting: &Setting,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Duration {
        Duration::from_millis(self.number(setting, range, default))
    }

    /// A time in larger units, of which 0 is never.
    pub(super) fn every(
        &mut self,
        setting: &Setting,
        most: u64,
        default: u64,
        unit: u64,
    ) -> Option<Duration> {
        let number = self.number(setting, 0..=most, default);
        (number > 0).then(|| Duration::from_secs(number * unit))
    }

    pub(super) fn word<T: FromStr>(&mut self, setting: &Setting) -> Option<T> {
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

    pub(super) fn url(&mut self, setting: &Setting) -> Option<String> {
        let text = self.text(setting)?;
        match web_address(text) {
            Some(_) => Some(text.to_owned()),
            None => {
                let remedy = "Write all of it, from https:// on, without credentials.";
                self.wrong(setting, "is no web address", remedy);
                None
            }
        }
    }

    pub(super) fn secret(&mut self, setting: &Setting, text: &str) -> Option<Secret> {
        match Secret::new(text) {
            Ok(secret) => Some(secret),
            Err(error) => {
                self.wrong(setting, refused(error), "Copy it again from the dashboard.");
                None
            }
        }
    }
}

pub(super) fn refused(error: SecretError) -> &'static str {
    match error {
        SecretError::Empty { .. } => "is empty",
        SecretError::BadCharacter { .. } => "holds a character that no credential has",
    }
}
