//! Queues for people, and claims on due work.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::harness::{Checked, SETTLED, delivery, ensure, open, start, with_step};
use crate::enrollment::StepOutcome;
use crate::event::{Actor, Event, EventKind, Source};
use crate::payment::{Allocation, AttemptStatus, Payment, PaymentMethod};
use crate::store::{
    Change, Claim, InboxFilter, InboxState, PageRequest, Queries, Settlement, Store, Work, WorkKind,
};
use crate::vocabulary::reason::{ApprovalCause, HoldReason};
use crate::vocabulary::{AdminId, EvidenceLevel, IdGenerator, Note, PaymentReference, Status};
use crate::webhook::DeliveryKey;

pub(super) async fn the_queue_is_paged<S: Store + Queries>(store: &S) -> Checked {
    let mut expected = Vec::new();
    for number in 0..7 {
        let opened = open(
            &format!("learner-{number}"),
            &format!("REF-{number}"),
            PaymentMethod::BankTransfer,
        )?;
        expected.push(opened.case.enrollment.id);
        store.commit(opened.delta.into()).await?;
    }
    store
        .commit(open("card", "REF-C", PaymentMethod::Card)?.delta.into())
        .await?;
    expected.sort_unstable();
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = store
            .pending(PageRequest {
                after: next,
                limit: 3,
            })
            .await?;
        ensure!(page.items.len() <= 3, "a page is longer than asked for");
        found.extend(page.items.iter().map(|item| item.enrollment.id));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    ensure!(found == expected, "the pages do not add up to the queue");
    Ok(())
}

pub(super) fn keys(work: &[Work]) -> Vec<String> {
    let key = |work: &Work| match work {
        Work::Delivery(entry) => entry.key.to_string(),
        Work::Message(event) => event.id.to_string(),
        Work::Timer(timer) => format!("{:?}", timer.key),
    };
    work.iter().map(key).collect()
}

pub(super) fn claim(kind: WorkKind, now: DateTime<Utc>) -> Claim {
    Claim {
        kind,
        limit: 10,
        now,
        lease: Duration::from_secs(30),
    }
}

pub(super) async fn the_inbox_is_leased<S: Store + Queries>(store: &S) -> Checked {
    let second = chrono::Duration::seconds(1);
    let rows = [
        ("due", InboxState::Waiting { next_at: start() }),
        (
            "later",
            InboxState::Waiting {
                next_at: start() + second * 60,
            },
        ),
        (
            "dead",
            InboxState::Dead {
                cause: Note::new("given up"),
            },
        ),
        ("settled", SETTLED),
    ];
    for (key, state) in rows {
        store
            .commit(Change::inbox_only(delivery(key, state), None))
            .await?;
    }
    let inbox = |now| store.claim(claim(WorkKind::Inbox, now));
    ensure!(
        keys(&inbox(start()).await?) == ["due"],
        "what is due is not what is claimed"
    );
    ensure!(
        inbox(start() + second * 29).await?.is_empty(),
        "a lease is given twice"
    );
    ensure!(
        keys(&inbox(start() + second * 31).await?) == ["due"],
        "a lease that is over is not given again"
    );
    let again = delivery(
        "due",
        InboxState::Waiting {
            next_at: start() + second * 32,
        },
    );
    let was = InboxState::Waiting { next_at: start() };
    let again = Change::inbox_only(again, None).inbox_was(Some(was));
    store.commit(again).await?;
    ensure!(
        keys(&inbox(start() + second * 33).await?) == ["due"],
        "a commit does not end the lease"
    );
    let dead = store
        .inbox(InboxFilter::Dead, PageRequest::first(10))
        .await?;
    ensure!(
        dead.items.len() == 1 && dead.next.is_none(),
        "the dead delivery is not listed"
    );
    let waiting = store
        .inbox(InboxFilter::Waiting, PageRequest::first(10))
        .await?;
    ensure!(
        waiting.items.len() == 2,
        "the waiting deliveries are not listed"
    );
    Ok(())
}

pub(super) async fn parked_deliveries_wake<S: Store + Queries>(store: &S) -> Checked {
    let far = start() + chrono::Duration::days(1);
    let mut parked = delivery("early", InboxState::Parked { next_at: far });
    parked.reference = Some(PaymentReference::new("REF-1")?);
    store.commit(Change::inbox_only(parked, None)).await?;
    let inbox = || store.claim(claim(WorkKind::Inbox, start()));
    ensure!(
        inbox().await?.is_empty(),
        "a parked delivery is due too early"
    );
    store
        .commit(open("learner", "REF-1", PaymentMethod::Card)?.delta.into())
        .await?;
    ensure!(
        keys(&inbox().await?) == ["early"],
        "its attempt came, and the parked delivery is not due"
    );
    Ok(())
}

