use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::restriction::Restriction;
use crate::ids::{CourseId, EnrollmentId, GrantId, LearnerId, PersonId, Reference};
use crate::payment::Reversal;
use crate::reason::words;

/// How much of a course a grant opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccessLevel {
    /// Nothing.
    None,
    /// Lessons and resources that the host marks as preview.
    Preview,
    /// Lessons, resources and quizzes, without certificates.
    Limited,
    /// Everything.
    Full,
}

words!(AccessLevel {
    None => "none",
    Preview => "preview",
    Limited => "limited",
    Full => "full",
});

/// What a learner wants to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// A lesson.
    Lesson,
    /// A file or other material.
    Resource,
    /// A quiz or test.
    Quiz,
    /// The certificate.
    Certificate,
    /// The course as a whole.
    Full,
}

words!(ResourceKind {
    Lesson => "lesson",
    Resource => "resource",
    Quiz => "quiz",
    Certificate => "certificate",
    Full => "full",
});

/// The kinds a grant covers. A set with [`ResourceKind::Full`] covers every kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<ResourceKind>", into = "Vec<ResourceKind>")]
pub struct Kinds(u8);

impl Kinds {
    /// Every kind.
    pub fn all() -> Self {
        Self::only([ResourceKind::Full])
    }

    /// Only these.
    pub fn only(kinds: impl IntoIterator<Item = ResourceKind>) -> Self {
        Self(kinds.into_iter().fold(0, |set, kind| set | Self::bit(kind)))
    }

    /// Whether the set covers a kind.
    pub fn cover(&self, kind: ResourceKind) -> bool {
        self.0 & (Self::bit(ResourceKind::Full) | Self::bit(kind)) != 0
    }

    fn bit(kind: ResourceKind) -> u8 {
        1 << kind as u8
    }
}

impl From<Vec<ResourceKind>> for Kinds {
    fn from(kinds: Vec<ResourceKind>) -> Self {
        Self::only(kinds)
    }
}

impl From<Kinds> for Vec<ResourceKind> {
    fn from(kinds: Kinds) -> Self {
        let named = |kind: &&ResourceKind| kinds.0 & Kinds::bit(**kind) != 0;
        ResourceKind::ALL.iter().filter(named).copied().collect()
    }
}

impl Default for Kinds {
    fn default() -> Self {
        Self::all()
    }
}

/// What an approval of an enrollment gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// How much of the course.
    pub level: AccessLevel,
    /// Which kinds of content.
    pub kinds: Kinds,
    /// For how long, in seconds from the approval; `None` for ever.
    pub seconds: Option<u64>,
    /// Under which restrictions.
    pub restrictions: Vec<Restriction>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            level: AccessLevel::Full,
            kinds: Kinds::all(),
            seconds: None,
            restrictions: Vec::new(),
        }
    }
}

impl Terms {
    /// Full access for a limited time.
    pub fn lasting(term: Duration) -> Self {
        Self {
            seconds: Some(term.as_secs()),
            ..Self::default()
        }
    }

    pub(crate) fn expiry(&self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let seconds = i64::try_from(self.seconds?).ok()?;
        from.checked_add_signed(chrono::Duration::try_seconds(seconds)?)
    }
}

/// Where a grant comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum GrantSource {
    /// A payment that the policy approved.
    Payment {
        /// The attempt that was paid.
        payment: Reference,
    },
    /// A person approved the enrollment, for a payment that was held or ahead of any.
    Approval {
        /// Who approved.
        by: PersonId,
        /// The payment it rests on.
        payment: Option<Reference>,
    },
    /// Lent while a bank transfer waits for approval, where the host allows that.
    Provisional,
    /// A person gave access, apart from any enrollment.
    Admin {
        /// Who gave it.
        by: PersonId,
    },
    /// Brought over from another system.
    Migration {
        /// Who ran the migration.
        by: PersonId,
    },
}

impl GrantSource {
    /// The payment this grant rests on. A payment is the source of one grant at most.
    pub fn payment(&self) -> Option<&Reference> {
        match self {
            Self::Payment { payment } => Some(payment),
            Self::Approval { payment, .. } => payment.as_ref(),
            Self::Provisional | Self::Admin { .. } | Self::Migration { .. } => None,
        }
    }
}

/// Why a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndReason {
    /// Its time was over.
    Expired,
    /// An admin took it back.
    Revoked,
    /// Its payment was given back.
    Refunded,
    /// The learner left.
    Withdrawn,
    /// It was lent while a decision was pending, and the decision was made.
    Decided,
}

words!(EndReason {
    Expired => "expired",
    Revoked => "revoked",
    Refunded => "refunded",
    Withdrawn => "withdrawn",
    Decided => "decided",
});

/// Whether a grant still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum GrantState {
    /// It counts until it expires.
    Live,
    /// It does not count for now.
    Suspended {
        /// Since when.
        at: DateTime<Utc>,
        /// Why.
        why: Reversal,
    },
    /// It ended, and never comes back.
    Ended {
        /// When.
        at: DateTime<Utc>,
        /// Why.
        why: EndReason,
    },
}

/// One source of access to a course.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// Who may enter.
    pub learner: LearnerId,
    /// Which course.
    pub course: CourseId,
    /// The enrollment behind it, if there is one.
    pub enrollment: Option<EnrollmentId>,
    /// Where it comes from.
    pub source: GrantSource,
    /// How much it opens.
    pub level: AccessLevel,
    /// Which kinds it opens.
    pub kinds: Kinds,
    /// What narrows it; all must hold.
    pub restrictions: Vec<Restriction>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when, excluded; `None` for ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it still counts.
    pub state: GrantState,
}

impl Grant {
    /// A live grant from `now`, on the given terms.
    pub fn new(
        id: GrantId,
        (learner, course): (LearnerId, CourseId),
        enrollment: Option<EnrollmentId>,
        source: GrantSource,
        terms: &Terms,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            learner,
            course,
            enrollment,
            source,
            level: terms.level,
            kinds: terms.kinds,
            restrictions: terms.restrictions.clone(),
            starts_at: now,
            expires_at: terms.expiry(now),
            state: GrantState::Live,
        }
    }

    /// Ends it; `false` when it ended before.
    pub fn end(&mut self, now: DateTime<Utc>, why: EndReason) -> bool {
        let had_ended = matches!(self.state, GrantState::Ended { .. });
        if !had_ended {
            self.state = GrantState::Ended { at: now, why };
        }
        !had_ended
    }

    /// Suspends it; `false` unless it was live.
    pub fn suspend(&mut self, now: DateTime<Utc>, why: Reversal) -> bool {
        let was_live = self.state == GrantState::Live;
        if was_live {
            self.state = GrantState::Suspended { at: now, why };
        }
        was_live
    }

    /// Makes it count again; `false` unless it was suspended.
    pub fn resume(&mut self) -> bool {
        let was_suspended = matches!(self.state, GrantState::Suspended { .. });
        if was_suspended {
            self.state = GrantState::Live;
        }
        was_suspended
    }

    /// Whether it counts at `now`.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.state == GrantState::Live
            && self.starts_at <= now
            && self.expires_at.is_none_or(|end| now < end)
    }
}
