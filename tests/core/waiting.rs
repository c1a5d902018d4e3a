//! What waits for a person is seen, and nobody is told to wait for nothing.

use crate::scene::{
    DAY, begin, bought, bursary, by, full, held, leave, limited, live, offer, old, old_payment,
    pay, prove, queue, statement_row, suggested, transfer,
};
use crate::support::{World, admin, config, course, learner, start};
use coursegate::access::{AccessLevel, AccessTerms};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::Status;
use coursegate::payment::{Allocation, PaymentMethod, ProofOfPayment};
use coursegate::reason::{ExceptionAction, HoldReason};
use coursegate::registrar::{NewGrant, NextStep, Outcome, TransferMatch};

#[tokio::test]
async fn a_proof_can_be_attached_to_the_transfer_for_an_upgrade() {
    let world = World::new();
    bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, AccessTerms::default()).await;
    let proof = ProofOfPayment::new("upload-1").unwrap();
    let (learner, course) = (learner("thandi"), course());
    let attached = world.registrar.attach_proof(&learner, &course, proof);
    attached.await.unwrap();
}

#[tokio::test]
async fn a_transfer_for_more_stays_in_the_queue_when_the_access_runs_out() {
    let world = World::new();
    bought(&world, offer(100, full(30))).await;
    world.advance(28 * DAY);
    let asked = world
        .ask(by(PaymentMethod::BankTransfer, 100, full(30)).renew())
        .await;
    assert!(matches!(asked.next, NextStep::Transfer { .. }));
    assert_eq!(queue(&world).await, [asked.enrollment]);
    world.advance(3 * DAY);
    world.pass().await;
    assert_eq!(
        queue(&world).await,
        [asked.enrollment],
        "the transfer is on its way"
    );
}

#[tokio::test]
async fn a_look_at_the_card_page_does_not_take_a_transfer_for_an_upgrade_out_of_the_queue() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, reference) = transfer(&world, 900, AccessTerms::default()).await;
    assert_eq!(queue(&world).await, [id]);
    begin(&world, offer(900, AccessTerms::default())).await;
    assert_eq!(queue(&world).await, [id]);
    statement_row(&world, 900, reference.as_str()).await;
    assert_eq!(suggested(&world.registrar).await.len(), 1);
}

#[tokio::test]
async fn bringing_over_the_past_does_not_take_a_transfer_for_an_upgrade_out_of_the_queue() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, AccessTerms::default()).await;
    let desk = world.registrar.admin(admin());
    let row = old("moodle-1", -300)
        .until(start() - chrono::Duration::days(100))
        .paid(old_payment("OLD-1", 900, -300));
    let done = desk.learners().bring_over(&[row]).await.unwrap();
    assert_eq!(done.added, 1, "{done:?}");
    assert_eq!(queue(&world).await, [id]);
}

#[tokio::test]
async fn a_transfer_that_comes_after_its_upgrade_lapsed_can_be_recorded() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, reference) = transfer(&world, 900, AccessTerms::default()).await;
    world.advance(31 * DAY);
    world.pass().await;
    assert!(queue(&world).await.is_empty());
    let row = statement_row(&world, 900, reference.as_str()).await;
    let desk = world.registrar.admin(admin());
    let done = desk
        .statements()
        .approve(&[TransferMatch::new(row, reference)], "it came")
        .await
        .remove(0);
    assert_eq!(done.problem, None);
    assert_eq!(live(&world.case(id).await).len(), 2);
}

#[tokio::test]
async fn a_transfer_for_more_stays_in_the_queue_when_the_first_payment_goes_back() {
    let world = World::new();
    let (id, first, _) = bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, AccessTerms::default()).await;
    let desk = world.registrar.admin(admin());
    desk.refunds().record(&first, "R-1").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    desk.approvals()
        .approve(id, "R 900 is on the statement")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn who_leaves_while_money_is_held_can_be_approved_or_enroll_again() {
    for upgrade in [false, true] {
        let world = World::new();
        if upgrade {
            bought(&world, offer(100, limited(365))).await;
        }
        let (id, ..) = held(&world, 900, AccessTerms::default()).await;
        leave(&world).await;
        // "The learner left; they have to enroll again first."
        let again = world
            .ask(by(PaymentMethod::InstantEft, 900, AccessTerms::default()))
            .await;
        let desk = world.registrar.admin(admin());
        let approved = desk.approvals().approve(id, "").await;
        let rejected = desk.approvals().reject(id, "no").await;
        assert!(
            approved.is_ok()
                || rejected.is_ok()
                || again.next != NextStep::Wait(HoldReason::InstantEft),
            "upgrade {upgrade}: told {:?} while approve says {approved:?} and reject {rejected:?}; queue {:?}",
            again.next,
            queue(&world).await
        );
    }
}

