//! Personal data: encrypted where it is stored, kept no longer than asked, given out, erased.

use std::collections::HashSet;
use std::time::Duration;

use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::event::audit_log::{AnchorError, Checkpoint, verify_lines};
use coursegate::event::{Event, EventKind};
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{Error, ErrorKind, NewGrant, NextStep, Outcome};
use coursegate::store::{
    InboxFilter, InboxState, PageRequest, PaymentFilter, PaymentItem, Queries, Store,
};
use coursegate::webhook::{BodyError, BodyKeys, DeliveryKey, StoredBody};
use coursegate::{Config, Registrar, Secret};

use crate::support::{World, admin, body, config, course, learner, request, signed, signed_bytes};

const DAY: u64 = 24 * 3600;

/// A made-up body key: one digit, over and over.
fn key(digit: char) -> Secret {
    Secret::new(digit.to_string().repeat(64)).unwrap()
}

fn keys(labels: &[(&str, char)]) -> BodyKeys {
    let add = |keys: BodyKeys, (label, digit): &(&str, char)| keys.and(label, &key(*digit));
    labels.iter().try_fold(BodyKeys::default(), add).unwrap()
}

fn with_keys(labels: &[(&str, char)]) -> Config {
    let mut config = config();
    config.body_keys = keys(labels);
    config
}

async fn stored(world: &World, key: &DeliveryKey) -> StoredBody {
    world.store.delivery(key).await.unwrap().unwrap().body
}

