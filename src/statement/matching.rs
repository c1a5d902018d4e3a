use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::entry::StatementEntry;
use super::index::Index;
use super::likeness::Likeness;
use super::row::RowId;
use super::waiting::Waiting;
use crate::enrollment::Expected;
use crate::payment::Offer;
use crate::vocabulary::{CourseId, EnrollmentId, LearnerId, Money, PaymentReference};

/// What a row may pay for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Suggestion {
    /// The row.
    pub row: RowId,
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// The learner.
    pub learner: LearnerId,
    /// The course.
    pub course: CourseId,
    /// The attempt it would pay.
    pub payment: PaymentReference,
    /// How well they fit, from 0 to 1.
    pub score: f64,
    /// How the reference stands in the row; `None` when only the sum fits.
    pub likeness: Option<Likeness>,
    /// What was asked: the price of the attempt's own offer.
    pub asked: Money,
    /// How much of the row it would take: the price where the row has several references, and their
    /// prices come to its sum; else all that is left of it.
    pub part: Money,
    /// Other open rows that have the whole reference too, where the price is their sum with this one.
    pub together: Vec<RowId>,
    /// Whether the part, together with the other rows, is the price.
    pub amount_fits: bool,
    /// What is offered to the learner today, if that is something else: approved, the row gives
    /// what its attempt offered, and not this.
    pub other_offer: Option<Offer>,
    /// Whether the money is waited for. What is not stands among the payment exceptions when
    /// it is approved, or is settled with what a person approved by hand.
    pub expected: Expected,
}

/// The sum is the one that was asked.
const SUM: f64 = 0.30;

/// Compares rows of statements with what waits.
///
/// | the row has | score | with the sum |
/// |---|---|---|
/// | the reference | 0.70 | 1.00 |
/// | the reference without its prefix | 0.60 | 0.90 |
/// | the reference with one character wrong, missing, added or swapped | 0.45 | 0.75 |
/// | the same with two | 0.35 | 0.65 |
/// | the beginning of the reference, cut off | 0.20 to 0.35 | 0.50 to 0.65 |
/// | the reference of another course of the learner | | 0.55 |
/// | the sum alone, and only one enrollment waits for it | | 0.30 |
///
/// Case, spaces and punctuation do not matter, `O` is `0`, and `I` and `L` are `1`, as Crockford's
/// base32 reads them. A reference may be spread over the row's two texts. What is only like a
/// reference suggests nothing when it is as like another that waits; what has 0.8 or more has the
/// whole reference, or all of it but its prefix.
#[derive(Debug)]
pub struct Matcher {
    waiting: Vec<Waiting>,
    index: Index,
    references: HashSet<PaymentReference>,
    learners: HashMap<LearnerId, Vec<usize>>,
    /// Open rows that have a whole reference.
    rows: HashMap<usize, Vec<(RowId, i64)>>,
}

impl Matcher {
    /// For what waits.
    pub fn new(waiting: Vec<Waiting>) -> Self {
        let index = Index::new(&waiting);
        let mut learners: HashMap<LearnerId, Vec<usize>> = HashMap::new();
        for (place, item) in waiting.iter().enumerate() {
            learners
                .entry(item.learner.clone())
                .or_default()
                .push(place);
        }
        Self {
            references: waiting.iter().map(|it| it.reference.clone()).collect(),
            waiting,
            index,
            learners,
            rows: HashMap::new(),
        }
    }

    /// Whether a transfer with this reference waits.
    pub(crate) fn waits_for(&self, reference: &PaymentReference) -> bool {
        self.references.contains(reference)
    }

    /// How many transfers wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Keeps in mind which open rows have whole references: a course may be paid by two of them.
    pub fn note_rows(&mut self, rows: &[StatementEntry]) {
        for entry in rows {
            let Some(left) = entry.left() else { continue };
            let places = self.index.whole_in(entry.row.texts()).into_iter();
            let currency = |place: &usize| self.waiting[*place].amount.currency();
            for place in places.filter(|place| currency(place) == left.currency()) {
                let rows = self.rows.entry(place).or_default();
                if !rows.iter().any(|(known, _)| *known == entry.id) {
                    rows.push((entry.id.clone(), left.minor()));
                }
            }
        }
    }

