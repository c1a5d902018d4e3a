//! Card, instant EFT, bank transfer or unknown: weighted rules as data.
//!
//! Each rule that matches adds evidence for its method with its weight `w`:
//!
//! ```text
//! support(m)    = 1 - product over matched rules of m of (1 - w)     0 if a required rule of m failed
//! confidence(m) = support(m) x product over the other methods of (1 - support)
//! ```
//!
//! The order of rules does not matter, more of a method's own evidence never lowers
//! its confidence, and contrary evidence never raises it.

mod detection;
mod detector;
mod field;
mod metadata;
mod rule;
mod standard;

use crate::evidence::Evidence;
use crate::payment::PaymentAttempt;
use crate::webhook::ProviderEvent;

pub use detection::{Confidence, Counterfactual, Detection, Indicator, Level};
pub use detector::RuleDetector;
pub use metadata::{Metadata, MetadataFields};
pub use rule::{
    Condition, Fallback, Operand, Rule, RuleProblem, RuleSet, RuleSetError, Thresholds,
};

/// Tells the payment method. [`RuleDetector`] does it with rules; a closure will do.
pub trait MethodDetector: Send + Sync + 'static {
    /// Looks at what is known and says which method it points to.
    fn detect(&self, clues: &DetectionInput<'_>) -> Detection;

    /// The rules that read a field of the callback, and which field: what the provider never
    /// sends can never match.
    fn reads(&self) -> Vec<(String, String)>;

    /// Whether a payment of unknown method passes for a card.
    fn takes_unknown_for_card(&self) -> bool;
}

impl<F> MethodDetector for F
where
    F: Fn(&DetectionInput<'_>) -> Detection + Send + Sync + 'static,
{
    fn detect(&self, clues: &DetectionInput<'_>) -> Detection {
        self(clues)
    }

    /// A closure does not say.
    fn reads(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn takes_unknown_for_card(&self) -> bool {
        false
    }
}

/// What a detector may look at.
#[derive(Debug, Clone, Copy)]
pub struct DetectionInput<'a> {
    /// The attempt that is being paid.
    pub attempt: &'a PaymentAttempt,
    /// What is known about the payment.
    pub evidence: &'a Evidence,
    /// The callback; absent when only the provider's answer is at hand.
    pub notification: Option<&'a ProviderEvent<'a>>,
}
