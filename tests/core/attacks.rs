//! Attacks on the way from money to access, and states nobody should end in.

use std::time::Duration;

use coursegate::access::{AccessLevel, CardAction, GrantState, Kinds, ResourceKind, Terms};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::{Case, MigratedPayment};
use coursegate::payment::{Method, ProofOfPayment, Reversal, Standing};
use coursegate::port::PageRequest;
use coursegate::reason::HoldReason;
use coursegate::registrar::{
    EnrolRequest, ExistingAccess, ExistingPayment, NewGrant, NextStep, Outcome,
};
use coursegate::statement::StatementRow;
use coursegate::{Email, EnrollmentId, ExternalKey, Money, PayLinkId, Reference, Title};

use crate::support::{World, admin, carrying, config, course, learner, request, start, visitor};

const DAY: u64 = 86_400;

fn limited(days: u64) -> Terms {
    Terms {
        level: AccessLevel::Limited,
        ..full(days)
    }
}

fn full(days: u64) -> Terms {
    Terms::lasting(Duration::from_secs(days * DAY))
}

fn offer(rand: i64, terms: Terms) -> EnrolRequest {
    by(Method::Card, rand, terms)
}

fn by(method: Method, rand: i64, terms: Terms) -> EnrolRequest {
    let mut request = request("thandi", method).terms(terms);
    request.price = Money::zar(rand * 100).unwrap();
    request
}

type Started = (EnrollmentId, Reference, PayLinkId);

async fn begin(world: &World, request: EnrolRequest) -> Started {
    let enrollee = world.ask(request).await;
    let NextStep::Pay { reference, .. } = enrollee.next else {
        panic!("nothing to pay: {:?}", enrollee.next)
    };
    let case = world.case(enrollee.enrollment).await;
    let attempt = case.attempt(Some(reference.as_str()), None).unwrap();
    let link = attempt.link.clone().unwrap().id;
    (enrollee.enrollment, reference, link)
}

async fn bought(world: &World, request: EnrolRequest) -> Started {
    let started = begin(world, request).await;
    let receipts = world.pay(&started.2, Choice::Card).await;
    assert_eq!(receipts[0].outcome, Outcome::Applied);
    started
}

async fn transfer(world: &World, rand: i64, terms: Terms) -> (EnrollmentId, Reference) {
    let enrollee = world.ask(by(Method::BankTransfer, rand, terms)).await;
    let NextStep::Transfer { reference, .. } = enrollee.next else {
        panic!("no transfer: {:?}", enrollee.next)
    };
    (enrollee.enrollment, reference)
}

/// A payment that waits for a person.
async fn held(world: &World, rand: i64, terms: Terms) -> Started {
    let started = begin(world, by(Method::InstantEft, rand, terms)).await;
    let receipt = world.pay(&started.2, Choice::InstantEft).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::InstantEft));
    started
}

fn live(case: &Case) -> Vec<&coursegate::access::Grant> {
    let live = |grant: &&coursegate::access::Grant| grant.state == GrantState::Live;
    case.grants.iter().filter(live).collect()
}

async fn queue(world: &World) -> Vec<EnrollmentId> {
    let desk = world.registrar.admin(admin());
    let page = desk.pending(PageRequest::first(10)).await.unwrap();
    page.items.iter().map(|item| item.enrollment.id).collect()
}

async fn card(world: &World) -> coursegate::access::LearnerCard {
    let (visitor, course) = (visitor("thandi"), course());
    let card = world.registrar.learner_card(Some(&visitor), &course);
    card.await.unwrap()
}

async fn leave(world: &World) {
    let (learner, course) = (learner("thandi"), course());
    world.registrar.withdraw(&learner, &course).await.unwrap();
}

fn key(text: &str) -> ExternalKey {
    ExternalKey::new(text).unwrap()
}

fn old(name: &str, from: i64) -> ExistingAccess {
    let at = start() + chrono::Duration::days(from);
    ExistingAccess::new(key(name), learner("thandi"), course(), at)
}

fn old_payment(reference: &str, from: i64) -> ExistingPayment {
    ExistingPayment {
        email: Email::new("thandi@school.example").unwrap(),
        title: Title::new("Rust").unwrap(),
        payment: MigratedPayment {
            reference: Reference::new(reference).unwrap(),
            amount: Money::zar(90_000).unwrap(),
            method: Method::BankTransfer,
            at: start() + chrono::Duration::days(from),
        },
    }
}

