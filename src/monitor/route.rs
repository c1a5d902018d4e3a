use std::collections::BTreeSet;

use super::Alert;
use crate::vocabulary::{AlertSeverity, AlertStage};

/// Which alerts a sink is told of.
///
/// ```
/// use coursegate::monitor::{AlertRoute, AlertSeverity};
///
/// // A pager: what somebody has to look at now, and floods.
/// let pager = AlertRoute::severities([AlertSeverity::Critical]).and_rule("flood");
/// // Whoever is told when nobody has mended it by then.
/// let manager = AlertRoute::everything().only_escalated();
/// # let _ = (pager, manager);
/// ```
///
/// ```
/// use coursegate::monitor::{AlertRoute, AlertSeverity};
///
/// // Whoever carries the pager hears of what cannot wait.
/// let pager = AlertRoute::severities([AlertSeverity::Critical]);
/// # let _ = pager;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRoute {
    severities: BTreeSet<AlertSeverity>,
    rules: BTreeSet<String>,
    only_escalated: bool,
}

impl AlertRoute {
    /// Every alert.
    pub fn everything() -> Self {
        Self::severities(AlertSeverity::ALL.iter().copied())
    }

    /// Alerts that are so grave.
    pub fn severities(severities: impl IntoIterator<Item = AlertSeverity>) -> Self {
        Self {
            severities: severities.into_iter().collect(),
            rules: BTreeSet::new(),
            only_escalated: false,
        }
    }

    /// Those of one rule.
    pub fn rule(id: impl Into<String>) -> Self {
        Self::severities([]).and_rule(id)
    }

    /// Those of this rule too, however grave they are. It must be among the rules that the
    /// registrar watches by.
    #[must_use]
    pub fn and_rule(mut self, id: impl Into<String>) -> Self {
        self.rules.insert(id.into());
        self
    }

    /// Of these, only what stands for longer than its rule lets it
    /// ([`AlertRule::escalate_after`](super::AlertRule::escalate_after)), and that it is over.
    #[must_use]
    pub fn only_escalated(mut self) -> Self {
        self.only_escalated = true;
        self
    }

    /// Whether an alert is on it.
    pub fn takes(&self, alert: &Alert) -> bool {
        let listed = self.lists(alert.severity, &alert.rule);
        let is_time = !self.only_escalated
            || alert.stage == AlertStage::Escalated
            || (alert.stage == AlertStage::Recovered && alert.escalated);
        listed && is_time
    }

    /// Whether alerts of a rule that is so grave are on it, at some stage.
    pub(crate) fn lists(&self, severity: AlertSeverity, rule: &str) -> bool {
        self.severities.contains(&severity) || self.rules.contains(rule)
    }

    /// The rules it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(String::as_str)
    }
}
