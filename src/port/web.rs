use std::fmt::Debug;

use async_trait::async_trait;

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
