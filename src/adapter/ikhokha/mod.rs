//! iKhokha's iK Pay API over HTTPS: pay links, where a payment stands, and the payments of
//! some days.
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use coursegate::adapter::ikhokha::IkhokhaClient;
//! use coursegate::{AppId, Secret};
//!
//! let secret = Secret::new("test-secret-0123456789abcdef")?;
//! let gateway = IkhokhaClient::new(AppId::new("IKTESTAPP")?, &secret)?;
//! # Ok(()) }
//! ```
//!
//! The bytes that are signed are the bytes that are sent; the query is not signed; no
//! redirect is followed; an answer is read up to 64 KiB, a list of payments up to 8 MiB. Looking up a status is tried again
//! with growing pauses. Making a link never is: after a time-out it may exist, and the
//! registrar asks by reference before it makes another.
//!
//! Everything here follows the official example repository `ikhokha/ik-pay-api-examples`.
//! What the provider does not publish (error codes, limits of rate and size) is not assumed. The
//! form of its list of payments is not published either: it is believed to be an array of what
//! a look-up gives, and anything else in it is counted as unreadable.

mod call;
mod exchange;
mod probe;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use reqwest::{Client, Method, Url, redirect::Policy};

use crate::config::Config;
use crate::evidence::Confirmation;
use crate::payment::PayLink;
use crate::port::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
use crate::vocabulary::{AppId, Secret};
use crate::webhook::Signer;

use exchange::{Answer, MAX_ANSWER, MAX_HISTORY, Sent, encoded};
use wire::{Create, Created, Refund, Refunded, StatusAnswer};

pub use probe::{HttpProbe, WebhookSink};

/// Where the API lives.
const BASE: &str = "https://api.ikhokha.com/public-api/v1/api";
/// Hosts that pay pages were seen on.
const PAY_HOSTS: [&str; 2] = ["securepay.ikhokha.red", "securepay.ikhokha.com"];

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is no `https` URL without user, query and fragment. Plain `http` is for
    /// this machine only.
    #[error(
        "the API address must be an https URL without user, query and fragment; http is for this machine only"
    )]
    BadAddress,
    /// The configuration has no secret.
    #[error("the configuration has no application secret")]
    NoSecret,
    /// TLS could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
}

/// A [`PaymentGateway`] that talks to iKhokha. Clones share connections.
#[derive(Clone)]
pub struct IkhokhaClient {
    http: Client,
    app_id: AppId,
    signer: Signer,
    base: Url,
    pay_hosts: Arc<[String]>,
    link_timeout: Duration,
    status_timeout: Duration,
    history_timeout: Duration,
    refunds: bool,
    /// How often a look-up is tried in all.
    tries: u32,
}

impl IkhokhaClient {
    /// Time a pay link may take in all unless [`link_timeout`](Self::link_timeout) sets
    /// another: 45 s.
    pub const LINK_TIMEOUT: Duration = Duration::from_secs(45);
    /// Time a look-up may take, with all its tries, unless
    /// [`status_timeout`](Self::status_timeout) sets another: 10 s.
    pub const STATUS_TIMEOUT: Duration = Duration::from_secs(10);
    /// Time a list of payments may take, with all its tries, unless
    /// [`history_timeout`](Self::history_timeout) sets another: 40 s.
    pub const HISTORY_TIMEOUT: Duration = Duration::from_secs(40);

    /// A client for an application.
    ///
    /// # Errors
    /// [`ClientError::Setup`].
    pub fn new(app_id: AppId, secret: &Secret) -> Result<Self, ClientError> {
        let base = Url::parse(BASE).map_err(|_| ClientError::BadAddress)?;
        Ok(Self {
            http: http(true)?,
            app_id,
            signer: Signer::new(secret),
            base,
            pay_hosts: PAY_HOSTS.iter().map(|host| (*host).to_owned()).collect(),
            link_timeout: Self::LINK_TIMEOUT,
            status_timeout: Self::STATUS_TIMEOUT,
            history_timeout: Self::HISTORY_TIMEOUT,
            refunds: false,
            tries: 4,
        })
    }

