//! Money and access that somebody, or something, brought out of step.

use coursegate::access::{AccessTerms, Grant, GrantSource, GrantState};
use coursegate::adapter::simulator::Choice;
use coursegate::enrollment::{Case, Status};
use coursegate::event::EventKind;
use coursegate::payment::{Allocation, AttemptStatus, PaymentMethod, Reversal};
use coursegate::reconciliation::DiscrepancyKind;
use coursegate::registrar::{NewGrant, ReconciliationReport};
use coursegate::store::{Change, CommitOutcome, PageRequest, Store};
use coursegate::{CourseId, IdGenerator, LearnerId, PaymentReference};

use crate::support::{World, admin, config, course, learner, start};

async fn reconcile(world: &World) -> ReconciliationReport {
    let desk = world.registrar.admin(admin());
    let mut all = ReconciliationReport::default();
    let mut from = None;
    loop {
        let part = desk.operations().reconcile(from, 2).await.unwrap();
        all.looked_at += part.looked_at;
        all.repaired.extend(part.repaired);
        all.discrepancies.extend(part.discrepancies);
        from = part.next;
        if from.is_none() {
            return all;
        }
    }
}

/// Somebody's approved card payment.
async fn paid(world: &World, name: &str) -> Case {
    let (enrollment, _, link) = world.attempt(name, PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter(name).await);
    world.case(enrollment).await
}

/// Writes what no use case would.
async fn tamper(world: &World, case: &Case, change: impl FnOnce(&mut Case)) {
    let mut tampered = case.clone();
    change(&mut tampered);
    let mut written = Change::default();
    written.expected = Some(case.enrollment.version);
    written.enrollment = Some(tampered.enrollment);
    if let Some(enrollment) = &mut written.enrollment {
        enrollment.version = enrollment.version.next();
    }
    written.attempts = tampered.attempts;
    written.grants = tampered.grants;
    assert_eq!(
        world.store.commit(written).await.unwrap(),
        CommitOutcome::Done
    );
}

fn kinds(report: &ReconciliationReport) -> Vec<DiscrepancyKind> {
    report
        .discrepancies
        .iter()
        .map(|discrepancy| discrepancy.kind)
        .collect()
}

