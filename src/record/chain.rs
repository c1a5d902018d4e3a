//! Records in a chain: each link's hash covers its record and the hash before it, so that
//! nothing can be changed, taken out or put in between without breaking every link after it.
//!
//! Links are added shortly after the records, by one instance at a time: what was changed in
//! the seconds between is not found. Who may rewrite the whole database can also rewrite the
//! whole chain: note the newest hash somewhere else from time to time (see [`Anchor`]).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::ids::RecordId;

/// A link's hash, in hexadecimal: SHA-256 over the 32 bytes of the hash before it (zeros for
/// the first) and the UTF-8 text of the record.
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

    /// The hash of the link after this one.
    #[must_use]
    pub fn then(&self, record: &str) -> Self {
        let mut digest = Sha256::new();
        // What is no hexadecimal was tampered with, and leads to a hash that fits nothing.
        digest.update(base16ct::lower::decode_vec(&self.0).unwrap_or_default());
        digest.update(record);
        Self(base16ct::lower::encode_string(&digest.finalize()))
    }

    /// In hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One link, and the record as the store has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    /// Its place, from 1.
    pub position: u64,
    /// The record.
    pub record: RecordId,
    /// Its hash.
    pub hash: LinkHash,
    /// The record's text, a JSON object; `None` when the record is gone.
    pub text: Option<String>,
}

impl ChainLink {
    /// The link as a line for export: `{"position":…,"hash":…,"record":{…}}`. The text of
    /// `record`, byte by byte, is what the hash covers.
    pub fn line(&self) -> String {
        let record = self.text.as_deref().unwrap_or("null");
        format!(
            "{{\"position\":{},\"hash\":\"{}\",\"record\":{record}}}",
            self.position,
            self.hash.as_str()
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

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("the chain is broken at position {position}: {what}")]
pub struct Broken {
    /// The first link that does not hold.
    pub position: u64,
    /// Why.
    pub what: &'static str,
}

/// Walks along a chain and checks each link.
#[derive(Debug, Clone)]
pub struct ChainCheck {
    last: Anchor,
    anchor: Option<Anchor>,
}

impl ChainCheck {
    /// Begins at the first link. The link that was noted before has to be there still.
    pub fn new(anchor: Option<Anchor>) -> Self {
        let last = Anchor {
            position: 0,
            hash: LinkHash::start(),
        };
        Self { last, anchor }
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
        if self.last.hash.then(text) != link.hash {
            return Err(broken("the record or the link was changed"));
        }
        if let Some(anchor) = self
            .anchor
            .take_if(|anchor| anchor.position == link.position)
            && anchor.hash != link.hash
        {
            return Err(broken("it is not the link that was noted"));
        }
        self.last = Anchor {
            position: link.position,
            hash: link.hash.clone(),
        };
        Ok(())
    }

    /// The last link, once there are no more.
    ///
    /// # Errors
    /// [`Broken`] when the link that was noted did not come.
    pub fn end(self) -> Result<Anchor, Broken> {
        match self.anchor {
            None => Ok(self.last),
            Some(_) => Err(Broken {
                position: self.last.position + 1,
                what: "the link that was noted is gone",
            }),
        }
    }
}

/// Checks exported lines, from the first on: what an accountant can do without the database.
///
/// # Errors
/// [`Broken`] at the first line that does not hold.
pub fn verify_lines(
    lines: impl IntoIterator<Item = impl AsRef<str>>,
    anchor: Option<Anchor>,
) -> Result<Anchor, Broken> {
    #[derive(Deserialize)]
    struct Line<'l> {
        position: u64,
        hash: String,
        #[serde(borrow)]
        record: &'l RawValue,
    }
    let mut check = ChainCheck::new(anchor);
    for line in lines {
        let line: Line<'_> = serde_json::from_str(line.as_ref()).map_err(|_| Broken {
            position: check.last.position + 1,
            what: "the line cannot be read",
        })?;
        check.next(&ChainLink {
            position: line.position,
            record: RecordId::from_uuid(uuid::Uuid::nil()),
            hash: LinkHash::from_hex(line.hash),
            text: Some(line.record.get().to_owned()).filter(|text| text != "null"),
        })?;
    }
    check.end()
}
