//! Offers, what attempts are for, and grants of every source.

use super::harness::{Checked, RULES, ensure, first, opening, permit, start};
use super::lists::ensure_same;
use crate::access::{
    AccessLevel, AccessTerms, Grant, GrantSource, ResourceKind, ResourceKinds, Restriction,
};
use crate::enrollment::{
    Case, MigratedPayment, Migration, NewEnrollment, StepContext, StepOutcome,
};
use crate::event::{Actor, Source};
use crate::payment::{Allocation, PaymentMethod, Purpose};
use crate::store::{Change, CommitOutcome, Lookup, PageRequest, Queries, Store};
use crate::vocabulary::reason::{ApprovalCause, HoldReason, WithdrawReason};
use crate::vocabulary::{
    AdminId, ExternalKey, GrantId, IdGenerator, Money, PaymentReference, Status, Title,
};

fn step(hours: i64) -> StepContext<'static> {
    StepContext {
        now: start() + chrono::Duration::hours(hours),
        who: &Actor::System,
        source: Source::SystemAutomatic,
        note: &None,
        guard: &permit,
        rules: &RULES,
        rehearsal: false,
    }
}

/// Terms in which nothing is as it is by default.
fn narrow() -> AccessTerms {
    AccessTerms {
        level: AccessLevel::Limited,
        kinds: ResourceKinds::only([ResourceKind::Lesson, ResourceKind::Quiz]),
        seconds: Some(30 * 86_400),
        restrictions: vec![Restriction::Device(["laptop \u{e9}".to_owned()].into())],
    }
}

/// Each attempt keeps its own offer and purpose, and a later one changes nothing about it.
pub(super) async fn each_attempt_keeps_its_offer<S: Store + Queries>(store: &S) -> Checked {
    let mut narrowly = opening("learner", "course", PaymentMethod::BankTransfer)?;
    narrowly.offer.terms = narrow();
    let reference = PaymentReference::new("REF-1")?;
    let StepOutcome { delta, case, .. } = Case::open(narrowly, first(), reference, &step(0))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    let person = AdminId::new("admin")?;
    let cause = ApprovalCause::ManualAdminApproval;
    let StepOutcome { delta, case, .. } = case.approve(&person, cause, &step(1))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    let of = case.grants[0].id;
    let mut case = case;
    let purposes = [
        Purpose::Renewal { of },
        Purpose::Upgrade,
        Purpose::Additional,
    ];
    for (number, purpose) in (2..).zip(purposes) {
        let mut other = opening("learner", "course", PaymentMethod::BankTransfer)?;
        other.offer.price = Money::zar(10_000 + number)?;
        other.offer.title = Title::new(format!("Course, part {number}"))?;
        let reference = PaymentReference::new(format!("REF-{number}"))?;
        let retried = case.retry(other, purpose, reference, &step(number))?;
        store.commit(retried.delta.into()).await?;
        ensure_same(store, &retried.case).await?;
        case = retried.case;
    }
    ensure!(
        case.attempts[0].terms == narrow(),
        "the first offer changed"
    );
    ensure!(
        case.enrollment.waits_for == Some(HoldReason::BankTransfer),
        "an upgrade that waits is not seen"
    );
    let queue = store.pending(PageRequest::first(10)).await?.items;
    ensure!(
        queue.len() == 1 && queue[0].enrollment == case.enrollment,
        "what waits beside access is not in the queue"
    );
    let StepOutcome { delta, case, .. } = case.approve(&person, cause, &step(9))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    let queue = store.pending(PageRequest::first(10)).await?.items;
    ensure!(queue.is_empty(), "what waits for nobody is in the queue");
    // Money that is kept beside other money, and access that the school ended.
    let mut kept = case;
    let expected = Some(kept.enrollment.version);
    kept.enrollment.version = kept.enrollment.version.next();
    kept.enrollment.status = Status::Withdrawn {
        why: WithdrawReason::Revoked,
    };
    if let Some(payment) = &mut kept.attempts[0].payment {
        payment.allocation = Allocation::Kept;
    }
    let change = Change {
        enrollment: Some(kept.enrollment.clone()),
        expected,
        attempts: vec![kept.attempts[0].clone()],
        ..Change::default()
    };
    ensure!(
        store.commit(change).await? == CommitOutcome::Done,
        "it is refused"
    );
    ensure_same(store, &kept).await
}

