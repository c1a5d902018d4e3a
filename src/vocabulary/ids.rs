//! Names of things. Each is checked once, at the edge, and cheap to clone.
//!
//! Two names that look alike are the same name, as far as characters that nobody sees go: none
//! of these is taken in any name, and ids take no white space but the plain space. A title may
//! hold what emoji and some scripts need. Letters of different scripts that look alike are
//! told apart by nobody but a program: the host decides which learners and courses it names,
//! and a [`AdminId`] is ASCII.

mod check;
mod error;
mod hidden;

pub use error::IdError;

pub(crate) use hidden::is_hostile;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use super::has_card_number;
use check::{check, check_channel, check_email, check_link, check_person, check_title};

/// Longest text identifier, in bytes.
pub const MAX_ID_LEN: usize = 128;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:expr, $check:path, $debug:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes the text.
            ///
            /// # Errors
            /// [`IdError`] says what is wrong with it; it never repeats the text.
            pub fn new(text: impl AsRef<str>) -> Result<Self, IdError> {
                let text = text.as_ref();
                $check(text, $what, $limit)?;
                Ok(Self(Arc::from(text)))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Checks a text that is not taken yet.
            #[allow(dead_code, reason = "only some of these are read from the wire in borrowed form")]
            pub(crate) fn check(text: &str) -> Result<(), IdError> {
                $check(text, $what, $limit)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let show: fn(&str, &mut fmt::Formatter<'_>) -> fmt::Result = $debug;
                f.write_str(stringify!($name))?;
                f.write_str("(")?;
                show(&self.0, f)?;
                f.write_str(")")
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }
    };
}

/// Shows the text, unless it may be somebody's e-mail address or card number: other
/// systems choose their own references.
pub(crate) fn shown(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if text.contains('@') || has_card_number(text) {
        return hidden(text, f);
    }
    f.write_str(text)
}

fn hidden(_: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("hidden")
}

text!(
    /// The host's name for a learner. Its `Debug` is hidden, since many hosts
    /// use an e-mail address here.
    LearnerId, "the learner id", MAX_ID_LEN, check, hidden
);
text!(
    /// The host's name for a course.
    CourseId, "the course id", MAX_ID_LEN, check, shown
);
text!(
    /// Our reference for one attempt to pay: the provider's
    /// `externalTransactionID`, and what a learner writes on a bank transfer.
    PaymentReference, "the payment reference", MAX_ID_LEN, check, shown
);
text!(
    /// The provider's name for a pay link (`paylinkID`): letters, digits, `_` and `-`.
    PayLinkId, "the pay-link id", MAX_ID_LEN, check_link, shown
);
text!(
    /// The host's name for one of its bank accounts, such as `fnb-main`: what a statement is
    /// imported for.
    AccountId, "the account's name", MAX_ID_LEN, check, shown
);
text!(
    /// The name that another system has for a grant that is brought over from it.
    ExternalKey, "the external key", MAX_ID_LEN, check, shown
);
text!(
    /// The host's name for a person who acts: an admin or an operator. Printable ASCII, so that
    /// no look-alike can stand for somebody else; [`AdminId::is_same_person`] says who is who.
    /// Its `Debug` is hidden like a learner's.
    AdminId, "the person's id", MAX_ID_LEN, check_person, hidden
);
text!(
    /// A learner's e-mail address; `Debug` never shows it.
    Email, "the e-mail address", 254, check_email, hidden
);
text!(
    /// A course title as the learner sees it.
    Title, "the course title", 300, check_title, shown
);

impl AdminId {
    /// Whether both name one person: case and the number of spaces do not tell people apart.
    pub fn is_same_person(&self, other: &Self) -> bool {
        let words = |id: &Self| id.0.to_ascii_lowercase();
        let (one, other) = (words(self), words(other));
        one.split_ascii_whitespace()
            .eq(other.split_ascii_whitespace())
    }
}

impl fmt::Display for PaymentReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for PayLinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CourseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text!(
    /// The name of a way to tell people something, such as `mail`: 1 to 32 lower-case
    /// letters, digits, `_` and `-`.
    ChannelName, "the channel's name", 32, check_channel, shown
);

impl ChannelName {
    /// The list in the app, which is always there.
    pub fn in_app() -> Self {
        Self(Arc::from("in_app"))
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Crockford's base 32: no I, L, O or U, so that a person can read it out.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl PaymentReference {
    /// A new reference such as `CG-7K3M9QXDT4WZ`: 60 random bits in 15
    /// characters, short enough for a bank statement line.
    pub(crate) fn random() -> Self {
        let mut bits = Uuid::new_v4().as_u128() & ((1 << 60) - 1);
        let mut text = *b"CG-000000000000";
        for slot in text[3..].iter_mut().rev() {
            *slot = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        Self(
            text.iter()
                .map(|b| char::from(*b))
                .collect::<String>()
                .into(),
        )
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an id that was stored before.
            pub fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The id as a UUID.
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }

            /// The millisecond in which it was made, by the clock of whoever made it; `None` when
            /// that was no [`IdGenerator`].
            #[allow(dead_code, reason = "only some of these are asked")]
            pub(crate) fn made_at(&self) -> Option<DateTime<Utc>> {
                let millis = u64::try_from(self.0.as_u128() >> 80).ok()?;
                let is_dated = self.0.get_version_num() == 7;
                DateTime::from_timestamp_millis(i64::try_from(millis).ok()?).filter(|_| is_dated)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// Names one enrollment (UUID version 7: sorts by creation).
    EnrollmentId
);
uuid_id!(
    /// Names one grant.
    GrantId
);
uuid_id!(
    /// Names one event; also the id that subscribers de-duplicate by.
    EventId
);

/// A run of fresh ids for one change: one draw of randomness, then counting, so
/// that the ids of a change sort in the order they were made.
#[derive(Debug)]
pub struct IdGenerator(u128);

impl IdGenerator {
    /// Starts a run at the given time.
    pub fn new(now: DateTime<Utc>) -> Self {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        // Ids are no secrets, so keyed hashing, which needs no system call, is random
        // enough: the standard library draws new keys for each state.
        let mut random = [0; 10];
        // The low 16 bits stay zero: they count within the run.
        random[..8].copy_from_slice(&RandomState::new().hash_one(millis).to_le_bytes());
        let id = Builder::from_unix_timestamp_millis(millis, &random);
        Self(id.into_uuid().as_u128())
    }

    fn draw(&mut self) -> Uuid {
        let id = Uuid::from_u128(self.0);
        self.0 = self.0.wrapping_add(1);
        id
    }

    /// The next id, as an enrollment's.
    pub fn enrollment(&mut self) -> EnrollmentId {
        EnrollmentId(self.draw())
    }

    /// The next id, as a grant's.
    pub fn grant(&mut self) -> GrantId {
        GrantId(self.draw())
    }

    /// The next id, as an event's.
    pub fn event(&mut self) -> EventId {
        EventId(self.draw())
    }
}
