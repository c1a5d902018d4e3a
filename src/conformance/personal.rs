//! Bodies and learners that are not to be kept for ever.

use super::harness::{Checked, SETTLED, delivery, ensure, open, start, with_step};
use crate::enrollment::{Erasure, StepOutcome};
use crate::event::audit_log::{AuditLogEntry, AuditLogVerifier};
use crate::event::form::{EMPTIED, EventText};
use crate::event::{Actor, Event, EventKind, Source};
use crate::payment::PaymentMethod;
use crate::store::{Change, InboxState, Lookup, PageRequest, Purge, Queries, Store};
use crate::vocabulary::{CourseId, EnrollmentId, EventId, GrantId, IdGenerator, LearnerId, Note};
use crate::webhook::StoredBody;

pub(super) async fn bodies_go_once_they_are_settled<S: Store + Queries>(store: &S) -> Checked {
    let hour = chrono::Duration::hours(1);
    let states = [
        ("a/SUCCESS/1", SETTLED, 0),
        ("b/SUCCESS/2", InboxState::Parked { next_at: start() }, 0),
        (
            "c/SUCCESS/3",
            InboxState::Dead {
                cause: Note::new("lost"),
            },
            0,
        ),
        ("d/SUCCESS/4", SETTLED, 2),
        ("e/SUCCESS/5", SETTLED, 0),
    ];
    for (key, state, late) in states {
        let mut entry = delivery(key, state);
        entry.received_at = start() + hour * late;
        if key.starts_with('e') {
            entry.body = StoredBody::Sealed {
                key: "label".into(),
                bytes: vec![0, 255, 7],
            };
        }
        let kept = entry.clone();
        store.commit(Change::inbox_only(entry, None)).await?;
        let found = store.delivery(&kept.key).await?;
        ensure!(found.as_ref() == Some(&kept), "it is kept otherwise");
    }
    let (mut dropped, mut after, mut turns) = (0, None, 0);
    loop {
        let purged = store
            .purge(Purge {
                before: start() + hour,
                after: after.as_ref(),
                limit: 2,
            })
            .await?;
        dropped += purged.bodies;
        turns += 1;
        after = purged.next;
        if after.is_none() {
            break;
        }
        ensure!(turns < 10, "the walk does not end");
    }
    ensure!(dropped == 2, "{dropped} bodies were dropped");
    for (key, gone) in [
        ("a", true),
        ("b", false),
        ("c", false),
        ("d", false),
        ("e", true),
    ] {
        let key = format!("{key}/SUCCESS/");
        let number = 1 + usize::from(key.as_bytes()[0] - b'a');
        let key = format!("{key}{number}").as_str().into();
        let found = store.delivery(&key).await?.ok_or("a delivery is gone")?;
        ensure!(found.body.is_kept() != gone, "{key}: {:?}", found.body);
    }
    // What is settled stays settled without its body.
    let again = store
        .commit(Change::inbox_only(delivery("a/SUCCESS/1", SETTLED), None))
        .await?;
    ensure!(
        again == crate::store::CommitOutcome::Duplicate,
        "a delivery without its body is new again"
    );
    Ok(())
}

