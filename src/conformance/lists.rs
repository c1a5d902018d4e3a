//! Lists for people: discrepancies, bank statements, payment exceptions, and everything there is.

use super::harness::{Checked, RULES, delivery, ensure, open, opening, start, with_step};
use crate::access::{AccessTerms, Grant, GrantSource, GrantState};
use crate::enrollment::{Case, Repayment, StepOutcome};
use crate::payment::{Allocation, AttemptStatus, Payment, PaymentMethod, ProofOfPayment};
use crate::reconciliation::{Closing, Discrepancy, reconcile};
use crate::store::{Change, CommitOutcome, InboxState, Lookup, PageRequest, Queries, Store};
use crate::vocabulary::reason::{ApprovalCause, ExceptionAction, HoldReason};
use crate::vocabulary::{
    AdminId, EvidenceLevel, IdGenerator, Money, Note, PayLinkId, PaymentReference, Reversal,
};

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn reload<S: Store>(store: &S, case: &Case) -> Result<Case, Failed> {
    let found = store.load(Lookup::Enrollment(case.enrollment.id)).await?;
    Ok(found.case.ok_or("the case is gone")?)
}

/// What every enrollment of a school is held to where two people approve.
fn with_two<T>(
    apply: impl FnOnce(&crate::enrollment::StepContext<'_>) -> Result<T, crate::enrollment::CaseError>,
) -> Result<T, crate::enrollment::CaseError> {
    let mut rules = RULES.clone();
    rules.dual_approval_above = Some(0);
    with_step(|step| {
        apply(&crate::enrollment::StepContext {
            rules: &rules,
            ..*step
        })
    })
}

pub(super) async fn one_approval_of_two_is_kept<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::BankTransfer)?;
    store.commit(delta.into()).await?;
    let (first, second) = (AdminId::new("nomsa")?, AdminId::new("sipho")?);
    let cause = ApprovalCause::ManualAdminApproval;
    let StepOutcome { delta, case, .. } = with_two(|step| case.approve(&first, cause, step))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    ensure!(
        case.enrollment.first_approval.as_ref().map(|it| &it.by) == Some(&first),
        "nobody has approved"
    );
    let StepOutcome { delta, case, .. } = with_two(|step| case.approve(&second, cause, step))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    ensure!(
        case.enrollment.first_approval.is_none() && case.grants.len() == 1,
        "two approvals do not approve"
    );
    Ok(())
}

/// An approved bank transfer.
async fn approved<S: Store>(store: &S) -> Result<Case, Failed> {
    let StepOutcome { delta, case, .. } = open("learner", "REF-1", PaymentMethod::BankTransfer)?;
    store.commit(delta.into()).await?;
    let proof = ProofOfPayment::new("https://school.example/proofs/1")?;
    let StepOutcome { delta, case, .. } = with_step(|step| case.prove(proof, step))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    let person = AdminId::new("admin")?;
    let cause = ApprovalCause::ManualAdminApproval;
    let StepOutcome { delta, case, .. } = with_step(|step| case.approve(&person, cause, step))?;
    store.commit(delta.into()).await?;
    Ok(case)
}

pub(super) async fn ensure_same<S: Store>(store: &S, case: &Case) -> Checked {
    let found = reload(store, case).await?;
    ensure!(
        found == *case,
        "a case does not come back as it was written"
    );
    Ok(())
}

pub(super) async fn money_that_goes_back_is_kept<S: Store + Queries>(store: &S) -> Checked {
    let case = approved(store).await?;
    let reference = PaymentReference::new("REF-1")?;
    let repayment = |cents, proof: &str| -> Result<Repayment, Failed> {
        Ok(Repayment {
            amount: Some(Money::zar(cents)?),
            proof: Note::new(proof),
            by: AdminId::new("admin")?,
        })
    };
    let part = repayment(100, "asked for")?;
    let StepOutcome { delta, case, .. } =
        with_step(|step| case.request_refund(&reference, part, step))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    let StepOutcome { delta, case, .. } =
        with_step(|step| case.reverse(&reference, Reversal::ChargedBack, step))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    ensure!(
        matches!(case.grants[0].state, GrantState::Suspended { .. }),
        "the grant is not suspended"
    );
    let StepOutcome { delta, case, .. } = with_step(|step| case.reinstate(&reference, step))?;
    store.commit(delta.into()).await?;
    let rest = repayment(9_000, "given back")?;
    let StepOutcome { delta, case, .. } = with_step(|step| case.refund(&reference, rest, step))?;
    store.commit(delta.into()).await?;
    ensure_same(store, &case).await?;
    ensure!(case.attempts[0].returned() == 9_000, "it did not go back");

    // Money that is to go back is in sight, whatever its enrollment waits for.
    let StepOutcome { delta, case, .. } = open("other", "REF-2", PaymentMethod::BankTransfer)?;
    store.commit(delta.into()).await?;
    let mut paid = case;
    for allocation in [
        Allocation::OnHold(HoldReason::InstantEft),
        Allocation::OnHold(HoldReason::Overpayment),
        Allocation::RefundDue(HoldReason::DuplicatePayment),
    ] {
        paid.attempts[0].status = AttemptStatus::Paid;
        paid.attempts[0].payment = Some(Payment {
            at: start(),
            amount: None,
            method: PaymentMethod::Card,
            evidence_level: EvidenceLevel::Confirmed,
            allocation,
        });
        let expected = Some(paid.enrollment.version);
        paid.enrollment.version = paid.enrollment.version.next();
        store
            .commit(Change {
                enrollment: Some(paid.enrollment.clone()),
                expected,
                attempts: paid.attempts.clone(),
                ..Change::default()
            })
            .await?;
        let listed = store
            .payment_exceptions(PageRequest::first(10))
            .await?
            .items;
        let wanted = allocation != Allocation::OnHold(HoldReason::InstantEft);
        ensure!(
            listed.iter().any(|item| item.attempt == paid.attempts[0]) == wanted,
            "{allocation:?} is listed: {}",
            !wanted
        );
    }
    Ok(())
}

