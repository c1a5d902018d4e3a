//! What is next to the faults between money and access that were mended: each of these is so, and
//! is not yet.

use crate::scene::{
    DAY, begin, bought, bursary, by, card, full, held, last_day, leave, limited, live, offer, old,
    old_payment, pay, prove, queue, transfer,
};
use crate::support::{World, admin, carrying, config, delivery, learner, start};
use coursegate::access::{AccessLevel, AccessTerms};
use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::enrollment::Status;
use coursegate::payment::{Allocation, PaymentMethod, Reversal};
use coursegate::reason::HoldReason;
use coursegate::registrar::{BulkOutcome, NextStep, Outcome};
use coursegate::store::PageRequest;
use coursegate::{EnrollmentId, Money, PaymentReference};

const WON_AND_LOST: Reversal = Reversal::ChargedBack;

async fn allocation(world: &World, id: EnrollmentId, reference: &PaymentReference) -> Allocation {
    let case = world.case(id).await;
    let attempt = case.attempt(Some(reference.as_str()), None).unwrap();
    attempt.payment.unwrap().allocation
}

async fn status(world: &World, id: EnrollmentId) -> Status {
    world.case(id).await.enrollment.status
}

/// A learner who was thrown out while a link for more was open.
async fn thrown_out(world: &World) -> (EnrollmentId, PaymentReference, coursegate::PayLinkId) {
    let desk = world.registrar.admin(admin());
    bought(world, offer(100, limited(365))).await;
    let (id, reference, link) = begin(world, offer(900, AccessTerms::default())).await;
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "cheated").await.unwrap();
    (id, reference, link)
}

// 1. What closed an enrollment is forgotten as soon as money for it is held.

/// README: "`enroll` answers `Ended` to somebody whose access the school ended; only the school gives
/// it again." The callback's money is held, rightly; the return page, which every payer visits, asks
/// about the same money once more, and now the status is `AwaitingApproval`, which lets it through.
#[tokio::test]
async fn who_was_thrown_out_does_not_get_in_by_a_reload_of_the_return_page() {
    let world = World::new();
    let (id, reference, link) = thrown_out(&world).await;
    assert_eq!(
        pay(&world, &link).await,
        Outcome::Held(HoldReason::LatePayment)
    );
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(
        !world.may_enter("thandi").await,
        "{:?}",
        status(&world, id).await
    );
}

/// The same without a reload: the first of two open links makes the second one good.
#[tokio::test]
async fn who_was_thrown_out_does_not_get_in_by_paying_two_links() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(365))).await;
    let (_, _, one) = begin(&world, offer(900, AccessTerms::default())).await;
    let (id, _, other) = begin(&world, offer(500, full(365))).await;
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "cheated").await.unwrap();
    pay(&world, &one).await;
    pay(&world, &other).await;
    assert!(
        !world.may_enter("thandi").await,
        "{:?}",
        status(&world, id).await
    );
}

/// `ExceptionPolicy::late`: "Money for a rejected or withdrawn one waits for a person"; late money is let
/// in by no setting "against a person's word". A second look at it is no person.
#[tokio::test]
async fn a_second_look_at_money_does_not_go_against_a_persons_no() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    desk.approvals()
        .reject(id, "not a student of ours")
        .await
        .unwrap();
    assert_eq!(
        pay(&world, &link).await,
        Outcome::Held(HoldReason::LatePayment)
    );
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(
        !world.may_enter("thandi").await,
        "{:?}",
        status(&world, id).await
    );
}

#[tokio::test]
async fn who_was_rejected_does_not_get_in_by_paying_two_links() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, _, one) = begin(&world, offer(900, AccessTerms::default())).await;
    let (id, _, other) = begin(&world, offer(500, full(365))).await;
    desk.approvals()
        .reject(id, "not a student of ours")
        .await
        .unwrap();
    pay(&world, &one).await;
    pay(&world, &other).await;
    assert!(
        !world.may_enter("thandi").await,
        "{:?}",
        status(&world, id).await
    );
}

