//! Refused deliveries leave a record, but a flood of them must not fill the store.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};

use crate::enrollment::Change;
use crate::ids::IdRun;
use crate::record::{Actor, Fact, Record, Source};
use crate::webhook::VerifyError;

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
    fn admit(&self, now: DateTime<Utc>) -> Option<u64> {
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

impl Registrar {
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
