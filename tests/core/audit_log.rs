//! Exported lines: whatever is changed in them is found without the database.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::event::audit_log::{Checkpoint, verify_lines};
use coursegate::event::form::{EMPTIED, FORM};
use coursegate::payment::PaymentMethod;
use coursegate::port::{Clock, Sleep};
use coursegate::store::{PageRequest, Store};
use coursegate::{AppId, Registrar, Secret};
use proptest::prelude::*;

use crate::support::{APP_ID, SECRET, World, admin, config, learner, request, start};

/// The lines of a school in which one of two learners was erased.
fn lines() -> &'static [String] {
    static LINES: OnceLock<Vec<String>> = OnceLock::new();
    LINES.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let world = World::new();
            let desk = world.registrar.admin(admin());
            for name in ["thandi", "sipho"] {
                let wish = request(name, PaymentMethod::BankTransfer);
                let enrolled = world.registrar.enroll(wish).await.unwrap();
                desk.approvals()
                    .reject(enrolled.enrollment.unwrap(), "said \"no\" 😀")
                    .await
                    .unwrap();
            }
            while world.store.append_audit_log(None, 100).await.unwrap() > 0 {}
            let whole = desk
                .audit_log()
                .export(PageRequest::first(500))
                .await
                .unwrap();
            desk.learners().erase(&learner("thandi")).await.unwrap();
            while world.store.append_audit_log(None, 100).await.unwrap() > 0 {}
            let erased = desk
                .audit_log()
                .export(PageRequest::first(500))
                .await
                .unwrap();
            // Nothing of what is kept changed: only what is personal went.
            for (before, after) in whole.items.iter().zip(&erased.items) {
                assert_eq!(kept(before), kept(after));
                assert!(before.contains("\"salt\":\""));
            }
            assert!(!erased.items.concat().contains("thandi"));
            assert!(erased.items.concat().contains(EMPTIED));
            erased.items
        })
    })
}

/// All of a line that an erasure leaves alone.
fn kept(line: &str) -> (&str, &str) {
    let (hashes, rest) = line.split_once("\"salt\"").unwrap();
    let kept = rest.split_once("\"kept\"").unwrap().1;
    (hashes, kept.split_once("\"personal\":{").unwrap().0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Any character of any line, changed, taken out or doubled.
    #[test]
    fn any_character_of_a_line_counts(line in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(), how in 0..3_u8, with in "[0-9a-z\"{},:]") {
        let mut lines = lines().to_vec();
        let line = line.index(lines.len());
        let text = &lines[line];
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[place.index(places.len())];
        let mut changed = text.clone();
        match how {
            0 => changed.replace_range(at..=at + text[at..].chars().next().unwrap().len_utf8() - 1, &with),
            1 => drop(changed.remove(at)),
            _ => changed.insert_str(at, &with),
        }
        prop_assume!(changed != *text);
        lines[line] = changed;
        prop_assert!(verify_lines(&lines, None).is_err(), "{}", lines[line]);
    }

    /// Lines that change places, go missing or come twice.
    #[test]
    fn any_line_counts(a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), how in 0..3_u8) {
        let mut lines = lines().to_vec();
        let whole = verify_lines(&lines, None).unwrap();
        let (a, b) = (a.index(lines.len()), b.index(lines.len()));
        match how {
            0 if a != b => lines.swap(a, b),
            1 => drop(lines.remove(a)),
            _ => lines.insert(a, lines[a].clone()),
        }
        // What is cut off at the end is found by who noted a link.
        prop_assert!(verify_lines(&lines, Some(whole.newest)).is_err());
    }
}

#[test]
fn an_erasure_of_one_says_nothing_of_the_other() {
    let whole = verify_lines(lines(), None).unwrap();
    let emptied = lines().iter().filter(|line| line.contains(EMPTIED));
    // The erasure itself names nobody, and keeps its salt.
    assert_eq!(emptied.count() as u64, whole.erased + 1);
    for (number, line) in lines().iter().enumerate() {
        if line.contains(EMPTIED) {
            continue;
        }
        let mut lines = lines().to_vec();
        let (before, rest) = line.split_once("\"salt\":").unwrap();
        let (salt, rest) = rest.split_once(',').unwrap();
        let (rest, _) = rest.split_once("\"personal\":{").unwrap();
        // With the salt or without it.
        for salt in [salt, "null"] {
            lines[number] = format!("{before}\"salt\":{salt},{rest}\"personal\":{EMPTIED}}}");
            let broken = verify_lines(&lines, None).unwrap_err();
            assert_eq!(broken.position, number as u64 + 1, "{}", lines[number]);
        }
    }
}

/// A chain of another day: the form is fixed by its number.
#[test]
fn a_chain_that_was_exported_once_holds_for_ever() {
    assert_eq!(FORM, 1);
    let lines = include_str!("../data/audit_log_1.jsonl").lines();
    let noted: Checkpoint = include_str!("../data/audit_log_1.noted").parse().unwrap();
    let checked = verify_lines(lines, Some(noted.clone())).unwrap();
    assert_eq!(checked.newest, noted);
    assert_eq!(checked.erased, 4);
}

/// A clock on which each look at it takes so long.
#[derive(Debug)]
struct Slow(AtomicI64, Arc<AtomicI64>);

impl Clock for Slow {
    fn now(&self) -> DateTime<Utc> {
        let passed = self
            .0
            .fetch_add(self.1.load(Ordering::Relaxed), Ordering::Relaxed);
        start() + chrono::Duration::seconds(passed)
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

/// A turn ends before its lease does, whatever is left to seal: another worker would take it up
/// beside this one, and a killed one would keep it for as long.
#[tokio::test]
async fn sealing_is_done_in_turns_that_end() {
    let pace = Arc::new(AtomicI64::new(0));
    let store = MemoryStore::new();
    let registrar = Registrar::builder(config(), store.clone())
        .gateway(
            Simulator::new(
                AppId::new(APP_ID).unwrap(),
                Secret::new(SECRET).unwrap(),
                Settings::new(1),
            )
            .gateway(),
        )
        .clock(Slow(AtomicI64::default(), pace.clone()))
        .build_for_tests()
        .unwrap();
    for number in 0..800 {
        let wish = request(&format!("learner-{number}"), PaymentMethod::BankTransfer);
        registrar.enroll(wish).await.unwrap();
    }
    let desk = registrar.admin(admin());
    let sealed = async || {
        let (mut sealed, mut page) = (0, PageRequest::first(500));
        loop {
            let lines = desk.audit_log().export(page).await.unwrap();
            sealed += lines.items.len();
            match lines.next {
                Some(after) => page = PageRequest::after(after, 500),
                None => return sealed,
            }
        }
    };
    let worker = registrar.worker();
    // The job is set, and falls due.
    worker.pass().await.unwrap();
    pace.store(86_400, Ordering::Relaxed);
    registrar.health().await;
    let mut found = Vec::new();
    while found.len() < 20 && found.last().is_none_or(|sealed| *sealed < 2_400) {
        pace.store(12, Ordering::Relaxed);
        worker.pass().await.unwrap();
        pace.store(0, Ordering::Relaxed);
        found.push(sealed().await);
    }
    assert!(
        found[0] <= 2_000 && found.last() >= Some(&2_400),
        "{found:?}"
    );
}
