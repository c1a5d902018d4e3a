//! Alerts: what happens is watched, and what somebody has to know is recorded and sent out.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::EventKind;
use crate::monitor::Alert;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::meter;
use crate::registrar::parts::system::{publishing, system_event};
use crate::registrar::worker::run::Worker;
use crate::store::{Change, CommitOutcome, InboxFilter, PageRequest};
use crate::vocabulary::Note;

/// Most of a queue that is counted.
const MOST: usize = 500;

impl Registrar {
    /// The alerts that stand now, as far as this process has seen.
    pub fn alerts(&self) -> Vec<Alert> {
        self.inner.tower.lock().standing(self.now())
    }
}

impl Worker {
    /// Says which alerts begin, escalate and end: in the log, in the events, and to the sinks.
    pub(in crate::registrar) async fn watch(&self) -> Result<(), Error> {
        let registrar = &self.registrar;
        let inner = &registrar.inner;
        let now = registrar.now();
        if cfg!(feature = "metrics") && inner.tower.is_minute_over(now) {
            self.count_queues(now).await;
        }
        let seen = inner.tower.lock().due(now);
        // Whoever says something has told what it saw, and heard what the others did.
        let shared = match seen.is_empty() {
            true => registrar.share_in_time().await,
            false => registrar.share().await,
        };
        let alerts = inner.tower.lock().due(registrar.now());
        if cfg!(feature = "metrics") {
            let standing = registrar.alerts();
            meter::alerts(standing.iter().map(|alert| alert.severity));
        }
        for alert in alerts {
            self.say(&alert).await;
        }
        if shared {
            let alone = inner.tower.lock().alone(registrar.now());
            for alert in alone {
                // The store takes it now; those who were told are told once more.
                if self.save(&alert).await.is_ok() {
                    inner.tower.lock().share_alone(&alert);
                }
            }
        }
        Ok(())
    }

    /// Says what becomes of an alert, once for all processes.
    async fn say(&self, alert: &Alert) {
        let inner = &self.registrar.inner;
        match self.save(alert).await {
            Ok(CommitOutcome::Done) => {
                meter::alert(alert.stage.as_str(), alert.severity.as_str());
                inner.tower.lock().follow(alert);
            }
            // Another process has said so: that is heard of next.
            Ok(_) => inner.sharing.forget_time(),
            Err(error) => {
                tracing::error!(error = %error.in_full(), rule = alert.rule, "an alert cannot be kept; it is told from here");
                meter::alert(alert.stage.as_str(), alert.severity.as_str());
                inner.tower.lock().keep_alone(alert);
                let sinks = inner.sinks.iter().filter(|route| route.takes(alert));
                for route in sinks {
                    self.registrar.alert_by(route, alert).await;
                }
            }
        }
    }

    /// Leaves an event of it, by which the sinks and the admins are told.
    async fn save(&self, alert: &Alert) -> Result<CommitOutcome, Error> {
        let registrar = &self.registrar;
        let kind = EventKind::AlertChanged {
            rule: alert.rule.clone(),
            stage: alert.stage,
            severity: alert.severity,
            since: alert.since,
            escalated: alert.escalated,
        };
        let mut event = system_event(kind, registrar.now());
        event.note = Some(Note::new(alert.message.clone()));
        let mut change = publishing(Change::events_only(vec![event]));
        change.alert = Some(alert.clone());
        registrar.within(registrar.commit(change)).await
    }

    /// Counts what waits, for the metrics; what cannot be read now is left for the next time.
    async fn count_queues(&self, now: DateTime<Utc>) {
        let registrar = &self.registrar;
        let events = &registrar.inner.events;
        let counted = registrar.within(async {
            let pending = events.pending(PageRequest::first(MOST)).await?.items;
            let filters = [
                ("waiting", InboxFilter::Waiting),
                ("parked", InboxFilter::Parked),
                ("dead", InboxFilter::Dead),
            ];
            let mut inbox = Vec::with_capacity(filters.len());
            for (state, filter) in filters {
                let page = events.inbox(filter, PageRequest::first(MOST)).await?;
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
