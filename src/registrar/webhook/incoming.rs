//! A delivery on its way through the pipeline, and its row in the inbox.

use chrono::{DateTime, Utc};

use crate::enrollment::Case;
use crate::evidence::SignedBy;
use crate::payment::PaymentAttempt;
use crate::registrar::parts::receipt::{Outcome, Receipt};
use crate::store::{
    Change, CommitOutcome, InboxEntry, InboxOutcome, InboxState, KnownDelivery, Lookup,
};
use crate::vocabulary::has_card_number;
use crate::webhook::{BodyError, BodyKeys, DeliveryKey, ProviderEvent, StoredBody, Verified};

/// A delivery on its way through the pipeline.
pub(in crate::registrar) struct Incoming<'d> {
    pub(in crate::registrar) verified: &'d Verified<'d>,
    pub(in crate::registrar) notification: &'d ProviderEvent<'d>,
    pub(in crate::registrar) key: DeliveryKey,
    /// As it waited in the inbox: the worker's tries count, the sender's do not.
    pub(in crate::registrar) kept: Option<&'d InboxEntry>,
    pub(in crate::registrar) now: DateTime<Utc>,
}

/// The row of a delivery: as it is to be, and as it was found.
pub(in crate::registrar) struct Row {
    pub(in crate::registrar) entry: InboxEntry,
    pub(in crate::registrar) was: Option<KnownDelivery>,
}

impl Row {
    /// Adds the row to a change that was decided on what was found.
    pub(in crate::registrar) fn in_change(self, mut change: Change) -> Change {
        change.inbox = Some(self.entry);
        change.inbox_was(self.was.map(|was| was.state))
    }
}

impl Incoming<'_> {
    /// What is known of it, and of the payment that it names.
    pub(in crate::registrar) fn lookup(&self) -> Lookup<'_> {
        Lookup::Delivery {
            key: &self.key,
            reference: self.notification.reference_text(),
            pay_link: self.notification.pay_link_text(),
        }
    }

    /// Its row, as far as it is known before a decision.
    pub(in crate::registrar) fn row(
        &self,
        keys: &BodyKeys,
        was: Option<KnownDelivery>,
        case: Option<&Case>,
    ) -> Result<Row, BodyError> {
        let received_at = was.as_ref().map_or(self.now, |was| was.received_at);
        let verified = self.verified;
        let mut entry = InboxEntry::new(
            self.key.clone(),
            received_at,
            verified.path(),
            stored_body(keys, &self.key, verified, self.kept)?,
            signed_by(verified),
        );
        // Most deliveries name what the case has names for already.
        let attempt = case.and_then(|case| case.attempt(self.notification.reference_text(), None));
        let same_link = |attempt: &&PaymentAttempt| {
            let link = attempt.link.as_ref().map(|link| link.id.as_str());
            link == self.notification.pay_link_text()
        };
        (entry.reference, entry.pay_link) = match attempt.filter(same_link) {
            Some(attempt) => (
                Some(attempt.reference.clone()),
                attempt.link.as_ref().map(|link| link.id.clone()),
            ),
            // What could be a card number is in the body alone.
            None => (
                self.notification
                    .reference()
                    .filter(|reference| !has_card_number(reference.as_str())),
                self.notification
                    .pay_link()
                    .filter(|link| !has_card_number(link.as_str())),
            ),
        };
        let tries = was.as_ref().map_or(0, |was| was.tries);
        entry.tries = tries + u32::from(self.kept.is_some());
        Ok(Row { entry, was })
    }

    /// What is to be said of a delivery that cannot be settled, if nothing is to be written: it was
    /// given up on, and only a replay begins anew; or this is a copy of what a worker sees to.
    pub(in crate::registrar) fn adds_nothing(&self, row: &Row) -> Option<Outcome> {
        let is_copy = self.kept.is_none();
        match row.was.as_ref()?.state {
            InboxState::Dead { .. } => Some(Outcome::Dead),
            InboxState::Waiting { .. } => is_copy.then_some(Outcome::Waiting),
            InboxState::Parked { .. } => is_copy.then_some(Outcome::Parked),
            InboxState::Settled { .. } => None,
        }
    }

    /// What came of writing the row; `None` when the race was lost.
    pub(in crate::registrar) fn kept(
        &self,
        committed: CommitOutcome,
        outcome: Outcome,
        case: Option<&Case>,
    ) -> Option<Receipt> {
        match committed {
            CommitOutcome::Done => Some(self.receipt(outcome, case)),
            CommitOutcome::Duplicate => {
                Some(self.receipt(Outcome::Duplicate(InboxOutcome::NoEffect), case))
            }
            CommitOutcome::Conflict => None,
        }
    }

    pub(in crate::registrar) fn receipt(&self, outcome: Outcome, case: Option<&Case>) -> Receipt {
        Receipt {
            delivery: Some(self.key.clone()),
            enrollment: case.map(|case| case.enrollment.id),
            status: case.map(|case| case.enrollment.status.clone()),
            ..Receipt::new(outcome)
        }
    }
}

/// The body of a delivery, ready to be stored: as it is stored already, if it is.
pub(in crate::registrar) fn stored_body(
    keys: &BodyKeys,
    key: &DeliveryKey,
    verified: &Verified<'_>,
    kept: Option<&InboxEntry>,
) -> Result<StoredBody, BodyError> {
    match kept.filter(|entry| entry.key == *key) {
        Some(entry) => Ok(entry.body.clone()),
        None => keys.seal(key, verified.body()),
    }
}

pub(in crate::registrar) fn signed_by(verified: &Verified<'_>) -> SignedBy {
    SignedBy {
        key: verified.key().clone(),
        form: verified.form(),
    }
}
