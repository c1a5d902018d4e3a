//! What people are told of: the list in the app, and what is still to be sent.

use super::harness::{Checked, ensure, open, start, with_step};
use crate::enrollment::{Job, StepOutcome, Timer, TimerKey};
use crate::notice::Preferences;
use crate::payment::PaymentMethod;
use crate::store::{
    Change, Claim, NoticeFilter, PageRequest, Queries, Settlement, Store, Work, WorkKind,
};
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{AdminId, ChannelName, EventId, Note, NoticeKind};

pub(super) async fn notices_are_listed_and_read<S: Store + Queries>(store: &S) -> Checked {
    let (nomsa, sipho) = (AdminId::new("nomsa")?, AdminId::new("sipho")?);
    let StepOutcome { delta, case, .. } = open("first", "REF-1", PaymentMethod::BankTransfer)?;
    store.commit(delta.into()).await?;
    let cause = ApprovalCause::ManualAdminApproval;
    let StepOutcome { delta, .. } = with_step(|step| case.approve(&nomsa, cause, step))?;
    store.commit(delta.into()).await?;
    let StepOutcome { delta, case, .. } = open("second", "REF-2", PaymentMethod::BankTransfer)?;
    store.commit(delta.into()).await?;
    let why = Note::new("no money came");
    let StepOutcome { delta, .. } = with_step(|step| case.reject(why.clone(), step))?;
    store.commit(delta.into()).await?;

    let filter = |person: &AdminId, kinds: &[NoticeKind], unread| NoticeFilter {
        person: person.clone(),
        kinds: kinds.to_vec(),
        unread,
        since: None,
    };
    let all = NoticeKind::ALL;
    let listed = store
        .notices(&filter(&nomsa, all, false), PageRequest::first(10))
        .await?;
    let kinds: Vec<NoticeKind> = listed.items.iter().map(|item| item.notice.kind).collect();
    let count = |kind| kinds.iter().filter(|other| **other == kind).count();
    ensure!(
        count(NoticeKind::ApprovalNeeded) == 2
            && count(NoticeKind::Approved) == 1
            && count(NoticeKind::Rejected) == 1
            && kinds.len() == 4,
        "the notices are {kinds:?}"
    );
    ensure!(
        listed.items.is_sorted_by(|a, b| a.key() > b.key()),
        "notices are not newest first"
    );
    let rejected = listed
        .items
        .iter()
        .find(|item| item.notice.kind == NoticeKind::Rejected)
        .ok_or("the rejection is gone")?;
    ensure!(
        rejected.notice.note.as_ref() == Some(&why),
        "the reason of the rejection is gone"
    );
    let found = store.event(rejected.notice.id).await?;
    ensure!(
        found.is_some_and(|event| event.id == rejected.notice.id),
        "the event of a notice cannot be found"
    );

    // Page by page, it is the same list.
    let mut paged = Vec::new();
    let mut request = PageRequest::first(1);
    loop {
        let page = store.notices(&filter(&nomsa, all, false), request).await?;
        paged.extend(page.items);
        match page.next {
            Some(key) => request = PageRequest::after(key, 1),
            None => break,
        }
    }
    ensure!(paged == listed.items, "pages do not make up the list");

    let only = [NoticeKind::Rejected];
    let page = store
        .notices(&filter(&nomsa, &only, false), PageRequest::first(10))
        .await?;
    ensure!(page.items.len() == 1, "a kind cannot be picked");

    let read: Vec<EventId> = listed.items[..2]
        .iter()
        .map(|item| item.notice.id)
        .collect();
    for _ in 0..2 {
        store
            .settle(&[Settlement::Read {
                person: nomsa.clone(),
                notices: read.clone(),
            }])
            .await?;
    }
    let list = async |filter: NoticeFilter| store.notices(&filter, PageRequest::first(10)).await;
    let left = list(filter(&nomsa, all, true)).await?;
    ensure!(
        left.items.len() == 2 && left.items == listed.items[2..],
        "what was read is not set apart"
    );
    ensure!(
        list(filter(&sipho, all, true)).await?.items.len() == 4,
        "one person reads for another"
    );
    let shown = list(filter(&nomsa, all, false)).await?;
    ensure!(
        shown.items.iter().filter(|item| item.read).count() == 2,
        "the list does not say what was read"
    );
    let later = NoticeFilter {
        since: Some(start() + chrono::Duration::seconds(1)),
        ..filter(&sipho, all, true)
    };
    ensure!(
        list(later).await?.items.is_empty(),
        "what is older than was asked is listed"
    );

    let mut change = Change::default();
    let chosen = Preferences::standard(sipho).and(NoticeKind::Alert, ChannelName::new("mail")?);
    for preferences in [
        Preferences::standard(nomsa.clone()),
        chosen.clone(),
        Preferences::standard(nomsa.clone()).and(NoticeKind::Approved, ChannelName::new("sms")?),
    ] {
        change.preferences = Some(preferences);
        store.commit(change.clone()).await?;
    }
    let sms = Preferences::standard(nomsa).and(NoticeKind::Approved, ChannelName::new("sms")?);
    ensure!(
        store.preferences().await? == [sms, chosen],
        "preferences do not come back as they were written"
    );
    Ok(())
}

pub(super) async fn notices_are_claimed_by_themselves<S: Store + Queries>(store: &S) -> Checked {
    let notice = TimerKey::Notice(EventId::from_uuid(uuid::Uuid::from_u128(7)));
    let job = TimerKey::Job(Job::Reconcile);
    let timers = [&notice, &job].map(|key| Timer {
        key: key.clone(),
        due_at: Some(start()),
    });
    let change = Change {
        timers: timers.into(),
        ..Change::default()
    };
    store.commit(change).await?;
    for expected in [job, notice] {
        let kind = WorkKind::Timers(expected.kind());
        let claim = Claim {
            kind,
            limit: 10,
            now: start(),
            lease: std::time::Duration::from_secs(60),
        };
        let claimed = store.claim(claim).await?;
        let [Work::Timer(timer)] = claimed.as_slice() else {
            return Err(format!("{kind:?} gives {} pieces of work", claimed.len()).into());
        };
        ensure!(timer.key == expected, "{kind:?} gives another's work");
        ensure!(
            store.claim(claim).await?.is_empty(),
            "{kind:?} is claimed twice"
        );
        let cursor = Some("left".to_owned());
        store
            .settle(&[Settlement::Reschedule {
                timer: timer.clone(),
                next_at: start(),
                cursor: cursor.clone(),
            }])
            .await?;
        let claimed = store.claim(claim).await?;
        ensure!(
            matches!(claimed.as_slice(), [Work::Timer(again)] if again.cursor == cursor),
            "{kind:?} does not come again"
        );
    }
    Ok(())
}