#[tokio::test]
async fn where_everything_agrees_there_is_nothing_to_say() {
    let world = World::new();
    paid(&world, "thandi").await;
    world.attempt("sipho", PaymentMethod::Card).await;
    let (held, _, link) = world.attempt("naledi", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(held, "")
        .await
        .unwrap();
    let ahead = world.enroll("lerato", PaymentMethod::Card).await.enrollment;
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(ahead, "pays in cash")
        .await
        .unwrap();
    world.enroll("pieter", PaymentMethod::BankTransfer).await;
    let free = NewGrant {
        learner: learner("zanele"),
        course: course(),
        terms: AccessTerms::default(),
    };
    world
        .registrar
        .admin(admin())
        .learners()
        .grant(free, "")
        .await
        .unwrap();
    let report = reconcile(&world).await;
    assert_eq!(
        (report.looked_at, report.repaired.len(), kinds(&report)),
        (6, 0, vec![])
    );
}

#[tokio::test]
async fn money_without_access_gets_its_access_once() {
    let world = World::new();
    let case = paid(&world, "thandi").await;
    // Its grant is lost: the payment it rests on was overwritten by hand.
    tamper(&world, &case, |case| {
        let by = admin();
        case.grants[0].source = GrantSource::Admin { by };
        case.grants[0].state = GrantState::Ended {
            at: start(),
            why: coursegate::access::EndReason::Revoked,
        };
    })
    .await;
    assert!(!world.may_enter("thandi").await);
    let report = reconcile(&world).await;
    assert_eq!(report.repaired, [case.enrollment.id]);
    assert_eq!(kinds(&report), []);
    assert!(world.may_enter("thandi").await);
    let mended = world.case(case.enrollment.id).await;
    assert_eq!(mended.grants.len(), 2);
    let history = world
        .registrar
        .admin(admin())
        .approvals()
        .explain(case.enrollment.id)
        .await
        .unwrap()
        .history;
    let granted = |kind: &EventKind| matches!(kind, EventKind::AccessGranted { .. });
    assert_eq!(
        history.iter().filter(|event| granted(&event.kind)).count(),
        2
    );
    assert!(
        reconcile(&world).await.repaired.is_empty(),
        "once is enough"
    );
}

#[tokio::test]
async fn access_that_a_person_ended_is_not_given_back() {
    let world = World::new();
    let case = paid(&world, "thandi").await;
    let desk = world.registrar.admin(admin());
    desk.learners()
        .revoke(case.grants[0].id, "misconduct")
        .await
        .unwrap();
    let report = reconcile(&world).await;
    assert_eq!((report.repaired.len(), kinds(&report)), (0, vec![]));
    assert!(!world.may_enter("thandi").await);
}

#[tokio::test]
async fn access_whose_money_went_back_is_ended_or_suspended() {
    for status in [AttemptStatus::Refunded, AttemptStatus::Reversed] {
        let world = World::new();
        let case = paid(&world, "thandi").await;
        tamper(&world, &case, |case| {
            case.attempts[0].status = status;
            if let Some(payment) = &mut case.attempts[0].payment {
                payment.allocation = Allocation::Refunded;
            }
        })
        .await;
        let report = reconcile(&world).await;
        assert_eq!(
            (report.repaired.len(), kinds(&report)),
            (1, vec![]),
            "{status}"
        );
        assert!(!world.may_enter("thandi").await);
        let grant = world.case(case.enrollment.id).await.grants[0].state;
        match status {
            AttemptStatus::Reversed => {
                assert!(matches!(
                    grant,
                    GrantState::Suspended {
                        why: Reversal::Reversed,
                        ..
                    }
                ));
            }
            _ => assert!(matches!(grant, GrantState::Ended { .. })),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_mended_safely_is_put_before_a_person() {
    let world = World::new();
    let unpaid = paid(&world, "thandi").await;
    tamper(&world, &unpaid, |case| {
        case.attempts[0].status = AttemptStatus::LinkReady;
        case.attempts[0].payment = None;
    })
    .await;
    paid(&world, "sipho").await;
    let stray = Grant::new(
        IdGenerator::new(start()).grant(),
        (learner("mallory"), course()),
        None,
        GrantSource::Payment {
            payment: PaymentReference::new("CG-MADE-UP").unwrap(),
        },
        &AccessTerms::default(),
        start(),
    );
    let mut change = Change::default();
    change.grants = vec![stray];
    world.store.commit(change).await.unwrap();
    let named = world.enroll("lerato", PaymentMethod::Card).await.enrollment;
    let named = world.case(named).await;
    tamper(&world, &named, |case| {
        case.enrollment.status = Status::Approved {
            cause: coursegate::reason::ApprovalCause::ManualAdminApproval,
        };
    })
    .await;

    let report = reconcile(&world).await;
    let mut found = kinds(&report);
    found.sort_unstable();
    let expected = [
        DiscrepancyKind::AccessWithoutMoney,
        DiscrepancyKind::AccessWithoutMoney,
        DiscrepancyKind::ApprovedWithoutAccess,
    ];
    assert_eq!(found, expected);
    assert!(report.repaired.is_empty());
    // A second reconciliation raises nothing new, and the list shows each once.
    reconcile(&world).await;
    let desk = world.registrar.admin(admin());
    let listed = desk
        .operations()
        .discrepancies(PageRequest::first(10))
        .await
        .unwrap()
        .items;
    assert_eq!(listed.len(), 3);
    assert!(
        listed
            .iter()
            .all(|discrepancy| !discrepancy.kind.advice().is_empty())
    );
    world.pass().await;
    let raised = |kind: &EventKind| matches!(kind, EventKind::DiscrepancyFound { .. });
    let published = world.publisher.published();
    assert_eq!(
        published.iter().filter(|event| raised(&event.kind)).count(),
        3
    );

    // Whoever is behind it says so, and it is not raised again as long as nothing changes.
    let about = listed
        .iter()
        .find(|discrepancy| discrepancy.enrollment == Some(unpaid.enrollment.id));
    desk.operations()
        .close_discrepancy(&about.unwrap().key, "a scholarship")
        .await
        .unwrap();
    assert_eq!(reconcile(&world).await.discrepancies.len(), 2);
    assert_eq!(
        desk.operations()
            .discrepancies(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

#[tokio::test]
async fn a_grant_for_somebody_else_is_found() {
    let world = World::new();
    let case = paid(&world, "thandi").await;
    let mut given = case.clone();
    given.grants[0].course = CourseId::new("another").unwrap();
    given.grants[0].learner = LearnerId::new("mallory").unwrap();
    let found = coursegate::reconciliation::reconcile(&given, config().approval_sla, start());
    assert_eq!(found[0].kind, DiscrepancyKind::GrantDiffers);
}

#[tokio::test]
async fn who_waits_too_long_is_shown_until_somebody_decides() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::InstantEft).await;
    world.pay(&link, Choice::InstantEft).await;
    world.advance(3 * 24 * 3600);
    assert_eq!(kinds(&reconcile(&world).await), []);
    world.advance(1);
    assert_eq!(
        kinds(&reconcile(&world).await),
        [DiscrepancyKind::PendingTooLong]
    );
    let desk = world.registrar.admin(admin());
    assert_eq!(
        desk.operations()
            .discrepancies(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    desk.approvals().approve(enrollment, "").await.unwrap();
    assert!(
        desk.operations()
            .discrepancies(PageRequest::first(10))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(kinds(&reconcile(&world).await), []);
}

#[tokio::test]
async fn the_worker_audits_every_day_in_turns_and_sets_lost_timers_again() {
    let world = World::new();
    // Open payments whose timers are lost: a backup was brought back without them.
    let mut wants = Vec::new();
    for number in 0..3 {
        let (id, ..) = world
            .attempt(&format!("learner-{number}"), PaymentMethod::Card)
            .await;
        let case = world.case(id).await;
        let mut change = Change::default();
        let lost = [
            coursegate::enrollment::TimerKey::Enrollment(id),
            coursegate::enrollment::TimerKey::Attempt(case.attempts[0].reference.clone()),
        ];
        change.timers = lost
            .map(|key| coursegate::enrollment::Timer { key, due_at: None })
            .to_vec();
        world.store.commit(change).await.unwrap();
        wants.push(id);
    }
    world.pass().await;
    world.advance(3600);
    assert_eq!(world.pass().await.asked, 0, "nobody thinks of them");
    world.advance(23 * 3600);
    assert!(world.pass().await.jobs >= 1);
    let mut passes = 0;
    for _ in 0..9 {
        world.advance(24 * 3600);
        for _ in 0..5 {
            passes += world.pass().await.asked;
        }
    }
    assert!(passes > 10, "{passes}");
    for id in wants {
        assert_eq!(world.case(id).await.enrollment.status, Status::Expired);
    }
}
