//! Events in a hash chain: each link's hash covers its event and the hash before it, so that
//! nothing can be changed, taken out or put in between without breaking every link after it.
//!
//! A link holds two hashes of its event (see [`form`] for what each covers):
//!
//! - of the *kept* text: what happened, who decided, when, why, and the sums. This hash is never
//!   dropped, and what it covers can never be changed, by an erasure neither;
//! - of the *personal* text, with a random salt before it: the learner's id, what people wrote,
//!   what was told of a card. When a learner's personal data is erased, the events that hold it
//!   are emptied and their salts go: the hash stays, and nobody can guess from it what was there.
//!
//! The link's own hash covers the hash before it and these two.
//!
//! An event holds when its kept text fits, and its personal text either fits with its salt, or
//! is [`EMPTIED`] and has no salt, and an erasure in the audit log names the event. An erasure
//! speaks for the events of its own enrollment, or of the grants that it names, and for no
//! others. So an erasure can take away what tells of a person and nothing else: it cannot
//! change who decided, what, when or how much, nor write another text or put in another learner.
//!
//! # What it does not find
//! - Whoever can write to the database can also add an erasure under somebody's name, and empty
//!   what it names: a check says how many events were emptied, and the erasures say by whom.
//! - Links are added shortly after the events, by one instance at a time: what was changed in
//!   the seconds between is not found.
//! - Who may rewrite the whole database can also rewrite the whole audit log: note the newest hash
//!   somewhere else from time to time (see [`Checkpoint`]).
//!
//! [`form`]: super::form

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::erasures::{Emptied, Erasures};
use super::form::{EMPTIED, EventText};
use crate::vocabulary::EventId;

/// A SHA-256 of the audit log, in hexadecimal: of a text or of a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkHash(String);

impl LinkHash {
    /// What stands before the first link.
    pub fn start() -> Self {
        Self("0".repeat(64))
    }

    /// A hash that was stored before.
    pub fn from_hex(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Of an event's kept text.
    pub fn kept(text: &str) -> Self {
        Self::over(&[text.as_bytes()])
    }

    /// Of an event's personal text, with its salt (hexadecimal) before it.
    pub fn personal(salt: &str, text: &str) -> Self {
        Self::over(&[&bytes(salt), text.as_bytes()])
    }

    /// The hash of the link after this one: over the 32 bytes of this one (zeros before the
    /// first), and the 32 bytes each of the hashes of its event.
    #[must_use]
    pub fn then(&self, kept: &Self, personal: &Self) -> Self {
        Self::over(&[&bytes(&self.0), &bytes(&kept.0), &bytes(&personal.0)])
    }

    fn over(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part);
        }
        Self(base16ct::lower::encode_string(&digest.finalize()))
    }

    /// In hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is no hexadecimal was tampered with, and leads to a hash that fits nothing.
fn bytes(hex: &str) -> Vec<u8> {
    base16ct::lower::decode_vec(hex).unwrap_or_default()
}

/// One link, and the event as the store has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLogEntry {
    /// Its place, from 1.
    pub position: u64,
    /// The event.
    pub event: EventId,
    /// Random, in hexadecimal: without it nobody can guess what the personal text was. It goes
    /// when that is emptied.
    pub salt: Option<String>,
    /// The hash of the kept text.
    pub kept: LinkHash,
    /// The hash of the salt and the personal text, as it was when the link was added.
    pub personal: LinkHash,
    /// The hash of the link before and these two.
    pub hash: LinkHash,
    /// The event's texts; `None` when the event is gone.
    pub text: Option<EventText>,
}

impl AuditLogEntry {
    /// The link as a line for export:
    /// `{"position":…,"hash":"…","kept_hash":"…","personal_hash":"…","salt":"…","kept":{…},"personal":{…}}`.
    /// The texts of `kept` and `personal`, byte by byte, are what the hashes cover. `salt` is
    /// null once the event was emptied.
    pub fn line(&self) -> String {
        let salt = match &self.salt {
            Some(salt) => format!("\"{salt}\""),
            None => "null".to_owned(),
        };
        let text = self.text.as_ref();
        format!(
            "{{\"position\":{},\"hash\":\"{}\",\"kept_hash\":\"{}\",\"personal_hash\":\"{}\",\"salt\":{salt},\"kept\":{},\"personal\":{}}}",
            self.position,
            self.hash.as_str(),
            self.kept.as_str(),
            self.personal.as_str(),
            text.map_or("null", |text| text.kept.as_str()),
            text.map_or("null", |text| text.personal.as_str()),
        )
    }
}

/// A link that somebody noted, to compare the audit log with later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its place.
    pub position: u64,
    /// Its hash.
    pub hash: LinkHash,
}

/// As people note it: `17:` and 64 hexadecimal digits.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.position, self.hash.as_str())
    }
}

/// A text is no entry of an audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link is noted as its position, a colon and 64 hexadecimal digits")]
pub struct AnchorError;

impl FromStr for Checkpoint {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, AnchorError> {
        let (position, hash) = text.trim().split_once(':').ok_or(AnchorError)?;
        if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(AnchorError);
        }
        Ok(Self {
            position: position.parse().map_err(|_| AnchorError)?,
            hash: LinkHash(hash.to_ascii_lowercase()),
        })
    }
}

