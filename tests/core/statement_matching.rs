//! References as they come back from banks, and what they are suggested for.

use chrono::NaiveDate;
use coursegate::enrollment::Expected;
use coursegate::statement::{
    Likeness, Matcher, RowId, StatementEntry, StatementRow, Suggestion, Waiting,
};
use coursegate::{IdGenerator, Money, PaymentReference};
use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::scene::account;
use crate::support::{admin, course, learner, start};

const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn one_of(random: &mut TestRng) -> char {
    char::from(ALPHABET[random.random_range(0..32)])
}

fn reference(random: &mut TestRng) -> String {
    let body: String = (0..12).map(|_| one_of(random)).collect();
    format!("CG-{body}")
}

fn waiting(references: &[String]) -> Vec<Waiting> {
    let mut ids = IdGenerator::new(start());
    let prices = [49_900, 35_000, 99_900];
    references
        .iter()
        .enumerate()
        .map(|(at, reference)| Waiting {
            enrollment: ids.enrollment(),
            learner: learner(&format!("learner-{at}")),
            course: course(),
            reference: PaymentReference::new(reference.as_str()).unwrap(),
            amount: Money::zar(prices[at % 3]).unwrap(),
            other_offer: None,
            expected: Expected::Awaited,
        })
        .collect()
}

fn row(number: u32, sum: Money, reference: &str, description: &str) -> StatementEntry {
    let day = NaiveDate::from_ymd_opt(2026, 11, 3).unwrap();
    let row = StatementRow::new(day, sum, reference, description);
    let id = RowId::from(number.to_string().as_str());
    StatementEntry::new(id, (account(), number), row, admin(), start())
}

/// What rows are suggested for, best first.
fn suggest(rows: &[StatementEntry], waiting: &[Waiting]) -> Vec<Suggestion> {
    let mut matcher = Matcher::new(waiting.to_vec());
    matcher.note_rows(rows);
    let found = rows.iter().flat_map(|entry| matcher.suggest(entry, &[]));
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// What banks and payers do to a reference: two texts.
fn mutated(random: &mut TestRng, reference: &str, kind: u32) -> (String, String) {
    let bank = "FNB APP PAYMENT FROM  ".to_owned();
    let at = random.random_range(3..15);
    let mut chars: Vec<char> = reference.chars().collect();
    match kind {
        0 => _ = chars.remove(at),
        1 => chars.insert(at, one_of(random)),
        2 => chars.swap(at.min(13), at.min(13) + 1),
        3 => {
            let one = ["I", "l", "1"][random.random_range(0..3)];
            let text = reference.to_lowercase().replace('0', "O").replace('1', one);
            return (text, bank);
        }
        4 => return (reference[3..].to_owned(), bank),
        5 => {
            let name = &"THANDI"[..random.random_range(0..=6)];
            let text = format!("{name} {reference}");
            return (text[..text.len().min(20)].to_owned(), bank);
        }
        6 => {
            let (one, other) = reference.split_at(at);
            return (one.to_owned(), other.to_owned());
        }
        7 => {
            let bare = reference.replace('-', "");
            let (one, other): (u16, u16) = (random.random(), random.random());
            return (String::new(), format!("{one}{bare}{other}"));
        }
        8 => {
            chars[at] = one_of(random);
            chars[random.random_range(3..15)] = one_of(random);
        }
        _ => {
            let said = reference.replace('-', " . ");
            let said = format!("INVESTECPB{said} 0311 000000000000509");
            return (String::new(), said);
        }
    }
    (chars.into_iter().collect(), bank)
}

/// How many of ten thousand mutations are suggested for what they were, and that none is suggested
/// for something else with a score that looks sure.
#[test]
fn mutated_references_are_found_and_none_is_taken_for_another() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let references: Vec<_> = (0..2_000).map(|_| reference(&mut random)).collect();
    let waiting = waiting(&references);
    let (mut rows, mut right) = (Vec::new(), Vec::new());
    for number in 0..10_000 {
        let item = random.random_range(0..waiting.len());
        let (one, other) = mutated(&mut random, &references[item], number % 10);
        let sum = match random.random_range(0..4) {
            0 => Money::zar(1_234).unwrap(),
            _ => waiting[item].amount,
        };
        rows.push(row(number, sum, &one, &other));
        right.push((rows[rows.len() - 1].id.clone(), item));
    }
    // Transfers that are for nothing here, some like a reference.
    for number in 10_000..12_000 {
        let text = match number % 3 {
            0 => reference(&mut random),
            1 => reference(&mut random)[..random.random_range(5..12)].to_owned(),
            _ => random.random::<u64>().to_string(),
        };
        rows.push(row(number, waiting[0].amount, &text, "ACB CREDIT"));
    }
    let right: std::collections::HashMap<_, _> = right.into_iter().collect();
    let found = suggest(&rows, &waiting);
    let is_right = |fit: &Suggestion| {
        let item = right.get(&fit.row);
        item.is_some_and(|item| waiting[*item].enrollment == fit.enrollment)
    };
    let hits = found.iter().filter(|fit| is_right(fit)).count();
    assert!(hits >= 9_500, "{hits} of 10,000");
    let sure_and_wrong = found
        .iter()
        .filter(|fit| fit.score >= 0.8 && !is_right(fit));
    assert_eq!(sure_and_wrong.count(), 0);
}

