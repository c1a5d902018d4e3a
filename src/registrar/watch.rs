//! Alerts: what happens is watched, and what somebody has to know is recorded and sent out.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::caught::{HostPart, Panics, caught};
use super::worker::Worker;
use super::{Error, Registrar, deadline, meter};
use crate::enrollment::Change;
use crate::ids::IdRun;
use crate::monitor::{Alert, Signal, Watch};
use crate::port::{InboxFilter, PageRequest};
use crate::reason::Note;
use crate::record::{Actor, Fact, Record, Source};

/// Most of a queue that is counted.
const MOST: usize = 500;
/// How long a sink may take.
const SINK_WAIT: Duration = Duration::from_secs(10);

/// The watch, shared by everything that has something to tell it.
#[derive(Debug)]
pub(super) struct Tower {
    watch: Mutex<Watch>,
    /// When the queues were counted, in seconds since 1970.
    counted_at: AtomicI64,
    /// What of the host's panicked.
    pub(super) panics: Panics,
}

impl Tower {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch: Mutex::new(watch),
            counted_at: AtomicI64::new(0),
            panics: Panics::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the queues are to be counted again.
    fn is_minute_over(&self, now: DateTime<Utc>) -> bool {
        let (now, last) = (now.timestamp(), self.counted_at.load(Ordering::Relaxed));
        let is_over = now - last >= 60;
        if is_over {
            self.counted_at.store(now, Ordering::Relaxed);
        }
        is_over
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
        if cfg!(feature = "metrics") && inner.tower.is_minute_over(now) {
            self.count_queues(now).await;
        }
        let alerts = inner.tower.lock().look(now);
        if cfg!(feature = "metrics") {
            let standing = registrar.alerts();
            meter::alerts(standing.iter().map(|alert| alert.severity));
        }
        for alert in alerts {
            for sink in &inner.sinks {
                let clock = inner.clock.as_ref();
                let told = async { sink.alert(&alert).await };
                let told = caught((&inner.tower, clock), HostPart::Sink, told);
                match deadline::within(clock, SINK_WAIT, told).await {
                    Some(Ok(Ok(()))) => {}
                    Some(Err(_)) => tracing::error!("an alert was not taken: its sink panicked"),
                    Some(Ok(Err(error))) => {
                        tracing::error!(%error, ?sink, "an alert was not taken");
                    }
                    None => tracing::error!(?sink, "an alert was not taken in time"),
                }
            }
            meter::alert(alert.stage.as_str(), alert.severity.as_str());
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

    /// Counts what waits, for the metrics; what cannot be read now is left for the next time.
    async fn count_queues(&self, now: DateTime<Utc>) {
        let registrar = &self.registrar;
        let records = &registrar.inner.records;
        let counted = registrar.within(async {
            let pending = records.pending(PageRequest::first(MOST)).await?.items;
            let filters = [
                ("waiting", InboxFilter::Waiting),
                ("parked", InboxFilter::Parked),
                ("dead", InboxFilter::Dead),
            ];
            let mut inbox = Vec::with_capacity(filters.len());
            for (state, filter) in filters {
                let page = records.inbox(filter, PageRequest::first(MOST)).await?;
                let oldest = page.items.iter().map(|entry| entry.received_at).min();
                inbox.push((state, page.items.len(), age(oldest, now)));
            }
            Ok((pending, inbox))
        });
        if let Ok((pending, inbox)) = counted.await {
            let since = pending.iter().map(|item| item.enrollment.updated_at).min();
            meter::queues(pending.len(), age(since, now), &inbox);
        }
    }
}

/// For how long something has waited, if anything has.
fn age(since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    let age = since.and_then(|since| (now - since).to_std().ok());
    age.unwrap_or_default()
}
