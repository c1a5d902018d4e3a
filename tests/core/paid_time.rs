//! Time that is paid for: nobody loses it, and nobody is sold it twice.

use crate::scene::{
    DAY, begin, bought, bursary, by, card, full, last_day, limited, live, offer, old, old_payment,
    pay, queue,
};
use crate::support::{World, admin, course, learner, start};
use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::Choice;
use coursegate::payment::{PaymentMethod, Reversal};
use coursegate::reason::HoldReason;
use coursegate::registrar::{NewGrant, NextStep, Outcome};

#[tokio::test]
async fn a_renewal_of_full_access_does_not_wait_for_limited_access_to_end() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    bought(&world, offer(500, full(30))).await;
    bought(&world, offer(500, full(30)).renew()).await;
    let case = world.case(id).await;
    let renewed = case.grants.last().unwrap();
    let begins = (renewed.starts_at - start()).num_days();
    assert_eq!(begins, 30, "full access goes on where it ends");
}

#[tokio::test]
async fn a_refund_in_the_middle_of_renewals_takes_no_paid_time_away() {
    let world = World::new();
    let month = || offer(100, full(30));
    let (id, ..) = bought(&world, month()).await;
    let (_, second, _) = bought(&world, month().renew()).await;
    bought(&world, month().renew()).await;
    assert_eq!(last_day(&world.case(id).await), 90);
    let desk = world.registrar.admin(admin());
    desk.refunds().record(&second, "R-1").await.unwrap();
    assert_eq!(last_day(&world.case(id).await), 60, "two months are paid");
}

#[tokio::test]
async fn a_renewal_of_a_renewal_that_was_refunded_before_it_was_paid_follows_what_there_is() {
    let world = World::new();
    let month = || offer(100, full(30));
    let (id, ..) = bought(&world, month()).await;
    let (_, second, _) = bought(&world, month().renew()).await;
    let (_, _, link) = begin(&world, month().renew()).await;
    let desk = world.registrar.admin(admin());
    desk.refunds().record(&second, "R-1").await.unwrap();
    world.pay(&link, Choice::Card).await;
    assert_eq!(last_day(&world.case(id).await), 60, "two months are paid");
}

#[tokio::test]
async fn a_dispute_that_is_won_leaves_both_paid_months() {
    let world = World::new();
    let month = || offer(100, full(30));
    let (id, first, _) = bought(&world, month()).await;
    bought(&world, month().renew()).await;
    let desk = world.registrar.admin(admin());
    let how = Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&first, how, "letter 1")
        .await
        .unwrap();
    desk.refunds()
        .record_reinstatement(&first, "letter 2")
        .await
        .unwrap();
    assert_eq!(last_day(&world.case(id).await), 60, "two months are paid");
}

#[tokio::test]
async fn a_renewal_paid_during_a_dispute_that_is_won_is_not_swallowed() {
    let world = World::new();
    let month = || offer(100, full(30));
    let (id, first, _) = bought(&world, month()).await;
    let (_, _, link) = begin(&world, month().renew()).await;
    let desk = world.registrar.admin(admin());
    let how = Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&first, how, "letter 1")
        .await
        .unwrap();
    world.pay(&link, Choice::Card).await;
    desk.refunds()
        .record_reinstatement(&first, "letter 2")
        .await
        .unwrap();
    assert_eq!(last_day(&world.case(id).await), 60, "two months are paid");
}

#[tokio::test]
async fn the_renewal_of_a_loose_grant_begins_at_once_when_that_is_revoked() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let given = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: full(365),
    };
    let grant = desk.learners().grant(given, "a bursary").await.unwrap();
    let (id, ..) = bought(&world, offer(900, full(365)).renew()).await;
    desk.learners()
        .revoke(grant.id, "the bursary ends")
        .await
        .unwrap();
    assert!(
        world.may_enter("thandi").await,
        "{:?}",
        world.case(id).await.grants
    );
}

#[tokio::test]
async fn the_card_and_enroll_tell_the_same_end_after_a_renewal() {
    let world = World::new();
    bought(&world, offer(100, full(30))).await;
    bought(&world, offer(100, full(30)).renew()).await;
    let NextStep::Open { until } = world.ask(offer(100, full(30))).await.next else {
        panic!("not open")
    };
    assert_eq!(card(&world).await.until, until);
}

#[tokio::test]
async fn a_renewal_is_the_same_whether_or_not_the_timer_ran() {
    let mut outcomes = Vec::new();
    for worker in [false, true] {
        let world = World::new();
        bought(&world, offer(100, full(30))).await;
        world.advance(29 * DAY);
        let (_, _, link) = begin(&world, offer(100, full(30)).renew()).await;
        world.advance(2 * DAY);
        if worker {
            world.pass().await;
        }
        outcomes.push(world.pay(&link, Choice::Card).await.remove(0).outcome);
    }
    assert_eq!(outcomes[0], outcomes[1]);
}

#[tokio::test]
async fn a_renewal_whose_payment_is_disputed_can_be_paid_again() {
    let world = World::new();
    let month = || offer(100, full(30));
    let (id, ..) = bought(&world, month()).await;
    let (_, second, _) = bought(&world, month().renew()).await;
    let desk = world.registrar.admin(admin());
    let how = Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&second, how, "letter")
        .await
        .unwrap();
    assert_eq!(last_day(&world.case(id).await), 30);
    bought(&world, month().renew()).await;
    assert_eq!(last_day(&world.case(id).await), 60);
}

