use std::fmt;

use serde::{Deserialize, Serialize};

/// What a learner shows for a bank transfer: a link, or the host's id of an upload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProofOfPayment(String);

/// Why a text cannot be a proof of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proof of payment is a link or an id: 1 to 500 printable ASCII characters, no spaces")]
pub struct ProofError;

impl ProofOfPayment {
    /// Takes a link or an id.
    ///
    /// # Errors
    /// [`ProofError`] unless it is 1 to 500 printable ASCII characters without spaces.
    pub fn new(text: impl Into<String>) -> Result<Self, ProofError> {
        let text = text.into();
        let fits = (1..=500).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then_some(Self(text)).ok_or(ProofError)
    }

    /// The link or id. A learner chose it: do not follow it without a look.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProofOfPayment {
    type Error = ProofError;

    fn try_from(text: String) -> Result<Self, ProofError> {
        Self::new(text)
    }
}

impl From<ProofOfPayment> for String {
    fn from(proof: ProofOfPayment) -> Self {
        proof.0
    }
}

impl fmt::Debug for ProofOfPayment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofOfPayment({} bytes)", self.0.len())
    }
}
