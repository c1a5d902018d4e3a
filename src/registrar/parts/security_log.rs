//! How many security events are written down, and not all of a flood.

use chrono::{DateTime, Utc};
use std::sync::{Mutex, PoisonError};

/// Events an hour of what anybody outside can cause; what comes on top is only counted.
pub(in crate::registrar) const OUTSIDE: u32 = 6;

/// The same for what needs an account of the host's.
pub(in crate::registrar) const INSIDE: u32 = 60;

/// Events of one kind in a minute that are a flood.
const FLOOD: u32 = 60;
/// How much of one kind came lately, and how much of it may be written.
#[derive(Debug)]
pub(in crate::registrar) struct EventLog {
    /// Events an hour.
    most: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    hour: i64,
    /// Events of this hour.
    written: u32,
    /// Whether it was said in this hour that a flood began.
    flooded: bool,
    minute: i64,
    /// Events of this minute.
    events: u32,
    unrecorded: u64,
}

/// What is to be written about one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registrar) enum Admission {
    /// An event of it; so many before it were only counted.
    Event { unrecorded: u64 },
    /// That a flood begins.
    Flood,
    /// Nothing.
    Counted,
}

impl EventLog {
    /// Writes so many events an hour, and that a flood began.
    pub(in crate::registrar) fn hourly(most: u32) -> Self {
        Self {
            most,
            window: Mutex::default(),
        }
    }

    pub(in crate::registrar) fn admit(&self, now: DateTime<Utc>) -> Admission {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (hour, minute) = (
            now.timestamp().div_euclid(3600),
            now.timestamp().div_euclid(60),
        );
        if window.hour != hour {
            (window.hour, window.written, window.flooded) = (hour, 0, false);
        }
        if window.minute != minute {
            (window.minute, window.events) = (minute, 0);
        }
        window.events = window.events.saturating_add(1);
        if window.written < self.most {
            window.written += 1;
            let unrecorded = std::mem::take(&mut window.unrecorded);
            return Admission::Event { unrecorded };
        }
        window.unrecorded = window.unrecorded.saturating_add(1);
        if window.events > FLOOD && !window.flooded {
            window.flooded = true;
            return Admission::Flood;
        }
        Admission::Counted
    }
}

/// Look-ups per minute that unverified deliveries may lead to.
const HINTS_PER_MINUTE: u32 = 30;

/// Counts what unverified deliveries lead to.
#[derive(Debug, Default)]
pub(in crate::registrar) struct HintLimit(Mutex<(i64, u32)>);

impl HintLimit {
    pub(in crate::registrar) fn admit(&self, now: DateTime<Utc>) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.timestamp().div_euclid(60);
        if window.0 != minute {
            *window = (minute, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1 <= HINTS_PER_MINUTE
    }
}
