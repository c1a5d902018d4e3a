use coursegate::adapter::simulator::Choice;
use coursegate::enrollment::{Status, Transition};
use coursegate::event::EventKind;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::Outcome;
use coursegate::store::Queries;

use crate::support::{World, admin, body, signed};

/// Approvals and grants in the history of one enrollment.
fn count(history: &[coursegate::event::Event]) -> (usize, usize) {
    let approvals = history
        .iter()
        .filter(|event| {
            matches!(
                event.kind,
                EventKind::EnrollmentMoved {
                    to: Status::Approved { .. },
                    ..
                }
            )
        })
        .count();
    let grants = history
        .iter()
        .filter(|event| matches!(event.kind, EventKind::AccessGranted { .. }))
        .count();
    (approvals, grants)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_duplicates_at_once_a_thousand_times() {
    let world = World::new();
    for round in 0..1000 {
        let (enrollment, reference, link) = world
            .attempt(&format!("learner-{round}"), PaymentMethod::Card)
            .await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.take_callbacks();
        let callback = body(link.as_str(), "SUCCESS", reference.as_str());
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (registrar, delivery) = (world.registrar.clone(), signed(&callback));
                tokio::spawn(async move { registrar.receive(delivery).await })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            let receipt = task.await.unwrap();
            assert_eq!(receipt.http_status(), 200);
            applied += usize::from(receipt.outcome == Outcome::Approved);
        }
        assert_eq!(applied, 1);
        assert_eq!(
            count(&world.store.timeline(enrollment).await.unwrap()),
            (1, 1)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callback_failure_admin_and_return_page_at_once() {
    let world = World::new();
    for round in 0..300 {
        let (enrollment, reference, link) = world
            .attempt(&format!("learner-{round}"), PaymentMethod::Card)
            .await;
        world.simulator.pay(&link, Choice::Card).unwrap();
        world.simulator.take_callbacks();
        let mut tasks = Vec::new();
        for _ in 0..4 {
            for status in ["SUCCESS", "FAILURE"] {
                let registrar = world.registrar.clone();
                let delivery = signed(&body(link.as_str(), status, reference.as_str()));
                tasks.push(tokio::spawn(async move {
                    drop(registrar.receive(delivery).await);
                }));
            }
            let registrar = world.registrar.clone();
            tasks.push(tokio::spawn(async move {
                drop(
                    registrar
                        .admin(admin())
                        .approvals()
                        .approve(enrollment, "")
                        .await,
                );
            }));
            let (registrar, reference) = (world.registrar.clone(), reference.clone());
            tasks.push(tokio::spawn(async move {
                drop(registrar.refresh_payment(&reference).await);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        // What lost every race waits for the worker.
        world.advance(10);
        world.pass().await;
        let case = world.case(enrollment).await;
        assert_eq!(
            case.enrollment.status.to_string(),
            "approved(automatic_declared_card)"
        );
        assert_eq!(case.grants.len(), 1);
        let history = world.store.timeline(enrollment).await.unwrap();
        let (_, grants) = count(&history);
        assert_eq!(grants, 1);
        let raised = |kind: &EventKind| {
            matches!(
                kind,
                EventKind::EnrollmentMoved {
                    transition: Transition::CauseRaised,
                    ..
                }
            )
        };
        assert!(history.iter().filter(|event| raised(&event.kind)).count() <= 1);
        let versions: std::collections::BTreeSet<_> =
            history.iter().map(|event| event.version).collect();
        assert_eq!(
            versions.len(),
            usize::try_from(case.enrollment.version.0).unwrap(),
            "an event for each change"
        );
    }
}
