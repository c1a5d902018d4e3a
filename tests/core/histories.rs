//! Random histories of offers, payments on any link, transfers, refunds, disputes and decisions:
//! what must hold after every step.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use coursegate::access::{
    AccessLevel, AccessRequest, AccessTerms, Grant, GrantState, ResourceKind, ResourceKinds,
};
use coursegate::adapter::simulator::{Choice, Settings};
use coursegate::enrollment::{Case, MigratedPayment, Status};
use coursegate::payment::{
    Allocation, AttemptStatus, PaymentAttempt, PaymentMethod, ProofOfPayment, Purpose, Reversal,
};
use coursegate::reason::ExceptionAction;
use coursegate::reconciliation::DiscrepancyKind;
use coursegate::registrar::{
    BulkOutcome, CardAction, ExistingAccess, ExistingPayment, NewGrant, NextStep, TransferMatch,
};
use coursegate::store::{Lookup, PageRequest, Store};
use coursegate::{Email, ExternalKey, IdGenerator, Money, PaymentReference, Title};
use proptest::prelude::*;

use crate::scene::imported;
use crate::support::{World, admin, config, course, learner, request, start, visitor};

const DAY: u64 = 86_400;

/// One thing that happens. Numbers pick from what there is.
#[derive(Debug, Clone)]
enum Step {
    Ask {
        offer: usize,
        method: PaymentMethod,
        intent: u8,
    },
    Pay {
        attempt: usize,
        choice: usize,
    },
    Return {
        attempt: usize,
    },
    /// The provider is away for days after a payment.
    PayUnheard {
        attempt: usize,
    },
    SeeTransfer {
        attempt: usize,
        exact: bool,
    },
    Approve {
        past_everybody: bool,
    },
    Prove,
    Reject,
    Refund {
        attempt: usize,
        part: bool,
    },
    Reverse {
        attempt: usize,
    },
    Reinstate {
        attempt: usize,
    },
    Revoke {
        grant: usize,
    },
    Give {
        offer: usize,
    },
    BringOver {
        offer: usize,
        from: i64,
        paid: bool,
    },
    Withdraw,
    Wait {
        days: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let method = || {
        prop::sample::select(
            &[
                PaymentMethod::Card,
                PaymentMethod::InstantEft,
                PaymentMethod::BankTransfer,
            ][..],
        )
    };
    prop_oneof![
        6 => (0..6_usize, method(), 0..8_u8)
            .prop_map(|(offer, method, intent)| Step::Ask { offer, method, intent }),
        6 => (any::<usize>(), 0..3_usize).prop_map(|(attempt, choice)| Step::Pay { attempt, choice }),
        1 => any::<usize>().prop_map(|attempt| Step::Return { attempt }),
        1 => any::<usize>().prop_map(|attempt| Step::PayUnheard { attempt }),
        1 => (any::<usize>(), any::<bool>())
            .prop_map(|(attempt, exact)| Step::SeeTransfer { attempt, exact }),
        3 => any::<bool>().prop_map(|past_everybody| Step::Approve { past_everybody }),
        1 => Just(Step::Prove),
        1 => Just(Step::Reject),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(attempt, part)| Step::Refund { attempt, part }),
        1 => any::<usize>().prop_map(|attempt| Step::Reverse { attempt }),
        1 => any::<usize>().prop_map(|attempt| Step::Reinstate { attempt }),
        1 => any::<usize>().prop_map(|grant| Step::Revoke { grant }),
        1 => (0..6_usize).prop_map(|offer| Step::Give { offer }),
        1 => (0..6_usize, -60..10_i64, any::<bool>())
            .prop_map(|(offer, from, paid)| Step::BringOver { offer, from, paid }),
        1 => Just(Step::Withdraw),
        2 => (1..45_u64).prop_map(|days| Step::Wait { days }),
    ]
}

