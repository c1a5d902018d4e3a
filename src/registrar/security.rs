//! Refused deliveries leave a record, but a flood of them must not fill the store.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::enrollment::Change;
use crate::ids::IdRun;
use crate::payment::Attempt;
use crate::port::Lookup;
use crate::record::{Actor, Fact, Record, Source};
use crate::webhook::{Delivery, VerifyError, hinted_reference};

use super::Registrar;

/// Records written per minute; what comes on top is only counted.
const PER_MINUTE: u32 = 60;

#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    minute: i64,
    written: u32,
    unrecorded: u64,
}

impl RefusalLog {
    /// Whether to write a record now, and how many were only counted since the last.
    pub(super) fn admit(&self, now: DateTime<Utc>) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.timestamp().div_euclid(60);
        if window.minute != minute {
            (window.minute, window.written) = (minute, 0);
        }
        if window.written >= PER_MINUTE {
            window.unrecorded = window.unrecorded.saturating_add(1);
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.unrecorded))
    }
}

/// Look-ups per minute that unverified deliveries may lead to.
const HINTS_PER_MINUTE: u32 = 30;

/// Counts what unverified deliveries lead to.
#[derive(Debug, Default)]
pub(super) struct HintLimit(Mutex<(i64, u32)>);

impl HintLimit {
    fn admit(&self, now: DateTime<Utc>) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.timestamp().div_euclid(60);
        if window.0 != minute {
            *window = (minute, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1 <= HINTS_PER_MINUTE
    }
}

impl Registrar {
    /// Has the provider asked soon about the attempt that an unverified delivery names, if we
    /// know it. The sender learns nothing from that.
    pub(super) async fn follow_hint(&self, delivery: &Delivery, now: DateTime<Utc>) {
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
            let open = attempt.is_some_and(Attempt::is_open);
            if open {
                self.look_soon(&reference, now).await?;
            }
            Ok::<(), super::Error>(())
        };
        if let Err(error) = followed.await {
            tracing::warn!(%error, "an unverified webhook could not be followed up");
        }
    }

    /// Records a refusal. Nothing of the delivery itself is kept. That it could not be
    /// recorded changes nothing for the sender.
    pub(super) async fn record_refusal(&self, error: VerifyError, now: DateTime<Utc>) {
        tracing::warn!(reason = %error, "webhook refused");
        let Some(unrecorded) = self.inner.refused.admit(now) else {
            return;
        };
        let fact = Fact::DeliveryRefused { error, unrecorded };
        let record = Record::new(
            IdRun::new(now).record(),
            fact,
            Actor::System,
            Source::SystemAutomatic,
            now,
        );
        if let Err(error) = self
            .inner
            .store
            .commit(Change::records_only(vec![record]))
            .await
        {
            tracing::error!(%error, "the refusal could not be recorded");
        }
    }
}
