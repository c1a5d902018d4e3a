//! What a third look found next to the faults between money and access that were mended: each of
//! these is promised, and is not yet so.

use std::time::Duration;

use coursegate::access::{AccessTerms, ResourceKind, ResourceKinds};
use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::approval::{ApprovalContext, Decision, RefuseReason};
use coursegate::enrollment::{CaseError, Status};
use coursegate::event::EventKind;
use coursegate::notice::NoticeKind;
use coursegate::payment::{Allocation, PaymentMethod, Reversal};
use coursegate::reason::{ExceptionAction, HoldReason};
use coursegate::registrar::{CardAction, Error, NextStep, Outcome, PaymentException};
use coursegate::store::{PageRequest, Queries};
use coursegate::{EnrollmentId, PayLinkId, PaymentReference};

use crate::scene::{
    DAY, begin, bought, bursary, by, card, full, last_day, leave, limited, live, offer, pay, queue,
    transfer,
};
use crate::support::{World, admin, body, config, learner};

async fn allocation(
    world: &World,
    id: EnrollmentId,
    reference: &PaymentReference,
) -> Option<Allocation> {
    let case = world.case(id).await;
    let attempt = case.attempt(Some(reference.as_str()), None).unwrap();
    attempt.payment.map(|payment| payment.allocation)
}

async fn status(world: &World, id: EnrollmentId) -> Status {
    world.case(id).await.enrollment.status
}

/// Pays while the provider is away, until its callback is given up on and a person is asked.
async fn given_up(world: &World, link: &PayLinkId) {
    world.simulator.pay(link, Choice::Card).unwrap();
    world.simulator.set_down(true);
    world.deliver().await;
    for _ in 0..40 {
        world.advance(2 * 3_600);
        world.pass().await;
    }
}

/// The provider answers again.
async fn is_back(world: &World) {
    world.simulator.set_down(false);
    world.advance(3_600);
}

// 1. A no of the school that something forgets.

/// README: "`enroll` answers `NextStep::Ended` to somebody whose access the school ended; only the
/// school gives it again." A policy that turns their late money down "rejects the enrollment", at the
/// second look of the same return page, and whoever is rejected may enroll again.
#[tokio::test]
async fn a_policy_that_turns_late_money_down_does_not_take_back_that_the_school_ended_it() {
    let policy = |dossier: &ApprovalContext<'_>| match dossier.attempt.amount.minor() {
        90_000 => Decision::Refuse(RefuseReason::HostPolicy),
        _ => Decision::Approve(coursegate::reason::ApprovalCause::AutomaticCardPayment),
    };
    let world = World::with(Settings::new(1), config(), |builder| builder.policy(policy));
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(365))).await;
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "cheated").await.unwrap();
    pay(&world, &link).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    let shut = status(&world, id).await;
    desk.refunds().record(&reference, "R-1").await.unwrap();
    let again = world.ask(offer(100, limited(365))).await;
    assert_eq!(again.next, NextStep::Ended, "it was {shut:?}");
}

/// `reject`: "Access that the learner has stands: then only what came beside it is turned down." It
/// is turned down until the provider is back, which makes the money count at once. A no to a first
/// purchase in the same place makes it late money.
#[tokio::test]
async fn a_no_to_unproven_money_for_more_is_not_forgotten_when_it_is_proven() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(365))).await;
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    given_up(&world, &link).await;
    assert_eq!(queue(&world).await, [id]);
    desk.approvals()
        .reject(id, "paid with a stolen card")
        .await
        .unwrap();
    is_back(&world).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert_ne!(
        allocation(&world, id, &reference).await,
        Some(Allocation::Applied)
    );
}

/// `Case::withdraw`: "Leaving undoes nothing that the school did." It takes the held money out of the
/// queue, where the learner's card goes on to say that the school checks it; `reject` is refused, and
/// the learner cannot come back to it ("Enroll again" is answered with `Ended`).
#[tokio::test]
async fn who_was_thrown_out_does_not_take_their_money_out_of_sight_by_leaving() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(365))).await;
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    let grant = world.case(id).await.grants[0].id;
    desk.learners().revoke(grant, "cheated").await.unwrap();
    pay(&world, &link).await;
    assert_eq!(queue(&world).await, [id]);
    leave(&world).await;
    let (shown, waiting) = (card(&world).await, queue(&world).await);
    assert!(
        shown.reason != "late_payment" || waiting == [id],
        "told {:?}, and nobody is asked; a no is {:?}",
        shown.message,
        desk.approvals().reject(id, "no").await
    );
}

