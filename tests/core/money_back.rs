//! Money and access after refunds, disputes and revocations.

use coursegate::access::{AccessDecision, AccessTerms, EndReason, GrantSource, GrantState};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::{CaseError, Refusal, Status};
use coursegate::payment::{Allocation, AttemptStatus, PaymentMethod, Reversal};
use coursegate::reason::{ExceptionAction, HoldReason, WithdrawReason};
use coursegate::registrar::{BulkOutcome, CardAction, Error, LearnerCard, NewGrant, NextStep};
use coursegate::store::PageRequest;
use coursegate::{EnrollmentId, Money, PaymentReference};

use crate::support::{
    World, admin, carrying, config, course, learner, request, visitor, withdrawn,
};

const DAY: u64 = 86_400;

async fn paid(world: &World) -> (EnrollmentId, PaymentReference) {
    let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter("thandi").await);
    (id, reference)
}

async fn card(world: &World) -> LearnerCard {
    let (visitor, course) = (visitor("thandi"), course());
    let card = world.registrar.learner_card(Some(&visitor), &course);
    card.await.unwrap()
}

async fn queue(world: &World) -> Vec<EnrollmentId> {
    let desk = world.registrar.admin(admin());
    let page = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap();
    page.items.iter().map(|item| item.enrollment.id).collect()
}

async fn allocation(world: &World, id: EnrollmentId, at: usize) -> Allocation {
    world.case(id).await.attempts[at]
        .payment
        .unwrap()
        .allocation
}

/// Two attempts, both paid: the first carries the access.
async fn paid_twice(duplicate: ExceptionAction) -> (World, EnrollmentId, [PaymentReference; 2]) {
    let mut settings = config();
    settings.rules.money.duplicate = duplicate;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (id, first, first_link) = world.attempt("thandi", PaymentMethod::Card).await;
    // Declined, so there is a second attempt; the first link stays payable.
    world.pay(&first_link, Choice::Decline).await;
    let (_, second, second_link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&second_link, Choice::Card).await;
    world.pay(&first_link, Choice::Card).await;
    (world, id, [second, first])
}

#[tokio::test]
async fn a_dispute_that_is_won_after_the_grant_ended_waits_and_can_be_approved() {
    for how in [Reversal::Reversed, Reversal::ChargedBack] {
        let world = World::new();
        let (id, reference) = paid(&world).await;
        let desk = world.registrar.admin(admin());
        desk.refunds()
            .record_reversal(&reference, how, "letter 1")
            .await
            .unwrap();
        let grant = world.case(id).await.grants[0].id;
        desk.learners()
            .revoke(grant, "the dispute is lost")
            .await
            .unwrap();
        let status = desk
            .refunds()
            .record_reinstatement(&reference, "letter 2")
            .await
            .unwrap();
        let reason = HoldReason::LatePayment;
        assert_eq!(status, Status::AwaitingApproval { reason });
        assert_eq!(queue(&world).await, [id]);
        let shown = card(&world).await;
        assert_eq!(
            shown.action,
            CardAction::Wait,
            "nobody is asked to pay: {shown:?}"
        );
        let tried = desk
            .approvals()
            .approve_all(&[id], "", true)
            .await
            .remove(0);
        let done = desk
            .approvals()
            .approve_all(&[id], "", false)
            .await
            .remove(0);
        assert_eq!(tried, done);
        assert_eq!(done.outcome, BulkOutcome::Approved);
        assert!(world.may_enter("thandi").await);
        let case = world.case(id).await;
        assert_eq!(
            case.grants.len(),
            1,
            "one grant for one payment, begun anew"
        );
        assert_eq!(carrying(&case), [reference]);
    }
}

#[tokio::test]
async fn a_dispute_that_is_won_after_the_time_is_over_waits_too() {
    let world = World::new();
    let month = AccessTerms::lasting(std::time::Duration::from_secs(30 * DAY));
    let enrollee = world
        .ask(request("thandi", PaymentMethod::Card).terms(month))
        .await;
    let case = world.case(enrollee.enrollment).await;
    let (id, reference) = (case.enrollment.id, case.attempts[0].reference.clone());
    world
        .pay(&case.attempts[0].link.clone().unwrap().id, Choice::Card)
        .await;
    let desk = world.registrar.admin(admin());
    let how = Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&reference, how, "")
        .await
        .unwrap();
    world.advance(31 * DAY);
    desk.refunds()
        .record_reinstatement(&reference, "")
        .await
        .unwrap();
    assert_eq!(
        allocation(&world, id, 0).await,
        Allocation::OnHold(HoldReason::LatePayment)
    );
    world.pass().await;
    assert_eq!(queue(&world).await, [id]);
    desk.approvals()
        .approve(id, "they could not learn meanwhile")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
    let grant = world.case(id).await.grants[0].clone();
    assert_eq!((grant.expires_at.unwrap() - grant.starts_at).num_days(), 30);
}

