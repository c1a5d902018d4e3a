use coursegate::adapter::simulator::Choice;
use coursegate::enrollment::Status;
use coursegate::event::{Actor, Source};
use coursegate::evidence::EvidenceLevel;
use coursegate::payment::{AttemptStatus, PaymentMethod};
use coursegate::reason::ApprovalCause;
use coursegate::registrar::{NextStep, Outcome};
use coursegate::store::Queries;

use crate::support::{World, carrying, visitor};

#[tokio::test]
async fn a_paid_card_gives_access_at_once() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    assert!(!world.may_enter("thandi").await);

    let receipts = world.pay(&link, Choice::Card).await;

    assert_eq!(receipts.len(), 1);
    let receipt = &receipts[0];
    assert_eq!(
        (receipt.outcome.clone(), receipt.http_status()),
        (Outcome::Approved, 200)
    );
    assert_eq!(receipt.enrollment, Some(enrollment));
    assert_eq!(receipt.key.as_deref(), Some("primary"));
    assert!(receipt.access_granted);
    assert!(receipt.timings.total >= receipt.timings.security);
    assert!(world.may_enter("thandi").await);
    assert!(!world.may_enter("sipho").await);

    let case = world.case(enrollment).await;
    assert_eq!(
        case.enrollment.status,
        Status::Approved {
            cause: ApprovalCause::AutomaticDeclaredCard
        }
    );
    assert_eq!(carrying(&case), [reference]);
    assert_eq!(case.attempts[0].status, AttemptStatus::Paid);
    assert_eq!(
        case.attempts[0].payment.unwrap().evidence_level,
        EvidenceLevel::Confirmed
    );
}

#[tokio::test]
async fn the_history_says_who_what_why_and_by_which_way() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;

    let history = world.store.timeline(enrollment).await.unwrap();
    let events: Vec<&str> = history.iter().map(|event| event.kind.name()).collect();
    assert_eq!(
        events,
        [
            "enrollment_created",
            "payment_started",
            "payment_updated",
            "enrollment_updated",
            "payment_completed",
            "course_access_granted",
        ]
    );
    let approval = &history[3];
    assert_eq!(approval.who, Actor::SystemCardPayment);
    assert_eq!(approval.source, Source::WebhookCardPayment);
    let basis = history[4].basis.as_ref().unwrap();
    assert_eq!(basis.evidence.evidence_level, EvidenceLevel::Confirmed);
    assert!(basis.detection.confidence.value() >= 0.80);
    assert_eq!(basis.checks.checks().len(), 8);
    assert!(history.is_sorted_by_key(|event| (event.version, event.id)));
}

#[tokio::test]
async fn what_was_committed_is_published_once_and_in_order() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.publisher.set_down(true);
    world.pay(&link, Choice::Card).await;
    assert_eq!(world.pass().await.published, 0);

    world.publisher.set_down(false);
    world.advance(2);
    world.pass().await;
    world.pass().await;
    assert_eq!(
        world.publisher.published(),
        world.store.timeline(enrollment).await.unwrap()
    );
}

#[tokio::test]
async fn a_declined_card_can_be_tried_again_on_the_same_link_or_a_new_one() {
    let world = World::new();
    let (enrollment, first, old_link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipts = world.pay(&old_link, Choice::Decline).await;
    assert_eq!(receipts[0].outcome, Outcome::Failed);
    let card = world
        .registrar
        .learner_card(Some(&visitor("thandi")), &crate::support::course())
        .await;
    assert_eq!(card.unwrap().text.as_str(), "Retry payment");

    let (again, second, new_link) = world.attempt("thandi", PaymentMethod::Card).await;
    assert_eq!(again, enrollment);
    assert_ne!(second, first);
    assert_ne!(new_link, old_link);

    // The learner goes back to the old tab: the old link still counts.
    let receipts = world.pay(&old_link, Choice::Card).await;
    assert_eq!(receipts[0].outcome, Outcome::Approved);
    assert_eq!(carrying(&world.case(enrollment).await), [first]);
    assert!(world.may_enter("thandi").await);
    assert_eq!(
        world.enroll("thandi", PaymentMethod::Card).await.next,
        NextStep::Open { until: None }
    );
}

#[tokio::test]
async fn a_late_failure_never_lowers_what_was_paid() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let late = crate::support::body(link.as_str(), "FAILURE", reference.as_str());
    let receipt = world.receive(&late).await;
    assert_eq!(receipt.outcome, Outcome::NoEffect);
    assert_eq!(
        world.case(enrollment).await.attempts[0].status,
        AttemptStatus::Paid
    );
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn the_return_page_confirms_when_the_callback_is_lost() {
    let world = World::new();
    let (enrollment, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;

    let visited = world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(!visited.paid, "visiting the page proves nothing");
    assert!(!world.may_enter("thandi").await);

    world.simulator.pay(&link, Choice::Card).unwrap();
    drop(world.simulator.take_callbacks());
    // An answer to a visitor may be two seconds old.
    world.advance(3);
    let confirmed = world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(confirmed.paid && confirmed.access_granted);
    assert_eq!(confirmed.enrollment, enrollment);
    assert!(world.may_enter("thandi").await);

    let again = world.registrar.refresh_payment(&reference).await.unwrap();
    assert!(again.paid && !again.access_granted);
    assert_eq!(world.case(enrollment).await.grants.len(), 1);
}