pub(super) async fn a_learner_is_erased_and_the_chain_holds<S: Store + Queries>(
    store: &S,
) -> Checked {
    let learner = LearnerId::new("thandi")?;
    let StepOutcome { delta, case, .. } = open("thandi", "REF-T", PaymentMethod::BankTransfer)?;
    let (id, version) = (case.enrollment.id, case.enrollment.version);
    store.commit(delta.into()).await?;
    let other = open("sipho", "REF-S", PaymentMethod::BankTransfer)?;
    store.commit(other.delta.into()).await?;
    let mut dead = delivery(
        "/SUCCESS/REF-T",
        InboxState::Dead {
            cause: Note::new("lost"),
        },
    );
    dead.enrollment = Some(id);
    store.commit(Change::inbox_only(dead.clone(), None)).await?;

    let loaded = store.load(Lookup::Enrollment(id)).await?;
    let case = loaded.case.ok_or("the enrollment is gone")?;
    let StepOutcome { delta, .. } =
        with_step(|step| case.reject(Note::new("told me her number"), step))?;
    store.commit(delta.into()).await?;
    ensure!(version.0 == 1, "it begins with version 1");
    while store.append_audit_log(None, 100).await? > 0 {}

    let file = store.learner(&learner).await?;
    ensure!(file.enrollments == [id], "the learner has another file");
    ensure!(
        store.received(id).await?.deliveries == [dead.clone()],
        "the enrollment has other deliveries"
    );
    let events = store.timeline(id).await?;
    let pseudonym = LearnerId::new("erased-1")?;
    let loaded = store.load(Lookup::Enrollment(id)).await?;
    let case = loaded.case.ok_or("the enrollment is gone")?;
    let StepOutcome { delta, .. } = with_step(|step| case.erase(&pseudonym, &events, step))?;
    let stale = delta.clone().into();
    store.commit(delta.into()).await?;
    ensure!(
        store.commit(stale).await? != crate::store::CommitOutcome::Duplicate,
        "an erasure is no delivery"
    );

    ensure!(
        store.learner(&learner).await?.enrollments.is_empty(),
        "the learner is still there"
    );
    let erased = store.learner(&pseudonym).await?.enrollments;
    ensure!(erased == [id], "the enrollment has no pseudonym");
    let found = store.delivery(&dead.key).await?.ok_or("it is gone")?;
    ensure!(
        !found.body.is_kept() && found.state.is_settled(),
        "a body is kept"
    );
    check_chain(store, id).await?;
    // What comes later is in the audit log as before.
    while store.append_audit_log(None, 100).await? > 0 {}
    let erased = check_chain(store, id).await?;
    ensure!(erased >= 2, "{erased} events were erased");

    // The same for grants apart from any enrollment: there are none, but an event may be.
    let mut ids = IdGenerator::new(start());
    let kind = EventKind::PersonalErased {
        events: Vec::new(),
        grants: Vec::new(),
    };
    let event = Event::new(
        ids.event(),
        kind,
        Actor::System,
        Source::SystemAutomatic,
        start(),
    );
    let mut change = Change::events_only(vec![event.clone()]);
    change.erasure = Some(Erasure::under(pseudonym));
    store.commit(change).await?;
    let kept = store.event(event.id).await?;
    ensure!(kept == Some(event), "an empty erasure is kept otherwise");
    Ok(())
}

