//! Faults of callbacks and of what a status says.

use coursegate::adapter::simulator::{Choice, Fault, Settings};
use coursegate::payment::PaymentMethod;
use coursegate::reason::HoldReason;
use coursegate::registrar::{Outcome, Receipt};
use coursegate::store::{InboxFilter, PageRequest, Queries};
use coursegate::webhook::SignedForm;

use crate::support::{World, config};

async fn with_fault(fault: Fault) -> (World, Vec<Receipt>) {
    let world = World::with(Settings::new(7).fault(fault, 1.0), config(), |builder| {
        builder
    });
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipts = world.pay(&link, Choice::Card).await;
    (world, receipts)
}

fn outcomes(receipts: &[Receipt]) -> Vec<&'static str> {
    receipts
        .iter()
        .map(|receipt| receipt.outcome.as_str())
        .collect()
}

#[tokio::test]
async fn each_fault_does_what_it_says_and_money_and_access_agree_in_the_end() {
    let cases = [
        (Fault::Lost, vec![], false),
        (Fault::Duplicate, vec!["approved", "duplicate"], true),
        (Fault::Delayed, vec![], false),
        (Fault::Reordered, vec!["approved"], true),
        (Fault::Forged, vec!["refused", "approved"], true),
        (Fault::ExtraText, vec!["approved"], true),
        (Fault::ExtraField, vec!["approved"], true),
        (Fault::UnknownStatus, vec!["not_final"], false),
        (Fault::WrongReference, vec!["held"], false),
        (Fault::NotJson, vec!["unreadable"], false),
        (Fault::WrongAmount, vec!["held"], false),
        (Fault::LaggingStatus, vec!["waiting"], false),
    ];
    for (fault, expected, enters) in cases {
        let (world, receipts) = with_fault(fault).await;
        assert_eq!(outcomes(&receipts), expected, "{fault}");
        assert_eq!(world.may_enter("thandi").await, enters, "{fault}");
        assert!(receipts.iter().all(|receipt| receipt.http_status() < 500));
        // Late callbacks come, the worker works, the learner returns.
        world.advance(60);
        world.deliver().await;
        world.pass().await;
        let enrollment = world.enroll("thandi", PaymentMethod::Card).await.enrollment;
        let reference = world.case(enrollment).await.attempts[0].reference.clone();
        world.registrar.refresh_payment(&reference).await.unwrap();
        let held = matches!(fault, Fault::WrongAmount);
        assert_eq!(world.may_enter("thandi").await, !held, "{fault}");
    }
}

#[tokio::test]
async fn a_field_that_is_not_signed_is_found_by_the_canonical_form() {
    let (_, receipts) = with_fault(Fault::ExtraText).await;
    assert_eq!(receipts[0].form, Some(SignedForm::Canonical));
}

#[tokio::test]
async fn a_wrong_reference_is_held_with_an_error_or_parked() {
    let (world, receipts) = with_fault(Fault::WrongReference).await;
    // The pay link is ours, the reference is not.
    assert_eq!(receipts[0].outcome, Outcome::Held(HoldReason::WrongAttempt));
    assert!(
        world
            .store
            .inbox(InboxFilter::Parked, PageRequest::first(1))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let run = async |seed| {
        let settings = Settings::new(seed)
            .fault(Fault::Lost, 0.3)
            .fault(Fault::Duplicate, 0.3)
            .fault(Fault::Reordered, 0.5);
        let world = World::with(settings, config(), |builder| builder);
        let mut seen = Vec::new();
        for number in 0..20 {
            let (_, _, link) = world
                .attempt(&format!("learner-{number}"), PaymentMethod::Card)
                .await;
            seen.push((
                link.as_str().to_owned(),
                outcomes(&world.pay(&link, Choice::Card).await),
            ));
        }
        seen
    };
    assert_eq!(run(5).await, run(5).await);
    assert_ne!(run(5).await, run(6).await);
}

#[tokio::test]
async fn a_rich_payload_tells_the_method() {
    let mut settings = Settings::new(1);
    settings.rich = true;
    let world = World::with(settings, config(), |builder| builder);
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Unknown).await;
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Approved
    );
    let (_, _, link) = world.attempt("sipho", PaymentMethod::Unknown).await;
    assert_eq!(
        world.pay(&link, Choice::InstantEft).await[0].outcome,
        Outcome::Held(HoldReason::InstantEft)
    );
}
