//! One call over HTTP: signed, bounded in time and size, and its failure told apart.

use std::time::{Duration, Instant};

use futures_timer::Delay;
use reqwest::{Method, StatusCode, header};
use uuid::Uuid;

use super::IkhokhaClient;
use super::wire::Complaint;
use crate::port::GatewayError;

use super::exchange::{Answer, FIRST_PAUSE, Failure, Sent, read, refused, retry_after};

impl IkhokhaClient {
    /// A call that changes nothing: again with growing pauses, as long as there is time.
    pub(super) async fn look_up(
        &self,
        path: &str,
        query: Option<&str>,
        limit: Duration,
        most: usize,
    ) -> Result<Answer, GatewayError> {
        let end = Instant::now() + limit;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let left = end.saturating_duration_since(Instant::now());
            let sent = Sent {
                method: Method::GET,
                path,
                query,
                body: Vec::new(),
            };
            let failure = match self.call(sent, left, most).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let asked = match &failure {
                Failure::TurnedAway(asked) => *asked,
                Failure::NotTaken | Failure::Lost | Failure::Failed(_) => None,
                Failure::Answered(_) => return Err(failure.once_sent()),
            };
            // Between half and one and a half times the pause.
            let [spread, ..] = *Uuid::new_v4().as_bytes();
            let wait = asked.unwrap_or(pause / 2 + pause * u32::from(spread) / 255);
            if attempt == self.tries || wait >= end.saturating_duration_since(Instant::now()) {
                return Err(failure.once_sent());
            }
            Delay::new(wait).await;
            pause *= 2;
        }
        Err(GatewayError::TimedOut)
    }

    /// Sends a request, and reads so many bytes of its answer at most.
    pub(super) async fn call(
        &self,
        sent: Sent<'_>,
        limit: Duration,
        most: usize,
    ) -> Result<Answer, Failure> {
        let Sent {
            method,
            path,
            query,
            body,
        } = sent;
        let mut url = self.base.clone();
        url.set_path(path);
        // The path as it is sent, and without the query: that is what is signed.
        let signature = self.signer.sign(url.path(), &body).to_hex();
        url.set_query(query);
        let mut request = self
            .http
            .request(method, url)
            .timeout(limit)
            .header("IK-APPID", self.app_id.as_str())
            .header("IK-SIGN", signature)
            .header(header::ACCEPT, "application/json");
        if !body.is_empty() {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let answer = request.send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                Failure::NotTaken
            } else {
                Failure::Lost
            }
        })?;
        let status = answer.status();
        let wait = retry_after(&answer);
        let bytes = read(answer, most).await?;
        match status {
            StatusCode::OK => Ok(Answer::Known(bytes)),
            StatusCode::NOT_FOUND => Ok(Answer::Unknown),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(Failure::Answered(GatewayError::BadCredentials))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(Failure::TurnedAway(wait)),
            status if status.is_server_error() => Err(Failure::Failed(status.as_u16())),
            status if status.is_client_error() => {
                let said: Option<Complaint> = serde_json::from_slice(&bytes).ok();
                let (code, message) = said.map_or((None, None), |said| (said.code, said.message));
                let code = code.unwrap_or_else(|| format!("HTTP {}", status.as_u16()));
                Err(Failure::Answered(refused(Some(code), message)))
            }
            // A redirect is not followed: it would carry the signature elsewhere.
            _ => Err(Failure::Answered(GatewayError::Unreadable)),
        }
    }
}
