//! A webhook costs one read and one write, and nothing is answered with 200 before
//! something durable exists.

use std::pin::pin;

use chrono::{DateTime, Utc};
use tracing::Instrument;
use tracing::field::Empty;

use crate::config::OnUnverified;
use crate::enrollment::{Case, Effect, StepOutcome};
use crate::event::EventKind;
use crate::evidence::Confirmation;
use crate::monitor::Signal;
use crate::payment::{PaymentAttempt, ProviderStatus};
use crate::registrar::core::{ROUNDS, Registrar};
use crate::registrar::error::Error;
use crate::registrar::parts::meter;
use crate::registrar::parts::provider::Caller;
use crate::registrar::parts::receipt::{Outcome, Receipt, StageTimer};
use crate::registrar::parts::system::{PROBE, publishing, system_event};
use crate::registrar::webhook::inbox::Unsettled;
use crate::registrar::webhook::incoming::{Incoming, Row, signed_by, stored_body};
use crate::registrar::webhook::payment::{Known, is_decided};
use crate::store::{
    Change, CommitOutcome, InboxEntry, InboxOutcome, InboxState, KnownDelivery, Lookup, StoreError,
};
use crate::vocabulary::reason::Severity;
use crate::vocabulary::{EvidenceLevel, Note};
use crate::webhook::{
    Delivery, DeliveryKey, NotificationError, ProviderEvent, Verified, VerifyError,
};

impl Registrar {
    /// Takes a webhook: verify, read, decide, commit. Never fails: the receipt says
    /// what to answer.
    ///
    /// Answer with [`Receipt::http_status`]. Call it with the raw body, before
    /// anything parsed it. If your framework drops a handler when its client goes away,
    /// run this in a task of its own: the provider is not known to call twice.
    ///
    /// ```
    /// # use coursegate::{*, webhook::Delivery};
    /// # async fn example(registrar: &Registrar, path: &str, headers: Vec<(String, String)>, body: Vec<u8>) -> Result<(), Error> {
    /// let receipt = registrar.receive(Delivery::new(path, headers, body)).await;
    /// println!("answer with status {}", receipt.http_status());
    /// # Ok(()) }
    /// ```
    pub async fn receive(&self, delivery: Delivery) -> Receipt {
        let span = tracing::info_span!("coursegate.webhook", outcome = Empty, enrollment = Empty);
        // Kilobytes: pinned here, and not moved from call to call.
        let received = pin!(self.receive_now(&delivery));
        let receipt = received.instrument(span.clone()).await;
        span.record("outcome", receipt.outcome.as_str());
        if let Some(enrollment) = receipt.enrollment {
            span.record("enrollment", tracing::field::display(enrollment));
        }
        receipt
    }

    async fn receive_now(&self, delivery: &Delivery) -> Receipt {
        let now = self.now();
        let mut watch = StageTimer::start();
        let received = {
            let received = pin!(async {
                let verified = self.inner.verifier.verify(delivery, now);
                watch.lap(|timings| &mut timings.security);
                match verified {
                    // Our own, which says nothing about the provider's.
                    Ok(verified) if verified.body().starts_with(PROBE) => {
                        Ok(Receipt::new(Outcome::Probe))
                    }
                    Ok(verified) => {
                        self.note_key(verified.key(), now);
                        self.inner.pulse.callback(now);
                        self.handle(&verified, None, now, &mut watch).await
                    }
                    Err(error) => Ok(self.refuse(error, delivery, now).await),
                }
            });
            self.within(received).await
        };
        let mut receipt = received.unwrap_or_else(|error| {
            tracing::error!(error = %error.in_full(), "webhook could not be stored");
            Receipt::new(Outcome::Unavailable)
        });
        if matches!(receipt.outcome, Outcome::Unavailable | Outcome::Unreadable) {
            self.inner.tower.count(Signal::WebhookFailed, now);
        }
        receipt.timings = watch.finish();
        meter::webhook(&receipt.outcome, receipt.access_granted, &receipt.timings);
        tracing::info!(
            outcome = receipt.outcome.as_str(),
            enrollment = receipt.enrollment.map(tracing::field::display),
            access_granted = receipt.access_granted,
            "webhook"
        );
        receipt
    }

    async fn refuse(&self, error: VerifyError, delivery: &Delivery, now: DateTime<Utc>) -> Receipt {
        self.note_refusal(error, now).await;
        if self.inner.config.on_unverified == OnUnverified::AskProvider {
            self.follow_hint(delivery, now).await;
        }
        Receipt::new(Outcome::Refused(error))
    }

