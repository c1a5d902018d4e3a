use coursegate::Registrar;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::approval::{
    ApprovalContext, ApprovalPolicy, CheckName, CheckOutcome, Decision, RefuseReason,
    StandardPolicy,
};
use coursegate::detect::{Fallback, RuleDetector, RuleSet};
use coursegate::enrollment::{Status, Transition, TransitionRequest};
use coursegate::evidence::EvidenceLevel;
use coursegate::payment::PaymentMethod;
use coursegate::reason::{ApprovalCause, HoldReason, Note};
use coursegate::registrar::{BuildError, Outcome, RegistrarBuilder};

use crate::support::{World, admin, body, config};

async fn outcome(
    declared: PaymentMethod,
    choice: Choice,
    extend: impl FnOnce(RegistrarBuilder) -> RegistrarBuilder,
) -> Outcome {
    let world = World::with(Settings::new(1), config(), extend);
    let (_, _, link) = world.attempt("thandi", declared).await;
    world.pay(&link, choice).await.remove(0).outcome
}

fn settings(change: impl FnOnce(&mut StandardPolicy)) -> StandardPolicy {
    let mut policy = StandardPolicy::default();
    change(&mut policy);
    policy
}

#[tokio::test]
async fn every_setting_of_the_standard_policy_counts() {
    let standard = |change: fn(&mut StandardPolicy)| {
        move |builder: RegistrarBuilder| builder.policy(settings(change))
    };
    let card = (PaymentMethod::Card, Choice::Card);
    let eft = (PaymentMethod::InstantEft, Choice::InstantEft);
    assert_eq!(
        outcome(card.0, card.1, standard(|_| ())).await,
        Outcome::Approved
    );
    assert_eq!(
        outcome(
            card.0,
            card.1,
            standard(|policy| policy.approve_cards = false)
        )
        .await,
        Outcome::Held(HoldReason::HostPolicy)
    );
    assert_eq!(
        outcome(card.0, card.1, standard(|policy| policy.confidence = 0.99)).await,
        Outcome::Held(HoldReason::LowConfidence)
    );
    assert_eq!(
        outcome(eft.0, eft.1, standard(|_| ())).await,
        Outcome::Held(HoldReason::InstantEft)
    );
    assert_eq!(
        outcome(
            eft.0,
            eft.1,
            standard(|policy| policy.approve_confirmed_instant_eft = true)
        )
        .await,
        Outcome::Approved
    );
}

#[tokio::test]
async fn an_unknown_method_approves_only_when_the_operator_said_so() {
    let with = |fallback| {
        move |builder: RegistrarBuilder| {
            builder.detector(
                RuleDetector::new(RuleSet {
                    fallback,
                    ..RuleSet::standard()
                })
                .unwrap(),
            )
        }
    };
    for (fallback, expected) in [
        (
            Fallback::ManualApproval,
            Outcome::Held(HoldReason::MethodUnknown),
        ),
        (
            Fallback::LogAndInvestigate,
            Outcome::Held(HoldReason::Investigate),
        ),
        (Fallback::AssumeEft, Outcome::Held(HoldReason::InstantEft)),
        (Fallback::AssumeCard, Outcome::Approved),
    ] {
        assert_eq!(
            outcome(PaymentMethod::Unknown, Choice::Card, with(fallback)).await,
            expected,
            "{fallback:?}"
        );
    }
}

#[tokio::test]
async fn a_closure_is_a_policy_and_cannot_go_below_the_minimum_of_evidence() {
    let cautious = outcome(PaymentMethod::Card, Choice::Card, |builder| {
        builder.policy(|dossier: &ApprovalContext<'_>| {
            match StandardPolicy::default().decide(dossier) {
                Decision::Approve(_) if dossier.attempt.amount.minor() > 10_000 => {
                    Decision::Hold(HoldReason::HostPolicy)
                }
                decision => decision,
            }
        })
    });
    assert_eq!(cautious.await, Outcome::Held(HoldReason::HostPolicy));

    // A policy that approves everything: a failure is still a failure, and a wrong amount,
    // which is not confirmed, still waits.
    let reckless = |_: &ApprovalContext<'_>| Decision::Approve(ApprovalCause::AutomaticCardPayment);
    let declined = outcome(PaymentMethod::Card, Choice::Decline, |builder| {
        builder.policy(reckless)
    });
    assert_eq!(declined.await, Outcome::Failed);
    let wrong = Settings::new(1).fault(coursegate::adapter::simulator::Fault::WrongAmount, 1.0);
    let world = World::with(wrong, config(), |builder| builder.policy(reckless));
    let (_, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::WeakEvidence));
    assert!(!world.may_enter("thandi").await);
}

