use std::time::Duration;

use super::fault::Fault;
use super::unknown::UnknownAnswer;

/// How the simulator behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where everything random comes from.
    pub seed: u64,
    /// How often each fault happens, from 0 (never) to 1 (always). A fault that shall happen at a
    /// certain moment is injected: [`Simulator::inject`](super::Simulator::inject).
    pub faults: Vec<(Fault, f64)>,
    /// How long a delayed callback, or a lagging status, is late (default 30 s).
    pub delay: Duration,
    /// How long a slow answer takes (default 5 s).
    pub answer_delay: Duration,
    /// The `Retry-After` of a 429, in whole seconds, rounded up (default 30 s); `None` sends a 429
    /// without it.
    pub retry_after: Option<Duration>,
    /// What a status look-up answers about a payment nobody knows (default: 404). The provider's
    /// own answer is not published.
    pub unknown: UnknownAnswer,
    /// The word for an unpaid link; the provider's own was never seen (default `PENDING`).
    pub unpaid_word: String,
    /// The word of the callback about a payment that failed (default `FAILURE`, the provider's own).
    /// `SUCCESS` and `PAID` mean money: leave these two to payments.
    pub failed_word: String,
    /// The word of a status look-up after a payment that failed. The provider's own was never seen;
    /// `None`, the default, is the word for an unpaid link, since it stays payable.
    pub failed_status_word: Option<String>,
    /// How often a callback that was not answered with 2xx is sent again (default 0: whether the
    /// provider does it at all is not published). See
    /// [`Simulator::callback_answered`](super::Simulator::callback_answered).
    pub callback_retries: u32,
    /// The pause before a callback is sent again (default 30 s).
    pub callback_retry_pause: Duration,
    /// Also accept a signature that leaves apostrophes alone, as two official samples do.
    pub lenient_apostrophe: bool,
    /// Also accept a signature over the path with its query.
    pub lenient_query: bool,
    /// Also accept a signature over the raw body when its canonical form differs.
    pub lenient_raw: bool,
    /// Add card and bank fields that the real provider never sends, to try detection rules.
    pub rich: bool,
    /// Answer the refund call of the sibling API. Whether the real one takes these links is
    /// unknown.
    pub refunds: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            faults: Vec::new(),
            delay: Duration::from_secs(30),
            answer_delay: Duration::from_secs(5),
            retry_after: Some(Duration::from_secs(30)),
            unknown: UnknownAnswer::NotFound,
            unpaid_word: "PENDING".to_owned(),
            failed_word: "FAILURE".to_owned(),
            failed_status_word: None,
            callback_retries: 0,
            callback_retry_pause: Duration::from_secs(30),
            lenient_apostrophe: false,
            lenient_query: false,
            lenient_raw: false,
            rich: false,
            refunds: false,
        }
    }
}

impl Settings {
    /// Settings without faults.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Makes a fault happen with this probability.
    #[must_use]
    pub fn fault(mut self, fault: Fault, probability: f64) -> Self {
        self.faults.push((fault, probability));
        self
    }
}