/// Who left has said so; money that comes by an old link waits for a person, and goes on waiting.
#[tokio::test]
async fn a_second_look_at_money_for_who_left_does_not_decide_instead_of_a_person() {
    let world = World::new();
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    leave(&world).await;
    assert_eq!(
        pay(&world, &link).await,
        Outcome::Held(HoldReason::LatePayment)
    );
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert_eq!(queue(&world).await, [id], "{:?}", status(&world, id).await);
}

/// Giving the late money back carries the "no" out; it does not take it back. What the learner may
/// do is enroll again. Here they do nothing, and the next open link is good.
#[tokio::test]
async fn a_refund_of_late_money_does_not_take_a_no_back() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, first, one) = begin(&world, offer(900, AccessTerms::default())).await;
    let (id, _, other) = begin(&world, offer(500, full(365))).await;
    desk.approvals()
        .reject(id, "not a student of ours")
        .await
        .unwrap();
    pay(&world, &one).await;
    desk.refunds().record(&first, "R-1").await.unwrap();
    assert_eq!(
        pay(&world, &other).await,
        Outcome::Held(HoldReason::LatePayment)
    );
}

/// The same for who left: they are not waiting to pay.
#[tokio::test]
async fn a_refund_of_late_money_does_not_bring_back_who_left() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    leave(&world).await;
    pay(&world, &link).await;
    desk.refunds().record(&reference, "R-1").await.unwrap();
    let now = status(&world, id).await;
    assert_ne!(
        now,
        Status::AwaitingPayment,
        "told {:?}",
        card(&world).await.message
    );
}

/// Leaving is the learner's to do, and undoes nothing that the school did.
#[tokio::test]
async fn who_was_thrown_out_cannot_enroll_again_by_leaving() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, second, link) = thrown_out(&world).await;
    pay(&world, &link).await;
    leave(&world).await;
    desk.refunds().record(&second, "R-1").await.unwrap();
    let again = world.ask(offer(100, limited(365))).await;
    assert_eq!(again.next, NextStep::Ended, "{:?}", again.status);
}

/// README: "Access that is over already is kept, and changes nothing about what its learner is
/// buying now." Its end, noted by a timer, is younger than the revocation, and hides it.
#[tokio::test]
async fn bringing_over_the_past_does_not_make_a_no_of_the_school_forgotten() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, link) = thrown_out(&world).await;
    let row = old("moodle-1", -300)
        .until(start() - chrono::Duration::days(100))
        .paid(old_payment("OLD-1", 900, -300));
    assert_eq!(desk.learners().bring_over(&[row]).await.unwrap().added, 1);
    world.advance(1);
    world.pass().await;
    pay(&world, &link).await;
    desk.approvals().reject(id, "no means no").await.unwrap();
    let again = world.ask(offer(100, limited(365))).await;
    assert_eq!(again.next, NextStep::Ended, "{:?}", again.status);
}

// 2. Money that a person sends back is decided about again by whoever looks at it.

/// `reject`: "Money that is held has to be given back from then on."
#[tokio::test]
async fn a_reload_of_the_return_page_does_not_undo_a_no() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, reference, _) = held(&world, 900, AccessTerms::default()).await;
    desk.approvals()
        .reject(id, "from a stranger's account")
        .await
        .unwrap();
    world.registrar.refresh_payment(&reference).await.unwrap();
    let now = status(&world, id).await;
    assert!(matches!(now, Status::Rejected { .. }), "{now:?}");
    assert!(matches!(
        allocation(&world, id, &reference).await,
        Allocation::RefundDue(_)
    ));
}

#[tokio::test]
async fn a_reload_does_not_undo_a_no_to_an_upgrade() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, reference, _) = held(&world, 900, AccessTerms::default()).await;
    desk.approvals()
        .reject(id, "from a stranger's account")
        .await
        .unwrap();
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(queue(&world).await.is_empty());
    assert!(matches!(
        allocation(&world, id, &reference).await,
        Allocation::RefundDue(_)
    ));
}