pub(super) async fn a_concern_stands_until_its_enrollment_changes<S: Store + Queries>(
    store: &S,
) -> Checked {
    let case = approved(store).await?;
    let later = start() + chrono::Duration::days(30);
    let mut broken = case.clone();
    broken.grants.clear();
    let about = reconcile(&broken, std::time::Duration::ZERO, later);
    ensure!(about.len() == 1, "the auditor finds {about:?}");
    let sum = Some(Money::zar(100)?);
    let unmatched = Discrepancy::unmatched(
        PayLinkId::new("strangerslink00")?,
        sum,
        ExceptionAction::RefundDue,
        later,
    );
    let raise = |discrepancy: &Discrepancy| {
        store.commit(Change {
            discrepancies: vec![discrepancy.clone()],
            ..Change::default()
        })
    };
    for discrepancy in [&about[0], &unmatched] {
        ensure!(
            raise(discrepancy).await? == CommitOutcome::Done,
            "a discrepancy is refused"
        );
        ensure!(
            raise(discrepancy).await? == CommitOutcome::Conflict,
            "a discrepancy is raised twice"
        );
        ensure!(
            store.discrepancy(&discrepancy.key).await?.as_ref() == Some(discrepancy),
            "a discrepancy does not come back as it was written"
        );
    }
    let listed = || store.discrepancies(PageRequest::first(1));
    let first = listed().await?;
    ensure!(
        first.items == [about[0].clone()] && first.next.is_some(),
        "discrepancies are not listed by key"
    );

    let mut closed = unmatched.clone();
    closed.closed = Some(Closing {
        at: later,
        by: AdminId::new("admin")?,
        note: Note::new("given back"),
    });
    ensure!(
        raise(&closed).await? == CommitOutcome::Done,
        "it cannot be closed"
    );
    ensure!(
        raise(&closed).await? == CommitOutcome::Conflict,
        "a discrepancy is closed twice"
    );
    ensure!(
        store.discrepancy(&unmatched.key).await? == Some(closed),
        "who closed a discrepancy is lost"
    );
    let withdrawn = with_step(|step| case.withdraw(step))?;
    store.commit(withdrawn.delta.into()).await?;
    ensure!(
        listed().await?.items.is_empty(),
        "a discrepancy stands though its enrollment changed"
    );
    Ok(())
}

pub(super) async fn everything_can_be_walked_through<S: Store + Queries>(store: &S) -> Checked {
    let first = approved(store).await?;
    let mut expected = vec![reload(store, &first).await?];
    for name in ["ann", "ben", "cat"] {
        let opened = open(name, &format!("REF-{name}"), PaymentMethod::Card)?;
        store.commit(opened.delta.into()).await?;
        let mut waiting = delivery(name, InboxState::Waiting { next_at: start() });
        waiting.enrollment = Some(opened.case.enrollment.id);
        store.commit(Change::inbox_only(waiting, None)).await?;
        expected.push(reload(store, &opened.case).await?);
    }
    ensure!(
        expected[1].confirming.is_some(),
        "a case does not say that it is confirming"
    );
    expected.sort_by_key(|case| case.enrollment.id);
    let mut ids = IdGenerator::new(start());
    let mut grants = Vec::new();
    for name in ["dan", "eve", "fay"] {
        let opening = opening(name, "course", PaymentMethod::Card)?;
        let source = GrantSource::Admin {
            by: AdminId::new("admin")?,
        };
        let subject = (opening.learner, opening.course);
        let terms = AccessTerms::default();
        grants.push(Grant::new(
            ids.grant(),
            subject,
            None,
            source,
            &terms,
            start(),
        ));
    }
    store
        .commit(Change {
            grants: grants.clone(),
            ..Change::default()
        })
        .await?;
    let (mut cases, mut next) = (Vec::new(), None);
    loop {
        let request = PageRequest {
            after: next,
            limit: 3,
        };
        let page = store.cases(request).await?;
        cases.extend(page.items);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    ensure!(
        cases == expected,
        "not every case is walked through as it is"
    );
    let page = store.loose_grants(PageRequest::first(2)).await?;
    let rest = PageRequest {
        after: page.next,
        limit: 2,
    };
    let mut found = page.items;
    found.extend(store.loose_grants(rest).await?.items);
    ensure!(
        found == grants,
        "not every grant apart from enrollments is listed"
    );
    ensure!(
        cases
            .iter()
            .any(|case| RULES.due_at(case, start()).is_some()),
        "nothing is due to expire"
    );
    Ok(())
}
