//! What operators are woken for: rules over what happens, with windows that slide.
//!
//! [`Watch`] is pure: it is told what happened and what time it is, and says which alerts begin,
//! escalate and end. The registrar tells it everything that this process commits or refuses, and
//! leaves a record of each alert, which shows in the app and goes out by the channels that admins
//! chose; sinks of the host's own get it too ([`AlertSink`](crate::port::AlertSink)). Several
//! processes watch themselves, each on its own.
//!
#![doc = include_str!("metrics.md")]

mod metrics;
mod rule;

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::audit::ConcernKind;
use crate::enrollment::Status;
use crate::payment::AttemptStatus;
use crate::reason::words;
use crate::record::Fact;

pub use metrics::Metric;
pub use rule::{AlertCondition, AlertRule, AlertRuleProblem, AlertSeverity};

/// Most occurrences that are remembered for one rule.
const REMEMBERED: usize = 100_000;

/// What is counted or measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Signal {
    /// A try to pay failed.
    PaymentFailed,
    /// Money arrived.
    PaymentCompleted,
    /// A callback was refused, could not be read or could not be stored.
    WebhookFailed,
    /// A callback was refused for its signature or its application id.
    SignatureFailed,
    /// A callback that was settled long ago came again.
    Replayed,
    /// A learner was refused often, from many addresses.
    AccessProbed,
    /// So many callbacks were refused or came again that not all of them are recorded.
    Flooded,
    /// Something is not set up: the store or the provider refuses for good.
    ConfigurationWrong,
    /// A part of the host's panicked: a publisher, a policy, a channel.
    HostPanicked,
    /// How long the provider took to answer, in milliseconds.
    PaymentLatency,
    /// How long a record took from commit to publication, in milliseconds.
    SyncDelay,
    /// Somebody enrolled.
    Enrolled,
    /// An enrollment was approved.
    Approved,
    /// An enrollment has waited for a person for too long.
    PendingLong,
    /// A callback was given up on.
    DeadLetter,
    /// Money and access do not agree.
    AuditFinding,
}

words!(Signal {
    PaymentFailed => "payment_failed",
    PaymentCompleted => "payment_completed",
    WebhookFailed => "webhook_failed",
    SignatureFailed => "signature_failed",
    Replayed => "replayed",
    AccessProbed => "access_probed",
    Flooded => "flooded",
    ConfigurationWrong => "configuration_wrong",
    HostPanicked => "host_panicked",
    PaymentLatency => "payment_latency",
    SyncDelay => "sync_delay",
    Enrolled => "enrolled",
    Approved => "approved",
    PendingLong => "pending_long",
    DeadLetter => "dead_letter",
    AuditFinding => "audit_finding",
});

impl Signal {
    /// Its place among all signals, as a bit.
    pub(crate) fn bit(self) -> u32 {
        1 << self as u32
    }

    /// What a fact counts as, if as anything.
    pub fn of(fact: &Fact) -> Option<Self> {
        Some(match fact {
            Fact::AttemptMoved {
                to: AttemptStatus::Failed,
                ..
            } => Self::PaymentFailed,
            Fact::PaymentCompleted { .. } => Self::PaymentCompleted,
            Fact::EnrollmentCreated { .. } => Self::Enrolled,
            Fact::EnrollmentMoved {
                to: Status::Approved { .. },
                ..
            } => Self::Approved,
            Fact::ConcernRaised {
                kind: ConcernKind::PendingTooLong,
                ..
            } => Self::PendingLong,
            Fact::ConcernRaised { .. } => Self::AuditFinding,
            Fact::DeliveryDead { .. } => Self::DeadLetter,
            Fact::FloodBegan { .. } => Self::Flooded,
            _ => return None,
        })
    }
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertStage {
    /// Its rule began to hold.
    Raised,
    /// It holds for so long that somebody else has to be told.
    Escalated,
    /// It does not hold any more.
    Recovered,
}

words!(AlertStage {
    Raised => "raised",
    Escalated => "escalated",
    Recovered => "recovered",
});

/// An alert, as it stands. It holds numbers, and names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Alert {
    /// Its rule.
    pub rule: String,
    /// What became of it.
    pub stage: AlertStage,
    /// How grave it is.
    pub severity: AlertSeverity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When this became of it.
    pub at: DateTime<Utc>,
}

