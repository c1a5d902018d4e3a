//! Money buys exactly what was offered for it.

use crate::scene::{DAY, begin, bought, by, full, imported, limited, live, offer, suggested};
use crate::support::{World, admin, carrying, config, course, learner};
use coursegate::access::{
    AccessDecision, AccessLevel, AccessTerms, Grant, GrantSource, Network, ResourceKind,
    ResourceKinds, Restriction,
};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::approval::CheckName;
use coursegate::enrollment::Status;
use coursegate::payment::{Allocation, PaymentMethod, Purpose};
use coursegate::reason::{ExceptionAction, HoldReason};
use coursegate::registrar::{BulkOutcome, NewGrant, NextStep, Outcome, TransferMatch};
use coursegate::store::PageRequest;
use coursegate::{Email, Money, Title};

#[tokio::test]
async fn a_cheap_link_gives_the_cheap_offer_whatever_is_asked_later() {
    for (dear_first, sum) in [(false, 10), (true, 5_000)] {
        let world = World::new();
        let (cheap, dear) = (offer(10, limited(1)), offer(5_000, AccessTerms::default()));
        let (first, second) = match dear_first {
            false => (cheap, dear),
            true => (dear, cheap),
        };
        let (id, reference, link) = begin(&world, first.clone()).await;
        let (_, other, _) = begin(&world, second).await;
        assert_ne!(other, reference, "other terms are another attempt");
        assert_eq!(
            world.pay(&link, Choice::Card).await[0].outcome,
            Outcome::Approved
        );
        let case = world.case(id).await;
        let grants = live(&case);
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].level, first.terms.level);
        let lasting = grants[0]
            .expires_at
            .map(|end| (end - grants[0].starts_at).num_seconds());
        assert_eq!(
            lasting,
            first
                .terms
                .seconds
                .map(|seconds| seconds.try_into().unwrap())
        );
        assert_eq!(case.attempts[0].amount, Money::zar(sum * 100).unwrap());
        assert_eq!(carrying(&case), [reference]);
    }
}

#[tokio::test]
async fn a_bank_reference_gives_what_it_was_given_for() {
    for seen_on_a_statement in [false, true] {
        let world = World::new();
        let transfer = |rand, terms| by(PaymentMethod::BankTransfer, rand, terms);
        let first = world.ask(transfer(10, limited(1))).await;
        world.ask(transfer(5_000, AccessTerms::default())).await;
        let case = world.case(first.enrollment).await;
        let desk = world.registrar.admin(admin());
        // The newest is what an admin approves; a row of the statement says which it is.
        let (at, level) = match seen_on_a_statement {
            true => (0, AccessLevel::Limited),
            false => (1, AccessLevel::Full),
        };
        if seen_on_a_statement {
            let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 31).unwrap();
            let paid = Money::zar(1_000).unwrap();
            let row = coursegate::statement::StatementRow::new(
                day,
                paid,
                case.attempts[at].reference.as_str(),
                "",
            );
            let row = imported(&world.registrar, row).await;
            let suggestion = suggested(&world.registrar).await.remove(0);
            assert_eq!(suggestion.payment, case.attempts[at].reference);
            assert!(suggestion.amount_fits, "compared with its own offer");
            assert!(suggestion.other_offer.is_some(), "another offer is open");
            let pairs = [TransferMatch::new(row, suggestion.payment)];
            let done = desk.statements().approve(&pairs, "").await.remove(0);
            assert_eq!(done.problem, None);
            assert_eq!(done.other_offer, suggestion.other_offer);
        } else {
            desk.approvals()
                .approve(first.enrollment, "")
                .await
                .unwrap();
        }
        let case = world.case(first.enrollment).await;
        assert_eq!(live(&case)[0].level, level);
        assert_eq!(carrying(&case), [case.attempts[at].reference.clone()]);
    }
}

