//! A dear course for a cheap payment, access that the school took, and answers that contradict.

use crate::scene::{
    DAY, begin, bought, card, full, held, leave, limited, live, offer, old, old_payment, pay,
    prove, queue, transfer,
};
use crate::support::{World, admin, carrying, config, learner, start};
use coursegate::Money;
use coursegate::access::{AccessLevel, AccessTerms, ResourceKind, ResourceKinds};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::payment::Allocation;
use coursegate::reason::HoldReason;
use coursegate::registrar::{CardAction, NextStep, Outcome};

#[tokio::test]
async fn asking_for_a_small_offer_does_not_make_an_old_price_good_again() {
    let world = World::new();
    let (id, _, old_link) = begin(&world, offer(100, AccessTerms::default())).await;
    // The price rose, and this learner was told so.
    begin(&world, offer(900, AccessTerms::default())).await;
    // The cheapest offer of today is asked last.
    begin(&world, offer(50, limited(1))).await;
    let receipt = world.pay(&old_link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::OldPrice));
    assert!(live(&world.case(id).await).is_empty());
}

#[tokio::test]
async fn a_small_offer_does_not_revive_the_link_of_an_expired_enrollment_at_an_old_price() {
    let world = World::new();
    let (_, _, old_link) = begin(&world, offer(100, AccessTerms::default())).await;
    begin(&world, offer(900, AccessTerms::default())).await;
    world.advance(60 * DAY);
    world.pass().await;
    begin(&world, offer(50, limited(1))).await;
    let receipt = world.pay(&old_link, Choice::Card).await.remove(0);
    assert!(
        matches!(receipt.outcome, Outcome::Held(_)),
        "full for R 100, sixty days after the rise: {:?}",
        receipt.outcome
    );
}

#[tokio::test]
async fn approving_a_small_transfer_does_not_count_dear_money_that_is_going_back() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 5_000, AccessTerms::default()).await;
    desk.approvals().reject(id, "go away").await.unwrap();
    let (_, reference) = transfer(&world, 10, limited(1)).await;
    desk.approvals()
        .approve(id, "R 10 is on the statement")
        .await
        .unwrap();
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [reference]);
    assert_eq!(live(&case)[0].level, AccessLevel::Limited);
}

#[tokio::test]
async fn approving_a_dear_transfer_gives_what_it_bought_and_not_an_older_refund() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 10, limited(1)).await;
    desk.approvals().reject(id, "not like this").await.unwrap();
    let (_, reference) = transfer(&world, 5_000, AccessTerms::default()).await;
    desk.approvals()
        .approve(id, "R 5,000 is on the statement")
        .await
        .unwrap();
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [reference]);
    assert!(matches!(
        case.attempts[0].payment.unwrap().allocation,
        Allocation::RefundDue(_)
    ));
}

#[tokio::test]
async fn an_old_rejected_transfer_is_not_vouched_for_when_another_offer_is_approved() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, old) = transfer(&world, 10, limited(1)).await;
    desk.approvals().reject(id, "it never came").await.unwrap();
    begin(&world, offer(5_000, AccessTerms::default())).await;
    desk.approvals()
        .approve(id, "the director said so")
        .await
        .unwrap();
    let case = world.case(id).await;
    let attempt = case.attempt(Some(old.as_str()), None).unwrap();
    assert!(attempt.payment.is_none(), "nobody saw R 10: {attempt:?}");
    assert_eq!(live(&case)[0].level, AccessLevel::Full);
}

/// The sale is over, and the learner was told so: by being sent back to the link of before it.
#[tokio::test]
async fn going_on_with_a_dear_link_is_part_of_the_history_of_offers() {
    let world = World::new();
    let (id, dear, _) = begin(&world, offer(900, AccessTerms::default())).await;
    world.advance(DAY);
    let (_, _, sale) = begin(&world, offer(100, AccessTerms::default())).await;
    world.advance(DAY);
    let (_, again, _) = begin(&world, offer(900, AccessTerms::default())).await;
    assert_ne!(
        dear, again,
        "sent back to the dear link, that would leave no trace"
    );
    begin(&world, offer(10, limited(1))).await;
    assert_eq!(
        pay(&world, &sale).await,
        Outcome::Held(HoldReason::OldPrice)
    );
    assert!(live(&world.case(id).await).is_empty());
}

