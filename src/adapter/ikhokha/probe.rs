use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, redirect::Policy};

use super::ClientError;
use crate::port::{WebError, WebProbe};

/// Posts over HTTP, as the provider does: with a check of the certificate, and following no
/// redirect.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    http: Client,
}

impl HttpProbe {
    /// A probe.
    ///
    /// # Errors
    /// [`ClientError::Setup`].
    pub fn new() -> Result<Self, ClientError> {
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(Duration::from_secs(10))
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { http })
    }
}

#[async_trait]
impl WebProbe for HttpProbe {
    async fn post(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: Vec<u8>,
    ) -> Result<u16, WebError> {
        let request = headers
            .iter()
            .fold(self.http.post(url), |request, (name, value)| {
                request.header(*name, value)
            });
        match request.body(body).send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) if error.is_timeout() => Err(WebError("no answer in time".to_owned())),
            Err(error) if error.is_connect() => Err(WebError(
                "no connection; compare name, port and certificate".to_owned(),
            )),
            Err(_) => Err(WebError("the call broke off".to_owned())),
        }
    }
}