#[tokio::test]
async fn an_old_price_is_held_and_shown_with_both_sums() {
    for outcome in [ExceptionAction::Hold, ExceptionAction::Approve] {
        let mut config = config();
        config.rules.money.old_price = outcome;
        let world = World::with(Settings::new(1), config, |builder| builder);
        let (id, reference, link) = begin(&world, offer(100, AccessTerms::default())).await;
        begin(&world, offer(900, AccessTerms::default())).await;
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        if outcome == ExceptionAction::Approve {
            assert_eq!(receipt.outcome, Outcome::Approved);
            assert!(world.may_enter("thandi").await);
            continue;
        }
        assert_eq!(receipt.outcome, Outcome::Held(HoldReason::OldPrice));
        assert!(!world.may_enter("thandi").await);
        let desk = world.registrar.admin(admin());
        let waiting = desk
            .approvals()
            .pending(PageRequest::first(10))
            .await
            .unwrap()
            .items;
        let sums = waiting[0].sums().unwrap();
        assert_eq!((sums.is.minor(), sums.asked.minor()), (10_000, 90_000));
        let explained = desk.approvals().explain(id).await.unwrap();
        let checks = explained.basis.unwrap().checks;
        let check = checks
            .checks()
            .iter()
            .find(|it| it.name == CheckName::Offer);
        assert_eq!(check.unwrap().sums.as_deref(), Some(&sums));
        let listed = desk
            .payments()
            .exceptions(PageRequest::first(10))
            .await
            .unwrap();
        assert_eq!(listed.items.len(), 1, "it is an exception too");
        // Nobody is asked to pay again while it waits.
        let again = world.ask(offer(900, AccessTerms::default())).await;
        assert_eq!(again.next, NextStep::Wait(HoldReason::OldPrice));
        desk.approvals()
            .approve(id, "the old price is fine")
            .await
            .unwrap();
        assert_eq!(carrying(&world.case(id).await), [reference]);
    }
}

#[tokio::test]
async fn a_lesser_or_dearer_offer_is_no_exception() {
    // Less than is asked today, for less money: exactly that.
    let world = World::new();
    let (id, _, link) = begin(&world, offer(10, limited(1))).await;
    begin(&world, offer(5_000, full(365))).await;
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Approved
    );
    assert_eq!(live(&world.case(id).await)[0].level, AccessLevel::Limited);
    // The same as today, at a higher price of then.
    let world = World::new();
    let (_, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
    begin(&world, offer(100, AccessTerms::default())).await;
    assert_eq!(
        world.pay(&link, Choice::Card).await[0].outcome,
        Outcome::Approved
    );
}

#[tokio::test]
async fn a_new_title_or_address_only_updates() {
    let world = World::new();
    let (id, reference, _) = begin(&world, offer(100, full(30))).await;
    let mut renamed = offer(100, full(30));
    renamed.title = Title::new("Rust for the brave").unwrap();
    renamed.email = Email::new("new@school.example").unwrap();
    let (same, same_reference, _) = begin(&world, renamed.clone()).await;
    assert_eq!((same, same_reference), (id, reference));
    let case = world.case(id).await;
    assert_eq!(case.attempts.len(), 1);
    assert_eq!(case.enrollment.title, renamed.title);
    assert_eq!(case.enrollment.email, renamed.email);
    assert_ne!(
        case.attempts[0].title, renamed.title,
        "what was offered stays"
    );
    // Also while they have access already.
    world
        .pay(&case.attempts[0].link.clone().unwrap().id, Choice::Card)
        .await;
    let mut again = renamed;
    again.email = Email::new("newest@school.example").unwrap();
    world.ask(again.clone()).await;
    assert_eq!(world.case(id).await.enrollment.email, again.email);
    let version = world.case(id).await.enrollment.version;
    world.ask(again).await;
    assert_eq!(
        world.case(id).await.enrollment.version,
        version,
        "nothing is written"
    );
}