    /// Everything after the signature; also for deliveries that waited in the inbox: only those
    /// count as tries.
    pub(in crate::registrar) async fn handle(
        &self,
        verified: &Verified<'_>,
        kept: Option<&InboxEntry>,
        now: DateTime<Utc>,
        watch: &mut StageTimer,
    ) -> Result<Receipt, Error> {
        let parsed = ProviderEvent::parse(verified);
        watch.lap(|timings| &mut timings.detection);
        let mut receipt = match parsed {
            Ok(notification) => {
                let key = notification.key();
                let incoming = Incoming {
                    verified,
                    notification: &notification,
                    key,
                    kept,
                    now,
                };
                self.route(&incoming, watch).await?
            }
            Err(error) => self.keep_unreadable(verified, kept, &error, now).await?,
        };
        receipt.key = Some(verified.key().clone());
        receipt.form = Some(verified.form());
        Ok(receipt)
    }

    async fn keep_unreadable(
        &self,
        verified: &Verified<'_>,
        kept: Option<&InboxEntry>,
        error: &NotificationError,
        now: DateTime<Utc>,
    ) -> Result<Receipt, Error> {
        let key = DeliveryKey::of_unreadable(verified.body());
        let lookup = Lookup::Delivery {
            key: &key,
            reference: None,
            pay_link: None,
        };
        let receipt = Receipt {
            delivery: Some(key.clone()),
            ..Receipt::new(Outcome::Unreadable)
        };
        for _ in 0..ROUNDS {
            let known = self.inner.store.load(lookup).await?.delivery;
            let is_dead = |known: &KnownDelivery| matches!(known.state, InboxState::Dead { .. });
            // A replay that fails again is given up on again.
            if known.as_ref().is_some_and(is_dead) {
                return Ok(receipt);
            }
            let cause = Note::new(format!(
                "{error}. It is signed, so the provider sent it: ask its support, and replay this \
                 with a version that can read it."
            ));
            let mut entry = InboxEntry::new(
                key.clone(),
                known.as_ref().map_or(now, |known| known.received_at),
                verified.path(),
                stored_body(&self.inner.config.body_keys, &key, verified, kept)?,
                signed_by(verified),
            );
            entry.state = InboxState::Dead {
                cause: cause.clone(),
            };
            let key = key.clone();
            let event = system_event(EventKind::DeliveryDead { key, cause }, now);
            let change = Change::inbox_only(entry, Some(event));
            let change = change.inbox_was(known.map(|known| known.state));
            if self.commit(publishing(change)).await? != CommitOutcome::Conflict {
                tracing::error!(%error, "a signed webhook cannot be read; it is kept in the inbox");
                return Ok(receipt);
            }
        }
        Err(Error::Contended)
    }

    async fn route(
        &self,
        incoming: &Incoming<'_>,
        watch: &mut StageTimer,
    ) -> Result<Receipt, Error> {
        let mut asked = None;
        for _ in 0..ROUNDS {
            if let Some(receipt) = self.route_once(incoming, &mut asked, watch).await? {
                return Ok(receipt);
            }
        }
        // Every race was lost: it is kept for the worker, if nobody else has kept it.
        let was = self.inner.store.load(incoming.lookup()).await?.delivery;
        let row = incoming.row(&self.inner.config.body_keys, was, None)?;
        let kept = match row.was {
            Some(_) => None,
            None => {
                let why = Unsettled::Refused(Error::Contended);
                self.wait(incoming, row, (None, &why), watch).await?
            }
        };
        Ok(kept.unwrap_or_else(|| incoming.receipt(Outcome::Waiting, None)))
    }

