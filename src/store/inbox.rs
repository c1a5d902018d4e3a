use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::evidence::SignedBy;
use crate::vocabulary::{EnrollmentId, Note, PayLinkId, PaymentReference, string_enum};
use crate::webhook::{DeliveryKey, StoredBody};

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

string_enum!(InboxOutcome {
    Approved => "approved",
    Held => "held",
    Failed => "failed",
    NoEffect => "no_effect",
    NotFinal => "not_final",
});
