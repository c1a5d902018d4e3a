use std::fmt::Debug;

use async_trait::async_trait;

use crate::evidence::Confirmation;
use crate::ids::{PayLinkId, Reference, Title};
use crate::money::Money;
use crate::payment::PayLink;
use crate::webhook::SignedTime;

/// What a provider can do. Policies and the registrar read it; nothing is assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The provider's name, for records and logs.
    pub provider: &'static str,
    /// Whether its answers reveal card or EFT. iKhokha's do not.
    pub reveals_method: bool,
    /// The signed time of its callbacks, if its scheme has one. iKhokha's has none.
    pub signed_time: Option<SignedTime>,
    /// Whether it can give money back by a call. iKhokha's API cannot.
    pub refunds: bool,
    /// Whether no real money moves.
    pub is_test_double: bool,
}

impl Capabilities {
    /// iKhokha's iK Pay API, as its official example repository shows it.
    pub fn ikhokha() -> Self {
        Self {
            provider: "ikhokha",
            reveals_method: false,
            signed_time: None,
            refunds: false,
            is_test_double: false,
        }
    }

    /// The same, with no real money behind it.
    #[must_use]
    pub fn test_double(mut self) -> Self {
        self.is_test_double = true;
        self
    }
}

/// What a pay link is asked for with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRequest {
    /// Our reference, unique per attempt.
    pub reference: Reference,
    /// The sum.
    pub amount: Money,
    /// What the payer sees.
    pub description: Title,
    /// Where the provider sends its callback.
    pub callback_url: String,
    /// Where the payer goes after success.
    pub success_url: String,
    /// Where the payer goes after a failure.
    pub failure_url: String,
    /// Where the payer goes after giving up.
    pub cancel_url: Option<String>,
    /// The site that asks.
    pub requester_url: String,
}

/// Which payment is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusQuery<'a> {
    /// By the provider's pay link.
    PayLink(&'a PayLinkId),
    /// By our reference.
    Reference(&'a Reference),
}

/// Why a provider did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// It said no. The same call will be refused again.
    #[error("the provider refused: {reason}")]
    Refused {
        /// What it said, cut short.
        reason: String,
    },
    /// The application id or secret is wrong.
    #[error("the provider does not accept our credentials; compare application id and secret")]
    BadCredentials,
    /// It could not be reached; nothing happened there.
    #[error("the provider cannot be reached")]
    Unreachable,
    /// No answer in time; it may have happened.
    #[error("the provider did not answer in time; the call may have taken effect")]
    TimedOut,
    /// It answered something that cannot be read.
    #[error("the provider's answer cannot be read")]
    Unreadable,
}

impl GatewayError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable | Self::TimedOut | Self::Unreadable => true,
            Self::Refused { .. } | Self::BadCredentials => false,
        }
    }
}

/// A payment provider.
///
/// # Contract
/// An implementation says only what the provider says: a method, an amount or a
/// currency that the provider does not state is absent, never guessed.
#[async_trait]
pub trait PaymentGateway: Debug + Send + Sync + 'static {
    /// What the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes a pay link.
    ///
    /// # Errors
    /// [`GatewayError`]; after [`GatewayError::TimedOut`] the link may exist.
    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError>;

    /// Asks where a payment stands; `None` when the provider does not know it.
    ///
    /// # Errors
    /// [`GatewayError`].
    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError>;
}
