//! Who may do what, that trying the rest leaves an event, and what takes two people.

use std::collections::BTreeMap;

use coursegate::access::AccessTerms;
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::Status;
use coursegate::event::{Actor, EventKind};
use coursegate::notice::NoticeKind;
use coursegate::payment::{PaymentMethod, Reversal};
use coursegate::reason::Permission;
use coursegate::registrar::{BulkOutcome, ErrorKind, NewGrant, TransferMatch};
use coursegate::statement::Matcher;
use coursegate::store::{InboxFilter, PageRequest, PaymentFilter, Queries, RowFilter};
use coursegate::{AdminId, EnrollmentId, Error, EventId, GrantId, Money, PaymentReference};

use crate::scene::{account, imported};
use crate::support::{World, admin, config, course, learner};

/// People with one permission each, named like it.
fn world() -> World {
    World::with(Settings::new(1), config(), |builder| {
        builder.permissions(|person: &AdminId, what: Permission| {
            person.as_str() == what.as_str() || person.as_str() == "nomsa"
        })
    })
}

fn person(name: &str) -> AdminId {
    AdminId::new(name).unwrap()
}

/// Every call of the desk, and the permission that it needs.
async fn try_everything(
    world: &World,
    who: &AdminId,
) -> BTreeMap<&'static str, (Permission, bool)> {
    let desk = world.registrar.admin(who.clone());
    let id = EnrollmentId::from_uuid(uuid::Uuid::from_u128(1));
    let payment = PaymentReference::new("CG-NOBODYS").unwrap();
    let grant = GrantId::from_uuid(uuid::Uuid::from_u128(2));
    let period = coursegate::store::Period {
        from: crate::support::start(),
        until: crate::support::start(),
        offset: chrono::FixedOffset::east_opt(7200).unwrap(),
    };
    let day = crate::support::start().date_naive();
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms::default(),
    };
    let mut tried = BTreeMap::new();
    macro_rules! attempt {
        ($($permission:ident $name:literal $call:expr;)*) => {$(
            let refused = matches!($call.await.map(drop), Err(Error::Forbidden(Permission::$permission)));
            tried.insert($name, (Permission::$permission, !refused));
        )*};
    }
    let first = 5;
    attempt! {
        View "pending" desk.approvals().pending(PageRequest::first(first));
        View "explain" desk.approvals().explain(id);
        View "payments" desk.payments().list(&PaymentFilter::default(), PageRequest::first(first));
        View "days" desk.payments().days(period, None);
        View "courses" desk.payments().courses(period, PageRequest::first(first));
        View "inbox" desk.operations().inbox(InboxFilter::Dead, PageRequest::first(first));
        View "unassigned" desk.operations().unassigned(PageRequest::first(first));
        View "payment_exceptions" desk.payments().exceptions(PageRequest::first(first));
        View "statement" desk.statements().list(RowFilter::Open, PageRequest::first(first));
        View "matcher" desk.statements().matcher();
        View "suggestions" desk.statements().suggestions(&Matcher::new(Vec::new()), PageRequest::first(1));
        View "accounts" desk.statements().accounts();
        View "statement_rows" desk.statements().rows(&[]);
        View "rehearse_import" desk.statements().rehearse(&account(), &[]);
        View "discrepancies" desk.operations().discrepancies(PageRequest::first(first));
        View "verify_audit_log" desk.audit_log().verify(None);
        View "export_events" desk.audit_log().export(PageRequest::first(first));
        View "preferences" desk.notices().preferences();
        View "choose_channels" desk.notices().choose_channels(BTreeMap::new());
        View "notices" desk.notices().list(true, PageRequest::first(first));
        View "read_notices" desk.notices().mark_read(&[EventId::from_uuid(uuid::Uuid::from_u128(3))]);
        Approve "approve" desk.approvals().approve(id, "");
        Approve "reject" desk.approvals().reject(id, "no");
        Approve "import_statement" desk.statements().import(&account(), &[]);
        Approve "close_row" desk.statements().close(&"x".into(), "");
        Approve "tell_apart" desk.statements().tell_apart(&"x".into(), "");
        Approve "close_repeats" desk.statements().close_repeats(&["x".into()]);
        Refund "record_refund" desk.refunds().record(&payment, "");
        Refund "record_partial_refund" desk.refunds().record_partial(&payment, Money::zar(1).unwrap(), "");
        Refund "request_refund" desk.refunds().request(&payment, None, "");
        Refund "forget_refund_request" desk.refunds().forget_request(&payment, "");
        Refund "record_reversal" desk.refunds().record_reversal(&payment, Reversal::Reversed, "");
        Refund "record_reinstatement" desk.refunds().record_reinstatement(&payment, "");
        Approve "approve_shown" desk.approvals().approve_shown(id, coursegate::enrollment::Version(1), "");
        Override "approve_override" desk.approvals().approve_override(id, "");
        Override "grant" desk.learners().grant(new, "");
        Override "revoke" desk.learners().revoke(grant, "");
        Override "bring_over" desk.learners().bring_over(&[]);
        View "learner_grants" desk.learners().grants(&learner("thandi"));
        View "export_payments" desk.payments().export(&PaymentFilter::default(), PageRequest::first(first));
        View "learner_timeline" desk.learners().timeline(&learner("thandi"));
        View "export_learner" desk.learners().export(&learner("thandi"));
        Configure "erase_learner" desk.learners().erase(&learner("thandi"));
        Replay "replay" desk.operations().replay(&"x".into());
        Replay "sync_payments" desk.payments().sync(&PaymentFilter::default(), PageRequest::first(first));
        Replay "reconcile" desk.operations().reconcile(None, first);
        Replay "sync_history" desk.payments().sync_history(day, day);
        Replay "close_discrepancy" desk.operations().close_discrepancy(&"x".into(), "");
    }
    #[cfg(feature = "statements")]
    attempt! {
        View "preview_statement" desk.statements().preview(&account(), b"Date,Amount\n", None);
    }
    let bulk = desk.approvals().approve_all(&[id], "", false).await;
    let refused = |why: &str| why.contains("permission");
    let bulk = matches!(&bulk[0].outcome, BulkOutcome::Failed(why) if refused(why));
    tried.insert("approve_all", (Permission::Approve, !bulk));
    let rows = desk
        .statements()
        .approve(&[TransferMatch::new("x".into(), payment)], "")
        .await;
    let rows = rows[0].problem.as_deref().is_some_and(refused);
    tried.insert("approve_rows", (Permission::Approve, !rows));
    tried
}

