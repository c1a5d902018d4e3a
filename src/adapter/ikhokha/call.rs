//! One call over HTTP: signed, bounded in time and size, and its failure told apart.

use std::time::{Duration, Instant};

use futures_timer::Delay;
use reqwest::{Method, Response, StatusCode, header};
use uuid::Uuid;

use super::IkhokhaClient;
use super::wire::Complaint;
use crate::port::GatewayError;
use crate::reason::Note;

/// Largest answer that is read, in bytes.
pub(super) const MAX_ANSWER: usize = 64 * 1024;
/// Largest list of payments that is read, in bytes.
pub(super) const MAX_HISTORY: usize = 8 * 1024 * 1024;
/// Longest time that the provider may ask to be left alone for, in seconds.
const LONGEST_WAIT: u64 = 3600;
/// The first pause between two tries, on average; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest quotation of what the provider says, in bytes.
const MAX_QUOTE: usize = 120;

/// What came back.
pub(super) enum Answer {
    /// The body of a 200.
    Known(Vec<u8>),
    /// The provider does not know it (404).
    Unknown,
}

/// What is sent.
pub(super) struct Sent<'c> {
    pub(super) method: Method,
    /// From the root of the host.
    pub(super) path: &'c str,
    pub(super) query: Option<&'c str>,
    pub(super) body: Vec<u8>,
}

/// A call that came to nothing.
pub(super) enum Failure {
    /// It never arrived.
    NotTaken,
    /// It was turned away at the door (429), perhaps with a time to come again.
    TurnedAway(Option<Duration>),
    /// It arrived, and what came of it is not known.
    Lost,
    /// It arrived, and the provider failed with this status; it may have done it all the same.
    Failed(u16),
    /// It was answered.
    Answered(GatewayError),
}

impl Failure {
    /// What it means for a call that may change something.
    pub(super) fn once_sent(self) -> GatewayError {
        match self {
            Self::NotTaken => GatewayError::Unreachable,
            Self::TurnedAway(wait) => GatewayError::RateLimited { wait },
            Self::Lost => GatewayError::TimedOut,
            Self::Failed(status) => GatewayError::Failed { status },
            Self::Answered(error) => error,
        }
    }
}

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

/// A refusal in the provider's words: cut short, cleaned, and digits that could be a card
/// number masked.
pub(super) fn refused(code: Option<String>, message: Option<String>) -> GatewayError {
    let parts = [code, message].into_iter().flatten().collect::<Vec<_>>();
    let mut reason = Note::new(parts.join(": ")).as_str().to_owned();
    if let Some(end) = (0..=MAX_QUOTE)
        .rev()
        .find(|end| reason.is_char_boundary(*end))
    {
        reason.truncate(end);
    }
    GatewayError::Refused { reason }
}

/// Reads an answer as it comes, and not a byte beyond the limit.
async fn read(mut answer: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                return Err(Failure::Answered(GatewayError::Unreadable));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(_) => return Err(Failure::Lost),
        }
    }
}

/// Seconds to wait, if the provider says so in that form; no more than an hour, whatever it says.
fn retry_after(answer: &Response) -> Option<Duration> {
    let value = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds = value.trim();
    let is_number = !seconds.is_empty() && seconds.bytes().all(|b| b.is_ascii_digit());
    // A number that is too large for any type is a long time all the same.
    let seconds = seconds.parse().unwrap_or(LONGEST_WAIT);
    is_number.then(|| Duration::from_secs(seconds.min(LONGEST_WAIT)))
}

/// A value for a query: everything but letters, digits and `-._~` as percent and two digits.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
