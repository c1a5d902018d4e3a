//! Events of every kind, with texts and numbers that are easily written in two ways.

use chrono::Duration;

use super::harness::start;
use crate::event::form::EventParts;
use crate::event::{Actor, Event, EventKind, Source};
use crate::vocabulary::{AdminId, CourseId, EnrollmentId, IdGenerator, LearnerId, Note};

type Made<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const GRANT: &str = "01936d9c-0000-7000-8000-000000000001";

/// Every kind of fact, as JSON: those that hold what people wrote more than once.
const FACTS: &[&str] = &[
    r#"{"type":"enrollment_created","price":{"minor":99999999999,"currency":"ZAR"},"declared":"card"}"#,
    r#"{"type":"enrollment_moved","from":{"state":"awaiting_payment"},"to":{"state":"approved","cause":"automatic_card_payment"},"transition":"payment_approved"}"#,
    r#"{"type":"enrollment_moved","from":{"state":"awaiting_payment"},"to":{"state":"rejected","reason":"told me \"no\" \\ 😀"},"transition":"person_rejected"}"#,
    r#"{"type":"enrollment_moved","from":{"state":"rejected","reason":""},"to":{"state":"rejected","reason":"écrit"},"transition":"person_rejected"}"#,
    r#"{"type":"enrollment_moved","from":{"state":"rejected","reason":""},"to":{"state":"expired"},"transition":"unpaid"}"#,
    r#"{"type":"enrollment_revised","price":{"minor":1,"currency":"ZAR"},"declared":"bank_transfer","terms":{"level":"limited","kinds":["lesson","quiz"],"seconds":86400,"restricted":true}}"#,
    r#"{"type":"details_changed"}"#,
    r#"{"type":"asked_again","reference":"REF-1"}"#,
    r#"{"type":"asked_again","reference":null}"#,
    r#"{"type":"review_changed","reason":"instant_eft"}"#,
    r#"{"type":"review_changed","reason":null}"#,
    r#"{"type":"enrollment_moved","from":{"state":"approved","cause":"migration"},"to":{"state":"withdrawn","why":"revoked"},"transition":"access_revoked"}"#,
    r#"{"type":"attempt_started","reference":"CG-1","amount":{"minor":100000000000,"currency":"ZAR"},"terms":{"level":"full","kinds":["full"],"seconds":null,"restricted":false},"purpose":{"type":"first"}}"#,
    r#"{"type":"attempt_started","reference":"CG-2","amount":{"minor":1,"currency":"ZAR"},"terms":{"level":"full","kinds":["full"],"seconds":18446744073709551615,"restricted":false},"purpose":{"type":"renewal","of":"GRANT"}}"#,
    r#"{"type":"attempt_moved","reference":"CG-1","from":"started","to":"failed"}"#,
    r#"{"type":"payment_completed","reference":"CG-1","amount":null,"method":"unknown","allocation":{"allocation":"applied"}}"#,
    r#"{"type":"payment_restated","reference":"CG-1","allocation":{"allocation":"refunded"}}"#,
    r#"{"type":"payment_returned","reference":"CG-1","amount":{"minor":1,"currency":"ZAR"},"ends_access":true}"#,
    r#"{"type":"refund_requested","reference":"CG-1","amount":{"minor":1,"currency":"ZAR"}}"#,
    r#"{"type":"refund_failed","reference":"CG-1","amount":{"minor":1,"currency":"ZAR"}}"#,
    r#"{"type":"payment_reversed","reference":"CG-1","how":"charged_back"}"#,
    r#"{"type":"payment_reinstated","reference":"CG-1"}"#,
    r#"{"type":"proof_attached","reference":"CG-1"}"#,
    r#"{"type":"payment_doubted","reference":"CG-1","reason":"late_payment"}"#,
    r#"{"type":"access_granted","grant":"GRANT","until":"2026-01-31T09:00:00.000000001Z","more":true}"#,
    r#"{"type":"grant_given","grant":"GRANT","until":null}"#,
    r#"{"type":"grant_taken","grant":"GRANT","why":"revoked"}"#,
    r#"{"type":"access_rebased","grant":"GRANT","payment":"CG-1"}"#,
    r#"{"type":"access_rebased","grant":"GRANT","payment":null}"#,
    r#"{"type":"access_ended","grant":"GRANT","why":"refunded"}"#,
    r#"{"type":"access_suspended","grant":"GRANT","why":"reversed"}"#,
    r#"{"type":"access_resumed","grant":"GRANT"}"#,
    r#"{"type":"discrepancy_found","key":"unmatched: a\u2028b","kind":"unmatched_payment","about":null}"#,
    r#"{"type":"discrepancy_closed","key":"unmatched"}"#,
    r#"{"type":"statement_imported","account":"fnb","rows":18446744073709551615,"doubtful":0,"done":500,"of":900}"#,
    r#"{"type":"transfer_found","reference":"CG-1","amount":{"minor":1,"currency":"ZAR"}}"#,
    r#"{"type":"statement_row_apart","row":"a","resembles":"b"}"#,
    r#"{"type":"statement_rows_repeated","rows":2}"#,
    r#"{"type":"statement_row_closed","row":"\u0001\u001f\u007f\u0085 </script> \\u0041"}"#,
    r#"{"type":"delivery_parked","key":"link\u0009/SUCCESS/\ud83d\ude00"}"#,
    r#"{"type":"delivery_dead","key":"link/SUCCESS/1","cause":"unknown field `thandi`"}"#,
    r#"{"type":"delivery_overdue","key":"link/SUCCESS/1"}"#,
    r#"{"type":"delivery_replayed","key":"\uffff\ue000"}"#,
    r#"{"type":"first_approval"}"#,
    r#"{"type":"action_refused","permission":"approve","unrecorded":0}"#,
    r#"{"type":"alert_changed","rule":"bad_signatures","stage":"raised","severity":"critical","since":"2026-01-05T08:00:00Z","escalated":false}"#,
    r#"{"type":"personal_erased","events":[],"grants":[]}"#,
    r#"{"type":"live_probed"}"#,
    r#"{"type":"personal_exported"}"#,
    r#"{"type":"bodies_purged","bodies":7,"before":"2026-01-31T09:00:00Z"}"#,
    r#"{"type":"preferences_chosen"}"#,
    r#"{"type":"notice_undelivered","notice":"GRANT","channel":"mail"}"#,
    r#"{"type":"publishing_given_up","event":"GRANT"}"#,
    r#"{"type":"delivery_repeated","key":"link/SUCCESS/1","unrecorded":3}"#,
    r#"{"type":"access_probed","unrecorded":2}"#,
    r#"{"type":"flood_began","of":"bad_signature"}"#,
    r#"{"type":"delivery_refused","error":"missing_app_id","unrecorded":1}"#,
];