#[tokio::test]
async fn of_two_payments_one_goes_back() {
    for duplicate in ExceptionAction::ALL {
        for reversed in [false, true] {
            let (world, id, [carries, other]) = paid_twice(*duplicate).await;
            let desk = world.registrar.admin(admin());
            match reversed {
                true => {
                    let how = Reversal::ChargedBack;
                    desk.refunds()
                        .record_reversal(&carries, how, "letter")
                        .await
                        .unwrap();
                }
                false => drop(desk.refunds().record(&carries, "R-1").await.unwrap()),
            }
            let case = world.case(id).await;
            let shown = card(&world).await;
            let next = world.enroll("thandi", PaymentMethod::Card).await.next;
            if *duplicate == ExceptionAction::Approve {
                assert_eq!(carrying(&case), [other], "what was kept takes its place");
                assert!(world.may_enter("thandi").await);
                assert_eq!(shown.action, CardAction::Open);
                assert_eq!(next, NextStep::Open { until: None });
                continue;
            }
            let reason = HoldReason::DuplicatePayment;
            assert_eq!(allocation(&world, id, 0).await, Allocation::OnHold(reason));
            assert_eq!(queue(&world).await, [id], "money is here");
            assert_eq!(shown.action, CardAction::Wait, "{shown:?}");
            assert_ne!(shown.reason, "withdrawn");
            assert_eq!(next, NextStep::Wait(reason));
            desk.approvals()
                .approve(id, "on the other payment")
                .await
                .unwrap();
            assert!(world.may_enter("thandi").await);
            assert_eq!(carrying(&world.case(id).await), [other]);
        }
    }
}

#[tokio::test]
async fn the_other_payment_goes_back_and_access_stays() {
    for duplicate in ExceptionAction::ALL {
        let (world, id, [carries, other]) = paid_twice(*duplicate).await;
        let desk = world.registrar.admin(admin());
        desk.refunds().record(&other, "R-1").await.unwrap();
        assert!(world.may_enter("thandi").await);
        assert_eq!(
            carrying(&world.case(id).await),
            std::slice::from_ref(&carries)
        );
        assert!(queue(&world).await.is_empty());
        let status = desk.refunds().record(&carries, "R-2").await.unwrap();
        assert_eq!(status, withdrawn(WithdrawReason::MoneyBack));
        assert!(card(&world).await.message.contains("went back"));
        // In the other order it ends the same.
        let (world, _, [carries, other]) = paid_twice(*duplicate).await;
        let desk = world.registrar.admin(admin());
        desk.refunds().record(&carries, "R-2").await.unwrap();
        let status = desk.refunds().record(&other, "R-1").await.unwrap();
        assert_eq!(status, withdrawn(WithdrawReason::MoneyBack), "{duplicate}");
    }
}

#[tokio::test]
async fn what_the_school_ended_only_the_school_gives_again() {
    let world = World::new();
    let (id, reference) = paid(&world).await;
    let desk = world.registrar.admin(admin());
    let grant = world.case(id).await.grants[0].id;
    desk.learners()
        .revoke(grant, "shared their account")
        .await
        .unwrap();
    let case = world.case(id).await;
    assert_eq!(case.enrollment.status, withdrawn(WithdrawReason::Revoked));
    let shown = card(&world).await;
    assert_eq!((shown.action, shown.reason), (CardAction::Wait, "ended"));
    assert_eq!(
        world.enroll("thandi", PaymentMethod::Card).await.next,
        NextStep::Ended
    );
    let attempts = world.case(id).await.attempts.len();
    assert_eq!(attempts, 1, "nothing was started");
    // Leaving and coming back is no way round it.
    drop(
        world
            .registrar
            .withdraw(&learner("thandi"), &course())
            .await,
    );
    assert_eq!(
        world.enroll("thandi", PaymentMethod::Card).await.next,
        NextStep::Ended
    );
    let status = desk
        .approvals()
        .approve(id, "they said sorry")
        .await
        .unwrap();
    assert!(matches!(status, Status::Approved { .. }));
    assert!(world.may_enter("thandi").await);
    // It rests on their payment again, and goes with it.
    let case = world.case(id).await;
    assert_eq!(
        (case.grants.len(), carrying(&case)),
        (1, vec![reference.clone()])
    );
    desk.refunds().record(&reference, "R-1").await.unwrap();
    assert!(!world.may_enter("thandi").await);
}

