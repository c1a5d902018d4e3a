//! Which bank's file it may be.

use std::cmp::Reverse;

use chrono::NaiveDate;

use super::lines::{Splitter, decoded, lines, other_kind, stated_delimiter};
use super::mapping::{Mapping, MappingError};
use super::parsed::{BadReason, BadRow};
use super::preset::Preset;
use super::read::parse_text;

/// So many lines of a file are looked at.
const LOOKED_AT: usize = 300;
/// Ways to write a day that nobody can mistake for one another.
const DAYS: [&str; 6] = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d/%m/%Y", "%d-%m-%Y", "%d %b %Y",
];

/// A bank's layout that a file may have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guess {
    /// The layout.
    pub preset: Preset,
    /// How the file is read: the layout's mapping, with the delimiter, the decimal mark and the days
    /// of this file.
    pub mapping: Mapping,
    /// Rows that were read of its first 300 lines, whichever way the money went.
    pub read: usize,
    /// Rows there that could not be read.
    pub bad: usize,
}

/// Which of the [presets](Preset) a file may have, best first; empty when it has none of them.
/// It is a guess: show its first rows to a person, as [`parse_csv`](super::parse_csv) reads them,
/// before they are imported.
///
/// # Errors
/// [`MappingError::OtherKind`] when it is no file of lines and columns.
pub fn detect(file: &[u8], today: NaiveDate) -> Result<Vec<Guess>, MappingError> {
    if let Some(kind) = other_kind(file) {
        return Err(MappingError::OtherKind(kind));
    }
    // Enough for so many lines of any bank, and cut between two characters of UTF-16.
    let text = decoded(&file[..file.len().min(LOOKED_AT * 1_024)]);
    let text: Vec<&str> = lines(&text).take(LOOKED_AT).collect();
    let stated = text.first().copied().and_then(stated_delimiter);
    let delimiters = stated.map_or_else(|| vec![',', ';', '\t', '|'], |stated| vec![stated]);
    let mut guesses = Vec::new();
    for delimiter in delimiters {
        let names = names(&text, delimiter);
        for preset in Preset::ALL {
            let telling = preset.telling();
            let has = |name: &&str| names.iter().any(|it| it.eq_ignore_ascii_case(name));
            if !telling.iter().all(has) {
                continue;
            }
            let fits = fitting(&text.join("\n"), preset, delimiter, today);
            guesses.extend(fits.map(|(own, guess)| (telling.len(), own, guess)));
        }
    }
    guesses.sort_by_key(|(telling, own, guess)| {
        (
            Reverse(*telling),
            guess.bad,
            Reverse(*own),
            Reverse(guess.read),
        )
    });
    Ok(guesses.into_iter().map(|(.., guess)| guess).collect())
}

/// How a layout reads most of a text, and whether days are written as it says.
fn fitting(text: &str, preset: Preset, delimiter: char, today: NaiveDate) -> Option<(bool, Guess)> {
    let own = preset.mapping().date_format;
    let mut found: Option<(bool, Guess)> = None;
    let mut other_days = false;
    for format in std::iter::once(own.as_str()).chain(DAYS) {
        if format != own && (!other_days || preset.mapping().statement_day.is_some()) {
            break;
        }
        for decimal in ['.', ','] {
            let mapping = Mapping {
                delimiter,
                decimal,
                ..preset.mapping().days_like(format)
            };
            let Ok(statement) = parse_text(text, None, &mapping, today) else {
                continue;
            };
            let read = statement.rows.len() + statement.outgoing + statement.pending;
            let bad = statement.bad.len();
            let no_day = |row: &BadRow| row.reason == BadReason::NoDay;
            other_days |= read == 0 && statement.bad.iter().any(no_day);
            let better = found
                .as_ref()
                .is_none_or(|(_, best)| (bad, Reverse(read)) < (best.bad, Reverse(best.read)));
            if read > bad && better {
                let guess = Guess {
                    preset,
                    mapping,
                    read,
                    bad,
                };
                found = Some((format == own, guess));
            }
        }
        if found.is_some() {
            break;
        }
    }
    found
}

/// All cells that may be the names of columns.
fn names(text: &[&str], delimiter: char) -> Vec<String> {
    let Ok(mut splitter) = Splitter::new(delimiter, '"') else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for line in text.iter().filter(|line| !line.trim().is_empty()).take(100) {
        let cells = splitter.split(line);
        names.extend(
            cells
                .into_iter()
                .flat_map(|cells| cells.iter().map(str::to_owned).collect::<Vec<_>>()),
        );
    }
    names
}
