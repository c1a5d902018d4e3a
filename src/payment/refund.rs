use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::AdminId;
use crate::money::Money;
use crate::reason::{Note, words};

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

words!(RefundState {
    Requested => "requested",
    Done => "done",
});

/// How a payer's bank took money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reversal {
    /// The transfer was reversed.
    Reversed,
    /// The card's holder disputes the payment.
    ChargedBack,
}

words!(Reversal {
    Reversed => "reversed",
    ChargedBack => "charged_back",
});