#[tokio::test]
async fn money_that_comes_after_a_revocation_opens_nothing_by_itself() {
    let world = World::new();
    let (id, _, old_link) = world.attempt("thandi", PaymentMethod::Card).await;
    let mut other = request("thandi", PaymentMethod::Card);
    other.price = Money::zar(59_900).unwrap();
    world.ask(other).await;
    let link = world.case(id).await.attempts[1].link.clone().unwrap().id;
    world.pay(&link, Choice::Card).await;
    let desk = world.registrar.admin(admin());
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "").await.unwrap();
    world.pay(&old_link, Choice::Card).await;
    let case = world.case(id).await;
    assert!(matches!(
        case.enrollment.status,
        Status::AwaitingApproval { .. }
    ));
    // Given back, it is as it was: ended by the school.
    let late = case.attempts[0].reference.clone();
    let status = desk.refunds().record(&late, "R-1").await.unwrap();
    assert_eq!(status, withdrawn(WithdrawReason::Revoked));
    assert_eq!(
        world.enroll("thandi", PaymentMethod::Card).await.next,
        NextStep::Ended
    );
}

#[tokio::test]
async fn after_a_lost_dispute_the_learner_may_pay_again() {
    let world = World::new();
    let (id, reference) = paid(&world).await;
    let desk = world.registrar.admin(admin());
    let how = Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&reference, how, "letter")
        .await
        .unwrap();
    // While it is open there is a way forward, and the admin's approval says why it is none.
    let shown = card(&world).await;
    assert_eq!((shown.action, shown.disabled), (CardAction::Enroll, false));
    assert_eq!(shown.reason, "suspended");
    let refused = desk.approvals().approve(id, "").await;
    assert_eq!(
        refused,
        Err(Error::Refused(CaseError::Refused(Refusal::Disputed)))
    );
    let tried = desk
        .approvals()
        .approve_all(&[id], "", true)
        .await
        .remove(0);
    let done = desk
        .approvals()
        .approve_all(&[id], "", false)
        .await
        .remove(0);
    assert_eq!(tried, done);
    let grant = world.case(id).await.grants[0].id;
    desk.learners()
        .revoke(grant, "the dispute is lost")
        .await
        .unwrap();
    let case = world.case(id).await;
    assert_eq!(case.enrollment.status, withdrawn(WithdrawReason::MoneyBack));
    assert!(matches!(
        case.grants[0].state,
        GrantState::Ended {
            why: EndReason::Reversed,
            ..
        }
    ));
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_refund_and_a_chargeback_of_one_payment_are_both_recorded() {
    let mut ends = Vec::new();
    for refund_first in [true, false] {
        let world = World::new();
        let (id, reference) = paid(&world).await;
        let desk = world.registrar.admin(admin());
        if refund_first {
            desk.refunds().record(&reference, "R-1").await.unwrap();
        }
        let how = Reversal::ChargedBack;
        desk.refunds()
            .record_reversal(&reference, how, "letter")
            .await
            .unwrap();
        if !refund_first {
            desk.refunds().record(&reference, "R-1").await.unwrap();
        }
        let case = world.case(id).await;
        let attempt = &case.attempts[0];
        assert_eq!(attempt.status, AttemptStatus::Reversed);
        assert_eq!(attempt.returned(), 49_900);
        assert!(!world.may_enter("thandi").await);
        let grant = case.grants[0].state;
        assert!(matches!(
            grant,
            GrantState::Ended {
                why: EndReason::Refunded,
                ..
            }
        ));
        ends.push((case.enrollment.status.clone(), attempt.payment));
        // Won, it is still given back: nothing of it is here.
        desk.refunds()
            .record_reinstatement(&reference, "won")
            .await
            .unwrap();
        let attempt = world.case(id).await.attempts[0].clone();
        assert_eq!(attempt.status, AttemptStatus::Refunded);
        assert!(!world.may_enter("thandi").await);
        assert!(queue(&world).await.is_empty());
    }
    assert_eq!(ends[0], ends[1]);
}