// 2. What a learner wishes again.

/// README: whoever left may enroll again. One who does while late money of theirs waits is told to
/// wait, and stays one who left: once the money is given back they are told that they left, and an
/// approval is refused since "they have to enroll again first". In the other order they have.
#[tokio::test]
async fn who_comes_back_to_their_money_has_come_back_whichever_was_first() {
    let mut ends = Vec::new();
    for leaves_first in [false, true] {
        let world = World::new();
        let desk = world.registrar.admin(admin());
        let course = || by(PaymentMethod::InstantEft, 500, full(365));
        let (id, reference, link) = begin(&world, course()).await;
        if leaves_first {
            leave(&world).await;
        }
        world.pay(&link, Choice::InstantEft).await;
        if !leaves_first {
            leave(&world).await;
        }
        let again = world.ask(course()).await;
        assert!(matches!(again.next, NextStep::Wait(_)), "{:?}", again.next);
        desk.refunds().record(&reference, "R-1").await.unwrap();
        ends.push((
            status(&world, id).await,
            desk.approvals().approve(id, "").await.is_ok(),
        ));
    }
    assert_eq!(ends[0], ends[1], "they asked for the course last");
}

/// A learner who is sent to pay by an attempt that there is has asked anew, too: "what closed the
/// enrollment before is over". It is not written down when nothing else about the offer changed.
#[tokio::test]
async fn who_goes_on_with_a_transfer_has_asked_anew() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, cheap, link) = begin(&world, offer(100, limited(365))).await;
    let (_, _, other) = begin(&world, offer(300, limited(900))).await;
    let (id, asked) = transfer(&world, 900, AccessTerms::default()).await;
    pay(&world, &link).await;
    desk.refunds().record(&cheap, "R-1").await.unwrap();
    let again = world
        .ask(by(PaymentMethod::BankTransfer, 900, AccessTerms::default()))
        .await;
    let NextStep::Transfer { reference, .. } = again.next else {
        panic!("{:?}", again.next)
    };
    assert_eq!(reference, asked);
    assert_eq!(world.case(id).await.enrollment.closed, None);
    assert_eq!(pay(&world, &other).await, Outcome::Approved);
}

// 3. Unproven money that a person approves.

/// README: "A renewal begins when the access they have ends." One whose money is told of and not
/// proven begins on the day it is approved: R 200 are paid for 60 days, and access ends after 33.
#[tokio::test]
async fn an_unproven_renewal_that_is_approved_follows_what_there_is() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, full(30))).await;
    let (id, _, link) = begin(&world, offer(100, full(30)).renew()).await;
    given_up(&world, &link).await;
    assert_eq!(queue(&world).await, [id]);
    desk.approvals()
        .approve(id, "seen in the dashboard")
        .await
        .unwrap();
    assert_eq!(last_day(&world.case(id).await), 60);
}

/// "One grant per payment." When the money of such a renewal is proven, it buys the month once more.
#[tokio::test]
async fn a_renewal_that_was_approved_unproven_is_not_given_again_when_it_is_proven() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, full(30))).await;
    let (id, reference, link) = begin(&world, offer(100, full(30)).renew()).await;
    given_up(&world, &link).await;
    desk.approvals()
        .approve(id, "seen in the dashboard")
        .await
        .unwrap();
    is_back(&world).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    let case = world.case(id).await;
    assert_eq!((last_day(&case), live(&case).len()), (60, 2));
}

/// The same for what is bought again, knowingly.
#[tokio::test]
async fn what_was_bought_again_and_approved_unproven_is_given_once() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(900, AccessTerms::default())).await;
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default()).buy_again()).await;
    given_up(&world, &link).await;
    desk.approvals()
        .approve(id, "seen in the dashboard")
        .await
        .unwrap();
    is_back(&world).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert_eq!(live(&world.case(id).await).len(), 2, "two were paid");
}