/// The school gives R 100 back in the dashboard, and a look at the old return page lets the learner
/// in for it, for ever.
#[tokio::test]
async fn money_that_goes_back_by_a_persons_word_does_not_let_anybody_in() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, old, link) = begin(&world, offer(100, AccessTerms::default())).await;
    begin(&world, offer(900, AccessTerms::default())).await;
    assert_eq!(
        pay(&world, &link).await,
        Outcome::Held(HoldReason::OldPrice)
    );
    desk.approvals()
        .reject(id, "too little; it goes back today")
        .await
        .unwrap();
    // A sale: the learner is asked to pay again, as the old money goes back.
    begin(&world, offer(100, AccessTerms::default())).await;
    world.registrar.refresh_payment(&old).await.unwrap();
    assert!(
        !world.may_enter("thandi").await,
        "the payment is being given back"
    );
    assert!(matches!(
        allocation(&world, id, &old).await,
        Allocation::RefundDue(_)
    ));
}

/// The sum was right. (`message` is for the learner; `pending` and `awaiting` share it.)
#[tokio::test]
async fn whose_money_was_turned_down_is_not_told_that_the_sum_was_wrong() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 900, AccessTerms::default()).await;
    desk.approvals()
        .reject(id, "from a stranger's account")
        .await
        .unwrap();
    begin(&world, offer(900, AccessTerms::default())).await;
    let shown = card(&world).await;
    assert!(
        !shown.message.contains("did not match the price"),
        "{shown:?}"
    );
}

// 3. What a person approved ahead of its payment.

/// The exemption from the age of an offer is for "what a person approved ahead": R 10, limited. It
/// makes a 300-day-old link for full access good, at the price of then: next to
/// `a_small_purchase_does_not_keep_a_first_link_for_more_good_for_ever`.
#[tokio::test]
async fn an_approval_ahead_of_little_does_not_keep_an_old_link_for_more_good_for_ever() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, sale) = begin(&world, offer(100, AccessTerms::default())).await;
    begin(&world, offer(10, limited(365))).await;
    desk.approvals()
        .approve(id, "pays on Friday")
        .await
        .unwrap();
    world.advance(300 * DAY);
    world.pass().await;
    assert_eq!(
        pay(&world, &sale).await,
        Outcome::Held(HoldReason::LatePayment)
    );
}

/// README: "No month that stays paid is lost." A renewal that is paid first is swallowed by the grant
/// it was to follow, and the month itself is then a duplicate: R 200 paid, 30 days.
#[tokio::test]
async fn a_renewal_of_what_was_approved_ahead_is_more_time_whichever_is_paid_first() {
    let mut ends = Vec::new();
    for renewal_first in [false, true] {
        let world = World::new();
        let desk = world.registrar.admin(admin());
        let (id, _, first) = begin(&world, offer(100, full(30))).await;
        desk.approvals()
            .approve(id, "pays on Friday")
            .await
            .unwrap();
        let (_, _, renewal) = begin(&world, offer(100, full(30)).renew()).await;
        let order = match renewal_first {
            true => [&renewal, &first],
            false => [&first, &renewal],
        };
        let mut outcomes = Vec::new();
        for link in order {
            outcomes.push(pay(&world, link).await);
        }
        ends.push((last_day(&world.case(id).await), outcomes));
    }
    assert_eq!(ends[0], ends[1], "both months are paid");
}

/// An instant EFT waits for a person, unless one approved ahead of it. Nobody approved a renewal.
#[tokio::test]
async fn an_instant_eft_for_a_renewal_is_not_the_money_somebody_approved_ahead_of() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = begin(&world, offer(100, full(30))).await;
    desk.approvals()
        .approve(id, "pays on Friday")
        .await
        .unwrap();
    let (_, _, renewal) = begin(&world, by(PaymentMethod::InstantEft, 100, full(30)).renew()).await;
    let receipt = world.pay(&renewal, Choice::InstantEft).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::InstantEft));
    assert_eq!(queue(&world).await, [id]);
}

/// "The same again, knowingly" is no payment for the first one.
#[tokio::test]
async fn what_is_bought_again_is_not_what_was_approved_ahead() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, first) = begin(&world, offer(100, full(30))).await;
    desk.approvals()
        .approve(id, "pays on Friday")
        .await
        .unwrap();
    let (_, _, again) = begin(&world, offer(100, full(30)).buy_again()).await;
    assert_eq!(pay(&world, &again).await, Outcome::Approved);
    assert_eq!(pay(&world, &first).await, Outcome::Approved);
    assert_eq!(live(&world.case(id).await).len(), 2);
}

