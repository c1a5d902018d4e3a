//! Methods, attempts to pay, and the provider's status words.

mod doubt;
mod proof;
mod purpose;
mod refund;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::{AccessTerms, Grant};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{
    CourseId, EnrollmentId, EvidenceLevel, GrantId, LearnerId, Money, PayLinkId, PaymentReference,
    Title, string_enum,
};

pub use crate::vocabulary::Reversal;
pub use doubt::{Doubt, Verdict};
pub use proof::{ProofError, ProofOfPayment};
pub use purpose::{Offer, Purpose};
pub use refund::{Refund, RefundState};

/// How a learner pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaymentMethod {
    /// A card on the provider's page.
    Card,
    /// An instant EFT on the provider's page, confirmed by the provider.
    InstantEft,
    /// A transfer outside the provider: no webhook, a person approves.
    BankTransfer,
    /// Not known.
    Unknown,
}

string_enum!(PaymentMethod {
    Card => "card",
    InstantEft => "instant_eft",
    BankTransfer => "bank_transfer",
    Unknown => "unknown",
});

/// What a provider says about a payment. Only `PAID` (status look-up) and
/// `SUCCESS` (callback) mean money; iKhokha's official example repository shows
/// these and `FAILURE`. Any other word means "not final".
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ProviderStatus {
    /// The money is there.
    Paid,
    /// This try failed; the link stays payable.
    Failed,
    /// A word with no known meaning.
    Other(Arc<str>),
}

impl ProviderStatus {
    /// Reads a provider's word. The match is exact: `success` is not `SUCCESS`.
    pub fn from_word(word: &str) -> Self {
        match word {
            "SUCCESS" | "PAID" => Self::Paid,
            "FAILURE" => Self::Failed,
            other => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(64).collect();
                Self::Other(shown.into())
            }
        }
    }

    /// The word, in the callback's vocabulary.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Paid => "SUCCESS",
            Self::Failed => "FAILURE",
            Self::Other(word) => word,
        }
    }
}

/// An unknown word is the provider's own text, so `Debug` does not repeat it.
impl fmt::Debug for ProviderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paid => "Paid",
            Self::Failed => "Failed",
            Self::Other(_) => "Other",
        })
    }
}

impl From<String> for ProviderStatus {
    fn from(word: String) -> Self {
        Self::from_word(&word)
    }
}

impl From<ProviderStatus> for String {
    fn from(status: ProviderStatus) -> Self {
        status.as_str().to_owned()
    }
}

/// Where the learner pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayLink {
    /// The provider's name for the link.
    pub id: PayLinkId,
    /// The page to send the learner to; `None` when its making was lost on the way, and only
    /// its name was learnt later.
    pub url: Option<Arc<str>>,
}

/// Money that arrived for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// When we learnt of it.
    pub at: DateTime<Utc>,
    /// The sum the provider stated; `None` when it stated none.
    pub amount: Option<Money>,
    /// The method the evidence pointed to.
    pub method: PaymentMethod,
    /// How well it is proven.
    pub evidence_level: EvidenceLevel,
    /// What this money does now.
    pub allocation: Allocation,
}

/// What a payment does for its enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "allocation", content = "reason")]
pub enum Allocation {
    /// Access rests on it.
    Applied,
    /// It came beside money that gives the same, and the school keeps it: nothing rests on it
    /// as long as that other money is there.
    Kept,
    /// It waits for a person.
    OnHold(HoldReason),
    /// It is to be given back.
    RefundDue(HoldReason),
    /// It went back to the payer.
    Refunded,
}

impl Allocation {
    /// Whether nothing that the provider says of it changes it any more. What is to be given back
    /// is: only a person takes that back, or other money that is gone.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Applied | Self::Kept | Self::RefundDue(_) | Self::Refunded => true,
            Self::OnHold(_) => false,
        }
    }

    /// Why it does not count, as long as that is to be settled.
    pub fn open_reason(&self) -> Option<HoldReason> {
        match self {
            Self::OnHold(reason) | Self::RefundDue(reason) => Some(*reason),
            Self::Applied | Self::Kept | Self::Refunded => None,
        }
    }
}

