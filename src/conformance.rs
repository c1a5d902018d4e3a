//! The suite every [`Store`] must pass, with its [`Records`].
//!
//! An author of a store calls [`store`] from a test of their own:
//!
//! ```
//! # use coursegate::adapter::memory::MemoryStore;
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! coursegate::conformance::store(|| async { MemoryStore::new() }).await
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};

use crate::access::{EndReason, Grant, GrantSource, Terms};
use crate::enrollment::{
    Applied, Case, CaseError, Change, InboxEntry, InboxOutcome, InboxState, Opening, Proposal,
    Step, Version,
};
use crate::evidence::SignedBy;
use crate::ids::{CourseId, Email, IdRun, LearnerId, PayLinkId, PersonId, Reference, Title};
use crate::money::Money;
use crate::payment::{Method, PayLink};
use crate::port::{
    Claim, Committed, InboxFilter, Lookup, PageRequest, Records, Settlement, Store, Work, WorkKind,
};
use crate::reason::{ApprovalCause, Note};
use crate::record::{Actor, Fact, Record, Source};
use crate::webhook::{DeliveryKey, SignedForm};

/// A promise the store does not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {what}")]
pub struct Failure {
    /// Which check.
    pub check: &'static str,
    /// What went wrong.
    pub what: String,
}

type Checked = Result<(), Box<dyn std::error::Error + Send + Sync>>;

macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+).into());
        }
    };
}

/// Runs every check, each on a fresh store.
///
/// # Errors
/// [`Failure`] names the first promise that is not kept.
pub async fn store<S, F, M>(make: M) -> Result<(), Failure>
where
    S: Store + Records,
    F: Future<Output = S>,
    M: Fn() -> F,
{
    macro_rules! run {
        ($($check:ident),+ $(,)?) => {$(
            $check(&make().await)
                .await
                .map_err(|what| Failure { check: stringify!($check), what: what.to_string() })?;
        )+};
    }
    run!(
        finds_what_was_written,
        one_enrollment_per_learner_and_course,
        a_stale_version_writes_nothing,
        a_settled_delivery_is_a_duplicate,
        a_reference_belongs_to_one_enrollment,
        one_grant_per_payment,
        grants_apart_from_enrollments,
        the_timeline_only_grows,
        the_queue_is_paged,
        the_inbox_is_leased,
        parked_deliveries_wake,
        the_outbox_keeps_order,
    );
    Ok(())
}

fn start() -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600, 0)
        .single()
        .unwrap_or_default()
}

fn permit(_: &Proposal<'_>) -> Result<(), Note> {
    Ok(())
}

fn with_step<T>(apply: impl FnOnce(&Step<'_>) -> Result<T, CaseError>) -> Result<T, CaseError> {
    apply(&Step {
        now: start(),
        who: &Actor::System,
        source: Source::SystemAutomatic,
        note: &None,
        guard: &permit,
        provisional: None,
    })
}

fn opening(
    learner: &str,
    course: &str,
    method: Method,
) -> Result<Opening, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Opening {
        learner: LearnerId::new(learner)?,
        email: Email::new("learner@school.example")?,
        course: CourseId::new(course)?,
        title: Title::new("Course")?,
        price: Money::zar(10_000)?,
        declared: method,
        terms: Terms::default(),
    })
}

fn open(
    learner: &str,
    reference: &str,
    method: Method,
) -> Result<Applied, Box<dyn std::error::Error + Send + Sync>> {
    let opening = opening(learner, "course", method)?;
    let reference = Reference::new(reference)?;
    Ok(with_step(|step| Case::open(opening, reference, step))?)
}

fn delivery(key: &str, state: InboxState) -> InboxEntry {
    let signed_by = SignedBy {
        key: "primary".into(),
        form: SignedForm::Raw,
    };
    InboxEntry {
        state,
        ..InboxEntry::new(DeliveryKey::from(key), start(), "/hook", b"{}", signed_by)
    }
}

const SETTLED: InboxState = InboxState::Settled {
    outcome: InboxOutcome::Applied,
};

