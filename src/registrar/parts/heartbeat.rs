//! When something of each kind happened last.

use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Events that a publisher does not take, and time from an event to its publication.
pub(in crate::registrar) const STUCK: chrono::Duration = chrono::Duration::seconds(60);
/// What this process has seen of itself; times in milliseconds since 1970, 0 is never.
#[derive(Debug, Default)]
pub(in crate::registrar) struct Heartbeat {
    pub(in crate::registrar) callback_at: AtomicI64,
    /// Links made since the last callback, and when the first of them was.
    pub(in crate::registrar) unanswered: AtomicU64,
    pub(in crate::registrar) unanswered_since: AtomicI64,
    pub(in crate::registrar) worked_at: AtomicI64,
    pub(in crate::registrar) wrote_at: AtomicI64,
    pub(in crate::registrar) write_failed_at: AtomicI64,
    /// When one failed last, whatever came since: on a full disk some writes find room.
    pub(in crate::registrar) failure_at: AtomicI64,
    /// When the provider or the store said that a setting is wrong.
    pub(in crate::registrar) misconfigured_at: AtomicI64,
    pub(in crate::registrar) stuck_since: AtomicI64,
    left_at: AtomicI64,
    pub(in crate::registrar) lag: AtomicI64,
    pub(in crate::registrar) published_at: AtomicI64,
}

pub(in crate::registrar) fn time(millis: &AtomicI64) -> Option<DateTime<Utc>> {
    let millis = millis.load(Ordering::Relaxed);
    (millis > 0)
        .then(|| DateTime::from_timestamp_millis(millis))
        .flatten()
}

impl Heartbeat {
    pub(in crate::registrar) fn callback(&self, now: DateTime<Utc>) {
        self.callback_at
            .store(now.timestamp_millis(), Ordering::Relaxed);
        self.unanswered.store(0, Ordering::Relaxed);
    }

    pub(in crate::registrar) fn link(&self, now: DateTime<Utc>) {
        if self.unanswered.fetch_add(1, Ordering::Relaxed) == 0 {
            let now = now.timestamp_millis();
            self.unanswered_since.store(now, Ordering::Relaxed);
        }
    }

    pub(in crate::registrar) fn worked(&self, now: DateTime<Utc>) {
        self.worked_at
            .store(now.timestamp_millis(), Ordering::Relaxed);
    }

    /// The provider or the store said that a setting is wrong.
    pub(in crate::registrar) fn misconfigured(&self, now: DateTime<Utc>) {
        self.misconfigured_at
            .store(now.timestamp_millis(), Ordering::Relaxed);
    }

    /// The store took a change.
    pub(in crate::registrar) fn wrote(&self, now: DateTime<Utc>) {
        self.wrote_at
            .store(now.timestamp_millis(), Ordering::Relaxed);
        self.write_failed_at.store(0, Ordering::Relaxed);
    }

    /// The store did not take a change, though it was a good one.
    pub(in crate::registrar) fn write_failed(&self, now: DateTime<Utc>) {
        let millis = now.timestamp_millis();
        self.write_failed_at.store(millis, Ordering::Relaxed);
        self.failure_at.store(millis, Ordering::Relaxed);
    }

    /// Nothing was due to be published here: what was left a while ago, others have taken since.
    pub(in crate::registrar) fn nothing_due(&self, now: DateTime<Utc>) {
        if time(&self.left_at).is_none_or(|left| now - left > STUCK * 2) {
            self.stuck_since.store(0, Ordering::Relaxed);
        }
    }

    /// After a batch: whether events are left, and how old the last one was that was taken.
    pub(in crate::registrar) fn published(
        &self,
        left: bool,
        newest: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) {
        let millis = now.timestamp_millis();
        if left {
            self.left_at.store(millis, Ordering::Relaxed);
        }
        if !left {
            self.stuck_since.store(0, Ordering::Relaxed);
        } else if self.stuck_since.load(Ordering::Relaxed) == 0 {
            self.stuck_since.store(millis, Ordering::Relaxed);
        }
        if let Some(newest) = newest {
            self.lag
                .store(millis - newest.timestamp_millis(), Ordering::Relaxed);
            self.published_at.store(millis, Ordering::Relaxed);
        }
    }
}
