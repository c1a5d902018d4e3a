//! Turns a payment into course access, and can prove why.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(feature = "conformance")]
pub mod conformance;

pub mod access;
pub mod adapter;
pub mod approval;
pub mod detect;
pub mod enrollment;
pub mod evidence;
pub mod payment;
pub mod port;
pub mod reason;
pub mod record;
pub mod registrar;
pub mod webhook;

mod config;
mod ids;
mod money;
mod secret;

pub use config::{BankDetails, Config, Site, UrlError};
pub use ids::{
    CourseId, Email, EnrollmentId, GrantId, IdError, IdRun, LearnerId, MAX_ID_LEN, PayLinkId, PersonId, RecordId,
    Reference, Title,
};
pub use money::{Currency, MAX_MINOR, Money, MoneyError};
pub use registrar::{Error, ErrorKind, Registrar};
pub use secret::{AppId, Secret, SecretError};
