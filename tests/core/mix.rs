//! Whatever the provider does wrong, money and access agree in the end: each fault alone and
//! random mixes of them, on any store.

use std::collections::BTreeMap;
use std::time::Duration;

use coursegate::access::GrantState;
use coursegate::adapter::memory::TestClock;
use coursegate::adapter::simulator::{Choice, Fault, Settings, Simulator};
use coursegate::enrollment::{Case, Status};
use coursegate::payment::PaymentMethod;
use coursegate::port::Clock;
use coursegate::reconciliation::DiscrepancyKind;
use coursegate::registrar::{NextStep, PaymentException};
use coursegate::store::{PageRequest, Queries, Store};
use coursegate::{AppId, Config, PayLinkId, PaymentReference, Registrar, Secret};

use crate::support::{APP_ID, SECRET, admin, config, delivery, request, start};

/// SplitMix64, so that a seed gives the same run everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

struct School<S> {
    registrar: Registrar,
    simulator: Simulator,
    store: S,
    clock: TestClock,
}

impl<S: Store + Queries + Clone> School<S> {
    fn new(store: S, settings: Settings, config: Config) -> Self {
        let clock = TestClock::at(start());
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
        let simulator = Simulator::with_clock(app_id, secret, settings, clock.clone());
        let registrar = Registrar::builder(config, store.clone())
            .gateway(simulator.gateway())
            .clock(clock.clone())
            .build_for_tests()
            .unwrap();
        Self {
            registrar,
            simulator,
            store,
            clock,
        }
    }

