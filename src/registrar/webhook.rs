//! A webhook costs one read and one write, and nothing is answered with 200 before
//! something durable exists.

use std::pin::pin;

use chrono::{DateTime, Utc};
use tracing::Instrument;
use tracing::field::Empty;

use super::inbox::{Incoming, Unsettled, publishing, signed_by, stored_body, system_record};
use super::payment::{Known, ROUNDS, is_decided};
use super::production::PROBE;
use super::provider::Caller;
use super::receipt::{Outcome, Receipt, Stopwatch};
use super::{Error, Registrar, meter};
use crate::config::OnUnverified;
use crate::enrollment::{Applied, Case, Change, Effect, InboxEntry, InboxOutcome, InboxState};
use crate::evidence::{Confirmation, Grade};
use crate::ids::Reference;
use crate::monitor::Signal;
use crate::payment::ProviderStatus;
use crate::port::{Committed, KnownDelivery, Lookup, StoreError};
use crate::reason::{Note, Severity};
use crate::record::Fact;
use crate::webhook::{
    Delivery, DeliveryKey, Notification, NotificationError, Verified, VerifyError,
};

impl Registrar {
    /// Takes a webhook: verify, read, decide, commit. Never fails: the receipt says
    /// what to answer.
    ///
    /// Answer with [`Receipt::http_status`]. Call it with the raw body, before
    /// anything parsed it. If your framework drops a handler when its client goes away,
    /// run this in a task of its own: the provider is not known to call twice.
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
        let mut watch = Stopwatch::start();
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
            tracing::error!(%error, "webhook could not be stored");
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
    pub(super) async fn handle(
        &self,
        verified: &Verified<'_>,
        kept: Option<&InboxEntry>,
        now: DateTime<Utc>,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        let parsed = Notification::parse(verified);
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
        let known = self.inner.store.load(lookup).await?.delivery;
        let is_dead = |known: &KnownDelivery| matches!(known.state, InboxState::Dead { .. });
        // A replay that fails again is given up on again.
        if !known.as_ref().is_some_and(is_dead) {
            let mut entry = InboxEntry::new(
                key.clone(),
                known.map_or(now, |known| known.received_at),
                verified.path(),
                stored_body(&self.inner.config.body_keys, &key, verified, kept)?,
                signed_by(verified),
            );
            let cause = Note::new(format!(
                "{error}. It is signed, so the provider sent it: ask its support, and replay this \
                 with a version that can read it."
            ));
            entry.state = InboxState::Dead {
                cause: cause.clone(),
            };
            let record = system_record(
                Fact::DeliveryDead {
                    key: key.clone(),
                    cause,
                },
                now,
            );
            tracing::error!(%error, "a signed webhook cannot be read; it is kept in the inbox");
            self.commit(publishing(Change::inbox_only(entry, Some(record))))
                .await?;
        }
        Ok(Receipt {
            delivery: Some(key),
            ..Receipt::new(Outcome::Unreadable)
        })
    }

