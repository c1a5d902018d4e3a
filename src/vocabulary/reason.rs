//! Why things are as they are: words that several arrows of the flow share.

use serde::{Deserialize, Serialize};

use super::string_enum;
pub use super::{Note, UnknownWord};

/// How urgently a person should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Part of the normal day.
    Info,
    /// Somebody should look today.
    Warning,
    /// Money or access may be wrong: an alert.
    Error,
}

/// What somebody does who means no good, or whose program is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SecurityEvent {
    /// A callback with a signature that does not match.
    BadSignature,
    /// A callback for another application.
    WrongAppId,
    /// A callback that cannot be one of the provider's: without headers, too large, to another
    /// path.
    Malformed,
    /// A callback that says paid, as it came long ago.
    Replay,
    /// An admin tried what they may not do.
    ActionRefused,
    /// A learner was refused often, from many addresses.
    AccessProbing,
}

string_enum!(SecurityEvent {
    BadSignature => "bad_signature",
    WrongAppId => "wrong_app_id",
    Malformed => "malformed",
    Replay => "replay",
    ActionRefused => "action_refused",
    AccessProbing => "access_probing",
});

/// What an admin may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Permission {
    /// See queues, payments, timelines and figures, and choose what to be told of.
    View,
    /// Approve and reject, one by one, in bulk or by rows of a bank statement.
    Approve,
    /// Event and request refunds, reversals and their end.
    Refund,
    /// Give and take access apart from any payment.
    Override,
    /// Have things handled again: callbacks, questions to the provider, audits, discrepancies.
    Replay,
    /// Change how the installation works, and erase learners. Ask for it on pages of your own
    /// that do such things, too.
    Configure,
}

string_enum!(Permission {
    View => "view",
    Approve => "approve",
    Refund => "refund",
    Override => "override",
    Replay => "replay",
    Configure => "configure",
});

/// Why a payment or an enrollment waits for a person.
///
/// The order is a precedence: when several reasons hold, the greatest is shown,
/// so that the order in which they were found cannot matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum HoldReason {
    /// The callback says paid, and the provider could not be brought to confirm it. Whatever
    /// becomes known later outranks it.
    Unconfirmed,
    /// A bank transfer: no webhook will ever come, a person checks the statement.
    BankTransfer,
    /// An instant EFT, confirmed by the provider.
    InstantEft,
    /// Nothing tells the method.
    MethodUnknown,
    /// The method is known with less confidence than the policy asks for.
    LowConfidence,
    /// The rule set asks that unknown payments be looked into.
    Investigate,
    /// The evidence is below the policy's minimum.
    WeakEvidence,
    /// The host's own policy asked for a person.
    HostPolicy,
    /// The host's transition guard vetoed the approval.
    Vetoed,
    /// Paid by a link from when the same access cost less.
    OldPrice,
    /// Paid after the enrollment was closed; links never expire at the provider.
    LatePayment,
    /// The learner has what was paid for already, by a grant that rests on no payment here.
    AccessCovered,
    /// A second payment for the same enrollment: a refund is due.
    DuplicatePayment,
    /// Less arrived than was asked.
    Underpayment,
    /// More arrived than was asked.
    Overpayment,
    /// What the provider states is no sum that could be compared.
    AmountDiffers,
    /// The currency differs from the attempt's.
    CurrencyDiffers,
    /// The course is not offered by the host.
    UnknownCourse,
    /// The attempt was made for another course than the enrollment's.
    WrongCourse,
    /// The attempt was made for another learner than the enrollment's.
    WrongLearner,
    /// The payment names another attempt or pay link than the one it was made for.
    WrongAttempt,
}

string_enum!(HoldReason {
    Unconfirmed => "unconfirmed",
    BankTransfer => "bank_transfer",
    InstantEft => "instant_eft",
    MethodUnknown => "method_unknown",
    LowConfidence => "low_confidence",
    Investigate => "investigate",
    WeakEvidence => "weak_evidence",
    HostPolicy => "host_policy",
    Vetoed => "vetoed",
    OldPrice => "old_price",
    LatePayment => "late_payment",
    AccessCovered => "access_covered",
    DuplicatePayment => "duplicate_payment",
    Underpayment => "underpayment",
    Overpayment => "overpayment",
    AmountDiffers => "amount_differs",
    CurrencyDiffers => "currency_differs",
    UnknownCourse => "unknown_course",
    WrongCourse => "wrong_course",
    WrongLearner => "wrong_learner",
    WrongAttempt => "wrong_attempt",
});

impl HoldReason {
    /// Whether the money is kept back only because the learner has what it buys already.
    pub fn is_about_cover(&self) -> bool {
        matches!(self, Self::DuplicatePayment | Self::AccessCovered)
    }