#[tokio::test]
async fn nobody_does_more_than_they_may() {
    for permission in Permission::ALL {
        let world = world();
        let who = person(permission.as_str());
        let tried = try_everything(&world, &who).await;
        for (call, (needed, done)) in &tried {
            assert_eq!(
                *done,
                needed == permission,
                "{call} by somebody who may {permission}"
            );
        }
        // Each refusal left an event of who tried what.
        let events = world
            .store
            .unassigned(PageRequest::first(500))
            .await
            .unwrap();
        let refusals = events.items.iter().filter(|event| {
            matches!(event.kind, EventKind::ActionRefused { .. })
                && event.who == Actor::Admin(who.clone())
        });
        let refused = tried.values().filter(|(_, done)| !done).count();
        assert_eq!(refusals.count(), refused, "{permission}");
    }
    // Every call of every handle is here.
    let folder = format!("{}/src/registrar/admin", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.unwrap().path();
        let is_off = path.ends_with("preview.rs") && cfg!(not(feature = "statements"));
        (!is_off).then(|| std::fs::read_to_string(path).unwrap())
    };
    let source: String = files.filter_map(read).collect();
    let handles = "Approvals Payments Refunds Statements Learners AuditLog Operations Notices";
    let source: String = handles
        .split(' ')
        .flat_map(|handle| {
            let start = format!("impl {handle}<'_> {{");
            let blocks = source.split(&start).skip(1);
            blocks.map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|block| block.split("\n}\n").next().unwrap().to_owned())
        .collect();
    let calls = source.matches("    pub async fn ").count();
    assert_eq!(calls, try_everything(&world(), &admin()).await.len());
}

#[tokio::test]
async fn refusals_do_not_fill_the_store() {
    let world = world();
    let stranger = world.registrar.admin(person("stranger"));
    for _ in 0..500 {
        let error = stranger
            .approvals()
            .approve(EnrollmentId::from_uuid(uuid::Uuid::nil()), "")
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.kind().http_status()),
            (ErrorKind::Forbidden, 403)
        );
        assert_eq!(
            error.to_string(),
            "this needs the permission to approve; ask whoever gives out roles"
        );
    }
    let events = world
        .store
        .unassigned(PageRequest::first(500))
        .await
        .unwrap();
    assert_eq!(
        events.items.len(),
        61,
        "at most so many an hour, and that a flood began"
    );
    world.advance(3600);
    stranger.operations().replay(&"x".into()).await.unwrap_err();
    let events = world
        .store
        .unassigned(PageRequest::first(500))
        .await
        .unwrap();
    let last = &events.items.last().unwrap().kind;
    assert!(matches!(
        last,
        EventKind::ActionRefused {
            permission: Permission::Replay,
            unrecorded: 440
        }
    ));
}

fn careful(above: i64) -> World {
    let mut config = config();
    config.rules.dual_approval_above = Some(above);
    World::with(Settings::new(1), config, |builder| builder)
}