/// Offers that are less, more, and neither.
fn offers() -> [(i64, AccessTerms); 6] {
    let days = |days: u64| AccessTerms::lasting(Duration::from_secs(days * DAY));
    let limited = |terms| AccessTerms {
        level: AccessLevel::Limited,
        ..terms
    };
    let only = |kind, terms| AccessTerms {
        kinds: ResourceKinds::only([kind]),
        ..terms
    };
    [
        (10, limited(days(1))),
        (100, days(30)),
        (120, days(30)),
        (900, AccessTerms::default()),
        (60, only(ResourceKind::Lesson, days(40))),
        (
            50,
            only(ResourceKind::Quiz, limited(AccessTerms::default())),
        ),
    ]
}

struct Run {
    world: World,
    /// Whether it was closed, and neither a person nor the learner's own wish opened it since.
    shut: Cell<bool>,
    /// What money did when a person turned it down, or a bank took it back.
    kept_back: RefCell<HashMap<PaymentReference, Allocation>>,
}

impl Step {
    /// Whether a person decides something by it, or the school gives something.
    fn is_decision(&self) -> bool {
        matches!(
            self,
            Self::Approve { .. } | Self::SeeTransfer { .. } | Self::BringOver { .. }
        )
    }
}

impl Run {
    fn new(duplicate: ExceptionAction, old_price: ExceptionAction, provisional: bool) -> Self {
        let mut settings = config();
        settings.rules.money.duplicate = duplicate;
        settings.rules.money.old_price = old_price;
        settings.rules.provisional =
            provisional.then(|| AccessTerms::lasting(Duration::from_secs(3 * DAY)));
        let world = World::with(Settings::new(1), settings, |builder| builder);
        Self {
            world,
            shut: Cell::new(false),
            kept_back: RefCell::default(),
        }
    }

    async fn case(&self) -> Option<Case> {
        let (learner, course) = (learner("thandi"), course());
        let found = self.world.store.load(Lookup::Learner(&learner, &course));
        found.await.unwrap().case
    }

    async fn attempt(&self, number: usize) -> Option<PaymentAttempt> {
        let attempts = self.case().await?.attempts;
        let index = number % attempts.len();
        Some(attempts[index].clone())
    }