#[tokio::test]
async fn a_refund_leaves_an_approval_that_was_given_before_the_payment() {
    for reversed in [false, true] {
        let world = World::new();
        let (id, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        let desk = world.registrar.admin(admin());
        desk.approvals()
            .approve(id, "they pay on Friday")
            .await
            .unwrap();
        world.pay(&link, Choice::Card).await;
        let case = world.case(id).await;
        assert_eq!(case.grants.len(), 1);
        assert_eq!(carrying(&case), std::slice::from_ref(&reference));
        match reversed {
            true => {
                let how = Reversal::Reversed;
                desk.refunds()
                    .record_reversal(&reference, how, "")
                    .await
                    .unwrap();
            }
            false => drop(desk.refunds().record(&reference, "R-1").await.unwrap()),
        }
        assert!(world.may_enter("thandi").await, "the person's word stands");
        let case = world.case(id).await;
        assert!(matches!(case.enrollment.status, Status::Approved { .. }));
        let source = GrantSource::Ahead {
            by: admin(),
            payment: None,
        };
        assert_eq!(case.grants[0].source, source);
        if reversed {
            desk.refunds()
                .record_reinstatement(&reference, "")
                .await
                .unwrap();
            assert_eq!(
                carrying(&world.case(id).await),
                std::slice::from_ref(&reference)
            );
        }
    }
}

#[tokio::test]
async fn access_is_lent_once_until_money_is_seen() {
    let mut settings = config();
    settings.rules.provisional = Some(AccessTerms::lasting(std::time::Duration::from_secs(
        3 * DAY,
    )));
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let mut days = 0;
    for _ in 0..95 {
        world.enroll("thandi", PaymentMethod::BankTransfer).await;
        for _ in 0..3 {
            days += u64::from(world.may_enter("thandi").await);
            world.advance(DAY);
            world.pass().await;
        }
        let left = world
            .registrar
            .withdraw(&learner("thandi"), &course())
            .await;
        left.unwrap();
    }
    assert_eq!(days, 3, "of 285 days");
    // Once they have paid for something, they are trusted again.
    let enrollee = world.enroll("thandi", PaymentMethod::BankTransfer).await;
    let desk = world.registrar.admin(admin());
    desk.approvals()
        .approve(enrollee.enrollment, "on the statement")
        .await
        .unwrap();
    world
        .registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn money_that_is_held_for_a_closed_enrollment_is_never_asked_for_again() {
    // Paid while they left: the money waits, and the card says so.
    let world = World::new();
    let (id, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world
        .registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    world.pay(&link, Choice::Card).await;
    assert_eq!(queue(&world).await, [id]);
    let reason = HoldReason::LatePayment;
    assert_eq!(
        world.enroll("thandi", PaymentMethod::Card).await.next,
        NextStep::Wait(reason)
    );
    let shown = card(&world).await;
    assert_eq!(shown.action, CardAction::Wait);

    // An upgrade that is held, and then they leave: the money is theirs still.
    let world = World::new();
    let limited = AccessTerms {
        level: coursegate::access::AccessLevel::Limited,
        ..AccessTerms::default()
    };
    let first = world
        .ask(request("thandi", PaymentMethod::Card).terms(limited))
        .await;
    let id = first.enrollment;
    let link = world.case(id).await.attempts[0].link.clone().unwrap().id;
    world.pay(&link, Choice::Card).await;
    world.enroll("thandi", PaymentMethod::InstantEft).await;
    let link = world.case(id).await.attempts[1].link.clone().unwrap().id;
    world.pay(&link, Choice::InstantEft).await;
    world
        .registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    assert!(!world.may_enter("thandi").await);
    let desk = world.registrar.admin(admin());
    let listed = desk
        .payments()
        .exceptions(PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1, "and the school sees it");

    // They come back to it: a person is asked again, and it can be approved.
    let reason = HoldReason::InstantEft;
    assert_eq!(
        world.enroll("thandi", PaymentMethod::Card).await.next,
        NextStep::Wait(reason)
    );
    assert_eq!(card(&world).await.action, CardAction::Wait);
    assert_eq!(queue(&world).await, [id]);
    desk.approvals().approve(id, "").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn access_by_a_grant_is_never_shown_as_something_to_buy() {
    use coursegate::access::{RequestContext, ResourceKind, ResourceKinds, Restriction, Visitor};
    let at_home = RequestContext {
        device: Some("laptop".into()),
        ..RequestContext::default()
    };
    let restricted = AccessTerms {
        restrictions: vec![Restriction::Device(["laptop".to_owned()].into())],
        ..AccessTerms::default()
    };
    let quiz = AccessTerms {
        kinds: ResourceKinds::only([ResourceKind::Quiz]),
        ..AccessTerms::default()
    };
    for (terms, context) in [(restricted, at_home), (quiz, RequestContext::default())] {
        let world = World::new();
        let desk = world.registrar.admin(admin());
        let given = NewGrant {
            learner: learner("thandi"),
            course: course(),
            terms,
        };
        desk.learners().grant(given, "").await.unwrap();
        let here = Visitor::new(learner("thandi")).from(context);
        let shown = world
            .registrar
            .learner_card(Some(&here), &course())
            .await
            .unwrap();
        assert_eq!(shown.action, CardAction::Open, "{shown:?}");
        // From elsewhere they are not let in, and are not sold what they have either.
        let elsewhere = card(&world).await;
        assert_ne!(elsewhere.action, CardAction::Enroll, "{elsewhere:?}");
        let AccessDecision::Deny { .. } = world.access("thandi").await else {
            continue;
        };
    }
}
