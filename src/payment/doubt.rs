use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::vocabulary::GrantId;
use crate::vocabulary::reason::HoldReason;

/// Money that was told of, and is not proven: the provider could not be brought to confirm it, or
/// what told of it does not prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Why it is not proven.
    pub reason: HoldReason,
    /// When it was told of first.
    pub since: DateTime<Utc>,
    /// What a person said to it.
    pub verdict: Verdict,
}

/// What a person said to money that is not proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "grant")]
pub enum Verdict {
    /// Nothing yet: it waits for one.
    Open,
    /// They let the learner in ahead of the proof, by this grant.
    Accepted(GrantId),
    /// They turned it down: once it is proven, it is held.
    Refused,
}