#[tokio::test]
async fn money_for_an_upgrade_is_in_the_queue_again_when_the_bursary_ends() {
    for expires in [false, true] {
        let world = World::new();
        let (id, ..) = bought(&world, offer(100, limited(300))).await;
        let (_, _, link) = begin(&world, offer(900, full(20))).await;
        let desk = world.registrar.admin(admin());
        let bursary = NewGrant {
            learner: learner("thandi"),
            course: course(),
            terms: full(30),
        };
        let grant = desk.learners().grant(bursary, "bursary").await.unwrap();
        world.pay(&link, Choice::Card).await;
        match expires {
            true => {
                world.advance(31 * DAY);
                world.pass().await;
            }
            false => desk.learners().revoke(grant.id, "").await.unwrap(),
        }
        let told = world.ask(offer(900, full(20))).await.next;
        assert_eq!(told, NextStep::Wait(HoldReason::AccessCovered));
        assert_eq!(
            queue(&world).await,
            [id],
            "expires {expires}: who waits is seen"
        );
    }
}

#[tokio::test]
async fn a_proven_transfer_for_more_does_not_lapse_with_a_newer_one() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, proven) = transfer(&world, 900, AccessTerms::default()).await;
    prove(&world).await;
    world.advance(DAY);
    // The learner looks at another offer.
    transfer(&world, 500, full(90)).await;
    world.advance(32 * DAY);
    world.pass().await;
    let case = world.case(id).await;
    let attempt = case.attempt(Some(proven.as_str()), None).unwrap();
    assert!(attempt.is_open_transfer(), "{:?}", attempt.status);
    assert_eq!(queue(&world).await, [id]);
}

#[tokio::test]
async fn a_proven_transfer_stays_in_the_queue_when_less_is_bought_by_card() {
    let world = World::new();
    let (id, _) = transfer(&world, 900, AccessTerms::default()).await;
    prove(&world).await;
    assert_eq!(queue(&world).await, [id]);
    bought(&world, offer(10, limited(30))).await;
    assert_eq!(
        queue(&world).await,
        [id],
        "R 900 is on its way, with a proof"
    );
}

#[tokio::test]
async fn who_is_told_to_wait_is_in_the_queue_after_a_look_at_a_bursary() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, _, one) = begin(&world, by(PaymentMethod::InstantEft, 100, full(30))).await;
    let (id, ..) = bought(&world, offer(100, full(30))).await;
    let second = pay(&world, &one).await;
    assert_eq!(second, Outcome::Held(HoldReason::DuplicatePayment));
    world.advance(31 * DAY);
    world.pass().await;
    // The learner is about to pay for another month.
    begin(&world, offer(100, full(30))).await;
    let preview = AccessTerms {
        level: AccessLevel::Preview,
        ..full(3)
    };
    desk.learners()
        .grant(bursary(preview), "a look")
        .await
        .unwrap();
    let told = world.ask(offer(100, full(30))).await;
    if let NextStep::Wait(_) = told.next {
        assert_eq!(
            queue(&world).await,
            [id],
            "{:?} in {:?}",
            told.next,
            told.status
        );
    }
}

#[tokio::test]
async fn who_has_nothing_held_any_more_can_pay_again() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 900, AccessTerms::default()).await;
    desk.approvals()
        .reject(id, "from a stranger's account")
        .await
        .unwrap();
    let (_, second, _) = held(&world, 900, AccessTerms::default()).await;
    desk.refunds().record(&second, "R-1").await.unwrap();
    // The first is going back too: nothing waits for a person.
    let case = world.case(id).await;
    assert!(case.attempts.iter().all(|it| !it.is_held()));
    let told = world.ask(offer(900, AccessTerms::default())).await;
    assert!(
        matches!(told.next, NextStep::Pay { .. }),
        "{:?} in {:?}; {:?}",
        told.next,
        told.status,
        case.attempts[0].payment.map(|it| it.allocation)
    );
}