    async fn take(&self, step: &Step) -> Result<(), TestCaseError> {
        let world = &self.world;
        let desk = world.registrar.admin(admin());
        match step {
            Step::Ask {
                offer,
                method,
                intent,
            } => {
                let (rand, terms) = offers()[*offer].clone();
                let mut asked = request("thandi", *method).terms(terms.clone());
                asked.price = Money::zar(rand * 100).unwrap();
                let asked = match intent {
                    6 => asked.renew(),
                    7 => asked.buy_again(),
                    _ => asked,
                };
                let next = world.registrar.enroll(asked).await.unwrap().next;
                if matches!(next, NextStep::Pay { .. } | NextStep::Transfer { .. }) {
                    self.shut.set(false);
                }
                self.check_answer(&next, &terms).await?;
            }
            Step::Pay { attempt, choice } => {
                if let Some(attempt) = self.attempt(*attempt).await
                    && let Some(link) = attempt.link
                {
                    let choice = [Choice::Card, Choice::InstantEft, Choice::Decline][*choice];
                    // A link that is paid takes no second payment.
                    if world.simulator.pay(&link.id, choice).is_some() {
                        world.deliver().await;
                    }
                }
            }
            Step::Return { attempt } => {
                if let Some(attempt) = self.attempt(*attempt).await {
                    world
                        .registrar
                        .refresh_payment(&attempt.reference)
                        .await
                        .unwrap();
                }
            }
            Step::PayUnheard { attempt } => {
                if let Some(attempt) = self.attempt(*attempt).await
                    && let Some(link) = attempt.link
                    && world.simulator.pay(&link.id, Choice::Card).is_some()
                {
                    world.simulator.set_down(true);
                    world.deliver().await;
                    for _ in 0..20 {
                        world.advance(DAY / 4);
                        world.pass().await;
                    }
                    world.simulator.set_down(false);
                    // Until it is asked again.
                    world.advance(3_600);
                }
            }
            Step::SeeTransfer { attempt, exact } => {
                if let Some(attempt) = self.attempt(*attempt).await {
                    let amount = match exact {
                        true => attempt.amount,
                        false => Money::zar(attempt.amount.minor() + 1).unwrap(),
                    };
                    self.see(&attempt.reference, amount).await;
                }
            }
            Step::Approve { past_everybody } => {
                let Some(case) = self.case().await else {
                    return Ok(());
                };
                let id = case.enrollment.id;
                let tried = desk
                    .approvals()
                    .approve_all(&[id], "", true)
                    .await
                    .remove(0);
                prop_assert_eq!(
                    self.case().await,
                    Some(case.clone()),
                    "a dry run changes nothing"
                );
                let approved = match past_everybody {
                    true => desk.approvals().approve_override(id, "").await.is_ok(),
                    false => desk.approvals().approve(id, "").await.is_ok(),
                };
                let foretold = !matches!(tried.outcome, BulkOutcome::Failed(_));
                prop_assert_eq!(approved, foretold, "the dry run said {:?}", tried.outcome);
                if approved && let Some(shown) = case.enrollment.waiting(&case.attempts) {
                    let after = self.case().await.unwrap();
                    let shown = after.attempt(Some(shown.reference.as_str()), None).unwrap();
                    let allocation = shown.payment.map(|payment| payment.allocation);
                    let ahead = |grant: &Grant| is_on(grant, &shown.terms);
                    prop_assert!(
                        allocation == Some(Allocation::Applied)
                            || (allocation.is_none() && after.grants.iter().any(ahead)),
                        "another one was shown than was approved: {shown:?}"
                    );
                }
                if approved {
                    prop_assert!(self.gets_in(None).await, "approved, and access is denied");
                }
            }
            Step::Prove => {
                let proof = ProofOfPayment::new("upload-1").unwrap();
                let (learner, course) = (learner("thandi"), course());
                let shown = world.registrar.attach_proof(&learner, &course, proof);
                drop(shown.await);
            }
            Step::Reject => {
                if let Some(case) = self.case().await {
                    drop(desk.approvals().reject(case.enrollment.id, "no").await);
                }
            }
            Step::Refund { attempt, part } => {
                if let Some(attempt) = self.attempt(*attempt).await {
                    let proof = format!("R-{}", attempt.refunds.len());
                    let cent = Money::zar(1).unwrap();
                    let reference = &attempt.reference;
                    match part {
                        true => drop(desk.refunds().record_partial(reference, cent, proof).await),
                        false => drop(desk.refunds().record(reference, proof).await),
                    }
                }
            }
            Step::Reverse { attempt } => {
                if let Some(attempt) = self.attempt(*attempt).await {
                    let how = Reversal::ChargedBack;
                    drop(
                        desk.refunds()
                            .record_reversal(&attempt.reference, how, "")
                            .await,
                    );
                }
            }
            Step::Reinstate { attempt } => {
                if let Some(attempt) = self.attempt(*attempt).await {
                    drop(
                        desk.refunds()
                            .record_reinstatement(&attempt.reference, "")
                            .await,
                    );
                }
            }
            Step::Revoke { grant } => {
                if let Some(case) = self.case().await
                    && !case.grants.is_empty()
                {
                    let grant = case.grants[grant % case.grants.len()].id;
                    drop(desk.learners().revoke(grant, "").await);
                }
            }
            Step::Give { offer } => {
                let terms = offers()[*offer].1.clone();
                let (learner, course) = (learner("thandi"), course());
                let given = NewGrant {
                    learner,
                    course,
                    terms,
                };
                desk.learners().grant(given, "bursary").await.unwrap();
            }
            Step::BringOver { offer, from, paid } => {
                let (rand, terms) = offers()[*offer].clone();
                let at = world.clock_now() + chrono::Duration::days(*from);
                let key = ExternalKey::new(format!("{offer}/{from}/{paid}")).unwrap();
                let mut row = ExistingAccess::new(key, learner("thandi"), course(), at);
                row.ends_at = terms
                    .seconds
                    .map(|seconds| at + chrono::Duration::seconds(i64::try_from(seconds).unwrap()));
                row = row.terms(terms);
                if *paid {
                    row = row.paid(ExistingPayment {
                        email: Email::new("thandi@school.example").unwrap(),
                        title: Title::new("Rust").unwrap(),
                        payment: MigratedPayment {
                            reference: PaymentReference::new(format!("OLD-{offer}-{from}"))
                                .unwrap(),
                            amount: Money::zar(rand * 100).unwrap(),
                            method: PaymentMethod::BankTransfer,
                            at,
                        },
                    });
                }
                let known = self.case().await;
                let done = desk.learners().bring_over(&[row.clone()]).await.unwrap();
                let again = desk.learners().bring_over(&[row]).await.unwrap();
                prop_assert_eq!(again.added, 0);
                prop_assert_eq!(again.known, done.added + done.known, "{:?}", done);
                let left = known.is_some_and(|case| !case.enrollment.status.is_open());
                prop_assert!(done.failed.is_empty() || left, "{:?}", done);
            }
            Step::Withdraw => {
                drop(
                    world
                        .registrar
                        .withdraw(&learner("thandi"), &course())
                        .await,
                );
            }
            Step::Wait { days } => {
                world.advance(days * DAY);
                world.pass().await;
                world.deliver().await;
            }
        }
        Ok(())
    }

