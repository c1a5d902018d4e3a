//! What was offered to a learner, one offer after another.

use std::iter::once;

use chrono::{DateTime, Utc};

use super::case::Case;
use crate::access::{AccessTerms, GrantSource};
use crate::payment::PaymentAttempt;
use crate::vocabulary::Money;

impl Case {
    /// What the access of an attempt, or less, was offered for since, where that was more: then
    /// its own price is an old one. It is one of today again once as much access, or more, was
    /// offered for no more money.
    pub fn dearer_since(&self, attempt: &PaymentAttempt) -> Option<Money> {
        let later = self
            .later(attempt)
            .map(|other| (&other.terms, other.amount));
        let today = (&self.enrollment.terms, self.enrollment.price);
        for (terms, price) in once(today).chain(later) {
            if costs_no_more(price, attempt.amount) {
                if terms.is_at_least(&attempt.terms) {
                    return None;
                }
            } else if attempt.terms.is_at_least(terms) {
                return Some(price);
            }
        }
        None
    }

    /// The most that was asked for the access of an attempt since, and is asked today.
    pub(super) fn asked_since(&self, attempt: &PaymentAttempt) -> Money {
        let today = self.enrollment.price;
        match self.dearer_since(attempt) {
            Some(dearer) if !costs_no_more(dearer, today) => dearer,
            _ => today,
        }
    }

    /// Whether another offer was made since at whose side this one is too cheap, or that is too cheap
    /// beside this one: to go on with this one would bring an old price back, or leave no trace of
    /// that today's is another.
    pub(super) fn is_superseded(&self, attempt: &PaymentAttempt) -> bool {
        let too_cheap = |one: &PaymentAttempt, beside: &PaymentAttempt| {
            !costs_no_more(beside.amount, one.amount) && one.terms.is_at_least(&beside.terms)
        };
        self.later(attempt)
            .any(|other| too_cheap(attempt, other) || too_cheap(other, attempt))
    }

    /// The attempts that were begun after one, newest first.
    fn later<'a>(
        &'a self,
        attempt: &'a PaymentAttempt,
    ) -> impl Iterator<Item = &'a PaymentAttempt> {
        let newest_first = self.attempts.iter().rev();
        newest_first
            .take_while(|other| other.reference != attempt.reference)
            .filter(|other| !self.is_brought_over(other))
    }

    /// Whether a payment was made in another system: what it cost there is no offer of ours.
    fn is_brought_over(&self, attempt: &PaymentAttempt) -> bool {
        self.own_grants().any(|grant| {
            matches!(grant.source, GrantSource::Migration { .. })
                && grant.source.payment() == Some(&attempt.reference)
        })
    }

    /// When the offer of an attempt was made last: when it was asked for last, or later, for as much access or more
    /// and no more money.
    pub(super) fn last_offered(&self, attempt: &PaymentAttempt) -> DateTime<Utc> {
        let as_good = |other: &&PaymentAttempt| {
            costs_no_more(other.amount, attempt.amount)
                && other.terms.is_at_least(&attempt.terms)
                && !self.is_brought_over(other)
        };
        let offered = self.attempts.iter().filter(as_good);
        let last = offered.map(|other| other.asked_at).max();
        last.unwrap_or(attempt.asked_at)
    }
}

/// Whether one price is no more than another; that of another currency is.
fn costs_no_more(price: Money, than: Money) -> bool {
    price.currency() == than.currency() && price.minor() <= than.minor()
}

/// The same access for however long.
pub(super) fn for_any_time(terms: &AccessTerms) -> AccessTerms {
    AccessTerms {
        seconds: Some(0),
        ..terms.clone()
    }
}
