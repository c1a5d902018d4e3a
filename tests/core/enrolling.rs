use std::collections::HashSet;

use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::Status;
use coursegate::payment::PaymentMethod;
use coursegate::port::SystemClock;
use coursegate::registrar::NextStep;
use coursegate::{
    CourseId, Email, Error, ErrorKind, IdError, LearnerId, Money, MoneyError, Secret,
};

use coursegate::reason::WithdrawReason;

use crate::support::{World, carrying, config, course, learner, request, withdrawn};

#[tokio::test]
async fn a_double_click_gives_the_same_enrollment_and_pay_link() {
    let world = World::new();
    let first = world.enroll("thandi", PaymentMethod::Card).await;
    let second = world.enroll("thandi", PaymentMethod::Card).await;
    assert_eq!(first, second);
    assert_eq!(world.case(first.enrollment).await.attempts.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clicks_at_once_give_one_enrollment() {
    // A click that finds another one asking for the link waits for it: time has to pass.
    let world = World::with(Settings::new(1), config(), |builder| {
        builder.clock(SystemClock)
    });
    let clicks: Vec<_> = (0..64)
        .map(|_| {
            let registrar = world.registrar.clone();
            tokio::spawn(async move {
                registrar
                    .enroll(request("thandi", PaymentMethod::Card))
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut enrollments = HashSet::new();
    for click in clicks {
        let enrolled = click.await.unwrap();
        assert!(matches!(enrolled.next, NextStep::Pay { .. }));
        enrollments.insert(enrolled.enrollment);
    }
    assert_eq!(enrollments.len(), 1);
}

#[tokio::test]
async fn the_pay_link_carries_price_reference_and_pages() {
    let world = World::new();
    let (_, reference, _) = world.attempt("thandi", PaymentMethod::Card).await;
    assert!(reference.as_str().starts_with("CG-") && reference.as_str().len() == 15);
    let link = world
        .case(world.enroll("thandi", PaymentMethod::Card).await.enrollment)
        .await
        .attempts[0]
        .link
        .clone()
        .unwrap();
    let success = world.simulator.pay(&link.id, Choice::Card).unwrap();
    assert_eq!(success, format!("https://school.example/paid/{reference}"));
    assert!(
        world.simulator.report().is_empty(),
        "the provider had nothing to complain about"
    );
}

#[tokio::test]
async fn another_price_or_method_makes_a_new_attempt() {
    let world = World::new();
    let (enrollment, old, old_link) = world.attempt("thandi", PaymentMethod::Card).await;
    let mut cheaper = request("thandi", PaymentMethod::Card);
    cheaper.price = Money::zar(29_900).unwrap();
    world.ask(cheaper).await;
    let case = world.case(enrollment).await;
    assert_eq!(
        (case.attempts.len(), case.enrollment.price.minor()),
        (2, 29_900)
    );

    // The old offer was made, and is honoured when it is paid in full.
    world.pay(&old_link, Choice::Card).await;
    assert_eq!(carrying(&world.case(enrollment).await), [old]);
}

#[tokio::test]
async fn access_that_ran_out_can_be_bought_again() {
    let world = World::new();
    let day = AccessTerms::lasting(std::time::Duration::from_secs(86_400));
    let enrolled = world
        .ask(request("thandi", PaymentMethod::Card).terms(day.clone()))
        .await;
    let link = world.case(enrolled.enrollment).await.attempts[0]
        .link
        .clone()
        .unwrap()
        .id;
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter("thandi").await);
    world.advance(86_400);
    assert!(!world.may_enter("thandi").await);

    let again = world
        .ask(request("thandi", PaymentMethod::Card).terms(day))
        .await;
    assert_eq!(
        (again.enrollment, again.status),
        (enrolled.enrollment, Status::AwaitingPayment)
    );
    let link = world.case(again.enrollment).await.attempts[1]
        .link
        .clone()
        .unwrap()
        .id;
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter("thandi").await);
    assert_eq!(world.case(again.enrollment).await.grants.len(), 2);
}

#[tokio::test]
async fn leaving_ends_access_and_enrolling_again_reopens() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let status = world
        .registrar
        .withdraw(&learner("thandi"), &course())
        .await
        .unwrap();
    assert_eq!(status, withdrawn(WithdrawReason::Left));
    assert!(!world.may_enter("thandi").await);
    let again = world.enroll("thandi", PaymentMethod::Card).await;
    assert_eq!(
        (again.enrollment, again.status),
        (enrollment, Status::AwaitingPayment)
    );
}

#[tokio::test]
async fn what_is_not_sold_is_refused() {
    let world = World::with(Default::default(), config(), |builder| {
        builder.courses(|course: &CourseId| course.as_str() == "rust-102")
    });
    let error = world
        .registrar
        .enroll(request("thandi", PaymentMethod::Card))
        .await
        .unwrap_err();
    assert_eq!(
        (error.clone(), error.kind()),
        (Error::UnknownCourse(course()), ErrorKind::Invalid)
    );

    let mut no_bank = config();
    no_bank.bank = None;
    let world = World::with(Default::default(), no_bank, |builder| builder);
    assert_eq!(
        world
            .registrar
            .enroll(request("thandi", PaymentMethod::BankTransfer))
            .await,
        Err(Error::NoBank)
    );
}

#[test]
fn sums_that_cannot_be_are_refused() {
    assert_eq!(Money::zar(0), Err(MoneyError::Zero));
    assert_eq!(Money::zar(-1), Err(MoneyError::Negative));
    assert_eq!(Money::zar(i64::MAX), Err(MoneyError::TooLarge));
    assert_eq!(Money::zar(49_905).unwrap().to_string(), "ZAR 499.05");
}

#[test]
fn names_that_cannot_be_are_refused() {
    assert!(matches!(LearnerId::new(""), Err(IdError::Empty { .. })));
    assert!(matches!(
        LearnerId::new(" padded "),
        Err(IdError::Padded { .. })
    ));
    assert!(matches!(
        LearnerId::new("line\nbreak"),
        Err(IdError::BadCharacter { at: 4, .. })
    ));
    assert!(matches!(
        CourseId::new("right\u{202e}left"),
        Err(IdError::BadCharacter { .. })
    ));
    assert!(matches!(
        CourseId::new("x".repeat(129)),
        Err(IdError::TooLong { .. })
    ));
    assert!(matches!(Email::new("nobody"), Err(IdError::NotAnEmail)));
    assert!(Secret::new(" \u{feff}\n").is_err());
}