#[tokio::test]
async fn a_change_of_terms_alone_is_a_new_attempt() {
    let base = full(30);
    let kinds = |kinds: &[ResourceKind]| ResourceKinds::only(kinds.iter().copied());
    let others = [
        AccessTerms {
            level: AccessLevel::Limited,
            ..base.clone()
        },
        AccessTerms {
            kinds: kinds(&[ResourceKind::Lesson]),
            ..base.clone()
        },
        full(31),
        AccessTerms::default(),
        AccessTerms {
            restrictions: vec![Restriction::Device(["laptop".to_owned()].into())],
            ..base.clone()
        },
    ];
    for other in others {
        let world = World::new();
        let (id, _, _) = begin(&world, offer(100, base.clone())).await;
        begin(&world, offer(100, other.clone())).await;
        begin(&world, offer(100, other.clone())).await;
        let case = world.case(id).await;
        assert_eq!(case.attempts.len(), 2, "{other:?}");
        assert_eq!(case.attempts[0].terms, base);
        assert_eq!(case.attempts[1].terms, other);
        assert_eq!(case.enrollment.terms, other);
    }
}

#[tokio::test]
async fn an_upgrade_is_an_ordinary_enrollment_and_what_there_was_stands() {
    let world = World::new();
    let (id, first, _) = bought(&world, offer(100, limited(30))).await;
    let (_, upgrade, link) = begin(&world, offer(900, AccessTerms::default())).await;
    let case = world.case(id).await;
    assert_eq!(case.attempts[1].purpose, Purpose::Upgrade);
    assert!(matches!(case.enrollment.status, Status::Approved { .. }));
    assert!(world.may_enter("thandi").await, "until it is paid");
    world.pay(&link, Choice::Card).await;
    let case = world.case(id).await;
    assert_eq!(carrying(&case), [first, upgrade.clone()]);
    // The answer is by the best of them.
    let AccessDecision::Allow { level, until, .. } = world.access("thandi").await else {
        panic!("no access")
    };
    assert_eq!((level, until), (AccessLevel::Full, None));
    // After its refund, the earlier access stands.
    let desk = world.registrar.admin(admin());
    let status = desk.refunds().record(&upgrade, "R-1").await.unwrap();
    assert!(matches!(status, Status::Approved { .. }));
    let case = world.case(id).await;
    assert_eq!(live(&case).len(), 1);
    assert_eq!(live(&case)[0].level, AccessLevel::Limited);
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn an_upgrade_that_waits_for_a_person_is_in_the_queue_and_takes_nothing_away() {
    for approve in [true, false] {
        for method in [PaymentMethod::InstantEft, PaymentMethod::BankTransfer] {
            let world = World::new();
            let (id, ..) = bought(&world, offer(100, limited(30))).await;
            let upgrade = world.ask(by(method, 900, AccessTerms::default())).await;
            if method == PaymentMethod::InstantEft {
                let link = world.case(id).await.attempts[1].link.clone().unwrap().id;
                let receipt = world.pay(&link, Choice::InstantEft).await.remove(0);
                assert_eq!(receipt.outcome, Outcome::Held(HoldReason::InstantEft));
            } else {
                assert!(matches!(upgrade.next, NextStep::Transfer { .. }));
            }
            assert!(world.may_enter("thandi").await);
            let desk = world.registrar.admin(admin());
            let waiting = desk
                .approvals()
                .pending(PageRequest::first(10))
                .await
                .unwrap()
                .items;
            assert_eq!(waiting.len(), 1, "{method}");
            let listed = desk
                .payments()
                .exceptions(PageRequest::first(10))
                .await
                .unwrap();
            assert!(listed.items.is_empty(), "nothing about it is an exception");
            match approve {
                true => {
                    let rehearsed = desk
                        .approvals()
                        .approve_all(&[id], "", true)
                        .await
                        .remove(0);
                    assert_eq!(rehearsed.outcome, BulkOutcome::Approved);
                    desk.approvals().approve(id, "seen").await.unwrap();
                }
                false => drop(desk.approvals().reject(id, "not this").await.unwrap()),
            }
            let case = world.case(id).await;
            assert!(matches!(case.enrollment.status, Status::Approved { .. }));
            assert_eq!(live(&case).len(), if approve { 2 } else { 1 }, "{method}");
            assert!(world.may_enter("thandi").await);
            let left = desk
                .approvals()
                .pending(PageRequest::first(10))
                .await
                .unwrap()
                .items;
            assert!(left.is_empty(), "{method}");
        }
    }
}

#[tokio::test]
async fn a_renewal_is_asked_for_and_extends_once() {
    let world = World::new();
    let month = || offer(100, full(30));
    let (id, ..) = bought(&world, month()).await;
    let first = live(&world.case(id).await)[0].clone();
    world.advance(20 * DAY);
    // A plain request, and a double click, buy nothing.
    for _ in 0..2 {
        let plain = world.ask(month()).await;
        assert_eq!(
            plain.next,
            NextStep::Open {
                until: first.expires_at
            }
        );
    }
    let (_, renewal, link) = begin(&world, month().renew()).await;
    let (_, again, _) = begin(&world, month().renew()).await;
    assert_eq!(renewal, again, "a double click");
    // Another attempt to renew the same, for the same.
    let (_, second, second_link) = begin(&world, offer(90, full(30)).renew()).await;
    let case = world.case(id).await;
    assert_eq!(case.attempts[1].purpose, Purpose::Renewal { of: first.id });
    world.pay(&link, Choice::Card).await;
    world.pay(&second_link, Choice::Card).await;
    let case = world.case(id).await;
    let grants = live(&case);
    assert_eq!(grants.len(), 2);
    assert_eq!(Some(grants[1].starts_at), first.expires_at, "from the end");
    assert_eq!(grants[1].source.payment(), Some(&renewal));
    let duplicate = case.attempt(Some(second.as_str()), None).unwrap();
    let reason = HoldReason::DuplicatePayment;
    assert_eq!(
        duplicate.payment.unwrap().allocation,
        Allocation::RefundDue(reason)
    );
    // Their end is the renewal's now, and they are in until then.
    let end = grants[1].expires_at;
    assert_eq!(world.ask(month()).await.next, NextStep::Open { until: end });
    world.advance(35 * DAY);
    world.pass().await;
    assert!(world.may_enter("thandi").await);
    world.advance(10 * DAY);
    assert!(!world.may_enter("thandi").await);
    world.pass().await;
    assert_eq!(world.case(id).await.enrollment.status, Status::Expired);
}

#[tokio::test]
async fn a_renewal_paid_after_the_end_begins_then_and_its_refund_leaves_the_rest() {
    let world = World::new();
    let (id, ..) = bought(&world, offer(100, full(30))).await;
    world.advance(29 * DAY);
    let (_, _, link) = begin(&world, offer(100, full(30)).renew()).await;
    world.advance(2 * DAY);
    world.pay(&link, Choice::Card).await;
    let case = world.case(id).await;
    assert!(
        world.may_enter("thandi").await,
        "{:?}",
        case.enrollment.status
    );
    let grant = case.grants.last().unwrap();
    assert_eq!((grant.expires_at.unwrap() - grant.starts_at).num_days(), 30);

    // Before the end, and given back: the first month stands.
    let world = World::new();
    bought(&world, offer(100, full(30))).await;
    let (_, renewal, _) = bought(&world, offer(100, full(30)).renew()).await;
    let desk = world.registrar.admin(admin());
    desk.refunds().record(&renewal, "R-1").await.unwrap();
    assert!(world.may_enter("thandi").await);
    world.advance(31 * DAY);
    assert!(!world.may_enter("thandi").await);
}

#[tokio::test]
async fn who_has_the_access_already_is_told_so() {
    let given = |terms| NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms,
    };
    let world = World::new();
    let desk = world.registrar.admin(admin());
    desk.learners()
        .grant(given(AccessTerms::default()), "bursary")
        .await
        .unwrap();
    let told = world.registrar.enroll(offer(900, full(365))).await.unwrap();
    assert_eq!((told.enrollment, told.status), (None, None));
    assert_eq!(told.next, NextStep::Open { until: None });
    // They may buy it all the same, knowingly, and that money counts.
    let (id, ..) = bought(&world, offer(900, full(365)).buy_again()).await;
    let case = world.case(id).await;
    assert_eq!(case.attempts[0].purpose, Purpose::Additional);
    assert_eq!(live(&case).len(), 2);

    // Less than is offered, of each kind of less, is no reason to turn them away.
    let network: Network = "10.0.0.0/8".parse().unwrap();
    let lesser = [
        limited(400),
        full(30),
        AccessTerms {
            kinds: ResourceKinds::only([ResourceKind::Lesson]),
            ..AccessTerms::default()
        },
        AccessTerms {
            restrictions: vec![Restriction::Ip(vec![network])],
            ..AccessTerms::default()
        },
    ];
    for terms in lesser {
        let world = World::new();
        let desk = world.registrar.admin(admin());
        desk.learners()
            .grant(given(terms.clone()), "some")
            .await
            .unwrap();
        let (id, ..) = begin(&world, offer(900, full(365))).await;
        let purpose = world.case(id).await.attempts[0].purpose;
        assert_eq!(purpose, Purpose::Upgrade, "{terms:?}");
    }
}