/// One try to pay for an enrollment. What is bought by it, and for how much, is its own: a
/// later try with another offer changes nothing about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PaymentAttempt {
    /// Our reference, unique per attempt.
    pub reference: PaymentReference,
    /// The enrollment it pays for.
    pub enrollment: EnrollmentId,
    /// The learner it was made for; compared with the enrollment before approval.
    pub learner: LearnerId,
    /// The course it was made for; compared with the enrollment before approval.
    pub course: CourseId,
    /// What was asked: the price of its offer.
    pub amount: Money,
    /// The course's title in its offer.
    pub title: Title,
    /// The access that it buys.
    pub terms: AccessTerms,
    /// What the learner buys it for.
    pub purpose: Purpose,
    /// What the learner said they would pay with.
    pub declared: PaymentMethod,
    /// The pay link, once the provider gave one.
    pub link: Option<PayLink>,
    /// Where it stands.
    pub status: AttemptStatus,
    /// The money, once it arrived.
    pub payment: Option<Payment>,
    /// What went back of it, oldest first.
    pub refunds: Vec<Refund>,
    /// What the learner shows for a bank transfer.
    pub proof: Option<ProofOfPayment>,
    /// What is known of money that was told of and is not proven.
    pub doubt: Option<Doubt>,
    /// What the money did before the payer's bank took it back.
    pub before_reversal: Option<Allocation>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the learner asked for it last: they may go on with one that there is.
    pub asked_at: DateTime<Utc>,
}