#[tokio::test]
async fn a_small_purchase_does_not_keep_a_first_link_for_more_good_for_ever() {
    let world = World::new();
    let (id, _, sale) = begin(&world, offer(100, AccessTerms::default())).await;
    bought(&world, offer(10, limited(365))).await;
    world.advance(300 * DAY);
    world.pass().await;
    assert_eq!(
        pay(&world, &sale).await,
        Outcome::Held(HoldReason::LatePayment)
    );
    assert_eq!(live(&world.case(id).await)[0].level, AccessLevel::Limited);
}

#[tokio::test]
async fn a_transfer_that_waits_does_not_keep_an_old_link_good_for_ever() {
    let world = World::new();
    let (_, _, sale) = begin(&world, offer(100, AccessTerms::default())).await;
    transfer(&world, 10, limited(1)).await;
    prove(&world).await;
    world.advance(300 * DAY);
    world.pass().await;
    assert_eq!(
        pay(&world, &sale).await,
        Outcome::Held(HoldReason::LatePayment)
    );
}

#[tokio::test]
async fn a_payment_that_was_brought_over_is_no_offer_of_today() {
    let world = World::new();
    bought(&world, offer(50, full(10))).await;
    let (id, _, sale) = begin(&world, offer(100, full(30)).renew()).await;
    world.advance(DAY);
    begin(&world, offer(900, full(30)).renew()).await;
    world.advance(DAY);
    let desk = world.registrar.admin(admin());
    let row = old("moodle-1", 2)
        .until(start() + chrono::Duration::days(62))
        .paid(old_payment("OLD-1", 50, 2));
    assert_eq!(desk.learners().bring_over(&[row]).await.unwrap().added, 1);
    begin(&world, offer(10, full(1)).renew()).await;
    let outcome = pay(&world, &sale).await;
    assert_eq!(
        outcome,
        Outcome::Held(HoldReason::OldPrice),
        "{:?}",
        world.case(id).await.attempts.len()
    );
}

#[tokio::test]
async fn approving_a_small_transfer_does_not_give_back_what_the_school_took() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(10, limited(30))).await;
    let (id, dear, _) = bought(&world, offer(5_000, AccessTerms::default())).await;
    let case = world.case(id).await;
    let grant = case
        .grants
        .iter()
        .find(|it| it.source.payment() == Some(&dear));
    desk.learners()
        .revoke(grant.unwrap().id, "cheated in the exam")
        .await
        .unwrap();
    world.advance(31 * DAY);
    world.pass().await;
    let (_, small) = transfer(&world, 10, limited(1)).await;
    desk.approvals()
        .approve(id, "R 10 is on the statement")
        .await
        .unwrap();
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [small]);
    assert_eq!(live(&case)[0].level, AccessLevel::Limited);
}

#[tokio::test]
async fn who_was_thrown_out_cannot_buy_again_because_a_transfer_was_asked_for() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, AccessTerms::default()).await;
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "cheated").await.unwrap();
    let again = world.ask(offer(100, limited(365))).await;
    assert!(
        !matches!(again.next, NextStep::Pay { .. }),
        "told {:?} in {:?}",
        again.next,
        again.status
    );
}

#[tokio::test]
async fn who_was_thrown_out_cannot_enroll_again_because_other_money_was_turned_down() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "cheated").await.unwrap();
    assert_eq!(
        world.ask(offer(100, limited(365))).await.next,
        NextStep::Ended
    );
    // The link that was open is paid, and the school says no to that too.
    let outcome = pay(&world, &link).await;
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
    desk.approvals().reject(id, "no means no").await.unwrap();
    let again = world.ask(offer(100, limited(365))).await;
    assert_eq!(again.next, NextStep::Ended, "{:?}", again.status);
}

#[tokio::test]
async fn who_bought_a_preview_is_not_told_that_the_school_ended_it() {
    let world = World::new();
    let preview = AccessTerms {
        level: AccessLevel::Preview,
        ..AccessTerms::default()
    };
    bought(&world, offer(10, preview)).await;
    let shown = card(&world).await;
    assert_ne!(shown.reason, "ended", "{shown:?}");
    assert_eq!(
        shown.action,
        CardAction::Enroll,
        "the course can be sold: {shown:?}"
    );
}

#[tokio::test]
async fn who_has_paid_access_that_begins_later_is_not_sold_it_again() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let row = old("moodle-2", 7).paid(old_payment("OLD-2", 900, -3));
    desk.learners().bring_over(&[row]).await.unwrap();
    assert_eq!(card(&world).await.action, CardAction::Wait);
    let told = world.ask(offer(900, AccessTerms::default())).await.next;
    assert!(!matches!(told, NextStep::Pay { .. }), "{told:?}");
}