    /// Enrolls, however often the provider fails, and gives the pay link.
    async fn link(&self, name: &str, method: PaymentMethod) -> PayLinkId {
        for _ in 0..100 {
            let enrolled = self.registrar.enroll(request(name, method)).await;
            if let Ok(NextStep::Pay { url, .. }) = enrolled.map(|enrolled| enrolled.next) {
                return PayLinkId::new(url.rsplit('/').next().unwrap()).unwrap();
            }
            self.advance(60);
        }
        panic!("no pay link")
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Hands over what is due, and works until nothing is left to do now.
    async fn settle(&self) {
        for _ in 0..100 {
            let callbacks = self.simulator.take_callbacks();
            for callback in &callbacks {
                let receipt = self.registrar.receive(delivery(callback)).await;
                assert!(receipt.http_status() < 500, "{receipt:?}");
            }
            let pass = self.registrar.worker().pass().await.unwrap();
            let done = (pass.settled, pass.asked, pass.expired, pass.jobs) == (0, 0, 0, 0);
            if done && callbacks.is_empty() {
                return;
            }
        }
        panic!("the worker finds no end");
    }

    async fn cases(&self) -> Vec<Case> {
        let (mut cases, mut next) = (Vec::new(), None);
        loop {
            let request = PageRequest {
                after: next,
                limit: 100,
            };
            let page = self.store.cases(request).await.unwrap();
            cases.extend(page.items);
            next = page.next;
            if next.is_none() {
                return cases;
            }
        }
    }

    /// What does not agree: every paid link has one live grant or stands in a queue with its
    /// reason, and nothing else has a grant.
    async fn disagreements(&self, paid: &[PayLinkId]) -> Vec<String> {
        let desk = self.registrar.admin(admin());
        let mut queued: BTreeMap<PaymentReference, String> = BTreeMap::new();
        for item in desk
            .payments()
            .exceptions(PageRequest::first(500))
            .await
            .unwrap()
            .items
        {
            if let PaymentException::Payment(money) = item {
                let reason = money.attempt.held_back().unwrap().to_string();
                queued.insert(money.attempt.reference, reason);
            }
        }
        for item in desk
            .approvals()
            .pending(PageRequest::first(500))
            .await
            .unwrap()
            .items
        {
            for attempt in &item.attempts {
                queued.insert(
                    attempt.reference.clone(),
                    item.enrollment.status.to_string(),
                );
            }
        }
        let mut wrong = Vec::new();
        for case in self.cases().await {
            for attempt in &case.attempts {
                let link = attempt.link.as_ref().map(|link| &link.id);
                let is_paid = link.is_some_and(|link| paid.contains(link));
                let reference = &attempt.reference;
                let grants = case
                    .grants
                    .iter()
                    .filter(|grant| grant.source.payment() == Some(reference))
                    .filter(|grant| grant.state == GrantState::Live)
                    .count();
                let known = attempt.holds_money();
                match (is_paid, known, grants, queued.get(reference)) {
                    (true, true, 1, None) | (true, true, 0, Some(_)) | (false, false, 0, _) => {}
                    other => wrong.push(format!(
                        "{reference} of {} in {}: {other:?}",
                        case.enrollment.learner.as_str(),
                        case.enrollment.status
                    )),
                }
            }
            let live = |grant: &&coursegate::access::Grant| grant.state == GrantState::Live;
            let approved = matches!(case.enrollment.status, Status::Approved { .. });
            if (case.grants.iter().filter(live).count() == 1) != approved {
                wrong.push(format!(
                    "{} is {}",
                    case.enrollment.id, case.enrollment.status
                ));
            }
        }
        let mut from = None;
        loop {
            let report = desk.operations().reconcile(from, 500).await.unwrap();
            let real = |kind| kind != DiscrepancyKind::PendingTooLong;
            wrong.extend(
                report
                    .discrepancies
                    .iter()
                    .filter(|discrepancy| real(discrepancy.kind))
                    .map(|discrepancy| format!("the auditor says {}", discrepancy.key)),
            );
            wrong.extend(
                report
                    .repaired
                    .iter()
                    .map(|id| format!("the auditor mended {id}")),
            );
            from = report.next;
            if from.is_none() {
                return wrong;
            }
        }
    }
}

/// Some learners, whose payments go wrong in these ways, and a fortnight afterwards.
pub async fn fortnight<S: Store + Queries + Clone>(
    store: S,
    settings: Settings,
    config: Config,
) -> Vec<String> {
    let mut dice = Dice(settings.seed ^ 0xc0ff_ee00);
    let school = School::new(store, settings, config);
    let mut paid = Vec::new();
    for learner in 0..4 {
        let name = format!("learner-{learner}");
        let method = [
            PaymentMethod::Card,
            PaymentMethod::Card,
            PaymentMethod::InstantEft,
            PaymentMethod::Unknown,
        ][usize::try_from(dice.below(4)).unwrap()];
        let link = school.link(&name, method).await;
        for _ in 0..=dice.below(2) {
            let choice = match dice.below(5) {
                0 => Choice::Decline,
                1 => Choice::Cancel,
                2 => Choice::InstantEft,
                _ => Choice::Card,
            };
            school.simulator.pay(&link, choice).unwrap();
            if matches!(choice, Choice::Card | Choice::InstantEft) {
                paid.push(link.clone());
            }
            match dice.below(4) {
                // The learner comes back, tries again, or the callbacks come now.
                0 => {
                    for case in school.cases().await {
                        for attempt in &case.attempts {
                            drop(school.registrar.refresh_payment(&attempt.reference).await);
                        }
                    }
                }
                1 => drop(school.registrar.enroll(request(&name, method)).await),
                2 => school.settle().await,
                _ => {}
            }
        }
    }
    let (minute, hour, day) = (60, 3600, 24 * 3600);
    for wait in [
        minute,
        5 * minute,
        10 * minute,
        hour,
        6 * hour,
        day,
        day,
        6 * day,
        6 * day,
    ] {
        school.advance(wait);
        school.settle().await;
        // What the provider failed at is tried again soon.
        for _ in 0..3 {
            school.advance(2 * minute);
            school.settle().await;
        }
    }
    school.disagreements(&paid).await
}

/// All of them but slow answers: the clock stands still while a call is waited for.
fn faults() -> impl Iterator<Item = Fault> {
    let all = Fault::ALL.iter().copied();
    all.filter(|fault| *fault != Fault::SlowAnswer)
}

pub async fn each_fault_alone<S, F, M>(seeds: std::ops::Range<u64>, make: M)
where
    S: Store + Queries + Clone,
    F: Future<Output = S>,
    M: Fn() -> F,
{
    for fault in faults() {
        // An API that always fails gives no pay link to begin with.
        let rate = if fault.is_of_answers() { 0.5 } else { 1.0 };
        for seed in seeds.clone() {
            let settings = Settings::new(seed).fault(fault, rate);
            let wrong = fortnight(make().await, settings, config()).await;
            assert!(wrong.is_empty(), "{fault}, seed {seed}: {wrong:#?}");
        }
    }
}

pub async fn random_mixes<S, F, M>(seeds: std::ops::Range<u64>, make: M)
where
    S: Store + Queries + Clone,
    F: Future<Output = S>,
    M: Fn() -> F,
{
    for seed in seeds {
        let mut dice = Dice(seed);
        let mut settings = Settings::new(seed);
        let mut mixed = Vec::new();
        for fault in faults() {
            if dice.below(2) == 0 {
                // Of the calls at least a third come to something.
                let most = if fault.is_of_answers() { 12 } else { 40 };
                let percent = u32::try_from(dice.below(most)).unwrap();
                settings = settings.fault(fault, f64::from(percent) / 100.0);
                mixed.push((fault, percent));
            }
        }
        let wrong = fortnight(make().await, settings, config()).await;
        assert!(wrong.is_empty(), "seed {seed}, {mixed:?}: {wrong:#?}");
    }
}

impl<S: Store + Queries + Clone> School<S> {
    /// So many paid by card, whose callbacks came as far as they come.
    async fn paid(&self, learners: usize) -> Vec<PayLinkId> {
        let mut paid = Vec::new();
        for number in 0..learners {
            let link = self
                .link(&format!("learner-{number}"), PaymentMethod::Card)
                .await;
            self.simulator.pay(&link, Choice::Card).unwrap();
            paid.push(link);
        }
        paid
    }