impl PaymentAttempt {
    /// A new attempt, not yet sent to any provider.
    pub fn new(
        reference: PaymentReference,
        enrollment: EnrollmentId,
        (learner, course): (LearnerId, CourseId),
        (offer, purpose): (Offer, Purpose),
        declared: PaymentMethod,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            reference,
            enrollment,
            learner,
            course,
            amount: offer.price,
            title: offer.title,
            terms: offer.terms,
            purpose,
            declared,
            link: None,
            status: AttemptStatus::Started,
            payment: None,
            refunds: Vec::new(),
            proof: None,
            doubt: None,
            before_reversal: None,
            created_at: now,
            asked_at: now,
        }
    }

    /// Whether the provider may still say something new about it.
    pub fn is_open(&self) -> bool {
        self.payment.is_none() && self.declared != PaymentMethod::BankTransfer
    }

    /// Whether it is for the same price, access and purpose, to be paid the same way. A title is
    /// only a name.
    pub fn is_for(&self, offer: &Offer, purpose: Purpose, declared: PaymentMethod) -> bool {
        (self.amount, &self.terms) == (offer.price, &offer.terms)
            && (self.purpose, self.declared) == (purpose, declared)
    }

    /// Whether its money waits for a person, and is not to be given back.
    pub fn is_held(&self) -> bool {
        self.holds_money()
            && matches!(
                self.payment.map(|payment| payment.allocation),
                Some(Allocation::OnHold(_))
            )
    }

    /// Why a person is asked about it: its money waits for one, or was told of and is not proven.
    pub fn waits(&self) -> Option<HoldReason> {
        match self.is_held() {
            true => self.held_back(),
            false => self.open_doubt().map(|doubt| doubt.reason),
        }
    }

    /// What was told of its money and is not proven, as long as that waits for a person.
    pub fn open_doubt(&self) -> Option<Doubt> {
        let doubt = self.doubt.filter(|_| self.payment.is_none());
        doubt.filter(|doubt| doubt.verdict == Verdict::Open)
    }

    /// Whether a person turned its money down before that was proven.
    pub fn is_turned_down(&self) -> bool {
        self.doubt.is_some_and(|it| it.verdict == Verdict::Refused)
    }

    /// The grant that a person gave for it ahead of the proof of its money.
    pub(crate) fn accepted(&self) -> Option<GrantId> {
        match self.doubt?.verdict {
            Verdict::Accepted(grant) => Some(grant),
            Verdict::Open | Verdict::Refused => None,
        }
    }

    /// Whether a grant is what it bought, or what a person gave for it ahead of the proof.
    pub(crate) fn gave(&self, grant: &Grant) -> bool {
        grant.source.payment() == Some(&self.reference) || self.accepted() == Some(grant.id)
    }

    /// When its money was heard of first, if it was.
    pub(crate) fn heard_at(&self) -> Option<DateTime<Utc>> {
        let told = self.doubt.map(|doubt| doubt.since);
        let came = self.payment.map(|payment| payment.at);
        [told, came].into_iter().flatten().min()
    }

    /// Whether it is a bank transfer that nobody has seen yet.
    pub fn is_open_transfer(&self) -> bool {
        self.declared == PaymentMethod::BankTransfer && self.status == AttemptStatus::Started
    }

    /// Whether it is a bank transfer whose money may still be seen, though nobody waits for it any
    /// more.
    pub fn is_payable_transfer(&self) -> bool {
        let payable = matches!(
            self.status,
            AttemptStatus::Started | AttemptStatus::Failed | AttemptStatus::Abandoned
        );
        self.declared == PaymentMethod::BankTransfer && payable
    }

    /// Whether a person took its money for arrived: a bank transfer that no provider confirms.
    pub fn is_vouched(&self) -> bool {
        let transfer = |it: Payment| {
            it.method == PaymentMethod::BankTransfer && it.evidence_level == EvidenceLevel::Unsigned
        };
        self.declared == PaymentMethod::BankTransfer
            && self.holds_money()
            && self.payment.is_some_and(transfer)
    }

    /// Whether it is a bank transfer that nobody waits for any more, and that the learner can go on
    /// with: nobody turned a proof of it down.
    pub fn is_resumable(&self) -> bool {
        let stopped = self.status == AttemptStatus::Abandoned;
        self.declared == PaymentMethod::BankTransfer && stopped && self.proof.is_none()
    }

    /// Why the money that arrived does not count, as long as that is to be settled.
    pub fn held_back(&self) -> Option<HoldReason> {
        let payment = self.payment.filter(|_| self.holds_money())?;
        payment.allocation.open_reason()
    }

    /// What arrived: as far as the provider stated it, else what was asked.
    pub fn paid(&self) -> Option<Money> {
        Some(self.payment?.amount.unwrap_or(self.amount))
    }

    /// What went back so far, in minor units.
    pub fn returned(&self) -> i64 {
        let done = |refund: &&Refund| refund.state == RefundState::Done;
        let amounts = self.refunds.iter().filter(done);
        amounts.map(|refund| refund.amount.minor()).sum()
    }

    /// What could still go back, in minor units.
    pub fn left(&self) -> i64 {
        self.paid().map_or(0, |paid| paid.minor() - self.returned())
    }

    /// Whether money arrived and was not given back.
    pub fn holds_money(&self) -> bool {
        matches!(self.status, AttemptStatus::Paid)
    }
}

/// Where an attempt stands.
///
/// ```text
/// Started -> LinkReady -> Paid | Failed | Abandoned
/// Failed  -> LinkReady | Paid          a link stays payable after a failed try
/// Abandoned -> LinkReady | Paid         and after we stopped waiting
/// Abandoned -> Started                  the learner goes on with a bank transfer
/// Paid    -> Refunded | Reversed       never lowered by a failure
/// Refunded -> Reversed                  the payer's bank may take back what was given back
/// Reversed -> Paid                      only when the school wins the money back
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttemptStatus {
    /// Made, with no pay link yet. A bank transfer stays here until approved.
    Started,
    /// The learner can pay.
    LinkReady,
    /// A try failed; the link is still payable.
    Failed,
    /// We stopped waiting; the link is still payable.
    Abandoned,
    /// The money arrived.
    Paid,
    /// The money went back, or so much of it that access ended.
    Refunded,
    /// The payer's bank took the money back.
    Reversed,
}

