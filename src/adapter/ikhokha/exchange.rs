//! What is sent and what comes back, and how a failure is told apart.

use std::time::Duration;

use reqwest::{Method, Response, header};

use crate::port::GatewayError;
use crate::vocabulary::Note;

/// Largest answer that is read, in bytes.
pub(super) const MAX_ANSWER: usize = 64 * 1024;
/// Largest list of payments that is read, in bytes.
pub(super) const MAX_HISTORY: usize = 8 * 1024 * 1024;
/// Longest time that the provider may ask to be left alone for, in seconds.
const LONGEST_WAIT: u64 = 3600;
/// The first pause between two tries, on average; each one after it is twice as long.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(200);
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
pub(super) async fn read(mut answer: Response, most: usize) -> Result<Vec<u8>, Failure> {
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
pub(super) fn retry_after(answer: &Response) -> Option<Duration> {
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
