use coursegate::access::GrantState;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::Case;
use coursegate::payment::{Attempt, Method, Standing};
use coursegate::reason::MoneyOutcome;
use coursegate::{EnrollmentId, Money, PayLinkId, Reference};

use crate::support::{World, admin, body, config, request};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Success(usize),
    Failure(usize),
    Stranger,
    AdminApproves,
    ReturnPage(usize),
}

struct Scene {
    world: World,
    enrollment: EnrollmentId,
    attempts: Vec<(Reference, PayLinkId)>,
}

/// One enrollment with two attempts; those named are paid at the provider.
async fn scene(method: Method, paid: &[usize]) -> Scene {
    scene_with(method, paid, MoneyOutcome::RefundDue).await
}

async fn scene_with(method: Method, paid: &[usize], duplicate: MoneyOutcome) -> Scene {
    let mut settings = config();
    settings.rules.money.duplicate = duplicate;
    let world = World::with(Settings::new(1), settings, |builder| builder);
    let (enrollment, first, first_link) = world.attempt("thandi", method).await;
    let mut other_offer = request("thandi", method);
    other_offer.price = Money::zar(29_900).unwrap();
    world.ask(other_offer).await;
    let second = world.case(enrollment).await.attempts[1].clone();
    let attempts = vec![
        (first, first_link),
        (second.reference, second.link.unwrap().id),
    ];
    for index in paid {
        world
            .simulator
            .pay(&attempts[*index].1, Choice::Card)
            .unwrap();
    }
    world.simulator.take_callbacks();
    Scene {
        world,
        enrollment,
        attempts,
    }
}

impl Scene {
    async fn happen(&self, event: Event) {
        let callback = |index: usize, status| {
            let (reference, link) = &self.attempts[index];
            body(link.as_str(), status, reference.as_str())
        };
        match event {
            Event::Success(index) => drop(self.world.receive(&callback(index, "SUCCESS")).await),
            Event::Failure(index) => drop(self.world.receive(&callback(index, "FAILURE")).await),
            Event::Stranger => drop(
                self.world
                    .receive(&body("strangerslink00", "SUCCESS", "STRANGER"))
                    .await,
            ),
            Event::AdminApproves => drop(
                self.world
                    .registrar
                    .admin(admin())
                    .approve(self.enrollment, "")
                    .await
                    .unwrap(),
            ),
            Event::ReturnPage(index) => drop(
                self.world
                    .registrar
                    .confirm(&self.attempts[index].0)
                    .await
                    .unwrap(),
            ),
        }
    }

    async fn end(&self) -> Case {
        self.world.case(self.enrollment).await
    }
}

/// Everything that must not depend on the order.
fn essence(case: &Case) -> String {
    let attempt = |attempt: &Attempt| {
        (
            attempt.status,
            attempt
                .payment
                .map(|paid| (paid.amount, paid.grade, paid.standing)),
        )
    };
    let attempts: Vec<_> = case.attempts.iter().map(attempt).collect();
    let sources: Vec<_> = live(case)
        .map(|grant| grant.source.payment().is_some())
        .collect();
    format!(
        "{} {:?} {attempts:?} {sources:?}",
        case.enrollment.status,
        case.carrying().next().is_some()
    )
}

fn live(case: &Case) -> impl Iterator<Item = &coursegate::access::Grant> {
    case.grants
        .iter()
        .filter(|grant| grant.state == GrantState::Live)
}

/// Calls `visit` with every order of the events (Heap's algorithm).
fn orders(events: &[Event]) -> Vec<Vec<Event>> {
    fn heap(size: usize, events: &mut Vec<Event>, out: &mut Vec<Vec<Event>>) {
        if size <= 1 {
            out.push(events.clone());
            return;
        }
        for index in 0..size {
            heap(size - 1, events, out);
            events.swap(if size.is_multiple_of(2) { index } else { 0 }, size - 1);
        }
    }
    let mut out = Vec::new();
    heap(events.len(), &mut events.to_vec(), &mut out);
    out
}

async fn ends_alike(method: Method, paid: &[usize], events: &[Event]) -> Case {
    let mut first: Option<(Vec<Event>, Case)> = None;
    for order in orders(events) {
        let scene = scene(method, paid).await;
        for event in &order {
            scene.happen(*event).await;
        }
        let case = scene.end().await;
        match &first {
            Some((reference, expected)) => {
                assert_eq!(
                    essence(&case),
                    essence(expected),
                    "{order:?} against {reference:?}"
                );
            }
            None => first = Some((order, case)),
        }
    }
    first.unwrap().1
}

#[tokio::test]
async fn all_orders_of_seven_card_deliveries_end_in_one_state() {
    use Event::{AdminApproves, Failure, Stranger, Success};
    let events = [
        Success(0),
        Success(0),
        Failure(0),
        Failure(1),
        Failure(1),
        Stranger,
        AdminApproves,
    ];
    let case = ends_alike(Method::Card, &[0], &events).await;
    assert_eq!(
        case.enrollment.status.to_string(),
        "approved(automatic_card_payment)"
    );
    assert_eq!(live(&case).count(), 1);
}

#[tokio::test]
async fn all_orders_of_an_eft_and_its_approval_end_in_one_state() {
    use Event::{AdminApproves, Failure, ReturnPage, Success};
    let events = [
        Success(0),
        Success(0),
        Failure(0),
        Failure(1),
        ReturnPage(0),
        AdminApproves,
    ];
    let case = ends_alike(Method::InstantEft, &[0], &events).await;
    assert_eq!(
        case.enrollment.status.to_string(),
        "approved(manual_admin_approval)"
    );
    assert_eq!(live(&case).count(), 1);
}

#[tokio::test]
async fn all_orders_of_two_paid_attempts_give_one_access_and_the_same_sums() {
    use Event::{AdminApproves, Failure, ReturnPage, Success};
    let events = [
        Success(0),
        Success(1),
        Success(0),
        Failure(1),
        ReturnPage(1),
        AdminApproves,
    ];
    let each = MoneyOutcome::ALL.iter().flat_map(|outcome| {
        let orders = orders(&events);
        orders.into_iter().map(|order| (*outcome, order))
    });
    for (outcome, order) in each {
        let scene = scene_with(Method::Card, &[0, 1], outcome).await;
        for event in &order {
            scene.happen(*event).await;
        }
        let case = scene.end().await;
        let money = |wanted: fn(&Standing) -> bool| {
            case.attempts
                .iter()
                .filter(|attempt| attempt.payment.is_some_and(|paid| wanted(&paid.standing)))
                .count()
        };
        assert_eq!(live(&case).count(), 1, "{order:?}");
        let counted = money(|standing| matches!(standing, Standing::Counted | Standing::Kept));
        let held = money(|standing| matches!(standing, Standing::Held(_)));
        let due = money(|standing| matches!(standing, Standing::RefundDue(_)));
        let expected = match outcome {
            MoneyOutcome::Approve => (2, 0, 0),
            MoneyOutcome::Hold => (1, 1, 0),
            MoneyOutcome::RefundDue => (1, 0, 1),
        };
        assert_eq!((counted, held, due), expected, "{outcome}: {order:?}");
        let sum: i64 = case
            .attempts
            .iter()
            .filter_map(|attempt| attempt.payment?.amount)
            .map(|sum| sum.minor())
            .sum();
        assert_eq!(sum, 49_900 + 29_900, "{order:?}");
    }
}
