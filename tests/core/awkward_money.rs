use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::approval::StandardPolicy;
use coursegate::enrollment::Status;
use coursegate::payment::{AttemptStatus, Method, Standing};
use coursegate::reason::HoldReason;
use coursegate::registrar::Outcome;
use coursegate::{Error, Money};

use crate::support::{World, admin, config, request};

#[tokio::test]
async fn a_second_payment_is_held_for_refund_and_access_is_not_affected() {
    let world = World::new();
    let (enrollment, _, first) = world.attempt("thandi", Method::Card).await;
    let mut offer = request("thandi", Method::Card);
    offer.price = Money::zar(29_900).unwrap();
    world.registrar.enrol(offer).await.unwrap();
    let second = world.case(enrollment).await.attempts[1].clone();
    world.pay(&first, Choice::Card).await;
    let receipt = world
        .pay(&second.link.unwrap().id, Choice::Card)
        .await
        .remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::DuplicateMoney));
    assert!(world.may_enter("thandi").await);
    let case = world.case(enrollment).await;
    assert!(matches!(case.enrollment.status, Status::Approved { .. }));
    assert_eq!(
        case.attempts[1].payment.unwrap().standing,
        Standing::Held(HoldReason::DuplicateMoney)
    );

    // Refunding the duplicate leaves the access alone.
    world
        .registrar
        .admin(admin())
        .record_refund(&second.reference, "dashboard R-2")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
    assert_eq!(
        world.case(enrollment).await.attempts[1].status,
        AttemptStatus::Refunded
    );
}

#[tokio::test]
async fn money_after_the_enrollment_was_closed_is_late_money() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", Method::Card).await;
    let desk = world.registrar.admin(admin());
    desk.reject(enrollment, "class is full").await.unwrap();
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::LateMoney));
    assert_eq!(
        receipt.status,
        Some(Status::AwaitingApproval {
            reason: HoldReason::LateMoney
        })
    );
    assert!(!world.may_enter("thandi").await);
    desk.approve(enrollment, "a seat came free").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_setting_lets_late_money_in_but_never_against_a_persons_word() {
    let mut policy = StandardPolicy::default();
    policy.approve_late_money = true;
    let world = World::with(Settings::new(1), config(), |builder| builder.policy(policy));
    let (enrollment, _, link) = world.attempt("thandi", Method::Card).await;
    world
        .registrar
        .admin(admin())
        .reject(enrollment, "no")
        .await
        .unwrap();
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::LateMoney));
}

#[tokio::test]
async fn another_amount_is_held_and_can_be_approved_knowingly() {
    let world = World::with(
        Settings::new(1).fault(Fault::WrongAmount, 1.0),
        config(),
        |builder| builder,
    );
    let (enrollment, _, link) = world.attempt("thandi", Method::Card).await;
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::AmountDiffers));
    assert!(!world.may_enter("thandi").await);
    let paid = world.case(enrollment).await.attempts[0].payment.unwrap();
    assert_eq!(paid.amount.unwrap().minor(), 49_901);
    world
        .registrar
        .admin(admin())
        .approve(enrollment, "one cent more")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn refunding_held_money_lets_the_learner_pay_again() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", Method::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    let desk = world.registrar.admin(admin());
    let status = desk
        .record_refund(&reference, "dashboard R-3")
        .await
        .unwrap();
    assert_eq!(status, Status::AwaitingPayment);
    // Said twice, it is the same refund.
    desk.record_refund(&reference, "dashboard R-3")
        .await
        .unwrap();
    let (again, _, link) = world.attempt("thandi", Method::Card).await;
    assert_eq!(again, enrollment);
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Applied
    );
}

#[tokio::test]
async fn what_was_never_paid_cannot_be_refunded() {
    let world = World::new();
    let (_, reference, _) = world.attempt("thandi", Method::Card).await;
    let error = world
        .registrar
        .admin(admin())
        .record_refund(&reference, "")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused(_)));
    let unknown = coursegate::Reference::new("CG-NOBODYS").unwrap();
    assert!(matches!(
        world
            .registrar
            .admin(admin())
            .record_refund(&unknown, "")
            .await,
        Err(Error::NotFound(_))
    ));
}
