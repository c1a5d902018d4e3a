use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::approval::StandardPolicy;
use coursegate::enrollment::Status;
use coursegate::enrollment::{Proposal, Step};
use coursegate::payment::{AttemptStatus, Method, Standing};
use coursegate::port::{Committed, PageRequest, Store};
use coursegate::reason::HoldReason;
use coursegate::reason::Note;
use coursegate::record::{Actor, Source};
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

    let desk = world.registrar.admin(admin());
    let due = desk
        .refunds_due(PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(due, [case.attempts[1].clone()], "it is in sight");

    // Refunding the duplicate leaves the access alone.
    desk.record_refund(&second.reference, "dashboard R-2")
        .await
        .unwrap();
    assert!(
        desk.refunds_due(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
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

/// Expires the enrollment of an unpaid attempt, as a worker will.
async fn expire(world: &World, enrollment: coursegate::EnrollmentId) {
    let permit = |_: &Proposal<'_>| Ok::<(), Note>(());
    let step = Step {
        now: crate::support::start(),
        who: &Actor::System,
        source: Source::SystemAutomatic,
        note: &None,
        guard: &permit,
        provisional: None,
    };
    let expired = world.case(enrollment).await.expire(&step).unwrap();
    assert_eq!(expired.case.enrollment.status, Status::Expired);
    assert_eq!(
        world.store.commit(expired.change).await.unwrap(),
        Committed::Done
    );
}

#[tokio::test]
async fn money_after_expiry_waits_unless_a_setting_lets_it_in() {
    for approve in [false, true] {
        let mut policy = StandardPolicy::default();
        policy.approve_late_money = approve;
        let world = World::with(Settings::new(1), config(), |builder| builder.policy(policy));
        let (enrollment, _, link) = world.attempt("thandi", Method::Card).await;
        expire(&world, enrollment).await;
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        let expected = match approve {
            true => Outcome::Applied,
            false => Outcome::Held(HoldReason::LateMoney),
        };
        assert_eq!(receipt.outcome, expected);
        assert_eq!(world.may_enter("thandi").await, approve);
    }
}

#[tokio::test]
async fn money_left_behind_by_a_rejection_or_a_withdrawal_is_due_back() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (rejected, first, link) = world.attempt("thandi", Method::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    let (_, second, link) = world.attempt("sipho", Method::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    assert!(
        desk.refunds_due(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .is_empty(),
        "they wait in the queue"
    );

    desk.reject(rejected, "no").await.unwrap();
    let course = crate::support::course();
    world
        .registrar
        .withdraw(&crate::support::learner("sipho"), &course)
        .await
        .unwrap();
    let mut expected = [first, second];
    expected.sort();
    let page = desk.refunds_due(PageRequest::first(1)).await.unwrap();
    let rest = desk
        .refunds_due(PageRequest::after(page.next.clone().unwrap(), 1))
        .await
        .unwrap();
    let found: Vec<_> = page
        .items
        .iter()
        .chain(&rest.items)
        .map(|attempt| attempt.reference.clone())
        .collect();
    assert_eq!((found.as_slice(), rest.next), (expected.as_slice(), None));
    desk.approve(rejected, "after all").await.unwrap();
    assert_eq!(
        desk.refunds_due(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}
