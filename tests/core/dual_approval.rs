//! Two signatures: for what they were given, and for nothing else.

use coursegate::access::{AccessLevel, AccessTerms};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::CaseError;
use coursegate::payment::{PaymentMethod, ProofOfPayment};
use coursegate::reason::ApprovalCause;
use coursegate::registrar::{EnrollRequest, Error, TransferMatch};
use coursegate::statement::StatementRow;
use coursegate::{AdminId, EnrollmentId, Money};

use crate::scene::imported;
use crate::support::{World, config, course, learner, request};

fn world(limit: i64) -> World {
    let mut settings = config();
    settings.rules.dual_approval_above = Some(limit);
    World::with(Settings::new(1), settings, |builder| builder)
}

fn asked(method: PaymentMethod, cents: i64) -> EnrollRequest {
    let mut asked = request("thandi", method);
    asked.price = Money::zar(cents).unwrap();
    asked
}

fn person(name: &str) -> AdminId {
    AdminId::new(name).unwrap()
}

/// Whether the enrollment is approved after this person's word.
async fn signs(world: &World, name: &str, id: EnrollmentId) -> bool {
    let desk = world.registrar.admin(person(name));
    desk.approvals().approve(id, "").await.unwrap();
    world.may_enter("thandi").await
}

async fn signed(world: &World, id: EnrollmentId) -> Option<AdminId> {
    let first = world.case(id).await.enrollment.first_approval;
    first.map(|first| first.by)
}

