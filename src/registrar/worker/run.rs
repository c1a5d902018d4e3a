//! Work that is due: deliveries that wait, events to publish. Any number of workers
//! may run, in any number of processes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::enrollment::TimerKind;
use crate::port::Clock;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::caught::caught;
use crate::registrar::parts::deadline::{Signal, side_by_side};
use crate::registrar::parts::panics::HostPart;
use crate::registrar::parts::provider::Caller;
use crate::registrar::parts::receipt::{Outcome, StageTimer};
use crate::registrar::parts::system::LEASE;
use crate::store::{Claim, InboxEntry, Work, WorkKind};
use crate::webhook::Verified;

/// Deliveries taken in one pass, and how many of them are decided about at a time.
const INBOX_BATCH: usize = 64;
const INBOX_AT_ONCE: usize = 16;
/// Looks that are carried on at a time.
const LOOKS_AT_ONCE: usize = 32;
/// How often a worker looks when nothing wakes it.
const INTERVAL: Duration = Duration::from_secs(1);

/// Handles what is due. The host runs it on its own runtime.
#[derive(Debug, Clone)]
pub struct Worker {
    pub(in crate::registrar) registrar: Registrar,
}

/// What one pass did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// Deliveries that were decided.
    pub settled: usize,
    /// Deliveries that wait on.
    pub waiting: usize,
    /// Events that were published.
    pub published: usize,
    /// Events that wait on.
    pub unpublished: usize,
    /// Attempts that the provider was asked about.
    pub asked: usize,
    /// How many of them turned out to be paid.
    pub found_paid: usize,
    /// Enrollments and grants that expired.
    pub expired: usize,
    /// Turns of the daily jobs.
    pub jobs: usize,
    /// People who were told something.
    pub told: usize,
}

impl std::ops::AddAssign for Pass {
    fn add_assign(&mut self, other: Self) {
        self.settled += other.settled;
        self.waiting += other.waiting;
        self.published += other.published;
        self.unpublished += other.unpublished;
        self.asked += other.asked;
        self.found_paid += other.found_paid;
        self.expired += other.expired;
        self.jobs += other.jobs;
        self.told += other.told;
    }
}

/// A kind of work with a loop of its own.
#[derive(Debug, Clone, Copy)]
enum Lane {
    Inbox,
    Outbox,
    Timers(TimerKind),
    Looks,
    Watch,
}

/// All of them. No lane waits for another: not the audit log for the provider, nor what expires for
/// who is told.
const LANES: [Lane; 9] = [
    Lane::Inbox,
    Lane::Timers(TimerKind::Attempt),
    Lane::Timers(TimerKind::Enrollment),
    Lane::Timers(TimerKind::Grant),
    Lane::Timers(TimerKind::Job),
    Lane::Outbox,
    Lane::Watch,
    Lane::Timers(TimerKind::Notice),
    Lane::Looks,
];

