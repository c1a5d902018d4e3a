//! Why a delivery is refused, or a verifier cannot be made.

use serde::{Deserialize, Serialize};

/// Keys that may be accepted at once.
pub(super) const MAX_KEYS: usize = 8;

/// Why a key ring or verifier could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifierError {
    /// No key at all.
    #[error("at least one webhook secret is needed")]
    NoKey,
    /// More keys than can be accepted at once.
    #[error("at most {MAX_KEYS} webhook secrets can be accepted at once; drop the oldest")]
    TooManyKeys,
    /// Two keys share a label.
    #[error("two webhook secrets have the same label; give each its own")]
    RepeatedLabel,
    /// The path is not what a URL path looks like.
    #[error(
        "the registered path must start with '/' and hold no '?', '#', backslash or character that nobody sees"
    )]
    BadPath,
}

/// Why a delivery was refused. Nothing of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerifyError {
    /// The body is above the cap; nothing was hashed.
    #[error("the body is above the cap of {cap} bytes")]
    TooLarge {
        /// The cap, in bytes.
        cap: usize,
    },
    /// No application id.
    #[error("the ik-appid header is missing")]
    MissingAppId,
    /// The application id header came more than once.
    #[error("the ik-appid header is given more than once")]
    RepeatedAppId,
    /// Another application id.
    #[error("the ik-appid header names another application")]
    WrongAppId,
    /// No signature.
    #[error("the ik-sign header is missing")]
    MissingSignature,
    /// The signature header came more than once.
    #[error("the ik-sign header is given more than once")]
    RepeatedSignature,
    /// Not 64 hexadecimal digits.
    #[error("the ik-sign header is not 64 hexadecimal digits")]
    MalformedSignature,
    /// No accepted key gives this signature over any accepted form. The secret
    /// differs, the registered path differs, or the delivery is forged.
    #[error("the signature matches no key; compare the secret and the registered callback path")]
    WrongSignature,
    /// The scheme signs a time, and the header with it is missing or unreadable.
    #[error("the time header is missing or unreadable")]
    MissingTime,
    /// The signed time is further from now than the tolerance.
    #[error("the signed time is outside the tolerance; compare the clocks, or it is a replay")]
    OutsideTolerance,
}
