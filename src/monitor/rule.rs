use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Signal;

use crate::vocabulary::AlertSeverity;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Longest stretch that a rule may look back.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// When a rule holds. Windows slide: what is as old as the window is outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum AlertCondition {
    /// It happened so often.
    Count {
        /// So often, or more.
        at_least: u64,
        /// In this time.
        within: Duration,
    },
    /// What was measured was longer.
    Above {
        /// Than this.
        limit: Duration,
        /// At any time of this.
        within: Duration,
    },
    /// It happened less often than it did before, for the same stretch of time.
    Drop {
        /// By more than so many percent.
        percent: u8,
        /// In this time.
        within: Duration,
        /// Compared with the time before that, so long.
        baseline: Duration,
        /// In which it happened so often at least: few say nothing.
        at_least: u64,
    },
    /// The share that it is of something else is smaller than it was before.
    RatioDrop {
        /// The whole that it is a share of.
        of: Signal,
        /// By more than so many percent of what it was.
        percent: u8,
        /// In this time.
        within: Duration,
        /// Compared with the time before that, so long.
        baseline: Duration,
        /// The whole happened so often at least, in both times.
        at_least: u64,
    },
}

impl AlertCondition {
    pub(super) fn against(&self) -> Option<Signal> {
        match self {
            Self::RatioDrop { of, .. } => Some(*of),
            Self::Count { .. } | Self::Above { .. } | Self::Drop { .. } => None,
        }
    }

    /// How far back it looks.
    pub(super) fn reach(&self) -> chrono::Duration {
        match self {
            Self::Count { within, .. } | Self::Above { within, .. } => span(*within),
            Self::Drop {
                within, baseline, ..
            }
            | Self::RatioDrop {
                within, baseline, ..
            } => span(*within) + span(*baseline),
        }
    }
}

pub(super) fn span(duration: Duration) -> chrono::Duration {
    chrono::Duration::from_std(duration.min(LONGEST)).unwrap_or_else(|_| chrono::Duration::days(30))
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Its name; one alert of a name stands at a time.
    pub id: String,
    /// What is counted or measured.
    pub signal: Signal,
    /// When it holds.
    pub condition: AlertCondition,
    /// How grave that is.
    pub severity: AlertSeverity,
    /// For how long it may stand before it is said once more.
    pub escalate_after: Duration,
}

/// Why a rule cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the alert rule {rule:?} {what}")]
pub struct AlertRuleProblem {
    /// The rule.
    pub rule: String,
    /// What is wrong with it.
    pub what: &'static str,
}

impl AlertRule {
    /// Whether it counts a signal, or compares with it.
    pub(super) fn reads(&self, signal: Signal) -> bool {
        self.signal == signal || self.condition.against() == Some(signal)
    }

    /// The rules that hold unless the host sets others: five failed payments in five minutes,
    /// three failed callbacks in two, one error of configuration, one panic of the host's own code, wrong signatures,
    /// replays, floods and access tried from many addresses, slow payments and slow updates, half the usual payments, a conversion that fell by 30 %, and what waits for a
    /// person.
    pub fn standard() -> Vec<Self> {
        let rule = |id: &str, signal, condition, severity, minutes: u32| Self {
            id: id.to_owned(),
            signal,
            condition,
            severity,
            escalate_after: MINUTE * minutes,
        };
        let count = |at_least, within| AlertCondition::Count { at_least, within };
        let above = |seconds| AlertCondition::Above {
            limit: Duration::from_secs(seconds),
            within: MINUTE * 5,
        };
        use AlertSeverity::{Business, Critical, Warning};
        vec![
            rule(
                "payment_failures",
                Signal::PaymentFailed,
                count(5, MINUTE * 5),
                Critical,
                15,
            ),
            rule(
                "webhook_failures",
                Signal::WebhookFailed,
                count(3, MINUTE * 2),
                Critical,
                10,
            ),
            rule(
                "configuration_error",
                Signal::ConfigurationWrong,
                count(1, MINUTE * 5),
                Critical,
                10,
            ),
            rule(
                "host_panicked",
                Signal::HostPanicked,
                count(1, MINUTE * 5),
                Critical,
                10,
            ),
            rule(
                "signature_failures",
                Signal::SignatureFailed,
                count(10, MINUTE * 10),
                Warning,
                30,
            ),
            rule(
                "replays",
                Signal::Replayed,
                count(3, MINUTE * 10),
                Warning,
                30,
            ),
            rule(
                "access_probing",
                Signal::AccessProbed,
                count(1, MINUTE * 10),
                Warning,
                30,
            ),
            rule("flood", Signal::Flooded, count(1, MINUTE * 5), Warning, 30),
            rule(
                "payment_latency",
                Signal::PaymentLatency,
                above(10),
                Warning,
                30,
            ),
            rule("sync_delay", Signal::SyncDelay, above(5), Warning, 30),
            rule(
                "dead_letters",
                Signal::DeadLetter,
                count(1, HOUR),
                Warning,
                30,
            ),
            rule(
                "reconciliation_finding",
                Signal::ReconciliationFinding,
                count(1, HOUR),
                Warning,
                30,
            ),
            rule(
                "pending_long",
                Signal::PendingLong,
                count(1, HOUR),
                Warning,
                60,
            ),
            rule(
                "payment_volume",
                Signal::PaymentCompleted,
                AlertCondition::Drop {
                    percent: 50,
                    within: HOUR,
                    baseline: HOUR * 24,
                    at_least: 48,
                },
                Business,
                60,
            ),
            rule(
                "conversion",
                Signal::Approved,
                AlertCondition::RatioDrop {
                    of: Signal::Enrolled,
                    percent: 30,
                    within: HOUR * 6,
                    baseline: HOUR * 48,
                    at_least: 20,
                },
                Business,
                60,
            ),
        ]
    }

    pub(super) fn check(rules: &[Self]) -> Result<(), AlertRuleProblem> {
        for (at, rule) in rules.iter().enumerate() {
            let problem = |what| {
                Err(AlertRuleProblem {
                    rule: rule.id.chars().take(64).collect(),
                    what,
                })
            };
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if rule.id.is_empty() || rule.id.len() > 64 || !rule.id.bytes().all(plain) {
                return problem("needs a name of 1 to 64 letters, digits, _ and -");
            }
            if rules[..at].iter().any(|other| other.id == rule.id) {
                return problem("has the name of another one");
            }
            let fits = |time: &Duration| !time.is_zero() && *time <= LONGEST;
            let (times, percent, least) = match &rule.condition {
                AlertCondition::Count { at_least, within } => (vec![within], 1, *at_least),
                AlertCondition::Above { within, .. } => (vec![within], 1, 1),
                AlertCondition::Drop {
                    percent,
                    within,
                    baseline,
                    at_least,
                }
                | AlertCondition::RatioDrop {
                    percent,
                    within,
                    baseline,
                    at_least,
                    ..
                } => (vec![within, baseline], *percent, *at_least),
            };
            if !times.into_iter().all(fits) {
                return problem("looks back for no time, or for more than 30 days");
            }
            if !(1..=100).contains(&percent) {
                return problem("needs 1 to 100 percent");
            }
            if least == 0 {
                return problem("would hold always: at_least must be 1 or more");
            }
        }
        Ok(())
    }
}
