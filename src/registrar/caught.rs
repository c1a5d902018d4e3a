//! What a host's own code does wrong stays with it: a panic there fails one call, and nothing else.
//! (A program that is built with `panic = "abort"` ends all the same.)

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::watch::AlertState;
use crate::monitor::Signal;
use crate::port::Clock;
use crate::vocabulary::string_enum;

/// A part that the host gave, and that can panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HostPart {
    /// A publisher.
    Publisher,
    /// A notification channel.
    Channel,
    /// An alert sink.
    Sink,
    /// The gateway.
    Gateway,
    /// The policy, the detector, the guard or the list of courses, as they decide on a payment.
    Decision,
    /// Another part, in a call of the registrar or of its worker.
    Other,
}

string_enum!(HostPart {
    Publisher => "publisher",
    Channel => "notification_channel",
    Sink => "alert_sink",
    Gateway => "gateway",
    Decision => "decision",
    Other => "other",
});

/// A part of the host's panicked. What it said is in the process's error output, and nowhere else:
/// it may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panicked(pub(super) HostPart);

/// What panicked, how often and when last.
#[derive(Debug, Default)]
pub(super) struct Panics(Mutex<BTreeMap<HostPart, (u64, DateTime<Utc>)>>);

impl Panics {
    fn note(&self, part: HostPart, now: DateTime<Utc>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, last) = known.entry(part).or_insert((0, now));
        (*times, *last) = (times.saturating_add(1), now);
    }

    /// What panicked after a time.
    pub(super) fn since(&self, time: DateTime<Utc>) -> Vec<(HostPart, u64, DateTime<Utc>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.iter().filter(|(_, (_, last))| *last > time);
        recent
            .map(|(part, (times, last))| (*part, *times, *last))
            .collect()
    }
}

impl AlertState {
    fn panicked(&self, part: HostPart, now: DateTime<Utc>) -> Panicked {
        self.panics.note(part, now);
        // An alert of a sink's own panics would be given to that sink, for ever.
        if part != HostPart::Sink {
            self.count(Signal::HostPanicked, now);
        }
        tracing::error!(
            %part,
            "a part of the host's panicked; its message is in the error output of this process"
        );
        Panicked(part)
    }
}

/// Waits for something of the host's.
pub(super) async fn caught<T>(
    (tower, clock): (&AlertState, &dyn Clock),
    part: HostPart,
    work: impl Future<Output = T>,
) -> Result<T, Panicked> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|_| tower.panicked(part, clock.now()))
}

/// Calls something of the host's.
pub(super) fn called<T>(
    (tower, clock): (&AlertState, &dyn Clock),
    part: HostPart,
    work: impl FnOnce() -> T,
) -> Result<T, Panicked> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.map_err(|_| tower.panicked(part, clock.now()))
}
