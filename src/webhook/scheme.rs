//! What a verifier is set up with.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::delivery::{Delivery, single};
use super::error::{MAX_KEYS, VerifierError, VerifyError};
use crate::vocabulary::Secret;

/// The secrets accepted on callbacks: the current one first, then those that are
/// being rotated out, each with a label that receipts and events may show.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Vec<(Arc<str>, Secret)>);

impl KeyRing {
    /// A ring with one key.
    pub fn new(label: impl AsRef<str>, secret: Secret) -> Self {
        Self::default().and(label, secret)
    }

    /// Accepts one more key.
    #[must_use]
    pub fn and(mut self, label: impl AsRef<str>, secret: Secret) -> Self {
        self.0.push((Arc::from(label.as_ref()), secret));
        self
    }

    /// The current secret, which was given first: the provider's client signs with it.
    pub fn current(&self) -> Option<&Secret> {
        self.0.first().map(|(_, secret)| secret)
    }

    /// The labels and the secrets themselves, for those who judge them.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(label, secret)| (label.as_ref(), secret.text()))
    }

    pub(super) fn checked(&self) -> Result<&[(Arc<str>, Secret)], VerifierError> {
        match self.0.len() {
            0 => return Err(VerifierError::NoKey),
            1..=MAX_KEYS => {}
            _ => return Err(VerifierError::TooManyKeys),
        }
        let repeated = |(at, (label, _)): (usize, &(Arc<str>, Secret))| {
            self.0[..at].iter().any(|(other, _)| other == label)
        };
        if self.0.iter().enumerate().any(repeated) {
            return Err(VerifierError::RepeatedLabel);
        }
        Ok(&self.0)
    }
}

/// A provider's scheme that signs the time of sending: the header's value, in
/// Unix seconds, and a dot stand before the path in the signed message. iKhokha
/// signs no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTime {
    /// Name of the header.
    pub header: String,
    /// How far the signed time may be from now, either way.
    pub tolerance: Duration,
}

impl SignedTime {
    /// A scheme with the usual tolerance of 300 seconds.
    pub fn new(header: impl Into<String>) -> Self {
        Self {
            header: header.into(),
            tolerance: Duration::from_secs(300),
        }
    }

    pub(super) fn check(
        &self,
        delivery: &Delivery,
        now: DateTime<Utc>,
    ) -> Result<String, VerifyError> {
        let value = single(
            delivery,
            &self.header,
            VerifyError::MissingTime,
            VerifyError::MissingTime,
        )?;
        let text = std::str::from_utf8(value).map_err(|_| VerifyError::MissingTime)?;
        let sent: i64 = text.parse().map_err(|_| VerifyError::MissingTime)?;
        let apart = Duration::from_secs(now.timestamp().abs_diff(sent));
        if apart > self.tolerance {
            return Err(VerifyError::OutsideTolerance);
        }
        Ok(format!("{text}."))
    }
}
