use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Alert, AlertCondition, AlertRule, AlertRuleProblem, Signal, rule};
use crate::vocabulary::AlertStage;

/// Most occurrences of a signal that are remembered before they are shared.
const REMEMBERED: usize = 100_000;
/// For so much longer than its window an alert stands: processes do not look at the same instant,
/// and what has ended for one is not to begin anew for another.
const LINGER: chrono::Duration = chrono::Duration::seconds(10);

/// Watches what happens by rules.
#[derive(Debug)]
pub struct AlertEngine {
    rules: Vec<AlertRule>,
    /// What happened here, and the others do not know of; oldest first, with what was measured.
    fresh: BTreeMap<Signal, VecDeque<(DateTime<Utc>, i64)>>,
    /// The same, once it is on its way to the store: it is known whether it got there when it is
    /// read back.
    leaving: BTreeMap<Signal, VecDeque<(DateTime<Utc>, i64)>>,
    /// What happened anywhere, by the second.
    shared: BTreeMap<Signal, BTreeMap<DateTime<Utc>, Seen>>,
    /// What came before is not known.
    began: Option<DateTime<Utc>>,
    standing: BTreeMap<String, Standing>,
    /// Alerts that stand here alone, since the store did not take them.
    unsaved: BTreeSet<String>,
}

/// What was seen in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    times: u64,
    most: i64,
}

#[derive(Debug, Clone)]
struct Standing {
    since: DateTime<Utc>,
    escalated: bool,
    message: String,
}

/// From one age to another: at least so old, and younger than that.
type Ages = (chrono::Duration, chrono::Duration);

impl AlertEngine {
    /// Watches by these rules.
    ///
    /// # Errors
    /// [`AlertRuleProblem`] names the first rule that cannot be one.
    pub fn new(rules: Vec<AlertRule>) -> Result<Self, AlertRuleProblem> {
        AlertRule::check(&rules)?;
        Ok(Self {
            rules,
            fresh: BTreeMap::new(),
            leaving: BTreeMap::new(),
            shared: BTreeMap::new(),
            began: None,
            standing: BTreeMap::new(),
            unsaved: BTreeSet::new(),
        })
    }

    /// Something happened here, or was measured.
    pub fn note(&mut self, signal: Signal, value: i64, now: DateTime<Utc>) {
        self.began.get_or_insert(now);
        if !self.rules.iter().any(|rule| rule.reads(signal)) {
            return;
        }
        let seen = self.fresh.entry(signal).or_default();
        if seen.len() >= REMEMBERED {
            seen.pop_front();
        }
        seen.push_back((now, value));
    }

    /// What becomes of the alerts now: those that begin, escalate and end.
    pub fn look(&mut self, now: DateTime<Utc>) -> Vec<Alert> {
        let alerts = self.due(now);
        for alert in &alerts {
            self.follow(alert);
        }
        alerts
    }

    /// The alerts that stand.
    pub fn standing(&self, now: DateTime<Utc>) -> Vec<Alert> {
        let stands = |rule: &AlertRule| {
            let standing = self.standing.get(&rule.id)?;
            let stage = match standing.escalated {
                true => AlertStage::Escalated,
                false => AlertStage::Raised,
            };
            Some(alert(rule, stage, standing, now))
        };
        self.rules.iter().filter_map(stands).collect()
    }

    /// How far back its rules look.
    pub(crate) fn reach(&self) -> Duration {
        let reach = self.rules.iter().map(|rule| rule.condition.reach()).max();
        reach.unwrap_or_default().to_std().unwrap_or_default()
    }

