//! Records in a chain: each link's hash covers its record and the hash before it, so that
//! nothing can be changed, taken out or put in between without breaking every link after it.
//!
//! A record's own part of the link, its leaf, is salted. When a learner's personal data is
//! erased, the records that told of it lose it, and the salt goes: the leaf stays, and the
//! erasure, a record of the chain itself, vouches for each text as it is since then. So the
//! chain holds, and what was erased cannot be guessed from it.
//!
//! Whoever can write to the database can also add such an erasure, under somebody's name: a
//! check says how many records were erased, and the records say by whom.
//!
//! Links are added shortly after the records, by one instance at a time: what was changed in
//! the seconds between is not found. Who may rewrite the whole database can also rewrite the
//! whole chain: note the newest hash somewhere else from time to time (see [`Anchor`]).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::erased::ErasedRecord;
use crate::ids::RecordId;

/// A SHA-256 of the chain, in hexadecimal: a leaf's or a link's.
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

    /// A record's leaf: over its salt (hexadecimal) and the UTF-8 text.
    pub fn leaf(salt: &str, text: &str) -> Self {
        Self::over(&[&bytes(salt), text.as_bytes()])
    }

    /// The digest of a text without a salt, as an [`ErasedRecord`] has it.
    pub fn digest(text: &str) -> Self {
        Self::over(&[text.as_bytes()])
    }

    /// The hash of the link after this one: over the 32 bytes of this one (zeros before the
    /// first) and the 32 bytes of the leaf.
    #[must_use]
    pub fn then(&self, leaf: &Self) -> Self {
        Self::over(&[&bytes(&self.0), &bytes(&leaf.0)])
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

/// One link, and the record as the store has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    /// Its place, from 1.
    pub position: u64,
    /// The record.
    pub record: RecordId,
    /// Random, in hexadecimal: without it nobody can guess what a leaf was made of. It goes
    /// when the record's personal data is erased.
    pub salt: Option<String>,
    /// The hash of the salt and the record's text, as it was when it was added.
    pub leaf: LinkHash,
    /// The hash of the link before and the leaf.
    pub hash: LinkHash,
    /// The record's text, a JSON object; `None` when the record is gone.
    pub text: Option<String>,
}

impl ChainLink {
    /// The link as a line for export:
    /// `{"position":…,"hash":"…","leaf":"…","salt":"…","record":{…}}`. The text of `record`,
    /// byte by byte, is what the leaf covers. `salt` is null once personal data of the record
    /// was erased.
    pub fn line(&self) -> String {
        let salt = match &self.salt {
            Some(salt) => format!("\"{salt}\""),
            None => "null".to_owned(),
        };
        format!(
            "{{\"position\":{},\"hash\":\"{}\",\"leaf\":\"{}\",\"salt\":{salt},\"record\":{}}}",
            self.position,
            self.hash.as_str(),
            self.leaf.as_str(),
            self.text.as_deref().unwrap_or("null"),
        )
    }
}

/// A link that somebody noted, to compare the chain with later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Its place.
    pub position: u64,
    /// Its hash.
    pub hash: LinkHash,
}

/// As people note it: `17:` and 64 hexadecimal digits.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.position, self.hash.as_str())
    }
}

/// A text is no link of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link is noted as its position, a colon and 64 hexadecimal digits")]
pub struct AnchorError;

impl FromStr for Anchor {
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

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("the chain is broken at position {position}: {what}")]
pub struct Broken {
    /// The first link that does not hold.
    pub position: u64,
    /// Why.
    pub what: &'static str,
}

/// What a whole chain came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Checked {
    /// The newest link; position 0 when there is none.
    pub newest: Anchor,
    /// Records that hold no personal data any more. Who erased it, and when, is in the chain.
    pub erased: u64,
}

/// Walks along a chain and checks each link.
#[derive(Debug, Clone)]
pub struct ChainCheck {
    last: Anchor,
    anchor: Option<Anchor>,
    /// Records that are not what they were when they were added, in order: right if an erasure
    /// further on says so.
    changed: Vec<(u64, RecordId, LinkHash)>,
    erased: HashMap<RecordId, LinkHash>,
}

