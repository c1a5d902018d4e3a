use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A short text written by a person: a reject reason, a note, a proof reference.
/// Control characters are taken out, the length is capped at 500 bytes, and runs
/// of digits that could be a card number are masked.
///
/// ```
/// use coursegate::reason::Note;
///
/// // What could be the number of a card is masked wherever text enters.
/// let note = Note::new("paid with 4111 1111 1111 1111");
/// assert!(!note.as_str().contains("4111 1111"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Note(String);

impl Note {
    /// Cleans and keeps the text; an empty note is allowed.
    pub fn new(text: impl AsRef<str>) -> Self {
        let mut clean: String = text.as_ref().chars().filter(|c| !c.is_control()).collect();
        if clean.len() > 500 {
            let cut = (0..=500)
                .rev()
                .find(|at| clean.is_char_boundary(*at))
                .unwrap_or(0);
            clean.truncate(cut);
        }
        Self(mask_card_numbers(clean.trim()))
    }

    /// The cleaned text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Note {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Note {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Note> for String {
    fn from(note: Note) -> Self {
        note.0
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Note({} bytes)", self.0.len())
    }
}

/// Masks every run of 13 or more digits, with spaces, dashes and dots of any kind between them:
/// a card number has 13 to 19 (ISO/IEC 7812). Our own ids and references stay, however many digits
/// they have, and whatever digits stand beside them.
pub(crate) fn mask_card_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let flush = |run: &mut String, out: &mut String| {
        if run.chars().filter(|c| c.is_numeric()).count() >= SHORTEST_CARD {
            out.extend(run.chars().map(|c| if c.is_numeric() { '*' } else { c }));
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    let (mut before, mut id_until) = (None, 0);
    for (at, c) in text.char_indices() {
        if at >= id_until
            && let Some(length) = own(text, at, before)
        {
            flush(&mut run, &mut out);
            id_until = at + length;
        }
        before = Some(c);
        if at < id_until {
            out.push(c);
        } else if c.is_numeric() || (!run.is_empty() && is_separator(c)) {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut out);
    out
}

/// How long an id or a reference is that stands there.
fn own(text: &str, at: usize, before: Option<char>) -> Option<usize> {
    let id = has_id(text, at, before).then_some(ID);
    id.or_else(|| reference_length(&text[at..]))
}

/// How long a reference is that a text begins with: `CG`, with or without something between, and
/// twelve characters of Crockford's base32, as people type them. A letter is among these, as in no
/// card number.
fn reference_length(text: &str) -> Option<usize> {
    let prefix = text.get(..2)?;
    let rest = prefix.eq_ignore_ascii_case("CG").then(|| &text[2..])?;
    let body = rest.trim_start_matches(is_separator);
    let between = rest.len() - body.len();
    let body = body.get(..BODY)?;
    let typed = body.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let has_letter = body.bytes().any(|byte| byte.is_ascii_alphabetic());
    (typed && has_letter).then_some(2 + between + BODY)
}

/// Characters of a reference behind its prefix.
const BODY: usize = 12;
/// Characters of an id.
const ID: usize = 36;

/// Whether an id stands there by itself: a UUID with a letter in it, as no card number has.
fn has_id(text: &str, at: usize, before: Option<char>) -> bool {
    let joins = |c: char| c.is_alphanumeric() || is_separator(c) && !c.is_whitespace();
    let Some(id) = text.get(at..at + ID) else {
        return false;
    };
    let after = text[at + ID..].chars().next();
    let alone = !before.is_some_and(joins) && !after.is_some_and(char::is_alphanumeric);
    alone && id.bytes().any(|b| b.is_ascii_alphabetic()) && Uuid::try_parse(id).is_ok()
}

/// Digits of the shortest card number.
const SHORTEST_CARD: usize = 13;

/// What people write between groups of digits.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '.' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// Whether there is something in it that could be a card number.
pub(crate) fn has_card_number(text: &str) -> bool {
    // Hardly any text has so many digits: no need to look closer.
    let digits = text.bytes().filter(|b| b.is_ascii_digit() || !b.is_ascii());
    digits.count() >= SHORTEST_CARD && mask_card_numbers(text) != text
}

#[cfg(test)]
mod tests {
    use super::{has_card_number, mask_card_numbers};

    #[test]
    fn ids_stay_and_hide_no_card_number() {
        let id = "019c1347-d280-7680-9274-32a320a20000";
        for text in [
            id.to_owned(),
            format!("enrollment {id}."),
            format!("({id}, {id})"),
        ] {
            assert_eq!(mask_card_numbers(&text), text);
        }
        // Nothing else is taken for one.
        let card = "4111 1111 1111 1111";
        for (text, masked) in [
            (format!("{id} {card}"), format!("{id} **** **** **** ****")),
            (
                "41111111-1111-1111-1111-111111111111".to_owned(),
                "********-****-****-****-************".to_owned(),
            ),
            (
                "x019c1347-d280-7680-9274-32a320a20000".to_owned(),
                "x019c1347-d***-****-****-**a320a20000".to_owned(),
            ),
        ] {
            assert_eq!(mask_card_numbers(&text), masked);
        }
    }

    #[test]
    fn references_stay_whatever_stands_beside_them() {
        for (text, masked) in [
            (
                "CG-7K3M91234567 0311 000000000000509",
                "CG-7K3M91234567 **** ***************",
            ),
            (
                "0311 0000 CG-7K3M91234567 0311",
                "0311 0000 CG-7K3M91234567 0311",
            ),
            ("cg7k3m912345670311000000", "cg7k3m912345670311000000"),
            (
                "Cg - 7K3M91234567.0311.00000000000",
                "Cg - 7K3M91234567.****.***********",
            ),
            // Nothing hides a card number.
            ("CG-4111111111111111", "CG-****************"),
            ("CG4111 1111 1111 1111", "CG**** **** **** ****"),
            (
                "CG-7K3M9QXDT4WZ4111111111111111",
                "CG-7K3M9QXDT4WZ****************",
            ),
            ("CG-7K3M9QXDT4W", "CG-7K3M9QXDT4W"),
            ("CG", "CG"),
            ("C\u{e9}G-7", "C\u{e9}G-7"),
        ] {
            assert_eq!(mask_card_numbers(text), masked);
        }
    }

    #[test]
    fn masks_long_digit_runs_only() {
        assert_eq!(
            mask_card_numbers("card 4111 1111 1111 1111 ok"),
            "card **** **** **** **** ok"
        );
        assert_eq!(mask_card_numbers("call 011-555-0199"), "call 011-555-0199");
        assert_eq!(mask_card_numbers("4111111111111111"), "****************");
        for odd in [
            "4111.1111.1111.1111",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "4111–1111–1111–1111",
            "４１１１１１１１１１１１１１１１",
        ] {
            assert!(!mask_card_numbers(odd).contains(char::is_numeric), "{odd}");
            assert!(has_card_number(odd));
        }
        assert!(!has_card_number("CG-7K3M9QXDT4WZ paid 499.00"));
    }
}
