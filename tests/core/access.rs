use std::collections::BTreeSet;
use std::time::Duration;

use coursegate::access::{
    AccessDecision, AccessLevel, AccessRequest, AccessTerms, DenyReason, EndReason, Grant,
    GrantSource, RequestContext, ResourceKind, ResourceKinds, Restriction, RestrictionKind,
    StandardAccess, decide,
};
use coursegate::adapter::simulator::Choice;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::NewGrant;
use coursegate::{Error, IdGenerator};

use crate::support::{World, admin, course, learner, start, visitor};

fn grant(terms: &AccessTerms) -> Grant {
    let source = GrantSource::Admin { by: admin() };
    Grant::new(
        IdGenerator::new(start()).grant(),
        (learner("thandi"), course()),
        None,
        source,
        terms,
        start(),
    )
}

fn ask(grants: &[Grant], question: &AccessRequest) -> AccessDecision {
    decide(grants, question, &StandardAccess, start())
}

fn question(kind: ResourceKind) -> AccessRequest {
    AccessRequest::new(learner("thandi"), course(), kind)
}

#[allow(clippy::needless_pass_by_value, reason = "takes what a call gives")]
fn reason(decision: AccessDecision) -> DenyReason {
    match decision {
        AccessDecision::Deny { reason } => reason,
        AccessDecision::Allow { .. } => panic!("let in"),
    }
}

#[test]
fn levels_open_what_they_say() {
    use AccessLevel as L;
    use ResourceKind as K;
    let allowed = |level, kind| {
        ask(
            &[grant(&AccessTerms {
                level,
                ..AccessTerms::default()
            })],
            &question(kind),
        )
        .is_allowed()
    };
    for kind in ResourceKind::ALL {
        assert!(allowed(L::Full, *kind) && !allowed(L::None, *kind) && !allowed(L::Preview, *kind));
        assert_eq!(
            allowed(L::Limited, *kind),
            matches!(kind, K::Lesson | K::Resource | K::Quiz)
        );
    }
    let preview = grant(&AccessTerms {
        level: L::Preview,
        ..AccessTerms::default()
    });
    assert!(
        ask(
            std::slice::from_ref(&preview),
            &question(K::Lesson).preview()
        )
        .is_allowed()
    );
    assert!(!ask(&[preview], &question(K::Quiz).preview()).is_allowed());
}

#[test]
fn kinds_open_what_they_say() {
    let lessons = grant(&AccessTerms {
        kinds: ResourceKinds::only([ResourceKind::Lesson]),
        ..AccessTerms::default()
    });
    assert!(
        ask(
            std::slice::from_ref(&lessons),
            &question(ResourceKind::Lesson)
        )
        .is_allowed()
    );
    assert_eq!(
        reason(ask(&[lessons], &question(ResourceKind::Quiz))),
        DenyReason::KindNotCovered
    );
}