#[tokio::test]
async fn who_has_one_kind_only_can_buy_the_rest_from_the_card() {
    let world = World::new();
    let none = AccessTerms {
        kinds: ResourceKinds::only([ResourceKind::Lesson]),
        level: AccessLevel::Preview,
        ..AccessTerms::default()
    };
    bought(&world, offer(10, none)).await;
    let next = world.ask(offer(900, AccessTerms::default())).await.next;
    assert!(matches!(next, NextStep::Pay { .. }));
    assert!(!card(&world).await.disabled, "{:?}", card(&world).await);
}

#[tokio::test]
async fn one_payment_named_by_two_rows_of_a_learner_carries_one_grant_and_stops_nothing() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let mut other = old("moodle-5", -10).paid(old_payment("OLD-4", 900, -10));
    other.learner = learner("sipho");
    let rows = [
        old("moodle-3", -10).paid(old_payment("OLD-3", 900, -10)),
        old("moodle-4", -10).paid(old_payment("OLD-3", 900, -10)),
        other,
    ];
    let done = desk.learners().bring_over(&rows).await.unwrap();
    assert_eq!((done.added, done.failed.len()), (2, 1), "{done:?}");
    let grants = desk.learners().grants(&learner("thandi")).await.unwrap();
    assert_eq!(grants.len(), 1);
}

#[tokio::test]
async fn a_row_that_names_a_payment_made_here_is_refused() {
    let world = World::new();
    let (id, reference, link) = begin(&world, offer(10, limited(1))).await;
    let desk = world.registrar.admin(admin());
    let row = old("moodle-6", -10).paid(old_payment(reference.as_str(), 900, -10));
    let done = desk.learners().bring_over(&[row]).await;
    let case = world.case(id).await;
    assert_eq!(case.attempts.len(), 1);
    assert_eq!(
        case.attempts[0].amount,
        Money::zar(1_000).unwrap(),
        "{done:?}"
    );
    assert_eq!(done.unwrap().failed.len(), 1);
    world.pay(&link, Choice::Card).await;
    assert_eq!(live(&world.case(id).await)[0].level, AccessLevel::Limited);
}

#[tokio::test]
async fn bringing_over_access_that_is_over_does_not_close_a_purchase_under_way() {
    for by_transfer in [false, true] {
        let world = World::new();
        let desk = world.registrar.admin(admin());
        let row = old("moodle-7", -300)
            .until(start() - chrono::Duration::days(100))
            .paid(old_payment("OLD-7", 900, -300));
        if by_transfer {
            let (id, _) = transfer(&world, 900, AccessTerms::default()).await;
            desk.learners().bring_over(&[row]).await.unwrap();
            world.advance(1);
            world.pass().await;
            assert_eq!(queue(&world).await, [id]);
            continue;
        }
        let (_, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
        desk.learners().bring_over(&[row]).await.unwrap();
        world.advance(1);
        world.pass().await;
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        assert_eq!(receipt.outcome, Outcome::Approved);
    }
}

#[tokio::test]
async fn a_reversal_with_a_renewal_link_open_never_asks_for_both() {
    // Held upgrade money, and the base is refunded: the money is in the queue, nobody pays twice.
    let world = World::new();
    let (id, first, _) = bought(&world, offer(100, limited(30))).await;
    held(&world, 900, AccessTerms::default()).await;
    let desk = world.registrar.admin(admin());
    desk.refunds().record(&first, "R-1").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    assert_eq!(card(&world).await.action, CardAction::Wait);
    desk.approvals().approve(id, "").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn lent_access_is_not_lent_again_for_a_payment_that_went_back() {
    let mut settings = config();
    settings.rules.provisional = Some(full(30));
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let desk = world.registrar.admin(admin());
    transfer(&world, 5_000, AccessTerms::default()).await;
    assert!(world.may_enter("thandi").await, "provisionally, once");
    let mut provisional = 0;
    for _ in 0..3 {
        leave(&world).await;
        world.advance(DAY);
        // The cheapest offer, paid, and given back: nothing is earned by that.
        let (_, cheap, _) = bought(&world, offer(10, limited(1))).await;
        desk.refunds()
            .record(&cheap, format!("R-{provisional}").as_str())
            .await
            .unwrap();
        transfer(&world, 5_000, AccessTerms::default()).await;
        provisional += usize::from(world.may_enter("thandi").await);
    }
    assert_eq!(provisional, 0, "nothing was ever paid");
}
