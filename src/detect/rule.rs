use serde::{Deserialize, Serialize};

use super::field::Fact;
use super::metadata::MetadataFields;
use crate::payment::PaymentMethod;

/// Rules a set may hold.
const MAX_RULES: usize = 1000;

/// A rule set as data. [`RuleDetector::new`](super::RuleDetector::new) checks it as a whole.
///
/// ```
/// let rules: coursegate::detect::RuleSet = serde_json::from_str(r#"{
///     "version": "school-3",
///     "rules": [
///         {"id": "declared-card", "method": "card", "field": "@declared_method",
///          "condition": "equals", "value": "card", "weight": 0.9},
///         {"id": "bank-name", "method": "instant_eft", "field": "bank.name",
///          "condition": "exists", "weight": 0.7}
///     ]
/// }"#)?;
/// let detector = coursegate::detect::RuleDetector::new(rules)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Name of this version; stored with each decision.
    pub version: String,
    /// Where confidence becomes high, medium and low.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// What to assume when no method reaches the low threshold.
    #[serde(default)]
    pub fallback: Fallback,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Fields that hold card type, masked number and authorisation code.
    #[serde(default)]
    pub metadata: MetadataFields,
}

/// One indicator: a condition on one field speaks for one method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique in its set.
    pub id: String,
    /// The method it speaks for.
    pub method: PaymentMethod,
    /// A field of the callback (`paymentMethod`, `card.brand`), or one of our own
    /// facts: `@declared_method`, `@provider_method`, `@evidence_level`, `@paid` (true or
    /// false), `@amount` (minor units).
    pub field: String,
    /// What the field must be.
    pub condition: Condition,
    /// What to compare with; `exists` and `not_exists` take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Operand>,
    /// Strength of this indicator, between 0 and 1, both excluded.
    pub weight: f64,
    /// Whether its method is ruled out when it does not match.
    #[serde(default)]
    pub required: bool,
    /// Whether text is compared without regard to ASCII case.
    #[serde(default)]
    pub ignore_case: bool,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The field equals the value.
    Equals,
    /// The text contains the value.
    Contains,
    /// The text starts with the value.
    StartsWith,
    /// The text matches the regular expression (feature `regex`).
    Regex,
    /// The field is there.
    Exists,
    /// The field is not there.
    NotExists,
    /// The number is greater than the value.
    GreaterThan,
    /// The number is less than the value.
    LessThan,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Operand {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Fraction(f64),
    /// Text.
    Text(String),
}

/// Where a confidence becomes low, medium and high; 0 < low <= medium <= high < 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// High from here.
    pub high: f64,
    /// Medium from here.
    pub medium: f64,
    /// Low from here; below it the method is unknown.
    pub low: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            high: 0.80,
            medium: 0.60,
            low: 0.40,
        }
    }
}

/// What to assume when no method reaches the low threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Treat it as a card: unknown payments may then be approved at once.
    AssumeCard,
    /// Treat it as an instant EFT.
    AssumeEft,
    /// Say unknown: a person decides.
    #[default]
    ManualApproval,
    /// Say unknown, and raise an alert.
    LogAndInvestigate,
}

/// Why a rule set was refused: every problem, not the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rule set is refused: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct RuleSetError {
    /// Everything that is wrong with it.
    pub problems: Vec<RuleProblem>,
}

/// One thing that is wrong with a rule set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleProblem {
    /// The version is empty.
    #[error("the version is empty")]
    NoVersion,
    /// No rule at all: nothing would ever be detected.
    #[error("there is no rule")]
    NoRule,
    /// More rules than a set may hold.
    #[error("there are more than {MAX_RULES} rules")]
    TooManyRules,
    /// The thresholds are not in order within (0, 1).
    #[error("the thresholds must satisfy 0 < low <= medium <= high < 1")]
    BadThresholds,
    /// An id is empty.
    #[error("rule number {position} has an empty id")]
    EmptyId {
        /// Position in the list, from 1.
        position: usize,
    },
    /// Two rules share an id.
    #[error("rule {rule}: the id is used twice")]
    RepeatedId {
        /// The id.
        rule: String,
    },
    /// A weight outside (0, 1).
    #[error("rule {rule}: the weight must be greater than 0 and less than 1")]
    BadWeight {
        /// The rule.
        rule: String,
    },
    /// A rule for the method `unknown`.
    #[error("rule {rule}: no evidence can speak for the method unknown")]
    UnknownMethod {
        /// The rule.
        rule: String,
    },
    /// An empty field name.
    #[error("rule {rule}: the field is empty")]
    EmptyField {
        /// The rule.
        rule: String,
    },
    /// A fact of ours that does not exist.
    #[error("rule {rule}: there is no fact {field}; the facts are {}", Fact::NAMES.join(", "))]
    UnknownFact {
        /// The rule.
        rule: String,
        /// What it asked for.
        field: String,
    },
    /// The condition needs a value of another kind.
    #[error("rule {rule}: the condition needs {needs}")]
    BadValue {
        /// The rule.
        rule: String,
        /// What it needs.
        needs: &'static str,
    },
    /// The regular expression does not compile, or compiles to something too large.
    #[error("rule {rule}: the regular expression is not valid: {reason}")]
    BadRegex {
        /// The rule.
        rule: String,
        /// What the compiler of expressions says.
        reason: String,
    },
    /// The crate was built without the feature `regex`.
    #[error("rule {rule}: the condition regex needs the feature `regex` of coursegate")]
    RegexNotBuilt {
        /// The rule.
        rule: String,
    },
}

impl RuleSet {
    /// What is wrong with the set as a whole; single rules are checked as they compile.
    pub(super) fn problems(&self) -> Vec<RuleProblem> {
        let mut problems = Vec::new();
        if self.version.trim().is_empty() {
            problems.push(RuleProblem::NoVersion);
        }
        if self.rules.is_empty() {
            problems.push(RuleProblem::NoRule);
        }
        if self.rules.len() > MAX_RULES {
            problems.push(RuleProblem::TooManyRules);
        }
        let Thresholds { high, medium, low } = self.thresholds;
        if !(0.0 < low && low <= medium && medium <= high && high < 1.0) {
            problems.push(RuleProblem::BadThresholds);
        }
        let mut seen = std::collections::HashSet::new();
        for (position, rule) in (1..).zip(&self.rules) {
            if rule.id.trim().is_empty() {
                problems.push(RuleProblem::EmptyId { position });
            } else if !seen.insert(rule.id.as_str()) {
                problems.push(RuleProblem::RepeatedId {
                    rule: rule.id.clone(),
                });
            }
        }
        problems
    }
}