#[tokio::test]
async fn grants_cover_an_offer_together_and_those_that_do_not_count_never_do() {
    let part = |kinds: &[ResourceKind]| NewGrant {
        learner: learner("thandi"),
        course: course(),
        terms: AccessTerms {
            kinds: ResourceKinds::only(kinds.iter().copied()),
            ..AccessTerms::default()
        },
    };
    use ResourceKind::{Lesson, Quiz};
    let world = World::new();
    let desk = world.registrar.admin(admin());
    desk.learners().grant(part(&[Lesson]), "").await.unwrap();
    let both = AccessTerms {
        kinds: ResourceKinds::only([Lesson, Quiz]),
        ..AccessTerms::default()
    };
    begin(&world, offer(100, both.clone())).await;
    desk.learners().grant(part(&[Quiz]), "").await.unwrap();
    assert_eq!(
        world.ask(offer(100, both)).await.next,
        NextStep::Open { until: None }
    );

    // Lent, while a transfer waits: that is nothing yet.
    let mut config = config();
    config.rules.provisional = Some(AccessTerms::default());
    let world = World::with(Settings::new(1), config, |builder| builder);
    world
        .ask(by(PaymentMethod::BankTransfer, 100, AccessTerms::default()))
        .await;
    assert!(world.may_enter("thandi").await);
    let (id, ..) = begin(&world, offer(100, AccessTerms::default())).await;
    assert_eq!(world.case(id).await.attempts[1].purpose, Purpose::First);

    // Suspended by a dispute: they may pay again.
    let world = World::new();
    let (id, reference, _) = bought(&world, offer(100, AccessTerms::default())).await;
    let desk = world.registrar.admin(admin());
    let how = coursegate::payment::Reversal::ChargedBack;
    desk.refunds()
        .record_reversal(&reference, how, "")
        .await
        .unwrap();
    let (same, _, link) = begin(&world, offer(100, AccessTerms::default())).await;
    assert_eq!(same, id);
    world.pay(&link, Choice::Card).await;
    assert!(world.may_enter("thandi").await);
}

