//! Canaries, and what catches them.

use std::collections::HashSet;

/// Made up, each looking like what it stands for.
pub const SECRETS: [&str; 6] = [
    "IKTESTAPPLICATION",
    "test-secret-0123456789abcdef",
    "test-secret-canary-of-last-year",
    "test-secret-canary-of-next-year",
    "c0ffee00c0ffee01c0ffee02c0ffee03c0ffee04c0ffee05c0ffee06c0ffee07",
    "0ddba1100ddba1110ddba1120ddba1130ddba1140ddba1150ddba1160ddba117",
];

/// Card numbers of all lengths there are, with right check digits (ISO/IEC 7812-1, annex B).
pub fn cards() -> Vec<String> {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut digit = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        char::from_digit(u32::try_from(seed % below).unwrap(), 10).unwrap()
    };
    let card = |number: usize| {
        let prefix = ["4", "51", "34", "6011", "3530", "5018"][number % 6];
        let length = [16, 16, 15, 16, 16, 19, 13][number % 7];
        let mut card = prefix.to_owned();
        while card.len() < length - 1 {
            card.push(digit(10));
        }
        let sum: u32 = card
            .bytes()
            .rev()
            .enumerate()
            .map(|(at, b)| match (u32::from(b - b'0'), at % 2) {
                (digit, 0) if digit > 4 => digit * 2 - 9,
                (digit, 0) => digit * 2,
                (digit, _) => digit,
            })
            .sum();
        card.push(char::from_digit((10 - sum % 10) % 10, 10).unwrap());
        card
    };
    (0..10_000).map(card).collect()
}

/// As people write them.
pub fn written(card: &str, how: usize) -> String {
    let groups = |between: &str| {
        let digits: Vec<char> = card.chars().collect();
        let groups: Vec<String> = digits.chunks(4).map(String::from_iter).collect();
        groups.join(between)
    };
    match how % 4 {
        0 => card.to_owned(),
        1 => groups(" "),
        2 => groups("-"),
        _ => groups("."),
    }
}

/// Catches what must not come out.
pub struct Net {
    cards: HashSet<String>,
    pub forbidden: Vec<String>,
}

impl Net {
    pub fn new(cards: &[String]) -> Self {
        let mut forbidden: Vec<String> = SECRETS.iter().map(|it| (*it).to_owned()).collect();
        // A signature opens nothing, and has no place in a log either.
        forbidden.push("canary-signature".to_owned());
        Self {
            cards: cards.iter().cloned().collect(),
            forbidden,
        }
    }

    /// What of it is in a text, whatever stands between the digits.
    pub fn find(&self, text: &str) -> Option<String> {
        let secret = self.forbidden.iter().find(|it| text.contains(it.as_str()));
        if let Some(secret) = secret {
            return Some(secret.clone());
        }
        let is_between = |c: char| matches!(c, ' ' | '-' | '.' | '\u{a0}');
        let mut digits = String::new();
        for c in text.chars().chain(['!']) {
            if c.is_ascii_digit() {
                digits.push(c);
            } else if !is_between(c) {
                for start in 0..digits.len().saturating_sub(12) {
                    for length in 13..=(digits.len() - start).min(19) {
                        if let Some(card) = self.cards.get(&digits[start..start + length]) {
                            return Some(card.clone());
                        }
                    }
                }
                digits.clear();
            }
        }
        None
    }

    pub fn clean(&self, text: &str, what: &str) {
        if let Some(canary) = self.find(text) {
            let at = text.find(&canary).unwrap_or(0);
            let near: String = text
                .chars()
                .skip(at.saturating_sub(150))
                .take(300)
                .collect();
            panic!("{what} shows {canary}: {near}");
        }
    }
}
