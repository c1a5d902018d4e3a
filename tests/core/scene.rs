//! Scenes that several tests begin with: one learner, one course, offers and what is paid for them.

use std::time::Duration;

use coursegate::access::{AccessLevel, AccessTerms, Grant, GrantState};
use coursegate::adapter::simulator::Choice;
use coursegate::enrollment::{Case, MigratedPayment};
use coursegate::payment::{PaymentMethod, ProofOfPayment};
use coursegate::reason::HoldReason;
use coursegate::registrar::{
    EnrollRequest, ExistingAccess, ExistingPayment, LearnerCard, NewGrant, NextStep, Outcome,
};
use coursegate::statement::{RowId, StatementRow, Suggestion};
use coursegate::store::PageRequest;
use coursegate::{
    Email, EnrollmentId, ExternalKey, Money, PayLinkId, PaymentReference, Registrar, Title,
};

use crate::support::{World, admin, course, learner, request, start, visitor};
pub use crate::support::{account, imported, open_rows};

pub const DAY: u64 = 86_400;

pub fn limited(days: u64) -> AccessTerms {
    AccessTerms {
        level: AccessLevel::Limited,
        ..full(days)
    }
}

pub fn full(days: u64) -> AccessTerms {
    AccessTerms::lasting(Duration::from_secs(days * DAY))
}

pub fn offer(rand: i64, terms: AccessTerms) -> EnrollRequest {
    by(PaymentMethod::Card, rand, terms)
}

pub fn by(method: PaymentMethod, rand: i64, terms: AccessTerms) -> EnrollRequest {
    let mut request = request("thandi", method).terms(terms);
    request.price = Money::zar(rand * 100).unwrap();
    request
}

/// An attempt to pay: its enrollment, reference and link.
pub type Started = (EnrollmentId, PaymentReference, PayLinkId);

pub async fn begin(world: &World, request: EnrollRequest) -> Started {
    let enrollee = world.ask(request).await;
    let NextStep::Pay { reference, .. } = enrollee.next else {
        panic!("nothing to pay: {:?}", enrollee.next)
    };
    let case = world.case(enrollee.enrollment).await;
    let attempt = case.attempt(Some(reference.as_str()), None).unwrap();
    let link = attempt.link.clone().unwrap().id;
    (enrollee.enrollment, reference, link)
}

pub async fn pay(world: &World, link: &PayLinkId) -> Outcome {
    world.pay(link, Choice::Card).await.remove(0).outcome
}

pub async fn bought(world: &World, request: EnrollRequest) -> Started {
    let started = begin(world, request).await;
    assert_eq!(pay(world, &started.2).await, Outcome::Approved);
    started
}

pub async fn transfer(
    world: &World,
    rand: i64,
    terms: AccessTerms,
) -> (EnrollmentId, PaymentReference) {
    let enrollee = world
        .ask(by(PaymentMethod::BankTransfer, rand, terms))
        .await;
    let NextStep::Transfer { reference, .. } = enrollee.next else {
        panic!("no transfer: {:?}", enrollee.next)
    };
    (enrollee.enrollment, reference)
}

/// Shows a proof of the transfer that is asked for.
pub async fn prove(world: &World) {
    let proof = ProofOfPayment::new("upload-1").unwrap();
    let (learner, course) = (learner("thandi"), course());
    let attached = world.registrar.attach_proof(&learner, &course, proof);
    attached.await.unwrap();
}

/// A payment that waits for a person.
pub async fn held(world: &World, rand: i64, terms: AccessTerms) -> Started {
    let started = begin(world, by(PaymentMethod::InstantEft, rand, terms)).await;
    let receipt = world.pay(&started.2, Choice::InstantEft).await.remove(0);
    assert_eq!(receipt.outcome, Outcome::Held(HoldReason::InstantEft));
    started
}

pub fn live(case: &Case) -> Vec<&Grant> {
    let live = |grant: &&Grant| grant.state == GrantState::Live;
    case.grants.iter().filter(live).collect()
}

/// The day on which the last access ends.
pub fn last_day(case: &Case) -> i64 {
    let ends = live(case).into_iter().filter_map(|grant| grant.expires_at);
    (ends.max().unwrap() - start()).num_days()
}

pub async fn queue(world: &World) -> Vec<EnrollmentId> {
    let desk = world.registrar.admin(admin());
    let page = desk
        .approvals()
        .pending(PageRequest::first(10))
        .await
        .unwrap();
    page.items.iter().map(|item| item.enrollment.id).collect()
}

pub async fn card(world: &World) -> LearnerCard {
    let (visitor, course) = (visitor("thandi"), course());
    let card = world.registrar.learner_card(Some(&visitor), &course);
    card.await.unwrap()
}

pub async fn leave(world: &World) {
    let (learner, course) = (learner("thandi"), course());
    world.registrar.withdraw(&learner, &course).await.unwrap();
}

pub fn bursary(terms: AccessTerms) -> NewGrant {
    NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms,
    }
}

/// Access in another system, from a day on.
pub fn old(name: &str, from: i64) -> ExistingAccess {
    let (key, at) = (
        ExternalKey::new(name).unwrap(),
        start() + chrono::Duration::days(from),
    );
    ExistingAccess::new(key, learner("thandi"), course(), at)
}

pub fn old_payment(reference: &str, rand: i64, from: i64) -> ExistingPayment {
    ExistingPayment {
        email: Email::new("thandi@school.example").unwrap(),
        title: Title::new("Rust").unwrap(),
        payment: MigratedPayment {
            reference: PaymentReference::new(reference).unwrap(),
            amount: Money::zar(rand * 100).unwrap(),
            method: PaymentMethod::BankTransfer,
            at: start() + chrono::Duration::days(from),
        },
    }
}

pub async fn statement_row(world: &World, rand: i64, text: &str) -> RowId {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
    let row = StatementRow::new(day, Money::zar(rand * 100).unwrap(), text, "");
    imported(&world.registrar, row).await
}

/// All suggestions, best first.
pub async fn suggested(registrar: &Registrar) -> Vec<Suggestion> {
    let desk = registrar.admin(admin());
    let matcher = desk.statements().matcher().await.unwrap();
    let statements = desk.statements();
    let page = statements.suggestions(&matcher, PageRequest::first(500));
    let items = page.await.unwrap().items;
    let mut all: Vec<Suggestion> = items.into_iter().flat_map(|it| it.suggestions).collect();
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all
}
