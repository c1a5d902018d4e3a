use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};

use crate::evidence::Confirmation;
use crate::payment::PayLink;
use crate::vocabulary::{Currency, Money, Note, PayLinkId, PaymentReference, Title};
use crate::webhook::SignedTime;

/// What a provider can do. Policies and the registrar read it; nothing is assumed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The provider's name, for events and logs.
    pub provider: &'static str,
    /// Whether its answers reveal card or EFT. iKhokha's do not.
    pub reveals_method: bool,
    /// The signed time of its callbacks, if its scheme has one. iKhokha's has none.
    pub signed_time: Option<SignedTime>,
    /// Whether it can list the payments of a time. iKhokha's can; the form of the answer is
    /// not published.
    pub history: bool,
    /// Whether it can give money back by a call. iKhokha's API cannot.
    pub refunds: bool,
    /// The fields that its callbacks have, if that is known: a rule on any other never matches.
    pub callback_fields: Option<&'static [&'static str]>,
    /// The currencies that it takes, if that is known: nothing else is asked of it.
    pub currencies: Option<&'static [Currency]>,
    /// Whether a pay link that is asked for again under the same reference is the same one. With
    /// iKhokha it is not known to be.
    pub idempotent_links: bool,
    /// Where it is asked, as the client does it: a report judges that address.
    pub address: Option<String>,
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
            history: true,
            refunds: false,
            callback_fields: Some(&[
                "paylinkID",
                "status",
                "externalTransactionID",
                "responseCode",
            ]),
            currencies: Some(&[Currency::ZAR]),
            idempotent_links: false,
            address: None,
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
    pub reference: PaymentReference,
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
    Reference(&'a PaymentReference),
}

/// The payments that a provider lists for a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// What it says about each.
    pub payments: Vec<Confirmation>,
    /// How many more there were that cannot be read.
    pub unreadable: usize,
}

/// What money is asked back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The pay link it was paid by.
    pub pay_link: PayLinkId,
    /// How much.
    pub amount: Money,
    /// Why, for the provider.
    pub reason: Note,
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
    /// It failed, and says so; it may have happened.
    #[error("the provider failed (HTTP {status}); the call may have taken effect")]
    Failed {
        /// The HTTP status.
        status: u16,
    },
    /// It asks for fewer calls; nothing happened there.
    #[error("the provider is asked too often; try again later")]
    RateLimited {
        /// When it wants to be asked again, if it said so; an hour at most.
        wait: Option<Duration>,
    },
    /// It was not asked: it failed again and again, and is left alone for a while.
    #[error("the provider failed repeatedly and is not asked again before {until}")]
    CircuitOpen {
        /// When it is asked again.
        until: DateTime<Utc>,
    },
    /// It was not asked: more calls than the host allows.
    #[error("the provider is not asked more often than the configuration allows; try again")]
    Throttled,
    /// The gateway itself panicked; it may have happened.
    #[error("the gateway panicked; the call may have taken effect")]
    Panicked,
    /// It offers no such call.
    #[error("the provider offers no such call")]
    NotSupported,
}

impl GatewayError {
    /// Whether the provider itself failed: it gave no answer, or none that can be used.
    pub fn is_failure(&self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::TimedOut
                | Self::Unreadable
                | Self::Failed { .. }
                | Self::Panicked
        )
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable
            | Self::TimedOut
            | Self::Unreadable
            | Self::Failed { .. }
            | Self::Panicked
            | Self::RateLimited { .. }
            | Self::CircuitOpen { .. }
            | Self::Throttled => true,
            Self::Refused { .. } | Self::BadCredentials | Self::NotSupported => false,
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

    /// Lists the payments of some days, both included. A provider's day may begin at another
    /// hour than ours: ask for a day more on both sides.
    ///
    /// # Errors
    /// [`GatewayError`]; [`GatewayError::NotSupported`] without
    /// [`Capabilities::history`].
    async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError>;

    /// Gives money back. Never called twice for the same refund.
    ///
    /// # Errors
    /// [`GatewayError`]; [`GatewayError::NotSupported`] without
    /// [`Capabilities::refunds`]; after [`GatewayError::TimedOut`] the money may be gone.
    async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError>;
}