/// The same school with other settings.
fn reopened(world: &World, config: Config) -> Registrar {
    Registrar::builder(config, world.store.clone())
        .gateway(world.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap()
}

#[tokio::test]
async fn bodies_are_encrypted_where_they_are_stored_and_keys_rotate() {
    let world = World::with(Settings::new(1), with_keys(&[("march", 'a')]), |it| it);
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    // Nobody can confirm it yet: it waits, and has to be read again later.
    let callback = body(link.as_str(), "SUCCESS", reference.as_str());
    let first = world.receive(&callback).await;
    assert_eq!(first.outcome, Outcome::Waiting);
    let first = first.delivery.unwrap();
    let StoredBody::Sealed { key, bytes } = stored(&world, &first).await else {
        panic!("it is stored as it came");
    };
    assert_eq!(key.as_ref(), "march");
    // Nonce and tag, and nothing that could be read.
    assert_eq!(bytes.len(), callback.len() + 12 + 16);
    assert!(
        !bytes
            .windows(4)
            .any(|part| callback.as_bytes().windows(4).any(|it| it == part))
    );

    // What cannot be read at all is encrypted as well.
    let unreadable = world.registrar.receive(signed_bytes(b"{\"payer\":")).await;
    assert_eq!(unreadable.outcome, Outcome::Unreadable);
    let kept = stored(&world, &unreadable.delivery.unwrap()).await;
    assert!(matches!(kept, StoredBody::Sealed { .. }), "{kept:?}");

    // A new key encrypts, and the old one still decrypts.
    let rotated = reopened(&world, with_keys(&[("april", 'b'), ("march", 'a')]));
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.take_callbacks();
    world.advance(60);
    rotated.worker().pass().await.unwrap();
    assert!(world.may_enter("thandi").await);
    let (_, reference, link) = world.attempt("sipho", PaymentMethod::Card).await;
    let later = rotated
        .receive(signed(&body(link.as_str(), "FAILURE", reference.as_str())))
        .await;
    let kept = stored(&world, &later.delivery.unwrap()).await;
    assert!(matches!(kept, StoredBody::Sealed { key, .. } if key.as_ref() == "april"));
}

#[tokio::test]
async fn a_body_whose_key_is_gone_waits_for_it_and_is_never_lost() {
    let mut settings = with_keys(&[("march", 'a')]);
    settings.retry_limit = 3;
    let world = World::with(Settings::new(1), settings.clone(), |it| it);
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world
        .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
        .await;
    let delivery = receipt.delivery.unwrap();
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.take_callbacks();

    let mut without = with_keys(&[("april", 'b')]);
    without.retry_limit = 3;
    // The attempt's own timer would find the payment too: this is about the delivery.
    without.rules.reconciliation.first.clear();
    let without = reopened(&world, without);
    for _ in 0..6 {
        world.advance(3600);
        without.worker().pass().await.unwrap();
    }
    let dead = world
        .store
        .inbox(InboxFilter::Dead, PageRequest::first(5))
        .await
        .unwrap();
    let InboxState::Dead { cause } = &dead.items[0].state else {
        panic!("it is not given up on");
    };
    assert!(
        cause.as_str().contains("`march` is not configured"),
        "{}",
        cause.as_str()
    );

    // With the key it is replayed.
    let with = reopened(&world, settings);
    with.admin(admin())
        .operations()
        .replay(&delivery)
        .await
        .unwrap();
    with.worker().pass().await.unwrap();
    let settled = world.store.delivery(&delivery).await.unwrap().unwrap();
    assert!(settled.state.is_settled(), "{settled:?}");
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_stored_body_cannot_be_changed_or_put_in_another_ones_place() {
    let world = World::with(Settings::new(1), with_keys(&[("march", 'a')]), |it| it);
    let mut sealed = Vec::new();
    for name in ["thandi", "sipho"] {
        let (_, reference, link) = world.attempt(name, PaymentMethod::Card).await;
        let receipt = world
            .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
            .await;
        let key = receipt.delivery.unwrap();
        sealed.push(world.store.delivery(&key).await.unwrap().unwrap());
    }
    let desk = world.registrar.admin(admin());
    assert!(desk.learners().export(&learner("thandi")).await.is_ok());
    let StoredBody::Sealed { key, bytes } = &sealed[0].body else {
        panic!("not encrypted");
    };
    let mut spoiled: Vec<StoredBody> = (0..bytes.len())
        .map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            StoredBody::Sealed {
                key: key.clone(),
                bytes,
            }
        })
        .collect();
    spoiled.push(StoredBody::Sealed {
        key: key.clone(),
        bytes: bytes[..7].to_vec(),
    });
    spoiled.push(sealed[1].body.clone());
    for body in spoiled {
        let mut entry = sealed[0].clone();
        entry.body = body;
        let was = Some(entry.state.clone());
        let change = coursegate::store::Change::inbox_only(entry, None).inbox_was(was);
        world.store.commit(change).await.unwrap();
        let error = desk
            .learners()
            .export(&learner("thandi"))
            .await
            .unwrap_err();
        assert_eq!(error, Error::Body(BodyError::Changed("march".into())));
        assert_eq!(error.kind(), ErrorKind::Setup);
    }
}

#[test]
fn keys_and_labels_are_checked() {
    let empty = BodyKeys::default;
    let odd = "ab".repeat(31);
    let wrong = [
        "test-secret-0123456789abcdef",
        odd.as_str(),
        &"zz".repeat(32),
        &"ab".repeat(33),
    ];
    for text in wrong {
        let secret = Secret::new(text).unwrap();
        assert_eq!(empty().and("k", &secret).unwrap_err(), BodyError::NotAKey);
    }
    for label in ["", "a b", "a/b", "ä", &"x".repeat(33)] {
        assert_eq!(
            empty().and(label, &key('a')).unwrap_err(),
            BodyError::BadLabel
        );
    }
    let one = keys(&[("k", 'a')]);
    assert_eq!(one.and("k", &key('b')).unwrap_err(), BodyError::BadLabel);
    // Neither `Debug` nor an error shows a key.
    let shown = format!("{:?}", keys(&[("k", 'a'), ("l", 'b')]));
    assert_eq!(shown, "[\"k\", \"l\"]");
    assert!(empty().is_empty() && !keys(&[("k", 'A')]).is_empty());
}