#[tokio::test]
async fn kept_money_of_a_month_that_is_over_gives_no_access_while_nothing_is_approved() {
    let mut settings = config();
    settings.rules.money.duplicate = ExceptionAction::Approve;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let desk = world.registrar.admin(admin());
    let (_, _, one) = begin(&world, offer(110, full(30))).await;
    let (id, ..) = bought(&world, offer(100, full(30))).await;
    pay(&world, &one).await;
    assert_eq!(
        world.case(id).await.attempts[0].payment.unwrap().allocation,
        Allocation::Kept
    );
    world.advance(31 * DAY);
    world.pass().await;
    begin(&world, offer(100, full(30))).await;
    assert!(!world.may_enter("thandi").await);
    let preview = AccessTerms {
        level: AccessLevel::Preview,
        ..full(3)
    };
    desk.learners()
        .grant(bursary(preview), "a look")
        .await
        .unwrap();
    let case = world.case(id).await;
    let entered = world.may_enter("thandi").await;
    let approved = matches!(case.enrollment.status, Status::Approved { .. });
    assert_eq!(
        entered, approved,
        "inside {entered} while {:?}",
        case.enrollment.status
    );
}

#[tokio::test]
async fn a_proven_transfer_stays_in_the_queue_when_all_other_money_went_back() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, first, _) = bought(&world, offer(100, limited(365))).await;
    let (_, proven) = transfer(&world, 900, AccessTerms::default()).await;
    prove(&world).await;
    let (_, other, _) = held(&world, 500, full(90)).await;
    desk.refunds().record(&first, "R-1").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    desk.refunds().record(&other, "R-2").await.unwrap();
    let case = world.case(id).await;
    let attempt = case.attempt(Some(proven.as_str()), None).unwrap();
    assert!(attempt.is_open_transfer() && attempt.proof.is_some());
    assert_eq!(queue(&world).await, [id], "{:?}", case.enrollment.status);
}

#[tokio::test]
async fn whose_transfer_is_proven_is_not_asked_for_another_after_a_month() {
    let world = World::new();
    let (id, first) = transfer(&world, 900, AccessTerms::default()).await;
    prove(&world).await;
    world.advance(31 * DAY);
    world.pass().await;
    assert_eq!(queue(&world).await, [id]);
    let told = world
        .ask(by(PaymentMethod::BankTransfer, 900, AccessTerms::default()))
        .await
        .next;
    if let NextStep::Transfer { reference, .. } = told {
        assert_eq!(reference, first, "asked for R 900 again");
    }
}

#[tokio::test]
async fn a_transfer_that_is_gone_on_with_is_in_the_queue() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, first) = transfer(&world, 900, AccessTerms::default()).await;
    desk.approvals().reject(id, "it never came").await.unwrap();
    begin(&world, offer(900, AccessTerms::default())).await;
    let (_, again) = transfer(&world, 900, AccessTerms::default()).await;
    assert_eq!(first, again, "the reference is the learner's already");
    assert_eq!(queue(&world).await, [id]);
    prove(&world).await;
}

#[tokio::test]
async fn who_comes_back_for_more_while_money_is_held_is_in_the_queue() {
    let world = World::new();
    let (id, ..) = held(&world, 100, limited(365)).await;
    leave(&world).await;
    let told = world.ask(offer(900, AccessTerms::default())).await.next;
    assert_eq!(told, NextStep::Wait(HoldReason::InstantEft));
    assert_eq!(queue(&world).await, [id]);
}

#[tokio::test]
async fn when_all_held_money_went_back_nobody_waits() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let eft = |rand| by(PaymentMethod::InstantEft, rand, AccessTerms::default());
    let (id, cheap, one) = begin(&world, eft(100)).await;
    let (_, dear, other) = begin(&world, eft(900)).await;
    let waits = async || world.case(id).await.enrollment.waits_for;
    // Held for two reasons, the graver of which goes back first.
    for (link, reason) in [
        (&one, HoldReason::OldPrice),
        (&other, HoldReason::InstantEft),
    ] {
        let receipt = world.pay(link, Choice::InstantEft).await.remove(0);
        assert_eq!(receipt.outcome, Outcome::Held(reason));
        assert_eq!(waits().await, Some(HoldReason::OldPrice));
    }
    desk.refunds().record(&cheap, "R-1").await.unwrap();
    assert_eq!(waits().await, Some(HoldReason::InstantEft));
    desk.refunds().record(&dear, "R-2").await.unwrap();
    assert_eq!((waits().await, queue(&world).await), (None, Vec::new()));
    let told = world.ask(offer(900, AccessTerms::default())).await.next;
    assert!(matches!(told, NextStep::Pay { .. }), "{told:?}");
}
