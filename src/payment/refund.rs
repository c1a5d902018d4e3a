use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::vocabulary::{AdminId, Money, Note, string_enum};

/// Money that goes back, all of a payment or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub state: RefundState,
    /// What proves it: the reference in the provider's dashboard, for example.
    pub proof: Note,
    /// Who gave it, or asked for it.
    pub by: AdminId,
    /// When.
    pub at: DateTime<Utc>,
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefundState {
    /// The provider was asked for it, and what came of that is not known yet.
    Requested,
    /// The money went back.
    Done,
}

string_enum!(RefundState {
    Requested => "requested",
    Done => "done",
});
