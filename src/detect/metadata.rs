use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::mask_card_numbers;
use crate::webhook::{ProviderEvent, Value};

/// Longest kept text, in characters.
const MAX_TEXT: usize = 32;

/// Which fields of a callback hold what, the first that is there wins. iKhokha's
/// callback has none of them; other payloads do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataFields {
    /// The card's brand or type.
    pub card_type: Vec<String>,
    /// The card number in any form; only a masked one is kept.
    pub card_number: Vec<String>,
    /// The authorisation code.
    pub auth_code: Vec<String>,
}

impl Default for MetadataFields {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            card_type: list(&["cardType", "cardBrand", "card.brand", "card.type"]),
            card_number: list(&[
                "maskedCardNumber",
                "cardNumber",
                "cardLastFour",
                "card.last4",
                "card.number",
            ]),
            auth_code: list(&["authCode", "authorizationCode"]),
        }
    }
}

/// What a callback tells about the card, safe to keep and to show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Metadata {
    /// Brand or type of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card_type: Option<String>,
    /// At most the first six and the last four digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masked_number: Option<MaskedNumber>,
    /// The authorisation code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_code: Option<String>,
    /// The provider's response code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_code: Option<String>,
}

impl Metadata {
    pub(super) fn read(notification: &ProviderEvent<'_>, fields: &MetadataFields) -> Self {
        let response_code = notification.response_code().and_then(short_text);
        if !notification.has_extra_fields() {
            return Self {
                response_code,
                ..Self::default()
            };
        }
        let first = |names: &[String]| {
            names
                .iter()
                .find_map(|name| notification.field(name))
                .and_then(text)
        };
        Self {
            card_type: first(&fields.card_type).and_then(|text| short_text(&text)),
            masked_number: first(&fields.card_number)
                .and_then(|text| MaskedNumber::from_any(&text)),
            auth_code: first(&fields.auth_code).and_then(|text| short_text(&text)),
            response_code,
        }
    }
}

fn text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.into_owned()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Fraction(_) | Value::Bool(_) => None,
    }
}

fn short_text(text: &str) -> Option<String> {
    // Too short to hide a card number in.
    if text.len() < 13 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    let short: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT)
        .collect();
    (!short.trim().is_empty()).then(|| mask_card_numbers(&short))
}

/// A card number of which never more than the first six and last four digits are kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MaskedNumber(String);

impl MaskedNumber {
    /// Masks whatever comes: a whole number, a masked one, or its last digits.
    /// `None` when it is none of these.
    pub fn from_any(text: &str) -> Option<Self> {
        let compact: Vec<u8> = text.bytes().filter(|b| !matches!(b, b' ' | b'-')).collect();
        let digits = compact.iter().take_while(|b| b.is_ascii_digit()).count();
        let tail = compact
            .iter()
            .rev()
            .take_while(|b| b.is_ascii_digit())
            .count();
        let is_mask = |b: &u8| matches!(b, b'*' | b'x' | b'X' | b'.' | b'#');
        if tail < 4 || !compact.iter().all(|b| b.is_ascii_digit() || is_mask(b)) {
            return None;
        }
        let shown = match digits {
            // The last digits alone, or behind a mask.
            0 => 0,
            all if all == compact.len() && all < 13 => 0,
            // A whole number, or what a mask left of one.
            head => head.min(6),
        };
        let mut out: String = compact[..shown].iter().map(|b| char::from(*b)).collect();
        out.push_str("******");
        out.extend(compact[compact.len() - 4..].iter().map(|b| char::from(*b)));
        Some(Self(out))
    }

    /// The masked number, such as `411111******1111`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MaskedNumber {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_any(&text).ok_or("not a masked card number")
    }
}

impl From<MaskedNumber> for String {
    fn from(number: MaskedNumber) -> Self {
        number.0
    }
}

impl fmt::Debug for MaskedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::MaskedNumber;

    #[test]
    fn keeps_first_six_and_last_four_at_most() {
        let cases = [
            ("4111 1111 1111 1111", Some("411111******1111")),
            ("411111******1111", Some("411111******1111")),
            ("1234", Some("******1234")),
            ("41111111111", Some("******1111")),
            ("****1234", Some("******1234")),
            ("4111111111111111 Jane", None),
            ("12", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                MaskedNumber::from_any(text)
                    .as_ref()
                    .map(MaskedNumber::as_str),
                expected,
                "{text}"
            );
        }
    }
}