string_enum!(AttemptStatus {
    Started => "started",
    LinkReady => "link_ready",
    Failed => "failed",
    Abandoned => "abandoned",
    Paid => "paid",
    Refunded => "refunded",
    Reversed => "reversed",
});

/// What can happen to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptEvent {
    /// The provider gave a pay link.
    LinkCreated,
    /// The money arrived.
    Paid,
    /// A try failed.
    Failed,
    /// We stop waiting for it.
    Abandoned,
    /// The learner goes on with a bank transfer that we had stopped waiting for.
    Resumed,
    /// The money went back.
    Refunded,
    /// The payer's bank took the money back.
    Reversed,
    /// Money that the payer's bank took back came again.
    Reinstated,
}

impl AttemptEvent {
    /// Every event.
    pub const ALL: &'static [Self] = &[
        Self::LinkCreated,
        Self::Paid,
        Self::Failed,
        Self::Abandoned,
        Self::Resumed,
        Self::Refunded,
        Self::Reversed,
        Self::Reinstated,
    ];
}

/// What an event does to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptStep {
    /// The attempt moves.
    Moved(AttemptStatus),
    /// Accepted, and nothing changes: it took effect before, or must not lower what is there.
    Unchanged,
    /// It cannot be: nothing was paid that could go back.
    Rejected,
}

impl AttemptStatus {
    /// What `event` does in this status.
    pub fn after(self, event: AttemptEvent) -> AttemptStep {
        use AttemptEvent as E;
        use AttemptStatus as S;
        use AttemptStep::{Moved, Rejected, Unchanged};
        match (self, event) {
            (S::Started | S::Failed | S::Abandoned, E::LinkCreated) => Moved(S::LinkReady),
            (S::LinkReady, E::LinkCreated) => Unchanged,
            (S::Started | S::LinkReady | S::Failed | S::Abandoned, E::Paid) => Moved(S::Paid),
            (S::Started | S::LinkReady, E::Failed) => Moved(S::Failed),
            (S::Failed | S::Abandoned, E::Failed) => Unchanged,
            (S::Started | S::LinkReady | S::Failed, E::Abandoned) => Moved(S::Abandoned),
            (S::Abandoned, E::Abandoned) => Unchanged,
            (S::Abandoned, E::Resumed) => Moved(S::Started),
            (S::Started | S::LinkReady | S::Failed, E::Resumed) => Unchanged,
            (S::Started | S::LinkReady | S::Failed | S::Abandoned, E::Refunded | E::Reversed) => {
                Rejected
            }
            (S::Started | S::LinkReady | S::Failed | S::Abandoned | S::Refunded, E::Reinstated) => {
                Rejected
            }
            (S::Paid, E::Reinstated) => Unchanged,
            (S::Reversed, E::Reinstated) => Moved(S::Paid),
            (S::Paid, E::Refunded) => Moved(S::Refunded),
            (S::Paid, E::Reversed) => Moved(S::Reversed),
            (S::Paid, E::LinkCreated | E::Paid | E::Failed | E::Abandoned | E::Resumed) => {
                Unchanged
            }
            // An old, genuine SUCCESS verifies for ever: it must not bring returned money back.
            (
                S::Refunded | S::Reversed,
                E::LinkCreated | E::Paid | E::Failed | E::Abandoned | E::Resumed,
            ) => Unchanged,
            (S::Refunded, E::Refunded) | (S::Reversed, E::Reversed) => Unchanged,
            // Both can happen to one payment, in either order; that the bank took it is kept.
            (S::Refunded, E::Reversed) => Moved(S::Reversed),
            (S::Reversed, E::Refunded) => Unchanged,
        }
    }
}
