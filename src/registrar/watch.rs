//! Alerts: what happens is watched, and what somebody has to know is recorded and sent out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::worker::Worker;
use super::{Error, Registrar, deadline};
use crate::enrollment::Change;
use crate::ids::IdRun;
use crate::monitor::{Alert, Signal, Watch};
use crate::reason::Note;
use crate::record::{Actor, Fact, Record, Source};

/// How long a sink may take.
const SINK_WAIT: Duration = Duration::from_secs(10);

/// The watch, shared by everything that has something to tell it.
#[derive(Debug)]
pub(super) struct Tower(Mutex<Watch>);

impl Tower {
    pub(super) fn new(watch: Watch) -> Self {
        Self(Mutex::new(watch))
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened.
    pub(super) fn count(&self, signal: Signal, now: DateTime<Utc>) {
        self.lock().note(signal, 1, now);
    }

    /// Several things happened at once; see [`Signal::bit`].
    pub(super) fn count_all(&self, signals: u32, now: DateTime<Utc>) {
        let mut watch = self.lock();
        for signal in Signal::ALL {
            if signals & signal.bit() != 0 {
                watch.note(*signal, 1, now);
            }
        }
    }

    /// Something took so long.
    pub(super) fn measure(&self, signal: Signal, taken: chrono::Duration, now: DateTime<Utc>) {
        self.lock().note(signal, taken.num_milliseconds(), now);
    }
}

impl Registrar {
    /// The alerts that stand now, as far as this process has seen.
    pub fn alerts(&self) -> Vec<Alert> {
        self.inner.tower.lock().standing(self.now())
    }
}

impl Worker {
    /// Says which alerts begin, escalate and end: in the log, in the records, and to the sinks.
    pub(super) async fn watch(&self) -> Result<(), Error> {
        let registrar = &self.registrar;
        let inner = &registrar.inner;
        let now = registrar.now();
        let alerts = inner.tower.lock().look(now);
        for alert in alerts {
            for sink in &inner.sinks {
                let told = deadline::within(inner.clock.as_ref(), SINK_WAIT, sink.alert(&alert));
                match told.await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::error!(%error, ?sink, "an alert was not taken"),
                    None => tracing::error!(?sink, "an alert was not taken in time"),
                }
            }
            let fact = Fact::AlertChanged {
                rule: alert.rule,
                stage: alert.stage,
                severity: alert.severity,
            };
            let mut record = Record::new(
                IdRun::new(now).record(),
                fact,
                Actor::System,
                Source::SystemAutomatic,
                now,
            );
            record.note = Some(Note::new(alert.message));
            let mut change = Change::records_only(vec![record]);
            change.publish = true;
            registrar.within(registrar.commit(change)).await?;
        }
        Ok(())
    }
}
