//! What two decide at once, or one commits twice, happens once.

use super::harness::{Checked, SETTLED, delivery, ensure, open, start, with_step};
use crate::access::{AccessTerms, EndReason, Grant, GrantSource};
use crate::enrollment::{Delta, StepOutcome, TimerKey, TimerKind};
use crate::event::{Actor, Event, EventKind, Source};
use crate::payment::PaymentMethod;
use crate::store::{
    Change, Claim, CommitOutcome, InboxState, Lookup, Queries, Store, Work, WorkKind,
};
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{AdminId, CourseId, IdGenerator, LearnerId, Note};

fn event(kind: EventKind) -> Event {
    let id = IdGenerator::new(start()).event();
    Event::new(id, kind, Actor::System, Source::SystemAutomatic, start())
}

fn parked(key: &str) -> Event {
    event(EventKind::DeliveryParked { key: key.into() })
}

/// The events that wait to be published.
async fn queued<S: Store>(
    store: &S,
    kind: WorkKind,
) -> Result<Vec<Work>, crate::store::StoreError> {
    let claim = Claim {
        kind,
        limit: 100,
        now: start() + chrono::Duration::days(3_650),
        lease: std::time::Duration::ZERO,
    };
    store.claim(claim).await
}

/// Of several who found the same, one writes what came of a delivery.
pub(super) async fn a_delivery_is_decided_as_it_was_found<S: Store + Queries>(
    store: &S,
) -> Checked {
    let far = |days| start() + chrono::Duration::days(days);
    let states = [
        InboxState::Parked { next_at: far(1) },
        InboxState::Parked { next_at: far(2) },
        InboxState::Waiting { next_at: far(2) },
        InboxState::Dead {
            cause: Note::new("lost"),
        },
        InboxState::Waiting { next_at: far(3) },
        SETTLED,
    ];
    let decide = |was: &Option<InboxState>, to: &InboxState| {
        let mut change = Change::inbox_only(delivery("key", to.clone()), Some(parked("key")));
        change.publish = true;
        change.inbox_was(was.clone())
    };
    let (mut was, mut passed) = (None, Vec::new());
    for (number, to) in states.iter().enumerate() {
        ensure!(
            store.commit(decide(&was, to)).await? == CommitOutcome::Done,
            "{was:?} does not become {to:?}"
        );
        passed.push(was.replace(to.clone()));
        for old in &passed {
            let late = store.commit(decide(old, to)).await?;
            let right = match to.is_settled() {
                true => CommitOutcome::Duplicate,
                false => CommitOutcome::Conflict,
            };
            ensure!(late == right, "what was decided on {old:?} is {late:?}");
        }
        let events = queued(store, WorkKind::Outbox).await?.len();
        ensure!(
            events == number + 1,
            "{events} events of {} changes",
            number + 1
        );
    }
    let mut opening = Change::from(open("learner", "REF-1", PaymentMethod::Card)?.delta);
    opening.inbox = Some(delivery("other", SETTLED));
    let was = InboxState::Waiting { next_at: start() };
    ensure!(
        store.commit(opening.inbox_was(Some(was))).await? == CommitOutcome::Conflict,
        "a delivery that never came was found"
    );
    let (learner, course) = (LearnerId::new("learner")?, CourseId::new("course")?);
    let found = store.load(Lookup::Learner(&learner, &course)).await?;
    ensure!(found.case.is_none(), "a conflict wrote something");
    Ok(())
}