/// Watches what happens by rules.
#[derive(Debug)]
pub struct Watch {
    rules: Vec<Watched>,
    /// What came before is not known.
    began: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Watched {
    rule: AlertRule,
    seen: Seen,
    /// What it is compared with, for a ratio.
    against: Seen,
    stands: Option<Standing>,
}

#[derive(Debug, Clone)]
struct Standing {
    since: DateTime<Utc>,
    escalated: bool,
    message: String,
}

/// Occurrences, oldest first, with what was measured.
type Seen = VecDeque<(DateTime<Utc>, i64)>;

impl Watch {
    /// Watches by these rules.
    ///
    /// # Errors
    /// [`AlertRuleProblem`] names the first rule that cannot be one.
    pub fn new(rules: Vec<AlertRule>) -> Result<Self, AlertRuleProblem> {
        AlertRule::check(&rules)?;
        let watched = rules.into_iter().map(|rule| Watched {
            rule,
            seen: Seen::new(),
            against: Seen::new(),
            stands: None,
        });
        Ok(Self {
            rules: watched.collect(),
            began: None,
        })
    }

    /// Something happened, or was measured.
    pub fn note(&mut self, signal: Signal, value: i64, now: DateTime<Utc>) {
        self.began.get_or_insert(now);
        for watched in &mut self.rules {
            if watched.rule.signal == signal {
                remember(&mut watched.seen, value, now);
            }
            if watched.rule.condition.against() == Some(signal) {
                remember(&mut watched.against, value, now);
            }
        }
    }

    /// What becomes of the alerts now: those that begin, escalate and end.
    pub fn look(&mut self, now: DateTime<Utc>) -> Vec<Alert> {
        let began = *self.began.get_or_insert(now);
        self.rules
            .iter_mut()
            .filter_map(|watched| watched.look(began, now))
            .collect()
    }

    /// The alerts that stand.
    pub fn standing(&self, now: DateTime<Utc>) -> Vec<Alert> {
        let stands = |watched: &Watched| {
            let standing = watched.stands.clone()?;
            let stage = match standing.escalated {
                true => AlertStage::Escalated,
                false => AlertStage::Raised,
            };
            Some(watched.alert(stage, standing, now))
        };
        self.rules.iter().filter_map(stands).collect()
    }
}

fn remember(seen: &mut Seen, value: i64, now: DateTime<Utc>) {
    if seen.len() >= REMEMBERED {
        seen.pop_front();
    }
    seen.push_back((now, value));
}

/// A window and what it is compared with, once both have been watched.
fn known(
    began: DateTime<Utc>,
    now: DateTime<Utc>,
    within: Duration,
    baseline: Duration,
) -> Option<(chrono::Duration, chrono::Duration)> {
    let (within, baseline) = (rule::span(within), rule::span(baseline));
    (now - began >= within + baseline).then_some((within, baseline))
}

/// A share in percent, to the nearest.
fn rounded(part: u64, whole: u64) -> u64 {
    (part * 100 + whole / 2) / whole.max(1)
}

/// What lies between two ages: at least so old, and younger than that.
fn between(
    seen: &Seen,
    now: DateTime<Utc>,
    from: chrono::Duration,
    to: chrono::Duration,
) -> impl Iterator<Item = i64> {
    let aged = move |at: DateTime<Utc>| {
        let age = now - at;
        age >= from && age < to
    };
    let within = seen.iter().filter(move |(at, _)| aged(*at));
    within.map(|(_, value)| *value)
}

impl Watched {
    fn look(&mut self, began: DateTime<Utc>, now: DateTime<Utc>) -> Option<Alert> {
        let keep = self.rule.condition.reach();
        for seen in [&mut self.seen, &mut self.against] {
            while seen.front().is_some_and(|(at, _)| now - *at >= keep) {
                seen.pop_front();
            }
        }
        let holds = self.holds(began, now);
        match (self.stands.clone(), holds) {
            (None, None) => None,
            (None, Some(message)) => {
                let standing = Standing {
                    since: now,
                    escalated: false,
                    message,
                };
                self.stands = Some(standing.clone());
                Some(self.alert(AlertStage::Raised, standing, now))
            }
            (Some(standing), None) => {
                self.stands = None;
                Some(self.alert(AlertStage::Recovered, standing, now))
            }
            (Some(standing), Some(message)) => {
                let age = (now - standing.since).to_std().unwrap_or_default();
                let escalates = !standing.escalated && age >= self.rule.escalate_after;
                let standing = Standing {
                    message,
                    escalated: standing.escalated || escalates,
                    ..standing
                };
                self.stands = Some(standing.clone());
                escalates.then(|| self.alert(AlertStage::Escalated, standing, now))
            }
        }
    }