    /// What a row may pay for, best first. `others` are transfers with references that stand in the
    /// row, and that nobody waits for.
    pub fn suggest(&self, entry: &StatementEntry, others: &[Waiting]) -> Vec<Suggestion> {
        let Some(left) = entry.left() else {
            return Vec::new();
        };
        let texts = entry.row.texts();
        let settled = Index::new(others).whole_in(texts).into_iter();
        let mut fits: Vec<Fit<'_>> = settled
            .map(|place| Fit::new(&others[place], Likeness::Whole))
            .collect();
        let likes = match fits.is_empty() {
            true => self.index.like(texts),
            // Nothing is only like a reference when another stands there.
            false => {
                let whole = self.index.whole_in(texts).into_iter();
                whole.map(|place| (place, Likeness::Whole)).collect()
            }
        };
        fits.extend(likes.into_iter().map(|(place, likeness)| Fit {
            rows: self.rows.get(&place).map_or(&[], Vec::as_slice),
            ..Fit::new(&self.waiting[place], likeness)
        }));
        let beside = self.beside(left, &fits);
        fits.extend(beside);
        if fits.is_empty() {
            fits.extend(self.only_of(left));
        }
        let splits = splits(left, &fits);
        let mut suggestions: Vec<Suggestion> = Vec::with_capacity(fits.len());
        for fit in fits {
            if !suggestions
                .iter()
                .any(|it| it.payment == fit.item.reference)
            {
                suggestions.push(fit.suggestion(entry, left, splits));
            }
        }
        suggestions.sort_by(|a, b| {
            let by_score = b.score.total_cmp(&a.score);
            by_score.then_with(|| a.payment.cmp(&b.payment))
        });
        suggestions
    }

    /// Other transfers of the same learners, where the sum is theirs.
    fn beside<'m>(&'m self, left: Money, fits: &[Fit<'m>]) -> Vec<Fit<'m>> {
        let mut beside = Vec::new();
        for item in fits.iter().map(|fit| fit.item) {
            if item.amount == left && item.expected == Expected::Awaited {
                continue;
            }
            let places = self.learners.get(&item.learner).into_iter().flatten();
            let others = places.map(|place| &self.waiting[*place]);
            let of_this_sum = others.filter(|other| other.amount == left);
            beside.extend(of_this_sum.map(|other| Fit::new(other, Likeness::OtherCourse)));
        }
        beside
    }

    /// The only transfer of a sum that waits.
    fn only_of(&self, sum: Money) -> Option<Fit<'_>> {
        let [only] = self.index.sums.get(&sum)?.as_slice() else {
            return None;
        };
        Some(Fit {
            item: &self.waiting[*only],
            likeness: None,
            rows: &[],
        })
    }
}

/// A transfer that a row may be.
struct Fit<'m> {
    item: &'m Waiting,
    likeness: Option<Likeness>,
    /// Open rows that have its whole reference, and what is left of them in minor units.
    rows: &'m [(RowId, i64)],
}

impl<'m> Fit<'m> {
    fn new(item: &'m Waiting, likeness: Likeness) -> Self {
        Self {
            item,
            likeness: Some(likeness),
            rows: &[],
        }
    }

    fn is_whole(&self) -> bool {
        self.likeness == Some(Likeness::Whole)
    }

    fn suggestion(&self, entry: &StatementEntry, left: Money, splits: bool) -> Suggestion {
        let item = self.item;
        let part = match splits && self.is_whole() {
            true => item.amount,
            false => left,
        };
        let total = self.rows.iter().map(|(_, minor)| *minor).sum::<i64>();
        let adds_up = self.rows.len() > 1 && total == item.amount.minor();
        let others = self
            .rows
            .iter()
            .filter(|(row, _)| adds_up && *row != entry.id);
        let amount_fits = adds_up || item.amount == part;
        let score = self.likeness.map_or(0.0, Likeness::score);
        Suggestion {
            row: entry.id.clone(),
            enrollment: item.enrollment,
            learner: item.learner.clone(),
            course: item.course.clone(),
            payment: item.reference.clone(),
            score: score + if amount_fits { SUM } else { 0.0 },
            likeness: self.likeness,
            asked: item.amount,
            part,
            together: others.map(|(row, _)| row.clone()).collect(),
            amount_fits,
            other_offer: item.other_offer.clone(),
            expected: item.expected,
        }
    }
}

/// Whether a row has the whole references of several payments, whose prices come to its sum.
fn splits(left: Money, fits: &[Fit<'_>]) -> bool {
    let whole: Vec<Money> = fits
        .iter()
        .filter(|fit| fit.is_whole())
        .map(|fit| fit.item.amount)
        .collect();
    let sum = whole
        .iter()
        .fold(0_i64, |sum, it| sum.saturating_add(it.minor()));
    let currency = left.currency();
    whole.len() > 1 && sum == left.minor() && whole.iter().all(|it| it.currency() == currency)
}