    async fn see(&self, reference: &PaymentReference, amount: Money) {
        let desk = self.world.registrar.admin(admin());
        let day = chrono::NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
        let text = reference.as_str();
        let row = coursegate::statement::StatementRow::new(day, amount, text, "")
            .with_bank_id(&IdGenerator::new(start()).event().to_string());
        let row = imported(&self.world.registrar, row).await;
        let pair = TransferMatch::new(row, reference.clone()).whatever_the_sum();
        desk.statements().approve(&[pair], "").await;
    }

    /// Whether any content of the course is open, or one kind of it.
    async fn gets_in(&self, kind: Option<ResourceKind>) -> bool {
        for wanted in ResourceKind::ALL {
            if kind.is_none_or(|kind| kind == *wanted) {
                let question = AccessRequest::new(learner("thandi"), course(), *wanted);
                if self
                    .world
                    .registrar
                    .access(&question)
                    .await
                    .unwrap()
                    .is_allowed()
                {
                    return true;
                }
            }
        }
        false
    }

    /// What a learner who asks is told is so.
    async fn check_answer(
        &self,
        next: &NextStep,
        terms: &AccessTerms,
    ) -> Result<(), TestCaseError> {
        let case = self.case().await;
        match next {
            NextStep::Open { .. } => {
                for kind in ResourceKind::ALL {
                    let offered = terms.kinds.cover(*kind);
                    // Limited access has no certificates, whatever its kinds say.
                    let opens = terms.level == AccessLevel::Full
                        || !matches!(kind, ResourceKind::Certificate | ResourceKind::Full);
                    if offered && opens {
                        let open = self.gets_in(Some(*kind)).await;
                        prop_assert!(open, "told it is open, and {kind} is denied");
                    }
                }
            }
            NextStep::Pay { reference, .. } | NextStep::Transfer { reference, .. } => {
                let case = case.unwrap();
                let asked = case.attempt(Some(reference.as_str()), None).unwrap();
                prop_assert_eq!(&asked.terms, terms, "asked to pay for another offer");
                let plain = matches!(asked.purpose, Purpose::First | Purpose::Upgrade);
                let mut held = case.attempts.iter().filter(|it| it.is_held());
                let fits = held.any(|held| plain && held.terms.is_at_least(terms));
                prop_assert!(!fits, "asked to pay while money that fits is held");
            }
            NextStep::Confirming | NextStep::Wait(_) | NextStep::Ended => {}
            _ => {}
        }
        Ok(())
    }

