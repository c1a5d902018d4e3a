//! Deliveries that cannot be decided now: kept, and tried again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::receipt::{Outcome, Receipt, Stopwatch};
use super::{Error, Registrar};
use crate::enrollment::{Case, Change, InboxEntry, InboxOutcome, InboxState};
use crate::evidence::SignedBy;
use crate::ids::IdRun;
use crate::payment::Attempt;
use crate::port::{Committed, GatewayError, KnownDelivery};
use crate::reason::{Note, has_card_number};
use crate::record::{Actor, Fact, Record, Source};
use crate::webhook::{BodyError, BodyKeys, DeliveryKey, Notification, StoredBody, Verified};

/// For how long a delivery waits for a provider that is not asked, before that counts as tries.
const NOT_ASKED: chrono::Duration = chrono::Duration::days(3);

/// A delivery on its way through the pipeline.
pub(super) struct Incoming<'d> {
    pub(super) verified: &'d Verified<'d>,
    pub(super) notification: &'d Notification<'d>,
    pub(super) key: DeliveryKey,
    /// As it waited in the inbox: the worker's tries count, the sender's do not.
    pub(super) kept: Option<&'d InboxEntry>,
    pub(super) now: DateTime<Utc>,
}

/// Why a delivery cannot be settled now.
pub(super) enum Unsettled {
    /// The provider does not say that it is paid.
    Unpaid,
    /// The provider cannot be asked.
    Unasked(Error),
    /// The decision cannot be carried out.
    Refused(Error),
}

impl Unsettled {
    /// What is wrong, and what to do about it: for whoever finds it given up on.
    fn cause(&self) -> Note {
        let text = match self {
            Self::Unpaid => {
                "The callback says paid, and the provider does not. Look the payment up in the \
                 provider's dashboard: replay this once it is paid there, else reject the enrollment."
                    .to_owned()
            }
            Self::Unasked(error) => {
                let reason = match error {
                    Error::Gateway(error) => error.to_string(),
                    other => other.to_string(),
                };
                format!(
                    "The provider could not be asked: {reason}. Replay this when it can be, or look \
                     the payment up in its dashboard and approve the enrollment."
                )
            }
            Self::Refused(error) => {
                let reason = match error {
                    Error::Store(error) => error.to_string(),
                    other => other.to_string(),
                };
                format!("It could not be applied: {reason}. Mend that, and replay this.")
            }
        };
        Note::new(text)
    }
}

impl Registrar {
    pub(super) async fn settle_not_final(
        &self,
        incoming: &Incoming<'_>,
        mut entry: InboxEntry,
        case: &Case,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        entry.state = InboxState::Settled {
            outcome: InboxOutcome::NotFinal,
        };
        self.keep(incoming, entry, None, Outcome::NotFinal, Some(case), watch)
            .await
    }

    pub(super) async fn park(
        &self,
        incoming: &Incoming<'_>,
        mut entry: InboxEntry,
        known: Option<&KnownDelivery>,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        let now = incoming.now;
        let alert_at = entry.received_at + self.inner.config.parked_alert;
        let mut next_at = self.next_try(entry.tries, now);
        if now < alert_at {
            next_at = next_at.min(alert_at);
        }
        entry.state = InboxState::Parked { next_at };
        // No try before this one was due later than the alert, so it is told once.
        let was_due = known.and_then(|known| known.state.due_at());
        if was_due.is_some_and(|due| due <= alert_at) && alert_at <= now && incoming.kept.is_some()
        {
            tracing::error!("a webhook still names no payment that is known; somebody has to look");
            let fact = Fact::DeliveryOverdue {
                key: incoming.key.clone(),
            };
            let record = Some(system_record(fact, now));
            return self
                .keep(incoming, entry, record, Outcome::Parked, None, watch)
                .await;
        }
        // It stays parked for as long as it takes: money nobody can match is never dropped.
        let record = known.is_none().then(|| {
            tracing::warn!("a webhook names no payment that is known; it is parked");
            system_record(
                Fact::DeliveryParked {
                    key: incoming.key.clone(),
                },
                incoming.now,
            )
        });
        self.keep(incoming, entry, record, Outcome::Parked, None, watch)
            .await
    }