#[tokio::test]
async fn a_signature_is_worth_nothing_once_what_it_was_for_has_changed() {
    let transfer = |cents| asked(PaymentMethod::BankTransfer, cents);
    let limited = AccessTerms {
        level: AccessLevel::Limited,
        ..AccessTerms::default()
    };
    // Another price, other access: another attempt.
    for other in [transfer(90_000), transfer(60_000).terms(limited)] {
        let world = world(10_000);
        let id = world.ask(transfer(60_000)).await.enrollment;
        assert!(!signs(&world, "nomsa", id).await);
        assert_eq!(signed(&world, id).await, Some(person("nomsa")));
        world.ask(other).await;
        assert_eq!(signed(&world, id).await, None, "it was for another offer");
        // The second person's word is a first one now.
        assert!(!signs(&world, "sipho", id).await);
        assert!(signs(&world, "nomsa", id).await);
    }
    // Another proof of the transfer: the first person saw the other one.
    let world = world(10_000);
    let id = world.ask(transfer(60_000)).await.enrollment;
    let show = async |proof| {
        let (learner, course) = (learner("thandi"), course());
        let proof = ProofOfPayment::new(proof).unwrap();
        let shown = world.registrar.attach_proof(&learner, &course, proof);
        shown.await.unwrap();
    };
    show("upload-1").await;
    assert!(!signs(&world, "nomsa", id).await);
    show("upload-1").await;
    assert_eq!(signed(&world, id).await, Some(person("nomsa")));
    show("upload-2").await;
    assert_eq!(signed(&world, id).await, None, "another proof");
    // Money that came, and money that was disputed: what is approved is another thing.
    let world = self::world(10_000);
    let (id, reference, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    assert!(!signs(&world, "nomsa", id).await);
    world.pay(&link, Choice::InstantEft).await;
    assert_eq!(signed(&world, id).await, None, "there was no money then");
    assert!(!signs(&world, "sipho", id).await);
    let again = world
        .registrar
        .admin(person("sipho"))
        .approvals()
        .approve(id, "")
        .await;
    assert_eq!(again, Err(Error::Refused(CaseError::SecondPersonNeeded)));
    let desk = world.registrar.admin(person("bookkeeper"));
    let part = Money::zar(100).unwrap();
    desk.refunds()
        .record_partial(&reference, part, "R-1")
        .await
        .unwrap();
    assert_eq!(signed(&world, id).await, None, "less money is here");
}

#[tokio::test]
async fn the_same_change_that_means_nothing_for_it_leaves_a_signature() {
    let world = world(10_000);
    let transfer = asked(PaymentMethod::BankTransfer, 60_000);
    let id = world.ask(transfer.clone()).await.enrollment;
    assert!(!signs(&world, "nomsa", id).await);
    let mut renamed = transfer;
    renamed.email = coursegate::Email::new("new@school.example").unwrap();
    world.ask(renamed).await;
    assert!(signs(&world, "sipho", id).await);
}

#[tokio::test]
async fn the_limit_is_compared_with_the_highest_sum() {
    // Cheap today, dear in the attempt whose money is here.
    let world = world(50_000);
    let (id, _, link) = {
        let dear = world.ask(asked(PaymentMethod::InstantEft, 90_000)).await;
        let case = world.case(dear.enrollment).await;
        let attempt = case.attempts[0].clone();
        (dear.enrollment, attempt.reference, attempt.link.unwrap().id)
    };
    world.ask(asked(PaymentMethod::InstantEft, 10_000)).await;
    world.pay(&link, Choice::InstantEft).await;
    assert!(!signs(&world, "nomsa", id).await, "the attempt is dear");
    assert!(signs(&world, "sipho", id).await);

    // Cheap in the attempt, dear today.
    let world = self::world(50_000);
    let cheap = world.ask(asked(PaymentMethod::InstantEft, 10_000)).await;
    let link = world.case(cheap.enrollment).await.attempts[0]
        .link
        .clone()
        .unwrap()
        .id;
    world.ask(asked(PaymentMethod::InstantEft, 90_000)).await;
    world.pay(&link, Choice::InstantEft).await;
    assert!(
        !signs(&world, "nomsa", cheap.enrollment).await,
        "today's price is dear"
    );

    // Cheap in the attempt, dear since, and something small was asked for last.
    let world = self::world(50_000);
    let cheap = world.ask(asked(PaymentMethod::InstantEft, 10_000)).await;
    let link = world.case(cheap.enrollment).await.attempts[0]
        .link
        .clone()
        .unwrap()
        .id;
    world.ask(asked(PaymentMethod::InstantEft, 90_000)).await;
    let day = AccessTerms {
        level: AccessLevel::Limited,
        ..AccessTerms::lasting(std::time::Duration::from_secs(86_400))
    };
    world
        .ask(asked(PaymentMethod::InstantEft, 1_000).terms(day))
        .await;
    world.pay(&link, Choice::InstantEft).await;
    assert!(
        !signs(&world, "nomsa", cheap.enrollment).await,
        "it was dear since"
    );

    // Cheap both times, and far more arrived.
    let world = self::world(50_000);
    let transfer = world.ask(asked(PaymentMethod::BankTransfer, 10_000)).await;
    let reference = world.case(transfer.enrollment).await.attempts[0]
        .reference
        .clone();
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let sum = Money::zar(60_000).unwrap();
    let row = StatementRow::new(day, sum, reference.as_str(), "");
    let row = imported(&world.registrar, row).await;
    let pairs = [TransferMatch::new(row, reference).whatever_the_sum()];
    let desk = world.registrar.admin(person("nomsa"));
    let done = desk.statements().approve(&pairs, "").await.remove(0);
    assert!(done.problem.unwrap().contains("a second person"));
    let again = desk.statements().approve(&pairs, "").await.remove(0);
    assert!(
        again
            .problem
            .unwrap()
            .contains("you have approved this already")
    );
    let second = world.registrar.admin(person("sipho"));
    assert_eq!(
        second.statements().approve(&pairs, "").await[0].problem,
        None
    );
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn a_signature_for_a_row_is_none_for_another_sum() {
    let world = world(10_000);
    let transfer = world.ask(asked(PaymentMethod::BankTransfer, 60_000)).await;
    let reference = world.case(transfer.enrollment).await.attempts[0]
        .reference
        .clone();
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let row = |cents| {
        let sum = Money::zar(cents).unwrap();
        StatementRow::new(day, sum, reference.as_str(), "")
    };
    let right = imported(&world.registrar, row(60_000)).await;
    let wrong = imported(&world.registrar, row(60)).await;
    let desk = |name| world.registrar.admin(person(name));
    let first = [TransferMatch::new(right, reference.clone())];
    desk("nomsa").statements().approve(&first, "").await;
    let second = [TransferMatch::new(wrong, reference).whatever_the_sum()];
    let done = desk("sipho")
        .statements()
        .approve(&second, "")
        .await
        .remove(0);
    assert!(
        done.problem.unwrap().contains("a second person"),
        "it was for another sum"
    );
    assert!(!world.may_enter("thandi").await);
}

#[tokio::test]
async fn an_operator_goes_past_it_and_the_event_says_so() {
    let world = world(10_000);
    let transfer = world.ask(asked(PaymentMethod::BankTransfer, 60_000)).await;
    let desk = world.registrar.admin(person("operator"));
    let status = desk
        .approvals()
        .approve_override(transfer.enrollment, "fire drill")
        .await
        .unwrap();
    assert_eq!(status.to_string(), "approved(system_override)");
    assert!(world.may_enter("thandi").await);
    let explained = desk.approvals().explain(transfer.enrollment).await.unwrap();
    let told = explained.history.iter().any(|event| {
        let text = serde_json::to_string(&event.kind).unwrap();
        text.contains(ApprovalCause::SystemOverride.as_str())
    });
    assert!(told);
}