/// An erasure takes from the events of its own enrollment, or about its own grants, and from
/// no others; and only what is personal.
pub(super) async fn an_erasure_empties_its_own_events_only<S: Store + Queries>(
    store: &S,
) -> Checked {
    let own = open("thandi", "REF-T", PaymentMethod::BankTransfer)?;
    store.commit(own.delta.into()).await?;
    let other = open("sipho", "REF-S", PaymentMethod::BankTransfer)?;
    store.commit(other.delta.into()).await?;
    let mut ids = IdGenerator::new(start());
    let (given, apart) = (ids.grant(), ids.grant());
    for (grant, name) in [(given, "thandi"), (apart, "sipho")] {
        let kind = EventKind::GrantGiven { grant, until: None };
        let event = system(ids.event(), kind);
        let event = event.about(LearnerId::new(name)?, CourseId::new("course")?);
        store.commit(Change::events_only(vec![event])).await?;
    }
    while store.append_audit_log(None, 100).await? > 0 {}
    let ids_of = |events: &[Event]| events.iter().map(|it| it.id).collect::<Vec<_>>();
    let mine = ids_of(&store.timeline(own.case.enrollment.id).await?);
    let theirs = ids_of(&store.timeline(other.case.enrollment.id).await?);
    let loose = ids_of(&store.learner(&LearnerId::new("thandi")?).await?.events);
    ensure!(loose.len() == 1, "{} events name the learner", loose.len());
    let loose_of_others = ids_of(&store.learner(&LearnerId::new("sipho")?).await?.events);

    let about = Some(own.case.enrollment.id);
    let erased = |events: &[EventId], grants: &[GrantId]| EventKind::PersonalErased {
        events: events.to_vec(),
        grants: grants.to_vec(),
    };
    let wrong = [
        (about, EventKind::LiveProbed),
        (about, erased(&theirs, &[])),
        (about, erased(&[mine.clone(), theirs].concat(), &[])),
        (about, erased(&loose, &[given])),
        (None, erased(&mine, &[given])),
        (None, erased(&loose_of_others, &[given])),
    ];
    let before = all_texts(store).await?;
    for (enrollment, kind) in wrong {
        let refused = erase(store, system(ids.event(), kind.clone()), enrollment).await;
        ensure!(refused.is_err(), "{kind:?} was done");
        ensure!(all_texts(store).await? == before, "{kind:?} left something");
    }
    for (enrollment, kind, ids_emptied) in [
        (about, erased(&mine, &[]), &mine),
        (None, erased(&loose, &[given]), &loose),
    ] {
        erase(store, system(ids.event(), kind), enrollment).await?;
        for id in ids_emptied {
            let text = EventText::of(&store.event(*id).await?.ok_or("an event is gone")?);
            let was = before.iter().find(|(known, _)| known == id);
            let (_, was) = was.ok_or("an event was not added to the audit log")?;
            ensure!(text.kept == was.kept, "what is kept was changed");
            ensure!(text.personal == EMPTIED, "{} is left", text.personal);
        }
    }
    while store.append_audit_log(None, 100).await? > 0 {}
    let after = all_texts(store).await?;
    let emptied = after.iter().filter(|(_, text)| text.personal == EMPTIED);
    // The erasures themselves name nobody.
    ensure!(
        emptied.count() == mine.len() + loose.len() + 2,
        "others were emptied"
    );
    Ok(())
}

fn system(id: EventId, kind: EventKind) -> Event {
    Event::new(id, kind, Actor::System, Source::SystemAutomatic, start())
}

/// Commits an erasure of nothing but events.
async fn erase<S: Store + Queries>(
    store: &S,
    mut event: Event,
    enrollment: Option<EnrollmentId>,
) -> Checked {
    event.enrollment = enrollment;
    let mut change = Change::events_only(vec![event]);
    change.erasure = Some(Erasure::under(LearnerId::new("erased-1")?));
    store.commit(change).await?;
    Ok(())
}

type Texts = Vec<(EventId, EventText)>;

/// What is in the audit log, as it is now.
async fn all_texts<S: Store + Queries>(
    store: &S,
) -> Result<Texts, Box<dyn std::error::Error + Send + Sync>> {
    let links = store.audit_log(PageRequest::first(500)).await?.items;
    let text = |link: AuditLogEntry| Ok((link.event, link.text.ok_or("an event is gone")?));
    links.into_iter().map(text).collect()
}

/// No name of the learner is left, and every link holds; gives how many were erased.
async fn check_chain<S: Store + Queries>(
    store: &S,
    id: EnrollmentId,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let mut check = AuditLogVerifier::new(None);
    let mut request = PageRequest::first(3);
    loop {
        let page = store.audit_log(request).await?;
        for link in &page.items {
            check.next(link)?;
            let text = link.text.as_ref().ok_or("an event is gone")?;
            let text = format!("{}{}", text.kept, text.personal);
            ensure!(
                !text.contains("thandi") && !text.contains("told me"),
                "the learner is still in the events"
            );
        }
        match page.next {
            Some(after) => request = PageRequest::after(after, 3),
            None => break,
        }
    }
    let events = store.timeline(id).await?;
    let named = events.iter().any(|event| event.learner.is_some());
    ensure!(!named, "the timeline names the learner");
    // Until the erasure itself is in the audit log, nothing vouches for what it emptied.
    Ok(check.end().map_or(0, |checked| checked.erased))
}