    pub(super) async fn wait(
        &self,
        incoming: &Incoming<'_>,
        mut entry: InboxEntry,
        case: Option<&Case>,
        why: &Unsettled,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        if let Some(next_at) = self.not_asked(&entry, why, incoming.now) {
            entry.tries = entry
                .tries
                .saturating_sub(u32::from(incoming.kept.is_some()));
            entry.state = InboxState::Waiting { next_at };
            return self
                .keep(incoming, entry, None, Outcome::Waiting, case, watch)
                .await;
        }
        if entry.tries >= self.inner.config.retry_limit {
            let cause = why.cause();
            entry.state = InboxState::Dead {
                cause: cause.clone(),
            };
            let record = system_record(
                Fact::DeliveryDead {
                    key: incoming.key.clone(),
                    cause: cause.clone(),
                },
                incoming.now,
            );
            let enrollment = case.map(|case| tracing::field::display(case.enrollment.id));
            tracing::error!(enrollment, "a payment is given up on; it needs a person");
            let mut change = match case {
                Some(case) => self.hand_over(incoming, case, &cause)?,
                None => Change::default(),
            };
            change.inbox = Some(entry);
            change.records.push(record);
            return match self.commit_timed(publishing(change), watch).await? {
                Committed::Done => Ok(incoming.receipt(Outcome::Dead, case)),
                Committed::Duplicate => {
                    let outcome = Outcome::Duplicate(InboxOutcome::NoEffect);
                    Ok(incoming.receipt(outcome, case))
                }
                // The enrollment moved on: its lease ends, and it is tried once more.
                Committed::Conflict => Ok(incoming.receipt(Outcome::Waiting, case)),
            };
        }
        entry.state = InboxState::Waiting {
            next_at: self.next_try(entry.tries, incoming.now),
        };
        self.keep(incoming, entry, None, Outcome::Waiting, case, watch)
            .await
    }

    /// When to go on with a delivery for which the provider was not even asked, since it is left
    /// alone, or has been asked enough for now: that is no try, for the first days.
    fn not_asked(
        &self,
        entry: &InboxEntry,
        why: &Unsettled,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let Unsettled::Unasked(Error::Gateway(error)) = why else {
            return None;
        };
        let until = match error {
            GatewayError::Throttled => now,
            GatewayError::CircuitOpen { until } => (*until).max(now),
            _ => return None,
        };
        let is_recent = now.signed_duration_since(entry.received_at) < NOT_ASKED;
        is_recent.then(|| until + spread())
    }

    /// Puts the enrollment of a delivery that is given up on before a person.
    fn hand_over(
        &self,
        incoming: &Incoming<'_>,
        case: &Case,
        cause: &Note,
    ) -> Result<Change, Error> {
        let (reference, link) = (
            incoming.notification.reference_text(),
            incoming.notification.pay_link_text(),
        );
        let Some(attempt) = case.attempt(reference, link) else {
            return Ok(Change::default());
        };
        let note = Some(cause.clone());
        let step = self.step(&Actor::System, Source::SystemAutomatic, &note, incoming.now);
        let reference = attempt.reference.clone();
        Ok(case.clone().unconfirmed(&reference, &step)?.change)
    }

    /// Every race was lost, or the store refuses the change: keep the delivery for the worker.
    pub(super) async fn give_way(
        &self,
        incoming: &Incoming<'_>,
        known: Option<&KnownDelivery>,
        why: &Unsettled,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        let entry = incoming.entry(&self.inner.config.body_keys, known, None)?;
        self.wait(incoming, entry, None, why, watch).await
    }

    /// Commits the inbox row alone.
    async fn keep(
        &self,
        incoming: &Incoming<'_>,
        entry: InboxEntry,
        record: Option<Record>,
        outcome: Outcome,
        case: Option<&Case>,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        let change = publishing(Change::inbox_only(entry, record));
        let committed = self.commit_timed(change, watch).await?;
        let outcome = match committed {
            Committed::Done | Committed::Conflict => outcome,
            Committed::Duplicate => Outcome::Duplicate(InboxOutcome::NoEffect),
        };
        Ok(incoming.receipt(outcome, case))
    }

