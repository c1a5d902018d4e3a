//! What learners see of a provider whose answers go wrong, and where their money ends up.

use std::time::Duration;

use coursegate::adapter::simulator::{
    Call, Choice, Fault, Injection, Settings, SimulatorGateway, UnknownAnswer,
};
use coursegate::payment::{PaymentMethod, ProviderStatus};
use coursegate::port::{GatewayError, PaymentGateway, StatusQuery};
use coursegate::registrar::{Circuit, Enrolled, NextStep, Outcome};
use coursegate::store::PageRequest;
use coursegate::{Error, ErrorKind, PayLinkId, PaymentReference};

use crate::support::{World, admin, config, request};

fn once(fault: Fault, call: Call) -> Injection {
    Injection::new(fault).on(call).times(1)
}

/// Enrolls, and lets time pass as long as that waits for somebody.
async fn enroll(world: &World) -> Result<Enrolled, Error> {
    let registrar = world.registrar.clone();
    let asked = tokio::spawn(async move {
        registrar
            .enroll(request("thandi", PaymentMethod::Card))
            .await
    });
    for _ in 0..1_000 {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        if asked.is_finished() {
            return asked.await.unwrap();
        }
        world.clock.advance(Duration::from_millis(100));
    }
    panic!("it waits for ever")
}

/// The reference and the id of the link that somebody is sent to.
fn shown(enrolled: Enrolled) -> (PaymentReference, PayLinkId) {
    let NextStep::Pay { reference, url } = enrolled.next else {
        panic!("nothing to pay: {:?}", enrolled.next)
    };
    (reference, url.rsplit('/').next().unwrap().parse().unwrap())
}

fn gateway(world: &World) -> SimulatorGateway {
    world.simulator.gateway()
}

const LOSSES: [(Fault, GatewayError); 3] = [
    (Fault::AnswerLost, GatewayError::Failed { status: 500 }),
    (Fault::AnswerTimeout, GatewayError::TimedOut),
    (Fault::AnswerCut, GatewayError::TimedOut),
];

/// Enrolls so that the link is made and its answer lost; gives the world, the enrollment and what
/// the provider has.
async fn lost(fault: Fault, expected: &GatewayError) -> (World, PaymentReference, PayLinkId) {
    let world = World::new();
    world.simulator.inject(once(fault, Call::Create));
    let error = enroll(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Provider, "{fault}");
    assert!(error.for_learner().contains("Nothing was paid"));
    let Error::NoPayLink { enrollment, source } = error else {
        panic!("{error:?}")
    };
    assert_eq!(&source, expected, "{fault}");
    let reference = world.case(enrollment).await.attempts[0].reference.clone();
    // It exists all the same, and is in the provider's list.
    let gateway = gateway(&world);
    let known = gateway.status(StatusQuery::Reference(&reference)).await;
    let link = known.unwrap().unwrap().pay_link.unwrap();
    let today = world.clock_now().date_naive();
    let listed = gateway.history(today, today).await.unwrap().payments;
    assert_eq!(listed.len(), 1, "{fault}");
    assert_eq!(listed[0].pay_link.as_ref(), Some(&link));
    (world, reference, link)
}

#[tokio::test]
async fn after_a_lost_answer_there_is_a_new_attempt_in_time_and_no_money_is_lost() {
    for (fault, expected) in LOSSES {
        let (world, first, lost_link) = lost(fault, &expected).await;
        // Somebody else may still be making that link.
        let error = enroll(&world).await.unwrap_err();
        assert!(error.for_learner().contains("try again in a minute"));
        world.advance(60);
        let (second, shown_link) = shown(enroll(&world).await.unwrap());
        assert_ne!((&first, &lost_link), (&second, &shown_link), "{fault}");
        // Each of the two may be paid; nobody pays the lost one, but if they do it counts.
        let receipt = world.pay(&lost_link, Choice::Card).await.remove(0);
        assert_eq!(receipt.outcome, Outcome::Approved, "{fault}");
        assert!(world.may_enter("thandi").await);
        // Paid twice is shown to a person, and access stays.
        world.advance(1);
        world.pay(&shown_link, Choice::Card).await;
        assert!(world.may_enter("thandi").await);
        let desk = world.registrar.admin(admin());
        let found = desk
            .payments()
            .exceptions(PageRequest::first(10))
            .await
            .unwrap();
        assert_eq!(
            found.items.len(),
            1,
            "{fault}: the second payment is in a queue"
        );
    }
}

#[tokio::test]
async fn a_lost_link_that_was_paid_opens_the_course_without_another_link() {
    for (fault, expected) in LOSSES {
        let (world, _, link) = lost(fault, &expected).await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.take_callbacks();
        world.advance(60);
        let next = enroll(&world).await.unwrap().next;
        assert!(matches!(next, NextStep::Open { .. }), "{fault}: {next:?}");
        assert!(world.may_enter("thandi").await);
        // And with nobody asking, the worker finds it.
        let (world, _, link) = lost(fault, &expected).await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.take_callbacks();
        for _ in 0..3 {
            world.advance(3600);
            world.pass().await;
        }
        assert!(world.may_enter("thandi").await, "{fault}");
    }
}

