//! Money that goes back, and what becomes of access.

use coursegate::access::{AccessDecision, AccessTerms, DenyReason, EndReason, GrantState};
use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::enrollment::{CaseError, Status};
use coursegate::event::EventKind;
use coursegate::payment::{Allocation, AttemptStatus, PaymentMethod, RefundState, Reversal};
use coursegate::port::GatewayError;
use coursegate::reason::{ExceptionAction, HoldReason};
use coursegate::registrar::{NewGrant, Outcome, PaymentException};
use coursegate::store::PageRequest;
use coursegate::{EnrollmentId, Error, Money, PaymentReference};

use coursegate::reason::WithdrawReason;

use crate::support::{World, admin, config, course, learner, request, visitor, withdrawn};

fn cents(cents: i64) -> Money {
    Money::zar(cents).unwrap()
}

async fn paid(world: &World, name: &str) -> (EnrollmentId, PaymentReference) {
    let (enrollment, reference, link) = world.attempt(name, PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    (enrollment, reference)
}

#[tokio::test]
async fn a_small_part_given_back_keeps_access_where_the_host_says_so() {
    let mut settings = config();
    settings.rules.refund_keeping_access = 20;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (enrollment, reference) = paid(&world, "thandi").await;
    let desk = world.registrar.admin(admin());
    let refunds = desk.refunds();
    let part =
        |amount, proof: &'static str| refunds.record_partial(&reference, cents(amount), proof);
    // A fifth of R 499.00.
    part(5_000, "R-1").await.unwrap();
    part(5_000, "R-1").await.unwrap();
    part(4_980, "R-2").await.unwrap();
    let attempt = world.case(enrollment).await.attempts[0].clone();
    assert_eq!((attempt.returned(), attempt.left()), (9_980, 39_920));
    assert_eq!(
        attempt.refunds.len(),
        2,
        "the same proof is the same refund"
    );
    assert_eq!(attempt.status, AttemptStatus::Paid);
    assert!(world.may_enter("thandi").await);
    // One cent more is too much.
    part(1, "R-3").await.unwrap();
    assert!(!world.may_enter("thandi").await);
    let case = world.case(enrollment).await;
    assert_eq!(case.enrollment.status, withdrawn(WithdrawReason::MoneyBack));
    assert_eq!(case.attempts[0].status, AttemptStatus::Refunded);
    // The rest can still go back, and no cent more than came.
    let refused = part(39_920, "R-4").await;
    assert_eq!(
        refused,
        Err(Error::Refused(CaseError::RefundTooLarge { left: 39_919 }))
    );
    desk.refunds().record(&reference, "R-5").await.unwrap();
    assert_eq!(world.case(enrollment).await.attempts[0].left(), 0);
    desk.refunds().record(&reference, "R-6").await.unwrap();
    assert_eq!(world.case(enrollment).await.attempts[0].refunds.len(), 4);
}

#[tokio::test]
async fn by_default_any_refund_ends_that_access_and_no_other() {
    let world = World::new();
    let (enrollment, reference) = paid(&world, "thandi").await;
    let desk = world.registrar.admin(admin());
    let given = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let free = desk.learners().grant(given, "a present").await.unwrap();
    desk.refunds()
        .record_partial(&reference, cents(1), "R-1")
        .await
        .unwrap();
    let grants = world.case(enrollment).await.grants;
    let state = |id| grants.iter().find(|grant| grant.id == id).unwrap().state;
    assert_eq!(state(free.id), GrantState::Live);
    assert!(world.may_enter("thandi").await, "by the other grant");
    let ended = grants
        .iter()
        .find(|grant| grant.id != free.id)
        .unwrap()
        .state;
    assert!(matches!(
        ended,
        GrantState::Ended {
            why: EndReason::Refunded,
            ..
        }
    ));
}

#[tokio::test]
async fn too_much_money_is_approved_once_the_rest_went_back() {
    let world = World::with(
        Settings::new(1).fault(Fault::WrongAmount, 1.0),
        config(),
        |builder| builder,
    );
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::Overpayment));
    let desk = world.registrar.admin(admin());
    desk.refunds()
        .record_partial(&reference, cents(1), "R-1")
        .await
        .unwrap();
    let case = world.case(enrollment).await;
    assert!(matches!(
        case.enrollment.status,
        Status::AwaitingApproval { .. }
    ));
    assert_eq!(
        case.attempts[0].status,
        AttemptStatus::Paid,
        "the price is still there"
    );
    desk.approvals().approve(enrollment, "").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn each_outcome_for_too_little_too_much_and_twice() {
    for (fault, reason) in [
        (Fault::ShortAmount, HoldReason::Underpayment),
        (Fault::WrongAmount, HoldReason::Overpayment),
    ] {
        for outcome in ExceptionAction::ALL {
            let mut settings = config();
            settings.rules.money.underpayment = *outcome;
            settings.rules.money.overpayment = *outcome;
            let world = World::with(Settings::new(1).fault(fault, 1.0), settings, |b| b);
            let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
            let receipt = world.pay(&link, Choice::Card).await.remove(0);
            let case = world.case(enrollment).await;
            let allocation = case.attempts[0].payment.unwrap().allocation;
            let expected = match outcome {
                ExceptionAction::Approve => (Outcome::Approved, Allocation::Applied),
                ExceptionAction::Hold => (Outcome::Held(reason), Allocation::OnHold(reason)),
                ExceptionAction::RefundDue => {
                    (Outcome::Held(reason), Allocation::RefundDue(reason))
                }
            };
            assert_eq!((receipt.outcome, allocation), expected);
            assert_eq!(
                world.may_enter("thandi").await,
                *outcome == ExceptionAction::Approve
            );
            if *outcome == ExceptionAction::RefundDue {
                // The learner may try again with the right sum.
                assert_eq!(case.enrollment.status, Status::AwaitingPayment);
                let visitor = visitor("thandi");
                let card = world
                    .registrar
                    .learner_card(Some(&visitor), &course())
                    .await;
                assert_eq!(card.unwrap().reason, "refund_due");
                world.attempt("thandi", PaymentMethod::Card).await;
            }
        }
    }
    for outcome in ExceptionAction::ALL {
        let mut settings = config();
        settings.rules.money.duplicate = *outcome;
        let world = World::with(Settings::new(1), settings, |builder| builder);
        let (enrollment, _, first) = world.attempt("thandi", PaymentMethod::Card).await;
        let mut offer = request("thandi", PaymentMethod::Card);
        offer.price = cents(29_900);
        world.ask(offer).await;
        let second = world.case(enrollment).await.attempts[1]
            .link
            .clone()
            .unwrap()
            .id;
        for link in [&first, &second] {
            world.pay(link, Choice::Card).await;
        }
        let case = world.case(enrollment).await;
        let reason = HoldReason::DuplicatePayment;
        let expected = match outcome {
            ExceptionAction::Approve => Allocation::Kept,
            ExceptionAction::Hold => Allocation::OnHold(reason),
            ExceptionAction::RefundDue => Allocation::RefundDue(reason),
        };
        assert_eq!(case.attempts[1].payment.unwrap().allocation, expected);
        assert_eq!(case.grants.len(), 1);
        let desk = world.registrar.admin(admin());
        let listed = desk
            .payments()
            .exceptions(PageRequest::first(10))
            .await
            .unwrap()
            .items;
        assert_eq!(listed.is_empty(), *outcome == ExceptionAction::Approve);
        // Repayment the second one back leaves the access alone, whatever it was.
        desk.refunds()
            .record(&case.attempts[1].reference, "R-1")
            .await
            .unwrap();
        assert!(world.may_enter("thandi").await);
    }
}