/// A basis; `WEIGHTS` stands for indicators, and `CARD` for what was told of the card.
const BASIS: &str = r#"{"evidence":{"evidence_level":"confirmed","signature":null,"confirmation":null,
    "stated":{"minor":49900,"currency":"ZAR"},"amount":"match","currency":"not_stated","attempt":"differs"},
    "detection":{"method":"card","confidence":1e-7,"level":"high","leading":"card","fallback":null,"seen":false,
    "rule_set":"\"own\" \u0000 rules","indicators":[WEIGHTS],"metadata":{CARD}},
    "checks":[{"name":"exists","outcome":"passed"},{"name":"learner","outcome":"passed"},
    {"name":"course","outcome":"passed"},{"name":"amount","outcome":"passed"},
    {"name":"currency","outcome":"not_stated"},
    {"name":"offer","outcome":"failed","reason":"old_price","sums":{"is":{"minor":1,"currency":"ZAR"},"asked":{"minor":2,"currency":"ZAR"}}},{"name":"attempt","outcome":"passed"},
    {"name":"status","outcome":"passed"}],
    "decision":{"decision":"approve","because":"automatic_card_payment"}}"#;

/// Numbers that have more than one way to be written.
const WEIGHTS: &[&str] = &[
    "0",
    "-0.0",
    "1",
    "1.0",
    "1e-7",
    "5e-324",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "0.1",
    "0.30000000000000004",
    "123456789012345680",
    "1e21",
    "1e22",
    "9007199254740993",
    "18446744073709551615",
    "-9223372036854775808",
    "9.999999999999999e22",
    "6.02214076e23",
];

/// Numbers that nobody chose, the same each time.
fn some_weights() -> impl Iterator<Item = String> {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        f64::from_bits(bits)
    })
    .filter(|float| float.is_finite())
    .map(|float| format!("{float:e}"))
    .take(200)
}