#[tokio::test]
async fn bodies_are_kept_as_long_as_configured_and_events_for_ever() {
    let mut settings = config();
    settings.keep_bodies = Some(Duration::from_secs(30 * DAY));
    let world = World::with(Settings::new(1), settings, |it| it);
    let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let paid = world.pay(&link, Choice::Card).await;
    let paid = paid[0].delivery.clone().unwrap();
    // One that nobody can match is kept until somebody can.
    let parked = world
        .receive(&body("strangerslink00", "SUCCESS", "CG-NOBODYS"))
        .await;
    let parked = parked.delivery.unwrap();
    world.pass().await;
    world.advance(30 * DAY - 60);
    world.pass().await;
    assert!(stored(&world, &paid).await.is_kept());
    let before = world.store.timeline(id).await.unwrap().len();
    world.advance(DAY + 120);
    world.pass().await;
    assert_eq!(stored(&world, &paid).await, StoredBody::Gone);
    assert!(stored(&world, &parked).await.is_kept());
    assert!(world.store.timeline(id).await.unwrap().len() >= before);
    // It is on record how many went, and told again is still a duplicate.
    let events = world
        .store
        .unassigned(PageRequest::first(500))
        .await
        .unwrap();
    let purged = events.items.iter().find_map(|event| match &event.kind {
        EventKind::BodiesPurged { bodies, .. } => Some(*bodies),
        _ => None,
    });
    assert_eq!(purged, Some(1));
    let again = body(link.as_str(), "SUCCESS", reference.as_str());
    let again = world.receive(&again).await;
    assert!(matches!(again.outcome, Outcome::Duplicate(_)), "{again:?}");
    // Nothing more to drop the next day, and nothing more to tell.
    world.advance(DAY + 120);
    world.pass().await;
    let events = world
        .store
        .unassigned(PageRequest::first(500))
        .await
        .unwrap();
    let told = |kind: &EventKind| matches!(kind, EventKind::BodiesPurged { .. });
    assert_eq!(events.items.iter().filter(|it| told(&it.kind)).count(), 1);
}