    /// A client with the settings of a configuration: application, secret, address, the time a pay
    /// link may take and the number of tries.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn from_config(config: &Config) -> Result<Self, ClientError> {
        let secret = config.keys.current().ok_or(ClientError::NoSecret)?;
        Ok(Self::new(config.app_id.clone(), secret)?
            .base_url(&config.api_url)?
            .link_timeout(config.link_wait)
            .retries(config.provider.retries))
    }

    /// Talks to another address, such as a simulator on this machine (which makes it a test
    /// double: see [`Mode::Staging`](crate::Mode::Staging)). Pay links of such a simulator are on
    /// this machine too.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`].
    pub fn base_url(mut self, url: &str) -> Result<Self, ClientError> {
        let base = Url::parse(url.trim_end_matches('/')).map_err(|_| ClientError::BadAddress)?;
        let plain = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none();
        let safe = base.scheme() == "https" || (base.scheme() == "http" && is_loopback(&base));
        if !plain || !safe || base.host().is_none() {
            return Err(ClientError::BadAddress);
        }
        self.http = http(base.scheme() == "https")?;
        self.base = base;
        Ok(self)
    }

    /// Hosts that a pay link may lead to, instead of `securepay.ikhokha.red` and
    /// `securepay.ikhokha.com`. A learner is never sent anywhere else.
    #[must_use]
    pub fn pay_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.pay_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how long making a pay link may take in all.
    #[must_use]
    pub fn link_timeout(mut self, limit: Duration) -> Self {
        self.link_timeout = limit;
        self
    }

    /// Sets how long a look-up may take, with all its tries.
    #[must_use]
    pub fn status_timeout(mut self, limit: Duration) -> Self {
        self.status_timeout = limit;
        self
    }

    /// Sets how long a list of payments may take, with all its tries.
    #[must_use]
    pub fn history_timeout(mut self, limit: Duration) -> Self {
        self.history_timeout = limit;
        self
    }

    /// Sets how often a look-up that failed is tried again (3 times unless set), as long as
    /// there is time.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.tries = retries.saturating_add(1);
        self
    }

    /// **Experimental.** Lets money be given back by the sibling API that the provider's own
    /// shop plugin uses (`POST /ecomm/{id}/refunds`). Whether it takes the pay links of this
    /// API is not published: try it with a small payment of your own first.
    #[must_use]
    pub fn experimental_refunds(mut self) -> Self {
        self.refunds = true;
        self
    }

    /// A path of the API, from the root of its host.
    fn api(&self, call: &str) -> String {
        format!("{}{call}", self.base.path().trim_end_matches('/'))
    }

    async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Answer, exchange::Failure> {
        let sent = Sent {
            method: Method::POST,
            path,
            query: None,
            body,
        };
        self.call(sent, limit, MAX_ANSWER).await
    }

    /// Whether a learner may be sent there: `https`, and a host of the list, exactly, on its usual
    /// port.
    fn may_pay_at(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else {
            return false;
        };
        let Some(host) = url.host_str() else {
            return false;
        };
        let ours = is_loopback(&self.base) && is_loopback(&url);
        let listed = url.scheme() == "https" && self.pay_hosts.iter().any(|known| known == host);
        // A host is known on its usual port.
        let usual = ours || url.port().is_none();
        url.username().is_empty() && url.password().is_none() && usual && (ours || listed)
    }
}

fn http(https_only: bool) -> Result<Client, ClientError> {
    Client::builder()
        .https_only(https_only)
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .user_agent(concat!("coursegate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(ClientError::Setup)
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

#[async_trait]
impl PaymentGateway for IkhokhaClient {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::ikhokha();
        capabilities.refunds = self.refunds;
        capabilities.address = Some(self.base.to_string());
        if is_loopback(&self.base) {
            capabilities = capabilities.test_double();
        }
        capabilities
    }

    async fn create_link(&self, request: &LinkRequest) -> Result<PayLink, GatewayError> {
        let body = serde_json::to_vec(&Create::new(&self.app_id, request))
            .map_err(|_| GatewayError::Unreadable)?;
        let answer = self
            .post(&self.api("/payment"), body, self.link_timeout)
            .await
            .map_err(exchange::Failure::once_sent)?;
        let Answer::Known(bytes) = answer else {
            return Err(GatewayError::Refused {
                reason: "HTTP 404".to_owned(),
            });
        };
        let created: Created =
            serde_json::from_slice(&bytes).map_err(|_| GatewayError::Unreadable)?;
        if created.response_code != "00" {
            return Err(exchange::refused(
                Some(created.response_code),
                created.message,
            ));
        }
        let ours = created
            .reference
            .is_none_or(|reference| reference == request.reference.as_str());
        match (created.link, created.url) {
            (Some(id), Some(url)) if ours && self.may_pay_at(&url) => Ok(PayLink {
                id,
                url: Some(url.into()),
            }),
            _ => Err(GatewayError::Unreadable),
        }
    }

    async fn status(&self, query: StatusQuery<'_>) -> Result<Option<Confirmation>, GatewayError> {
        let (path, query) = match query {
            StatusQuery::PayLink(link) => (self.api(&format!("/getStatus/{link}")), None),
            StatusQuery::Reference(reference) => (
                self.api("/getStatus/external"),
                Some(format!("externalReference={}", encoded(reference.as_str()))),
            ),
        };
        let answer = self
            .look_up(&path, query.as_deref(), self.status_timeout, MAX_ANSWER)
            .await?;
        let Answer::Known(bytes) = answer else {
            return Ok(None);
        };
        let answer: StatusAnswer =
            serde_json::from_slice(&bytes).map_err(|_| GatewayError::Unreadable)?;
        Ok(Some(answer.into()))
    }

    async fn history(&self, from: NaiveDate, to: NaiveDate) -> Result<History, GatewayError> {
        let path = self.api("/payments/history");
        let query = format!("startDate={from}&endDate={to}");
        let answer = self
            .look_up(&path, Some(&query), self.history_timeout, MAX_HISTORY)
            .await?;
        let Answer::Known(bytes) = answer else {
            return Err(GatewayError::Unreadable);
        };
        wire::history(&bytes).ok_or(GatewayError::Unreadable)
    }

    async fn refund(&self, request: &RefundRequest) -> Result<(), GatewayError> {
        if !self.refunds {
            return Err(GatewayError::NotSupported);
        }
        let path = format!("/ecomm/{}/refunds", request.pay_link);
        let body =
            serde_json::to_vec(&Refund::new(request)).map_err(|_| GatewayError::Unreadable)?;
        let answer = self
            .post(&path, body, self.link_timeout)
            .await
            .map_err(exchange::Failure::once_sent)?;
        let Answer::Known(bytes) = answer else {
            return Err(GatewayError::Refused {
                reason: "HTTP 404".to_owned(),
            });
        };
        let answer: Refunded =
            serde_json::from_slice(&bytes).map_err(|_| GatewayError::Unreadable)?;
        match answer.status.as_str() {
            "SUCCESS" => Ok(()),
            "FAILURE" => Err(exchange::refused(None, answer.message)),
            _ => Err(GatewayError::Unreadable),
        }
    }
}

impl fmt::Debug for IkhokhaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IkhokhaClient")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}
