use std::fmt;

use chrono::{DateTime, Utc};

/// A callback to send: POST these bytes, as they are, with these headers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Callback {
    /// The address given with the payment.
    pub url: String,
    /// Its path as signed: percent-encoded, without query and fragment.
    pub path: String,
    /// `IK-APPID`, `IK-SIGN` and the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The raw body.
    pub body: Vec<u8>,
    /// How often it may still be sent again.
    pub(super) retries_left: u32,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

pub(super) struct Queued {
    pub(super) due_at: DateTime<Utc>,
    /// Breaks ties; a reordered callback draws a random one.
    pub(super) order: u64,
    pub(super) callback: Callback,
}
