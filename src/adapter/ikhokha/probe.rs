use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::{Client, Response, Url, redirect::Policy, tls::TlsInfo};
use x509_cert::der::Decode;

use super::{ClientError, is_loopback};
use crate::monitor::Alert;
use crate::port::{AlertSink, Certificate, CertificateProbe, ChannelError, WebError, WebProbe};

/// Posts over HTTP, as the provider does: with a check of the certificate, and following no
/// redirect.
#[derive(Debug, Clone)]
pub struct HttpProbe {
    http: Client,
    /// Looks at certificates that are not trusted, to say why; it tells nothing.
    looking: Client,
}

impl HttpProbe {
    /// A probe.
    ///
    /// # Errors
    /// [`ClientError::Setup`].
    pub fn new() -> Result<Self, ClientError> {
        let client = |trusting| {
            Client::builder()
                .redirect(Policy::none())
                .tls_info(true)
                .tls_danger_accept_invalid_certs(trusting)
                .timeout(Duration::from_secs(10))
                .build()
                .map_err(ClientError::Setup)
        };
        Ok(Self {
            http: client(false)?,
            looking: client(true)?,
        })
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
        let answer = request.body(body).send().await;
        answer.map(|answer| answer.status().as_u16()).map_err(told)
    }
}

// By value, as `map_err` wants it.
#[allow(clippy::needless_pass_by_value)]
fn told(error: reqwest::Error) -> WebError {
    let what = match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_connect() => "no connection; compare name, port and certificate",
        () => "the call broke off",
    };
    WebError(what.to_owned())
}

/// By a HEAD request, which changes nothing.
#[async_trait]
impl CertificateProbe for HttpProbe {
    async fn certificate(&self, url: &str) -> Result<Option<Certificate>, WebError> {
        let refused = match self.http.head(url).send().await {
            Ok(answer) => return shown(&answer, true),
            Err(error) => error,
        };
        match self.looking.head(url).send().await {
            Ok(answer) if refused.is_connect() => shown(&answer, false),
            _ => Err(told(refused)),
        }
    }
}

fn shown(answer: &Response, is_trusted: bool) -> Result<Option<Certificate>, WebError> {
    let info = answer.extensions().get::<TlsInfo>();
    let Some(certificate) = info.and_then(TlsInfo::peer_certificate) else {
        return Ok(None);
    };
    let unreadable = || WebError("its certificate cannot be read".to_owned());
    let ends = ends(certificate).ok_or_else(unreadable)?;
    Ok(Some(Certificate { ends, is_trusted }))
}

/// When a certificate ends (RFC 5280, section 4.1.2.5).
fn ends(der: &[u8]) -> Option<DateTime<Utc>> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let seconds = validity.not_after.to_unix_duration().as_secs();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
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

#[cfg(test)]
mod tests {
    use super::ends;

    /// Certificates of nobody, with the date in either form that there is (RFC 5280, 4.1.2.5: two
    /// digits of the year until 2049, four from 2050), made with
    /// `openssl req -x509 -newkey ed25519 -nodes -days 90 -subj /CN=school.example`.
    const CERTIFICATES: [(&str, &str); 2] = [
        (
            "308201463081f9a0030201020214489a0eb4f731f11591c8348c7f100e8f12fc5f44300506032b65\
         7030193117301506035504030c0e7363686f6f6c2e6578616d706c65301e170d3236313132363133\
         313934395a170d3237303232343133313934395a30193117301506035504030c0e7363686f6f6c2e\
         6578616d706c65302a300506032b65700321003601dd4beebb9efc284f1dc6332835fc69a1751388\
         de4f655b2f476eb83661dba3533051301d0603551d0e041604149574779970c06a39b94cf9945cfa\
         9c96ac11da04301f0603551d230418301680149574779970c06a39b94cf9945cfa9c96ac11da0430\
         0f0603551d130101ff040530030101ff300506032b65700341004431c7e1e2f467af245098aad334\
         951e10923dc2bbd7e67d48be14987599b60667575a05df53b3a36314de5121442b91567ddbb33b24\
         3d95663a0f79882c5c01",
            "2027-02-24T13:19:49Z",
        ),
        (
            "308201483081fba003020102021444d2add62e2cb44ac1e7432891b06c58b7be00c8300506032b65\
         7030193117301506035504030c0e7363686f6f6c2e6578616d706c653020170d3236313132363133\
         313934395a180f32303534303431333133313934395a30193117301506035504030c0e7363686f6f\
         6c2e6578616d706c65302a300506032b657003210038f5d991f4bff6209659b141e5d2e39f089a69\
         f7b82b961c53d81d1f8fbc6d38a3533051301d0603551d0e041604147e0c0950987324e6ef332601\
         fc64410332423371301f0603551d230418301680147e0c0950987324e6ef332601fc644103324233\
         71300f0603551d130101ff040530030101ff300506032b6570034100dd509b278debea96f9f2687e\
         5a92d4cd11da9bb8723bab3b5031281b7fdbdf47754fc5a82436ab34886d7e424ca6b2f1fa9dbace\
         5ea3c4aea4be172eb49fae09",
            "2054-04-13T13:19:49Z",
        ),
    ];

    #[test]
    fn the_end_of_a_certificate_is_read() {
        for (hex, end) in CERTIFICATES {
            let mut der = base16ct::lower::decode_vec(hex).unwrap();
            let read = ends(&der).map(|at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
            assert_eq!(read.as_deref(), Some(end));
            for length in 0..der.len() {
                assert_eq!(ends(&der[..length]), None, "cut off");
            }
            der[0] = 0;
            assert_eq!(ends(&der), None);
        }
        assert_eq!(ends(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
