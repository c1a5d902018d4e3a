//! Everything known about one payment, and how good it is.

mod checks;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::payment::{PaymentAttempt, PaymentMethod, ProviderStatus};
pub use crate::vocabulary::EvidenceLevel;
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{Currency, Money, PayLinkId, PaymentReference};
use crate::webhook::{ProviderEvent, SignedForm, Value, Verified};
pub use checks::{Check, CheckName, CheckOutcome, CheckReport, Sums};

/// A comparison of what a payment says with what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// It is the same.
    Match,
    /// It differs.
    Differs,
    /// The provider says nothing about it.
    NotStated,
}

impl Comparison {
    fn of(same: Option<bool>) -> Self {
        match same {
            Some(true) => Self::Match,
            Some(false) => Self::Differs,
            None => Self::NotStated,
        }
    }

    /// One difference outweighs any match.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Differs, _) | (_, Self::Differs) => Self::Differs,
            (Self::Match, _) | (_, Self::Match) => Self::Match,
            (Self::NotStated, Self::NotStated) => Self::NotStated,
        }
    }
}

/// Something that a provider may state, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "stated", content = "is")]
pub enum Stated<T> {
    /// Nothing is said.
    Nothing,
    /// This.
    Is(T),
    /// Something that cannot be one: a sum of zero or in fractions, a currency that there is not.
    Unusable,
}

impl<T> Stated<T> {
    /// What was said.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Nothing | Self::Unusable => None,
        }
    }

    fn compared(&self, same: impl FnOnce(&T) -> bool) -> Comparison {
        match self {
            Self::Nothing => Comparison::NotStated,
            Self::Is(value) if same(value) => Comparison::Match,
            Self::Is(_) | Self::Unusable => Comparison::Differs,
        }
    }
}

impl Stated<Money> {
    /// A whole number of minor units.
    pub fn from_minor(minor: i64, currency: Currency) -> Self {
        Money::new(minor, currency).map_or(Self::Unusable, Self::Is)
    }

    /// Whether the number is the asked one, whatever the currency.
    fn amount(&self, asked: Money) -> Comparison {
        self.compared(|sum| sum.minor() == asked.minor())
    }
}

/// What the provider answers when we ask it about a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The pay link it speaks of.
    pub pay_link: Option<PayLinkId>,
    /// The reference it speaks of; no known answer of iKhokha has one.
    pub reference: Stated<PaymentReference>,
    /// Where the payment stands.
    pub status: ProviderStatus,
    /// The sum.
    pub amount: Stated<Money>,
    /// The currency, when the provider states one; no known answer of iKhokha does.
    pub currency: Stated<Currency>,
    /// The method, when the provider reveals it; iKhokha does not.
    pub method: Option<PaymentMethod>,
    /// When the link was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// Which key signed a callback, and over which form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBy {
    /// Label of the key.
    pub key: Arc<str>,
    /// The signed form.
    pub form: SignedForm,
}

/// Everything known about one payment, graded. Stored with each decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// How well it is proven.
    pub evidence_level: EvidenceLevel,
    /// The callback's signature.
    pub signature: Option<SignedBy>,
    /// The provider's own answer.
    pub confirmation: Option<Confirmation>,
    /// The best stated sum.
    pub stated: Option<Money>,
    /// Is it the amount that was asked?
    pub amount: Comparison,
    /// Is it the currency that was asked?
    pub currency: Comparison,
    /// Does it name this attempt, and its pay link?
    pub attempt: Comparison,
}

impl Evidence {
    /// Compares what was received and what the provider answered with the attempt.
    pub fn gather(
        attempt: &PaymentAttempt,
        callback: Option<(&Verified<'_>, &ProviderEvent<'_>)>,
        confirmation: Option<Confirmation>,
    ) -> Self {
        let claimed = callback.map_or(Stated::Nothing, |(_, notification)| {
            claimed_amount(notification)
        });
        let answered = confirmation
            .as_ref()
            .map_or(Stated::Nothing, |answer| answer.amount);
        let amount = claimed
            .amount(attempt.amount)
            .and(answered.amount(attempt.amount));
        let asked_in = attempt.amount.currency();
        let currency = confirmation
            .as_ref()
            .map_or(Comparison::NotStated, |answer| {
                answer.currency.compared(|currency| *currency == asked_in)
            });
        let named = callback.map_or(Comparison::NotStated, |(_, notification)| {
            names(
                attempt,
                notification.pay_link_text(),
                notification.reference_text(),
            )
        });
        let answer_names = confirmation
            .as_ref()
            .map_or(Comparison::NotStated, |answer| {
                let link = answer.pay_link.as_ref().map(PayLinkId::as_str);
                let reference = &answer.reference;
                names(attempt, link, None).and(reference.compared(|it| *it == attempt.reference))
            });
        let subject = named.and(answer_names);
        let confirmed = confirmation
            .as_ref()
            .is_some_and(|answer| answer.status == ProviderStatus::Paid)
            && answered.amount(attempt.amount) == Comparison::Match
            && amount == Comparison::Match
            && currency != Comparison::Differs
            && subject != Comparison::Differs;
        let evidence_level = match (confirmed, callback.is_some()) {
            (true, _) => EvidenceLevel::Confirmed,
            (false, true) => EvidenceLevel::Signed,
            (false, false) => EvidenceLevel::Unsigned,
        };
        Self {
            evidence_level,
            signature: callback.map(|(verified, _)| SignedBy {
                key: verified.key().clone(),
                form: verified.form(),
            }),
            stated: answered.known().or(claimed.known()).copied(),
            confirmation,
            amount,
            currency,
            attempt: subject,
        }
    }
}

impl Evidence {
    /// The level it would have if another sum were the one that was asked.
    pub fn level_whatever_the_sum(&self) -> EvidenceLevel {
        let paid = self
            .confirmation
            .as_ref()
            .is_some_and(|answer| answer.status == ProviderStatus::Paid);
        let fits = self.currency != Comparison::Differs && self.attempt != Comparison::Differs;
        if paid && fits && self.stated.is_some() {
            EvidenceLevel::Confirmed
        } else {
            self.evidence_level
        }
    }
}

/// A genuine callback has no amount. Should one ever come, it is whole cents, and
/// it can only raise a doubt, never settle one.
fn claimed_amount(notification: &ProviderEvent<'_>) -> Stated<Money> {
    match notification.field("amount") {
        Some(Value::Integer(minor)) => Stated::from_minor(minor, Currency::ZAR),
        Some(_) => Stated::Unusable,
        None if notification.has_extra("amount") => Stated::Unusable,
        None => Stated::Nothing,
    }
}

fn names(attempt: &PaymentAttempt, pay_link: Option<&str>, reference: Option<&str>) -> Comparison {
    // A link may exist that we never heard of, when creating it timed out.
    let link = pay_link.and_then(|id| attempt.link.as_ref().map(|link| link.id.as_str() == id));
    let reference = reference.map(|reference| reference == attempt.reference.as_str());
    Comparison::of(link).and(Comparison::of(reference))
}

/// How the sum that was stated differs from the one that was asked, if both are sums.
pub(crate) fn sum_differs(evidence: &Evidence, attempt: &PaymentAttempt) -> Option<HoldReason> {
    if evidence.amount != Comparison::Differs {
        return None;
    }
    let (stated, asked) = (evidence.stated?, attempt.amount);
    match stated.minor().cmp(&asked.minor()) {
        std::cmp::Ordering::Less => Some(HoldReason::Underpayment),
        std::cmp::Ordering::Greater => Some(HoldReason::Overpayment),
        std::cmp::Ordering::Equal => None,
    }
}
