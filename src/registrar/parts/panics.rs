//! What of the host's panicked, and how often.

use crate::vocabulary::string_enum;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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
pub(in crate::registrar) struct Panicked(pub(in crate::registrar) HostPart);

/// What panicked, how often and when last.
#[derive(Debug, Default)]
pub(in crate::registrar) struct Panics(Mutex<BTreeMap<HostPart, (u64, DateTime<Utc>)>>);

impl Panics {
    pub(in crate::registrar) fn note(&self, part: HostPart, now: DateTime<Utc>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, last) = known.entry(part).or_insert((0, now));
        (*times, *last) = (times.saturating_add(1), now);
    }

    /// What panicked after a time.
    pub(in crate::registrar) fn since(
        &self,
        time: DateTime<Utc>,
    ) -> Vec<(HostPart, u64, DateTime<Utc>)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = known.iter().filter(|(_, (_, last))| *last > time);
        recent
            .map(|(part, (times, last))| (*part, *times, *last))
            .collect()
    }
}
