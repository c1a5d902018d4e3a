//! Days as banks write them, none of them guessed.

use chrono::format::{Item, Parsed, StrftimeItems, parse_and_remainder};
use chrono::{Datelike, NaiveDate};

use super::parsed::BadReason;

/// The months, as English and Afrikaans write them.
const MONTHS: [(&str, &[&str]); 12] = [
    ("Jan", &["JAN", "JANUARY", "JANUARIE"]),
    ("Feb", &["FEB", "FEBRUARY", "FEBRUARIE"]),
    ("Mar", &["MAR", "MARCH", "MRT", "MAART"]),
    ("Apr", &["APR", "APRIL"]),
    ("May", &["MAY", "MEI"]),
    ("Jun", &["JUN", "JUNE", "JUNIE"]),
    ("Jul", &["JUL", "JULY", "JULIE"]),
    ("Aug", &["AUG", "AUGUST", "AUGUSTUS"]),
    ("Sep", &["SEP", "SEPT", "SEPTEMBER"]),
    ("Oct", &["OCT", "OCTOBER", "OKT", "OKTOBER"]),
    ("Nov", &["NOV", "NOVEMBER"]),
    ("Dec", &["DEC", "DECEMBER", "DES", "DESEMBER"]),
];
/// No bank's file is older.
const FIRST_YEAR: i32 = 2000;

/// How days are written in a column.
#[derive(Debug, Clone)]
pub(super) struct DayFormat<'m> {
    items: Vec<Item<'m>>,
    century: Option<i32>,
}

impl<'m> DayFormat<'m> {
    /// A way to write days; `None` when it is none.
    pub(super) fn new(format: &'m str, century: Option<u16>) -> Option<Self> {
        let items = StrftimeItems::new(format).parse().ok()?;
        Some(Self {
            items,
            century: century.map(i32::from),
        })
    }

    /// A day. One without a year gets it from a day of the statement.
    pub(super) fn read(
        &self,
        text: &str,
        statement: Option<NaiveDate>,
        today: NaiveDate,
    ) -> Result<NaiveDate, BadReason> {
        let text = in_english(text);
        let mut parsed = Parsed::new();
        let rest = parse_and_remainder(&mut parsed, &text, self.items.iter());
        let rest = rest.map_err(|_| BadReason::NoDay)?;
        let is_time = rest.starts_with([' ', 'T'])
            && rest[1..]
                .bytes()
                .all(|byte| b"0123456789:. ".contains(&byte));
        if !rest.is_empty() && !is_time {
            return Err(BadReason::NoDay);
        }
        if parsed.year().is_none() {
            let year = match (parsed.year_mod_100(), parsed.month(), statement) {
                (Some(two), ..) => self.year_of(two).ok_or(BadReason::TwoDigitYear)?,
                (None, Some(month), Some(statement)) if month <= statement.month() => {
                    statement.year()
                }
                (None, Some(_), Some(statement)) => statement.year() - 1,
                (None, ..) => return Err(BadReason::NoYear),
            };
            parsed
                .set_year(i64::from(year))
                .map_err(|_| BadReason::NoDay)?;
        }
        let day = parsed.to_naive_date().map_err(|_| BadReason::NoDay)?;
        let last = today.checked_add_months(chrono::Months::new(12));
        if day.year() < FIRST_YEAR || last.is_some_and(|last| day > last) {
            return Err(BadReason::FarDay);
        }
        Ok(day)
    }

    /// The year of the window that ends with two digits.
    fn year_of(&self, two: i32) -> Option<i32> {
        let first = self.century?;
        Some(first + (two - first).rem_euclid(100))
    }
}

/// Names of months in short English, as the parser reads them.
fn in_english(text: &str) -> String {
    let text = text.trim();
    let letters = |c: char| c.is_ascii_alphabetic();
    let Some(start) = text.find(letters) else {
        return text.to_owned();
    };
    let length = text[start..].find(|c| !letters(c));
    let end = length.map_or(text.len(), |length| start + length);
    let word = text[start..end].to_ascii_uppercase();
    let month = MONTHS
        .iter()
        .find(|(_, names)| names.contains(&word.as_str()));
    match month {
        Some((english, _)) => format!("{}{english}{}", &text[..start], &text[end..]),
        None => text.to_owned(),
    }
}
