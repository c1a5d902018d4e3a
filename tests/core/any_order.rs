use coursegate::access::GrantState;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::Case;
use coursegate::payment::{Allocation, AttemptStatus, PaymentAttempt, PaymentMethod, Reversal};
use coursegate::reason::ExceptionAction;
use coursegate::{EnrollmentId, Money, PayLinkId, PaymentReference};

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
    attempts: Vec<(PaymentReference, PayLinkId)>,
}

/// One enrollment with two attempts; those named are paid at the provider.
async fn scene(method: PaymentMethod, paid: &[usize]) -> Scene {
    scene_with(method, paid, ExceptionAction::RefundDue).await
}

async fn scene_with(method: PaymentMethod, paid: &[usize], duplicate: ExceptionAction) -> Scene {
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
                    .approvals()
                    .approve(self.enrollment, "")
                    .await
                    .unwrap(),
            ),
            Event::ReturnPage(index) => drop(
                self.world
                    .registrar
                    .refresh_payment(&self.attempts[index].0)
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
    let attempt = |attempt: &PaymentAttempt| {
        (
            attempt.status,
            attempt
                .payment
                .map(|paid| (paid.amount, paid.evidence_level, paid.allocation)),
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

async fn ends_alike(method: PaymentMethod, paid: &[usize], events: &[Event]) -> Case {
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
    let case = ends_alike(PaymentMethod::Card, &[0], &events).await;
    assert_eq!(
        case.enrollment.status.to_string(),
        "approved(automatic_declared_card)"
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
    let case = ends_alike(PaymentMethod::InstantEft, &[0], &events).await;
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
    let each = ExceptionAction::ALL.iter().flat_map(|outcome| {
        let orders = orders(&events);
        orders.into_iter().map(|order| (*outcome, order))
    });
    for (outcome, order) in each {
        let scene = scene_with(PaymentMethod::Card, &[0, 1], outcome).await;
        for event in &order {
            scene.happen(*event).await;
        }
        let case = scene.end().await;
        let money = |wanted: fn(&Allocation) -> bool| {
            case.attempts
                .iter()
                .filter(|attempt| attempt.payment.is_some_and(|paid| wanted(&paid.allocation)))
                .count()
        };
        assert_eq!(live(&case).count(), 1, "{order:?}");
        let counted =
            money(|allocation| matches!(allocation, Allocation::Applied | Allocation::Kept));
        let held = money(|allocation| matches!(allocation, Allocation::OnHold(_)));
        let due = money(|allocation| matches!(allocation, Allocation::RefundDue(_)));
        let expected = match outcome {
            ExceptionAction::Approve => (2, 0, 0),
            ExceptionAction::Hold => (1, 1, 0),
            ExceptionAction::RefundDue => (1, 0, 1),
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

/// What a bookkeeper events, beside what the provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Paid(usize),
    Refund(usize),
    Reverse(usize),
    Reinstate(usize),
    Revoke,
}

impl Scene {
    /// Events it; `false` when it is refused, as what goes back before it came.
    async fn enter(&self, entry: Entry) -> bool {
        let desk = self.world.registrar.admin(admin());
        let reference = |index: usize| &self.attempts[index].0;
        match entry {
            Entry::Paid(index) => {
                self.happen(Event::Success(index)).await;
                true
            }
            Entry::Refund(index) => desk.refunds().record(reference(index), "R").await.is_ok(),
            Entry::Reverse(index) => {
                let how = Reversal::ChargedBack;
                let proof = "letter";
                let recorded = desk
                    .refunds()
                    .record_reversal(reference(index), how, proof)
                    .await;
                recorded.is_ok()
            }
            Entry::Reinstate(index) => {
                // Before it was taken back there is nothing to win.
                let reversed = self.end().await.attempts[index].status == AttemptStatus::Reversed;
                let recorded = desk
                    .refunds()
                    .record_reinstatement(reference(index), "won")
                    .await;
                reversed && recorded.is_ok()
            }
            Entry::Revoke => {
                let case = self.end().await;
                let Some(grant) = live(&case).next() else {
                    return false;
                };
                desk.learners().revoke(grant.id, "cheated").await.is_ok()
            }
        }
    }

    /// Events all of it in this order; what is refused is tried again after the others, as
    /// people do.
    async fn enter_all(&self, entries: &[Entry]) {
        let mut left = entries.to_vec();
        while !left.is_empty() {
            let mut refused = Vec::new();
            for entry in &left {
                if !self.enter(*entry).await {
                    refused.push(*entry);
                }
            }
            assert!(
                refused.len() < left.len(),
                "{refused:?} are refused for ever"
            );
            left = refused;
        }
    }
}

/// Every order of some entries.
fn entry_orders(entries: &[Entry]) -> Vec<Vec<Entry>> {
    if entries.is_empty() {
        return vec![Vec::new()];
    }
    let mut out = Vec::new();
    for (index, first) in entries.iter().enumerate() {
        let mut rest = entries.to_vec();
        rest.remove(index);
        for mut order in entry_orders(&rest) {
            order.insert(0, *first);
            out.push(order);
        }
    }
    out
}

#[tokio::test]
async fn all_orders_of_payments_refunds_and_disputes_keep_access_and_sums() {
    use Entry::{Paid, Refund, Reinstate, Reverse};
    // Whose money is here in the end, and whether somebody has to look at it where a second
    // payment is not simply kept.
    let histories: [(&[Entry], [bool; 2]); 5] = [
        (&[Paid(0), Refund(0), Reverse(0)], [false, false]),
        (&[Paid(0), Paid(1), Refund(0)], [false, true]),
        (&[Paid(0), Paid(1), Refund(0), Reverse(1)], [false, false]),
        (
            &[Paid(0), Reverse(0), Reinstate(0), Paid(1), Refund(1)],
            [true, false],
        ),
        (
            &[Paid(0), Reverse(0), Reinstate(0), Paid(1), Reverse(1)],
            [true, false],
        ),
    ];
    for duplicate in ExceptionAction::ALL {
        for (entries, here) in &histories {
            for order in entry_orders(entries) {
                let scene = scene_with(PaymentMethod::Card, &[0, 1], *duplicate).await;
                scene.enter_all(&order).await;
                let case = scene.end().await;
                let held: Vec<bool> = case
                    .attempts
                    .iter()
                    .map(PaymentAttempt::holds_money)
                    .collect();
                assert_eq!(held, here, "{order:?}");
                let money_is_here = here.contains(&true);
                let inside = scene.world.may_enter("thandi").await;
                let queued = case.enrollment.waits_for.is_some();
                // Money for a closed enrollment is late: then a person looks, whatever the rule.
                assert_eq!(inside || queued, money_is_here, "{duplicate}: {order:?}");
                assert!(!inside || money_is_here, "{order:?}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_was_put_out_by_the_school_is_not_let_in_by_other_money() {
    use Entry::{Paid, Refund, Reinstate, Reverse, Revoke};
    let histories: [&[Entry]; 4] = [
        &[Paid(0), Paid(1), Revoke],
        &[Paid(0), Paid(1), Revoke, Refund(0)],
        &[Paid(0), Revoke, Reverse(0), Reinstate(0)],
        &[Paid(0), Paid(1), Revoke, Reverse(1)],
    ];
    for duplicate in ExceptionAction::ALL {
        for entries in histories {
            for order in entry_orders(entries) {
                let scene = scene_with(PaymentMethod::Card, &[0, 1], *duplicate).await;
                let mut revoked = false;
                for entry in &order {
                    revoked |= scene.enter(*entry).await && *entry == Revoke;
                    let inside = scene.world.may_enter("thandi").await;
                    assert!(!(revoked && inside), "{duplicate}: {order:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn all_orders_of_a_purchase_and_two_renewals_give_the_same_end() {
    use coursegate::access::AccessTerms;
    let month = AccessTerms::lasting(std::time::Duration::from_secs(30 * 86_400));
    let mut ends = std::collections::BTreeSet::new();
    for order in entry_orders(&[
        Entry::Paid(1),
        Entry::Paid(2),
        Entry::Paid(1),
        Entry::Paid(2),
    ]) {
        let world = World::new();
        let ask = |cents| {
            let mut asked = request("thandi", PaymentMethod::Card).terms(month.clone());
            asked.price = Money::zar(cents).unwrap();
            asked
        };
        let enrollment = world.ask(ask(100)).await.enrollment;
        let link = async |at: usize| {
            let attempt = world.case(enrollment).await.attempts[at].clone();
            (attempt.reference, attempt.link.unwrap().id)
        };
        world.pay(&link(0).await.1, Choice::Card).await;
        world.ask(ask(90).renew()).await;
        world.ask(ask(80).renew()).await;
        for at in [1, 2] {
            world
                .simulator
                .pay(&link(at).await.1, Choice::Card)
                .unwrap();
        }
        world.simulator.take_callbacks();
        for entry in &order {
            let Entry::Paid(at) = entry else {
                unreachable!()
            };
            let (reference, link) = link(*at).await;
            world
                .receive(&body(link.as_str(), "SUCCESS", reference.as_str()))
                .await;
        }
        let case = world.case(enrollment).await;
        let end = live(&case).filter_map(|grant| grant.expires_at).max();
        let due = |attempt: &&PaymentAttempt| {
            let allocation = attempt.payment.map(|paid| paid.allocation);
            matches!(
                allocation,
                Some(Allocation::RefundDue(_) | Allocation::OnHold(_))
            )
        };
        ends.insert((
            live(&case).count(),
            end,
            case.attempts.iter().filter(due).count(),
        ));
    }
    assert_eq!(ends.len(), 1, "{ends:?}");
    let (grants, end, due) = ends.pop_first().unwrap();
    assert_eq!((grants, due), (2, 1), "a renewal extends once");
    let days = (end.unwrap() - crate::support::start()).num_days();
    assert_eq!(days, 60);
}