/// `Draft::hold`: "A person approved ahead of the money; this is the money." For more than a learner
/// has they approved it, too, and are asked a second time.
#[tokio::test]
async fn an_upgrade_that_was_approved_unproven_is_not_put_before_a_person_again() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(365))).await;
    let (id, reference, link) = begin(
        &world,
        by(PaymentMethod::InstantEft, 900, AccessTerms::default()),
    )
    .await;
    given_up(&world, &link).await;
    desk.approvals()
        .approve(id, "seen in the dashboard")
        .await
        .unwrap();
    is_back(&world).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(
        queue(&world).await.is_empty(),
        "{:?}",
        allocation(&world, id, &reference).await
    );
}

/// A callback that was given up on can be replayed, and given up on again. What it tells of was
/// approved, and is approved once more: a second grant for one payment, of which a refund, or a
/// revocation, ends one.
#[tokio::test]
async fn what_was_approved_unproven_is_not_put_before_a_person_again_by_a_replay() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.simulator.set_down(true);
    let delivery = world.deliver().await.remove(0).delivery.unwrap();
    for replayed in [false, true] {
        if replayed {
            desk.operations().replay(&delivery).await.unwrap();
        }
        for _ in 0..40 {
            world.advance(2 * 3_600);
            world.pass().await;
        }
        desk.approvals()
            .approve(id, "seen in the dashboard")
            .await
            .unwrap();
    }
    assert_eq!(live(&world.case(id).await).len(), 1);
}

/// README: the first signature "is for one attempt, its price, terms, money and evidence, and is
/// dropped when any of these changes". Of unproven money beside access the evidence is not looked at:
/// the first signed that the provider is away, the second that the money is another attempt's.
#[tokio::test]
async fn a_signature_for_unproven_money_is_for_what_was_known_of_it() {
    let mut settings = config();
    settings.rules.dual_approval_above = Some(50_000);
    let world = World::with(Settings::new(1), settings, |builder| builder);
    bought(&world, offer(100, limited(365))).await;
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    given_up(&world, &link).await;
    let desk = world.registrar.admin(admin());
    desk.approvals()
        .approve(id, "seen in the dashboard")
        .await
        .unwrap();
    assert!(world.case(id).await.enrollment.first_approval.is_some());
    is_back(&world).await;
    let other = body(link.as_str(), "SUCCESS", "CG-SOMEBODYELSE");
    let receipt = world.receive(&other).await;
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::WrongAttempt));
    assert_eq!(world.case(id).await.enrollment.first_approval, None);
}

// 4. Unproven money of which more becomes known.

/// `ExceptionAction::RefundDue`: "the enrollment waits for nobody because of it." One that waited
/// because the money was not proven waits on when it is proven and goes back; nobody but a person
/// ends that, and the learner is told that they need not pay again.
#[tokio::test]
async fn nothing_waits_for_unproven_money_that_turns_out_to_go_back() {
    let mut settings = config();
    settings.rules.money.underpayment = ExceptionAction::RefundDue;
    let short = Settings::new(1).fault(Fault::ShortAmount, 1.0);
    let world = World::with(short, settings, |builder| builder);
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    given_up(&world, &link).await;
    assert_eq!(
        status(&world, id).await,
        Status::AwaitingApproval {
            reason: HoldReason::Unconfirmed
        }
    );
    is_back(&world).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    assert_eq!(
        allocation(&world, id, &reference).await,
        Some(Allocation::RefundDue(HoldReason::Underpayment))
    );
    let shown = card(&world).await;
    assert!(
        queue(&world).await.is_empty() && shown.action == CardAction::Pay,
        "told {:?}",
        shown.message
    );
}