async fn statement_row(world: &World, rand: i64, text: &str) -> coursegate::statement::RowChecksum {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let row = StatementRow::new(day, Money::zar(rand * 100).unwrap(), text, "", 0);
    let checksum = row.checksum.clone();
    let desk = world.registrar.admin(admin());
    desk.import_statement(vec![row]).await.unwrap();
    checksum
}

// ---- a dear course for a cheap payment -------------------------------------------------------

#[tokio::test]
async fn asking_for_a_small_offer_does_not_make_an_old_price_good_again() {
    let world = World::new();
    let (id, _, old_link) = begin(&world, offer(100, Terms::default())).await;
    // The price rose, and this learner was told so.
    begin(&world, offer(900, Terms::default())).await;
    // The cheapest offer of today is asked last.
    begin(&world, offer(50, limited(1))).await;
    let receipt = world.pay(&old_link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::OldPrice));
    assert!(live(&world.case(id).await).is_empty());
}

#[tokio::test]
async fn a_small_offer_does_not_revive_the_link_of_an_expired_enrollment_at_an_old_price() {
    let world = World::new();
    let (_, _, old_link) = begin(&world, offer(100, Terms::default())).await;
    begin(&world, offer(900, Terms::default())).await;
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
    let (id, ..) = held(&world, 5_000, Terms::default()).await;
    desk.reject(id, "go away").await.unwrap();
    let (_, reference) = transfer(&world, 10, limited(1)).await;
    desk.approve(id, "R 10 is on the statement").await.unwrap();
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [reference]);
    assert_eq!(live(&case)[0].level, AccessLevel::Limited);
}

#[tokio::test]
async fn approving_a_dear_transfer_gives_what_it_bought_and_not_an_older_refund() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, ..) = held(&world, 10, limited(1)).await;
    desk.reject(id, "not like this").await.unwrap();
    let (_, reference) = transfer(&world, 5_000, Terms::default()).await;
    desk.approve(id, "R 5,000 is on the statement")
        .await
        .unwrap();
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [reference]);
    assert!(matches!(
        case.attempts[0].payment.unwrap().standing,
        Standing::RefundDue(_)
    ));
}

#[tokio::test]
async fn an_old_rejected_transfer_is_not_vouched_for_when_another_offer_is_approved() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, old) = transfer(&world, 10, limited(1)).await;
    desk.reject(id, "it never came").await.unwrap();
    begin(&world, offer(5_000, Terms::default())).await;
    desk.approve(id, "the director said so").await.unwrap();
    let case = world.case(id).await;
    let attempt = case.attempt(Some(old.as_str()), None).unwrap();
    assert!(attempt.payment.is_none(), "nobody saw R 10: {attempt:?}");
    assert_eq!(live(&case)[0].level, AccessLevel::Full);
}

// ---- renewals --------------------------------------------------------------------------------

fn last_day(case: &Case) -> i64 {
    let ends = live(case).into_iter().filter_map(|grant| grant.expires_at);
    (ends.max().unwrap() - start()).num_days()
}

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
    desk.record_refund(&second, "R-1").await.unwrap();
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
    desk.record_refund(&second, "R-1").await.unwrap();
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
    desk.record_reversal(&first, how, "letter 1").await.unwrap();
    desk.record_reinstatement(&first, "letter 2").await.unwrap();
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
    desk.record_reversal(&first, how, "letter 1").await.unwrap();
    world.pay(&link, Choice::Card).await;
    desk.record_reinstatement(&first, "letter 2").await.unwrap();
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
    let grant = desk.grant(given, "a bursary").await.unwrap();
    let (id, ..) = bought(&world, offer(900, full(365)).renew()).await;
    desk.revoke(grant.id, "the bursary ends").await.unwrap();
    assert!(
        world.may_enter("thandi").await,
        "{:?}",
        world.case(id).await.grants
    );
}

#[tokio::test]
async fn the_card_and_enrol_tell_the_same_end_after_a_renewal() {
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
    desk.record_reversal(&second, how, "letter").await.unwrap();
    assert_eq!(last_day(&world.case(id).await), 30);
    bought(&world, month().renew()).await;
    assert_eq!(last_day(&world.case(id).await), 60);
}

