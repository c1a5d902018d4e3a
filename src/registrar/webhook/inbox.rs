//! Deliveries that cannot be decided now: kept, and tried again.

use crate::registrar::parts::system::{publishing, spread, system_event};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::enrollment::Case;
use crate::event::{Actor, Event, EventKind, Source};
use crate::port::GatewayError;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::receipt::{Outcome, Receipt, StageTimer};
use crate::registrar::webhook::incoming::{Incoming, Row};
use crate::store::{Change, CommitOutcome, InboxEntry, InboxOutcome, InboxState};
use crate::vocabulary::Note;
use crate::webhook::BodyError;

/// For how long a delivery waits for a provider that is not asked, before that counts as tries.
const NOT_ASKED: chrono::Duration = chrono::Duration::days(3);

/// Why a delivery cannot be settled now.
pub(in crate::registrar) enum Unsettled {
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
    pub(in crate::registrar) async fn settle_not_final(
        &self,
        incoming: &Incoming<'_>,
        mut row: Row,
        case: &Case,
        watch: &mut StageTimer,
    ) -> Result<Option<Receipt>, Error> {
        row.entry.state = InboxState::Settled {
            outcome: InboxOutcome::NotFinal,
        };
        let kept = self.keep(row, None, watch).await?;
        Ok(incoming.kept(kept, Outcome::NotFinal, Some(case)))
    }

    /// Keeps a delivery that names no payment which is known; `None` when the race was lost.
    pub(in crate::registrar) async fn park(
        &self,
        incoming: &Incoming<'_>,
        mut row: Row,
        watch: &mut StageTimer,
    ) -> Result<Option<Receipt>, Error> {
        if let Some(outcome) = incoming.adds_nothing(&row) {
            return Ok(Some(incoming.receipt(outcome, None)));
        }
        let now = incoming.now;
        let alert_at = row.entry.received_at + self.inner.config.parked_alert;
        let mut next_at = self.next_try(row.entry.tries, now);
        if now < alert_at {
            next_at = next_at.min(alert_at);
        }
        row.entry.state = InboxState::Parked { next_at };
        let key = incoming.key.clone();
        // No try before this one was due later than the alert, so it is told once.
        let was_due = row.was.as_ref().and_then(|was| was.state.due_at());
        let is_overdue = was_due.is_some_and(|due| due <= alert_at) && alert_at <= now;
        // It stays parked for as long as it takes: money nobody can match is never dropped.
        let kind = if is_overdue && incoming.kept.is_some() {
            tracing::error!("a webhook still names no payment that is known; somebody has to look");
            Some(EventKind::DeliveryOverdue { key })
        } else {
            row.was
                .is_none()
                .then_some(EventKind::DeliveryParked { key })
                .inspect(|_| {
                    tracing::warn!("a webhook names no payment that is known; it is parked");
                })
        };
        let event = kind.map(|kind| system_event(kind, now));
        let kept = self.keep(row, event, watch).await?;
        Ok(incoming.kept(kept, Outcome::Parked, None))
    }

    /// Keeps a delivery that cannot be settled now, or gives it up; `None` when the race was lost.
    pub(in crate::registrar) async fn wait(
        &self,
        incoming: &Incoming<'_>,
        mut row: Row,
        (case, why): (Option<&Case>, &Unsettled),
        watch: &mut StageTimer,
    ) -> Result<Option<Receipt>, Error> {
        let adds_nothing = incoming.adds_nothing(&row);
        // What was parked is known to be about an enrollment now.
        if let Some(outcome) = adds_nothing.filter(|outcome| *outcome != Outcome::Parked) {
            return Ok(Some(incoming.receipt(outcome, case)));
        }
        let entry = &mut row.entry;
        let not_asked = self.not_asked(entry, why, incoming.now);
        if not_asked.is_some() {
            let counted = u32::from(incoming.kept.is_some());
            entry.tries = entry.tries.saturating_sub(counted);
        } else if entry.tries >= self.inner.config.retry_limit {
            return self.give_up(incoming, row, (case, why), watch).await;
        }
        let next_at = not_asked.unwrap_or_else(|| self.next_try(entry.tries, incoming.now));
        entry.state = InboxState::Waiting { next_at };
        let kept = self.keep(row, None, watch).await?;
        Ok(incoming.kept(kept, Outcome::Waiting, case))
    }

    async fn give_up(
        &self,
        incoming: &Incoming<'_>,
        mut row: Row,
        (case, why): (Option<&Case>, &Unsettled),
        watch: &mut StageTimer,
    ) -> Result<Option<Receipt>, Error> {
        let cause = why.cause();
        row.entry.state = InboxState::Dead {
            cause: cause.clone(),
        };
        let mut change = match case {
            Some(case) => self.hand_over(incoming, case, (&cause, row.entry.received_at))?,
            None => Change::default(),
        };
        let key = incoming.key.clone();
        let kind = EventKind::DeliveryDead { key, cause };
        change.events.push(system_event(kind, incoming.now));
        let committed = self.commit_timed(publishing(row.in_change(change)), watch);
        let committed = committed.await?;
        if committed == CommitOutcome::Done {
            let enrollment = case.map(|case| tracing::field::display(case.enrollment.id));
            tracing::error!(enrollment, "a payment is given up on; it needs a person");
        }
        Ok(incoming.kept(committed, Outcome::Dead, case))
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
        (cause, heard): (&Note, DateTime<Utc>),
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
        Ok(case
            .clone()
            .unconfirmed(&reference, heard, &step)?
            .delta
            .into())
    }

    /// Commits the inbox row alone.
    async fn keep(
        &self,
        row: Row,
        event: Option<Event>,
        watch: &mut StageTimer,
    ) -> Result<CommitOutcome, Error> {
        let events = event.into_iter().collect();
        let change = row.in_change(Change::events_only(events));
        self.commit_timed(publishing(change), watch).await
    }

    /// A delivery that is kept under another key now is settled under this one.
    pub(in crate::registrar) async fn follow(&self, mut entry: InboxEntry) -> Result<(), Error> {
        let settled = InboxState::Settled {
            outcome: InboxOutcome::NoEffect,
        };
        let was = std::mem::replace(&mut entry.state, settled);
        let change = Change::inbox_only(entry, None).inbox_was(Some(was));
        self.commit(change).await.map(drop)
    }

    /// A delivery whose stored body cannot be read: tried again, and given up on in the end.
    pub(in crate::registrar) async fn put_off(
        &self,
        mut entry: InboxEntry,
        why: &BodyError,
    ) -> Result<(), Error> {
        let now = self.now();
        let was = Some(entry.state.clone());
        entry.tries += 1;
        let mut event = None;
        if entry.tries >= self.inner.config.retry_limit {
            let cause = Note::new(format!("It cannot be read: {why}. Then replay this."));
            let kind = EventKind::DeliveryDead {
                key: entry.key.clone(),
                cause: cause.clone(),
            };
            event = Some(system_event(kind, now));
            entry.state = InboxState::Dead { cause };
        } else {
            entry.state = InboxState::Waiting {
                next_at: self.next_try(entry.tries, now),
            };
        }
        tracing::error!(error = %why, "the body of a delivery cannot be read");
        let change = publishing(Change::inbox_only(entry, event).inbox_was(was));
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