    /// What is wrong, if the rule holds.
    fn holds(&self, began: DateTime<Utc>, now: DateTime<Utc>) -> Option<String> {
        let zero = chrono::Duration::zero();
        match &self.rule.condition {
            AlertCondition::Count { at_least, within } => {
                let within = rule::span(*within);
                let count = between(&self.seen, now, zero, within).count() as u64;
                (count >= *at_least).then(|| {
                    format!(
                        "{count} times {} in {} minutes.",
                        self.rule.signal.as_str().replace('_', " "),
                        within.num_minutes()
                    )
                })
            }
            AlertCondition::Above { limit, within } => {
                let within = rule::span(*within);
                let most = between(&self.seen, now, zero, within).max()?;
                let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
                (most > limit).then(|| format!("{most} ms, which is above {limit} ms."))
            }
            AlertCondition::Drop {
                percent,
                within,
                baseline,
                at_least,
            } => {
                let (within, baseline) = known(began, now, *within, *baseline)?;
                let current = between(&self.seen, now, zero, within).count() as u64;
                let before = between(&self.seen, now, within, within + baseline).count() as u64;
                // Compared crosswise, so that nothing is rounded.
                let (within, baseline) = (within.num_seconds(), baseline.num_seconds());
                let left = i128::from(100 - percent) * i128::from(before) * i128::from(within);
                let low = i128::from(current) * 100 * i128::from(baseline) < left;
                (before >= *at_least && low).then(|| {
                    let usual = (i128::from(before) * i128::from(within)
                        + i128::from(baseline) / 2)
                        / i128::from(baseline.max(1));
                    format!("{current} in {} minutes, usually {usual}.", within / 60)
                })
            }
            AlertCondition::RatioDrop {
                percent,
                within,
                baseline,
                at_least,
                ..
            } => {
                let (within, baseline) = known(began, now, *within, *baseline)?;
                let count = |seen: &Seen, from, to| between(seen, now, from, to).count() as u64;
                let part = count(&self.seen, zero, within);
                let whole = count(&self.against, zero, within);
                let part_before = count(&self.seen, within, within + baseline);
                let whole_before = count(&self.against, within, within + baseline);
                let left = u128::from(100 - u64::from(*percent))
                    * u128::from(part_before)
                    * u128::from(whole);
                let low = u128::from(part) * 100 * u128::from(whole_before) < left;
                (whole >= *at_least && whole_before >= *at_least && low).then(|| {
                    format!(
                        "{} % of {whole}, usually {} %.",
                        rounded(part, whole),
                        rounded(part_before, whole_before)
                    )
                })
            }
        }
    }

    fn alert(&self, stage: AlertStage, standing: Standing, now: DateTime<Utc>) -> Alert {
        Alert {
            rule: self.rule.id.clone(),
            stage,
            severity: self.rule.severity,
            message: standing.message,
            since: standing.since,
            at: now,
        }
    }
}
