//! References that stand in a row, whether anybody waits for them or not.

use std::collections::BTreeSet;

use super::likeness::folded;
use super::row::StatementRow;
use crate::vocabulary::PaymentReference;

/// Characters of our references behind the dash.
const BODY: usize = 12;
/// Shorter words are no references.
const SHORTEST: usize = 6;
/// So many are looked for in a row.
const MOST: usize = 32;

/// References that may stand in a row: ours, read as Crockford's base32, and those that are words
/// of their own.
pub(crate) fn references_in(row: &StatementRow) -> Vec<PaymentReference> {
    let (mut ours, mut words) = (BTreeSet::new(), BTreeSet::new());
    let [one, other] = row.texts();
    for text in [format!("{one}{other}"), format!("{other}{one}")] {
        let plain: Vec<char> = text.chars().filter_map(folded).collect();
        for window in plain.windows(2 + BODY) {
            if window.starts_with(&['C', 'G']) {
                let body: String = window[2..].iter().collect();
                ours.insert(format!("CG-{body}"));
            }
        }
    }
    for text in [one, other] {
        let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':'));
        let long = parts.filter(|word| word.len() >= SHORTEST);
        let telling = long.filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()));
        words.extend(telling.map(str::to_owned));
    }
    let found = ours.into_iter().chain(words).take(MOST);
    found
        .filter_map(|text| PaymentReference::new(text).ok())
        .collect()
}
