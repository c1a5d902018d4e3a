//! What a commit writes, and what it must not.

use super::harness::{Checked, SETTLED, delivery, ensure, open, start, with_step};
use crate::access::{AccessTerms, EndReason, Grant, GrantSource};
use crate::enrollment::{Case, StepOutcome};
use crate::payment::{PayLink, PaymentMethod};
use crate::store::{Change, CommitOutcome, InboxState, Lookup, Queries, Store};
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{
    AdminId, CourseId, IdGenerator, LearnerId, PayLinkId, PaymentReference, Version,
};
use crate::webhook::DeliveryKey;

pub(super) async fn finds_what_was_written<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::Card)?;
    ensure!(
        store.commit(delta.into()).await? == CommitOutcome::Done,
        "a first change is refused"
    );
    let reference = PaymentReference::new("REF-1")?;
    let pay_link = PayLinkId::new("link1")?;
    let link = PayLink {
        id: pay_link.clone(),
        url: Some("https://pay.example/link1".into()),
    };
    let StepOutcome { delta, case, .. } = with_step(|step| case.link(&reference, link, step))?;
    ensure!(
        store.commit(delta.into()).await? == CommitOutcome::Done,
        "a second change is refused"
    );
    let id = case.enrollment.id;
    let key = DeliveryKey::from("nothing");
    let (learner, course) = (&case.enrollment.learner, &case.enrollment.course);
    for lookup in [
        Lookup::Enrollment(id),
        Lookup::Reference(&reference),
        Lookup::PayLink(&pay_link),
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

pub(super) async fn one_enrollment_per_learner_and_course<S: Store + Queries>(
    store: &S,
) -> Checked {
    store
        .commit(open("learner", "REF-1", PaymentMethod::Card)?.delta.into())
        .await?;
    let again = store
        .commit(open("learner", "REF-2", PaymentMethod::Card)?.delta.into())
        .await?;
    ensure!(
        again == CommitOutcome::Conflict,
        "a second enrollment of the same learner is {again:?}"
    );
    let found = store
        .load(Lookup::Reference(&PaymentReference::new("REF-2")?))
        .await?;
    ensure!(found.case.is_none(), "a conflict wrote something");
    Ok(())
}

pub(super) async fn a_stale_version_writes_nothing<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::Card)?;
    store.commit(delta.into()).await?;
    let person = AdminId::new("admin")?;
    let approve = |case: Case| {
        with_step(|step| case.approve(&person, ApprovalCause::ManualAdminApproval, step))
    };
    let first = approve(case.clone())?;
    let second = approve(case.clone())?;
    ensure!(
        second.delta.expected == Some(Version(1)),
        "the change names another version"
    );
    ensure!(
        store.commit(first.delta.into()).await? == CommitOutcome::Done,
        "the first of two is refused"
    );
    let mut second = Change::from(second.delta);
    second.inbox = Some(delivery("late", SETTLED));
    let lost = store.commit(second).await?;
    ensure!(
        lost == CommitOutcome::Conflict,
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

pub(super) async fn a_settled_delivery_is_a_duplicate<S: Store + Queries>(store: &S) -> Checked {
    let waits = InboxState::Waiting { next_at: start() };
    let waiting = delivery("key", waits.clone());
    ensure!(
        store.commit(Change::inbox_only(waiting, None)).await? == CommitOutcome::Done,
        "a waiting row is refused"
    );
    let settled = Change::inbox_only(delivery("key", SETTLED), None).inbox_was(Some(waits));
    ensure!(
        store.commit(settled.clone()).await? == CommitOutcome::Done,
        "a waiting row cannot be settled"
    );
    let mut again = Change::from(open("learner", "REF-1", PaymentMethod::Card)?.delta);
    again.inbox = settled.inbox;
    let outcome = store.commit(again).await?;
    ensure!(
        outcome == CommitOutcome::Duplicate,
        "a settled delivery is {outcome:?}"
    );
    let found = store
        .load(Lookup::Reference(&PaymentReference::new("REF-1")?))
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

pub(super) async fn a_reference_belongs_to_one_enrollment<S: Store + Queries>(
    store: &S,
) -> Checked {
    store
        .commit(open("learner", "REF-1", PaymentMethod::Card)?.delta.into())
        .await?;
    let taken = store
        .commit(open("other", "REF-1", PaymentMethod::Card)?.delta.into())
        .await?;
    ensure!(
        taken == CommitOutcome::Conflict,
        "a reference that is taken is {taken:?}"
    );
    Ok(())
}

pub(super) async fn one_grant_per_payment<S: Store + Queries>(store: &S) -> Checked {
    let mut ids = IdGenerator::new(start());
    let subject = (LearnerId::new("learner")?, CourseId::new("course")?);
    let source = GrantSource::Payment {
        payment: PaymentReference::new("REF-1")?,
    };
    let mut grant = || {
        Grant::new(
            ids.grant(),
            subject.clone(),
            None,
            source.clone(),
            &AccessTerms::default(),
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
        store.commit(change(ended.clone())).await? == CommitOutcome::Done,
        "a grant cannot be ended"
    );
    ensure!(
        store.grants(&subject.0, &subject.1).await? == [ended],
        "an ended grant reads otherwise"
    );
    Ok(())
}

pub(super) async fn grants_apart_from_enrollments<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::Card)?;
    store.commit(delta.into()).await?;
    let subject = (
        case.enrollment.learner.clone(),
        case.enrollment.course.clone(),
    );
    let source = GrantSource::Admin {
        by: AdminId::new("admin")?,
    };
    let grant = Grant::new(
        IdGenerator::new(start()).grant(),
        subject.clone(),
        None,
        source,
        &AccessTerms::default(),
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

pub(super) async fn the_timeline_only_grows<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::BankTransfer)?;
    let mut expected = delta.events.clone();
    store.commit(delta.into()).await?;
    let person = AdminId::new("admin")?;
    let approved =
        with_step(|step| case.approve(&person, ApprovalCause::ManualAdminApproval, step))?;
    expected.extend(approved.delta.events.clone());
    store.commit(approved.delta.into()).await?;
    let found = store.timeline(approved.case.enrollment.id).await?;
    ensure!(found == expected, "the timeline is not what was written");
    Ok(())
}
