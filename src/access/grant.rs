use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::end_reason::EndReason;
use super::level::{AccessLevel, ResourceKind, ResourceKinds};
use super::restriction::Restriction;
use super::terms::{AccessTerms, are_no_narrower};
use crate::vocabulary::{
    AdminId, CourseId, EnrollmentId, ExternalKey, GrantId, LearnerId, PaymentReference, Reversal,
};

/// Where a grant comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum GrantSource {
    /// A payment that the policy approved.
    Payment {
        /// The attempt that was paid.
        payment: PaymentReference,
    },
    /// A person approved a payment that was held, or that they saw.
    Approval {
        /// Who approved.
        by: AdminId,
        /// The payment it rests on.
        payment: PaymentReference,
    },
    /// A person approved ahead of any payment. When the payment that came for it goes back, the
    /// person's word stands.
    Ahead {
        /// Who approved.
        by: AdminId,
        /// The payment that came for it since.
        payment: Option<PaymentReference>,
    },
    /// Lent while a bank transfer waits for approval, where the host allows that.
    Provisional,
    /// A person gave access, apart from any enrollment.
    Admin {
        /// Who gave it.
        by: AdminId,
    },
    /// Brought over from another system.
    Migration {
        /// Who ran the migration.
        by: AdminId,
        /// The payment it rests on, if one was brought over with it.
        payment: Option<PaymentReference>,
    },
}

impl GrantSource {
    /// The payment this grant rests on. A payment is the source of one grant at most.
    pub fn payment(&self) -> Option<&PaymentReference> {
        match self {
            Self::Payment { payment } | Self::Approval { payment, .. } => Some(payment),
            Self::Ahead { payment, .. } | Self::Migration { payment, .. } => payment.as_ref(),
            Self::Provisional | Self::Admin { .. } => None,
        }
    }
}

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
    /// It ended. One that rests on a payment begins anew if that is approved again.
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
    pub kinds: ResourceKinds,
    /// What narrows it; all must hold.
    pub restrictions: Vec<Restriction>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when, excluded; `None` for ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it still counts.
    pub state: GrantState,
    /// The host's own name for it, where it was brought over from another system.
    pub key: Option<ExternalKey>,
}

impl Grant {
    /// A live grant from a time on, on the given terms.
    pub fn new(
        id: GrantId,
        (learner, course): (LearnerId, CourseId),
        enrollment: Option<EnrollmentId>,
        source: GrantSource,
        terms: &AccessTerms,
        start: DateTime<Utc>,
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
            starts_at: start,
            expires_at: terms.expiry(start),
            state: GrantState::Live,
            key: None,
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

    /// Makes an ended one begin anew, on the given terms.
    pub(crate) fn revive(&mut self, terms: &AccessTerms, start: DateTime<Utc>) {
        self.level = terms.level;
        self.kinds = terms.kinds;
        self.restrictions.clone_from(&terms.restrictions);
        self.starts_at = start;
        self.expires_at = terms.expiry(start);
        self.state = GrantState::Live;
    }

    /// Whether it gives all that terms give of one kind, as long as it counts. What is provisional
    /// while a decision is pending gives nothing in this sense.
    pub(super) fn gives(&self, terms: &AccessTerms, kind: ResourceKind) -> bool {
        let lasts = match (self.expires_at, terms.time()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(end), Some(seconds)) => {
                let lasting = end.signed_duration_since(self.starts_at).num_seconds();
                u64::try_from(lasting).is_ok_and(|lasting| lasting >= seconds)
            }
        };
        lasts
            && self.source != GrantSource::Provisional
            && self.level >= terms.level
            && self.kinds.cover(kind)
            && are_no_narrower(&self.restrictions, &terms.restrictions)
    }

    /// Whether it gives some of what terms do, as long as it counts.
    pub(crate) fn gives_some(&self, terms: &AccessTerms) -> bool {
        terms.each_kind().any(|kind| self.gives(terms, kind))
    }

    /// Whether it gives all that terms do, as long as it counts.
    pub(crate) fn gives_all(&self, terms: &AccessTerms) -> bool {
        terms.each_kind().all(|kind| self.gives(terms, kind))
    }

    /// Whether it gives just what terms do.
    pub(crate) fn is_on(&self, terms: &AccessTerms) -> bool {
        (self.level, self.kinds, &self.restrictions)
            == (terms.level, terms.kinds, &terms.restrictions)
            && self.expires_at == terms.expiry(self.starts_at)
    }

    /// Whether it gives no more than terms do.
    pub(crate) fn is_within(&self, terms: &AccessTerms) -> bool {
        let lasts = match (self.expires_at, terms.time()) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(end), Some(seconds)) => {
                let lasting = end.signed_duration_since(self.starts_at).num_seconds();
                u64::try_from(lasting).unwrap_or(0) <= seconds
            }
        };
        lasts
            && self.level <= terms.level
            && terms.kinds.include(&self.kinds)
            && are_no_narrower(&terms.restrictions, &self.restrictions)
    }

    /// Whether it counts at `now`, or is yet to begin.
    pub fn is_to_come(&self, now: DateTime<Utc>) -> bool {
        self.state == GrantState::Live && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it counts at `now`.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.state == GrantState::Live
            && self.starts_at <= now
            && self.expires_at.is_none_or(|end| now < end)
    }
}