async fn finds_what_was_written<S: Store + Records>(store: &S) -> Checked {
    let Applied { change, case, .. } = open("learner", "REF-1", Method::Card)?;
    ensure!(
        store.commit(change).await? == Committed::Done,
        "a first change is refused"
    );
    let reference = Reference::new("REF-1")?;
    let link = PayLink {
        id: PayLinkId::new("link1")?,
        url: "https://pay.example/link1".into(),
    };
    let Applied { change, case, .. } = with_step(|step| case.link(&reference, link, step))?;
    ensure!(
        store.commit(change).await? == Committed::Done,
        "a second change is refused"
    );
    let id = case.enrollment.id;
    let key = DeliveryKey::from("nothing");
    let (learner, course) = (&case.enrollment.learner, &case.enrollment.course);
    for lookup in [
        Lookup::Enrollment(id),
        Lookup::Reference(&reference),
        Lookup::Learner(learner, course),
        Lookup::Delivery {
            key: &key,
            reference: Some("REF-1"),
            pay_link: None,
        },
        Lookup::Delivery {
            key: &key,
            reference: Some("REF-UNKNOWN"),
            pay_link: Some("link1"),
        },
    ] {
        let found = store.load(lookup).await?;
        ensure!(
            found.case.as_ref() == Some(&case),
            "{lookup:?} does not give back what was written"
        );
        ensure!(
            found.delivery.is_none(),
            "{lookup:?} knows a delivery that never came"
        );
    }
    let unknown = Lookup::Delivery {
        key: &key,
        reference: Some("REF-2"),
        pay_link: Some("link2"),
    };
    ensure!(
        store.load(unknown).await?.case.is_none(),
        "an unknown reference finds a case"
    );
    Ok(())
}

async fn one_enrollment_per_learner_and_course<S: Store + Records>(store: &S) -> Checked {
    store
        .commit(open("learner", "REF-1", Method::Card)?.change)
        .await?;
    let again = store
        .commit(open("learner", "REF-2", Method::Card)?.change)
        .await?;
    ensure!(
        again == Committed::Conflict,
        "a second enrollment of the same learner is {again:?}"
    );
    let found = store
        .load(Lookup::Reference(&Reference::new("REF-2")?))
        .await?;
    ensure!(found.case.is_none(), "a conflict wrote something");
    Ok(())
}

async fn a_stale_version_writes_nothing<S: Store + Records>(store: &S) -> Checked {
    let Applied { change, case, .. } = open("learner", "REF-1", Method::Card)?;
    store.commit(change).await?;
    let person = PersonId::new("admin")?;
    let approve = |case: Case| {
        with_step(|step| case.approve(&person, ApprovalCause::ManualAdminApproval, step))
    };
    let first = approve(case.clone())?;
    let mut second = approve(case.clone())?;
    ensure!(
        second.change.expected == Some(Version(1)),
        "the change names another version"
    );
    ensure!(
        store.commit(first.change).await? == Committed::Done,
        "the first of two is refused"
    );
    second.change.inbox = Some(delivery("late", SETTLED));
    let lost = store.commit(second.change).await?;
    ensure!(
        lost == Committed::Conflict,
        "a change on a stale version is {lost:?}"
    );
    ensure!(
        store.delivery(&DeliveryKey::from("late")).await?.is_none(),
        "a conflict wrote an inbox row"
    );
    let grants = store
        .grants(&case.enrollment.learner, &case.enrollment.course)
        .await?;
    ensure!(
        grants.len() == 1,
        "two approvals left {} grants",
        grants.len()
    );
    Ok(())
}