pub(super) async fn a_claim_is_no_larger_than_asked<S: Store + Queries>(store: &S) -> Checked {
    let mut expected = 0;
    for number in 0..3 {
        let (learner, reference) = (format!("learner-{number}"), format!("REF-{number}"));
        let opened = open(&learner, &reference, PaymentMethod::BankTransfer)?;
        expected += opened.delta.events.len();
        store.commit(opened.delta.into()).await?;
    }
    ensure!(expected > 6, "{expected} events are too few to tell");
    let mut found = 0;
    while found < expected {
        let two = Claim {
            limit: 2,
            ..claim(WorkKind::Outbox, start())
        };
        let work = store.claim(two).await?;
        ensure!(
            matches!(work.len(), 1 | 2),
            "a claim of two at most gives {}",
            work.len()
        );
        found += work.len();
        let published: Vec<_> = work
            .iter()
            .filter_map(|work| match work {
                Work::Message(event) => Some(Settlement::Published(event.id)),
                Work::Delivery(_) | Work::Timer(_) => None,
            })
            .collect();
        store.settle(&published).await?;
    }
    Ok(())
}

pub(super) async fn the_outbox_keeps_order<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::Card)?;
    let mut expected: Vec<String> = delta
        .events
        .iter()
        .map(|event| event.id.to_string())
        .collect();
    store.commit(delta.into()).await?;
    let person = AdminId::new("admin")?;
    let approved =
        with_step(|step| case.approve(&person, ApprovalCause::ManualAdminApproval, step))?;
    expected.extend(
        approved
            .delta
            .events
            .iter()
            .map(|event| event.id.to_string()),
    );
    store.commit(approved.delta.into()).await?;
    let quiet = EventKind::DeliveryParked {
        key: DeliveryKey::from("quiet"),
    };
    let event = Event::new(
        IdGenerator::new(start()).event(),
        quiet,
        Actor::System,
        Source::SystemAutomatic,
        start(),
    );
    store.commit(Change::events_only(vec![event])).await?;

    let second = chrono::Duration::seconds(1);
    let outbox = |now| store.claim(claim(WorkKind::Outbox, now));
    let first = outbox(start()).await?;
    ensure!(
        keys(&first) == expected,
        "the outbox is out of order, or holds what is not to be published"
    );
    ensure!(
        outbox(start() + second).await?.is_empty(),
        "an event is given twice"
    );
    let ids: Vec<_> = first
        .iter()
        .filter_map(|work| match work {
            Work::Message(event) => Some(event.id),
            Work::Delivery(_) | Work::Timer(_) => None,
        })
        .collect();
    let mut settlements = vec![Settlement::Published(ids[0])];
    settlements.extend(ids[1..].iter().map(|event| Settlement::Retry {
        event: *event,
        next_at: start() + second * 5,
    }));
    store.settle(&settlements).await?;
    ensure!(
        outbox(start() + second * 4).await?.is_empty(),
        "an event is given before its time"
    );
    ensure!(
        keys(&outbox(start() + second * 5).await?) == expected[1..],
        "what was not published is lost or out of order"
    );
    Ok(())
}

pub(super) async fn held_money_stays_in_sight<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::InstantEft)?;
    store.commit(delta.into()).await?;
    let due = || store.payment_exceptions(PageRequest::first(10));
    ensure!(
        due().await?.items.is_empty(),
        "an unpaid attempt is due back"
    );
    let mut paid = case.clone();
    paid.attempts[0].status = AttemptStatus::Paid;
    paid.attempts[0].payment = Some(Payment {
        at: start(),
        amount: Some(paid.attempts[0].amount),
        method: PaymentMethod::InstantEft,
        evidence_level: EvidenceLevel::Confirmed,
        allocation: Allocation::OnHold(HoldReason::InstantEft),
    });
    let mut write = |status: Status| {
        let expected = Some(paid.enrollment.version);
        paid.enrollment.version = paid.enrollment.version.next();
        paid.enrollment.waits_for = match &status {
            Status::AwaitingApproval { reason } => Some(*reason),
            _ => None,
        };
        let waits = paid.enrollment.waits_for.is_some();
        paid.enrollment.waits_on = waits.then(|| paid.attempts[0].reference.clone());
        paid.enrollment.status = status;
        Change {
            enrollment: Some(paid.enrollment.clone()),
            expected,
            attempts: paid.attempts.clone(),
            ..Change::default()
        }
    };
    let waiting = write(Status::AwaitingApproval {
        reason: HoldReason::InstantEft,
    });
    let mut beside = write(Status::AwaitingApproval {
        reason: HoldReason::InstantEft,
    });
    if let Some(enrollment) = &mut beside.enrollment {
        enrollment.waits_on = None;
    }
    let rejected = write(Status::Rejected {
        reason: Note::new("no"),
    });
    store.commit(waiting).await?;
    ensure!(
        due().await?.items.is_empty(),
        "money that waits in the queue is due back"
    );
    store.commit(beside).await?;
    ensure!(
        due().await?.items.len() == 1,
        "money is out of sight while the queue shows something else"
    );
    store.commit(rejected).await?;
    let found = due().await?.items;
    ensure!(
        found.len() == 1 && found[0].attempt.reference.as_str() == "REF-1",
        "money on a rejected enrollment is out of sight"
    );
    Ok(())
}
