//! Work that is due: deliveries that wait, records to publish. Any number of workers
//! may run, in any number of processes.

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::inbox::LEASE;
use super::receipt::{Outcome, Stopwatch};
use super::{Error, Registrar, deadline};
use crate::enrollment::InboxEntry;
use crate::port::{Claim, EventPublisher, Settlement, Work, WorkKind};
use crate::record::Record;
use crate::webhook::Verified;

/// Deliveries taken in one pass.
const INBOX_BATCH: usize = 64;
/// Records taken in one pass.
const OUTBOX_BATCH: usize = 256;
/// Wait before a record is published again.
const PUBLISH_DELAY: Duration = Duration::from_secs(1);
/// How long one record may take to publish.
const PUBLISH_WAIT: Duration = Duration::from_secs(5);
/// How often a worker looks when nothing wakes it.
const INTERVAL: Duration = Duration::from_secs(1);

/// Handles what is due. The host runs it on its own runtime.
#[derive(Debug, Clone)]
pub struct Worker {
    registrar: Registrar,
}

/// What one pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// Deliveries that were decided.
    pub settled: usize,
    /// Deliveries that wait on.
    pub waiting: usize,
    /// Records that were published.
    pub published: usize,
    /// Records that wait on.
    pub unpublished: usize,
}

impl Registrar {
    /// A worker. Run one in each process at least.
    pub fn worker(&self) -> Worker {
        Worker {
            registrar: self.clone(),
        }
    }
}

impl Worker {
    /// Works until `shutdown` is ready: whenever something was committed here, and once
    /// a second to see what others left.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let inner = &self.registrar.inner;
        let mut shutdown = pin!(shutdown);
        loop {
            let seen = inner.wake.count();
            match self.pass().await {
                Ok(pass) => tracing::debug!(?pass, "worker"),
                Err(error) => tracing::error!(%error, "worker"),
            }
            let mut timer = inner.clock.sleep(INTERVAL);
            let stop = poll_fn(|context| {
                if shutdown.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                let woken = inner.wake.poll(seen, context.waker()).is_ready();
                if woken || timer.as_mut().poll(context).is_ready() {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            });
            if stop.await {
                return;
            }
        }
    }

    /// Handles what is due now, once.
    ///
    /// # Errors
    /// The store's errors; what was claimed comes back when its lease is over.
    pub async fn pass(&self) -> Result<Pass, Error> {
        let mut pass = Pass::default();
        self.inbox(&mut pass).await?;
        if let Some(publisher) = self.registrar.inner.publisher.clone() {
            self.outbox(publisher.as_ref(), &mut pass).await?;
        }
        Ok(pass)
    }

    async fn inbox(&self, pass: &mut Pass) -> Result<(), Error> {
        for work in self.claim(WorkKind::Inbox, INBOX_BATCH).await? {
            let Work::Delivery(entry) = work else {
                continue;
            };
            match self.retry(&entry).await {
                Ok(Outcome::Parked | Outcome::Waiting | Outcome::Unavailable) => pass.waiting += 1,
                Ok(_) => pass.settled += 1,
                Err(error) => {
                    tracing::error!(%error, "a delivery could not be tried again; its lease will end");
                    pass.waiting += 1;
                }
            }
        }
        Ok(())
    }

    async fn retry(&self, entry: &InboxEntry) -> Result<Outcome, Error> {
        let registrar = &self.registrar;
        let signed_by = &entry.signed_by;
        let verified = Verified::resumed(&entry.path, &entry.body, &signed_by.key, signed_by.form);
        let mut watch = Stopwatch::start();
        let handled = registrar.handle(&verified, registrar.now(), true, &mut watch);
        Ok(registrar.within(handled).await?.outcome)
    }

    async fn outbox(&self, publisher: &dyn EventPublisher, pass: &mut Pass) -> Result<(), Error> {
        let clock = self.registrar.inner.clock.as_ref();
        let mut settlements = Vec::new();
        let mut stuck = HashSet::new();
        for work in self.claim(WorkKind::Outbox, OUTBOX_BATCH).await? {
            let Work::Message(record) = work else {
                continue;
            };
            let Record { id, enrollment, .. } = *record;
            // What follows a record that is stuck waits for it.
            let blocked = enrollment.is_some_and(|enrollment| stuck.contains(&enrollment));
            let published = !blocked
                && matches!(
                    deadline::within(clock, PUBLISH_WAIT, publisher.publish(&record)).await,
                    Some(Ok(()))
                );
            if published {
                pass.published += 1;
                settlements.push(Settlement::Published(id));
            } else {
                pass.unpublished += 1;
                stuck.extend(enrollment);
                let next_at = self.registrar.now() + PUBLISH_DELAY;
                settlements.push(Settlement::Later {
                    record: id,
                    next_at,
                });
            }
        }
        if !settlements.is_empty() {
            let inner = &self.registrar.inner;
            self.registrar
                .within(async { Ok(inner.store.settle(&settlements).await?) })
                .await?;
        }
        Ok(())
    }

    async fn claim(&self, kind: WorkKind, limit: usize) -> Result<Vec<Work>, Error> {
        let inner = &self.registrar.inner;
        let claim = Claim {
            kind,
            limit,
            now: self.registrar.now(),
            lease: LEASE,
        };
        self.registrar
            .within(async { Ok(inner.store.claim(claim).await?) })
            .await
    }
}
