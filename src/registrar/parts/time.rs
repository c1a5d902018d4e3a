//! One time for all instances: the host's clock, set right by that of the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use crate::port::{Clock, Sleep};

/// Clocks that are kept by NTP differ by less.
const APART: TimeDelta = TimeDelta::seconds(1);
/// An answer that took longer says too little.
const SLOW: TimeDelta = TimeDelta::seconds(2);
/// Nothing is known yet.
const UNKNOWN: i64 = i64::MIN;

/// The host's clock, less what it is ahead of the store's. What is written by an instance whose
/// clock is wrong is then true for the others: access begins, and events are published, at once.
#[derive(Debug)]
pub(in crate::registrar) struct CommonClock {
    clock: Arc<dyn Clock>,
    /// In milliseconds.
    ahead: AtomicI64,
}

impl CommonClock {
    pub(in crate::registrar) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ahead: AtomicI64::new(UNKNOWN),
        }
    }

    /// By how much the host's clock is ahead of the store's, if the store has one.
    pub(in crate::registrar) fn ahead(&self) -> Option<TimeDelta> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN).then(|| TimeDelta::milliseconds(ahead))
    }

    /// Whether that is too much to be ignored.
    pub(in crate::registrar) fn is_wrong(&self) -> bool {
        self.ahead().is_some_and(|ahead| ahead.abs() > APART)
    }

    /// The host's own time.
    pub(in crate::registrar) fn own(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The store said what time it is, between these two of the host's own times.
    pub(in crate::registrar) fn compare(
        &self,
        before: DateTime<Utc>,
        store: DateTime<Utc>,
        after: DateTime<Utc>,
    ) {
        let taken = after - before;
        // A test moves its clock as it likes.
        if self.clock.is_test_double() || taken < TimeDelta::zero() || taken > SLOW {
            return;
        }
        let was_wrong = self.is_wrong();
        let ahead = (before + taken / 2) - store;
        self.ahead
            .store(ahead.num_milliseconds(), Ordering::Relaxed);
        if self.is_wrong() && !was_wrong {
            tracing::error!(
                ahead_seconds = ahead.num_seconds(),
                "this machine's clock differs from the database's, which is gone by: set it"
            );
        }
    }
}

impl Clock for CommonClock {
    /// To the microsecond, as stores keep it: what is read again is what was decided.
    fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now().trunc_subsecs(6);
        match self.ahead() {
            Some(ahead) if ahead.abs() > APART => now - ahead,
            _ => now,
        }
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }

    fn is_test_double(&self) -> bool {
        self.clock.is_test_double()
    }
}