/// Whoever lost the answer may commit the same change again.
pub(super) async fn a_change_is_committed_once<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::BankTransfer)?;
    let person = AdminId::new("admin")?;
    let approve = ApprovalCause::ManualAdminApproval;
    let approved = with_step(|step| case.clone().approve(&person, approve, step))?;
    let mut approved = Change::from(approved.delta);
    approved.inbox = Some(delivery("with it", SETTLED));
    let moved = delta.events.len() + approved.events.len();
    let mut alone = Change::events_only(vec![parked("nothing")]);
    alone.publish = true;
    let waits = InboxState::Waiting { next_at: start() };
    let mut kept = Change::inbox_only(delivery("waits", waits), Some(parked("waits")));
    kept.publish = true;
    let grant = grant("other")?;
    let ended = with_step(|step| Ok(taken(&grant, step)))?;
    let given = with_step(|step| Ok(Delta::apart(grant.clone(), given(&grant), step).into()))?;
    for (what, change) in [
        ("a new enrollment", delta.into()),
        ("an approval", approved),
        ("an event", alone),
        ("a delivery", kept),
        ("a grant", given),
        ("the end of a grant", ended),
    ] {
        for turn in ["", " again"] {
            let committed = store.commit(change.clone()).await?;
            ensure!(
                committed == CommitOutcome::Done,
                "{what}{turn} is {committed:?}"
            );
        }
    }
    let found = store.timeline(case.enrollment.id).await?;
    ensure!(found.len() == moved, "{} events, not {moved}", found.len());
    let mut events = 0;
    let mut work = queued(store, WorkKind::Outbox).await?;
    while !work.is_empty() {
        for work in work {
            let Work::Message(event) = work else {
                return Err("a claim of events gives something else".into());
            };
            events += 1;
            let published = crate::store::Settlement::Published(event.id);
            store.settle(&[published]).await?;
        }
        work = queued(store, WorkKind::Outbox).await?;
    }
    ensure!(
        events == moved + 4,
        "{events} events to publish, not {}",
        moved + 4
    );
    Ok(())
}

fn grant(learner: &str) -> Result<Grant, Box<dyn std::error::Error + Send + Sync>> {
    let mut ids = IdGenerator::new(start());
    let subject = (LearnerId::new(learner)?, CourseId::new("course")?);
    let source = GrantSource::Admin {
        by: AdminId::new("admin")?,
    };
    let terms = AccessTerms::lasting(std::time::Duration::from_secs(3_600));
    Ok(Grant::new(
        ids.grant(),
        subject,
        None,
        source,
        &terms,
        start(),
    ))
}

fn given(grant: &Grant) -> EventKind {
    EventKind::GrantGiven {
        grant: grant.id,
        until: grant.expires_at,
    }
}

fn taken(grant: &Grant, step: &crate::enrollment::StepContext<'_>) -> Change {
    let mut grant = grant.clone();
    grant.end(step.now, EndReason::Revoked);
    let kind = EventKind::GrantTaken {
        grant: grant.id,
        why: EndReason::Revoked,
    };
    Delta::apart(grant, kind, step).into()
}

/// No version says that a grant apart from any enrollment moved on.
pub(super) async fn a_grant_apart_is_given_once_and_ends_once<S: Store + Queries>(
    store: &S,
) -> Checked {
    let grant = grant("learner")?;
    let give = || with_step(|step| Ok(Delta::apart(grant.clone(), given(&grant), step).into()));
    let take = || with_step(|step| Ok(taken(&grant, step)));
    ensure!(
        store.commit(give()?).await? == CommitOutcome::Done,
        "a grant cannot be given"
    );
    ensure!(
        store.commit(give()?).await? == CommitOutcome::Conflict,
        "a grant is given twice"
    );
    let ended = take()?;
    let end = ended.grants.clone();
    ensure!(
        store.commit(ended).await? == CommitOutcome::Done,
        "a grant cannot be ended"
    );
    for (what, late) in [("ended twice", take()?), ("given after its end", give()?)] {
        let committed = store.commit(late).await?;
        ensure!(
            committed == CommitOutcome::Conflict,
            "a grant is {what}: {committed:?}"
        );
    }
    let kept = store.grants(&grant.learner, &grant.course).await?;
    ensure!(kept == end, "a conflict wrote a grant");
    let events = queued(store, WorkKind::Outbox).await?.len();
    ensure!(events == 2, "{events} events of a grant");
    let due = queued(store, WorkKind::Timers(TimerKind::Grant)).await?;
    let timer =
        |work: &Work| matches!(work, Work::Timer(timer) if timer.key == TimerKey::Grant(grant.id));
    ensure!(!due.iter().any(timer), "what has ended ends once more");
    // Beside an enrollment too.
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::Card)?;
    store.commit(delta.into()).await?;
    let case = store.load(Lookup::Enrollment(case.enrollment.id)).await?;
    let case = case.case.ok_or("the enrollment is gone")?;
    let again = EventKind::GrantTaken {
        grant: grant.id,
        why: EndReason::Revoked,
    };
    let mut stale = grant.clone();
    stale.end(start(), EndReason::Revoked);
    let beside = with_step(|step| case.set_apart(stale, again, step))?;
    ensure!(
        store.commit(beside.delta.into()).await? == CommitOutcome::Conflict,
        "a grant beside an enrollment is ended twice"
    );
    Ok(())
}