#[tokio::test]
async fn a_learner_gets_everything_that_is_kept_of_them() {
    let world = World::with(Settings::new(1), with_keys(&[("march", 'a')]), |it| it);
    let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let desk = world.registrar.admin(admin());
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let bursary = desk.learners().grant(new, "a bursary").await.unwrap();
    world.enroll("sipho", PaymentMethod::BankTransfer).await;

    let export = desk.learners().export(&learner("thandi")).await.unwrap();
    assert_eq!(export.grants, [bursary]);
    assert_eq!(export.events.len(), 1);
    let [kept] = &export.enrollments[..] else {
        panic!("{export:?}");
    };
    assert_eq!(kept.enrollment.id, id);
    assert_eq!((kept.attempts.len(), kept.grants.len()), (1, 1));
    let json = serde_json::to_string(&export).unwrap();
    for part in [
        "thandi@school.example",
        reference.as_str(),
        "a bursary",
        "responseCode",
    ] {
        assert!(json.contains(part), "{part} is missing: {json}");
    }
    assert!(!json.contains("sipho"));
    // Given out is on record; and `Debug` shows nothing of it.
    let shown = format!("{export:?}");
    assert!(
        !shown.contains("school.example") && !shown.contains("bursary"),
        "{shown}"
    );
    let history = world.store.timeline(id).await.unwrap();
    assert_eq!(history.last().unwrap().kind, EventKind::PersonalExported);
    let nobody = desk
        .learners()
        .export(&learner("nobody"))
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_learner_is_erased_once_nothing_is_to_come() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (paid, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let bursary = desk
        .learners()
        .grant(new, "thandi wrote to me")
        .await
        .unwrap();
    let other = world.enroll("sipho", PaymentMethod::BankTransfer).await;
    world.pass().await;
    world.advance(10);
    world.pass().await;
    let exported = desk
        .audit_log()
        .export(PageRequest::first(500))
        .await
        .unwrap();
    let noted = desk.audit_log().verify(None).await.unwrap().newest.unwrap();

    // Not while the learner has access, and nothing is half done.
    let before = world.case(paid).await;
    let error = desk.learners().erase(&learner("thandi")).await.unwrap_err();
    let Error::StillOpen {
        enrollments,
        grants,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (&enrollments[..], &grants[..]),
        (&[paid][..], &[bursary.id][..])
    );
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(world.case(paid).await, before);

    desk.learners().revoke(bursary.id, "over").await.unwrap();
    let own = before
        .grants
        .iter()
        .find(|grant| grant.enrollment.is_some());
    desk.learners()
        .revoke(own.unwrap().id, "thandi asked to leave")
        .await
        .unwrap();
    let erased = desk.learners().erase(&learner("thandi")).await.unwrap();
    assert_eq!((erased.enrollments, erased.grants), (1, 1));
    let pseudonym = erased.pseudonym.as_str();
    assert!(pseudonym.starts_with("erased-"));

    // What stays is who approved what, when, and for how much.
    let case = world.case(paid).await;
    assert_eq!(case.enrollment.learner.as_str(), pseudonym);
    assert_eq!(case.enrollment.email.as_str(), "erased@erased.invalid");
    assert_eq!(case.attempts[0].payment, before.attempts[0].payment);
    let history = world.store.timeline(paid).await.unwrap();
    let text = serde_json::to_string(&history).unwrap();
    assert!(!text.contains("thandi"), "{text}");
    assert!(text.contains("payment_completed") && text.contains(reference.as_str()));
    let unassigned = world
        .store
        .unassigned(PageRequest::first(500))
        .await
        .unwrap();
    let text = serde_json::to_string(&unassigned.items).unwrap();
    assert!(!text.contains("thandi"), "{text}");
    let gone = desk.learners().erase(&learner("thandi")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(!world.may_enter("thandi").await);
    assert_eq!(
        world.case(other.enrollment).await.enrollment.learner,
        learner("sipho")
    );

    // The audit log holds, and still has the link that was noted before.
    let report = desk.audit_log().verify(Some(noted.clone())).await.unwrap();
    assert!(report.holds(), "{report:?}");
    assert!(report.erased >= 3, "{report:?}");
    let lines = desk
        .audit_log()
        .export(PageRequest::first(500))
        .await
        .unwrap()
        .items;
    let checked = verify_lines(&lines, Some(noted.clone())).unwrap();
    assert_eq!(checked.erased, report.erased);
    // So does what was exported before, for who has it.
    assert_eq!(
        verify_lines(&exported.items, Some(noted.clone()))
            .unwrap()
            .erased,
        0
    );
    // People note it as one word.
    assert_eq!(noted.to_string().parse(), Ok(noted.clone()));
    for odd in [
        "",
        "1",
        "1:",
        "x:00",
        ":",
        &format!("-1:{}", noted.hash.as_str()),
    ] {
        assert_eq!(odd.parse::<Checkpoint>(), Err(AnchorError), "{odd}");
    }
    // An erased event that is changed once more is found.
    let at = lines
        .iter()
        .position(|line| line.contains("\"salt\":null"))
        .unwrap();
    let mut spoiled = lines.clone();
    spoiled[at] = spoiled[at].replacen("\"learner\":null", "\"learner\":\"somebody\"", 1);
    let broken = verify_lines(&spoiled, None).unwrap_err();
    assert_eq!(broken.position, at as u64 + 1);
    // As is one that only looks erased.
    let whole = lines
        .iter()
        .position(|line| !line.contains("\"salt\":null"))
        .unwrap();
    let start = lines[whole].find("\"salt\":").unwrap();
    let end = lines[whole][start..].find(",\"kept\"").unwrap() + start;
    let mut spoiled = lines;
    spoiled[whole].replace_range(start..end, "\"salt\":null");
    assert_eq!(
        verify_lines(&spoiled, None).unwrap_err().position,
        whole as u64 + 1
    );
}

#[tokio::test]
async fn late_money_for_an_erased_learner_waits_for_a_person() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world
        .registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    desk.learners().erase(&learner("thandi")).await.unwrap();
    let receipts = world.pay(&link, Choice::Card).await;
    assert!(
        matches!(receipts[0].outcome, Outcome::Held(_)),
        "{receipts:?}"
    );
    let exceptions = desk
        .payments()
        .exceptions(PageRequest::first(5))
        .await
        .unwrap();
    assert_eq!(exceptions.items.len(), 1);
    // And the learner may come again, as somebody new.
    let again = world.ask(request("thandi", PaymentMethod::Card)).await;
    assert_ne!(again.enrollment, id);
    assert!(matches!(again.next, NextStep::Pay { .. }));
}

#[tokio::test]
async fn one_learners_timeline_in_plain_words() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.advance(60);
    world.pay(&link, Choice::Card).await;
    let mut wish = request("thandi", PaymentMethod::BankTransfer);
    wish.course = coursegate::CourseId::new("rust-201").unwrap();
    world.advance(60);
    let second = world.ask(wish).await;
    world.advance(60);
    desk.approvals()
        .reject(second.enrollment, "no seat left")
        .await
        .unwrap();
    world.enroll("sipho", PaymentMethod::Card).await;
    let history = desk.learners().timeline(&learner("thandi")).await.unwrap();
    assert!(history.is_sorted_by_key(|event| event.at));
    let told: Vec<String> = history.iter().map(Event::sentence).collect();
    let told = told.join(" ");
    assert!(
        told.contains("Access was given") && told.contains("rust-201"),
        "{told}"
    );
    let courses: HashSet<_> = history.iter().filter_map(|it| it.enrollment).collect();
    assert_eq!(courses.len(), 2);
    let nobody = desk
        .learners()
        .timeline(&learner("nobody"))
        .await
        .unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
}

