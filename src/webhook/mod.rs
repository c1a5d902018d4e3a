//! From bytes off the wire to a notification that can be trusted.
//!
//! ```text
//! Delivery --verify--> Verified --parse--> ProviderEvent
//! ```
//!
//! Nothing is parsed before the signature matched, and [`Verified`] can only be
//! made by [`Verifier::verify`]:
//!
//! ```compile_fail
//! use coursegate::webhook::{SignedForm, Verified};
//! let forged = Verified { path: "/hook", body: b"{}", key: "none".into(), form: SignedForm::Raw };
//! ```
//!
//! Nor can a notification be read from a delivery that was not verified:
//!
//! ```compile_fail
//! use coursegate::webhook::{Delivery, ProviderEvent};
//! let delivery = Delivery::new("/hook", [("ik-sign", "00")], b"{}".to_vec());
//! let forged = ProviderEvent::parse(&delivery);
//! ```

mod address;
mod body;
mod canonical;
mod delivery;
mod error;
mod hint;
mod notification;
mod scheme;
mod sign;
mod value;
mod verify;

pub use body::{BodyError, BodyKeys, StoredBody};
pub use delivery::{Delivery, DeliveryKey};
pub use error::{VerifierError, VerifyError};
pub(crate) use hint::hinted_reference;
pub use notification::{NotificationError, ProviderEvent};
pub use scheme::{KeyRing, SignedTime};
pub use sign::{Signature, Signer};
pub use value::Value;
pub use verify::{SignedForm, Verified, Verifier};

pub(crate) use address::web_address;
pub(crate) use body::BodyKeyFlaw;
pub(crate) use canonical::canonical;
#[cfg(feature = "simulator")]
pub(crate) use canonical::stringified;