#[tokio::test]
async fn two_attempts_to_buy_the_same_again_are_one_wish() {
    let world = World::new();
    bought(&world, offer(900, full(30))).await;
    let again = |method| by(method, 900, full(30)).buy_again();
    let (id, _, one) = begin(&world, again(Method::Card)).await;
    let (_, _, other) = begin(&world, again(Method::InstantEft)).await;
    let first = world.pay(&one, Choice::Card).await.remove(0);
    assert_eq!(first.outcome, Outcome::Applied);
    let second = world.pay(&other, Choice::Card).await.remove(0);
    assert_eq!(second.outcome, Outcome::Held(HoldReason::DuplicateMoney));
    assert_eq!(live(&world.case(id).await).len(), 2);
}

#[tokio::test]
async fn a_link_for_more_is_as_old_as_any_other() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, _, link) = begin(&world, offer(900, Terms::default())).await;
    world.advance(60 * DAY);
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::LateMoney));
    assert_eq!(queue(&world).await, [id]);
    // Who asks again is given a link of today, and not that one.
    let world = World::new();
    bought(&world, offer(100, limited(365))).await;
    let (_, old, _) = begin(&world, offer(900, Terms::default())).await;
    world.advance(60 * DAY);
    let (_, new, link) = begin(&world, offer(900, Terms::default())).await;
    assert_ne!(old, new);
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Applied);
}

// ---- bank transfers for more -----------------------------------------------------------------

#[tokio::test]
async fn a_proof_can_be_attached_to_the_transfer_for_an_upgrade() {
    let world = World::new();
    bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, Terms::default()).await;
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
        .ask(by(Method::BankTransfer, 100, full(30)).renew())
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
    let (_, reference) = transfer(&world, 900, Terms::default()).await;
    assert_eq!(queue(&world).await, [id]);
    begin(&world, offer(900, Terms::default())).await;
    assert_eq!(queue(&world).await, [id]);
    let desk = world.registrar.admin(admin());
    statement_row(&world, 900, reference.as_str()).await;
    assert_eq!(desk.suggestions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn bringing_over_the_past_does_not_take_a_transfer_for_an_upgrade_out_of_the_queue() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, Terms::default()).await;
    let desk = world.registrar.admin(admin());
    let row = old("moodle-1", -300)
        .until(start() - chrono::Duration::days(100))
        .paid(old_payment("OLD-1", -300));
    let done = desk.bring_over(&[row]).await.unwrap();
    assert_eq!(done.added, 1, "{done:?}");
    assert_eq!(queue(&world).await, [id]);
}

#[tokio::test]
async fn a_transfer_that_comes_after_its_upgrade_lapsed_can_be_recorded() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, limited(365))).await;
    let (_, reference) = transfer(&world, 900, Terms::default()).await;
    world.advance(31 * DAY);
    world.pass().await;
    assert!(queue(&world).await.is_empty());
    let row = statement_row(&world, 900, reference.as_str()).await;
    let desk = world.registrar.admin(admin());
    let done = desk
        .approve_rows(&[(row, reference)], "it came")
        .await
        .remove(0);
    assert_eq!(done.problem, None);
    assert_eq!(live(&world.case(id).await).len(), 2);
}