/// Where an audit log is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("the audit log is broken at position {position}: {what}")]
pub struct Broken {
    /// The first link that does not hold.
    pub position: u64,
    /// Why.
    pub what: &'static str,
}

/// What a whole audit log came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// The newest link; position 0 when there is none.
    pub newest: Checkpoint,
    /// Events that were emptied of personal data. Who did it, and when, is in the audit log.
    pub erased: u64,
}

/// Walks along an audit log and checks each entry.
#[derive(Debug, Clone)]
pub struct AuditLogVerifier {
    last: Checkpoint,
    anchor: Option<Checkpoint>,
    /// Events without personal data and salt, in order: right if an erasure, which may come
    /// further on, speaks for them.
    emptied: Vec<(u64, Emptied)>,
    erasures: Erasures,
}

impl AuditLogVerifier {
    /// Begins at the first link. The link that was noted before has to be there still.
    pub fn new(anchor: Option<Checkpoint>) -> Self {
        let last = Checkpoint {
            position: 0,
            hash: LinkHash::start(),
        };
        Self {
            last,
            anchor,
            emptied: Vec::new(),
            erasures: Erasures::default(),
        }
    }

    /// Checks the next link.
    ///
    /// # Errors
    /// [`Broken`]; what comes after it says nothing any more.
    pub fn next(&mut self, link: &AuditLogEntry) -> Result<(), Broken> {
        let broken = |what| Broken {
            position: self.last.position + 1,
            what,
        };
        if link.position != self.last.position + 1 {
            return Err(broken("a link is missing"));
        }
        let Some(text) = &link.text else {
            return Err(broken("the event is gone"));
        };
        if self.last.hash.then(&link.kept, &link.personal) != link.hash {
            return Err(broken("the link was changed"));
        }
        if let Some(anchor) = self
            .anchor
            .take_if(|anchor| anchor.position == link.position)
            && anchor.hash != link.hash
        {
            return Err(broken("it is not the link that was noted"));
        }
        if LinkHash::kept(&text.kept) != link.kept {
            return Err(broken("the event was changed"));
        }
        match &link.salt {
            Some(salt) if LinkHash::personal(salt, &text.personal) == link.personal => {}
            // An erasure takes both, and puts nothing there.
            None if text.personal == EMPTIED => {
                let emptied = serde_json::from_str(&text.kept);
                let emptied = emptied.map_err(|_| broken("the event cannot be read"))?;
                self.emptied.push((link.position, emptied));
            }
            _ => return Err(broken("the event's personal data was changed")),
        }
        self.erasures.note(&text.kept);
        self.last = Checkpoint {
            position: link.position,
            hash: link.hash.clone(),
        };
        Ok(())
    }

    /// What it came to, once there are no more links.
    ///
    /// # Errors
    /// [`Broken`] when an event was emptied, and no erasure in the audit log speaks for it, or the
    /// link that was noted did not come.
    pub fn end(self) -> Result<Checked, Broken> {
        for (position, emptied) in &self.emptied {
            if !self.erasures.speak_for(emptied) {
                return Err(Broken {
                    position: *position,
                    what: "the event's personal data was taken without an erasure",
                });
            }
        }
        match self.anchor {
            None => Ok(Checked {
                erased: self.emptied.len() as u64,
                newest: self.last,
            }),
            Some(_) => Err(Broken {
                position: self.last.position + 1,
                what: "the link that was noted is gone",
            }),
        }
    }
}

/// Checks exported lines, from the first to the last: what an accountant can do without the
/// database.
///
/// # Errors
/// [`Broken`] at the first line that does not hold.
pub fn verify_lines(
    lines: impl IntoIterator<Item = impl AsRef<str>>,
    anchor: Option<Checkpoint>,
) -> Result<Checked, Broken> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line<'l> {
        position: u64,
        hash: LinkHash,
        kept_hash: LinkHash,
        personal_hash: LinkHash,
        salt: Option<String>,
        #[serde(borrow)]
        kept: &'l RawValue,
        #[serde(borrow)]
        personal: &'l RawValue,
    }
    #[derive(Deserialize)]
    struct Named {
        id: EventId,
    }
    let mut check = AuditLogVerifier::new(anchor);
    for line in lines {
        let unreadable = |_| Broken {
            position: check.last.position + 1,
            what: "the line cannot be read",
        };
        let line: Line<'_> = serde_json::from_str(line.as_ref()).map_err(unreadable)?;
        let kept = Some(line.kept.get()).filter(|text| *text != "null");
        let named: Option<Named> = kept
            .map(serde_json::from_str)
            .transpose()
            .map_err(unreadable)?;
        check.next(&AuditLogEntry {
            position: line.position,
            event: named.map_or(EventId::from_uuid(Uuid::nil()), |named| named.id),
            salt: line.salt,
            kept: line.kept_hash,
            personal: line.personal_hash,
            hash: line.hash,
            text: kept.map(|kept| EventText {
                kept: kept.to_owned(),
                personal: line.personal.get().to_owned(),
            }),
        })?;
    }
    check.end()
}