#[tokio::test]
async fn money_for_what_a_learner_was_given_meanwhile_is_held() {
    for duplicate in ExceptionAction::ALL {
        let mut config = config();
        config.rules.money.duplicate = *duplicate;
        let world = World::with(Settings::new(1), config, |builder| builder);
        let (id, _, link) = begin(&world, offer(900, AccessTerms::default())).await;
        let desk = world.registrar.admin(admin());
        let bursary = NewGrant {
            learner: learner("thandi"),
            course: course(),
            terms: AccessTerms::default(),
        };
        desk.learners().grant(bursary, "bursary").await.unwrap();
        let receipt = world.pay(&link, Choice::Card).await.remove(0);
        let case = world.case(id).await;
        let allocation = case.attempts[0].payment.unwrap().allocation;
        if *duplicate == ExceptionAction::Approve {
            assert_eq!(receipt.outcome, Outcome::Approved);
            assert_eq!(allocation, Allocation::Applied);
            continue;
        }
        let reason = HoldReason::AccessCovered;
        assert_eq!(receipt.outcome, Outcome::Held(reason));
        assert_eq!(allocation, Allocation::OnHold(reason), "{duplicate}");
        assert_eq!(case.enrollment.waits_for, Some(reason));
        let next = world.ask(offer(900, AccessTerms::default())).await.next;
        assert_eq!(next, NextStep::Open { until: None });
    }
}