async fn a_settled_delivery_is_a_duplicate<S: Store + Records>(store: &S) -> Checked {
    let waiting = delivery("key", InboxState::Waiting { next_at: start() });
    ensure!(
        store.commit(Change::inbox_only(waiting, None)).await? == Committed::Done,
        "a waiting row is refused"
    );
    let settled = Change::inbox_only(delivery("key", SETTLED), None);
    ensure!(
        store.commit(settled.clone()).await? == Committed::Done,
        "a waiting row cannot be settled"
    );
    let mut again = open("learner", "REF-1", Method::Card)?.change;
    again.inbox = settled.inbox;
    let outcome = store.commit(again).await?;
    ensure!(
        outcome == Committed::Duplicate,
        "a settled delivery is {outcome:?}"
    );
    let found = store
        .load(Lookup::Reference(&Reference::new("REF-1")?))
        .await?;
    ensure!(found.case.is_none(), "a duplicate wrote something");
    let key = DeliveryKey::from("key");
    let known = store
        .load(Lookup::Delivery {
            key: &key,
            reference: None,
            pay_link: None,
        })
        .await?
        .delivery;
    ensure!(
        known.is_some_and(|known| known.state == SETTLED),
        "a settled delivery is not known"
    );
    Ok(())
}

async fn a_reference_belongs_to_one_enrollment<S: Store + Records>(store: &S) -> Checked {
    store
        .commit(open("learner", "REF-1", Method::Card)?.change)
        .await?;
    let taken = store
        .commit(open("other", "REF-1", Method::Card)?.change)
        .await?;
    ensure!(
        taken == Committed::Conflict,
        "a reference that is taken is {taken:?}"
    );
    Ok(())
}

async fn one_grant_per_payment<S: Store + Records>(store: &S) -> Checked {
    let mut ids = IdRun::new(start());
    let subject = (LearnerId::new("learner")?, CourseId::new("course")?);
    let source = GrantSource::Payment {
        payment: Reference::new("REF-1")?,
    };
    let mut grant = || {
        Grant::new(
            ids.grant(),
            subject.clone(),
            None,
            source.clone(),
            &Terms::default(),
            start(),
        )
    };
    let change = |grant| Change {
        grants: vec![grant],
        ..Change::default()
    };
    let first = grant();
    store.commit(change(first.clone())).await?;
    ensure!(
        store.commit(change(grant())).await.is_err(),
        "a payment became the source of two grants"
    );
    let mut ended = first;
    ended.end(start(), EndReason::Revoked);
    ensure!(
        store.commit(change(ended.clone())).await? == Committed::Done,
        "a grant cannot be ended"
    );
    ensure!(
        store.grants(&subject.0, &subject.1).await? == [ended],
        "an ended grant reads otherwise"
    );
    Ok(())
}

async fn grants_apart_from_enrollments<S: Store + Records>(store: &S) -> Checked {
    let Applied { change, case, .. } = open("learner", "REF-1", Method::Card)?;
    store.commit(change).await?;
    let subject = (
        case.enrollment.learner.clone(),
        case.enrollment.course.clone(),
    );
    let source = GrantSource::Admin {
        by: PersonId::new("admin")?,
    };
    let grant = Grant::new(
        IdRun::new(start()).grant(),
        subject.clone(),
        None,
        source,
        &Terms::default(),
        start(),
    );
    store
        .commit(Change {
            grants: vec![grant.clone()],
            ..Change::default()
        })
        .await?;
    ensure!(
        store.grants(&subject.0, &subject.1).await? == [grant.clone()],
        "the grant is not found"
    );
    let found = store.load(Lookup::Grant(grant.id)).await?;
    ensure!(
        found.grant.as_ref() == Some(&grant) && found.case.is_none(),
        "the grant is not found by its id"
    );
    let case = store
        .load(Lookup::Enrollment(case.enrollment.id))
        .await?
        .case;
    ensure!(
        case.is_some_and(|case| case.grants == [grant]),
        "the case lacks the grant"
    );
    let others = store.grants(&LearnerId::new("other")?, &subject.1).await?;
    ensure!(others.is_empty(), "another learner has the grant too");
    Ok(())
}

async fn the_timeline_only_grows<S: Store + Records>(store: &S) -> Checked {
    let Applied { change, case, .. } = open("learner", "REF-1", Method::BankTransfer)?;
    let mut expected = change.records.clone();
    store.commit(change).await?;
    let person = PersonId::new("admin")?;
    let approved =
        with_step(|step| case.approve(&person, ApprovalCause::ManualAdminApproval, step))?;
    expected.extend(approved.change.records.clone());
    store.commit(approved.change).await?;
    let found = store.timeline(approved.case.enrollment.id).await?;
    ensure!(found == expected, "the timeline is not what was written");
    Ok(())
}

