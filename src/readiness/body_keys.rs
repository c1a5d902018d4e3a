//! Keys for stored bodies that somebody can guess.

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

use super::report::ReadinessFinding;
use super::rule::ReadinessRule;
use crate::config::{Config, Mode};
use crate::webhook::BodyKeyFlaw;

const LENGTH: usize = 32;

/// What is wrong with the keys that bodies are encrypted with.
pub(super) fn findings(config: &Config) -> Vec<ReadinessFinding> {
    let keys = &config.body_keys;
    let flawed = keys.flaws().map(|(label, flaw)| {
        let rule = match flaw {
            BodyKeyFlaw::Uniform => ReadinessRule::BodyKeyUniform,
            BodyKeyFlaw::Counter => ReadinessRule::BodyKeyCounter,
        };
        ReadinessFinding::new(rule).about(subject(label))
    });
    let mut findings: Vec<ReadinessFinding> = flawed.collect();
    // The credentials of a simulator are no secret, and neither is what it stores.
    if config.mode == Mode::Staging {
        return findings;
    }
    let secrets = config.keys.texts().map(|(_, secret)| secret);
    let made: Vec<_> = secrets
        .chain([config.app_id.as_str()])
        .flat_map(made_of)
        .collect();
    let known = keys.labels().filter(|label| keys.is_among(label, &made));
    findings.extend(
        known.map(|label| {
            ReadinessFinding::new(ReadinessRule::BodyKeyIsSecret).about(subject(label))
        }),
    );
    findings
}

fn subject(label: &str) -> String {
    format!("COURSEGATE_BODY_KEYS, {label}")
}

/// The keys that a credential makes when it is written as hex or base64, filled up, repeated, cut
/// off or hashed.
fn made_of(secret: &str) -> Vec<[u8; LENGTH]> {
    let bytes = secret.as_bytes();
    let hex = base16ct::lower::encode_string(bytes);
    let base64 = Base64::encode_string(bytes);
    let mut made = Vec::new();
    for text in [bytes, hex.as_bytes(), base64.as_bytes()] {
        let mut filled = [0; LENGTH];
        let mut repeated = [0; LENGTH];
        for (at, byte) in text.iter().take(LENGTH).enumerate() {
            filled[at] = *byte;
        }
        for (place, byte) in repeated.iter_mut().zip(text.iter().cycle()) {
            *place = *byte;
        }
        made.extend([filled, repeated]);
    }
    let mut key = [0; LENGTH];
    let decoded = base16ct::mixed::decode(bytes, &mut key).map(<[u8]>::len);
    if decoded == Ok(LENGTH) {
        made.push(key);
    }
    made.push(Sha256::digest(bytes).into());
    made
}
