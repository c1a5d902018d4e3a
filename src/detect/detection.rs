use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::metadata::Metadata;
use super::rule::{Fallback, Thresholds};
use crate::payment::PaymentMethod;

/// The methods evidence can speak for.
const METHODS: [PaymentMethod; 3] = [
    PaymentMethod::Card,
    PaymentMethod::InstantEft,
    PaymentMethod::BankTransfer,
];

/// A confidence from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Confidence(f64);

impl Confidence {
    /// Takes a number; below 0 or not a number becomes 0, above 1 becomes 1.
    pub fn new(value: f64) -> Self {
        Self(if value.is_nan() {
            0.0
        } else {
            value.clamp(0.0, 1.0)
        })
    }

    /// The number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl From<f64> for Confidence {
    fn from(value: f64) -> Self {
        Self::new(value)
    }
}

impl From<Confidence> for f64 {
    fn from(confidence: Confidence) -> Self {
        confidence.0
    }
}

/// A confidence in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Below the low threshold.
    Unknown,
    /// From the low threshold.
    Low,
    /// From the medium threshold.
    Medium,
    /// From the high threshold.
    High,
}

/// One rule and what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Indicator {
    /// Id of the rule.
    pub rule: Arc<str>,
    /// The method it speaks for.
    pub method: PaymentMethod,
    /// Its weight.
    pub weight: f64,
    /// Whether its method is ruled out without it.
    pub required: bool,
    /// Whether it matched.
    pub matched: bool,
}

/// The one rule whose other answer would have crossed a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Counterfactual {
    /// Id of the rule.
    pub rule: Arc<str>,
    /// Whether it would have to match; `false`: to match no longer.
    pub to_match: bool,
    /// The confidence then.
    pub confidence: Confidence,
}

/// Support for each method, gathered rule by rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scores {
    doubt: [f64; 3],
    ruled_out: [bool; 3],
}

impl Default for Scores {
    fn default() -> Self {
        Self {
            doubt: [1.0; 3],
            ruled_out: [false; 3],
        }
    }
}

impl Scores {
    pub(super) fn add(
        &mut self,
        method: PaymentMethod,
        weight: f64,
        matched: bool,
        required: bool,
    ) {
        let Some(index) = METHODS.iter().position(|other| *other == method) else {
            return;
        };
        if matched {
            self.doubt[index] *= 1.0 - weight;
        } else if required {
            self.ruled_out[index] = true;
        }
    }

    fn support(&self, index: usize) -> f64 {
        if self.ruled_out[index] {
            0.0
        } else {
            1.0 - self.doubt[index]
        }
    }

    fn confidence(&self, index: usize) -> f64 {
        let others: f64 = (0..METHODS.len())
            .filter(|other| *other != index)
            .map(|other| 1.0 - self.support(other))
            .product();
        self.support(index) * others
    }

    fn of(indicators: &[Indicator], flipped: Option<usize>) -> Self {
        let mut scores = Self::default();
        for (at, indicator) in indicators.iter().enumerate() {
            let matched = indicator.matched != (flipped == Some(at));
            scores.add(
                indicator.method,
                indicator.weight,
                matched,
                indicator.required,
            );
        }
        scores
    }
}

/// Which method the evidence points to, how surely, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Detection {
    /// The method; after the fallback, if one was needed.
    pub method: PaymentMethod,
    /// Confidence in the leading method.
    pub confidence: Confidence,
    /// The confidence in words.
    pub level: Level,
    /// The method that leads, even when its confidence is too low to name it.
    pub leading: PaymentMethod,
    /// The fallback that was applied because no method was sure enough.
    pub fallback: Option<Fallback>,
    /// Whether the provider told something that speaks for the method, in its callback or its answer.
    /// Otherwise it is what the learner declared.
    pub seen: bool,
    /// Version of the rule set.
    pub rule_set: Arc<str>,
    /// Every rule and what it found.
    pub indicators: Vec<Indicator>,
    /// What the callback tells about the card.
    pub metadata: Metadata,
}

impl Detection {
    /// A detection by other means than rules.
    pub fn new(method: PaymentMethod, confidence: Confidence, source: impl Into<Arc<str>>) -> Self {
        Self {
            method,
            confidence,
            level: level(confidence.value(), Thresholds::default()),
            leading: method,
            fallback: None,
            seen: false,
            rule_set: source.into(),
            indicators: Vec::new(),
            metadata: Metadata::default(),
        }
    }

    pub(super) fn conclude(
        rule_set: Arc<str>,
        scores: &Scores,
        indicators: Vec<Indicator>,
        thresholds: Thresholds,
        fallback: Fallback,
        metadata: Metadata,
    ) -> Self {
        let confidences = [0, 1, 2].map(|index| scores.confidence(index));
        let mut best = 0;
        for index in 1..METHODS.len() {
            if confidences[index] > confidences[best] {
                best = index;
            }
        }
        let tie = (0..METHODS.len())
            .any(|other| other != best && confidences[other] >= confidences[best]);
        let level = if tie {
            Level::Unknown
        } else {
            level(confidences[best], thresholds)
        };
        let leading = METHODS[best];
        let (method, fallback) = match level {
            Level::Low | Level::Medium | Level::High => (leading, None),
            Level::Unknown => (
                match fallback {
                    Fallback::AssumeCard => PaymentMethod::Card,
                    Fallback::AssumeEft => PaymentMethod::InstantEft,
                    Fallback::ManualApproval | Fallback::LogAndInvestigate => {
                        PaymentMethod::Unknown
                    }
                },
                Some(fallback),
            ),
        };
        Self {
            method,
            confidence: Confidence::new(confidences[best]),
            level,
            leading,
            fallback,
            seen: false,
            rule_set,
            indicators,
            metadata,
        }
    }

    /// How much each rule that matched moves the confidence in the leading
    /// method: the confidence as it is, less the confidence without that rule.
    pub fn contributions(&self) -> Vec<(Arc<str>, f64)> {
        let Some(index) = METHODS.iter().position(|method| *method == self.leading) else {
            return Vec::new();
        };
        let now = Scores::of(&self.indicators, None).confidence(index);
        self.indicators
            .iter()
            .enumerate()
            .filter(|(_, indicator)| indicator.matched)
            .map(|(at, indicator)| {
                let without = Scores::of(&self.indicators, Some(at)).confidence(index);
                (indicator.rule.clone(), now - without)
            })
            .collect()
    }

    /// The single rule whose other answer would carry the leading method across
    /// `threshold`, by the smallest step; `None` when no single one would.
    pub fn nearest_flip(&self, threshold: f64) -> Option<Counterfactual> {
        let index = METHODS.iter().position(|method| *method == self.leading)?;
        let above = self.confidence.value() >= threshold;
        self.indicators
            .iter()
            .enumerate()
            .map(|(at, indicator)| Counterfactual {
                rule: indicator.rule.clone(),
                to_match: !indicator.matched,
                confidence: Confidence::new(
                    Scores::of(&self.indicators, Some(at)).confidence(index),
                ),
            })
            .filter(|flip| (flip.confidence.value() >= threshold) != above)
            .min_by(|a, b| {
                let step = |flip: &Counterfactual| {
                    (flip.confidence.value() - self.confidence.value()).abs()
                };
                step(a).total_cmp(&step(b))
            })
    }
}

fn level(confidence: f64, thresholds: Thresholds) -> Level {
    if confidence >= thresholds.high {
        Level::High
    } else if confidence >= thresholds.medium {
        Level::Medium
    } else if confidence >= thresholds.low {
        Level::Low
    } else {
        Level::Unknown
    }
}
