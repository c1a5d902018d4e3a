//! How like a text is to a reference.

use std::fmt;

use serde::Serialize;

/// How a reference stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
#[non_exhaustive]
pub enum Likeness {
    /// As it was given.
    Whole,
    /// Without the letters in front of its dash.
    WithoutPrefix,
    /// With characters that are wrong, missing, added or swapped, behind the dash.
    Edited {
        /// How many: 1 or 2.
        edits: u8,
    },
    /// Cut off.
    Cut {
        /// How many characters behind the dash are left.
        left: u8,
    },
    /// It is the reference of another course of the learner, and the sum is this one's.
    OtherCourse,
}

impl Likeness {
    /// What it is worth, from 0 to 1, before the sum is looked at.
    pub(super) fn score(self) -> f64 {
        match self {
            Self::Whole => 0.70,
            Self::WithoutPrefix => 0.60,
            Self::Edited { edits: 0 | 1 } => 0.45,
            Self::Edited { .. } => 0.35,
            Self::OtherCourse => 0.25,
            Self::Cut { left } => 0.20 + 0.02 * f64::from(left.min(7)),
        }
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the reference"),
            Self::WithoutPrefix => f.write_str("the reference without its prefix"),
            Self::Edited { edits: 0 | 1 } => f.write_str("the reference, but for one character"),
            Self::Edited { edits } => write!(f, "the reference, but for {edits} characters"),
            Self::OtherCourse => f.write_str("the reference of another course of this learner"),
            Self::Cut { left } => write!(f, "the reference, cut off after {left} characters"),
        }
    }
}

/// A character as Crockford's base32 reads it; none for what is no letter and no digit.
pub(super) fn folded(c: char) -> Option<char> {
    match c.to_ascii_uppercase() {
        'O' => Some('0'),
        'I' | 'L' => Some('1'),
        c if c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    }
}

/// A reference to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    folded: String,
    prefix: usize,
    /// As it was given, but for case and punctuation.
    given: String,
}

impl Name {
    pub(super) fn new(reference: &str) -> Self {
        let prefix = match reference.split_once('-') {
            Some((prefix, _)) if (1..=4).contains(&prefix.len()) => {
                prefix.chars().filter_map(folded).count()
            }
            _ => 0,
        };
        Self {
            folded: reference.chars().filter_map(folded).collect(),
            prefix,
            given: reference
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_uppercase())
                .collect(),
        }
    }

    /// All of it.
    pub(super) fn whole(&self) -> &str {
        &self.folded
    }

    /// What stands behind its dash.
    pub(super) fn bare(&self) -> &str {
        &self.folded[self.prefix..]
    }

    /// How long is what stands in front of the dash.
    pub(super) fn prefix(&self) -> usize {
        self.prefix
    }
}

/// Texts of a row, one after the other, to look for references in.
pub(super) struct Text {
    folded: String,
    /// Whether a word ends in front of each character.
    breaks: Vec<bool>,
    id: bool,
}

impl Text {
    pub(super) fn new(texts: &[&str], id: bool) -> Self {
        let (mut folded_text, mut breaks) = (String::new(), Vec::new());
        for text in texts {
            let mut ends = true;
            for c in text.chars() {
                match folded(c) {
                    Some(c) => {
                        folded_text.push(c);
                        breaks.push(ends);
                        ends = false;
                    }
                    None => ends = true,
                }
            }
        }
        Self {
            folded: folded_text,
            breaks,
            id,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.folded.len()
    }

    /// Which of a row's texts it is.
    pub(super) fn id(&self) -> bool {
        self.id
    }

    pub(super) fn from(&self, at: usize) -> &str {
        self.folded.get(at..).unwrap_or_default()
    }

    pub(super) fn piece<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.folded.as_bytes().get(at..at + N)?.try_into().ok()
    }

    /// Every stretch of so many characters; they are ASCII.
    pub(super) fn windows(&self, length: usize) -> impl Iterator<Item = &str> {
        (length..=self.len()).filter_map(move |end| self.folded.get(end - length..end))
    }

    /// How many characters from there on are those of a name.
    pub(super) fn same(&self, at: usize, name: &str) -> usize {
        let rest = self.folded.as_bytes().get(at..).unwrap_or_default();
        let pairs = rest.iter().zip(name.as_bytes());
        pairs.take_while(|(a, b)| a == b).count()
    }

    /// Whether a word ends in front of a character, or the text does.
    pub(super) fn breaks_at(&self, at: usize) -> bool {
        self.breaks.get(at).copied().unwrap_or(true)
    }
}

/// The most characters that may be wrong.
const MOST: usize = 2;

/// How many characters have to be changed, added, taken out or swapped with their neighbor to make a
/// name of what stands around a place; `None` when more than two.
pub(super) fn edits(name: &str, text: &Text, around: usize) -> Option<u8> {
    let name = name.as_bytes();
    let start = around.saturating_sub(MOST);
    let end = (around + name.len() + MOST).min(text.len());
    let text = text.folded.as_bytes().get(start..end)?;
    // Row by row of the table, with the two before: text in front of the name costs nothing.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = vec![0; text.len() + 1];
    for (row, a) in name.iter().enumerate() {
        let mut this = vec![row + 1; text.len() + 1];
        for (column, b) in text.iter().enumerate() {
            let changed = last[column] + usize::from(a != b);
            let mut least = changed.min(last[column + 1] + 1).min(this[column] + 1);
            if row > 0 && column > 0 && *a == text[column - 1] && name[row - 1] == *b {
                least = least.min(before[column - 1] + 1);
            }
            this[column + 1] = least;
        }
        (before, last) = (last, this);
    }
    // Nor does text behind it.
    let least = last.into_iter().min().filter(|least| *least <= MOST)?;
    u8::try_from(least).ok()
}
