//! Bodies and learners that are not to be kept for ever.

use super::{Checked, SETTLED, delivery, ensure, open, start, with_step};
use crate::enrollment::{Applied, Change, Erasure, InboxState};
use crate::ids::{EnrollmentId, IdRun, LearnerId};
use crate::payment::Method;
use crate::port::{Lookup, PageRequest, Purge, Records, Store};
use crate::reason::Note;
use crate::record::chain::ChainCheck;
use crate::record::{Actor, Fact, Record, Source};
use crate::webhook::StoredBody;

pub(super) async fn bodies_go_once_they_are_settled<S: Store + Records>(store: &S) -> Checked {
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
        again == crate::port::Committed::Duplicate,
        "a delivery without its body is new again"
    );
    Ok(())
}

pub(super) async fn a_learner_is_erased_and_the_chain_holds<S: Store + Records>(
    store: &S,
) -> Checked {
    let learner = LearnerId::new("thandi")?;
    let Applied { change, case, .. } = open("thandi", "REF-T", Method::BankTransfer)?;
    let (id, version) = (case.enrollment.id, case.enrollment.version);
    store.commit(change).await?;
    let other = open("sipho", "REF-S", Method::BankTransfer)?;
    store.commit(other.change).await?;
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
    let Applied { change, .. } =
        with_step(|step| case.reject(Note::new("told me her number"), step))?;
    store.commit(change).await?;
    ensure!(version.0 == 1, "it begins with version 1");
    while store.seal(None, 100).await? > 0 {}

    let file = store.learner(&learner).await?;
    ensure!(file.enrollments == [id], "the learner has another file");
    ensure!(
        store.received(id).await?.deliveries == [dead.clone()],
        "the enrollment has other deliveries"
    );
    let records = store.timeline(id).await?;
    let pseudonym = LearnerId::new("erased-1")?;
    let loaded = store.load(Lookup::Enrollment(id)).await?;
    let case = loaded.case.ok_or("the enrollment is gone")?;
    let Applied { change, .. } = with_step(|step| case.erase(&pseudonym, &records, step))?;
    let stale = change.clone();
    store.commit(change).await?;
    ensure!(
        store.commit(stale).await? != crate::port::Committed::Duplicate,
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
    // What comes later is sealed as before.
    while store.seal(None, 100).await? > 0 {}
    let erased = check_chain(store, id).await?;
    ensure!(erased >= 2, "{erased} records were erased");

    // The same for grants apart from any enrollment: there are none, but a record may be.
    let mut ids = IdRun::new(start());
    let fact = Fact::PersonalErased {
        records: Vec::new(),
    };
    let record = Record::new(
        ids.record(),
        fact,
        Actor::System,
        Source::SystemAutomatic,
        start(),
    );
    let mut change = Change::records_only(vec![record.clone()]);
    change.erasure = Some(Erasure::of(pseudonym, &[]));
    store.commit(change).await?;
    let kept = store.record(record.id).await?;
    ensure!(kept == Some(record), "an empty erasure is kept otherwise");
    Ok(())
}

/// No name of the learner is left, and every link holds; gives how many were erased.
async fn check_chain<S: Store + Records>(
    store: &S,
    id: EnrollmentId,
) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let mut check = ChainCheck::new(None);
    let mut request = PageRequest::first(3);
    loop {
        let page = store.chain(request).await?;
        for link in &page.items {
            check.next(link)?;
            let text = link.text.as_deref().unwrap_or_default();
            ensure!(
                !text.contains("thandi") && !text.contains("told me"),
                "the learner is still in the records"
            );
        }
        match page.next {
            Some(after) => request = PageRequest::after(after, 3),
            None => break,
        }
    }
    let records = store.timeline(id).await?;
    let named = records.iter().any(|record| match &record.fact {
        Fact::EnrollmentCreated { learner, .. } => learner.as_str() == "thandi",
        _ => false,
    });
    ensure!(!named, "the timeline names the learner");
    // Until the erasure itself is sealed, nothing vouches for what it changed.
    Ok(check.end().map_or(0, |checked| checked.erased))
}