pub(in crate::registrar) type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Runs all of these side by side, until each has ended.
pub(in crate::registrar) async fn together(running: Vec<Running<'_>>) {
    let mut running: Vec<Option<Running<'_>>> = running.into_iter().map(Some).collect();
    poll_fn(|context| {
        for one in &mut running {
            if one
                .as_mut()
                .is_some_and(|running| running.as_mut().poll(context).is_ready())
            {
                *one = None;
            }
        }
        if running.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
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
    /// Works until `shutdown` is ready, and ends what it is in the middle of: whenever
    /// something was committed here, and once a second to see what others left. A slow
    /// provider or mail server holds up neither what is published nor the callbacks that wait.
    pub async fn run(&self, shutdown: impl Future<Output = ()> + Send) {
        let stop = Signal::default();
        let mut shutdown = pin!(shutdown);
        let mut lanes = pin!(together(
            LANES
                .map(|lane| Box::pin(self.lane(lane, &stop)) as Running<'_>)
                .into()
        ));
        poll_fn(|context| {
            if stop.count() == 0 && shutdown.as_mut().poll(context).is_ready() {
                stop.raise();
            }
            lanes.as_mut().poll(context)
        })
        .await;
    }

    /// One kind of work, again and again until it is stopped.
    async fn lane(&self, lane: Lane, stop: &Signal) {
        let inner = &self.registrar.inner;
        let mut has_jobs = !matches!(lane, Lane::Timers(TimerKind::Job));
        while stop.count() == 0 {
            if !has_jobs {
                // Again, until the store took them.
                has_jobs = self.ensure_jobs().await.is_ok();
            }
            let wake = match (lane, &inner.provider) {
                (Lane::Looks, Some(provider)) => &provider.looks.wake,
                _ => &inner.wake,
            };
            let seen = wake.count();
            inner.pulse.worked(inner.clock.now());
            let mut pass = Pass::default();
            let turn = Box::pin(self.turn(lane, &mut pass));
            let turn = caught(self.registrar.watched(), HostPart::Other, turn);
            // What is left is claimed again when its lease ends.
            let more = turn.await.unwrap_or_else(|panicked| Err(panicked.into()));
            if pass != Pass::default() {
                tracing::debug!(?lane, ?pass, "worker");
            }
            match more {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::error!(error = %error.in_full(), ?lane, "worker"),
            }
            let mut timer = inner.clock.sleep(INTERVAL);
            poll_fn(|context| {
                // Alerts look back over hours: once a second is enough.
                let woken =
                    !matches!(lane, Lane::Watch) && wake.poll(seen, context.waker()).is_ready();
                let stopped = stop.poll(0, context.waker()).is_ready();
                if woken || stopped || timer.as_mut().poll(context).is_ready() {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// Handles one batch; `true` when there may be more.
    async fn turn(&self, lane: Lane, pass: &mut Pass) -> Result<bool, Error> {
        let span = tracing::debug_span!("coursegate.worker", ?lane);
        self.turn_of(lane, pass).instrument(span).await
    }

    async fn turn_of(&self, lane: Lane, pass: &mut Pass) -> Result<bool, Error> {
        match lane {
            Lane::Inbox => self.inbox(pass).await,
            Lane::Timers(TimerKind::Notice) => self.notices(pass).await,
            Lane::Timers(kind) => self.timers(kind, pass).await,
            Lane::Watch => self.watch().await.map(|()| false),
            Lane::Looks => self.looks(pass).await.map(|()| false),
            Lane::Outbox => self.outbox(pass).await,
        }
    }

    /// Handles what is due now, once: one batch of each kind of work.
    ///
    /// # Errors
    /// The store's errors; what was claimed comes back when its lease is over.
    pub async fn pass(&self) -> Result<Pass, Error> {
        let mut pass = Pass::default();
        self.registrar.inner.pulse.worked(self.registrar.now());
        self.ensure_jobs().await?;
        for lane in LANES {
            // What visitors left is carried on by a worker that runs.
            if !matches!(lane, Lane::Looks) {
                self.turn(lane, &mut pass).await?;
            }
        }
        Ok(pass)
    }

    async fn inbox(&self, pass: &mut Pass) -> Result<bool, Error> {
        // Half of what may be asked is for those that arrive meanwhile.
        let most = self.most(Caller::Callback, 2, INBOX_BATCH);
        if most == 0 {
            return Ok(false);
        }
        let claimed = self.claim(WorkKind::Inbox, most, LEASE).await?;
        let full = claimed.len() == most;
        let held_until = self.held_until(LEASE);
        let deliveries = claimed.into_iter().filter_map(|work| match work {
            Work::Delivery(entry) => Some(entry),
            Work::Message(_) | Work::Timer(_) => None,
        });
        let retried = deliveries.map(|entry| async move {
            match self.registrar.now() > held_until {
                true => None,
                false => Some(self.retry(&entry).await),
            }
        });
        for outcome in side_by_side(retried.collect(), INBOX_AT_ONCE).await {
            match outcome {
                None => {}
                Some(Ok(Outcome::Parked | Outcome::Waiting | Outcome::Unavailable)) => {
                    pass.waiting += 1;
                }
                Some(Ok(_)) => pass.settled += 1,
                Some(Err(error)) => {
                    tracing::error!(error = %error.in_full(), "a delivery could not be tried again; its lease will end");
                    pass.waiting += 1;
                }
            }
        }
        Ok(full)
    }

    /// How much to take of what the provider is asked about: as many calls as may be made now, a
    /// part of them.
    pub(in crate::registrar) fn most(&self, caller: Caller, part: usize, batch: usize) -> usize {
        let provider = self.registrar.inner.provider.as_ref();
        provider.map_or(batch, |provider| {
            provider.left(caller, batch * part).div_ceil(part)
        })
    }

    /// Carries on looks that visitors began and left, and applies what they find.
    async fn looks(&self, pass: &mut Pass) -> Result<(), Error> {
        let registrar = &self.registrar;
        let Some(provider) = &registrar.inner.provider else {
            return Ok(());
        };
        // Kept until they are done: nobody else holds them.
        let left = provider.looks.take_left(registrar.now());
        let work = left.keys().map(|reference| {
            let confirmed = registrar.confirm_now(reference, Caller::Visitor);
            registrar.within(confirmed)
        });
        for confirmed in side_by_side(work.collect(), LOOKS_AT_ONCE).await {
            pass.asked += 1;
            match confirmed {
                Ok(confirmed) => pass.found_paid += usize::from(confirmed.paid),
                // It is asked about again in time.
                Err(error) => tracing::debug!(%error, "a look that was left came to nothing"),
            }
        }
        Ok(())
    }

    async fn retry(&self, entry: &InboxEntry) -> Result<Outcome, Error> {
        let registrar = &self.registrar;
        let signed_by = &entry.signed_by;
        let body = match registrar
            .inner
            .config
            .body_keys
            .open(&entry.key, &entry.body)
        {
            Ok(body) => body,
            Err(error) => {
                let kept = registrar.put_off(entry.clone(), &error);
                registrar.within(kept).await?;
                return Ok(Outcome::Waiting);
            }
        };
        let verified = Verified::resumed(&entry.path, &body, &signed_by.key, signed_by.form);
        let mut watch = StageTimer::start();
        let handled = registrar.handle(&verified, Some(entry), registrar.now(), &mut watch);
        let enrollment = entry.enrollment.map(tracing::field::display);
        let span = tracing::info_span!("coursegate.retry", enrollment);
        let receipt = registrar.within(handled).instrument(span).await?;
        if receipt
            .delivery
            .as_ref()
            .is_some_and(|key| *key != entry.key)
        {
            // It could not be read before, and can be now: it goes by another key.
            let followed = registrar.follow(entry.clone());
            registrar.within(followed).await?;
        }
        Ok(receipt.outcome)
    }

    /// Until when claimed work is begun: what is left over comes back with the end of its
    /// lease, and nobody works on it twice.
    pub(in crate::registrar) fn held_until(&self, lease: Duration) -> DateTime<Utc> {
        self.registrar.now() + lease / 2
    }

    pub(in crate::registrar) async fn claim(
        &self,
        kind: WorkKind,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Work>, Error> {
        let inner = &self.registrar.inner;
        let claim = Claim {
            kind,
            limit,
            now: self.registrar.now(),
            lease,
        };
        self.registrar
            .within(async { Ok(inner.store.claim(claim).await?) })
            .await
    }
}
