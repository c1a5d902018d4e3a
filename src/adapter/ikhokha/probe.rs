use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Url, redirect::Policy};

use super::{ClientError, is_loopback};
use crate::monitor::Alert;
use crate::port::{AlertSink, ChannelError, WebError, WebProbe};

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

/// Posts alerts as JSON to an address: a chat, a pager, a program of your own. The address may
/// hold a token, and is never shown.
#[derive(Clone)]
pub struct WebhookSink {
    probe: HttpProbe,
    url: Url,
}

impl WebhookSink {
    /// A sink that posts to this address: https, or http on this machine.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] or [`ClientError::Setup`].
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let url = Url::parse(url).map_err(|_| ClientError::BadAddress)?;
        let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if !safe || !url.username().is_empty() || url.password().is_some() {
            return Err(ClientError::BadAddress);
        }
        Ok(Self {
            probe: HttpProbe::new()?,
            url,
        })
    }
}

impl fmt::Debug for WebhookSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSink").finish_non_exhaustive()
    }
}

#[async_trait]
impl AlertSink for WebhookSink {
    async fn alert(&self, alert: &Alert) -> Result<(), ChannelError> {
        let body = serde_json::to_vec(alert)
            .map_err(|_| ChannelError::Refused("it is no JSON".to_owned()))?;
        let headers = [("content-type", "application/json".to_owned())];
        match self.probe.post(self.url.as_str(), &headers, body).await {
            Ok(200..300) => Ok(()),
            Ok(status) => Err(ChannelError::Refused(format!("HTTP {status}"))),
            Err(WebError(what)) => Err(ChannelError::Unavailable(what)),
        }
    }
}
