//! The alerts of this process, and what they are counted from.

use crate::monitor::{Alert, AlertEngine, Signal};
use crate::registrar::parts::panics::Panics;
use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The watch, shared by everything that has something to tell it.
#[derive(Debug)]
pub(in crate::registrar) struct AlertState {
    watch: Mutex<AlertEngine>,
    /// When the queues were counted, in seconds since 1970.
    counted_at: AtomicI64,
    /// What of the host's panicked.
    pub(in crate::registrar) panics: Panics,
}

impl AlertState {
    pub(in crate::registrar) fn new(watch: AlertEngine) -> Self {
        Self {
            watch: Mutex::new(watch),
            counted_at: AtomicI64::new(0),
            panics: Panics::default(),
        }
    }

    pub(in crate::registrar) fn lock(&self) -> MutexGuard<'_, AlertEngine> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the queues are to be counted again.
    pub(in crate::registrar) fn is_minute_over(&self, now: DateTime<Utc>) -> bool {
        let (now, last) = (now.timestamp(), self.counted_at.load(Ordering::Relaxed));
        let is_over = now - last >= 60;
        if is_over {
            self.counted_at.store(now, Ordering::Relaxed);
        }
        is_over
    }

    /// What the others are to be told; the same again until it has arrived.
    pub(in crate::registrar) fn leave(&self) -> Vec<(Signal, u64, i64)> {
        self.lock().leave()
    }

    pub(in crate::registrar) fn arrived(&self) {
        self.lock().arrived();
    }

    /// Something happened somewhere.
    pub(in crate::registrar) fn learn(
        &self,
        signal: Signal,
        times: u64,
        most: i64,
        at: DateTime<Utc>,
    ) {
        self.lock().learn(signal, times, most, at);
    }

    /// These alerts stand, for all processes.
    pub(in crate::registrar) fn stand(&self, alerts: &[Alert]) {
        self.lock().stand(alerts);
    }

    /// How far back the rules look.
    pub(in crate::registrar) fn reach(&self) -> Duration {
        self.lock().reach()
    }

    /// Something happened.
    pub(in crate::registrar) fn count(&self, signal: Signal, now: DateTime<Utc>) {
        self.lock().note(signal, 1, now);
    }

    /// Several things happened at once; see [`Signal::bit`].
    pub(in crate::registrar) fn count_all(&self, signals: u32, now: DateTime<Utc>) {
        let mut watch = self.lock();
        for signal in Signal::ALL {
            if signals & signal.bit() != 0 {
                watch.note(*signal, 1, now);
            }
        }
    }

    /// Something took so long.
    pub(in crate::registrar) fn measure(
        &self,
        signal: Signal,
        taken: chrono::Duration,
        now: DateTime<Utc>,
    ) {
        self.lock().note(signal, taken.num_milliseconds(), now);
    }
}
