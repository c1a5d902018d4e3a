use std::fmt;

use serde::Serialize;

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
    /// The problems, in the order of [`Setting::ALL`](super::Setting::ALL).
    pub problems: Vec<ConfigProblem>,
}

fn listed(problems: &[ConfigProblem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
