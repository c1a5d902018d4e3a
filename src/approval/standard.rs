use super::{ApprovalContext, ApprovalPolicy};
use crate::detect::Fallback;
use crate::payment::{PaymentMethod, ProviderStatus};
use crate::vocabulary::reason::{ApprovalCause, ExceptionAction, HoldReason};
use crate::vocabulary::{Decision, EvidenceLevel, RefuseReason, Status};

/// The standard policy.
///
/// | situation | decision |
/// |---|---|
/// | the try failed | refuse: the attempt failed, the enrollment is unchanged |
/// | a check failed (currency, attempt, learner, course) | hold |
/// | less or more than was asked | as [`ExceptionPolicy`](crate::enrollment::ExceptionPolicy) say: hold |
/// | paid by a link from when as much access cost less | as they say: hold |
/// | paid after the enrollment was closed | as they say: hold |
/// | a second payment | as they say: a refund is due |
/// | card, confident enough, evidence at or above the minimum | approve; the cause says whether the provider told of the card, or only the learner declared it |
/// | instant EFT | hold |
/// | bank transfer | hold |
/// | method unknown or not sure enough | hold |
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct StandardPolicy {
    /// Whether sure card payments are approved at once (default: yes).
    pub approve_cards: bool,
    /// Confidence from which the method counts as sure, from 0 to 1 (default: 0.80).
    pub confidence: f64,
    /// Whether an instant EFT that the provider confirms is approved at once (default: no).
    pub approve_confirmed_instant_eft: bool,
}

impl Default for StandardPolicy {
    fn default() -> Self {
        Self {
            approve_cards: true,
            confidence: 0.80,
            approve_confirmed_instant_eft: false,
        }
    }
}

impl ApprovalPolicy for StandardPolicy {
    fn decide(&self, dossier: &ApprovalContext<'_>) -> Decision {
        match dossier.status {
            ProviderStatus::Paid => {}
            ProviderStatus::Failed => return Decision::Refuse(RefuseReason::PaymentFailed),
            ProviderStatus::Other(_) => return Decision::Hold(HoldReason::WeakEvidence),
        }
        let money = dossier.money;
        let late_for_a_person = dossier.enrollment.status != Status::Expired;
        let forgiven = |reason: &HoldReason| {
            money.outcome(*reason) == Some(ExceptionAction::Approve)
                && !(*reason == HoldReason::LatePayment && late_for_a_person)
        };
        if let Some(gravest) = dossier
            .checks
            .failures()
            .filter(|reason| !forgiven(reason))
            .max()
        {
            return match money.outcome(gravest) {
                Some(ExceptionAction::RefundDue) => Decision::Return(gravest),
                _ => Decision::Hold(gravest),
            };
        }
        // Whatever check of the sum failed was forgiven.
        if dossier.evidence.level_whatever_the_sum() < dossier.minimum {
            return Decision::Hold(HoldReason::WeakEvidence);
        }
        let detection = dossier.detection;
        let sure = detection.confidence.value() >= self.confidence;
        match detection.method {
            PaymentMethod::Card
                if self.approve_cards
                    && (sure || detection.fallback == Some(Fallback::AssumeCard)) =>
            {
                Decision::Approve(match detection.seen {
                    true => ApprovalCause::AutomaticCardPayment,
                    false => ApprovalCause::AutomaticDeclaredCard,
                })
            }
            PaymentMethod::Card if self.approve_cards => Decision::Hold(HoldReason::LowConfidence),
            PaymentMethod::Card => Decision::Hold(HoldReason::HostPolicy),
            PaymentMethod::InstantEft
                if self.approve_confirmed_instant_eft
                    && sure
                    && dossier.evidence.evidence_level == EvidenceLevel::Confirmed =>
            {
                Decision::Approve(ApprovalCause::AutomaticEftPayment)
            }
            PaymentMethod::InstantEft => Decision::Hold(HoldReason::InstantEft),
            PaymentMethod::BankTransfer => Decision::Hold(HoldReason::BankTransfer),
            PaymentMethod::Unknown if detection.fallback == Some(Fallback::LogAndInvestigate) => {
                Decision::Hold(HoldReason::Investigate)
            }
            PaymentMethod::Unknown => Decision::Hold(HoldReason::MethodUnknown),
        }
    }
}
