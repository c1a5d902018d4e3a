//! The provider, asked no more often than allowed, and left alone while it fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tracing::Instrument;

use crate::config::ProviderLimits;
use crate::evidence::Confirmation;
use crate::monitor::Signal;
use crate::payment::PayLink;
use crate::port::{
    Clock, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
use crate::registrar::parts::alert_state::AlertState;
use crate::registrar::parts::caught::caught;
use crate::registrar::parts::looks::Looks;
use crate::registrar::parts::panics::{HostPart, Panicked};
use crate::registrar::parts::{deadline, meter};

/// Longest time the provider is left alone, however often it failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Seconds' worth of calls that may be made at once.
const BURST: f64 = 10.0;
/// A look by a reference that the provider may not know.
const LOOK_UP: &str = "status_by_reference";
/// How long a provider that is asked too often is left alone, unless it says.
const BUSY: Duration = Duration::from_secs(1);
/// How long a list of payments, or a refund, may take.
const LONG_WAIT: Duration = Duration::from_secs(45);

/// For whom the provider is asked. Each has calls of its own, so that none of them uses up what
/// another needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registrar) enum Caller {
    /// A page that anybody may open again and again.
    Visitor,
    /// Somebody who wants to pay.
    Checkout,
    /// A callback, or an admin.
    Callback,
    /// Nobody waits: it can be asked another time.
    Background,
}

/// How the provider does, for a health page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProviderHealth {
    /// Whether it is asked at all.
    pub circuit: Circuit,
    /// Calls that failed since the last one that did not.
    pub failures_in_a_row: u32,
    /// Calls since this process started.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many more were not made, to stay within the limits.
    pub throttled: u64,
    /// When it last answered.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it last failed.
    pub failed_at: Option<DateTime<Utc>>,
}

/// Whether the provider is asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Circuit {
    /// It is.
    Closed,
    /// It failed repeatedly, and is left alone.
    Open {
        /// Until then.
        until: DateTime<Utc>,
    },
    /// One call tries whether it is back.
    HalfOpen,
}

#[derive(Debug)]
pub(in crate::registrar) struct Provider {
    gateway: Arc<dyn PaymentGateway>,
    limits: ProviderLimits,
    clock: Arc<dyn Clock>,
    tower: Arc<AlertState>,
    state: Mutex<State>,
    pub(in crate::registrar) looks: Looks,
}

#[derive(Debug)]
struct State {
    health: ProviderHealth,
    /// How long it is left alone the next time.
    pause: Duration,
    /// Until when it asked to be left alone.
    busy_until: Option<DateTime<Utc>>,
    visitors: Bucket,
    checkouts: Bucket,
    callbacks: Bucket,
    background: Bucket,
}

impl State {
    fn budget(&mut self, caller: Caller) -> &mut Bucket {
        match caller {
            Caller::Visitor => &mut self.visitors,
            Caller::Checkout => &mut self.checkouts,
            Caller::Callback => &mut self.callbacks,
            Caller::Background => &mut self.background,
        }
    }
}

/// Calls that may still be made; refilled as time passes.
#[derive(Debug)]
struct Bucket {
    per_second: f64,
    room: f64,
    left: f64,
    at: DateTime<Utc>,
}

impl Bucket {
    fn new(per_second: u32, now: DateTime<Utc>) -> Self {
        let per_second = f64::from(per_second);
        let room = (per_second * BURST).max(1.0);
        Self {
            per_second,
            room,
            left: room,
            at: now,
        }
    }

    fn refill(&mut self, now: DateTime<Utc>) {
        let passed = now.signed_duration_since(self.at).to_std();
        let gained = passed.unwrap_or_default().as_secs_f64() * self.per_second;
        self.left = (self.left + gained).min(self.room);
        self.at = now;
    }

    fn take(&mut self, now: DateTime<Utc>) -> bool {
        self.refill(now);
        let free = self.left >= 1.0;
        if free {
            self.left -= 1.0;
        }
        free
    }
}

impl Provider {
    pub(in crate::registrar) fn new(
        gateway: Arc<dyn PaymentGateway>,
        limits: ProviderLimits,
        clock: Arc<dyn Clock>,
        tower: Arc<AlertState>,
    ) -> Self {
        let now = clock.now();
        let state = State {
            health: ProviderHealth {
                circuit: Circuit::Closed,
                failures_in_a_row: 0,
                calls: 0,
                failed: 0,
                throttled: 0,
                answered_at: None,
                failed_at: None,
            },
            pause: limits.pause,
            busy_until: None,
            visitors: Bucket::new(limits.visits_per_second, now),
            checkouts: Bucket::new(limits.links_per_second, now),
            callbacks: Bucket::new(limits.callbacks_per_second, now),
            background: Bucket::new(limits.background_per_second, now),
        };
        Self {
            gateway,
            limits,
            clock,
            tower,
            state: Mutex::new(state),
            looks: Looks::default(),
        }
    }

    pub(in crate::registrar) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(in crate::registrar) fn gateway(&self) -> &dyn PaymentGateway {
        self.gateway.as_ref()
    }

    /// How many calls may be made now, as far as that is of interest.
    pub(in crate::registrar) fn left(&self, caller: Caller, most: usize) -> usize {
        let now = self.clock.now();
        let mut state = self.lock();
        let budget = state.budget(caller);
        budget.refill(now);
        let enough = (1..=most).take_while(|calls| {
            let calls = u32::try_from(*calls).unwrap_or(u32::MAX);
            f64::from(calls) <= budget.left
        });
        enough.count()
    }

    pub(in crate::registrar) fn health(&self) -> ProviderHealth {
        self.lock().health.clone()
    }

