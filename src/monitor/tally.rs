use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::Signal;
use crate::vocabulary::UnknownWord;

/// What processes count together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Counted {
    /// What alerts are raised for.
    Signal(Signal),
    /// Callbacks that were signed with the secret of this label.
    Key(Arc<str>),
    /// That a worker of the process looks at its work.
    Worker,
}

/// Before the label of a secret, in the store.
const KEY: &str = "key:";
const WORKER: &str = "worker";

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => f.write_str(signal.as_str()),
            Self::Key(label) => write!(f, "{KEY}{label}"),
            Self::Worker => f.write_str(WORKER),
        }
    }
}

impl FromStr for Counted {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text.strip_prefix(KEY) {
            Some(label) => Ok(Self::Key(label.into())),
            None if text == WORKER => Ok(Self::Worker),
            None => text.parse().map(Self::Signal),
        }
    }
}

/// What one process saw of something since it last said so. It is told once: the same process
/// and number are the same tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The process, by a name that it made when it started.
    pub process: Uuid,
    /// How many times it has told of something before.
    pub number: u64,
    /// What was counted.
    pub of: Counted,
    /// How often it happened.
    pub times: u64,
    /// The most that was measured, where something is; for signals of time milliseconds.
    pub most: i64,
}

/// A tally, and for how long the store has had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tallied {
    /// The tally.
    pub tally: Tally,
    /// For how long, by the store's clock.
    pub age: Duration,
}
