//! Months that are bought one after another, given back, disputed and won: every month that stays
//! paid is a month of access.

use std::time::Duration;

use coursegate::access::{AccessTerms, GrantState};
use coursegate::adapter::simulator::Choice;
use coursegate::payment::{PaymentAttempt, PaymentMethod, Reversal};
use coursegate::registrar::NextStep;
use coursegate::store::{Lookup, Store};
use proptest::prelude::*;

use crate::support::{World, admin, course, learner, request, start};

const DAY: u64 = 86_400;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Asks for the next month.
    Ask,
    /// Pays a link.
    Pay(usize),
    Refund(usize),
    Reverse(usize),
    Reinstate(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<usize>;
    prop_oneof![
        3 => Just(Step::Ask),
        4 => any().prop_map(Step::Pay),
        1 => any().prop_map(Step::Refund),
        2 => any().prop_map(Step::Reverse),
        2 => any().prop_map(Step::Reinstate),
    ]
}

struct Months {
    world: World,
}

impl Months {
    async fn attempts(&self) -> Vec<PaymentAttempt> {
        let (learner, course) = (learner("thandi"), course());
        let found = self.world.store.load(Lookup::Learner(&learner, &course));
        found.await.unwrap().case.unwrap().attempts
    }

    /// Asks for a month, the first or one more.
    async fn ask(&self) -> NextStep {
        let month = AccessTerms::lasting(Duration::from_secs(30 * DAY));
        let asked = request("thandi", PaymentMethod::Card).terms(month).renew();
        self.world.ask(asked).await.next
    }

    async fn take(&self, step: Step) {
        let desk = self.world.registrar.admin(admin());
        let attempts = self.attempts().await;
        let pick = |number: usize| &attempts[number % attempts.len()];
        match step {
            Step::Ask => drop(self.ask().await),
            Step::Pay(number) => {
                let link = pick(number).link.clone().unwrap();
                if self.world.simulator.pay(&link.id, Choice::Card).is_some() {
                    self.world.deliver().await;
                }
            }
            Step::Refund(number) => {
                drop(desk.refunds().record(&pick(number).reference, "R-1").await);
            }
            Step::Reverse(number) => {
                let how = Reversal::ChargedBack;
                drop(
                    desk.refunds()
                        .record_reversal(&pick(number).reference, how, "")
                        .await,
                );
            }
            Step::Reinstate(number) => {
                drop(
                    desk.refunds()
                        .record_reinstatement(&pick(number).reference, "")
                        .await,
                );
            }
        }
    }

    /// Whole months from now to the last day of access, and those of the grants that count.
    async fn months(&self) -> (i64, i64) {
        let (learner, course) = (learner("thandi"), course());
        let found = self.world.store.load(Lookup::Learner(&learner, &course));
        let grants = found.await.unwrap().case.unwrap().grants;
        let live = grants.iter().filter(|it| it.state == GrantState::Live);
        let last = live.clone().filter_map(|it| it.expires_at).max();
        let days = last.map_or(0, |last| (last - start()).num_days());
        (days / 30, i64::try_from(live.count()).unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_paid_month_is_a_month_of_access(steps in prop::collection::vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let months = Months { world: World::new() };
            months.ask().await;
            for step in &steps {
                months.take(*step).await;
                let (lasting, counting) = months.months().await;
                prop_assert_eq!(lasting, counting, "after {:?}", step);
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