/// For accountants: every payment on a line that a spreadsheet reads as it is meant.
#[tokio::test]
async fn payments_as_csv() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, reference, link) = world.attempt("=1+1", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    for name in ["a\"b, c", "sipho", "zola"] {
        world.advance(60);
        let mut wish = request("anybody", PaymentMethod::BankTransfer);
        wish.learner = learner(name);
        world.ask(wish).await;
    }
    let filter = PaymentFilter::default();
    let (mut lines, mut request) = (Vec::new(), PageRequest::first(3));
    loop {
        let page = desk.payments().export(&filter, request).await.unwrap();
        lines.extend(page.items);
        match page.next {
            Some(after) => request = PageRequest::after(after, 3),
            None => break,
        }
    }
    assert_eq!(lines.len(), 5, "the header stands once");
    assert_eq!(lines[0], PaymentItem::CSV_HEADER);
    let columns = lines[0].split(',').count();
    let paid = &lines[4];
    let expected = format!(
        "2026-01-31T09:00:00Z,{},{},'=1+1,",
        reference.as_str(),
        world
            .store
            .load(coursegate::store::Lookup::Reference(&reference))
            .await
            .unwrap()
            .case
            .unwrap()
            .enrollment
            .id
    );
    assert!(paid.starts_with(&expected), "{paid}");
    assert!(
        paid.contains(",49900,49900,0,ZAR,card,paid,2026-01-31T09:00:00Z,applied,approved"),
        "{paid}"
    );
    assert_eq!(paid.split(',').count(), columns);
    assert!(lines[3].contains(",\"a\"\"b, c\","), "{}", lines[3]);
    assert!(
        lines[1].contains(",zola,")
            && lines[1].contains(",bank_transfer,started,,,awaiting_approval"),
        "{}",
        lines[1]
    );
}
