//! What a database error means: by SQLSTATE, never by its text, which may repeat values.

use std::time::Duration;

use futures_timer::Delay;
use uuid::Uuid;

use super::rows::BadRow;
use crate::store::StoreError;

/// How often a call is tried in all. At SERIALIZABLE a small table makes for many failures:
/// the database watches whole pages, and everything is on the same few.
const TRIES: u32 = 12;
/// The first pause, on average; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(4);
/// The longest one: all together stay below two seconds.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Row(#[from] BadRow),
}

/// What a caller can do about it.
enum Verdict {
    /// The database asks for another try of the same call, or the connection was lost: a
    /// commit that happened after all shows itself as a conflict or a duplicate.
    Retry,
    Unavailable,
    Unusable,
    Refused,
}

impl CallError {
    /// The five characters of SQLSTATE.
    pub(super) fn code(&self) -> Option<String> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().map(std::borrow::Cow::into_owned)
            }
            _ => None,
        }
    }

    /// The constraint that was broken.
    pub(super) fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }

    fn verdict(&self) -> Verdict {
        let Self::Database(error) = self else {
            return Verdict::Unusable;
        };
        let Some(code) = self.code() else {
            return match error {
                sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                    Verdict::Retry
                }
                sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                    Verdict::Unavailable
                }
                _ => Verdict::Unusable,
            };
        };
        // Codes: PostgreSQL documentation, appendix A.
        match code.as_str() {
            // Serialization failure, deadlock; the connection or the server went down.
            "40001" | "40P01" | "57P01" | "57P02" | "57P03" => Verdict::Retry,
            // A standby that is being promoted; a lock or a statement that took too long.
            "25006" | "55P03" | "57014" => Verdict::Unavailable,
            other => match &other[..other.len().min(2)] {
                "08" => Verdict::Retry,
                "53" | "58" => Verdict::Unavailable,
                "22" | "23" | "CG" => Verdict::Refused,
                _ => Verdict::Unusable,
            },
        }
    }
}

impl From<CallError> for StoreError {
    fn from(error: CallError) -> Self {
        let what = match (&error, error.code()) {
            (_, Some(code)) => match error.constraint() {
                Some(constraint) => format!("SQLSTATE {code}, {constraint}"),
                None => match in_words(&code) {
                    Some(words) => format!("{words}, SQLSTATE {code}"),
                    None => format!("SQLSTATE {code}"),
                },
            },
            (CallError::Row(row), None) => row.to_string(),
            (CallError::Database(error), None) => match error {
                sqlx::Error::Io(error) => error.kind().to_string(),
                sqlx::Error::PoolTimedOut => "no connection was free in time".to_owned(),
                sqlx::Error::PoolClosed => "the pool is closed".to_owned(),
                sqlx::Error::Protocol(_) => "the connection broke".to_owned(),
                sqlx::Error::Tls(_) => "TLS could not be set up".to_owned(),
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                    "a row could not be read".to_owned()
                }
                _ => "the driver failed".to_owned(),
            },
        };
        match error.verdict() {
            Verdict::Retry | Verdict::Unavailable => Self::Unavailable(what),
            Verdict::Refused => Self::Refused(what),
            Verdict::Unusable => match error.code().as_deref() {
                // A schema, table, column or function that is not there.
                Some("3F000" | "42P01" | "42703" | "42883") => {
                    Self::Unusable(format!("{what}; has migrate() run on this schema?"))
                }
                _ => Self::Unusable(what),
            },
        }
    }
}

/// What the codes mean that an operator can mend (PostgreSQL documentation, appendix A).
fn in_words(code: &str) -> Option<&'static str> {
    Some(match code {
        "53100" | "58030" => "its disk is full or broken",
        "53200" => "it is out of memory",
        "53300" => "it has no connection left",
        "25006" => "it is read-only",
        "57P03" => "it is starting up",
        "57P01" | "57P02" => "it is being stopped",
        "57014" => "a statement took too long",
        "42501" => "a right is missing",
        "28000" | "28P01" => "it refuses the account",
        _ => return None,
    })
}

/// Pauses between the tries of one call: a bounded number, growing, of random length.
pub(super) struct Backoff {
    tries: u32,
    pause: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self {
            tries: 1,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits, if the whole call may be made again after this error.
    pub(super) async fn again(&mut self, error: &CallError) -> bool {
        if self.tries >= TRIES || !matches!(error.verdict(), Verdict::Retry) {
            return false;
        }
        tracing::debug!(code = error.code(), "a call to the database is tried again");
        self.tries += 1;
        // Between half and one and a half times the pause.
        let [spread, ..] = *Uuid::new_v4().as_bytes();
        Delay::new(self.pause / 2 + self.pause * u32::from(spread) / 255).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