    /// Nothing but a person's word, or the learner's own new wish, opens what was closed; and what
    /// was turned down, or never counted, does not begin to count by itself.
    fn check_closed(
        &self,
        before: Option<&Case>,
        step: &Step,
        case: &Case,
    ) -> Result<(), TestCaseError> {
        let status = &case.enrollment.status;
        // Who left and asks again has come back; where they were rejected, money that came since
        // waits on.
        let was_closed = before.is_some_and(|it| {
            let enrollment = &it.enrollment;
            !enrollment.status.is_open()
                || (enrollment.is_left_by_learner() && case.enrollment.closed.is_none())
        });
        let wished = matches!(step, Step::Ask { .. }) && was_closed && status.is_open();
        if step.is_decision() || wished {
            self.shut.set(false);
        }
        let approved = matches!(status, Status::Approved { .. });
        prop_assert!(!(self.shut.get() && approved), "opened by {step:?}");
        if matches!(status, Status::Rejected { .. } | Status::Withdrawn { .. }) {
            self.shut.set(true);
        }
        let mut kept_back = self.kept_back.borrow_mut();
        for attempt in &case.attempts {
            let allocation = attempt.payment.map(|payment| payment.allocation);
            let counts = allocation == Some(Allocation::Applied);
            let known = before.and_then(|it| it.attempt(Some(attempt.reference.as_str()), None));
            let known = known.and_then(|it| it.payment).map(|it| it.allocation);
            match (step, known) {
                (
                    Step::Reject | Step::Reverse { .. },
                    Some(was @ (Allocation::OnHold(_) | Allocation::RefundDue(_))),
                ) if allocation != known
                    && (matches!(step, Step::Reject)
                        || attempt.status == AttemptStatus::Reversed) =>
                {
                    kept_back.insert(attempt.reference.clone(), was);
                }
                _ if counts && step.is_decision() => drop(kept_back.remove(&attempt.reference)),
                _ => {}
            }
            let was = kept_back.get(&attempt.reference);
            prop_assert!(!(counts && was.is_some()), "{step:?} made {was:?} count");
        }
        Ok(())
    }

