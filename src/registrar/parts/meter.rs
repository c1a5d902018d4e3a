//! Numbers for operators, through the facade of the crate `metrics`. Without the feature
//! `metrics` nothing here does anything.

use std::time::Duration;

use crate::access::DenyReason;
use crate::monitor::Signal;
use crate::registrar::parts::receipt::{Outcome, Timings};
use crate::vocabulary::AlertSeverity;
use crate::vocabulary::reason::{ApprovalCause, SecurityEvent};

#[cfg(feature = "metrics")]
macro_rules! counter {
    ($name:literal, $count:expr $(, $label:literal => $value:expr)*) => {
        ::metrics::counter!($name $(, $label => $value)*).increment($count)
    };
}
#[cfg(feature = "metrics")]
macro_rules! gauge {
    ($name:literal, $value:expr $(, $label:literal => $text:expr)*) => {
        ::metrics::gauge!($name $(, $label => $text)*).set($value)
    };
}
#[cfg(feature = "metrics")]
macro_rules! seconds {
    ($name:literal, $time:expr $(, $label:literal => $value:expr)*) => {
        ::metrics::histogram!($name $(, $label => $value)*).record($time.as_secs_f64())
    };
}
#[cfg(not(feature = "metrics"))]
macro_rules! counter {
    ($name:literal, $count:expr $(, $label:literal => $value:expr)*) => {{
        let _ = ($count, $($value,)*);
    }};
}
#[cfg(not(feature = "metrics"))]
macro_rules! gauge {
    ($name:literal, $value:expr $(, $label:literal => $text:expr)*) => {{
        let _ = ($value, $($text,)*);
    }};
}
#[cfg(not(feature = "metrics"))]
macro_rules! seconds {
    ($name:literal, $time:expr $(, $label:literal => $value:expr)*) => {{
        let _ = ($time, $($value,)*);
    }};
}

/// A number that notices when somebody asks for it.
#[cfg(feature = "metrics")]
struct Noticed<'n>(&'n std::cell::Cell<bool>);

#[cfg(feature = "metrics")]
impl ::metrics::IntoF64 for Noticed<'_> {
    fn into_f64(self) -> f64 {
        self.0.set(true);
        1.0
    }
}

/// Says which version runs; whether anybody hears of numbers.
pub(in crate::registrar) fn info() -> bool {
    #[cfg(feature = "metrics")]
    {
        let is_heard = std::cell::Cell::new(false);
        let version = env!("CARGO_PKG_VERSION");
        gauge!("coursegate_info", Noticed(&is_heard), "version" => version);
        is_heard.get()
    }
    #[cfg(not(feature = "metrics"))]
    false
}

/// A callback was answered.
pub(in crate::registrar) fn webhook(outcome: &Outcome, granted: bool, timings: &Timings) {
    counter!("coursegate_webhooks_total", 1, "outcome" => outcome.as_str());
    let stages = [
        ("security", timings.security),
        ("detection", timings.detection),
        ("lookup", timings.lookup),
        ("confirmation", timings.confirmation),
        ("approval", timings.routing),
        ("persistence", timings.update),
        ("live", timings.notification),
        ("total", timings.total),
    ];
    for (stage, time) in stages {
        seconds!("coursegate_webhook_seconds", time, "stage" => stage);
    }
    if granted {
        seconds!("coursegate_fast_track_seconds", timings.total);
    }
}

/// Somebody means no good, or is broken.
pub(in crate::registrar) fn security(event: SecurityEvent) {
    counter!("coursegate_security_events_total", 1, "event" => event.as_str());
}

/// A learner was refused.
pub(in crate::registrar) fn denied(reason: DenyReason) {
    let reason = match reason {
        DenyReason::NoGrant => "no_grant",
        DenyReason::Ended { .. } => "ended",
        DenyReason::Suspended { .. } => "suspended",
        DenyReason::Expired { .. } => "expired",
        DenyReason::NotStarted { .. } => "not_started",
        DenyReason::KindNotCovered => "kind_not_covered",
        DenyReason::LevelTooLow { .. } => "level_too_low",
        DenyReason::UnknownRestriction => "unknown_restriction",
        DenyReason::Restricted { .. } => "restricted",
    };
    counter!("coursegate_access_denied_total", 1, "reason" => reason);
}

/// Something was committed that operators count.
pub(in crate::registrar) fn committed(signals: u32) {
    for signal in Signal::ALL {
        if signals & signal.bit() != 0 {
            counter!("coursegate_events_total", 1, "event" => signal.as_str());
        }
    }
}

/// An enrollment was approved.
pub(in crate::registrar) fn approved(cause: ApprovalCause) {
    counter!("coursegate_approvals_total", 1, "cause" => cause.as_str());
}

/// The provider was called.
pub(in crate::registrar) fn provider(taken: chrono::Duration, failed: bool) {
    let taken = taken.to_std().unwrap_or_default();
    let outcome = if failed { "failed" } else { "answered" };
    seconds!("coursegate_provider_seconds", taken, "outcome" => outcome);
}

/// Events were published, or not taken.
pub(in crate::registrar) fn published(taken: usize, left: usize, lag: Option<chrono::Duration>) {
    counter!("coursegate_published_total", taken as u64);
    gauge!("coursegate_outbox_left", count(left));
    if let Some(lag) = lag {
        let lag = lag.to_std().unwrap_or_default();
        seconds!("coursegate_publish_lag_seconds", lag);
    }
}

/// What waits, as far as it was counted: 500 of a kind at most.
pub(in crate::registrar) fn queues(
    pending: usize,
    oldest: Duration,
    inbox: &[(&'static str, usize, Duration)],
) {
    gauge!("coursegate_pending", count(pending));
    gauge!("coursegate_pending_oldest_seconds", oldest.as_secs_f64());
    for (state, number, oldest) in inbox {
        gauge!("coursegate_inbox", count(*number), "state" => *state);
        gauge!("coursegate_inbox_oldest_seconds", oldest.as_secs_f64(), "state" => *state);
    }
}

/// How many alerts stand.
pub(in crate::registrar) fn alerts(standing: impl Iterator<Item = AlertSeverity>) {
    let standing: Vec<AlertSeverity> = standing.collect();
    for severity in AlertSeverity::ALL {
        let number = standing.iter().filter(|it| *it == severity).count();
        gauge!("coursegate_alerts", count(number), "severity" => severity.as_str());
    }
}

/// An alert began, escalated or ended.
pub(in crate::registrar) fn alert(stage: &'static str, severity: &'static str) {
    counter!("coursegate_alerts_total", 1, "stage" => stage, "severity" => severity);
}

/// A number of things that is small.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