pub(super) fn facts() -> Made<Vec<EventKind>> {
    let read = |text: &&str| {
        let kind = serde_json::from_str(&text.replace("GRANT", GRANT));
        kind.map_err(|error| format!("{text}: {error}").into())
    };
    FACTS.iter().map(read).collect()
}

/// Events of every kind: with and without all that an event may have.
pub(super) fn events() -> Made<Vec<Event>> {
    let mut ids = IdGenerator::new(start());
    let enrollment = EnrollmentId::from_uuid(uuid::Uuid::from_u128(7));
    let weights = WEIGHTS.iter().map(|weight| (*weight).to_owned());
    let weights: Vec<String> = weights.chain(some_weights()).collect();
    let mut events = Vec::new();
    for (number, kind) in (0..).zip(facts()?) {
        let plain = Event::new(
            ids.event(),
            kind.clone(),
            Actor::System,
            Source::SystemAutomatic,
            start() + Duration::nanoseconds(1_234_567_891 * number),
        );
        let mut full = plain.clone().about(
            LearnerId::new("thandi \"😀\" \\ é\u{10348}")?,
            CourseId::new("rust-101")?,
        );
        full.id = ids.event();
        full.enrollment = Some(enrollment);
        full.version.0 = u64::try_from(i64::MAX)?;
        full.who = Actor::Admin(AdminId::new("amahle \"boss\" \\ ~")?);
        full.note = Some(Note::new("said: \"\u{7f}\\n\" 😀 \u{ffff}\u{2029} </b>"));
        let card = match number % 2 {
            0 => r#""response_code":"00""#,
            _ => r#""auth_code":"\"A1\"","card_type":"Visa","response_code":"05""#,
        };
        let weights = weights.iter().skip(usize::try_from(number)? * 5).take(6);
        let indicators: Vec<String> = weights
            .map(|weight| format!(r#"{{"rule":"r","method":"card","weight":{weight},"required":false,"matched":true}}"#))
            .collect();
        let basis = BASIS
            .replace("WEIGHTS", &indicators.join(","))
            .replace("CARD", card);
        let parts = EventParts {
            data: serde_json::to_string(&kind)?,
            basis: Some(basis),
            written: None,
            card: None,
        };
        full.basis = parts.join()?.1;
        events.push(plain);
        events.push(full);
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{events, facts};

    /// The names of a fact's kinds, as the source has them.
    fn kinds() -> BTreeSet<String> {
        let source = include_str!("../event/kind.rs");
        let body = source.split("pub enum EventKind {").nth(1).unwrap();
        let body = body.split("\n}").next().unwrap();
        let named = body.lines().filter_map(|line| {
            let name = line.strip_prefix("    ")?;
            let name = name.trim_end_matches([' ', '{', ',']);
            let starts = name.starts_with(|c: char| c.is_ascii_uppercase());
            starts.then(|| name.to_owned())
        });
        named.collect()
    }

    /// A new kind of fact needs a sample: else nobody compares its form in the stores.
    #[test]
    fn there_is_a_sample_of_every_kind() {
        let words = |kind: &str| {
            let mut words = String::new();
            for c in kind.chars() {
                if c.is_ascii_uppercase() && !words.is_empty() {
                    words.push('_');
                }
                words.push(c.to_ascii_lowercase());
            }
            words
        };
        let expected: BTreeSet<String> = kinds().iter().map(|kind| words(kind)).collect();
        assert!(expected.len() > 40);
        let found = facts().unwrap().into_iter().map(|kind| {
            let json = serde_json::to_value(&kind).unwrap();
            json["type"].as_str().unwrap().to_owned()
        });
        assert_eq!(found.collect::<BTreeSet<_>>(), expected);
        assert_eq!(events().unwrap().len(), 2 * facts().unwrap().len());
    }

    /// A new text in a fact needs a thought: `EventKind::written` says which of them are personal.
    #[test]
    fn texts_that_people_write_are_known() {
        let source = include_str!("../event/kind.rs");
        let typed = |name: &str| source.matches(&format!(": {name},")).count();
        // The strings are names of rows and of alert rules: nobody writes them.
        assert_eq!((typed("Note"), typed("Status"), typed("String")), (1, 2, 4));
        assert_eq!(
            typed("Option<Note>") + typed("Vec<Note>") + typed("Option<Status>"),
            0
        );
    }
}