    /// What holds after every step.
    async fn check(&self) -> Result<(), TestCaseError> {
        let Some(case) = self.case().await else {
            return Ok(());
        };
        let now = self.world.clock_now();
        let attempt = |reference: &PaymentReference| case.attempt(Some(reference.as_str()), None);
        for grant in &case.grants {
            let Some(payment) = grant.source.payment() else {
                continue;
            };
            let paid = attempt(payment).unwrap();
            prop_assert!(
                is_on(grant, &paid.terms),
                "{grant:?} rests on {:?}",
                paid.terms
            );
            if grant.state == GrantState::Live {
                prop_assert!(paid.holds_money(), "live, and its money is gone: {paid:?}");
                let allocation = paid.payment.unwrap().allocation;
                prop_assert_eq!(allocation, Allocation::Applied);
            }
            let of_payment = case
                .grants
                .iter()
                .filter(|it| it.source.payment() == Some(payment));
            prop_assert_eq!(of_payment.count(), 1, "one payment, one grant");
        }
        for paid in case.attempts.iter().filter(|it| it.holds_money()) {
            let allocation = paid.payment.unwrap().allocation;
            let rests = |grant: &Grant| grant.source.payment() == Some(&paid.reference);
            if allocation == Allocation::Applied {
                prop_assert!(
                    case.grants.iter().any(rests),
                    "it counts for nothing: {paid:?}"
                );
            }
        }
        // Whoever waits is in the queue, and nobody else.
        let desk = self.world.registrar.admin(admin());
        let queue = desk
            .approvals()
            .pending(PageRequest::first(10))
            .await
            .unwrap()
            .items;
        let waits = case.enrollment.waits_for;
        prop_assert_eq!(queue.len(), usize::from(waits.is_some()));
        prop_assert_eq!(waits, case.waits_for(now), "what is stored is not so");
        // Held money is in sight: in the queue, or among the exceptions.
        let listed = desk
            .payments()
            .exceptions(PageRequest::first(100))
            .await
            .unwrap()
            .items
            .len();
        let held = case
            .attempts
            .iter()
            .filter(|it| it.held_back().is_some())
            .count();
        prop_assert!(held == 0 || listed + queue.len() > 0, "money out of sight");
        // What is proven and would give more is in the queue.
        let proven = case.attempts.iter().any(|it| {
            it.proof.is_some() && it.is_open_transfer() && case.covering(it, now).is_none()
        });
        let approved = matches!(case.enrollment.status, Status::Approved { .. });
        prop_assert!(
            !(proven && approved && queue.is_empty()),
            "a proof out of sight"
        );
        // The comparison of money and access agrees.
        let report = desk.operations().reconcile(None, 100).await.unwrap();
        let serious = |kind: DiscrepancyKind| kind != DiscrepancyKind::PendingTooLong;
        let found: Vec<_> = report
            .discrepancies
            .iter()
            .filter(|it| serious(it.kind))
            .collect();
        prop_assert!(found.is_empty(), "{found:?}");
        prop_assert!(
            report.repaired.is_empty(),
            "a reconciliation had to mend it"
        );
        // The card agrees with the question of access, and asks nobody to pay whose money waits.
        let (visitor, course) = (visitor("thandi"), course());
        let card = self.world.registrar.learner_card(Some(&visitor), &course);
        let card = card.await.unwrap();
        let inside = self.gets_in(None).await;
        prop_assert_eq!(card.action == CardAction::Open, inside, "{:?}", card);
        let waits = case.attempts.iter().any(PaymentAttempt::is_held);
        let shown = queue.first().and_then(|it| it.waiting());
        prop_assert!(
            shown.is_none_or(|it| it.payment.is_none_or(|it| !it.allocation.is_settled()))
        );
        let asks = matches!(card.action, CardAction::Pay | CardAction::Enroll)
            && card.reason != "payment_waits";
        prop_assert!(
            !(waits && asks),
            "asked to pay while money is held: {card:?}"
        );
        prop_assert!(!inside || case.grants.iter().any(|grant| grant.is_live(now)));
        Ok(())
    }
}

/// Whether a grant gives just what terms do.
fn is_on(grant: &Grant, terms: &AccessTerms) -> bool {
    let lasting = grant
        .expires_at
        .map(|end| (end - grant.starts_at).num_seconds());
    let offered = terms.seconds.map(|seconds| i64::try_from(seconds).unwrap());
    (grant.level, grant.kinds, &grant.restrictions, lasting)
        == (terms.level, terms.kinds, &terms.restrictions, offered)
}

fn cases() -> u32 {
    let asked = std::env::var("COURSEGATE_HISTORIES").ok();
    asked.and_then(|number| number.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn access_is_what_was_paid_for_and_money_is_in_sight(
        steps in prop::collection::vec(step(), 1..30),
        duplicate in prop::sample::select(ExceptionAction::ALL),
        old_price in prop::sample::select(&[ExceptionAction::Hold, ExceptionAction::Approve][..]),
        provisional in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let run = Run::new(duplicate, old_price, provisional);
            for step in &steps {
                let before = run.case().await;
                run.take(step).await?;
                if let Some(case) = run.case().await {
                    run.check_closed(before.as_ref(), step, &case)?;
                }
                run.check().await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