#[tokio::test]
async fn a_transfer_for_more_stays_in_the_queue_when_the_first_payment_goes_back() {
    let world = World::new();
    let (id, first, _) = bought(&world, offer(100, limited(365))).await;
    transfer(&world, 900, Terms::default()).await;
    let desk = world.registrar.admin(admin());
    desk.record_refund(&first, "R-1").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    desk.approve(id, "R 900 is on the statement").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

// ---- states nobody can leave -----------------------------------------------------------------

#[tokio::test]
async fn who_leaves_while_money_is_held_can_be_approved_or_enroll_again() {
    for upgrade in [false, true] {
        let world = World::new();
        if upgrade {
            bought(&world, offer(100, limited(365))).await;
        }
        let (id, ..) = held(&world, 900, Terms::default()).await;
        leave(&world).await;
        // "The learner left; they have to enroll again first."
        let again = world
            .ask(by(Method::InstantEft, 900, Terms::default()))
            .await;
        let desk = world.registrar.admin(admin());
        let approved = desk.approve(id, "").await;
        let rejected = desk.reject(id, "no").await;
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
        let grant = desk.grant(bursary, "bursary").await.unwrap();
        world.pay(&link, Choice::Card).await;
        match expires {
            true => {
                world.advance(31 * DAY);
                world.pass().await;
            }
            false => desk.revoke(grant.id, "").await.unwrap(),
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

// ---- cards and answers -----------------------------------------------------------------------

#[tokio::test]
async fn who_bought_a_preview_is_not_told_that_the_school_ended_it() {
    let world = World::new();
    let preview = Terms {
        level: AccessLevel::Preview,
        ..Terms::default()
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
    let row = old("moodle-2", 7).paid(old_payment("OLD-2", -3));
    desk.bring_over(&[row]).await.unwrap();
    assert_eq!(card(&world).await.action, CardAction::Wait);
    let told = world.ask(offer(900, Terms::default())).await.next;
    assert!(!matches!(told, NextStep::Pay { .. }), "{told:?}");
}

#[tokio::test]
async fn who_has_one_kind_only_can_buy_the_rest_from_the_card() {
    let world = World::new();
    let none = Terms {
        kinds: Kinds::only([ResourceKind::Lesson]),
        level: AccessLevel::Preview,
        ..Terms::default()
    };
    bought(&world, offer(10, none)).await;
    let next = world.ask(offer(900, Terms::default())).await.next;
    assert!(matches!(next, NextStep::Pay { .. }));
    assert!(!card(&world).await.disabled, "{:?}", card(&world).await);
}

// ---- bringing over ---------------------------------------------------------------------------

#[tokio::test]
async fn one_payment_named_by_two_rows_of_a_learner_carries_one_grant_and_stops_nothing() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let mut other = old("moodle-5", -10).paid(old_payment("OLD-4", -10));
    other.learner = learner("sipho");
    let rows = [
        old("moodle-3", -10).paid(old_payment("OLD-3", -10)),
        old("moodle-4", -10).paid(old_payment("OLD-3", -10)),
        other,
    ];
    let done = desk.bring_over(&rows).await.unwrap();
    assert_eq!((done.added, done.failed.len()), (2, 1), "{done:?}");
    let grants = desk.learner_grants(&learner("thandi")).await.unwrap();
    assert_eq!(grants.len(), 1);
}

#[tokio::test]
async fn a_row_that_names_a_payment_made_here_is_refused() {
    let world = World::new();
    let (id, reference, link) = begin(&world, offer(10, limited(1))).await;
    let desk = world.registrar.admin(admin());
    let row = old("moodle-6", -10).paid(old_payment(reference.as_str(), -10));
    let done = desk.bring_over(&[row]).await;
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
            .paid(old_payment("OLD-7", -300));
        if by_transfer {
            let (id, _) = transfer(&world, 900, Terms::default()).await;
            desk.bring_over(&[row]).await.unwrap();
            world.advance(1);
            world.pass().await;
            assert_eq!(queue(&world).await, [id]);
            continue;
        }
        let (_, _, link) = begin(&world, offer(900, Terms::default())).await;
        desk.bring_over(&[row]).await.unwrap();
        world.advance(1);
        world.pass().await;
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        assert_eq!(receipt.outcome, Outcome::Applied);
    }
}

#[tokio::test]
async fn a_reversal_with_a_renewal_link_open_never_asks_for_both() {
    // Held upgrade money, and the base is refunded: the money is in the queue, nobody pays twice.
    let world = World::new();
    let (id, first, _) = bought(&world, offer(100, limited(30))).await;
    held(&world, 900, Terms::default()).await;
    let desk = world.registrar.admin(admin());
    desk.record_refund(&first, "R-1").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    assert_eq!(card(&world).await.action, CardAction::Wait);
    desk.approve(id, "").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn lent_access_is_not_lent_again_for_a_payment_that_went_back() {
    let mut settings = config();
    settings.rules.provisional = Some(full(30));
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let desk = world.registrar.admin(admin());
    transfer(&world, 5_000, Terms::default()).await;
    assert!(world.may_enter("thandi").await, "lent once");
    let mut lent = 0;
    for _ in 0..3 {
        leave(&world).await;
        world.advance(DAY);
        // The cheapest offer, paid, and given back: nothing is earned by that.
        let (_, cheap, _) = bought(&world, offer(10, limited(1))).await;
        desk.record_refund(&cheap, format!("R-{lent}").as_str())
            .await
            .unwrap();
        transfer(&world, 5_000, Terms::default()).await;
        lent += usize::from(world.may_enter("thandi").await);
    }
    assert_eq!(lent, 0, "nothing was ever paid");
}
