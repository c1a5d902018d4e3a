//! The first of two approvals, and what it was for.

use serde::{Deserialize, Serialize};

use crate::access::AccessTerms;
use crate::payment::{Doubt, Payment, ProofOfPayment};
use crate::vocabulary::{AdminId, Money, PaymentReference};

/// One of two signatures that are needed, and what it is for. When anything of that changes,
/// the signature is worth nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstApproval {
    /// Who signed.
    pub by: AdminId,
    /// What they signed.
    pub of: Approvable,
}

/// What an approval rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvable {
    /// The attempt whose money is approved, or was told of and is not proven; `None` for access
    /// ahead of any money.
    pub payment: Option<PaymentReference>,
    /// What that attempt asks, or else what the enrollment does.
    pub amount: Money,
    /// What the enrollment asks today, or asked for the same since, whichever is more.
    pub price: Money,
    /// The access that is given.
    pub terms: AccessTerms,
    /// The money that arrived for the attempt, and how well it is proven.
    pub money: Option<Payment>,
    /// How much of it went back, in minor units.
    pub returned: i64,
    /// What the learner shows for a bank transfer.
    pub proof: Option<ProofOfPayment>,
    /// What was told of its money that is not proven.
    pub doubt: Option<Doubt>,
    /// The sum that the person saw on a bank statement.
    pub seen: Option<Money>,
}

impl Approvable {
    /// The highest sum of it, in minor units: asked today, asked by the attempt, or arrived.
    pub fn highest(&self) -> i64 {
        let arrived = self.money.and_then(|money| money.amount);
        [Some(self.amount), Some(self.price), arrived, self.seen]
            .into_iter()
            .flatten()
            .map(|sum| sum.minor())
            .max()
            .unwrap_or_default()
    }
}