#[tokio::test]
async fn another_currency_or_an_unproven_sum_is_never_taken_by_a_setting() {
    let mut settings = config();
    settings.rules.money.underpayment = ExceptionAction::Approve;
    settings.rules.money.overpayment = ExceptionAction::Approve;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    // The provider says R 499.00, and the callback something else.
    let claim = crate::support::body(link.as_str(), "SUCCESS", reference.as_str());
    let claim = claim.replace('}', r#","amount":1}"#);
    let receipt = world.receive(&claim).await;
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::AmountDiffers));
    assert!(!world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_chargeback_suspends_its_grant_until_it_is_won_or_lost() {
    for how in Reversal::ALL {
        let world = World::new();
        let (enrollment, reference) = paid(&world, "thandi").await;
        let desk = world.registrar.admin(admin());
        desk.refunds()
            .record_reversal(&reference, *how, "bank letter 1")
            .await
            .unwrap();
        desk.refunds()
            .record_reversal(&reference, *how, "bank letter 1")
            .await
            .unwrap();
        let AccessDecision::Deny { reason } = world.access("thandi").await else {
            panic!("they may enter")
        };
        assert_eq!(reason, DenyReason::Suspended { why: *how });
        let card = world
            .registrar
            .learner_card(Some(&visitor("thandi")), &course())
            .await;
        assert_eq!(card.unwrap().reason, "suspended");
        let case = world.case(enrollment).await;
        assert!(matches!(case.enrollment.status, Status::Approved { .. }));
        assert_eq!(case.attempts[0].status, AttemptStatus::Reversed);
        // A genuine callback of old does not bring the money back.
        let link = case.attempts[0].link.clone().unwrap().id;
        let old = crate::support::body(link.as_str(), "SUCCESS", reference.as_str());
        world.receive(&old).await;
        assert!(!world.may_enter("thandi").await);

        desk.refunds()
            .record_reinstatement(&reference, "dispute won")
            .await
            .unwrap();
        assert!(world.may_enter("thandi").await);
        let case = world.case(enrollment).await;
        assert_eq!(
            case.attempts[0].payment.unwrap().allocation,
            Allocation::Applied
        );
        assert!(matches!(
            desk.refunds().record_reinstatement(&reference, "").await,
            Ok(Status::Approved { .. })
        ));
        desk.refunds()
            .record_reversal(&reference, *how, "bank letter 2")
            .await
            .unwrap();
        desk.learners()
            .revoke(case.grants[0].id, "dispute lost")
            .await
            .unwrap();
        let AccessDecision::Deny { reason } = world.access("thandi").await else {
            panic!("they may enter")
        };
        assert_eq!(
            reason,
            DenyReason::Ended {
                why: EndReason::Reversed
            }
        );
        let history = desk.approvals().explain(enrollment).await.unwrap().history;
        let suspensions = history
            .iter()
            .filter(|event| matches!(event.kind, EventKind::AccessSuspended { .. }));
        assert_eq!(suspensions.count(), 2);
    }
}

#[tokio::test]
async fn what_was_never_paid_cannot_be_reversed_or_reinstated() {
    let world = World::new();
    let (_, reference, _) = world.attempt("thandi", PaymentMethod::Card).await;
    let desk = world.registrar.admin(admin());
    let refused = |result| matches!(result, Err(Error::Refused(_)));
    assert!(refused(
        desk.refunds()
            .record_reversal(&reference, Reversal::Reversed, "")
            .await
    ));
    assert!(refused(
        desk.refunds().record_reinstatement(&reference, "").await
    ));
    assert!(refused(
        desk.refunds()
            .record_partial(&reference, cents(1), "")
            .await
    ));
}

#[tokio::test]
async fn held_money_that_was_taken_back_lets_the_learner_pay_again() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    let desk = world.registrar.admin(admin());
    let status = desk
        .refunds()
        .record_reversal(&reference, Reversal::Reversed, "letter")
        .await
        .unwrap();
    assert_eq!(status, Status::AwaitingPayment);
    // It comes again after all, and waits for a person as it did before.
    let status = desk
        .refunds()
        .record_reinstatement(&reference, "letter 2")
        .await
        .unwrap();
    let eft = HoldReason::InstantEft;
    assert_eq!(status, Status::AwaitingApproval { reason: eft });
    desk.approvals().approve(enrollment, "").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn the_provider_is_asked_for_a_refund_once_and_only_where_that_was_switched_on() {
    let world = World::new();
    let (_, reference) = paid(&world, "thandi").await;
    let desk = world.registrar.admin(admin());
    let refused = desk.refunds().request(&reference, None, "asked for").await;
    assert_eq!(refused, Err(Error::Gateway(GatewayError::NotSupported)));

    let mut settings = Settings::new(1);
    settings.refunds = true;
    let world = World::with(settings, config(), |builder| builder);
    let (enrollment, reference) = paid(&world, "thandi").await;
    let desk = world.registrar.admin(admin());
    let refunds = desk.refunds();
    let ask = |amount| refunds.request(&reference, amount, "asked for");
    ask(Some(cents(100))).await.unwrap();
    let attempt = world.case(enrollment).await.attempts[0].clone();
    assert_eq!(
        (attempt.returned(), attempt.refunds[0].state),
        (100, RefundState::Done)
    );
    ask(Some(cents(100))).await.unwrap();
    let attempt = world.case(enrollment).await.attempts[0].clone();
    assert_eq!(attempt.returned(), 200, "two equal refunds are two");
    // A refusal leaves nothing behind.
    world.simulator.set_down(true);
    assert!(matches!(
        ask(None).await,
        Err(Error::Gateway(GatewayError::Unreachable))
    ));
    assert!(
        world.case(enrollment).await.attempts[0]
            .requested()
            .is_none()
    );
    world.simulator.set_down(false);
    ask(None).await.unwrap();
    assert_eq!(world.case(enrollment).await.attempts[0].left(), 0);
    assert!(ask(None).await.is_err(), "nothing is left");
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_not_asked_for_again() {
    let mut settings = Settings::new(1);
    settings.refunds = true;
    let world = World::with(settings, config(), |builder| builder);
    let (enrollment, reference) = paid(&world, "thandi").await;
    let desk = world.registrar.admin(admin());
    // Written down, and then the process died, or the answer was lost.
    let permit = |_: &coursegate::enrollment::TransitionRequest<'_>| Ok(());
    let rules = config().rules;
    let step = coursegate::enrollment::StepContext {
        now: crate::support::start(),
        who: &coursegate::event::Actor::Admin(admin()),
        source: coursegate::event::Source::AdminApproval,
        note: &None,
        guard: &permit,
        rules: &rules,
        rehearsal: false,
    };
    let repayment = coursegate::enrollment::Repayment {
        amount: Some(cents(100)),
        proof: "asked for".into(),
        by: admin(),
    };
    let case = world.case(enrollment).await;
    let requested = case.request_refund(&reference, repayment, &step).unwrap();
    coursegate::store::Store::commit(&world.store, requested.delta.into())
        .await
        .unwrap();
    let again = desk
        .refunds()
        .request(&reference, Some(cents(100)), "again")
        .await;
    assert_eq!(again, Err(Error::Refused(CaseError::RefundUnknown)));
    // The dashboard says it went back.
    desk.refunds()
        .record_partial(&reference, cents(100), "dashboard R-9")
        .await
        .unwrap();
    desk.refunds()
        .record_partial(&reference, cents(100), "dashboard R-9")
        .await
        .unwrap();
    let attempt = world.case(enrollment).await.attempts[0].clone();
    assert_eq!((attempt.refunds.len(), attempt.returned()), (1, 100));
    assert!(attempt.requested().is_none());
}

#[tokio::test]
async fn payment_exceptions_are_one_list_in_pages() {
    let world = World::with(
        Settings::new(1).fault(Fault::WrongAmount, 1.0),
        config(),
        |builder| builder,
    );
    let mut expected = Vec::new();
    for number in 0..5 {
        let (_, reference, link) = world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
        world.pay(&link, Choice::Card).await;
        expected.push(reference);
    }
    expected.sort();
    let other = World::new();
    let registrar = coursegate::Registrar::builder(config(), other.store.clone())
        .gateway(world.simulator.gateway())
        .clock(world.clock.clone())
        .build_for_tests()
        .unwrap();
    for name in ["sipho", "naledi", "lerato"] {
        let enrolled = registrar
            .enroll(request(name, PaymentMethod::Card))
            .await
            .unwrap();
        let coursegate::registrar::NextStep::Pay { url, .. } = enrolled.next else {
            panic!("no pay link")
        };
        let id = coursegate::PayLinkId::new(url.rsplit('/').next().unwrap()).unwrap();
        world.simulator.pay(&id, Choice::Card).unwrap();
    }
    world.advance(3 * 3600);
    let desk = world.registrar.admin(admin());
    let day = crate::support::start().date_naive();
    assert_eq!(
        desk.payments()
            .sync_history(day, day)
            .await
            .unwrap()
            .unmatched
            .len(),
        3
    );
    for limit in 1..=9 {
        let (mut payments, mut unmatched, mut next) = (Vec::new(), 0, None);
        loop {
            let request = PageRequest { after: next, limit };
            let page = desk.payments().exceptions(request).await.unwrap();
            assert!(page.items.len() <= limit);
            for item in page.items {
                assert_eq!(item.outcome(), ExceptionAction::Hold);
                match item {
                    PaymentException::Payment(money) => payments.push(money.attempt.reference),
                    _ => unmatched += 1,
                }
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!((&payments, unmatched), (&expected, 3), "pages of {limit}");
    }
}

#[tokio::test]
async fn giving_money_back_does_not_end_the_wait_for_something_else() {
    // A card payment of another sum, to be given back, while a bank transfer is waited for.
    for outcome in [ExceptionAction::RefundDue, ExceptionAction::Hold] {
        let mut settings = config();
        settings.rules.money.overpayment = outcome;
        let world = World::with(
            Settings::new(1).fault(Fault::WrongAmount, 1.0),
            settings,
            |b| b,
        );
        let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
        world.enroll("thandi", PaymentMethod::BankTransfer).await;
        world.pay(&link, Choice::Card).await;
        let desk = world.registrar.admin(admin());
        desk.refunds().record(&reference, "R-1").await.unwrap();
        let status = world.case(enrollment).await.enrollment.status;
        let reason = HoldReason::BankTransfer;
        assert_eq!(status, Status::AwaitingApproval { reason }, "{outcome}");
    }
}
