//! Single values of a notification, read when a rule asks.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value of a notification, as a rule sees it.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'v> {
    /// Text.
    Text(Cow<'v, str>),
    /// A whole number.
    Integer(i64),
    /// Any other number; never used for money.
    Fraction(f64),
    /// A truth value.
    Bool(bool),
}

impl<'v> Value<'v> {
    pub(super) fn read(raw: &'v RawValue, path: Option<&str>) -> Option<Self> {
        let Some(path) = path else {
            return Self::scalar(raw);
        };
        let fields: Object<'v> = serde_json::from_str(raw.get()).ok()?;
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(first, rest)| (first, Some(rest)));
        let (_, raw) = fields.0.into_iter().find(|(key, _)| key == first)?;
        Self::read(raw, rest)
    }

    fn scalar(raw: &'v RawValue) -> Option<Self> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'"' => serde_json::from_str::<Text<'v>>(text)
                .ok()
                .map(|text| Self::Text(text.0)),
            b't' => Some(Self::Bool(true)),
            b'f' => Some(Self::Bool(false)),
            b'-' | b'0'..=b'9' => match text.parse::<i64>() {
                Ok(number) => Some(Self::Integer(number)),
                Err(_) => text.parse::<f64>().ok().map(Self::Fraction),
            },
            _ => None,
        }
    }
}

/// Values come from a payload, so `Debug` shows the kind only.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Integer(_) => "Integer",
            Self::Fraction(_) => "Fraction",
            Self::Bool(_) => "Bool",
        })
    }
}

/// A nested object, read when a rule steps into it.
struct Object<'d>(Vec<(Cow<'d, str>, &'d RawValue)>);

impl<'de: 'd, 'd> Deserialize<'de> for Object<'d> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input
            .deserialize_map(ObjectVisitor)
            .map(|object: Object<'de>| object)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut input: A) -> Result<Object<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some((Text(key), raw)) = input.next_entry::<Text<'de>, &'de RawValue>()? {
            fields.push((key, raw));
        }
        Ok(Object(fields))
    }
}

/// Text that is borrowed from the body unless it holds escapes.
pub(super) struct Text<'d>(pub(super) Cow<'d, str>);

impl<'de: 'd, 'd> Deserialize<'de> for Text<'d> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}