#[test]
fn restrictions_deny_what_is_not_stated() {
    let restricted = |restriction| {
        grant(&AccessTerms {
            restrictions: vec![restriction],
            ..AccessTerms::default()
        })
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let context = |device: Option<&str>, ip: Option<&str>, feature: Option<&str>| RequestContext {
        device: device.map(Into::into),
        ip: ip.map(|ip| ip.parse().unwrap()),
        feature: feature.map(Into::into),
    };
    let hour = chrono::Duration::hours(1);
    let nets = |text: &str| Restriction::Ip(vec![text.parse().unwrap()]);
    let cases = [
        (
            Restriction::Time {
                from: Some(start()),
                until: Some(start() + hour),
            },
            RequestContext::default(),
            true,
        ),
        (
            Restriction::Time {
                from: None,
                until: Some(start()),
            },
            RequestContext::default(),
            false,
        ),
        (
            Restriction::Device(set(&["tablet"])),
            context(Some("tablet"), None, None),
            true,
        ),
        (
            Restriction::Device(set(&["tablet"])),
            context(Some("phone"), None, None),
            false,
        ),
        (
            Restriction::Device(set(&["tablet"])),
            RequestContext::default(),
            false,
        ),
        (
            nets("10.1.0.0/16"),
            context(None, Some("10.1.2.3"), None),
            true,
        ),
        (
            nets("10.1.0.0/16"),
            context(None, Some("::ffff:10.1.2.3"), None),
            true,
        ),
        (
            nets("10.1.0.0/16"),
            context(None, Some("10.2.0.1"), None),
            false,
        ),
        (
            nets("2001:db8::/32"),
            context(None, Some("2001:db8::1"), None),
            true,
        ),
        (
            nets("0.0.0.0/0"),
            context(None, Some("2001:db8::1"), None),
            false,
        ),
        (
            nets("10.1.2.3"),
            context(None, Some("10.1.2.4"), None),
            false,
        ),
        (nets("10.1.0.0/16"), RequestContext::default(), false),
        (
            Restriction::Feature(set(&["video"])),
            context(None, None, Some("video")),
            true,
        ),
        (
            Restriction::Feature(set(&["video"])),
            context(None, None, Some("download")),
            false,
        ),
    ];
    for (restriction, context, expected) in cases {
        let what = format!("{restriction:?} {context:?}");
        let decision = ask(
            &[restricted(restriction)],
            &question(ResourceKind::Lesson).from(context),
        );
        assert_eq!(decision.is_allowed(), expected, "{what}");
    }
    let reason = reason(ask(
        &[restricted(nets("10.0.0.0/8"))],
        &question(ResourceKind::Lesson),
    ));
    assert_eq!(
        reason,
        DenyReason::Restricted {
            what: RestrictionKind::Ip
        }
    );
}

#[test]
fn a_restriction_this_version_does_not_know_denies_and_is_kept() {
    let stored = r#"{"type":"moon_phase","allowed":["full"]}"#;
    let unknown: Restriction = serde_json::from_str(stored).unwrap();
    assert!(matches!(unknown, Restriction::Unknown(_)));
    assert_eq!(
        serde_json::to_value(&unknown).unwrap(),
        serde_json::from_str::<serde_json::Value>(stored).unwrap()
    );
    let odd: Restriction =
        serde_json::from_str(r#"{"type":"ip","allowed":["10.0.0.0/99"]}"#).unwrap();
    for restriction in [unknown, odd] {
        let grant = grant(&AccessTerms {
            restrictions: vec![restriction],
            ..AccessTerms::default()
        });
        assert_eq!(
            reason(ask(&[grant], &question(ResourceKind::Lesson))),
            DenyReason::UnknownRestriction
        );
    }
    let known = Restriction::Ip(vec!["10.0.0.0/8".parse().unwrap()]);
    let json = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<Restriction>(&json).unwrap(), known);
}

#[test]
fn a_grant_of_another_learner_or_course_never_counts() {
    let grants = [grant(&AccessTerms::default())];
    let other = AccessRequest::new(learner("sipho"), course(), ResourceKind::Lesson);
    assert_eq!(reason(ask(&grants, &other)), DenyReason::NoGrant);
}

#[tokio::test]
async fn access_is_the_union_and_ending_one_grant_leaves_the_others() {
    let world = World::new();
    let (enrollment, _, link) = world.attempt("thandi", PaymentMethod::Card).await;
    world.pay(&link, Choice::Card).await;
    let paid = world.case(enrollment).await.grants[0].id;
    let desk = world.registrar.admin(admin());
    let terms = AccessTerms::lasting(Duration::from_secs(3600));
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms,
    };
    let bursary = desk.learners().grant(new, "bursary").await.unwrap();

    desk.learners().revoke(paid, "wrong course").await.unwrap();
    assert!(world.may_enter("thandi").await);
    desk.learners().revoke(bursary.id, "over").await.unwrap();
    assert_eq!(
        reason(world.access("thandi").await),
        DenyReason::Ended {
            why: EndReason::Revoked
        }
    );
    assert!(matches!(
        desk.learners().revoke(bursary.id, "again").await,
        Err(Error::Refused(_))
    ));
    assert!(matches!(
        desk.learners().revoke(paid, "again").await,
        Err(Error::Refused(_))
    ));
}

#[tokio::test]
async fn a_grant_expires_by_the_clock() {
    let world = World::new();
    let terms = AccessTerms::lasting(Duration::from_secs(3600));
    let new = NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms,
    };
    world
        .registrar
        .admin(admin())
        .learners()
        .grant(new, "from the old system")
        .await
        .unwrap();
    world.advance(3599);
    assert!(world.may_enter("thandi").await);
    world.advance(1);
    assert!(matches!(
        reason(world.access("thandi").await),
        DenyReason::Expired { .. }
    ));
}

#[tokio::test]
async fn the_course_card_says_what_to_do_in_every_state() {
    let world = World::new();
    let text = async |name: Option<&str>| {
        let visitor = name.map(visitor);
        let card = world
            .registrar
            .learner_card(visitor.as_ref(), &course())
            .await
            .unwrap();
        assert!(!card.message.is_empty() && !card.reason.is_empty());
        format!("{}|{}|{}", card.text, card.action, card.disabled)
    };
    assert_eq!(text(None).await, "Register To Enroll|register|false");
    assert_eq!(text(Some("thandi")).await, "Enroll Now|enroll|false");
    let (_, reference, link) = world.attempt("thandi", PaymentMethod::Card).await;
    assert_eq!(text(Some("thandi")).await, "Enroll Now|pay|false");
    world.pay(&link, Choice::Decline).await;
    assert_eq!(text(Some("thandi")).await, "Retry payment|pay|false");
    // Signed, and not confirmed yet.
    world
        .receive(&crate::support::body(
            link.as_str(),
            "SUCCESS",
            reference.as_str(),
        ))
        .await;
    assert_eq!(text(Some("thandi")).await, "Confirming\u{2026}|wait|true");
    world.simulator.pay(&link, Choice::Card).unwrap();
    world.advance(10);
    world.pass().await;
    assert_eq!(text(Some("thandi")).await, "Continue Course|open|false");
    world.enroll("sipho", PaymentMethod::BankTransfer).await;
    assert_eq!(text(Some("sipho")).await, "Pending Approval|wait|true");
}