async fn the_queue_is_paged<S: Store + Records>(store: &S) -> Checked {
    let mut expected = Vec::new();
    for number in 0..7 {
        let opened = open(
            &format!("learner-{number}"),
            &format!("REF-{number}"),
            Method::BankTransfer,
        )?;
        expected.push(opened.case.enrollment.id);
        store.commit(opened.change).await?;
    }
    store
        .commit(open("card", "REF-C", Method::Card)?.change)
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

fn keys(work: &[Work]) -> Vec<String> {
    let key = |work: &Work| match work {
        Work::Delivery(entry) => entry.key.to_string(),
        Work::Message(record) => record.id.to_string(),
    };
    work.iter().map(key).collect()
}

fn claim(kind: WorkKind, now: DateTime<Utc>) -> Claim {
    Claim {
        kind,
        limit: 10,
        now,
        lease: Duration::from_secs(30),
    }
}

async fn the_inbox_is_leased<S: Store + Records>(store: &S) -> Checked {
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
    store.commit(Change::inbox_only(again, None)).await?;
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

async fn parked_deliveries_wake<S: Store + Records>(store: &S) -> Checked {
    let far = start() + chrono::Duration::days(1);
    let mut parked = delivery("early", InboxState::Parked { next_at: far });
    parked.reference = Some(Reference::new("REF-1")?);
    store.commit(Change::inbox_only(parked, None)).await?;
    let inbox = || store.claim(claim(WorkKind::Inbox, start()));
    ensure!(
        inbox().await?.is_empty(),
        "a parked delivery is due too early"
    );
    store
        .commit(open("learner", "REF-1", Method::Card)?.change)
        .await?;
    ensure!(
        keys(&inbox().await?) == ["early"],
        "its attempt came, and the parked delivery is not due"
    );
    Ok(())
}

async fn the_outbox_keeps_order<S: Store + Records>(store: &S) -> Checked {
    let Applied { change, case, .. } = open("learner", "REF-1", Method::Card)?;
    let mut expected: Vec<String> = change
        .records
        .iter()
        .map(|record| record.id.to_string())
        .collect();
    store.commit(change).await?;
    let person = PersonId::new("admin")?;
    let approved =
        with_step(|step| case.approve(&person, ApprovalCause::ManualAdminApproval, step))?;
    expected.extend(
        approved
            .change
            .records
            .iter()
            .map(|record| record.id.to_string()),
    );
    store.commit(approved.change).await?;
    let quiet = Fact::DeliveryParked {
        key: DeliveryKey::from("quiet"),
    };
    let record = Record::new(
        IdRun::new(start()).record(),
        quiet,
        Actor::System,
        Source::SystemAutomatic,
        start(),
    );
    store.commit(Change::records_only(vec![record])).await?;

    let second = chrono::Duration::seconds(1);
    let outbox = |now| store.claim(claim(WorkKind::Outbox, now));
    let first = outbox(start()).await?;
    ensure!(
        keys(&first) == expected,
        "the outbox is out of order, or holds what is not to be published"
    );
    ensure!(
        outbox(start() + second).await?.is_empty(),
        "a record is given twice"
    );
    let ids: Vec<_> = first
        .iter()
        .filter_map(|work| match work {
            Work::Message(record) => Some(record.id),
            Work::Delivery(_) => None,
        })
        .collect();
    let mut settlements = vec![Settlement::Published(ids[0])];
    settlements.extend(ids[1..].iter().map(|record| Settlement::Later {
        record: *record,
        next_at: start() + second * 5,
    }));
    store.settle(&settlements).await?;
    ensure!(
        outbox(start() + second * 4).await?.is_empty(),
        "a record is given before its time"
    );
    ensure!(
        keys(&outbox(start() + second * 5).await?) == expected[1..],
        "what was not published is lost or out of order"
    );
    Ok(())
}
