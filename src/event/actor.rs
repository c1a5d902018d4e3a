use serde::{Deserialize, Serialize};

use crate::vocabulary::{AdminId, string_enum};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "actor", content = "id")]
#[non_exhaustive]
pub enum Actor {
    /// The fast track for cards.
    SystemCardPayment,
    /// The handling of EFT payments.
    SystemEftPayment,
    /// Anything else the system does by itself.
    System,
    /// The learner whom the event names.
    Learner,
    /// A person with the right to decide.
    Admin(AdminId),
}

impl Actor {
    /// What kind of actor it is, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SystemCardPayment => "system_card_payment",
            Self::SystemEftPayment => "system_eft_payment",
            Self::System => "system",
            Self::Learner => "learner",
            Self::Admin(_) => "admin",
        }
    }
}

/// By which way it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// The learner's own request.
    LearnerRequest,
    /// A callback about a card payment.
    WebhookCardPayment,
    /// A callback about an EFT.
    WebhookEftPayment,
    /// A callback about a payment of unknown method.
    WebhookUnknownPayment,
    /// The provider's answer, asked without a callback.
    ProviderStatus,
    /// An admin's decision.
    AdminApproval,
    /// The system itself.
    SystemAutomatic,
}

string_enum!(Source {
    LearnerRequest => "learner_request",
    WebhookCardPayment => "webhook_card_payment",
    WebhookEftPayment => "webhook_eft_payment",
    WebhookUnknownPayment => "webhook_unknown_payment",
    ProviderStatus => "provider_status",
    AdminApproval => "admin_approval",
    SystemAutomatic => "system_automatic",
});