    /// How urgently a person should look.
    pub fn severity(&self) -> Severity {
        match self {
            Self::BankTransfer | Self::InstantEft => Severity::Info,
            Self::MethodUnknown
            | Self::LowConfidence
            | Self::WeakEvidence
            | Self::Unconfirmed
            | Self::HostPolicy
            | Self::Vetoed
            | Self::OldPrice
            | Self::LatePayment
            | Self::AccessCovered
            | Self::DuplicatePayment => Severity::Warning,
            Self::Investigate
            | Self::Underpayment
            | Self::Overpayment
            | Self::AmountDiffers
            | Self::CurrencyDiffers
            | Self::UnknownCourse
            | Self::WrongCourse
            | Self::WrongLearner
            | Self::WrongAttempt => Severity::Error,
        }
    }

    /// What the admin should do about it, in one sentence.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::BankTransfer => "Find the reference on the bank statement, then approve.",
            Self::InstantEft => "The provider confirms the money; approve when you are satisfied.",
            Self::MethodUnknown | Self::LowConfidence => {
                "Look the payment up in the provider's dashboard, then approve or reject."
            }
            Self::Investigate => "Find out why the method is unknown before you approve.",
            Self::WeakEvidence => {
                "Check the payment in the provider's dashboard before you approve."
            }
            Self::Unconfirmed => {
                "The provider could not confirm this payment: look it up in its dashboard, then approve or reject."
            }
            Self::HostPolicy | Self::Vetoed => {
                "Your own rules held this back; see the explanation."
            }
            Self::OldPrice => {
                "Paid by a link from when this cost less: approve it at the old price, or refund the money."
            }
            Self::AccessCovered => {
                "The learner has this access already, by a grant: refund the money, or approve it knowingly."
            }
            Self::LatePayment => {
                "Paid after the enrollment was closed: approve it or refund the money."
            }
            Self::DuplicatePayment => "Paid twice: refund this payment; access is not affected.",
            Self::Underpayment => {
                "Less arrived than the course costs: approve it knowingly, or refund it."
            }
            Self::Overpayment => {
                "More arrived than the course costs: approve it and refund the rest, or refund it all."
            }
            Self::AmountDiffers | Self::CurrencyDiffers => {
                "The sum is not what was asked: approve it knowingly, or reject and refund."
            }
            Self::UnknownCourse => {
                "The course is no longer offered: approve it knowingly, or refund."
            }
            Self::WrongCourse | Self::WrongLearner | Self::WrongAttempt => {
                "The payment does not fit this enrollment: compare references before you act."
            }
        }
    }
}

/// What becomes of payment exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExceptionAction {
    /// It is taken as if it fitted, as far as everything else about it does.
    Approve,
    /// A person decides.
    Hold,
    /// It is to be given back; the enrollment waits for nobody because of it.
    RefundDue,
}

string_enum!(ExceptionAction {
    Approve => "approve",
    Hold => "hold",
    RefundDue => "refund_due",
});

/// Why an enrollment was withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WithdrawReason {
    /// The learner left, or gave up enrolling.
    Left,
    /// The money that carried it went back, or was taken back for good.
    MoneyBack,
    /// The school ended the access.
    Revoked,
}

string_enum!(WithdrawReason {
    Left => "left",
    MoneyBack => "money_back",
    Revoked => "revoked",
});

/// What approved an enrollment.
///
/// The order is a precedence: the greater cause is kept when both are true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ApprovalCause {
    /// It was brought over from another system.
    Migration,
    /// An operator approved it past the host's guard and the second person.
    SystemOverride,
    /// An admin approved many at once.
    BulkApproval,
    /// An admin approved this one.
    ManualAdminApproval,
    /// A confirmed instant EFT, where the policy allows that.
    AutomaticEftPayment,
    /// A confirmed payment that the learner declared to be by card. The provider told no method.
    AutomaticDeclaredCard,
    /// A confirmed card payment, as the provider told.
    AutomaticCardPayment,
}

string_enum!(ApprovalCause {
    Migration => "migration",
    SystemOverride => "system_override",
    BulkApproval => "bulk_approval",
    ManualAdminApproval => "manual_admin_approval",
    AutomaticEftPayment => "automatic_eft_payment",
    AutomaticDeclaredCard => "automatic_declared_card",
    AutomaticCardPayment => "automatic_card_payment",
});

impl ApprovalCause {
    /// Whether a payment approved it, rather than a person.
    pub fn is_automatic(&self) -> bool {
        matches!(
            self,
            Self::AutomaticCardPayment | Self::AutomaticDeclaredCard | Self::AutomaticEftPayment
        )
    }

    /// Whether neither the host's guard nor a second person is asked.
    pub fn is_past_everybody(&self) -> bool {
        matches!(self, Self::SystemOverride | Self::Migration)
    }
}
