//! What processes tell one another: here, registrars over one store.

use chrono::{DateTime, Utc};

use super::state::State;
use super::tables::KeptTally;
use crate::monitor::{Alert, Tallied};
use crate::store::{Share, Shared};
use crate::vocabulary::AlertStage;

impl State {
    pub(super) fn share(&mut self, share: Share<'_>) -> Shared {
        let age = |at: DateTime<Utc>| (share.now - at).to_std().unwrap_or_default();
        self.tallies.retain(|(_, at)| age(*at) < share.keep);
        for tally in share.tallies {
            let same = |(known, _): &KeptTally| {
                (known.process, known.number, &known.of) == (tally.process, tally.number, &tally.of)
            };
            if !self.tallies.iter().any(same) {
                self.tallies.push((tally.clone(), share.now));
            }
        }
        let young = self
            .tallies
            .iter()
            .filter(|(_, at)| age(*at) < share.within);
        Shared {
            now: None,
            tallies: young
                .map(|(tally, at)| Tallied {
                    tally: tally.clone(),
                    age: age(*at),
                })
                .collect(),
            alerts: self.alerts.values().cloned().collect(),
        }
    }

    /// Whether an alert can become what it is to become.
    pub(super) fn may_follow(&self, alert: &Alert) -> bool {
        let standing = self.alerts.get(&alert.rule);
        let same = standing.filter(|standing| standing.since == alert.since);
        match alert.stage {
            AlertStage::Raised => standing.is_none(),
            AlertStage::Escalated => same.is_some_and(|standing| !standing.escalated),
            AlertStage::Recovered => same.is_some(),
        }
    }

    pub(super) fn follow(&mut self, alert: Alert) {
        match alert.stage {
            AlertStage::Recovered => drop(self.alerts.remove(&alert.rule)),
            _ => drop(self.alerts.insert(alert.rule.clone(), alert)),
        }
    }
}