/// Invariant: nobody is asked to pay while money of theirs waits. `enroll` says so; the card does not,
/// beside access that is suspended.
#[tokio::test]
async fn the_card_asks_nobody_to_pay_whose_unproven_money_waits() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, first, _) = bought(&world, offer(900, AccessTerms::default())).await;
    desk.refunds()
        .record_reversal(&first, Reversal::ChargedBack, "1")
        .await
        .unwrap();
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    given_up(&world, &link).await;
    assert_eq!(queue(&world).await, [id]);
    let told = world.ask(offer(900, AccessTerms::default())).await.next;
    assert_eq!(told, NextStep::Wait(HoldReason::Unconfirmed));
    let shown = card(&world).await;
    assert_eq!(shown.action, CardAction::Wait, "{:?}", shown.message);
}

// 5. In which order things are heard.

/// `enrollment`: "neither the order of deliveries nor their repetition can matter". A callback came
/// in time, and the provider was away. Whether the return page or the worker asks first decides if
/// the money counts or goes back, for good.
#[tokio::test]
async fn money_told_of_in_time_counts_whoever_asks_about_it_first() {
    let mut outcomes = Vec::new();
    for page_first in [false, true] {
        let mut settings = config();
        settings.rules.money.late = ExceptionAction::RefundDue;
        settings.rules.reconciliation = coursegate::enrollment::SyncSchedule::never();
        let world = World::with(Settings::new(1), settings, |builder| builder);
        bought(&world, offer(100, limited(365))).await;
        let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
        world.advance(7 * DAY - 3_600);
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.set_down(true);
        world.deliver().await;
        world.advance(2 * 3_600);
        world.simulator.set_down(false);
        if page_first {
            world.registrar.refresh_payment(&reference).await.unwrap();
        }
        for _ in 0..5 {
            world.advance(600);
            world.pass().await;
        }
        outcomes.push(allocation(&world, id, &reference).await);
    }
    assert_eq!(outcomes[0], outcomes[1]);
}

/// README: "callbacks that could not be decided .. given up on after 12 tries, and put before a
/// person". The callback came within minutes; that its provider was away for a week makes the money
/// late, and by a house rule it goes back while the person looks at it.
#[tokio::test]
async fn money_that_a_person_was_asked_about_in_time_is_not_late() {
    let mut settings = config();
    settings.rules.money.late = ExceptionAction::RefundDue;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (id, reference, link) = begin(&world, offer(900, AccessTerms::default())).await;
    given_up(&world, &link).await;
    world.advance(5 * DAY);
    is_back(&world).await;
    world.registrar.refresh_payment(&reference).await.unwrap();
    let now = allocation(&world, id, &reference).await;
    assert!(!matches!(now, Some(Allocation::RefundDue(_))), "{now:?}");
}

// 6. Bank transfers that are gone on with.

/// `enroll` tells the learner where to pay R 900, and the worker gives the transfer up a moment later:
/// its time is counted from when it was begun, though a later offer keeps it from being stale. Its
/// money is then suggested for no row of a statement.
#[tokio::test]
async fn a_transfer_that_is_gone_on_with_is_waited_for() {
    let world = World::new();
    let more = |method| by(method, 900, AccessTerms::default());
    bought(&world, offer(100, limited(365))).await;
    let (id, asked) = transfer(&world, 900, AccessTerms::default()).await;
    world.advance(20 * DAY);
    begin(&world, more(PaymentMethod::Card)).await;
    world.advance(11 * DAY);
    world.pass().await;
    let again = world.ask(more(PaymentMethod::BankTransfer)).await;
    assert!(matches!(again.next, NextStep::Transfer { .. }));
    world.pass().await;
    assert_eq!(queue(&world).await, [id], "{asked:?} is not waited for");
}

/// "What the learner asked for last" is the transfer. It is judged by when it was begun: after a
/// refund of other money nobody waits for it, though a new one would be waited for.
#[tokio::test]
async fn a_transfer_that_is_gone_on_with_is_what_was_asked_last() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _) = transfer(&world, 900, AccessTerms::default()).await;
    desk.approvals().reject(id, "nothing came").await.unwrap();
    let (_, card, link) = begin(&world, by(PaymentMethod::InstantEft, 500, full(365))).await;
    let (_, again) = transfer(&world, 900, AccessTerms::default()).await;
    world.pay(&link, Choice::InstantEft).await;
    desk.refunds().record(&card, "R-1").await.unwrap();
    let now = status(&world, id).await;
    let reason = HoldReason::BankTransfer;
    assert_eq!(now, Status::AwaitingApproval { reason }, "{again:?}");
}

