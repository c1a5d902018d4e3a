use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::level::{AccessLevel, ResourceKind, ResourceKinds};
use super::restriction::Restriction;

/// A hundred years, in seconds: nobody alive sees the end of it.
const CENTURY: u64 = 100 * 31_557_600;

/// What access an offer gives: how much of a course, of which kinds, for how long and under
/// which restrictions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessTerms {
    /// How much of the course.
    pub level: AccessLevel,
    /// Which kinds of content.
    pub kinds: ResourceKinds,
    /// For how long, in seconds from the approval; `None` for ever, as are a hundred years or more.
    pub seconds: Option<u64>,
    /// Under which restrictions.
    pub restrictions: Vec<Restriction>,
}

impl Default for AccessTerms {
    fn default() -> Self {
        Self {
            level: AccessLevel::Full,
            kinds: ResourceKinds::all(),
            seconds: None,
            restrictions: Vec::new(),
        }
    }
}

impl AccessTerms {
    /// Full access for a limited time.
    pub fn lasting(term: Duration) -> Self {
        Self {
            seconds: Some(term.as_secs()),
            ..Self::default()
        }
    }

    /// Whether they give everything that others give: the level, each kind, as long a time, and
    /// no restriction that the others do not have too.
    ///
    /// ```
    /// use coursegate::access::{AccessLevel, AccessTerms};
    /// use std::time::Duration;
    ///
    /// let (ever, month) = (AccessTerms::default(), AccessTerms::lasting(Duration::from_secs(30 * 86_400)));
    /// assert!(ever.is_at_least(&month) && !month.is_at_least(&ever));
    /// let limited = AccessTerms { level: AccessLevel::Limited, ..AccessTerms::default() };
    /// assert!(!limited.is_at_least(&month) && !month.is_at_least(&limited));
    /// ```
    #[must_use]
    pub fn is_at_least(&self, other: &Self) -> bool {
        let lasts = match (self.time(), other.time()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(others)) => mine >= others,
        };
        lasts
            && self.level >= other.level
            && self.kinds.include(&other.kinds)
            && are_no_narrower(&self.restrictions, &other.restrictions)
    }

    /// The kinds of content they are about.
    pub(super) fn each_kind(&self) -> impl Iterator<Item = ResourceKind> {
        let kinds = ResourceKind::ALL.iter().copied();
        kinds.filter(|kind| self.kinds.cover(*kind))
    }

    /// For how long, in seconds; `None` for ever.
    pub(super) fn time(&self) -> Option<u64> {
        self.seconds.filter(|seconds| *seconds < CENTURY)
    }

    /// Whether they give no access to anything.
    pub(crate) fn is_nothing(&self) -> bool {
        let opens = |kind| self.level.opens(kind, true);
        self.seconds == Some(0) || !self.each_kind().any(opens)
    }

    pub(crate) fn expiry(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let seconds = i64::try_from(self.time()?).ok()?;
        from.checked_add_signed(chrono::Duration::try_seconds(seconds)?)
    }
}

/// What terms give, without the devices and addresses that they may name: as events keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsOutline {
    /// How much of the course.
    pub level: AccessLevel,
    /// Which kinds of content.
    pub kinds: ResourceKinds,
    /// For how long, in seconds; `None` for ever.
    pub seconds: Option<u64>,
    /// Whether there are restrictions.
    pub restricted: bool,
}

impl AccessTerms {
    /// What they give, without the devices and addresses that they may name.
    pub fn outline(&self) -> TermsOutline {
        TermsOutline {
            level: self.level,
            kinds: self.kinds,
            seconds: self.seconds,
            restricted: !self.restrictions.is_empty(),
        }
    }
}

/// Whether each of some restrictions lets through what others let through: all of them hold.
pub(super) fn are_no_narrower(restrictions: &[Restriction], others: &[Restriction]) -> bool {
    restrictions
        .iter()
        .all(|mine| others.iter().any(|other| mine.is_no_narrower_than(other)))
}