fn likeness(text: &str, references: &[&str]) -> Vec<Likeness> {
    let references: Vec<_> = references.iter().map(|it| (*it).to_owned()).collect();
    let row = row(0, Money::zar(1).unwrap(), text, "");
    let found = suggest(&[row], &waiting(&references));
    found.iter().filter_map(|fit| fit.likeness).collect()
}

#[test]
fn a_suggestion_says_how_the_reference_stands_in_the_row() {
    let one = "CG-7K3M9QXDT4WZ";
    for (text, right) in [
        ("CG-7K3M9QXDT4WZ", Some(Likeness::Whole)),
        ("thandi cg 7k3m.9qxdt4wz 2", Some(Likeness::Whole)),
        ("7K3M9QXDT4WZ", Some(Likeness::WithoutPrefix)),
        ("G-7K3M9QXDT4WZ", Some(Likeness::WithoutPrefix)),
        ("CG-7K3M9QXDT4WX", Some(Likeness::Edited { edits: 1 })),
        ("CG-7K3M9QXDTW4Z", Some(Likeness::Edited { edits: 1 })),
        ("CG-K3M9QXDT4W", Some(Likeness::Edited { edits: 2 })),
        ("NAME AND MORE CG-7K3", Some(Likeness::Cut { left: 3 })),
        ("CG-7K3M9 0311", Some(Likeness::Cut { left: 5 })),
        // What goes on otherwise is another reference.
        ("CG-7K3M9ABCDEFG", None),
        ("CG-7K", None),
        ("CG", None),
        ("", None),
    ] {
        let found = likeness(text, &[one]);
        assert_eq!(found, Vec::from_iter(right), "{text}");
    }
}

#[test]
fn what_is_as_like_another_suggests_nothing() {
    let pair = ["CG-7K3M9QXDT4WZ", "CG-8K3M9QXDT4WZ"];
    assert_eq!(likeness("CG-9K3M9QXDT4WZ", &pair), []);
    assert_eq!(likeness("CG-8K3M9QXDT4WZ", &pair), [Likeness::Whole]);
    assert_eq!(
        likeness("CG-7K3M9", &["CG-7K3M9QXDT4WZ", "CG-7K3M9QXDT4WY"]),
        []
    );
    // Written alike, but for how `O` is read; and one inside the other.
    assert_eq!(likeness("AB-LOL123", &["AB-LOL123", "AB-101123"]), []);
    assert_eq!(
        likeness("INV-12345678", &["INV-12345678", "INV-1234567"]),
        [Likeness::Whole]
    );
    // One transfer for two courses names both.
    let both = "CG-7K3M9QXDT4WZ CG-8K3M9QXDT4WZ";
    assert_eq!(likeness(both, &pair), [Likeness::Whole; 2]);
}

/// Text that is made to be slow is looked at, and ends.
#[test]
fn hostile_texts_cost_little() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let references: Vec<_> = (0..500).map(|_| reference(&mut random)).collect();
    let waiting = waiting(&references);
    let pieces: String = references.iter().map(|it| &it[3..6]).collect();
    let rows: Vec<_> = (0..20)
        .map(|number| row(number, waiting[0].amount, &pieces[..450], &pieces[450..900]))
        .collect();
    assert!(suggest(&rows, &waiting).iter().all(|fit| fit.score < 0.8));
}

#[test]
fn rows_are_matched_by_reference_and_sum_with_a_score() {
    let names = ["CG-7K3M9QXDT4WZ", "CG-8K3M9QXDT4WZ", "CG-000000000000"];
    let mut all = waiting(&names.map(str::to_owned));
    all[2].amount = all[1].amount;
    let (first, second) = (all[0].enrollment, all[1].enrollment);
    let row = |text: &str, cents| row(0, Money::zar(cents).unwrap(), text, "EFT");
    let best = |row: StatementEntry| {
        let found = suggest(&[row], &all);
        found
            .first()
            .map(|best| (best.enrollment, format!("{:.2}", best.score)))
    };
    let some = |id, score: &str| Some((id, score.to_owned()));
    assert_eq!(best(row("CG-7K3M9QXDT4WZ", 49_900)), some(first, "1.00"));
    assert_eq!(
        best(row("payment cg 7k3m 9qxd t4wz thandi", 49_900)),
        some(first, "1.00")
    );
    assert_eq!(best(row("CG-7K3M9QXDT4WX", 49_900)), some(first, "0.75"));
    assert_eq!(best(row("CG-7K3M9QXDT4WZ", 10_000)), some(first, "0.70"));
    assert_eq!(best(row("CG-7X3M9QXDT4WZ", 10_000)), some(first, "0.45"));
    // A sum that one enrollment waits for, and one that two do.
    assert_eq!(best(row("school fees", 49_900)), some(first, "0.30"));
    assert_eq!(best(row("school fees", 35_000)), None);
    assert_eq!(best(row("school fees", 1)), None);
    // In the description, and beside a neighbour that is one character away.
    let described = self::row(0, Money::zar(35_000).unwrap(), "", "EFT CG8K3M9QXDT4WZ");
    let found = suggest(&[described], &all);
    assert_eq!(found[0].enrollment, second);
    assert!(found[0].amount_fits && found[0].score > 0.99);
    assert!(
        found[1..].iter().all(|other| other.score < 0.6),
        "{found:?}"
    );
    assert!(suggest(&[row("CG", 5)], &all).is_empty());
}
