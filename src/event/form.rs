//! The form in which an event is in the audit log: two texts, the same byte by byte in every store.
//!
//! The *kept* text covers what no erasure takes: what happened, who decided, when and why, and
//! the sums. The *personal* text covers what tells of a person: an erasure may empty it, and do
//! nothing else to it. Both are JSON without a space, in UTF-8, and this is form 1 of them.
//!
//! The kept text is an object with these names, in this order:
//!
//! | name | value |
//! |---|---|
//! | `form` | `1` |
//! | `part` | `"kept"` |
//! | `id` | the event's id: a UUID in lower case, with hyphens |
//! | `enrollment` | the enrollment's id, or `null`. It stands for the learner: it was made of nothing |
//! | `version` | the enrollment's version after the change; `0` without an enrollment |
//! | `course` | the course, or `null` |
//! | `name` | the event's name, as [`EventKind::name`] gave it when the event was written |
//! | `notice` | which kind of notice it was when it was written, or `null` |
//! | `severity` | how grave it was when it was written |
//! | `data` | the fact as serde writes it, with `""` for each text that a person wrote |
//! | `actor` | `"system_card_payment"`, `"system_eft_payment"`, `"system"`, `"learner"` or `"admin"` |
//! | `admin` | the admin's id, or `null` |
//! | `source` | by which way it came |
//! | `basis` | what the decision rested on, as serde writes it, without what was told of the card; or `null` |
//! | `at` | when, in UTC: `"2026-01-31T09:00:00.000000Z"`, always with six digits of a second |
//!
//! The personal text:
//!
//! | name | value |
//! |---|---|
//! | `form` | `1` |
//! | `part` | `"personal"` |
//! | `learner` | the learner's id, or `null` |
//! | `note` | the note, or `null` |
//! | `written` | an array of the texts that people wrote in the fact, in its order; `null` when all are empty |
//! | `card` | brand, masked number and authorisation code of the card as the basis has them; `null` without any |
//!
//! Emptied, it is [`EMPTIED`]. In `data`, `basis`, `written` and `card`:
//!
//! - the members of an object are sorted by the bytes of their names;
//! - a string escapes `"` and `\` with a backslash, and what lies below U+0020 as `\b`, `\t`,
//!   `\n`, `\f`, `\r` or `\u00xx` in lower case; nothing else is escaped;
//! - a number is a plain decimal without an exponent: whole numbers as they are, others with the
//!   fewest digits that lead back to the same 64-bit float, without a fraction of zeros. Zero is
//!   `0`, whatever its sign.
//!
//! A change of any of this, of an event's name or of a severity among it, is a new form.

use std::fmt::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Actor, DecisionRecord, Event, EventKind};
use crate::detect::Metadata;
use crate::vocabulary::{CourseId, LearnerId, Note, Status};

/// The number of the form.
pub const FORM: u16 = 1;

/// The personal text of an event that holds nothing of a person, or nothing any more.
pub const EMPTIED: &str =
    r#"{"form":1,"part":"personal","learner":null,"note":null,"written":null,"card":null}"#;

/// The two texts of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventText {
    /// Over what is never taken.
    pub kept: String,
    /// Over what an erasure may empty.
    pub personal: String,
}

/// Those parts of an event that a store keeps as text, so that the form is written by this
/// module alone. All are JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventParts {
    /// What happened, without what people wrote.
    pub data: String,
    /// What the decision rested on, without what was told of the card.
    pub basis: Option<String>,
    /// What people wrote in the fact.
    pub written: Option<String>,
    /// What was told of the card.
    pub card: Option<String>,
}

/// Parts that do not belong together: somebody changed them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are no parts of an event")]
pub struct PartsError;

impl EventText {
    /// The texts of an event.
    pub fn of(event: &Event) -> Self {
        let parts = event.parts();
        let null = || "null".to_owned();
        let text = |text: Option<&str>| text.map_or_else(null, |text| json(&text));
        let admin = match &event.who {
            Actor::Admin(id) => Some(id.as_str()),
            _ => None,
        };
        let enrollment = event.enrollment.map(|id| id.to_string());
        let notice = event.kind.notice().map(|kind| kind.to_string());
        let kept = format!(
            r#"{{"form":{FORM},"part":"kept","id":"{}","enrollment":{},"version":{},"course":{},"name":"{}","notice":{},"severity":{},"data":{},"actor":"{}","admin":{},"source":"{}","basis":{},"at":"{}"}}"#,
            event.id,
            text(enrollment.as_deref()),
            event.version.0,
            text(event.course.as_ref().map(CourseId::as_str)),
            event.kind.name(),
            text(notice.as_deref()),
            json(&event.kind.severity()),
            parts.data,
            event.who.kind(),
            text(admin),
            event.source,
            parts.basis.unwrap_or_else(null),
            event.at.format("%Y-%m-%dT%H:%M:%S%.6fZ"),
        );
        let personal = format!(
            r#"{{"form":{FORM},"part":"personal","learner":{},"note":{},"written":{},"card":{}}}"#,
            text(event.learner.as_ref().map(LearnerId::as_str)),
            text(event.note.as_ref().map(Note::as_str)),
            parts.written.unwrap_or_else(null),
            parts.card.unwrap_or_else(null),
        );
        Self { kept, personal }
    }
}

