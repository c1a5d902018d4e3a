use serde::{Deserialize, Serialize};

use crate::access::AccessTerms;
use crate::vocabulary::{GrantId, Money, Title};

/// What a learner is offered: access on some terms, for a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What it costs.
    pub price: Money,
    /// The course's title, as the payer sees it.
    pub title: Title,
    /// The access it gives.
    pub terms: AccessTerms,
}

/// What an attempt to pay is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Purpose {
    /// Access, where the learner has none.
    First,
    /// More than the learner has. What they have stands beside it.
    Upgrade,
    /// More time: access that begins when a grant ends, or at once if that is over.
    Renewal {
        /// The grant it follows. One payment renews it; a second one is a duplicate.
        of: GrantId,
    },
    /// The same again, knowingly: for who has the access already by another way.
    Additional,
}

impl Purpose {
    /// The word used on the wire and in the store.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Upgrade => "upgrade",
            Self::Renewal { .. } => "renewal",
            Self::Additional => "additional",
        }
    }
}