/// Less than was asked is held; that a bank took it and gave it back makes it no more.
#[tokio::test]
async fn a_dispute_that_is_won_does_not_make_a_part_of_the_price_the_whole() {
    let short = Settings::new(1).fault(Fault::ShortAmount, 1.0);
    let world = World::with(short, config(), |builder| builder);
    let desk = world.registrar.admin(admin());
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    desk.approvals()
        .approve(id, "pays on Friday")
        .await
        .unwrap();
    world.pay(&link, Choice::Card).await;
    let before = allocation(&world, id, &reference).await;
    assert_eq!(before, Allocation::OnHold(HoldReason::Underpayment));
    desk.refunds()
        .record_reversal(&reference, WON_AND_LOST, "1")
        .await
        .unwrap();
    desk.refunds()
        .record_reinstatement(&reference, "2")
        .await
        .unwrap();
    let after = allocation(&world, id, &reference).await;
    assert!(
        matches!(after, Allocation::OnHold(_)),
        "less than the price is {after:?}"
    );
}

// 4. Renewals, and what is bought again.

/// The learner is asked for R 100, pays, and is told that it is a duplicate: of R 10 for less. They
/// cannot renew full access at all.
#[tokio::test]
async fn a_limited_month_that_was_renewed_does_not_keep_the_learner_from_renewing_full_access() {
    let world = World::new();
    bought(&world, offer(100, full(30))).await;
    bought(&world, offer(10, limited(30)).renew()).await;
    let (id, _, link) = begin(&world, offer(100, full(30)).renew()).await;
    assert_eq!(pay(&world, &link).await, Outcome::Approved);
    let case = world.case(id).await;
    let is_full = |it: &&coursegate::access::Grant| it.level == AccessLevel::Full;
    let ends = live(&case).into_iter().filter(is_full);
    let end = ends.filter_map(|it| it.expires_at).max().unwrap();
    assert_eq!((end - start()).num_days(), 60);
}

/// R 900 for a year is no second payment of R 10 for a limited day.
#[tokio::test]
async fn two_offers_that_are_bought_again_are_two_wishes() {
    let world = World::new();
    bought(&world, offer(900, AccessTerms::default())).await;
    let (_, _, dear) = begin(&world, offer(900, full(365)).buy_again()).await;
    bought(&world, offer(10, limited(1)).buy_again()).await;
    assert_eq!(pay(&world, &dear).await, Outcome::Approved);
}

/// README: a renewal follows what there is of the same access, and no month that stays paid is lost.
/// The limited month that waits stays where it is when a full month comes to the same place.
#[tokio::test]
async fn a_limited_and_a_full_renewal_last_as_long_in_either_order() {
    let mut ends = Vec::new();
    for limited_first in [false, true] {
        let world = World::new();
        let (id, ..) = bought(&world, offer(100, limited(30))).await;
        if limited_first {
            bought(&world, offer(100, limited(30)).renew()).await;
        }
        world.advance(60);
        bought(&world, offer(500, full(30))).await;
        world.advance(60);
        bought(&world, offer(500, full(30)).renew()).await;
        world.advance(60);
        if !limited_first {
            bought(&world, offer(100, limited(30)).renew()).await;
        }
        ends.push(last_day(&world.case(id).await));
    }
    assert_eq!(ends[0], ends[1], "all of it is paid");
}

/// Who left has nothing: whatever becomes of the money, it is no second payment for what they have.
#[tokio::test]
async fn a_renewal_that_the_learner_left_is_no_payment_for_the_same() {
    let world = World::new();
    bought(&world, offer(100, full(30))).await;
    let (_, _, other) = begin(&world, by(PaymentMethod::InstantEft, 100, full(30)).renew()).await;
    bought(&world, offer(100, full(30)).renew()).await;
    leave(&world).await;
    begin(&world, offer(100, full(30))).await;
    let outcome = pay(&world, &other).await;
    assert_ne!(outcome, Outcome::Held(HoldReason::DuplicatePayment));
}