/// The link is not made, and the provider answers so about a reference that it does not know.
#[tokio::test]
async fn whatever_is_answered_about_an_unknown_reference_locks_nobody_out() {
    for unknown in UnknownAnswer::ALL {
        let mut settings = Settings::new(1);
        settings.unknown = *unknown;
        let world = World::with(settings, config(), |builder| builder);
        world
            .simulator
            .inject(once(Fault::ServerError, Call::Create));
        assert!(enroll(&world).await.is_err());
        world.advance(60);
        let next = enroll(&world).await.map(|enrolled| enrolled.next);
        assert!(
            matches!(next, Ok(NextStep::Pay { .. })),
            "{unknown}: {next:?}"
        );
        let nobodys = PayLinkId::new("nobodyslink0000").unwrap();
        let told = gateway(&world).status(StatusQuery::PayLink(&nobodys)).await;
        match unknown {
            UnknownAnswer::NotFound => assert_eq!(told, Ok(None)),
            UnknownAnswer::BadRequest => {
                assert!(matches!(told, Err(GatewayError::Refused { .. })));
            }
            _ => assert_eq!(told, Err(GatewayError::Unreadable), "{unknown}"),
        }
    }
}

#[tokio::test]
async fn too_many_requests_at_create_is_waited_out() {
    let world = World::new();
    let wait = Duration::from_secs(20);
    let busy = once(Fault::RateLimited, Call::Create).lasting(wait);
    world.simulator.inject(busy);
    let error = enroll(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Provider);
    assert!(error.for_learner().contains("try again in a minute"));
    let Error::NoPayLink { source, enrollment } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source, GatewayError::RateLimited { wait: Some(wait) });
    let until = world.clock_now() + chrono::Duration::seconds(20);
    let circuit = || world.registrar.provider_health().unwrap().circuit;
    assert_eq!(circuit(), Circuit::Open { until });
    let error = enroll(&world).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::NoPayLink {
                source: GatewayError::CircuitOpen { .. },
                ..
            }
        ),
        "{error:?}"
    );
    world.advance(60);
    let (_, link) = shown(enroll(&world).await.unwrap());
    // Nothing was made by the call that was turned away.
    assert_eq!(world.case(enrollment).await.attempts.len(), 1);
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn too_many_requests_at_a_status_leaves_the_payment_waiting() {
    let world = World::new();
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let busy = Injection::new(Fault::RateLimited).on(Call::Status);
    world
        .simulator
        .inject(busy.lasting(Duration::from_secs(120)));
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(
        (receipt.outcome.as_str(), receipt.http_status()),
        ("waiting", 200)
    );
    let until = world.clock_now() + chrono::Duration::seconds(120);
    let health = world.registrar.provider_health().unwrap();
    assert_eq!(
        (health.circuit, health.failed),
        (Circuit::Open { until }, 0)
    );
    world.advance(30);
    let error = world
        .registrar
        .refresh_payment(&reference)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Provider);
    assert!(
        error.for_learner().contains("do not pay again"),
        "{error:?}"
    );
    // Other calls are not told so, and once it is over the worker settles it.
    world.simulator.clear_faults();
    world.advance(100);
    world.pass().await;
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_page_instead_of_json_is_told_as_one_that_will_pass() {
    let world = World::new();
    world
        .simulator
        .inject(once(Fault::HtmlAnswer, Call::Create));
    let error = enroll(&world).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Provider);
    assert_eq!(error.kind().http_status(), 502);
    let told = error.for_learner();
    assert!(told.contains("Nothing was paid") && told.contains("try again in a minute"));
    let Error::NoPayLink { source, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(source, GatewayError::Unreadable);
    world.advance(60);
    let (reference, link) = shown(enroll(&world).await.unwrap());

    world
        .simulator
        .inject(Injection::new(Fault::HtmlAnswer).on(Call::Status));
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(
        (receipt.outcome.as_str(), receipt.http_status()),
        ("waiting", 200)
    );
    world.advance(3);
    let error = world
        .registrar
        .refresh_payment(&reference)
        .await
        .unwrap_err();
    assert_eq!(error, Error::Gateway(GatewayError::Unreadable));
    assert_eq!(error.kind(), ErrorKind::Provider);
    assert!(
        error
            .for_learner()
            .contains("if you have paid, do not pay again")
    );
    world.simulator.clear_faults();
    world.advance(3600);
    world.pass().await;
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn refusals_say_whether_trying_again_helps() {
    for (fault, kind) in [
        (Fault::BadRequest, ErrorKind::Invalid),
        (Fault::Unprocessable, ErrorKind::Invalid),
        (Fault::Unauthorized, ErrorKind::Setup),
    ] {
        let world = World::new();
        world.simulator.inject(once(fault, Call::Create));
        let error = enroll(&world).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault}");
        assert!(
            error.for_learner().contains("contact the school"),
            "{fault}"
        );
        // Once it is put right, the learner is not locked out.
        world.advance(60);
        shown(enroll(&world).await.unwrap());
        // At a status, money that came is not lost by it.
        let (_, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
        world
            .simulator
            .inject(Injection::new(fault).on(Call::Status).times(3));
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        assert_eq!(receipt.http_status(), 200, "{fault}");
        for _ in 0..5 {
            world.advance(3600);
            world.pass().await;
        }
        assert!(world.may_enter("sipho").await, "{fault}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_as_long_as_the_settings_say() {
    for (seconds, comes) in [(30, true), (60, false)] {
        let world = World::new();
        let slow = once(Fault::SlowAnswer, Call::Create);
        world
            .simulator
            .inject(slow.lasting(Duration::from_secs(seconds)));
        let registrar = world.registrar.clone();
        let asked = tokio::spawn(async move {
            registrar
                .enroll(request("thandi", PaymentMethod::Card))
                .await
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!asked.is_finished());
        world.advance(seconds.min(45));
        let answered = asked.await.unwrap();
        match answered {
            Ok(enrolled) => assert!(comes && matches!(enrolled.next, NextStep::Pay { .. })),
            Err(Error::NoPayLink { source, .. }) => {
                assert!(!comes && source == GatewayError::TimedOut, "{source:?}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn an_injected_fault_strikes_where_and_as_often_as_it_says() {
    let world = World::new();
    let (_, reference, _) = world.attempt("thandi", PaymentMethod::Card).await;
    let gateway = gateway(&world);
    let today = world.clock_now().date_naive();
    let status = async || gateway.status(StatusQuery::Reference(&reference)).await;
    let failed = Err(GatewayError::Failed { status: 500 });

    world
        .simulator
        .inject(Injection::new(Fault::ServerError).on(Call::Status).times(2));
    assert!(gateway.history(today, today).await.is_ok(), "another call");
    assert_eq!(status().await, failed);
    assert_eq!(status().await, failed);
    assert!(status().await.is_ok(), "twice, and no more");

    world.simulator.inject(Fault::ServerError);
    for _ in 0..5 {
        assert_eq!(status().await, failed);
        assert!(gateway.history(today, today).await.is_err());
    }
    world.simulator.clear_faults();
    assert!(status().await.is_ok());

    world
        .simulator
        .inject(Injection::new(Fault::ServerError).times(0));
    assert!(status().await.is_ok());
    // The oldest first, and each with its own length.
    for seconds in [5, 7] {
        let busy = once(Fault::RateLimited, Call::Status);
        world
            .simulator
            .inject(busy.lasting(Duration::from_millis(seconds * 1000 - 1)));
    }
    world
        .simulator
        .inject(once(Fault::RateLimited, Call::Status));
    for seconds in [5, 7, 30] {
        let wait = Some(Duration::from_secs(seconds));
        assert_eq!(status().await, Err(GatewayError::RateLimited { wait }));
    }
    let found = status().await.unwrap().unwrap();
    assert_eq!(found.status, ProviderStatus::from_word("PENDING"));
    // Faults of callbacks belong to no call.
    let (_, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    world
        .simulator
        .inject(Injection::new(Fault::Duplicate).on(Call::Create).times(1));
    assert_eq!(world.pay(&link, Choice::Decline).await.len(), 2);
    assert_eq!(world.pay(&link, Choice::Card).await.len(), 1);
}

/// What it answers to a reference that it may not know is not published: it says nothing about the
/// provider, neither good nor bad.
#[tokio::test]
async fn a_look_by_reference_counts_neither_for_nor_against_the_provider() {
    let (world, lost, _) = lost(Fault::AnswerLost, &GatewayError::Failed { status: 500 }).await;
    let (_, known, _) = world.attempt("sipho", PaymentMethod::Card).await;
    let health = || world.registrar.provider_health().unwrap();
    // It may be tried again within one look.
    let look = async |fault, reference: &PaymentReference| {
        let calls = health().calls;
        world
            .simulator
            .inject(Injection::new(fault).on(Call::Status));
        // A look serves all who ask for two seconds.
        world.advance(3);
        let _ = world.registrar.refresh_payment(reference).await;
        world.simulator.clear_faults();
        health().calls - calls
    };
    let before = health();
    assert_eq!(
        (before.failures_in_a_row, before.circuit),
        (0, Circuit::Closed)
    );
    for fault in [Fault::ServerError, Fault::HtmlAnswer].repeat(5) {
        assert!(look(fault, &lost).await > 0);
    }
    let after = health();
    assert_eq!(
        (after.failures_in_a_row, after.failed, after.answered_at),
        (0, before.failed, before.answered_at),
        "something was counted"
    );
    let mut failures = 0;
    while health().circuit == Circuit::Closed {
        let calls = look(Fault::ServerError, &known).await;
        failures += u32::try_from(calls).unwrap();
        assert!(calls > 0 && failures <= 5);
        assert!(failures == 5 || look(Fault::ServerError, &lost).await > 0);
        assert_eq!(
            health().failures_in_a_row,
            failures,
            "a look counted for it"
        );
    }
    assert_eq!(failures, 5);
}