    async fn route(
        &self,
        incoming: &Incoming<'_>,
        watch: &mut Stopwatch,
    ) -> Result<Receipt, Error> {
        let notification = incoming.notification;
        let status = notification.status();
        let (mut confirmation, mut known) = (None, None);
        for _ in 0..ROUNDS {
            let lookup = Lookup::Delivery {
                key: &incoming.key,
                reference: notification.reference_text(),
                pay_link: notification.pay_link_text(),
            };
            let loaded = self.inner.store.load(lookup).await?;
            watch.lap(|timings| &mut timings.lookup);
            if let Some(known) = &loaded.delivery
                && let InboxState::Settled { outcome } = &known.state
            {
                self.note_repeat(&incoming.key, known, &status, incoming.now)
                    .await;
                return Ok(incoming.receipt(Outcome::Duplicate(*outcome), loaded.case.as_ref()));
            }
            let keys = &self.inner.config.body_keys;
            let mut entry = incoming.entry(keys, loaded.delivery.as_ref(), loaded.case.as_ref())?;
            let Some(case) = loaded.case else {
                return self
                    .park(incoming, entry, loaded.delivery.as_ref(), watch)
                    .await;
            };
            let attempt = case.attempt(notification.reference_text(), notification.pay_link_text());
            let Some(attempt) = attempt else {
                return self
                    .park(incoming, entry, loaded.delivery.as_ref(), watch)
                    .await;
            };
            let reference = attempt.reference.clone();
            entry.enrollment = Some(case.enrollment.id);

            if matches!(status, ProviderStatus::Other(_)) {
                return self.settle_not_final(incoming, entry, &case, watch).await;
            }
            let must_ask = status == ProviderStatus::Paid
                && self.inner.minimum >= Grade::Confirmed
                && confirmation.is_none()
                && !is_decided(attempt);
            if must_ask {
                let answer = self.ask(attempt, Caller::Callback).await;
                watch.lap(|timings| &mut timings.confirmation);
                match answer {
                    Ok(Some(answer)) if answer.status == ProviderStatus::Paid => {
                        confirmation = Some(answer);
                    }
                    Ok(_) => {
                        let why = Unsettled::Unpaid;
                        return self.wait(incoming, entry, Some(&case), &why, watch).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, enrollment = %case.enrollment.id, "payment not confirmed yet");
                        let why = Unsettled::Unasked(error);
                        return self.wait(incoming, entry, Some(&case), &why, watch).await;
                    }
                }
            }
            known = loaded.delivery;
            let concluded = self
                .conclude(
                    incoming,
                    entry,
                    case,
                    &reference,
                    confirmation.clone(),
                    watch,
                )
                .await;
            match concluded {
                Ok(Some(receipt)) => return Ok(receipt),
                Ok(None) => {}
                // What will never be accepted must not be lost either.
                Err(
                    error @ (Error::Refused(_)
                    | Error::Panicked(_)
                    | Error::Store(StoreError::Refused(_))),
                ) => {
                    tracing::error!(%error, "a payment could not be applied; it is kept");
                    let why = Unsettled::Refused(error);
                    return self.give_way(incoming, known.as_ref(), &why, watch).await;
                }
                Err(error) => return Err(error),
            }
        }
        let why = Unsettled::Refused(Error::Contended);
        self.give_way(incoming, known.as_ref(), &why, watch).await
    }

    /// Decides and commits; `None` when the race was lost.
    async fn conclude(
        &self,
        incoming: &Incoming<'_>,
        mut entry: InboxEntry,
        case: Case,
        reference: &Reference,
        confirmation: Option<Confirmation>,
        watch: &mut Stopwatch,
    ) -> Result<Option<Receipt>, Error> {
        let status = incoming.notification.status();
        let known = Known {
            reference,
            status: &status,
            callback: Some((incoming.verified, incoming.notification)),
            confirmation,
            heard: entry.received_at,
        };
        let Applied {
            mut change,
            case,
            effect,
            access_granted,
        } = self.decide(case, &known, incoming.now, watch)?;
        let (settled, outcome) = match effect {
            Effect::Approved => (InboxOutcome::Applied, Outcome::Applied),
            Effect::Held(reason) => (InboxOutcome::Held, Outcome::Held(reason)),
            Effect::Failed => (InboxOutcome::Failed, Outcome::Failed),
            Effect::Changed | Effect::Nothing => (InboxOutcome::NoEffect, Outcome::NoEffect),
        };
        entry.state = InboxState::Settled { outcome: settled };
        change.inbox = Some(entry);
        let committed = self.commit_timed(change, watch).await?;
        Ok(match committed {
            Committed::Done => {
                if let Effect::Held(reason) = effect
                    && reason.severity() == Severity::Error
                {
                    tracing::error!(%reason, enrollment = %case.enrollment.id, "a payment needs a person");
                }
                let mut receipt = incoming.receipt(outcome, Some(&case));
                receipt.access_granted = access_granted;
                Some(receipt)
            }
            Committed::Duplicate => {
                Some(incoming.receipt(Outcome::Duplicate(settled), Some(&case)))
            }
            Committed::Conflict => None,
        })
    }
}