    /// How many may enter now.
    async fn inside(&self) -> usize {
        let now = self.clock.now();
        let live = |case: &&Case| case.grants.iter().any(|grant| grant.is_live(now));
        self.cases().await.iter().filter(live).count()
    }
}

/// Three in ten callbacks are lost: three rounds of asking make up for them.
pub async fn converges<S: Store + Queries + Clone>(store: S) {
    let mut settings = config();
    settings.provider.background_per_second = 1000;
    let school = School::new(store, Settings::new(11).fault(Fault::Lost, 0.3), settings);
    let paid = school.paid(40).await;
    school.settle().await;
    let before = school.inside().await;
    assert!((15..40).contains(&before), "{before}");
    for wait in [60, 4 * 60, 10 * 60] {
        school.advance(wait);
        school.settle().await;
    }
    assert_eq!(school.inside().await, 40);
    assert_eq!(school.disagreements(&paid).await, Vec::<String>::new());
}

/// For an hour nobody can be asked: nobody gets in, and all are caught up with.
pub async fn down_for_an_hour<S: Store + Queries + Clone>(store: S) {
    let school = School::new(store, Settings::new(12).fault(Fault::Lost, 0.3), config());
    let mut links = Vec::new();
    for number in 0..15 {
        links.push(
            school
                .link(&format!("learner-{number}"), PaymentMethod::Card)
                .await,
        );
    }
    school.simulator.set_down(true);
    for link in &links {
        school.simulator.pay(link, Choice::Card).unwrap();
    }
    for _ in 0..60 {
        school.settle().await;
        school.advance(60);
    }
    assert_eq!(school.inside().await, 0, "somebody is in without evidence");
    school.simulator.set_down(false);
    for _ in 0..8 {
        school.settle().await;
        school.advance(60);
    }
    assert_eq!(school.inside().await, 15);
    assert_eq!(school.disagreements(&links).await, Vec::<String>::new());
}

/// Several workers at once ask about each payment once.
pub async fn several_workers<S: Store + Queries + Clone>(store: S) {
    let lost = Settings::new(13).fault(Fault::Lost, 1.0);
    let school = School::new(store.clone(), lost, config());
    let paid = school.paid(30).await;
    school.advance(60);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let registrar = Registrar::builder(config(), store.clone())
                .gateway(school.simulator.gateway())
                .clock(school.clock.clone())
                .build_for_tests()
                .unwrap();
            tokio::spawn(async move {
                for _ in 0..20 {
                    registrar.worker().pass().await.unwrap();
                }
                registrar.provider_health().unwrap().calls
            })
        })
        .collect();
    let mut asked = 0;
    for worker in workers {
        asked += worker.await.unwrap();
    }
    assert_eq!(asked, 30);
    assert_eq!(school.inside().await, 30);
    assert_eq!(school.disagreements(&paid).await, Vec::<String>::new());
}