impl Event {
    /// Takes apart what a store keeps as text.
    pub fn parts(&self) -> EventParts {
        let mut kind = self.kind.clone();
        let written: Vec<Note> = kind.written().into_iter().map(std::mem::take).collect();
        let mut basis = self.basis.clone();
        let card = basis
            .as_mut()
            .map(|basis| take_card(&mut basis.detection.metadata))
            .filter(|card| *card != Metadata::default());
        EventParts {
            data: json(&kind),
            basis: basis.map(|basis| json(&basis)),
            written: written
                .iter()
                .any(|text| !text.is_empty())
                .then(|| json(&written)),
            card: card.map(|card| json(&card)),
        }
    }

    /// Whether it holds anything that an erasure takes.
    pub(crate) fn is_personal(&self) -> bool {
        EventText::of(self).personal != EMPTIED
    }

    /// Takes out everything that an erasure takes.
    pub(crate) fn empty(&mut self) {
        self.learner = None;
        self.note = None;
        for text in self.kind.written() {
            *text = Note::default();
        }
        if let Some(basis) = &mut self.basis {
            take_card(&mut basis.detection.metadata);
        }
    }
}

impl EventParts {
    /// Puts them together again.
    ///
    /// # Errors
    /// [`PartsError`] when they are no parts of one event.
    pub fn join(&self) -> Result<(EventKind, Option<Box<DecisionRecord>>), PartsError> {
        let mut kind: EventKind = read(&self.data)?;
        let mut basis: Option<Box<DecisionRecord>> = self.basis.as_deref().map(read).transpose()?;
        if let Some(written) = &self.written {
            let written: Vec<Note> = read(written)?;
            let places = kind.written();
            if places.len() != written.len() {
                return Err(PartsError);
            }
            for (place, text) in places.into_iter().zip(written) {
                *place = text;
            }
        }
        if let Some(card) = &self.card {
            let metadata = &mut basis.as_mut().ok_or(PartsError)?.detection.metadata;
            let response_code = metadata.response_code.take();
            *metadata = read(card)?;
            metadata.response_code = response_code;
        }
        Ok((kind, basis))
    }
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PartsError> {
    serde_json::from_str(text).map_err(|_| PartsError)
}

impl EventKind {
    /// The texts in it that people wrote, or that may repeat what somebody sent.
    fn written(&mut self) -> Vec<&mut Note> {
        match self {
            Self::EnrollmentMoved { from, to, .. } => [from, to]
                .into_iter()
                .filter_map(|status| match status {
                    Status::Rejected { reason } => Some(reason),
                    _ => None,
                })
                .collect(),
            Self::DeliveryDead { cause, .. } => vec![cause],
            _ => Vec::new(),
        }
    }
}

/// What tells of the card; the provider's response code stays.
fn take_card(metadata: &mut Metadata) -> Metadata {
    let response_code = metadata.response_code.take();
    let card = std::mem::take(metadata);
    metadata.response_code = response_code;
    card
}

/// A value in the form that is the same everywhere.
fn json(value: &impl Serialize) -> String {
    let mut text = String::new();
    // The types of an event all have a form as JSON.
    write_value(&serde_json::to_value(value).unwrap_or_default(), &mut text);
    text
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_i64() && !number.is_u64() => {
                // Shortest digits, and never an exponent; there is one zero only.
                let float = if float == 0.0 { 0.0 } else { float };
                let _ = write!(out, "{float}");
            }
            _ => {
                let _ = write!(out, "{number}");
            }
        },
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => write_object(members, out),
        // These have one form only.
        Value::Null | Value::Bool(_) | Value::String(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

fn write_object(members: &Map<String, Value>, out: &mut String) {
    let mut members: Vec<(&String, &Value)> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (at, (name, value)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let _ = write!(out, "{}:", Value::from(name.as_str()));
        write_value(value, out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::json;

    /// Any JSON, with numbers of every size.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Read back, it is written as before: there is one form.
        #[test]
        fn the_form_of_what_was_read_is_the_form(value in value()) {
            let text = json(&value);
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(json(&read), text);
        }

        /// And it is the same number to the last bit, but for the sign of zero.
        #[test]
        fn a_float_is_read_back_as_it_was(float in any::<f64>()) {
            prop_assume!(float.is_finite());
            let read: f64 = serde_json::from_str(&json(&float)).unwrap();
            prop_assert_eq!(read, float);
        }
    }

    #[test]
    fn numbers_and_texts_have_one_form() {
        for (text, form) in [
            ("-0.0", "0"),
            ("1.0", "1"),
            ("1e-7", "0.0000001"),
            ("1E2", "100"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("0.30000000000000004", "0.30000000000000004"),
            (r#""\u00e9\ud83d\ude00\/""#, r#""é😀/""#),
            (
                r#""\u0000\u001F\u007f\b\f""#,
                "\"\\u0000\\u001f\u{7f}\\b\\f\"",
            ),
            (
                r#"{ "b": [], "a": {}, "B": null, "é": 1 }"#,
                r#"{"B":null,"a":{},"b":[],"é":1}"#,
            ),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(json(&value), form, "{text}");
        }
        let tiny: Value = serde_json::from_str("5e-324").unwrap();
        assert_eq!(json(&tiny).len(), 326);
    }
}