/// Invariant 15: the held R 100 are theirs, and for just this.
#[tokio::test]
async fn a_renewal_that_is_held_is_not_asked_for_again_when_a_bursary_comes() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let month = || by(PaymentMethod::InstantEft, 100, full(30)).renew();
    bought(&world, offer(100, full(30))).await;
    let (_, _, link) = begin(&world, month()).await;
    world.pay(&link, Choice::InstantEft).await;
    let wait = NextStep::Wait(HoldReason::InstantEft);
    assert_eq!(world.ask(month()).await.next, wait);
    desk.learners()
        .grant(bursary(full(60)), "a bursary")
        .await
        .unwrap();
    assert_eq!(world.ask(month()).await.next, wait);
}

// 5. The queue.

/// What the admin is shown is what they approve.
#[tokio::test]
async fn the_queue_shows_the_money_that_would_be_approved() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let eft = |rand, terms| by(PaymentMethod::InstantEft, rand, terms);
    let (_, _, cheap) = begin(&world, eft(10, limited(1))).await;
    let (id, _, dear) = begin(&world, eft(5_000, AccessTerms::default())).await;
    for link in [&cheap, &dear] {
        world.pay(link, Choice::InstantEft).await;
    }
    let page = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap();
    let shown = page.items[0].waiting().unwrap().reference.clone();
    desk.approvals().approve(id, "").await.unwrap();
    assert_eq!(carrying(&world.case(id).await), [shown]);
}

#[tokio::test]
async fn the_queue_does_not_show_money_that_goes_back() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 10, limited(1)).await;
    desk.approvals().reject(id, "no").await.unwrap();
    let (_, second, _) = held(&world, 5_000, AccessTerms::default()).await;
    let page = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(page.items[0].waiting().unwrap().reference, second);
}

/// "Bank transfers expire after 30 days, and never with a proof of payment": with a proof of theirs,
/// and not of last month's.
#[tokio::test]
async fn the_proof_of_an_old_transfer_does_not_keep_a_new_one_waiting_for_ever() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _) = transfer(&world, 100, full(30)).await;
    prove(&world).await;
    desk.approvals().approve(id, "it is there").await.unwrap();
    world.advance(31 * DAY);
    world.pass().await;
    // Another month is asked for, and never paid.
    transfer(&world, 100, full(30)).await;
    world.advance(31 * DAY);
    world.pass().await;
    assert!(
        queue(&world).await.is_empty(),
        "{:?}",
        status(&world, id).await
    );
}

#[tokio::test]
async fn money_that_goes_back_does_not_keep_a_transfer_waiting_for_ever() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 900, AccessTerms::default()).await;
    desk.approvals().reject(id, "no").await.unwrap();
    transfer(&world, 900, AccessTerms::default()).await;
    world.advance(31 * DAY);
    world.pass().await;
    assert!(
        queue(&world).await.is_empty(),
        "{:?}",
        status(&world, id).await
    );
}

/// It was decided. Approving what is in the queue now would take R 900 for seen.
#[tokio::test]
async fn a_proven_transfer_that_was_turned_down_is_not_in_the_queue_again() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _) = transfer(&world, 900, AccessTerms::default()).await;
    prove(&world).await;
    desk.approvals()
        .reject(id, "the proof is forged")
        .await
        .unwrap();
    bought(&world, offer(10, limited(30))).await;
    assert!(queue(&world).await.is_empty());
}

/// It stays in the queue though nothing waits, and approving it "awaits a second person".
#[tokio::test]
async fn what_waits_ends_when_access_for_ever_begins() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, full(30))).await;
    let (id, _, link) = begin(&world, by(PaymentMethod::InstantEft, 100, full(30)).renew()).await;
    world.pay(&link, Choice::InstantEft).await;
    let row = old("moodle-1", 10).paid(old_payment("OLD-1", 900, -3));
    desk.learners().bring_over(&[row]).await.unwrap();
    world.advance(11 * DAY);
    world.pass().await;
    let seen = queue(&world).await;
    let tried = desk
        .approvals()
        .approve_all(&[id], "", true)
        .await
        .remove(0)
        .outcome;
    assert!(
        seen.is_empty() || tried == BulkOutcome::Approved,
        "in the queue: {seen:?}, and approving it is {tried:?}"
    );
}