#[tokio::test]
async fn a_grant_that_gives_more_than_its_payment_bought_is_a_discrepancy() {
    use coursegate::reconciliation::DiscrepancyKind;
    use coursegate::store::Change;
    use coursegate::store::Store;
    let more: [fn(&mut Grant); 4] = [
        |grant| grant.level = AccessLevel::Full,
        |grant| grant.kinds = ResourceKinds::all(),
        |grant| grant.expires_at = None,
        |grant| grant.restrictions.clear(),
    ];
    let terms = AccessTerms {
        kinds: ResourceKinds::only([ResourceKind::Lesson]),
        restrictions: vec![Restriction::Feature(["read".to_owned()].into())],
        ..limited(30)
    };
    for tamper in more {
        let world = World::new();
        let (id, ..) = bought(&world, offer(100, terms.clone())).await;
        let desk = world.registrar.admin(admin());
        let report = desk.operations().reconcile(None, 100).await.unwrap();
        assert!(
            report.discrepancies.is_empty(),
            "{:?}",
            report.discrepancies
        );
        let mut grant = world.case(id).await.grants.remove(0);
        assert!(matches!(grant.source, GrantSource::Payment { .. }));
        tamper(&mut grant);
        let mut change = Change::default();
        change.grants.push(grant);
        world.store.commit(change).await.unwrap();
        let report = desk.operations().reconcile(None, 100).await.unwrap();
        let kinds: Vec<_> = report.discrepancies.iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [DiscrepancyKind::GrantExceedsOffer]);
    }
}

#[tokio::test]
async fn an_offer_of_nothing_is_refused_and_one_for_a_lifetime_is_for_ever() {
    let nothing = [
        AccessTerms {
            level: AccessLevel::None,
            ..AccessTerms::default()
        },
        AccessTerms {
            kinds: ResourceKinds::only([]),
            ..AccessTerms::default()
        },
        full(0),
    ];
    let world = World::new();
    for terms in nothing {
        let refused = world.registrar.enroll(offer(100, terms)).await;
        assert_eq!(refused, Err(coursegate::Error::NothingOffered));
    }
    for seconds in [u64::MAX, i64::MAX.unsigned_abs(), 100 * 31_557_600] {
        let world = World::new();
        let terms = AccessTerms {
            seconds: Some(seconds),
            ..AccessTerms::default()
        };
        bought(&world, offer(100, terms.clone())).await;
        let told = world.ask(offer(100, terms)).await.next;
        assert_eq!(told, NextStep::Open { until: None });
        let desk = world.registrar.admin(admin());
        assert!(
            desk.operations()
                .reconcile(None, 10)
                .await
                .unwrap()
                .discrepancies
                .is_empty()
        );
    }
}
