use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Enrollment, Timer, Version};
use crate::access::Grant;
use crate::event::{Event, EventKind};
use crate::evidence::SignedBy;
use crate::ids::{EnrollmentId, EventId, GrantId, LearnerId, PayLinkId, PaymentReference};
use crate::monitor::Alert;
use crate::notice::Preferences;
use crate::payment::PaymentAttempt;
use crate::reason::{Note, words};
use crate::reconciliation::Discrepancy;
use crate::statement::StatementEntry;
use crate::webhook::{DeliveryKey, StoredBody};

/// Everything one decision writes: committed together or not at all.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Change {
    /// The inbox row.
    pub inbox: Option<InboxEntry>,
    /// How far the inbox row was when the decision was made; `None` when there was none.
    pub inbox_was: Option<InboxState>,
    /// The enrollment as it is after the change, if it changed.
    pub enrollment: Option<Enrollment>,
    /// The version the decision was made on; `None` when the enrollment is new.
    pub expected: Option<Version>,
    /// Attempts as they are after the change: new ones and changed ones.
    pub attempts: Vec<PaymentAttempt>,
    /// Grants as they are after the change: new ones and changed ones. One apart from any
    /// enrollment is given once and ends once.
    pub grants: Vec<Grant>,
    /// Timers that are set or stopped.
    pub timers: Vec<Timer>,
    /// Discrepancys: new ones, and known ones that are closed now.
    pub discrepancies: Vec<Discrepancy>,
    /// Rows of bank statements: new ones, and known ones that are settled now.
    pub statement: Vec<StatementEntry>,
    /// What an admin chose to be told of.
    pub preferences: Option<Preferences>,
    /// An alert of the whole installation that begins, escalates or ends. It is a conflict when
    /// another process has said so already.
    pub alert: Option<Alert>,
    /// What takes personal data out of the enrollment, or of grants apart from any. The first
    /// of the events tells of it ([`EventKind::PersonalErased`]), and names the events that are
    /// emptied.
    pub erasure: Option<Erasure>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Whether the events are queued for the publisher.
    pub publish: bool,
}

impl Change {
    /// A change that writes one inbox row, a new one, and perhaps an event about it.
    pub fn inbox_only(entry: InboxEntry, event: Option<Event>) -> Self {
        Self {
            inbox: Some(entry),
            events: event.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same for an inbox row that was this far when the decision was made.
    #[must_use]
    pub fn inbox_was(mut self, was: Option<InboxState>) -> Self {
        self.inbox_was = was;
        self
    }

    /// A change that writes events only.
    pub fn events_only(events: Vec<Event>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }

    /// Which events an erasure empties, and of which grants they may be apart from the
    /// enrollment of the change; `None` when it erases nothing.
    pub fn emptied(&self) -> Option<(&[EventId], &[GrantId])> {
        self.erasure.as_ref()?;
        match &self.events.first()?.kind {
            EventKind::PersonalErased { events, grants } => Some((events, grants)),
            _ => None,
        }
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.inbox.is_none()
            && self.enrollment.is_none()
            && self.attempts.is_empty()
            && self.grants.is_empty()
            && self.timers.is_empty()
            && self.discrepancies.is_empty()
            && self.statement.is_empty()
            && self.preferences.is_none()
            && self.alert.is_none()
            && self.erasure.is_none()
            && self.events.is_empty()
    }
}

/// Takes a learner out of what is stored. The enrollment, its attempts and the grants of the
/// same change name the pseudonym; bodies of deliveries for the enrollment go, as does what
/// rows of bank statements that paid it say, and what people wrote about it. Deliveries that
/// still waited are settled. Events are emptied of what is personal ([`form`]), and lose the
/// salt that their link of the audit log has; nothing else of them may change.
///
/// [`form`]: crate::event::form
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Erasure {
    /// What the learner is called from now on.
    pub pseudonym: LearnerId,
}

impl Erasure {
    /// Leaves the learner under this name, which must not lead back to them.
    pub fn under(pseudonym: LearnerId) -> Self {
        Self { pseudonym }
    }
}

/// A verified delivery as it is kept. Bodies are stored, and never printed.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InboxEntry {
    /// What makes it the same as another.
    pub key: DeliveryKey,
    /// When it first arrived.
    pub received_at: DateTime<Utc>,
    /// The path it arrived at.
    pub path: String,
    /// Its raw bytes, as they are kept.
    pub body: StoredBody,
    /// Which key signed it, over which form.
    pub signed_by: SignedBy,
    /// The pay link it names.
    pub pay_link: Option<PayLinkId>,
    /// The reference it names.
    pub reference: Option<PaymentReference>,
    /// The enrollment it was matched with.
    pub enrollment: Option<EnrollmentId>,
    /// How far it is.
    pub state: InboxState,
    /// How often it was tried without a decision.
    pub tries: u32,
}

impl InboxEntry {
    /// An entry for a delivery that just arrived and is not matched yet.
    pub fn new(
        key: DeliveryKey,
        received_at: DateTime<Utc>,
        path: &str,
        body: StoredBody,
        signed_by: SignedBy,
    ) -> Self {
        Self {
            key,
            received_at,
            path: path.to_owned(),
            body,
            signed_by,
            pay_link: None,
            reference: None,
            enrollment: None,
            state: InboxState::Settled {
                outcome: InboxOutcome::NotFinal,
            },
            tries: 0,
        }
    }
}

impl fmt::Debug for InboxEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxEntry")
            .field("key", &self.key)
            .field("state", &self.state)
            .field("tries", &self.tries)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// How far a delivery is. It is never forgotten: waiting, parked, dead or settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum InboxState {
    /// The provider has to be asked again, or the decision made again.
    Waiting {
        /// Not before.
        next_at: DateTime<Utc>,
    },
    /// It names no payment that we know; looked for again.
    Parked {
        /// Not before.
        next_at: DateTime<Utc>,
    },
    /// Given up on: a person has to look, and may replay it.
    Dead {
        /// Why.
        cause: Note,
    },
    /// Done.
    Settled {
        /// What came of it.
        outcome: InboxOutcome,
    },
}

impl InboxState {
    /// Whether a decision is still to come.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Settled { .. })
    }

    /// When it is due to be tried again, if ever by itself.
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Waiting { next_at } | Self::Parked { next_at } => Some(*next_at),
            Self::Dead { .. } | Self::Settled { .. } => None,
        }
    }
}

/// What came of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum InboxOutcome {
    /// It approved the enrollment.
    Approved,
    /// Its money waits for a person.
    Held,
    /// It told of a failed try.
    Failed,
    /// What it told was known already.
    NoEffect,
    /// Its status word means nothing final.
    NotFinal,
}

words!(InboxOutcome {
    Approved => "approved",
    Held => "held",
    Failed => "failed",
    NoEffect => "no_effect",
    NotFinal => "not_final",
});