/// README: "given up on after 12 tries, and put before a person with what to do". For a first
/// purchase it is; for an upgrade nothing waits, and the advice ("approve the enrollment") does
/// nothing.
#[tokio::test]
async fn an_upgrade_that_is_given_up_on_is_put_before_a_person() {
    let world = World::new();
    bought(&world, offer(100, limited(365))).await;
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.set_down(true);
    world.deliver().await;
    for _ in 0..40 {
        world.advance(2 * 3_600);
        world.pass().await;
    }
    assert!(world.case(id).await.confirming.is_none());
    assert_eq!(queue(&world).await, [id]);
}

// 6. Time, disputes, refunds and erasure.

/// README: "One that was begun before the end and is paid within a week is no late money." The
/// callback came in time; that the provider could not be asked for an hour is not the learner's. A
/// first purchase does not expire while it is confirmed.
#[tokio::test]
async fn an_upgrade_paid_in_time_is_not_late_because_the_provider_was_away() {
    let world = World::new();
    bought(&world, offer(100, limited(365))).await;
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    world.advance(7 * DAY - 3_600);
    world.simulator.pay(&link, Choice::Card).unwrap();
    let callbacks = world.simulator.take_callbacks();
    world.simulator.set_down(true);
    for callback in &callbacks {
        let receipt = world.registrar.receive(delivery(callback)).await;
        assert_eq!(receipt.outcome, Outcome::Waiting);
    }
    world.advance(2 * 3_600);
    world.simulator.set_down(false);
    for _ in 0..5 {
        world.advance(600);
        world.pass().await;
    }
    let paid = world.case(id).await.attempts[1].payment.unwrap();
    assert_eq!(paid.allocation, Allocation::Applied);
}

/// Half of it went back, so it counts for nothing; a dispute about the other half that is won does
/// not bring the first one back.
#[tokio::test]
async fn a_payment_of_which_half_went_back_is_not_whole_again_after_a_dispute() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, reference, _) = held(&world, 900, AccessTerms::default()).await;
    let half = Money::zar(45_000).unwrap();
    desk.refunds()
        .record_partial(&reference, half, "R-1")
        .await
        .unwrap();
    let before = world.case(id).await;
    desk.refunds()
        .record_reversal(&reference, WON_AND_LOST, "1")
        .await
        .unwrap();
    desk.refunds()
        .record_reinstatement(&reference, "2")
        .await
        .unwrap();
    let after = world.case(id).await;
    assert_eq!(before.attempts[0].status, after.attempts[0].status);
    assert_eq!(before.enrollment.status, after.enrollment.status);
}

/// That both can be recorded is one thing; asking the provider for it sends R 900 a second time, and
/// a dispute that is won later brings nothing back.
#[tokio::test]
async fn the_provider_is_not_asked_to_give_back_what_the_bank_took_already() {
    let mut settings = Settings::new(1);
    settings.refunds = true;
    let world = World::with(settings, config(), |builder| builder);
    let (_, reference, _) = bought(&world, offer(900, AccessTerms::default())).await;
    let desk = world.registrar.admin(admin());
    desk.refunds()
        .record_reversal(&reference, WON_AND_LOST, "1")
        .await
        .unwrap();
    let asked = desk.refunds().request(&reference, None, "asked for").await;
    assert!(asked.is_err(), "R 900 went back twice: {asked:?}");
}

/// `approve`: "An `Ok` says that they have access by it." Nobody has: the grant names a pseudonym.
#[tokio::test]
async fn nobody_is_let_in_for_money_of_a_learner_who_was_erased() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, link) = begin(&world, offer(900, full(365))).await;
    bought(&world, offer(100, full(30))).await;
    world.advance(31 * DAY);
    world.pass().await;
    desk.learners().erase(&learner("thandi")).await.unwrap();
    let outcome = pay(&world, &link).await;
    assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
    let approved = desk.approvals().approve(id, "").await;
    assert!(approved.is_err(), "{approved:?}, and nobody gets in");
}