#[tokio::test]
async fn what_is_dear_is_approved_by_two() {
    let world = careful(49_899);
    let id = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let (nomsa, sipho) = (
        world.registrar.admin(admin()),
        world.registrar.admin(person("sipho")),
    );
    world.advance(60);
    let waiting = nomsa
        .approvals()
        .approve(id, "seen on the statement")
        .await
        .unwrap();
    assert!(matches!(waiting, Status::AwaitingApproval { .. }));
    assert!(!world.may_enter("thandi").await);
    let again = nomsa.approvals().approve(id, "").await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert!(
        again.to_string().contains("a second person has to"),
        "{again}"
    );
    let notices = sipho
        .notices()
        .list(true, PageRequest::first(10))
        .await
        .unwrap();
    assert_eq!(
        notices.items[0].notice.headline(),
        "A second person has to approve."
    );
    assert_eq!(notices.items[0].notice.kind, NoticeKind::ApprovalNeeded);
    // In bulk, too; and a dry run changes nothing.
    let dry = nomsa.approvals().approve_all(&[id], "", true).await;
    assert!(matches!(&dry[0].outcome, BulkOutcome::Failed(_)));
    let bulk = sipho.approvals().approve_all(&[id], "", true).await;
    assert_eq!(bulk[0].outcome, BulkOutcome::Approved);
    assert!(!world.may_enter("thandi").await);
    assert!(matches!(
        sipho.approvals().approve(id, "").await.unwrap(),
        Status::Approved { .. }
    ));
    assert!(world.may_enter("thandi").await);
    // Who approved what is in the history.
    let timeline = world.store.timeline(id).await.unwrap();
    let who: Vec<_> = timeline
        .iter()
        .filter(|event| {
            matches!(event.kind, EventKind::FirstApproval)
                || matches!(
                    &event.kind,
                    EventKind::EnrollmentMoved {
                        to: Status::Approved { .. },
                        ..
                    }
                )
        })
        .map(|event| event.who.clone())
        .collect();
    assert_eq!(who, [Actor::Admin(admin()), Actor::Admin(person("sipho"))]);
}

#[tokio::test]
async fn one_approval_is_void_when_things_move_on() {
    let world = careful(0);
    let id = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    let (nomsa, sipho) = (
        world.registrar.admin(admin()),
        world.registrar.admin(person("sipho")),
    );
    nomsa.approvals().approve(id, "").await.unwrap();
    sipho.approvals().reject(id, "no money came").await.unwrap();
    world.enroll("thandi", PaymentMethod::BankTransfer).await;
    let bulk = sipho.approvals().approve_all(&[id], "", false).await;
    assert_eq!(bulk[0].outcome, BulkOutcome::AwaitsSecond);
    assert!(!world.may_enter("thandi").await);
    nomsa.approvals().approve(id, "").await.unwrap();
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn cheap_courses_and_cards_need_no_second_person() {
    let world = careful(49_900);
    let id = world
        .enroll("thandi", PaymentMethod::BankTransfer)
        .await
        .enrollment;
    world
        .registrar
        .admin(admin())
        .approvals()
        .approve(id, "")
        .await
        .unwrap();
    assert!(
        world.may_enter("thandi").await,
        "it costs no more than the limit"
    );
    let world = careful(0);
    let (_, _, link) = world.attempt("sipho", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    assert!(
        world.may_enter("sipho").await,
        "evidence approves, not a person"
    );
}

#[cfg(feature = "statements")]
#[tokio::test]
async fn a_row_of_a_statement_stays_open_for_the_second_person() {
    use coursegate::registrar::NextStep;
    use coursegate::statement::{Mapping, parse_csv};

    let world = careful(0);
    let enrolled = world.enroll("thandi", PaymentMethod::BankTransfer).await;
    let NextStep::Transfer { reference, .. } = enrolled.next else {
        panic!("no transfer")
    };
    let csv = format!("date,amount,reference\n2026-01-31,499.00,{reference}\n");
    let rows = parse_csv(
        csv.as_bytes(),
        &Mapping::new("date", "amount").reference("reference"),
        chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap(),
    )
    .unwrap();
    let (nomsa, sipho) = (
        world.registrar.admin(admin()),
        world.registrar.admin(person("sipho")),
    );
    let row = imported(&world.registrar, rows.rows[0].clone()).await;
    let pair = [TransferMatch::new(row, reference)];
    let first = nomsa.statements().approve(&pair, "").await;
    assert_eq!(
        first[0].problem.as_deref(),
        Some("approved by you; a second person has to approve this row too")
    );
    assert!(!world.may_enter("thandi").await);
    assert!(
        nomsa.statements().approve(&pair, "").await[0]
            .problem
            .is_some()
    );
    assert_eq!(sipho.statements().approve(&pair, "").await[0].problem, None);
    assert!(world.may_enter("thandi").await);
}
