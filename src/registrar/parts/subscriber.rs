//! A publisher, and how it does.

use crate::port::EventPublisher;
use crate::vocabulary::EventId;
use chrono::{DateTime, Utc};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Events that a publisher has taken while others have not, as far as is remembered.
const REMEMBERED: usize = 65_536;
/// Events in a row that a publisher may fail before it is left alone for a while.
const FAILURES: u32 = 3;
/// Wait before an event is published again.
pub(in crate::registrar) const DELAY: Duration = Duration::from_secs(1);
/// Panics of a publisher over one event before it is not told of that any more.
const MOST_PANICS: u32 = 5;
/// The longest such while; the first is a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A publisher, and how it does.
pub(in crate::registrar) struct Subscriber {
    pub(in crate::registrar) publisher: Arc<dyn EventPublisher>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Events that it has taken and others have not yet.
    taken: HashSet<EventId>,
    /// Failures in a row.
    failures: u32,
    /// Not asked before.
    paused_until: Option<DateTime<Utc>>,
    /// Events that it has taken in all.
    successes: u64,
    /// How often an event made it panic, and how many it had taken before.
    panics: HashMap<EventId, (u32, u64)>,
}

impl Subscriber {
    pub(in crate::registrar) fn new(publisher: Arc<dyn EventPublisher>) -> Self {
        Self {
            publisher,
            state: Mutex::default(),
        }
    }

    pub(in crate::registrar) fn is_test_double(&self) -> bool {
        self.publisher.is_test_double()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::registrar) fn is_paused(&self, now: DateTime<Utc>) -> bool {
        self.paused_until().is_some_and(|until| now < until)
    }

    pub(in crate::registrar) fn paused_until(&self) -> Option<DateTime<Utc>> {
        self.state().paused_until
    }

    pub(in crate::registrar) fn has_taken(&self, event: EventId) -> bool {
        self.state().taken.contains(&event)
    }

    pub(in crate::registrar) fn took(&self, event: EventId) {
        let mut state = self.state();
        (state.failures, state.paused_until) = (0, None);
        state.panics.remove(&event);
        state.successes += 1;
        if state.taken.len() >= REMEMBERED {
            // Told again what it knows: it is by id that it tells.
            state.taken.clear();
        }
        state.taken.insert(event);
    }

    /// One that takes long to fail is left alone at once.
    pub(in crate::registrar) fn failed(&self, slow: bool, now: DateTime<Utc>) {
        let mut state = self.state();
        state.failures = match slow {
            true => state.failures.max(FAILURES - 1) + 1,
            false => state.failures + 1,
        };
        if state.failures >= FAILURES {
            let doubled = DELAY * 2_u32.pow((state.failures - FAILURES).min(5));
            state.paused_until = Some(now + doubled.min(LONGEST_PAUSE));
        }
    }

    /// Whether an event has made it panic so often, while it took others, that it is not told of
    /// it any more. One that panics over everything is to be mended, and told again then.
    pub(in crate::registrar) fn gives_up(&self, event: EventId) -> bool {
        let mut state = self.state();
        let successes = state.successes;
        let (panics, before) = state.panics.entry(event).or_insert((0, successes));
        *panics += 1;
        *panics >= MOST_PANICS && successes > *before
    }

    pub(in crate::registrar) fn forget(&self, events: &HashSet<EventId>) {
        let mut state = self.state();
        state.taken.retain(|id| !events.contains(id));
        state.panics.retain(|id, _| !events.contains(id));
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.publisher.fmt(f)
    }
}
