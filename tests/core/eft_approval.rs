use coursegate::access::{AccessDecision, AccessTerms, DenyReason, GrantSource};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::{CaseError, Refusal, Status};
use coursegate::payment::{Allocation, AttemptStatus, PaymentMethod};
use coursegate::reason::{ApprovalCause, HoldReason};
use coursegate::registrar::{BulkOutcome, NextStep, Outcome};
use coursegate::store::PageRequest;
use coursegate::{Error, ErrorKind};

use coursegate::reason::WithdrawReason;

use crate::support::{World, admin, config, course, price, visitor, withdrawn};

#[tokio::test]
async fn an_instant_eft_waits_for_a_person_and_then_opens_the_course() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    let receipts = world.pay(&link, Choice::InstantEft).await;
    assert_eq!(receipts[0].outcome, Outcome::Held(HoldReason::InstantEft));
    assert!(!receipts[0].access_granted && !world.may_enter("thandi").await);
    let card = world
        .registrar
        .learner_card(Some(&visitor("thandi")), &course())
        .await
        .unwrap();
    assert_eq!(
        (card.text.as_str(), card.disabled),
        ("Pending Approval", true)
    );

    let desk = world.registrar.admin(admin());
    let queue = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(queue.items.len(), 1);
    let why = desk.approvals().explain(enrollment).await.unwrap();
    let basis = why.basis.unwrap();
    assert_eq!(basis.detection.method, PaymentMethod::InstantEft);
    assert!(
        why.contributions
            .iter()
            .any(|(rule, share)| rule == "declared-eft" && *share > 0.8)
    );
    assert!(why.nearest_flip.unwrap().confidence.value() < 0.80);
    assert!(why.advice.is_some());

    desk.approvals()
        .approve(enrollment, "seen in the dashboard")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
    let case = world.case(enrollment).await;
    assert_eq!(
        case.enrollment.status,
        Status::Approved {
            cause: ApprovalCause::ManualAdminApproval
        }
    );
    assert_eq!(
        case.grants[0].source,
        GrantSource::Approval {
            by: admin(),
            payment: reference
        }
    );
    assert_eq!(
        case.attempts[0].payment.unwrap().allocation,
        Allocation::Applied
    );
    assert!(
        desk.approvals()
            .pending(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );

    // Again is accepted and changes nothing.
    let version = case.enrollment.version;
    desk.approvals()
        .approve(enrollment, "double click")
        .await
        .unwrap();
    assert_eq!(world.case(enrollment).await.enrollment.version, version);
}

#[tokio::test]
async fn a_bank_transfer_gets_a_reference_and_goes_straight_to_the_queue() {
    let world = World::new();
    let enrolled = world.enroll("sipho", PaymentMethod::BankTransfer).await;
    let NextStep::Transfer {
        reference,
        amount,
        bank,
    } = enrolled.next
    else {
        panic!("no bank details")
    };
    assert_eq!((amount, bank.bank.as_str()), (price(), "Test Bank"));
    assert_eq!(
        enrolled.status,
        Status::AwaitingApproval {
            reason: HoldReason::BankTransfer
        }
    );

    let desk = world.registrar.admin(admin());
    desk.approvals()
        .approve(enrolled.enrollment, "on the statement of 31 January")
        .await
        .unwrap();
    assert!(world.may_enter("sipho").await);
    let case = world.case(enrolled.enrollment).await;
    assert_eq!(case.attempts[0].status, AttemptStatus::Paid);
    assert_eq!(case.attempts[0].payment.unwrap().amount, Some(price()));

    desk.refunds()
        .record(&reference, "returned by bank, slip 17")
        .await
        .unwrap();
    let case = world.case(enrolled.enrollment).await;
    assert_eq!(
        (case.enrollment.status, case.attempts[0].status),
        (
            withdrawn(WithdrawReason::MoneyBack),
            AttemptStatus::Refunded
        )
    );
    assert!(matches!(
        world.access("sipho").await,
        AccessDecision::Deny {
            reason: DenyReason::Ended { .. }
        }
    ));
}

#[tokio::test]
async fn a_learner_may_turn_from_a_bank_transfer_to_a_card() {
    let world = World::new();
    let transfer = world.enroll("sipho", PaymentMethod::BankTransfer).await;
    let (enrollment, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    assert_eq!(enrollment, transfer.enrollment);
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Approved
    );
    assert!(world.may_enter("sipho").await);
}