#[tokio::test]
async fn every_check_is_reported_not_the_first_that_failed() {
    let wrong = Settings::new(1).fault(coursegate::adapter::simulator::Fault::WrongAmount, 1.0);
    let offered = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let catalog = offered.clone();
    let world = World::with(wrong, config(), |builder| {
        builder.courses(move |_: &coursegate::CourseId| {
            catalog.load(std::sync::atomic::Ordering::Relaxed)
        })
    });
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    offered.store(false, std::sync::atomic::Ordering::Relaxed);
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(
        receipt.outcome,
        Outcome::Held(HoldReason::UnknownCourse),
        "the gravest is shown"
    );
    let basis = world
        .registrar
        .admin(admin())
        .approvals()
        .explain(enrollment)
        .await
        .unwrap()
        .basis
        .unwrap();
    let found = |name| {
        basis
            .checks
            .checks()
            .iter()
            .find(|check| check.name == name)
            .unwrap()
            .outcome
    };
    assert_eq!(found(CheckName::Exists), CheckOutcome::Passed);
    assert_eq!(found(CheckName::Learner), CheckOutcome::Passed);
    assert_eq!(
        found(CheckName::Course),
        CheckOutcome::Failed(HoldReason::UnknownCourse)
    );
    assert_eq!(
        found(CheckName::Amount),
        CheckOutcome::Failed(HoldReason::Overpayment)
    );
    assert_eq!(found(CheckName::Currency), CheckOutcome::NotStated);
    assert_eq!(found(CheckName::Attempt), CheckOutcome::Passed);
    assert_eq!(found(CheckName::Status), CheckOutcome::Passed);
}

#[tokio::test]
async fn a_guard_can_veto_and_the_money_stays_in_sight() {
    let guard = |proposal: &TransitionRequest<'_>| match proposal.transition {
        Transition::PaymentApproved => Err(Note::new("exam week")),
        _ => Ok(()),
    };
    let world = World::with(Settings::new(1), config(), |builder| builder.guard(guard));
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::Vetoed));
    assert_eq!(
        receipt.status,
        Some(Status::AwaitingApproval {
            reason: HoldReason::Vetoed
        })
    );
    assert!(world.case(enrollment).await.attempts[0].holds_money());
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(enrollment, "")
        .await
        .unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn without_a_gateway_a_signature_is_enough_and_readiness_can_see_it() {
    // The link is made by hand: this host creates its pay links elsewhere.
    let world = World::new();
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    let registrar = Registrar::builder(config(), world.store.clone())
        .build_for_tests()
        .unwrap();
    let receipt = registrar
        .receive(crate::support::signed(&body(
            link.as_str(),
            "SUCCESS",
            reference.as_str(),
        )))
        .await;
    assert_eq!(receipt.outcome, Outcome::Approved);
    assert_eq!(registrar.test_doubles(), ["store"]);
    assert_eq!(
        world.registrar.test_doubles(),
        ["store", "gateway", "publisher", "clock"]
    );
}

#[test]
fn settings_that_contradict_themselves_do_not_build() {
    let build = |config| {
        Registrar::builder(config, MemoryStore::new())
            .build_for_tests()
            .unwrap_err()
    };
    assert_eq!(
        build(config().minimum_evidence(EvidenceLevel::Confirmed)),
        BuildError::NobodyToAsk
    );
    assert_eq!(
        build(config().minimum_evidence(EvidenceLevel::Unsigned)),
        BuildError::MinimumTooLow
    );
    let mut slow = config();
    slow.provider_wait = slow.deadline;
    assert_eq!(build(slow), BuildError::WaitTooLong);
    for endless in [std::time::Duration::ZERO, std::time::Duration::MAX] {
        let mut waiting = config();
        waiting.deadline = endless;
        assert_eq!(build(waiting), BuildError::WaitOutOfRange("deadline"));
    }
    let mut query = config();
    query.site.callback_url.push_str("?a=b");
    assert!(matches!(build(query), BuildError::Url(_)));
    let mut nowhere = config();
    nowhere.site.callback_url = "school.example/hook".into();
    assert!(matches!(build(nowhere), BuildError::Url(_)));
}

#[tokio::test]
async fn money_the_policy_refuses_is_not_counted_even_when_a_person_approved_ahead() {
    let refuse = |dossier: &ApprovalContext<'_>| match StandardPolicy::default().decide(dossier) {
        Decision::Approve(_) => Decision::Refuse(RefuseReason::HostPolicy),
        decision => decision,
    };
    let world = World::with(Settings::new(1), config(), |builder| builder.policy(refuse));
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(enrollment, "bursary")
        .await
        .unwrap();
    let receipt = world.pay(&link, Choice::Card).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::HostPolicy));
    let case = world.case(enrollment).await;
    assert_eq!(case.carrying().next(), None);
    assert!(case.attempts[0].held_back().is_some());
    assert!(world.may_enter("thandi").await, "the person's word stands");

    let (enrollment, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    assert!(matches!(
        world.case(enrollment).await.enrollment.status,
        Status::Rejected { .. }
    ));
    assert!(!world.may_enter("sipho").await);
}

#[test]
fn rules_that_cannot_work_are_refused_when_the_registrar_is_built() {
    let break_it: [fn(&mut coursegate::Config); 10] = [
        |config| config.rules.reconciliation.first = vec![std::time::Duration::ZERO],
        |config| config.rules.reconciliation.first.reverse(),
        |config| config.rules.unpaid_expiry = Some(std::time::Duration::ZERO),
        |config| config.rules.transfer_expiry = Some(std::time::Duration::ZERO),
        |config| config.rules.refund_keeping_access = 100,
        |config| config.provider.failures = 0,
        |config| config.provider.background_per_second = 0,
        |config| config.provider.visits_per_second = 0,
        |config| config.provider.links_per_second = 0,
        |config| config.provider.callbacks_per_second = 0,
    ];
    for change in break_it {
        let mut config = config();
        change(&mut config);
        let store = MemoryStore::new();
        let refused = Registrar::builder(config, store).build_for_tests();
        let error = refused.unwrap_err();
        assert!(matches!(error, BuildError::Rule(_)), "{error}");
    }
}
