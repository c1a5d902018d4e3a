use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::canonical::Node;
use super::delivery::DeliveryKey;
use super::value::{Text, Value};
use super::verify::Verified;
use crate::payment::ProviderStatus;
use crate::vocabulary::{IdError, PayLinkId, PaymentReference};

/// Fields beyond the four known ones; a real callback has none.
const MAX_EXTRA_FIELDS: usize = 64;
/// Longest status word or response code, in bytes.
const MAX_WORD_LEN: usize = 64;

/// Why a verified delivery could not be read. It is kept and alerted, since the
/// provider did sign it. The text never repeats the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotificationError {
    /// Not UTF-8, and so no JSON.
    #[error("the body is not UTF-8 text")]
    NotUtf8,
    /// Not one JSON object with each key once, at line and column.
    #[error(
        "the body is not one JSON object with each key given once (line {line}, column {column})"
    )]
    NotAnObject {
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 at the very start.
        column: usize,
    },
    /// More fields than any callback has.
    #[error("the body has more than {MAX_EXTRA_FIELDS} unknown fields")]
    TooManyFields,
    /// No status, or an empty or oversized one.
    #[error("the body has no usable status")]
    NoStatus,
    /// Neither a pay-link id nor a reference.
    #[error("the body names neither a pay link nor a reference")]
    NoSubject,
    /// A pay-link id or a reference that cannot be one.
    #[error("the body names its payment in a way that cannot be right")]
    BadSubject(#[from] IdError),
}

/// A verified delivery, parsed. Unknown fields are kept and looked into only
/// when a rule asks.
#[derive(Clone)]
pub struct ProviderEvent<'d> {
    pay_link: Option<Cow<'d, str>>,
    reference: Option<Cow<'d, str>>,
    status: Cow<'d, str>,
    response_code: Option<Cow<'d, str>>,
    extra: Vec<(Cow<'d, str>, &'d RawValue)>,
}

impl<'d> ProviderEvent<'d> {
    /// Reads the callback (official example repository): `paylinkID`, `status`,
    /// `externalTransactionID`, `responseCode`. A key given twice, at any depth,
    /// is an error, so that no reader can see another value than this one.
    ///
    /// # Errors
    /// [`NotificationError`] when it is not one JSON object, has no status, or
    /// names no payment.
    pub fn parse(verified: &Verified<'d>) -> Result<Self, NotificationError> {
        let text = std::str::from_utf8(verified.body()).map_err(|_| NotificationError::NotUtf8)?;
        let mut fields = Fields::default();
        let mut input = serde_json::Deserializer::from_str(text);
        ReadInto(&mut fields)
            .deserialize(&mut input)
            .and_then(|()| input.end())
            .map_err(|error| NotificationError::NotAnObject {
                line: error.line(),
                column: error.column(),
            })?;
        let status = fields
            .status
            .filter(|word| usable(word))
            .ok_or(NotificationError::NoStatus)?;
        if fields.extra.len() > MAX_EXTRA_FIELDS {
            return Err(NotificationError::TooManyFields);
        }
        for (_, raw) in &fields.extra {
            refuse_repeats(raw)?;
        }
        if let Some(link) = &fields.pay_link {
            PayLinkId::check(link)?;
        }
        if let Some(reference) = &fields.reference {
            PaymentReference::check(reference)?;
        }
        if fields.pay_link.is_none() && fields.reference.is_none() {
            return Err(NotificationError::NoSubject);
        }
        Ok(Self {
            pay_link: fields.pay_link,
            reference: fields.reference,
            status,
            response_code: fields.response_code,
            extra: fields.extra,
        })
    }

    /// The pay link it speaks of.
    pub fn pay_link(&self) -> Option<PayLinkId> {
        self.pay_link
            .as_deref()
            .and_then(|text| PayLinkId::new(text).ok())
    }

    /// Our reference.
    pub fn reference(&self) -> Option<PaymentReference> {
        self.reference
            .as_deref()
            .and_then(|text| PaymentReference::new(text).ok())
    }

    pub(crate) fn pay_link_text(&self) -> Option<&str> {
        self.pay_link.as_deref()
    }

    pub(crate) fn reference_text(&self) -> Option<&str> {
        self.reference.as_deref()
    }

    /// Whether an unknown field is there with anything but null in it.
    pub(crate) fn has_extra(&self, name: &str) -> bool {
        self.extra
            .iter()
            .any(|(key, raw)| key == name && raw.get() != "null")
    }

    /// What happened, in the provider's word.
    pub fn status(&self) -> ProviderStatus {
        ProviderStatus::from_word(&self.status)
    }

    /// The response code. `00` appears on failures too: it decides nothing.
    pub fn response_code(&self) -> Option<&str> {
        self.response_code.as_deref()
    }

