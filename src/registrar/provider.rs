//! The provider, asked no more often than allowed, and left alone while it fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use tracing::Instrument;

use super::watch::Tower;
use super::{deadline, meter};
use crate::config::ProviderLimits;
use crate::evidence::Confirmation;
use crate::monitor::Signal;
use crate::payment::PayLink;
use crate::port::{
    Clock, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};

/// Longest time the provider is left alone, however often it failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Seconds of background calls that may be made at once.
const BACKGROUND_BURST: f64 = 10.0;
/// How long a list of payments, or a refund, may take.
const LONG_WAIT: Duration = Duration::from_secs(45);

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A person, or a callback.
    Waited,
    /// Nobody: it can be asked another time.
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
pub(super) struct Provider {
    gateway: Arc<dyn PaymentGateway>,
    limits: ProviderLimits,
    clock: Arc<dyn Clock>,
    tower: Arc<Tower>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    health: ProviderHealth,
    /// How long it is left alone the next time.
    pause: Duration,
    all: Option<Bucket>,
    background: Bucket,
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
    fn new(per_second: u32, seconds: f64, now: DateTime<Utc>) -> Self {
        let per_second = f64::from(per_second);
        let room = (per_second * seconds).max(1.0);
        Self {
            per_second,
            room,
            left: room,
            at: now,
        }
    }

    fn take(&mut self, now: DateTime<Utc>) -> bool {
        let passed = now.signed_duration_since(self.at).to_std();
        let gained = passed.unwrap_or_default().as_secs_f64() * self.per_second;
        self.left = (self.left + gained).min(self.room);
        self.at = now;
        let free = self.left >= 1.0;
        if free {
            self.left -= 1.0;
        }
        free
    }
}

impl Provider {
    pub(super) fn new(
        gateway: Arc<dyn PaymentGateway>,
        limits: ProviderLimits,
        clock: Arc<dyn Clock>,
        tower: Arc<Tower>,
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
            all: limits.per_second.map(|calls| Bucket::new(calls, 1.0, now)),
            background: Bucket::new(limits.background_per_second, BACKGROUND_BURST, now),
        };
        Self {
            gateway,
            limits,
            clock,
            tower,
            state: Mutex::new(state),
        }
    }

    pub(super) fn gateway(&self) -> &dyn PaymentGateway {
        self.gateway.as_ref()
    }

    pub(super) fn health(&self) -> ProviderHealth {
        self.lock().health.clone()
    }

    pub(super) async fn create_link(
        &self,
        request: &LinkRequest,
        wait: Duration,
    ) -> Result<PayLink, GatewayError> {
        let asked = self.gateway.create_link(request);
        self.call("create_link", Urgency::Waited, wait, asked).await
    }

    pub(super) async fn status(
        &self,
        query: StatusQuery<'_>,
        wait: Duration,
        urgency: Urgency,
    ) -> Result<Option<Confirmation>, GatewayError> {
        let asked = self.gateway.status(query);
        self.call("status", urgency, wait, asked).await
    }

    pub(super) async fn history(
        &self,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<History, GatewayError> {
        let asked = self.gateway.history(from, to);
        self.call("history", Urgency::Background, LONG_WAIT, asked)
            .await
    }

    pub(super) async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
        let asked = self.gateway.refund(request);
        self.call("refund", Urgency::Waited, LONG_WAIT, asked).await
    }

    async fn call<T>(
        &self,
        name: &'static str,
        urgency: Urgency,
        wait: Duration,
        work: impl Future<Output = Result<T, GatewayError>>,
    ) -> Result<T, GatewayError> {
        let mut call = self.begin(urgency)?;
        let before = self.clock.now();
        let span = tracing::info_span!("coursegate.provider", call = name);
        let done = deadline::within(self.clock.as_ref(), wait, work)
            .instrument(span)
            .await
            .unwrap_or(Err(GatewayError::TimedOut));
        let now = self.clock.now();
        self.tower
            .measure(Signal::PaymentLatency, now - before, now);
        call.failed = matches!(
            done,
            Err(GatewayError::Unreachable | GatewayError::TimedOut | GatewayError::Unreadable)
        );
        meter::provider(now - before, call.failed);
        done
    }

    fn begin(&self, urgency: Urgency) -> Result<Call<'_>, GatewayError> {
        let now = self.clock.now();
        let mut state = self.lock();
        match state.health.circuit {
            Circuit::Closed => {}
            Circuit::Open { until } if until <= now => {}
            Circuit::Open { until } => return Err(GatewayError::CircuitOpen { until }),
            Circuit::HalfOpen => return Err(GatewayError::CircuitOpen { until: now }),
        }
        let allowed = (urgency == Urgency::Waited || state.background.take(now))
            && state.all.as_mut().is_none_or(|bucket| bucket.take(now));
        if !allowed {
            state.health.throttled += 1;
            return Err(GatewayError::Throttled);
        }
        if let Circuit::Open { .. } = state.health.circuit {
            state.health.circuit = Circuit::HalfOpen;
        }
        state.health.calls += 1;
        Ok(Call {
            provider: self,
            failed: true,
        })
    }

    fn end(&self, failed: bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        if !failed {
            state.health.answered_at = Some(now);
            state.health.failures_in_a_row = 0;
            state.health.circuit = Circuit::Closed;
            state.pause = self.limits.pause;
            return;
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

/// A call that is being made. One that is given up on has failed.
struct Call<'p> {
    provider: &'p Provider,
    failed: bool,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.provider.end(self.failed);
    }
}
