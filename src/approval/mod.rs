//! From evidence and detection to a decision.
//!
//! [`ApprovalPolicy`] has one method; [`StandardPolicy`] is the one that is used
//! unless the host brings its own, and a closure will do. Whatever a policy says,
//! money below the configured minimum of evidence never approves anything.

mod checks;
mod standard;

use chrono::{DateTime, Utc};

use crate::detect::Detection;
use crate::enrollment::{Enrollment, ExceptionPolicy};
use crate::evidence::Evidence;
use crate::payment::{PaymentAttempt, ProviderStatus};
use crate::vocabulary::EvidenceLevel;

pub use crate::evidence::{Check, CheckName, CheckOutcome, CheckReport, Sums};
pub use crate::vocabulary::{Decision, RefuseReason};
pub use standard::StandardPolicy;

/// Everything a policy may look at.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalContext<'a> {
    /// The enrollment that is being paid for.
    pub enrollment: &'a Enrollment,
    /// The attempt that is being paid.
    pub attempt: &'a PaymentAttempt,
    /// What the provider says happened.
    pub status: &'a ProviderStatus,
    /// What is known, and how good it is.
    pub evidence: &'a Evidence,
    /// The method, and why.
    pub detection: &'a Detection,
    /// Every check, passed or not.
    pub checks: &'a CheckReport,
    /// The evidence an approval needs at least.
    pub minimum: EvidenceLevel,
    /// What becomes of payment exceptions.
    pub money: &'a ExceptionPolicy,
    /// The time of the decision.
    pub now: DateTime<Utc>,
}

/// Decides about payments. Pure: it sees the dossier and nothing else.
///
/// ```
/// use coursegate::approval::{ApprovalPolicy, Decision, ApprovalContext, StandardPolicy};
/// use coursegate::reason::HoldReason;
///
/// let standard = StandardPolicy::default();
/// let policy = move |dossier: &ApprovalContext<'_>| match standard.decide(dossier) {
///     // Above R 5 000 a person looks, whatever the evidence.
///     Decision::Approve(_) if dossier.attempt.amount.minor() > 500_000 => Decision::Hold(HoldReason::HostPolicy),
///     decision => decision,
/// };
/// # fn takes(_: impl ApprovalPolicy) {}
/// # takes(policy);
/// ```
pub trait ApprovalPolicy: Send + Sync + 'static {
    /// Says what to do.
    fn decide(&self, dossier: &ApprovalContext<'_>) -> Decision;
}

impl<F> ApprovalPolicy for F
where
    F: Fn(&ApprovalContext<'_>) -> Decision + Send + Sync + 'static,
{
    fn decide(&self, dossier: &ApprovalContext<'_>) -> Decision {
        self(dossier)
    }
}
