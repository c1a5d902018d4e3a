//! What a credential looks like.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::report::ReadinessFinding;
use super::rule::ReadinessRule;
use super::walk::is_walk;

/// SHA-256 of credentials that stand in public code.
const LEAKED: [&str; 2] = [
    "390fe7a9113d9413e5ba08082a304e22a807136801602ad48b3f1162d2d43442",
    "37fc93f93a26103599740d71c2fa66f1b0551ce32a80093d6ac401a2aa822001",
];
/// The provider's secrets (ikhokha/ik-pay-api-examples and its help pages).
const SECRET_LENGTH: usize = 32;
/// Shorter ones can be guessed, or were cut off.
const SHORTEST: usize = 24;
/// Different characters that 32 random ones of 62 have at least: fewer than 15 come up once in
/// a thousand million.
const FEWEST_CHARACTERS: usize = 12;
/// Long enough not to come up in a random secret.
const WORDS: [&str; 9] = [
    "changeme",
    "placeholder",
    "example",
    "secret",
    "password",
    "sample",
    "xxxxxx",
    "insert",
    "replace",
];
/// Short words, which a random secret may hold: these count only beside a separator.
const SHORT_WORDS: [&str; 8] = [
    "test", "demo", "fake", "dummy", "your", "dev", "local", "todo",
];

/// What programs put around a value; no credential begins or ends with one.
pub(super) const QUOTES: [char; 7] = [
    '"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
];

/// What is wrong with a secret.
pub(super) fn secret(text: &str, app_id: &str, subject: &str) -> Vec<ReadinessFinding> {
    let found = |rule| ReadinessFinding::new(rule).about(subject);
    let mut findings = Vec::new();
    if is_leaked(text) {
        findings.push(found(ReadinessRule::SecretLeaked));
    }
    if text.eq_ignore_ascii_case(app_id) {
        findings.push(found(ReadinessRule::SecretIsAppId));
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        findings.push(found(ReadinessRule::CredentialQuoted));
    }
    if is_placeholder(text) {
        findings.push(found(ReadinessRule::SecretPlaceholder));
    } else if is_walk(text) {
        findings.push(found(ReadinessRule::SecretWalk));
    }
    if text.len() < SHORTEST {
        findings.push(found(ReadinessRule::SecretShort));
    }
    let characters: BTreeSet<u8> = text.bytes().collect();
    if characters.len() < FEWEST_CHARACTERS && text.len() >= SHORTEST {
        findings.push(found(ReadinessRule::SecretUniform));
    }
    let usual = text.len() == SECRET_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !usual && findings.is_empty() {
        findings.push(found(ReadinessRule::SecretShape));
    }
    findings
}

/// What is wrong with an application id.
pub(super) fn app_id(text: &str, subject: &str) -> Vec<ReadinessFinding> {
    let found = |rule| vec![ReadinessFinding::new(rule).about(subject)];
    if is_leaked(text) {
        return found(ReadinessRule::SecretLeaked);
    }
    if text.starts_with("IKTEST") || is_placeholder(text) {
        return found(ReadinessRule::SecretPlaceholder);
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return found(ReadinessRule::CredentialQuoted);
    }
    if is_walk(text) {
        return found(ReadinessRule::SecretWalk);
    }
    let rest = text.strip_prefix("IK").unwrap_or_default();
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
    if rest.len() == 30 && rest.bytes().all(fits) {
        Vec::new()
    } else {
        found(ReadinessRule::AppIdShape)
    }
}

/// Whether a value stands between quotes of one kind.
pub(super) fn is_quoted(value: &str) -> bool {
    let between =
        |quote: char| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    QUOTES.into_iter().any(between)
}

fn is_leaked(text: &str) -> bool {
    is_among(text, &LEAKED)
}

fn is_among(text: &str, digests: &[&str]) -> bool {
    let digest = base16ct::lower::encode_string(&Sha256::digest(text));
    digests.contains(&digest.as_str())
}

fn is_placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let parts: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect();
    WORDS.iter().any(|word| lower.contains(word))
        || (parts.len() > 1 && parts.iter().any(|part| SHORT_WORDS.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::{LEAKED, is_among};

    #[test]
    fn a_published_credential_is_known_by_its_digest() {
        // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let abc = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"];
        assert!(is_among("abc", &abc));
        assert!(!is_among("abd", &abc));
        let is_digest =
            |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(LEAKED.iter().all(is_digest));
    }
}
