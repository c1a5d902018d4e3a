use chrono::Duration;

use super::harness::{Checked, ensure, open, start};
use crate::enrollment::{Case, StepOutcome};
use crate::payment::{Allocation, AttemptStatus, Doubt, Payment, PaymentMethod, Verdict};
use crate::store::{Change, Lookup, Queries, Store};
use crate::vocabulary::reason::{HoldReason, WithdrawReason};
use crate::vocabulary::{Closed, EvidenceLevel, IdGenerator, Note, Status};

/// Writes a case as it is, and reads it again.
async fn kept<S: Store + Queries>(store: &S, case: &mut Case) -> Checked {
    let expected = Some(case.enrollment.version);
    case.enrollment.version = case.enrollment.version.next();
    store
        .commit(Change {
            enrollment: Some(case.enrollment.clone()),
            expected,
            attempts: case.attempts.clone(),
            ..Change::default()
        })
        .await?;
    let found = store.load(Lookup::Enrollment(case.enrollment.id)).await?;
    ensure!(
        found.case.as_ref() == Some(&*case),
        "a field of an enrollment or an attempt is lost"
    );
    Ok(())
}

pub(super) async fn every_field_of_a_case_is_kept<S: Store + Queries>(store: &S) -> Checked {
    let StepOutcome {
        delta, mut case, ..
    } = open("learner", "REF-1", PaymentMethod::InstantEft)?;
    store.commit(delta.into()).await?;
    let reason = HoldReason::LatePayment;
    case.enrollment.status = Status::AwaitingApproval { reason };
    case.enrollment.waits_for = Some(reason);
    case.enrollment.waits_on = Some(case.attempts[0].reference.clone());
    let left = WithdrawReason::ALL
        .iter()
        .map(|why| Closed::Withdrawn { why: *why });
    let rejected = Closed::Rejected {
        reason: Note::new("no \u{1f600} \"quoted\""),
    };
    for closed in left.chain([rejected]) {
        case.enrollment.closed = Some(Box::new(closed));
        kept(store, &mut case).await?;
    }
    let grant = IdGenerator::new(start()).grant();
    for verdict in [Verdict::Open, Verdict::Accepted(grant), Verdict::Refused] {
        case.attempts[0].doubt = Some(Doubt {
            reason,
            since: start() - Duration::hours(3),
            verdict,
        });
        kept(store, &mut case).await?;
    }
    case.attempts[0].asked_at = start() + Duration::microseconds(1);
    case.attempts[0].status = AttemptStatus::Reversed;
    case.attempts[0].payment = Some(Payment {
        at: start(),
        amount: Some(case.attempts[0].amount),
        method: PaymentMethod::Card,
        evidence_level: EvidenceLevel::Confirmed,
        allocation: Allocation::Refunded,
    });
    for before in [
        Allocation::Applied,
        Allocation::Kept,
        Allocation::OnHold(reason),
        Allocation::RefundDue(reason),
        Allocation::Refunded,
    ] {
        case.attempts[0].before_reversal = Some(before);
        kept(store, &mut case).await?;
    }
    case.enrollment.status = Status::AwaitingPayment;
    (case.enrollment.waits_for, case.enrollment.waits_on) = (None, None);
    case.enrollment.closed = None;
    (case.attempts[0].doubt, case.attempts[0].before_reversal) = (None, None);
    kept(store, &mut case).await
}