    /// A delivery that is kept under another key now is settled under this one.
    pub(super) async fn follow(&self, mut entry: InboxEntry) -> Result<(), Error> {
        entry.state = InboxState::Settled {
            outcome: InboxOutcome::NoEffect,
        };
        self.commit(Change::inbox_only(entry, None)).await.map(drop)
    }

    /// A delivery whose stored body cannot be read: tried again, and given up on in the end.
    pub(super) async fn put_off(
        &self,
        mut entry: InboxEntry,
        why: &BodyError,
    ) -> Result<(), Error> {
        let now = self.now();
        entry.tries += 1;
        let mut record = None;
        if entry.tries >= self.inner.config.retry_limit {
            let cause = Note::new(format!("It cannot be read: {why}. Then replay this."));
            let fact = Fact::DeliveryDead {
                key: entry.key.clone(),
                cause: cause.clone(),
            };
            record = Some(system_record(fact, now));
            entry.state = InboxState::Dead { cause };
        } else {
            entry.state = InboxState::Waiting {
                next_at: self.next_try(entry.tries, now),
            };
        }
        tracing::error!(error = %why, "the body of a delivery cannot be read");
        let change = publishing(Change::inbox_only(entry, record));
        self.commit(change).await.map(drop)
    }

    /// When to try again: the delay doubles with each try, and is spread by a quarter
    /// so that many that wait do not come back at once.
    fn next_try(&self, tries: u32, now: DateTime<Utc>) -> DateTime<Utc> {
        let config = &self.inner.config;
        let doubled = config
            .retry_delay
            .saturating_mul(1 << tries.min(20))
            .min(config.retry_delay_max);
        let [spread, ..] = *Uuid::new_v4().as_bytes();
        now + doubled + doubled.mul_f64(f64::from(spread) / 1024.0)
    }
}

impl Incoming<'_> {
    pub(super) fn entry(
        &self,
        keys: &BodyKeys,
        known: Option<&KnownDelivery>,
        case: Option<&Case>,
    ) -> Result<InboxEntry, BodyError> {
        let received_at = known.map_or(self.now, |known| known.received_at);
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
        let same_link = |attempt: &&Attempt| {
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
        entry.tries = match known {
            // A replay starts over.
            None
            | Some(KnownDelivery {
                state: InboxState::Dead { .. },
                ..
            }) => 0,
            Some(known) => known.tries,
        } + u32::from(self.kept.is_some());
        Ok(entry)
    }

    pub(super) fn receipt(&self, outcome: Outcome, case: Option<&Case>) -> Receipt {
        Receipt {
            delivery: Some(self.key.clone()),
            enrollment: case.map(|case| case.enrollment.id),
            status: case.map(|case| case.enrollment.status.clone()),
            ..Receipt::new(outcome)
        }
    }
}

/// Up to half a minute, at random: what waits for the same does not come back all at once.
pub(super) fn spread() -> Duration {
    let [spread, ..] = *Uuid::new_v4().as_bytes();
    Duration::from_millis(1000 + u64::from(spread) * 100)
}

/// The body of a delivery, ready to be stored: as it is stored already, if it is.
pub(super) fn stored_body(
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

pub(super) fn signed_by(verified: &Verified<'_>) -> SignedBy {
    SignedBy {
        key: verified.key().clone(),
        form: verified.form(),
    }
}

pub(super) fn system_record(fact: Fact, now: DateTime<Utc>) -> Record {
    Record::new(
        IdRun::new(now).record(),
        fact,
        Actor::System,
        Source::SystemAutomatic,
        now,
    )
}

pub(super) fn publishing(mut change: Change) -> Change {
    change.publish = true;
    change
}

/// How long the inbox keeps a claimed delivery from other workers.
pub(super) const LEASE: Duration = Duration::from_secs(30);