/// Grants of every source read back as they were, with another system's name for them.
pub(super) async fn grants_of_every_source<S: Store + Queries>(store: &S) -> Checked {
    let by = AdminId::new("admin")?;
    let payment = |number: u32| PaymentReference::new(format!("PAID-{number}"));
    let sources = [
        GrantSource::Payment {
            payment: payment(1)?,
        },
        GrantSource::Approval {
            by: by.clone(),
            payment: payment(2)?,
        },
        GrantSource::Ahead {
            by: by.clone(),
            payment: None,
        },
        GrantSource::Ahead {
            by: by.clone(),
            payment: Some(payment(3)?),
        },
        GrantSource::Provisional,
        GrantSource::Admin { by: by.clone() },
        GrantSource::Migration {
            by: by.clone(),
            payment: None,
        },
        GrantSource::Migration {
            by,
            payment: Some(payment(4)?),
        },
    ];
    let subject = opening("learner", "course", PaymentMethod::Card)?;
    let mut ids = IdGenerator::new(start());
    let mut expected = Vec::new();
    for (number, source) in (0..).zip(sources) {
        let subject = (subject.learner.clone(), subject.course.clone());
        let begins = start() + chrono::Duration::hours(number);
        let mut grant = Grant::new(ids.grant(), subject, None, source, &narrow(), begins);
        grant.key = (number % 2 == 0)
            .then(|| ExternalKey::new(format!("old-{number}")))
            .transpose()?;
        expected.push(grant);
    }
    let change = Change {
        grants: expected.clone(),
        ..Change::default()
    };
    ensure!(
        store.commit(change).await? == CommitOutcome::Done,
        "they are refused"
    );
    let found = store.grants(&subject.learner, &subject.course).await?;
    ensure!(found == expected, "grants read otherwise: {found:?}");
    for grant in expected {
        let found = store.load(Lookup::Grant(grant.id)).await?.grant;
        ensure!(found == Some(grant), "a grant is not found by its id");
    }
    Ok(())
}

/// A payment that is brought over is an enrollment, an attempt and a grant, in one commit.
pub(super) async fn a_payment_is_brought_over<S: Store + Queries>(store: &S) -> Checked {
    let mut opening = opening("learner", "course", PaymentMethod::BankTransfer)?;
    opening.offer.terms = narrow();
    let migration = Migration {
        grant: GrantId::from_uuid(uuid::Uuid::from_u128(17)),
        key: ExternalKey::new("moodle-17")?,
        starts_at: start() - chrono::Duration::days(3),
        payment: MigratedPayment {
            reference: PaymentReference::new("OLD-17")?,
            amount: opening.offer.price,
            method: PaymentMethod::BankTransfer,
            at: start() - chrono::Duration::days(4),
        },
        by: AdminId::new("admin")?,
        opening,
    };
    let brought = Case::migrate_new(migration.clone(), Vec::new(), &step(0))?;
    ensure!(
        store.commit(brought.delta.into()).await? == CommitOutcome::Done,
        "it is refused"
    );
    ensure_same(store, &brought.case).await?;
    let again = brought.case.migrate(migration, &step(1))?;
    ensure!(again.delta.is_empty(), "it is brought over twice");
    Ok(())
}

/// Neither a grant nor its key becomes that of another learner.
pub(super) async fn a_grant_stays_its_learners<S: Store + Queries>(store: &S) -> Checked {
    let (own, other) = (
        opening("learner", "course", PaymentMethod::Card)?,
        opening("other", "course", PaymentMethod::Card)?,
    );
    let mut ids = IdGenerator::new(start());
    let key = ExternalKey::new("old-1")?;
    let mut grant = |subject: &NewEnrollment, key: Option<&ExternalKey>| {
        let subject = (subject.learner.clone(), subject.course.clone());
        let source = GrantSource::Provisional;
        let mut grant = Grant::new(ids.grant(), subject, None, source, &narrow(), start());
        grant.key = key.cloned();
        grant
    };
    let change = |grant: &Grant| Change {
        grants: vec![grant.clone()],
        ..Change::default()
    };
    let first = grant(&own, Some(&key));
    store.commit(change(&first)).await?;
    ensure!(
        store.commit(change(&grant(&other, Some(&key)))).await? == CommitOutcome::Conflict,
        "a key names two grants"
    );
    let mut stolen = grant(&other, None);
    stolen.id = first.id;
    ensure!(
        store.commit(change(&stolen)).await? == CommitOutcome::Conflict,
        "a grant became another learner's"
    );
    let found = store.load(Lookup::GrantKey(&key)).await?.grant;
    ensure!(found == Some(first), "a grant is not found by its key");
    let unknown = ExternalKey::new("old-2")?;
    let found = store.load(Lookup::GrantKey(&unknown)).await?;
    ensure!(
        found.grant.is_none() && found.case.is_none(),
        "an unknown key names a grant"
    );
    Ok(())
}