    pub(in crate::registrar) async fn create_link(
        &self,
        request: &LinkRequest,
        wait: Duration,
    ) -> Result<PayLink, GatewayError> {
        let asked = async { self.gateway.create_link(request).await };
        self.call("create_link", Caller::Checkout, wait, asked)
            .await
    }

    pub(in crate::registrar) async fn status(
        &self,
        query: StatusQuery<'_>,
        wait: Duration,
        caller: Caller,
    ) -> Result<Option<Confirmation>, GatewayError> {
        let asked = async { self.gateway.status(query).await };
        // What it says to a reference that it does not know is not published: such an answer does
        // not say that it fails.
        let name = match query {
            StatusQuery::PayLink(_) => "status",
            StatusQuery::Reference(_) => LOOK_UP,
        };
        self.call(name, caller, wait, asked).await
    }

    pub(in crate::registrar) async fn history(
        &self,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<History, GatewayError> {
        let asked = async { self.gateway.history(from, to).await };
        self.call("history", Caller::Background, LONG_WAIT, asked)
            .await
    }

    pub(in crate::registrar) async fn refund(
        &self,
        request: &RefundRequest,
    ) -> Result<(), GatewayError> {
        let asked = async { self.gateway.refund(request).await };
        self.call("refund", Caller::Callback, LONG_WAIT, asked)
            .await
    }

    async fn call<T>(
        &self,
        name: &'static str,
        caller: Caller,
        wait: Duration,
        work: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        let mut call = self.begin(caller)?;
        let before = self.clock.now();
        let span = tracing::info_span!("coursegate.provider", call = name);
        let watched = (self.tower.as_ref(), self.clock.as_ref());
        let work = caught(watched, HostPart::Gateway, work);
        let done = deadline::within(self.clock.as_ref(), wait, work)
            .instrument(span)
            .await;
        let done = match done {
            Some(Ok(done)) => done,
            Some(Err(Panicked(_))) => Err(GatewayError::Panicked),
            None => Err(GatewayError::TimedOut),
        };
        let now = self.clock.now();
        self.tower
            .measure(Signal::PaymentLatency, now - before, now);
        call.came = match &done {
            Err(GatewayError::RateLimited { wait }) => Some(Came::Busy(*wait)),
            // It says nothing about the provider, neither good nor bad.
            Err(GatewayError::Failed { .. } | GatewayError::Unreadable) if name == LOOK_UP => None,
            Err(error) if error.is_failure() => Some(Came::Failed),
            Ok(_) | Err(_) => Some(Came::Answered),
        };
        meter::provider(now - before, call.came != Some(Came::Answered));
        done
    }

    fn begin(&self, caller: Caller) -> Result<Call<'_>, GatewayError> {
        let now = self.clock.now();
        let mut state = self.lock();
        match state.health.circuit {
            Circuit::Closed => {}
            Circuit::Open { until } if until <= now => {}
            Circuit::Open { until } => return Err(GatewayError::CircuitOpen { until }),
            Circuit::HalfOpen => return Err(GatewayError::CircuitOpen { until: now }),
        }
        if !state.budget(caller).take(now) {
            state.health.throttled += 1;
            return Err(GatewayError::Throttled);
        }
        if let Circuit::Open { .. } = state.health.circuit {
            state.health.circuit = Circuit::HalfOpen;
        }
        state.health.calls += 1;
        Ok(Call {
            provider: self,
            came: None,
        })
    }

    /// A call that nobody waits for any more says nothing about the provider.
    fn let_go(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.health.circuit == Circuit::HalfOpen {
            state.health.circuit = Circuit::Open { until: now };
        }
    }

    fn end(&self, came: Came) {
        let now = self.clock.now();
        let mut state = self.lock();
        match came {
            Came::Answered => {
                state.health.answered_at = Some(now);
                state.health.failures_in_a_row = 0;
                state.pause = self.limits.pause;
                // One that was under way does not end a pause that the provider asked for.
                if state.busy_until.is_none_or(|until| until <= now) {
                    state.health.circuit = Circuit::Closed;
                }
                return;
            }
            Came::Busy(wait) => {
                // It answers, and says when to come again; a longer pause stands.
                let mut until = now + wait.unwrap_or(BUSY).min(LONGEST_PAUSE);
                if let Circuit::Open { until: stands } = state.health.circuit {
                    until = until.max(stands);
                }
                state.health.answered_at = Some(now);
                state.busy_until = Some(until);
                state.health.circuit = Circuit::Open { until };
                tracing::warn!(%until, "the provider is asked too often; it is left alone for a while");
                return;
            }
            Came::Failed => {}
        }
        let health = &mut state.health;
        health.failed += 1;
        health.failed_at = Some(now);
        health.failures_in_a_row = health.failures_in_a_row.saturating_add(1);
        // Calls that were under way when it was opened do not open it again, for longer.
        let opens = match health.circuit {
            Circuit::HalfOpen => true,
            Circuit::Closed => health.failures_in_a_row >= self.limits.failures,
            Circuit::Open { .. } => false,
        };
        if opens {
            let until = now + state.pause;
            state.health.circuit = Circuit::Open { until };
            state.pause = (state.pause * 2).min(LONGEST_PAUSE.max(self.limits.pause));
            tracing::error!(%until, "the provider fails; it is left alone for a while");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call came to, as far as it says something about the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// It answered, whatever it said.
    Answered,
    /// It asks for fewer calls, and perhaps for a time without any.
    Busy(Option<Duration>),
    /// It gave no answer, or none that can be used.
    Failed,
}

/// A call that is being made.
struct Call<'p> {
    provider: &'p Provider,
    came: Option<Came>,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        match self.came {
            Some(came) => self.provider.end(came),
            None => self.provider.let_go(),
        }
    }
}