/// "A provisional grant lives exactly as long as the bank transfer waits." Money that the enrollment
/// did not wait for goes back, and the learner is locked out although their transfer waits on.
#[tokio::test]
async fn a_refund_of_other_money_does_not_take_what_is_lent_for_a_transfer() {
    let mut settings = config();
    settings.rules.money.underpayment = ExceptionAction::RefundDue;
    settings.rules.provisional = Some(AccessTerms::lasting(Duration::from_secs(3 * DAY)));
    let short = Settings::new(1).fault(Fault::ShortAmount, 1.0);
    let world = World::with(short, settings, |builder| builder);
    let desk = world.registrar.admin(admin());
    let (_, other, link) = begin(&world, offer(900, AccessTerms::default())).await;
    pay(&world, &link).await;
    let (id, _) = transfer(&world, 900, AccessTerms::default()).await;
    assert!(world.may_enter("thandi").await);
    desk.refunds().record(&other, "R-1").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    assert!(world.may_enter("thandi").await, "the transfer waits on");
}

// 7. Disputes.

/// README: "duplicate: paid again .. refund due". A dispute about the other payment puts it before a
/// person, rightly; when that is won it is a duplicate again, and is neither in the queue nor to be
/// given back: `reject` is refused, and `approve` has nothing to do.
#[tokio::test]
async fn a_duplicate_goes_back_again_when_the_dispute_about_the_other_payment_is_won() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, _, link) = begin(&world, offer(800, AccessTerms::default())).await;
    let (id, first, _) = bought(&world, offer(700, AccessTerms::default())).await;
    pay(&world, &link).await;
    let second = world.case(id).await.attempts[0].reference.clone();
    let due = Some(Allocation::RefundDue(HoldReason::DuplicatePayment));
    assert_eq!(allocation(&world, id, &second).await, due);
    desk.refunds()
        .record_reversal(&first, Reversal::ChargedBack, "1")
        .await
        .unwrap();
    desk.refunds()
        .record_reinstatement(&first, "2")
        .await
        .unwrap();
    assert!(queue(&world).await.is_empty());
    assert_eq!(allocation(&world, id, &second).await, due);
}

/// README: "`desk.payment_exceptions(..)` lists all of it." An EFT that waits beside access buys nothing
/// any more when a bursary comes, and is listed to be given back: until something else waits, whose
/// approval is what the queue shows. From then on it is in no list at all.
#[tokio::test]
async fn held_money_that_buys_nothing_now_stays_in_sight_while_something_else_waits() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(30))).await;
    let (id, eft, link) = begin(&world, by(PaymentMethod::InstantEft, 900, full(365))).await;
    world.pay(&link, Choice::InstantEft).await;
    desk.learners()
        .grant(bursary(full(400)), "a bursary")
        .await
        .unwrap();
    let listed = async || {
        let page = desk
            .payments()
            .exceptions(PageRequest::first(10))
            .await
            .unwrap();
        page.items.iter().any(|it| match it {
            PaymentException::Payment(it) => it.attempt.reference == eft,
            _ => false,
        })
    };
    assert!(queue(&world).await.is_empty() && listed().await);
    let renewal = by(PaymentMethod::BankTransfer, 100, full(30)).renew();
    let NextStep::Transfer { .. } = world.ask(renewal).await.next else {
        panic!("no transfer")
    };
    assert_eq!(queue(&world).await, [id]);
    let case = world.case(id).await;
    let shown = case.enrollment.waits_on.as_ref() == Some(&eft);
    assert!(shown || listed().await, "R 900 are in no list");
}

// 8. Who was erased.

/// "Its learner was erased: nobody is left who could be let in." No person is asked: a link for more
/// that is paid soon after the access ended lets a pseudonym in, and R 900 count.
#[tokio::test]
async fn money_for_more_lets_nobody_in_who_was_erased() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    bought(&world, offer(100, limited(30))).await;
    world.advance(29 * DAY);
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    world.advance(2 * DAY);
    world.pass().await;
    desk.learners().erase(&learner("thandi")).await.unwrap();
    let outcome = pay(&world, &link).await;
    assert!(
        matches!(outcome, Outcome::Held(_)),
        "{outcome:?}: {:?}",
        status(&world, id).await
    );
}