#[tokio::test]
async fn a_rejection_says_why_and_leaves_the_money_in_sight() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    let desk = world.registrar.admin(admin());
    let status = desk
        .approvals()
        .reject(enrollment, "Name on the payment differs")
        .await
        .unwrap();
    assert!(
        matches!(&status, Status::Rejected { reason } if reason.as_str() == "Name on the payment differs")
    );
    assert!(!world.may_enter("thandi").await);
    let held = world.case(enrollment).await.attempts[0]
        .payment
        .unwrap()
        .allocation;
    assert_eq!(held, Allocation::RefundDue(HoldReason::InstantEft));
    desk.refunds()
        .record(&reference, "dashboard R-1")
        .await
        .unwrap();
    let case = world.case(enrollment).await;
    assert_eq!(case.attempts[0].status, AttemptStatus::Refunded);
    assert!(matches!(case.enrollment.status, Status::Rejected { .. }));

    // The learner may try again, on the same enrollment.
    let (again, second, _) = world.attempt("thandi", PaymentMethod::Card).await;
    assert_eq!(again, enrollment);
    assert_ne!(second, reference);
}

#[tokio::test]
async fn an_approved_enrollment_cannot_be_rejected() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let error = world
        .registrar
        .admin(admin())
        .approvals()
        .reject(enrollment, "too late")
        .await
        .unwrap_err();
    assert_eq!(
        error,
        Error::Refused(CaseError::Refused(Refusal::ApprovedAlready))
    );
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("revoke"));
}

#[tokio::test]
async fn bulk_approval_is_tried_first_and_reports_each_item() {
    let world = World::new();
    let one = world
        .enroll("one", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let two = world
        .enroll("two", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let unknown = World::new()
        .enroll("three", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let desk = world.registrar.admin(admin());
    desk.approvals().approve(two, "").await.unwrap();

    let all = [one, two, unknown];
    let dry = desk.approvals().approve_all(&all, "batch", true).await;
    assert!(!world.may_enter("one").await, "a dry run changes nothing");
    let wet = desk.approvals().approve_all(&all, "batch", false).await;
    assert_eq!(dry, wet);
    assert_eq!(wet[0].outcome, BulkOutcome::Approved);
    assert_eq!(wet[1].outcome, BulkOutcome::AlreadyApproved);
    assert!(matches!(wet[2].outcome, BulkOutcome::Failed(_)));
    let status = world.case(one).await.enrollment.status;
    assert_eq!(
        status,
        Status::Approved {
            cause: ApprovalCause::BulkApproval
        }
    );
}

#[tokio::test]
async fn the_queue_has_pages() {
    let world = World::new();
    for number in 0..5 {
        world
            .enroll(&format!("learner-{number}"), PaymentMethod::BankTransfer)
            .await;
    }
    let desk = world.registrar.admin(admin());
    let first = desk
        .approvals()
        .pending(PageRequest::first(2))
        .await
        .unwrap();
    let second = desk
        .approvals()
        .pending(PageRequest::after(first.next.unwrap(), 2))
        .await
        .unwrap();
    let third = desk
        .approvals()
        .pending(PageRequest::after(second.next.unwrap(), 2))
        .await
        .unwrap();
    assert_eq!(
        (
            first.items.len(),
            second.items.len(),
            third.items.len(),
            third.next
        ),
        (2, 2, 1, None)
    );
}

#[tokio::test]
async fn a_provisional_grant_lives_while_the_transfer_waits() {
    let mut settings = config();
    settings.rules.provisional = Some(AccessTerms::lasting(std::time::Duration::from_secs(3600)));
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let waiting = world
        .enroll("sipho", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    assert!(world.may_enter("sipho").await);
    let desk = world.registrar.admin(admin());
    desk.approvals()
        .reject(waiting, "no money came")
        .await
        .unwrap();
    assert!(!world.may_enter("sipho").await);

    let approved = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    desk.approvals().approve(approved, "").await.unwrap();
    world.advance(4000);
    assert!(
        world.may_enter("thandi").await,
        "the real grant outlives the provisional one"
    );
    assert_eq!(world.case(approved).await.grants.len(), 2);
}