    pub(crate) fn knows(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| known.id == rule)
    }

    /// What is to become of the alerts now.
    pub(crate) fn due(&mut self, now: DateTime<Utc>) -> Vec<Alert> {
        self.began.get_or_insert(now);
        self.forget(now);
        let due = |rule: &AlertRule| self.due_of(rule, now);
        let alerts: Vec<Alert> = self.rules.iter().filter_map(due).collect();
        // What is wrong is said as it is now.
        for rule in &self.rules {
            let message = self.holds(rule, now, chrono::Duration::zero());
            if let (Some(standing), Some(message)) = (self.standing.get_mut(&rule.id), message) {
                standing.message = message;
            }
        }
        alerts
    }

    /// It became of the alert, and was said.
    pub(crate) fn follow(&mut self, alert: &Alert) {
        if alert.stage == AlertStage::Recovered {
            self.standing.remove(&alert.rule);
            self.unsaved.remove(&alert.rule);
            return;
        }
        let standing = Standing {
            since: alert.since,
            escalated: alert.escalated,
            message: alert.message.clone(),
        };
        self.standing.insert(alert.rule.clone(), standing);
    }

    /// The store did not take it: it stands here alone.
    pub(crate) fn keep_alone(&mut self, alert: &Alert) {
        self.follow(alert);
        if alert.stage != AlertStage::Recovered {
            self.unsaved.insert(alert.rule.clone());
        }
    }

    /// The alerts that stand here alone.
    pub(crate) fn alone(&self, now: DateTime<Utc>) -> Vec<Alert> {
        let mut standing = self.standing(now);
        standing.retain(|alert| self.unsaved.contains(&alert.rule));
        standing
    }

    /// It stands here alone no more.
    pub(crate) fn share_alone(&mut self, alert: &Alert) {
        self.unsaved.remove(&alert.rule);
    }

    /// What happened here and the others do not know of: how often, and the most of it. The same
    /// again until it has arrived.
    pub(crate) fn leave(&mut self) -> Vec<(Signal, u64, i64)> {
        if self.leaving.is_empty() {
            self.leaving = std::mem::take(&mut self.fresh);
        }
        let sum = |(signal, seen): (&Signal, &VecDeque<(DateTime<Utc>, i64)>)| {
            let most = seen.iter().map(|(_, value)| *value).max()?;
            Some((*signal, seen.len() as u64, most))
        };
        self.leaving.iter().filter_map(sum).collect()
    }

    /// What was on its way is in the store: it is read back from there.
    pub(crate) fn arrived(&mut self) {
        self.leaving.clear();
    }

    /// Something happened somewhere.
    pub(crate) fn learn(&mut self, signal: Signal, times: u64, most: i64, at: DateTime<Utc>) {
        if self.began.is_none_or(|began| at < began) {
            self.began = Some(at);
        }
        if self.rules.iter().any(|rule| rule.reads(signal)) {
            let at = DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at);
            let seen = self
                .shared
                .entry(signal)
                .or_default()
                .entry(at)
                .or_default();
            seen.most = if seen.times == 0 {
                most
            } else {
                seen.most.max(most)
            };
            seen.times = seen.times.saturating_add(times);
        }
    }

    /// These alerts stand, for everybody.
    pub(crate) fn stand(&mut self, alerts: &[Alert]) {
        let (unsaved, before) = (&self.unsaved, std::mem::take(&mut self.standing));
        let alone = before
            .into_iter()
            .filter(|(rule, _)| unsaved.contains(rule));
        self.standing = alone.collect();
        for alert in alerts {
            self.unsaved.remove(&alert.rule);
            self.follow(alert);
        }
    }

    fn forget(&mut self, now: DateTime<Utc>) {
        let reach = |signal: Signal| {
            let rules = self.rules.iter().filter(|rule| rule.reads(signal));
            let reach = rules.map(|rule| rule.condition.reach()).max();
            reach.unwrap_or_default() + LINGER
        };
        for (signal, seen) in self.fresh.iter_mut().chain(&mut self.leaving) {
            let keep = reach(*signal);
            while seen.front().is_some_and(|(at, _)| now - *at >= keep) {
                seen.pop_front();
            }
        }
        for (signal, seen) in &mut self.shared {
            let keep = reach(*signal);
            while let Some((at, _)) = seen.first_key_value()
                && now - *at >= keep
            {
                seen.pop_first();
            }
        }
        self.fresh.retain(|_, seen| !seen.is_empty());
    }

    fn due_of(&self, rule: &AlertRule, now: DateTime<Utc>) -> Option<Alert> {
        let Some(standing) = self.standing.get(&rule.id) else {
            let standing = Standing {
                since: now,
                escalated: false,
                message: self.holds(rule, now, chrono::Duration::zero())?,
            };
            return Some(alert(rule, AlertStage::Raised, &standing, now));
        };
        let Some(message) = self.holds(rule, now, LINGER) else {
            return Some(alert(rule, AlertStage::Recovered, standing, now));
        };
        let age = (now - standing.since).to_std().unwrap_or_default();
        let escalates = !standing.escalated && age >= rule.escalate_after;
        escalates.then(|| {
            let standing = Standing {
                since: standing.since,
                escalated: true,
                message,
            };
            alert(rule, AlertStage::Escalated, &standing, now)
        })
    }

    /// How often something happened.
    fn times(&self, signal: Signal, now: DateTime<Utc>, ages: Ages) -> u64 {
        self.between(signal, now, ages)
            .map(|seen| seen.times)
            .fold(0, u64::saturating_add)
    }

    fn between(
        &self,
        signal: Signal,
        now: DateTime<Utc>,
        (from, to): Ages,
    ) -> impl Iterator<Item = Seen> {
        let is_within = move |at: DateTime<Utc>| now - at >= from && now - at < to;
        let own = [&self.fresh, &self.leaving].into_iter();
        let own = own.filter_map(move |seen| seen.get(&signal)).flatten();
        let own = own.map(|(at, most)| {
            (
                *at,
                Seen {
                    times: 1,
                    most: *most,
                },
            )
        });
        let shared = self.shared.get(&signal).into_iter();
        let shared = shared.flat_map(move |seen| seen.range(now - to..=now - from));
        let shared = shared.map(|(at, seen)| (*at, *seen));
        let both = own.chain(shared);
        both.filter(move |(at, _)| is_within(*at))
            .map(|(_, seen)| seen)
    }

    /// A window and what it is compared with, once both have been watched.
    fn known(
        &self,
        now: DateTime<Utc>,
        within: Duration,
        baseline: Duration,
    ) -> Option<(chrono::Duration, chrono::Duration)> {
        let (within, baseline) = (rule::span(within), rule::span(baseline));
        let began = self.began?;
        (now - began >= within + baseline).then_some((within, baseline))
    }

    /// What is wrong, if the rule holds.
    fn holds(
        &self,
        rule: &AlertRule,
        now: DateTime<Utc>,
        linger: chrono::Duration,
    ) -> Option<String> {
        let zero = chrono::Duration::zero();
        match &rule.condition {
            AlertCondition::Count { at_least, within } => {
                let within = rule::span(*within);
                let count = self.times(rule.signal, now, (zero, within + linger));
                (count >= *at_least).then(|| {
                    format!(
                        "{count} times {} in {} minutes.",
                        rule.signal.as_str().replace('_', " "),
                        within.num_minutes()
                    )
                })
            }
            AlertCondition::Above { limit, within } => {
                let within = rule::span(*within) + linger;
                let measured = self.between(rule.signal, now, (zero, within));
                let most = measured.map(|seen| seen.most).max()?;
                let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
                (most > limit).then(|| format!("{most} ms, which is above {limit} ms."))
            }
            AlertCondition::Drop {
                percent,
                within,
                baseline,
                at_least,
            } => {
                let (within, baseline) = self.known(now, *within, *baseline)?;
                let current = self.times(rule.signal, now, (zero, within));
                let before = self.times(rule.signal, now, (within, within + baseline));
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
                of,
                percent,
                within,
                baseline,
                at_least,
            } => {
                let (within, baseline) = self.known(now, *within, *baseline)?;
                let (recent, before) = ((zero, within), (within, within + baseline));
                let part = self.times(rule.signal, now, recent);
                let whole = self.times(*of, now, recent);
                let part_before = self.times(rule.signal, now, before);
                let whole_before = self.times(*of, now, before);
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
}

/// A share in percent, to the nearest.
fn rounded(part: u64, whole: u64) -> u64 {
    (part * 100 + whole / 2) / whole.max(1)
}

fn alert(rule: &AlertRule, stage: AlertStage, standing: &Standing, now: DateTime<Utc>) -> Alert {
    Alert {
        rule: rule.id.clone(),
        stage,
        severity: rule.severity,
        message: standing.message.clone(),
        since: standing.since,
        at: now,
        escalated: standing.escalated,
    }
}
