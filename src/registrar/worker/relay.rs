//! What was committed, handed to the publishers: at least once, in order within one
//! enrollment, and to each publisher at its own pace.

use crate::registrar::parts::subscriber::{DELAY, Subscriber};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::{Event, EventKind};
use crate::monitor::Signal;
use crate::registrar::error::Error;
use crate::registrar::parts::caught::caught;
use crate::registrar::parts::panics::{HostPart, Panicked};
use crate::registrar::parts::system::{LEASE, publishing, system_event};
use crate::registrar::parts::{deadline, meter};
use crate::registrar::worker::run::{Pass, Running, Worker, together};
use crate::store::{Change, Settlement, Work, WorkKind};
use crate::vocabulary::{EnrollmentId, EventId};

/// Events taken in one pass.
const BATCH: usize = 256;
/// How long one event may take to publish: a publisher that does not answer delays the others
/// by this once, and then each time that it is asked again.
const WAIT: Duration = Duration::from_secs(2);
/// A failure that took so long holds the others up.
const SLOW: Duration = Duration::from_millis(500);

impl Worker {
    /// Publishes what is due; `true` when there may be more.
    pub(in crate::registrar) async fn outbox(&self, pass: &mut Pass) -> Result<bool, Error> {
        let inner = &self.registrar.inner;
        if inner.subscribers.is_empty() {
            return Ok(false);
        }
        let claimed = self.claim(WorkKind::Outbox, BATCH, LEASE).await?;
        if claimed.is_empty() {
            inner.pulse.nothing_due(self.registrar.now());
            return Ok(false);
        }
        let full = claimed.len() == BATCH;
        let held_until = self.held_until(LEASE);
        let events: Vec<Event> = claimed
            .into_iter()
            .filter_map(|work| match work {
                Work::Message(event) => Some(*event),
                Work::Delivery(_) | Work::Timer(_) => None,
            })
            .collect();
        let left = Mutex::new(HashSet::new());
        let handing = inner.subscribers.iter().map(|subscriber| {
            let (events, left) = (&events, &left);
            let done = async move {
                let not_taken = self.hand_over(subscriber, events, held_until).await;
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                left.extend(not_taken);
            };
            Box::pin(done) as Running<'_>
        });
        together(handing.collect()).await;
        let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
        let soon = self.registrar.now() + DELAY;
        // Few that are left come again soon, since others of their enrollments wait for them.
        // Many wait until the publisher is asked again: they must not crowd out what is new.
        let paused = inner
            .subscribers
            .iter()
            .filter_map(Subscriber::paused_until);
        let next_at = match full {
            true => paused.fold(soon, DateTime::max),
            false => soon,
        };
        let settle = |event: &Event| match left.contains(&event.id) {
            false => Settlement::Published(event.id),
            true => Settlement::Retry {
                event: event.id,
                next_at,
            },
        };
        let settlements: Vec<Settlement> = events.iter().map(settle).collect();
        let taken = events.iter().filter(|event| !left.contains(&event.id));
        let newest = taken.map(|event| event.at).max();
        let now = self.registrar.now();
        inner.pulse.published(!left.is_empty(), newest, now);
        let lag = newest.map(|newest| now - newest);
        meter::published(events.len() - left.len(), left.len(), lag);
        if let Some(newest) = newest {
            inner.tower.measure(Signal::SyncDelay, now - newest, now);
        }
        pass.published += events.len() - left.len();
        pass.unpublished += left.len();
        if !settlements.is_empty() {
            self.registrar.settle(&settlements).await?;
        }
        let published = events.iter().map(|event| event.id);
        let published: HashSet<EventId> = published.filter(|id| !left.contains(id)).collect();
        for subscriber in &inner.subscribers {
            subscriber.forget(&published);
        }
        Ok(full)
    }

    /// Says of an event that a publisher cannot take it.
    async fn give_up_on(&self, event: &Event) -> Result<(), Error> {
        if matches!(event.kind, EventKind::PublishingGivenUp { .. }) {
            tracing::error!("a publisher cannot be told what it was not told");
            return Ok(());
        }
        let registrar = &self.registrar;
        let kind = EventKind::PublishingGivenUp { event: event.id };
        let mut told = system_event(kind, registrar.now());
        told.course.clone_from(&event.course);
        let change = publishing(Change::events_only(vec![told]));
        registrar.within(registrar.commit(change)).await.map(drop)
    }

    /// Hands events to one publisher, and gives those that it has not taken.
    async fn hand_over(
        &self,
        subscriber: &Subscriber,
        events: &[Event],
        held_until: DateTime<Utc>,
    ) -> Vec<EventId> {
        let clock = self.registrar.inner.clock.as_ref();
        let mut stuck: HashSet<EnrollmentId> = HashSet::new();
        let mut left = Vec::new();
        for event in events {
            if subscriber.has_taken(event.id) {
                continue;
            }
            let now = self.registrar.now();
            // What follows an event that is stuck waits for it.
            let blocked = event.enrollment.is_some_and(|id| stuck.contains(&id));
            if blocked || now > held_until || subscriber.is_paused(now) {
                stuck.extend(event.enrollment);
                left.push(event.id);
                continue;
            }
            let publishing = async { subscriber.publisher.publish(event).await };
            let watched = self.registrar.watched();
            let publishing = caught(watched, HostPart::Publisher, publishing);
            let error = match deadline::within(clock, WAIT, publishing).await {
                Some(Ok(Ok(()))) => {
                    subscriber.took(event.id);
                    continue;
                }
                // Others are not held up by one that it cannot take.
                Some(Err(Panicked(_)))
                    if subscriber.gives_up(event.id) && self.give_up_on(event).await.is_ok() =>
                {
                    subscriber.took(event.id);
                    continue;
                }
                Some(Err(Panicked(_))) => "it panicked".to_owned(),
                Some(Ok(Err(error))) => error.to_string(),
                None => "it did not answer in time".to_owned(),
            };
            tracing::warn!(error, publisher = ?subscriber, "not published; it is tried again");
            let failed_at = self.registrar.now();
            let slow = (failed_at - now).to_std().is_ok_and(|taken| taken >= SLOW);
            subscriber.failed(slow, failed_at);
            stuck.extend(event.enrollment);
            left.push(event.id);
        }
        left
    }
}
