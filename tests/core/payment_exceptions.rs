use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::enrollment::Status;
use coursegate::payment::{Allocation, AttemptStatus, PaymentMethod};
use coursegate::reason::{ExceptionAction, HoldReason};
use coursegate::registrar::{Outcome, PaymentException};
use coursegate::store::PageRequest;
use coursegate::{Error, Money};

use crate::support::{World, admin, config, request};

#[tokio::test]
async fn a_second_payment_is_held_for_refund_and_access_is_not_affected() {
    let world = World::new();
    let (enrollment, _, first) = world.attempt("thandi", PaymentMethod::Card).await;
    let mut offer = request("thandi", PaymentMethod::Card);
    offer.price = Money::zar(29_900).unwrap();
    world.ask(offer).await;
    let second = world.case(enrollment).await.attempts[1].clone();
    world.pay(&first, Choice::Card).await;
    let receipt = world
        .pay(&second.link.unwrap().id, Choice::Card)
        .await
        .remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::DuplicatePayment));
    assert!(world.may_enter("thandi").await);
    let case = world.case(enrollment).await;
    assert!(matches!(case.enrollment.status, Status::Approved { .. }));
    assert_eq!(
        case.attempts[1].payment.unwrap().allocation,
        Allocation::RefundDue(HoldReason::DuplicatePayment)
    );

    let desk = world.registrar.admin(admin());
    assert_eq!(
        exceptions(&world).await,
        [(second.reference.clone(), ExceptionAction::RefundDue)],
        "it is in sight"
    );

    // Refunding the duplicate leaves the access alone.
    desk.refunds()
        .record(&second.reference, "dashboard R-2")
        .await
        .unwrap();
    assert!(exceptions(&world).await.is_empty());
    assert!(world.may_enter("thandi").await);
    assert_eq!(
        world.case(enrollment).await.attempts[1].status,
        AttemptStatus::Refunded
    );
}

#[tokio::test]
async fn money_after_the_enrollment_was_closed_is_late_money() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let desk = world.registrar.admin(admin());
    desk.approvals()
        .reject(enrollment, "class is full")
        .await
        .unwrap();
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::LatePayment));
    assert_eq!(
        receipt.status,
        Some(Status::AwaitingApproval {
            reason: HoldReason::LatePayment
        })
    );
    assert!(!world.may_enter("thandi").await);
    desk.approvals()
        .approve(enrollment, "a seat came free")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_setting_lets_late_money_in_but_never_against_a_persons_word() {
    let mut config = config();
    config.rules.money.late = ExceptionAction::Approve;
    let world = World::with(Settings::new(1), config, |builder| builder);
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world
        .registrar
        .admin(admin())
        .approvals()
        .reject(enrollment, "no")
        .await
        .unwrap();
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::LatePayment));
}

#[tokio::test]
async fn another_amount_is_held_and_can_be_approved_knowingly() {
    let world = World::with(
        Settings::new(1).fault(Fault::WrongAmount, 1.0),
        config(),
        |builder| builder,
    );
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::Overpayment));
    assert!(!world.may_enter("thandi").await);
    let paid = world.case(enrollment).await.attempts[0].payment.unwrap();
    assert_eq!(paid.amount.unwrap().minor(), 49_901);
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(enrollment, "one cent more")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn refunding_held_money_lets_the_learner_pay_again() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    let desk = world.registrar.admin(admin());
    let status = desk
        .refunds()
        .record(&reference, "dashboard R-3")
        .await
        .unwrap();
    assert_eq!(status, Status::AwaitingPayment);
    // Said twice, it is the same refund.
    desk.refunds()
        .record(&reference, "dashboard R-3")
        .await
        .unwrap();
    let (again, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    assert_eq!(again, enrollment);
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Approved
    );
}

#[tokio::test]
async fn what_was_never_paid_cannot_be_refunded() {
    let world = World::new();
    let (_, reference, _) = world.attempt("thandi", PaymentMethod::Card).await;
    let error = world
        .registrar
        .admin(admin())
        .refunds()
        .record(&reference, "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused(_)));
    let unknown = coursegate::PaymentReference::new("CG-NOBODYS").unwrap();
    assert!(matches!(
        world
            .registrar
            .admin(admin())
            .refunds()
            .record(&unknown, "")
            .await,
        Err(Error::NotFound(_))
    ));
}

/// Lets the enrollment of an unpaid attempt expire, as a worker does.
async fn expire(world: &World, enrollment: coursegate::EnrollmentId) {
    let (week, hour) = (7 * 24 * 3600, 3600);
    let mut passes = 0;
    world.advance(week + hour);
    while world.case(enrollment).await.enrollment.status != Status::Expired {
        world.pass().await;
        passes += 1;
        assert!(passes < 5, "it does not expire");
    }
}

#[tokio::test]
async fn money_after_expiry_waits_unless_a_setting_lets_it_in() {
    for late in ExceptionAction::ALL {
        let mut config = config();
        config.rules.money.late = *late;
        let world = World::with(Settings::new(1), config, |builder| builder);
        let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        expire(&world, enrollment).await;
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        let expected = match late {
            ExceptionAction::Approve => Outcome::Approved,
            ExceptionAction::Hold | ExceptionAction::RefundDue => {
                Outcome::Held(HoldReason::LatePayment)
            }
        };
        assert_eq!(receipt.outcome, expected);
        let listed = match late {
            ExceptionAction::Approve => vec![],
            held => vec![(reference, *held)],
        };
        assert_eq!(exceptions(&world).await, listed);
        let let_in = *late == ExceptionAction::Approve;
        assert_eq!(world.may_enter("thandi").await, let_in);
        let waits = matches!(
            world.case(enrollment).await.enrollment.status,
            Status::AwaitingApproval { .. }
        );
        assert_eq!(waits, *late == ExceptionAction::Hold);
    }
}

/// All payment exceptions and what becomes of them, read one by one.
async fn exceptions(world: &World) -> Vec<(coursegate::PaymentReference, ExceptionAction)> {
    let desk = world.registrar.admin(admin());
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let request = PageRequest {
            after: next,
            limit: 1,
        };
        let page = desk.payments().exceptions(request).await.unwrap();
        for item in page.items {
            let outcome = item.outcome();
            if let PaymentException::Payment(payment) = item {
                found.push((payment.attempt.reference, outcome));
            }
        }
        next = page.next;
        if next.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn money_left_behind_by_a_rejection_or_a_withdrawal_is_due_back() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (rejected, first, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    let (_, second, link) = world.attempt("sipho", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    assert!(
        exceptions(&world).await.is_empty(),
        "they wait in the queue"
    );

    desk.approvals().reject(rejected, "no").await.unwrap();
    let course = crate::support::course();
    world
        .registrar
        .withdraw(&crate::support::learner("sipho"), &course)
        .await
        .unwrap();
    let mut expected = [first, second];
    expected.sort();
    let due = expected.map(|reference| (reference, ExceptionAction::RefundDue));
    assert_eq!(exceptions(&world).await, due);
    desk.approvals()
        .approve(rejected, "after all")
        .await
        .unwrap();
    assert_eq!(exceptions(&world).await.len(), 1);
}
