use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::level::AccessLevel;
use crate::access::end_reason::EndReason;
use crate::vocabulary::{Reversal, string_enum};

/// Why a learner may not enter. The order is by how near they are: when several
/// grants deny, the greatest is given.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error,
)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum DenyReason {
    /// There is no grant at all.
    #[error("there is no access to this course")]
    NoGrant,
    /// It was taken back, given back or left.
    #[error("the access ended: {why}")]
    Ended {
        /// Why it ended.
        why: EndReason,
    },
    /// Its time is over.
    #[error("the access expired")]
    Expired {
        /// When.
        at: DateTime<Utc>,
    },
    /// It is suspended.
    #[error("the access is suspended: {why}")]
    Suspended {
        /// Why.
        why: Reversal,
    },
    /// It has not started.
    #[error("the access has not started yet")]
    NotStarted {
        /// When it starts.
        at: DateTime<Utc>,
    },
    /// This kind of content is not part of it.
    #[error("this kind of content is not included")]
    KindNotCovered,
    /// Its level is too low for this.
    #[error("the access level is too low for this")]
    LevelTooLow {
        /// The level there is.
        level: AccessLevel,
    },
    /// A restriction this version does not know.
    #[error("the access has a restriction that this version does not know")]
    UnknownRestriction,
    /// A restriction keeps this request out.
    #[error("a restriction on {what} keeps this request out")]
    Restricted {
        /// Which one.
        what: RestrictionKind,
    },
}

/// A restriction without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RestrictionKind {
    /// On the time.
    Time,
    /// On the device.
    Device,
    /// On the address.
    Ip,
    /// On the feature.
    Feature,
}

string_enum!(RestrictionKind {
    Time => "time",
    Device => "device",
    Ip => "ip",
    Feature => "feature",
});