impl ChainCheck {
    /// Begins at the first link. The link that was noted before has to be there still.
    pub fn new(anchor: Option<Anchor>) -> Self {
        let last = Anchor {
            position: 0,
            hash: LinkHash::start(),
        };
        Self {
            last,
            anchor,
            changed: Vec::new(),
            erased: HashMap::new(),
        }
    }

    /// Checks the next link.
    ///
    /// # Errors
    /// [`Broken`]; what comes after it says nothing any more.
    pub fn next(&mut self, link: &ChainLink) -> Result<(), Broken> {
        let broken = |what| Broken {
            position: self.last.position + 1,
            what,
        };
        if link.position != self.last.position + 1 {
            return Err(broken("a link is missing"));
        }
        let Some(text) = &link.text else {
            return Err(broken("the record is gone"));
        };
        if self.last.hash.then(&link.leaf) != link.hash {
            return Err(broken("the link was changed"));
        }
        if let Some(anchor) = self
            .anchor
            .take_if(|anchor| anchor.position == link.position)
            && anchor.hash != link.hash
        {
            return Err(broken("it is not the link that was noted"));
        }
        match &link.salt {
            Some(salt) if LinkHash::leaf(salt, text) == link.leaf => self.note_erasure(text),
            _ => {
                let changed = (link.position, link.record, LinkHash::digest(text));
                self.changed.push(changed);
            }
        }
        self.last = Anchor {
            position: link.position,
            hash: link.hash.clone(),
        };
        Ok(())
    }

    /// What a record that is as it was says about others.
    fn note_erasure(&mut self, text: &str) {
        #[derive(Deserialize)]
        struct Erasure {
            fact: String,
            records: Vec<ErasedRecord>,
        }
        /// Stores write a record's fact flat, or as an object of its own.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Text {
            Nested { fact: Erasure },
            Flat(Erasure),
        }
        if !text.contains("\"personal_erased\"") {
            return;
        }
        let Ok(Text::Nested { fact: erasure } | Text::Flat(erasure)) = serde_json::from_str(text)
        else {
            return;
        };
        if erasure.fact == "personal_erased" {
            let records = erasure.records.into_iter();
            self.erased
                .extend(records.map(|erased| (erased.record, LinkHash(erased.digest))));
        }
    }

    /// What it came to, once there are no more links.
    ///
    /// # Errors
    /// [`Broken`] when a record was changed otherwise than by an erasure that is in the chain,
    /// or the link that was noted did not come.
    pub fn end(self) -> Result<Checked, Broken> {
        for (position, record, digest) in &self.changed {
            if self.erased.get(record) != Some(digest) {
                return Err(Broken {
                    position: *position,
                    what: "the record was changed",
                });
            }
        }
        match self.anchor {
            None => Ok(Checked {
                erased: self.changed.len() as u64,
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
    anchor: Option<Anchor>,
) -> Result<Checked, Broken> {
    #[derive(Deserialize)]
    struct Line<'l> {
        position: u64,
        hash: LinkHash,
        leaf: LinkHash,
        salt: Option<String>,
        #[serde(borrow)]
        record: &'l RawValue,
    }
    #[derive(Deserialize)]
    struct Named {
        id: RecordId,
    }
    let mut check = ChainCheck::new(anchor);
    for line in lines {
        let unreadable = |_| Broken {
            position: check.last.position + 1,
            what: "the line cannot be read",
        };
        let line: Line<'_> = serde_json::from_str(line.as_ref()).map_err(unreadable)?;
        let text = Some(line.record.get()).filter(|text| *text != "null");
        let named: Option<Named> = text
            .map(serde_json::from_str)
            .transpose()
            .map_err(unreadable)?;
        check.next(&ChainLink {
            position: line.position,
            record: named.map_or(RecordId::from_uuid(Uuid::nil()), |named| named.id),
            salt: line.salt,
            leaf: line.leaf,
            hash: line.hash,
            text: text.map(str::to_owned),
        })?;
    }
    check.end()
}
