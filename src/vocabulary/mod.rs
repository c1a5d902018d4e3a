//! The words that everything else is written in. They import nothing but one another.

mod alert;
mod decision;
mod discrepancy;
mod evidence_level;
pub(crate) mod ids;
mod money;
mod note;
pub mod reason;
mod reversal;
mod secret;
mod status;
mod string_enum;

pub use alert::{AlertSeverity, AlertStage, NoticeKind};
pub use decision::{Decision, RefuseReason};
pub use discrepancy::{DiscrepancyKey, DiscrepancyKind};
pub use evidence_level::EvidenceLevel;
pub use ids::{
    AccountId, AdminId, ChannelName, CourseId, Email, EnrollmentId, EventId, ExternalKey, GrantId,
    IdError, IdGenerator, LearnerId, MAX_ID_LEN, PayLinkId, PaymentReference, Title,
};
pub use money::{Currency, MAX_MINOR, Money, MoneyError};
pub use note::Note;
pub(crate) use note::{has_card_number, mask_card_numbers};
pub use reversal::Reversal;
pub use secret::{AppId, Secret, SecretError};
pub use status::{Closed, Status, StatusKind, Transition, Version};
pub use string_enum::UnknownWord;
pub(crate) use string_enum::string_enum;
