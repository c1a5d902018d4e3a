//! What the system writes by itself.

use crate::event::{Actor, Event, EventKind, Source};
use crate::store::Change;
use crate::vocabulary::IdGenerator;
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// How the body of a probe begins. Only who has the secret can sign one, and the provider
/// sends none.
pub(in crate::registrar) const PROBE: &[u8] = b"{\"coursegate_probe\":";

/// Up to half a minute, at random: what waits for the same does not come back all at once.
pub(in crate::registrar) fn spread() -> Duration {
    let [spread, ..] = *Uuid::new_v4().as_bytes();
    Duration::from_millis(1000 + u64::from(spread) * 100)
}

pub(in crate::registrar) fn system_event(kind: EventKind, now: DateTime<Utc>) -> Event {
    Event::new(
        IdGenerator::new(now).event(),
        kind,
        Actor::System,
        Source::SystemAutomatic,
        now,
    )
}

pub(in crate::registrar) fn publishing(mut change: Change) -> Change {
    change.publish = true;
    change
}

/// How long the inbox keeps a claimed delivery from other workers.
pub(in crate::registrar) const LEASE: Duration = Duration::from_secs(30);