#[tokio::test]
async fn two_attempts_to_buy_the_same_again_are_one_wish() {
    let world = World::new();
    bought(&world, offer(900, full(30))).await;
    let again = |method| by(method, 900, full(30)).buy_again();
    let (id, _, one) = begin(&world, again(PaymentMethod::Card)).await;
    let (_, _, other) = begin(&world, again(PaymentMethod::InstantEft)).await;
    let first = world.pay(&one, Choice::Card).await.remove(0);
    assert_eq!(first.outcome, Outcome::Approved);
    let second = world.pay(&other, Choice::Card).await.remove(0);
    assert_eq!(second.outcome, Outcome::Held(HoldReason::DuplicatePayment));
    assert_eq!(live(&world.case(id).await).len(), 2);
}

#[tokio::test]
async fn a_link_for_more_is_as_old_as_any_other() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    world.advance(60 * DAY);
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::LatePayment));
    assert_eq!(queue(&world).await, [id]);
    // Who asks again is given a link of today, and not that one.
    let world = World::new();
    bought(&world, offer(100, limited(365))).await;
    let (_, old, _) = begin(&world, offer(900, AccessTerms::default())).await;
    world.advance(60 * DAY);
    let (_, new, link) = begin(&world, offer(900, AccessTerms::default())).await;
    assert_ne!(old, new);
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Approved);
}

#[tokio::test]
async fn who_renews_access_that_begins_later_is_not_sold_a_duplicate() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let row = old("moodle-3", 7)
        .until(start() + chrono::Duration::days(37))
        .paid(old_payment("OLD-3", 900, -3));
    desk.learners().bring_over(&[row]).await.unwrap();
    let told = world.ask(offer(900, full(30)).renew()).await.next;
    let from = start() + chrono::Duration::days(7);
    assert_eq!(told, NextStep::Begins { from });
}

#[tokio::test]
async fn a_month_and_a_year_last_as_long_in_either_order() {
    let mut ends = Vec::new();
    for year_first in [true, false] {
        let world = World::new();
        let (id, ..) = bought(&world, offer(100, full(30))).await;
        let (_, _, month) = begin(&world, offer(100, full(30)).renew()).await;
        let (_, _, year) = begin(&world, offer(900, full(365))).await;
        let order = match year_first {
            true => [&year, &month],
            false => [&month, &year],
        };
        for link in order {
            assert_eq!(pay(&world, link).await, Outcome::Approved);
        }
        ends.push(last_day(&world.case(id).await));
    }
    assert_eq!(ends[0], ends[1], "all of it is paid");
}

#[tokio::test]
async fn who_bridges_the_time_until_access_for_ever_is_not_sold_a_duplicate() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, full(30))).await;
    let row = old("moodle-4", 60).paid(old_payment("OLD-4", 900, -3));
    desk.learners().bring_over(&[row]).await.unwrap();
    let (id, ..) = bought(&world, offer(100, full(30)).renew()).await;
    assert_eq!(
        last_day(&world.case(id).await),
        60,
        "and for ever from then on"
    );
}

#[tokio::test]
async fn a_link_to_buy_again_that_a_learner_is_sent_back_to_buys_something() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(900, full(30))).await;
    let again = |method| by(method, 900, full(30)).buy_again();
    begin(&world, again(PaymentMethod::InstantEft)).await;
    bought(&world, again(PaymentMethod::Card)).await;
    world.advance(DAY);
    // And once more: a gift for the third.
    let (_, _, link) = begin(&world, again(PaymentMethod::InstantEft)).await;
    let receipt = world.pay(&link, Choice::InstantEft).await.remove(0);
    let expected = Outcome::Held(HoldReason::InstantEft);
    assert_eq!(
        receipt.outcome,
        expected,
        "{}",
        world.case(id).await.attempts.len()
    );
}

#[tokio::test]
async fn a_bursary_given_and_taken_again_leaves_every_paid_month() {
    // For ever, and for longer than the month that is waiting.
    for terms in [AccessTerms::default(), full(50)] {
        let world = World::new();
        let desk = world.registrar.admin(admin());
        let (id, ..) = bought(&world, offer(100, full(30))).await;
        bought(&world, offer(100, full(30)).renew()).await;
        let grant = desk
            .learners()
            .grant(bursary(terms), "a bursary")
            .await
            .unwrap();
        world.advance(7 * DAY);
        desk.learners().revoke(grant.id, "it ends").await.unwrap();
        assert_eq!(last_day(&world.case(id).await), 60, "two months are paid");
        world.advance(52 * DAY);
        world.pass().await;
        assert!(world.may_enter("thandi").await, "on the 59th day");
    }
}

#[tokio::test]
async fn two_renewals_before_a_gap_are_two_months() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, full(30))).await;
    let row = old("moodle-9", 200)
        .until(start() + chrono::Duration::days(230))
        .paid(old_payment("OLD-9", 100, -3));
    desk.learners().bring_over(&[row]).await.unwrap();
    bought(&world, offer(100, full(30)).renew()).await;
    bought(&world, offer(100, full(30)).renew()).await;
    world.advance(85 * DAY);
    world.pass().await;
    assert!(world.may_enter("thandi").await, "on the 86th day of 90");
}
