//! Who means no good, or is broken: counted, and recorded at a rate that cannot fill the store.

use crate::registrar::parts::security_log::Admission;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::{Event, EventKind};
use crate::monitor::Signal;
use crate::payment::{PaymentAttempt, ProviderStatus};
use crate::registrar::core::Registrar;
use crate::registrar::parts::meter;
use crate::registrar::parts::system::{publishing, system_event};
use crate::store::{Change, InboxState, KnownDelivery, Lookup};
use crate::vocabulary::reason::SecurityEvent;
use crate::webhook::{Delivery, DeliveryKey, VerifyError, hinted_reference};

/// From then on a payment that is told of again is no second try of the sender's.
const REPLAY: Duration = Duration::from_secs(3600);

impl Registrar {
    /// Has the provider asked soon about the attempt that an unverified delivery names, if we
    /// know it. The sender learns nothing from that.
    pub(in crate::registrar) async fn follow_hint(&self, delivery: &Delivery, now: DateTime<Utc>) {
        if self.inner.provider.is_none() || delivery.body().len() > self.inner.config.max_body {
            return;
        }
        let Some(reference) = hinted_reference(delivery) else {
            return;
        };
        if !self.inner.hints.admit(now) {
            tracing::warn!(
                "too many unverified webhooks; the provider is not asked about this one"
            );
            return;
        }
        let followed = async {
            let found = self.inner.store.load(Lookup::Reference(&reference)).await?;
            let case = found.case;
            let attempt = case
                .as_ref()
                .and_then(|case| case.attempt(Some(reference.as_str()), None));
            let open = attempt.is_some_and(PaymentAttempt::is_open);
            if open {
                self.look_soon(&reference, now).await?;
            }
            Ok::<(), crate::registrar::error::Error>(())
        };
        if let Err(error) = followed.await {
            tracing::warn!(error = %error.in_full(), "an unverified webhook could not be followed up");
        }
    }

    /// Counts a refused delivery. Nothing of the delivery itself is kept.
    pub(in crate::registrar) async fn note_refusal(&self, error: VerifyError, now: DateTime<Utc>) {
        let (event, signal) = match error {
            VerifyError::WrongSignature => (SecurityEvent::BadSignature, true),
            VerifyError::WrongAppId => (SecurityEvent::WrongAppId, true),
            VerifyError::MalformedSignature => (SecurityEvent::Malformed, true),
            _ => (SecurityEvent::Malformed, false),
        };
        let tower = &self.inner.tower;
        tower.count(Signal::WebhookFailed, now);
        if signal {
            tower.count(Signal::SignatureFailed, now);
        }
        tracing::warn!(reason = %error, "webhook refused");
        let admitted = self.inner.refused.admit(now);
        let noted = self.note_event(event, admitted, now, |unrecorded| {
            system_event(EventKind::DeliveryRefused { error, unrecorded }, now)
        });
        Box::pin(noted).await;
    }

    /// Counts a payment that was settled, and is told of again. Soon after it that is a second
    /// try of the sender's, unless there are very many. A failure may come again at any time: a
    /// card can be declined twice.
    pub(in crate::registrar) async fn note_repeat(
        &self,
        key: &DeliveryKey,
        known: &KnownDelivery,
        status: &ProviderStatus,
        now: DateTime<Utc>,
    ) {
        let Some(admitted) = self.admit_repeat(key, known, status, now) else {
            return;
        };
        // Rare, and on the heap: the way of every webhook is not to be larger for it.
        let noted = self.note_event(SecurityEvent::Replay, admitted, now, |unrecorded| {
            let key = key.clone();
            system_event(EventKind::DeliveryRepeated { key, unrecorded }, now)
        });
        Box::pin(noted).await;
    }

    fn admit_repeat(
        &self,
        key: &DeliveryKey,
        known: &KnownDelivery,
        status: &ProviderStatus,
        now: DateTime<Utc>,
    ) -> Option<Admission> {
        let is_settled = matches!(known.state, InboxState::Settled { .. });
        if !is_settled || *status != ProviderStatus::Paid {
            return None;
        }
        let age = now.signed_duration_since(known.received_at).to_std();
        if age.is_ok_and(|age| age >= REPLAY) {
            self.inner.tower.count(Signal::Replayed, now);
            tracing::warn!(delivery = ?key, "a webhook from long ago came again");
            return Some(self.inner.repeated.admit(now));
        }
        match self.inner.doubled.admit(now) {
            Admission::Flood => Some(Admission::Flood),
            Admission::Event { .. } | Admission::Counted => None,
        }
    }

    /// Writes what is to be written about an event. That it could not be changes nothing for
    /// whoever caused it.
    pub(in crate::registrar) async fn note_event(
        &self,
        of: SecurityEvent,
        admitted: Admission,
        now: DateTime<Utc>,
        event: impl FnOnce(u64) -> Event,
    ) {
        meter::security(of);
        let change = match admitted {
            Admission::Event { unrecorded } => Change::events_only(vec![event(unrecorded)]),
            // Those who listen hear of the flood, and not of each drop.
            Admission::Flood => {
                let event = system_event(EventKind::FloodBegan { of }, now);
                publishing(Change::events_only(vec![event]))
            }
            Admission::Counted => return,
        };
        let written = self.commit(change);
        if let Err(error) = self.within(written).await {
            tracing::error!(error = %error.in_full(), event = %of, "a security event could not be recorded");
        }
    }
}