/// `is_over`: "no money of it waits for a person". The provider has it, and said so; it is put before
/// a person, and after the learner left and was erased nobody knows whose it is.
#[tokio::test]
async fn nobody_is_erased_whose_unproven_money_waits() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    given_up(&world, &link).await;
    assert_eq!(queue(&world).await, [id]);
    leave(&world).await;
    let erased = desk.learners().erase(&learner("thandi")).await;
    assert!(erased.is_err(), "{erased:?}");
}

// 9. What people are told.

/// "The admins' stream begins with the queue and then tells what happens to it." Of two payments that
/// wait one is approved: the stream says that the enrollment is decided, and never that the other,
/// for the same reason, waits on. Nor is there a notice.
#[tokio::test]
async fn what_waits_on_after_an_approval_is_told() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let only = |kind| AccessTerms {
        kinds: ResourceKinds::only([kind]),
        ..full(40)
    };
    let eft = |kind| by(PaymentMethod::InstantEft, 60, only(kind));
    let (_, _, one) = begin(&world, eft(ResourceKind::Lesson)).await;
    let (id, _, two) = begin(&world, eft(ResourceKind::Quiz)).await;
    for link in [&one, &two] {
        world.pay(link, Choice::InstantEft).await;
    }
    desk.approvals().approve(id, "").await.unwrap();
    assert_eq!(queue(&world).await, [id]);
    let events = world.store.timeline(id).await.unwrap();
    let told = events.iter().rev().find_map(|it| match &it.kind {
        EventKind::EnrollmentMoved { to, .. } => {
            Some(matches!(to, Status::AwaitingApproval { .. }))
        }
        EventKind::ReviewChanged { reason } => Some(reason.is_some()),
        _ => None,
    });
    assert_eq!(told, Some(true), "the last that is told: it waits");
}

/// A notice says "An enrollment was rejected", to the learner too, with the reason of weeks ago: each
/// time that late money of somebody who was rejected is given back; and even while other money of
/// theirs is being looked at.
#[tokio::test]
async fn who_was_rejected_is_told_so_once() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let (_, first, one) = begin(&world, offer(900, AccessTerms::default())).await;
    let (id, ..) = begin(&world, offer(500, full(365))).await;
    desk.approvals()
        .reject(id, "not a student of ours")
        .await
        .unwrap();
    pay(&world, &one).await;
    desk.refunds().record(&first, "R-1").await.unwrap();
    let events = world.store.timeline(id).await.unwrap();
    let kinds = events.iter().filter_map(|it| it.kind.notice());
    assert_eq!(kinds.filter(|it| *it == NoticeKind::Rejected).count(), 1);
}

/// "What the admin is shown is what they approve", whatever comes between their look and their click.
#[tokio::test]
async fn nothing_is_approved_that_came_after_the_page_was_shown() {
    let world = World::new();
    let desk = world.registrar.admin(admin());
    let eft = |rand, terms| by(PaymentMethod::InstantEft, rand, terms);
    let (_, small, one) = begin(&world, eft(10, limited(1))).await;
    let (id, large, other) = begin(&world, eft(5_000, AccessTerms::default())).await;
    world.pay(&one, Choice::InstantEft).await;
    let shown = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap()
        .items;
    let shown = shown[0].enrollment.clone();
    assert_eq!(shown.waits_on, Some(small));
    world.pay(&other, Choice::InstantEft).await;
    let refused = desk
        .approvals()
        .approve_shown(id, shown.version, "")
        .await
        .unwrap_err();
    assert_eq!(refused, Error::Refused(CaseError::ChangedSince));
    assert!(!world.may_enter("thandi").await);
    let now = world.case(id).await.enrollment;
    assert_eq!(now.waits_on, Some(large));
    desk.approvals()
        .approve_shown(id, now.version, "")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
}
