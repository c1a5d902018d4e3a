use std::collections::HashMap;

use serde::Serialize;

use super::row::{RowChecksum, StatementRow};
use crate::ids::{EnrollmentId, Reference};
use crate::money::Money;
use crate::payment::Offer;

/// A bank transfer that an enrollment waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// The reference the learner was given.
    pub reference: Reference,
    /// What was asked: the price of its own offer.
    pub amount: Money,
    /// What is offered to the learner today, if that is something else.
    pub other_offer: Option<Offer>,
}

/// A row that may be the transfer an enrollment waits for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Suggestion {
    /// The row.
    pub row: RowChecksum,
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// The attempt it would pay.
    pub payment: Reference,
    /// How well they fit, from 0 to 1.
    pub score: f64,
    /// Whether the row's sum is the price of that attempt's own offer.
    pub amount_fits: bool,
    /// What is offered to the learner today, if that is something else: approved, the row gives
    /// what its attempt offered, and not this.
    pub other_offer: Option<Offer>,
}

/// The reference stands in the row as it was given.
const SAME: f64 = 0.70;
/// It stands there with one character wrong.
const NEAR: f64 = 0.50;
/// The sum is the one that was asked.
const SUM: f64 = 0.30;

/// Shorter names stand in any text by chance.
const SHORTEST: usize = 6;

/// Compares rows with what waits, best first.
///
/// | the row has | score |
/// |---|---|
/// | the reference and the sum | 1.00 |
/// | the reference with one character wrong, and the sum | 0.80 |
/// | the reference, another sum | 0.70 |
/// | the reference with one character wrong, another sum | 0.50 |
/// | the sum alone, and only one enrollment waits for it | 0.30 |
///
/// Case, spaces and punctuation do not matter, nor where in the row's texts the reference
/// stands. A sum alone that several wait for suggests nothing.
pub fn suggest(rows: &[StatementRow], waiting: &[Waiting]) -> Vec<Suggestion> {
    let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
    let mut halves: HashMap<String, Vec<usize>> = HashMap::new();
    let mut sums: HashMap<Money, Vec<usize>> = HashMap::new();
    for (index, item) in waiting.iter().enumerate() {
        sums.entry(item.amount).or_default().push(index);
        let name = plain(item.reference.as_str());
        if name.len() < SHORTEST {
            continue;
        }
        // One wrong character leaves one half as it was.
        let middle = name.len() / 2;
        for half in [&name[..middle], &name[middle..]] {
            halves.entry(half.to_owned()).or_default().push(index);
        }
        exact.entry(name).or_default().push(index);
    }
    let mut lengths: Vec<usize> = exact.keys().map(String::len).collect();
    lengths.sort_unstable();
    lengths.dedup();

    let mut found = Vec::new();
    for row in rows {
        let mut fits: HashMap<usize, f64> = HashMap::new();
        for text in [row.reference.as_str(), row.description.as_str()] {
            let text = plain(text);
            for length in &lengths {
                for window in windows(&text, *length) {
                    for index in exact.get(window).into_iter().flatten() {
                        fits.insert(*index, SAME);
                    }
                    let middle = length / 2;
                    for half in [&window[..middle], &window[middle..]] {
                        for index in halves.get(half).into_iter().flatten() {
                            let name = plain(waiting[*index].reference.as_str());
                            if one_apart(&name, window) {
                                fits.entry(*index).or_insert(NEAR);
                            }
                        }
                    }
                }
            }
        }
        if fits.is_empty()
            && let Some([only]) = sums.get(&row.amount).map(Vec::as_slice)
        {
            fits.insert(*only, 0.0);
        }
        for (index, score) in fits {
            let item = &waiting[index];
            let amount_fits = item.amount == row.amount;
            found.push(Suggestion {
                row: row.checksum.clone(),
                enrollment: item.enrollment,
                payment: item.reference.clone(),
                score: score + if amount_fits { SUM } else { 0.0 },
                amount_fits,
                other_offer: item.other_offer.clone(),
            });
        }
    }
    found.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| (&a.row, &a.payment).cmp(&(&b.row, &b.payment)))
    });
    found
}

/// Letters and digits only, all in upper case.
fn plain(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// Every stretch of `length` characters; the text is ASCII.
fn windows(text: &str, length: usize) -> impl Iterator<Item = &str> {
    (length..=text.len()).filter_map(move |end| text.get(end - length..end))
}

fn one_apart(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).filter(|(a, b)| a != b).count() == 1
}