    /// Reads, decides and commits; `None` when the race was lost. The provider is asked once.
    async fn route_once(
        &self,
        incoming: &Incoming<'_>,
        asked: &mut Option<Result<Confirmation, Unsettled>>,
        watch: &mut StageTimer,
    ) -> Result<Option<Receipt>, Error> {
        let notification = incoming.notification;
        let status = notification.status();
        let loaded = self.inner.store.load(incoming.lookup()).await?;
        watch.lap(|timings| &mut timings.lookup);
        if let Some(known) = &loaded.delivery
            && let InboxState::Settled { outcome } = &known.state
        {
            self.note_repeat(&incoming.key, known, &status, incoming.now)
                .await;
            let outcome = Outcome::Duplicate(*outcome);
            return Ok(Some(incoming.receipt(outcome, loaded.case.as_ref())));
        }
        let keys = &self.inner.config.body_keys;
        let mut row = incoming.row(keys, loaded.delivery, loaded.case.as_ref())?;
        let Some(case) = loaded.case else {
            return self.park(incoming, row, watch).await;
        };
        let attempt = case.attempt(notification.reference_text(), notification.pay_link_text());
        let Some(attempt) = attempt else {
            return self.park(incoming, row, watch).await;
        };
        row.entry.enrollment = Some(case.enrollment.id);

        if matches!(status, ProviderStatus::Other(_)) {
            return self.settle_not_final(incoming, row, &case, watch).await;
        }
        let must_ask = status == ProviderStatus::Paid
            && self.inner.minimum >= EvidenceLevel::Confirmed
            && !is_decided(attempt);
        if must_ask && asked.is_none() {
            *asked = Some(self.ask_about(attempt, &case).await);
            watch.lap(|timings| &mut timings.confirmation);
        }
        let confirmation = match asked {
            Some(Ok(answer)) => Some(answer.clone()),
            Some(Err(why)) if must_ask => {
                return self.wait(incoming, row, (Some(&case), why), watch).await;
            }
            Some(Err(_)) | None => None,
        };
        let reference = attempt.reference.clone();
        let was = row.was.clone();
        let known = Known {
            reference: &reference,
            status: &status,
            callback: Some((incoming.verified, notification)),
            confirmation,
            heard: row.entry.received_at,
        };
        match self.conclude(incoming, row, (case, &known), watch).await {
            // What will never be accepted must not be lost either.
            Err(
                error @ (Error::Refused(_)
                | Error::Panicked(_)
                | Error::Store(StoreError::Refused(_))),
            ) => {
                tracing::error!(error = %error.in_full(), "a payment could not be applied; it is kept");
                let row = incoming.row(keys, was, None)?;
                let why = Unsettled::Refused(error);
                self.wait(incoming, row, (None, &why), watch).await
            }
            concluded => concluded,
        }
    }

    /// What the provider says of an attempt that a delivery says is paid.
    async fn ask_about(
        &self,
        attempt: &PaymentAttempt,
        case: &Case,
    ) -> Result<Confirmation, Unsettled> {
        match self.ask(attempt, Caller::Callback).await {
            Ok(Some(answer)) if answer.status == ProviderStatus::Paid => Ok(answer),
            Ok(_) => Err(Unsettled::Unpaid),
            Err(error) => {
                tracing::warn!(error = %error.in_full(), enrollment = %case.enrollment.id, "payment not confirmed yet");
                Err(Unsettled::Unasked(error))
            }
        }
    }

    /// Decides and commits; `None` when the race was lost.
    async fn conclude(
        &self,
        incoming: &Incoming<'_>,
        mut row: Row,
        (case, known): (Case, &Known<'_>),
        watch: &mut StageTimer,
    ) -> Result<Option<Receipt>, Error> {
        let StepOutcome {
            delta,
            case,
            effect,
            access_granted,
        } = self.decide(case, known, incoming.now, watch)?;
        let (settled, outcome) = match effect {
            Effect::Approved => (InboxOutcome::Approved, Outcome::Approved),
            Effect::Held(reason) => (InboxOutcome::Held, Outcome::Held(reason)),
            Effect::Failed => (InboxOutcome::Failed, Outcome::Failed),
            Effect::Changed | Effect::Nothing => (InboxOutcome::NoEffect, Outcome::NoEffect),
        };
        row.entry.state = InboxState::Settled { outcome: settled };
        let committed = self
            .commit_timed(row.in_change(delta.into()), watch)
            .await?;
        Ok(match committed {
            CommitOutcome::Done => {
                if let Effect::Held(reason) = effect
                    && reason.severity() == Severity::Error
                {
                    tracing::error!(%reason, enrollment = %case.enrollment.id, "a payment needs a person");
                }
                let mut receipt = incoming.receipt(outcome, Some(&case));
                receipt.access_granted = access_granted;
                Some(receipt)
            }
            CommitOutcome::Duplicate => {
                Some(incoming.receipt(Outcome::Duplicate(settled), Some(&case)))
            }
            CommitOutcome::Conflict => None,
        })
    }
}
