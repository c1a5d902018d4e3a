//! What a host's own code does wrong stays with it: a panic there fails one call, and nothing else.
//! (A program that is built with `panic = "abort"` ends all the same.)

use crate::registrar::parts::panics::{HostPart, Panicked};
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use crate::monitor::Signal;
use crate::port::Clock;
use crate::registrar::parts::alert_state::AlertState;

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
pub(in crate::registrar) async fn caught<T>(
    (tower, clock): (&AlertState, &dyn Clock),
    part: HostPart,
    work: impl Future<Output = T>,
) -> Result<T, Panicked> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.map_err(|_| tower.panicked(part, clock.now()))
}

/// Calls something of the host's.
pub(in crate::registrar) fn called<T>(
    (tower, clock): (&AlertState, &dyn Clock),
    part: HostPart,
    work: impl FnOnce() -> T,
) -> Result<T, Panicked> {
    let done = catch_unwind(AssertUnwindSafe(work));
    done.map_err(|_| tower.panicked(part, clock.now()))
}
