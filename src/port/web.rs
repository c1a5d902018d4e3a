use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Why an address could not be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address cannot be reached: {0}")]
pub struct WebError(
    /// What went wrong, without anything secret.
    pub String,
);

/// Calls an address from outside, as the provider does: to find out whether callbacks arrive.
/// The feature `ikhokha` has one, `adapter::ikhokha::HttpProbe`.
#[async_trait]
pub trait WebProbe: Debug + Send + Sync {
    /// Posts a body, and gives the status of the answer.
    ///
    /// # Errors
    /// [`WebError`] when there is none.
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<u16, WebError>;
}

/// A certificate that an address shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// When it ends.
    pub ends: DateTime<Utc>,
    /// Whether a sender that checks it would take it: not when it is over, of another name, or
    /// made by somebody who is not trusted.
    pub is_trusted: bool,
}

/// Looks at the certificate of an address. The feature `ikhokha` has one,
/// `adapter::ikhokha::HttpProbe`.
#[async_trait]
pub trait CertificateProbe: Debug + Send + Sync {
    /// The certificate that is shown there; `None` when there is none, as with plain http.
    ///
    /// # Errors
    /// [`WebError`] when the address cannot be reached, or its certificate cannot be read.
    async fn certificate(&self, url: &str) -> Result<Option<Certificate>, WebError>;
}