    /// What makes this delivery the same as another.
    pub fn key(&self) -> DeliveryKey {
        DeliveryKey::of(
            self.pay_link.as_deref(),
            &self.status,
            self.reference.as_deref(),
        )
    }

    /// Whether the body has fields beyond the four known ones.
    pub fn has_extra_fields(&self) -> bool {
        !self.extra.is_empty()
    }

    /// A field by name; a dot steps into an object (`card.brand`). `None` when
    /// it is absent, null, or no text, number or truth value.
    pub fn field(&self, path: &str) -> Option<Value<'_>> {
        let known = match path {
            "paylinkID" | "paylinkId" => Some(self.pay_link.as_deref()),
            "externalTransactionID" => Some(self.reference.as_deref()),
            "status" => Some(Some(self.status.as_ref())),
            "responseCode" => Some(self.response_code.as_deref()),
            _ => None,
        };
        if let Some(known) = known {
            return known.map(|text| Value::Text(Cow::Borrowed(text)));
        }
        if self.extra.is_empty() {
            return None;
        }
        let (first, rest) = match path.split_once('.') {
            // A name that holds a dot itself wins over stepping in.
            Some(_) if self.extra.iter().any(|(key, _)| key == path) => (path, None),
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let (_, raw) = self.extra.iter().find(|(key, _)| key == first)?;
        Value::read(raw, rest)
    }
}

impl fmt::Debug for ProviderEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification")
            .field("status", &self.status())
            .field("extra_fields", &self.extra.len())
            .finish_non_exhaustive()
    }
}

fn usable(word: &str) -> bool {
    let plain = |b: u8| b >= b' ' && b != 0x7f;
    !word.is_empty() && word.len() <= MAX_WORD_LEN && word.bytes().all(plain)
}

/// Only objects and lists can hide a repeated key.
fn refuse_repeats(raw: &RawValue) -> Result<(), NotificationError> {
    if !raw.get().starts_with(['{', '[']) {
        return Ok(());
    }
    serde_json::from_str::<Node>(raw.get())
        .map(drop)
        .map_err(|error| NotificationError::NotAnObject {
            line: error.line(),
            column: error.column(),
        })
}

/// One object of the body: the four known fields, and the others as they stand.
#[derive(Default)]
struct Fields<'d> {
    pay_link: Option<Cow<'d, str>>,
    reference: Option<Cow<'d, str>>,
    status: Option<Cow<'d, str>>,
    response_code: Option<Cow<'d, str>>,
    extra: Vec<(Cow<'d, str>, &'d RawValue)>,
}

/// Reads into fields that are there already: they are too many to hand from one call to
/// the next at no cost.
struct ReadInto<'f, 'd>(&'f mut Fields<'d>);

impl<'de> DeserializeSeed<'de> for ReadInto<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReadInto<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<(), A::Error> {
        let fields = self.0;
        // A null known field is absent, but still may not come twice.
        let mut seen = [false; 4];
        let mut extra_keys = Sieve::default();
        while let Some(Text(key)) = input.next_key::<Text<'de>>()? {
            let (index, slot) = match key.as_ref() {
                "paylinkID" | "paylinkId" => (0, &mut fields.pay_link),
                "status" => (1, &mut fields.status),
                "externalTransactionID" => (2, &mut fields.reference),
                "responseCode" => (3, &mut fields.response_code),
                _ => {
                    if fields.extra.len() <= MAX_EXTRA_FIELDS {
                        let maybe = extra_keys.may_hold(&key);
                        if maybe && fields.extra.iter().any(|(other, _)| *other == key) {
                            return Err(A::Error::custom("a key is given twice"));
                        }
                        fields.extra.push((key, input.next_value()?));
                    } else {
                        input.next_value::<serde::de::IgnoredAny>()?;
                    }
                    continue;
                }
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(A::Error::custom("a key is given twice"));
            }
            *slot = input.next_value::<Option<Text<'de>>>()?.map(|text| text.0);
        }
        Ok(())
    }
}

/// Tells most keys that did not come yet without looking through those that did.
#[derive(Default)]
struct Sieve([u64; 4]);

impl Sieve {
    /// Whether the key may have come before; it has from now on.
    fn may_hold(&mut self, key: &str) -> bool {
        let end = key
            .as_bytes()
            .last_chunk::<4>()
            .map_or(0, |end| u32::from_le_bytes(*end));
        let [.., sum] = (end ^ u32::from(key.len().to_le_bytes()[0]))
            .wrapping_mul(0x9e37_79b1)
            .to_le_bytes();
        let (word, bit) = (usize::from(sum >> 6), 1 << (sum & 63));
        let held = self.0[word] & bit != 0;
        self.0[word] |= bit;
        held
    }
}
