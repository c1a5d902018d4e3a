//! A school on a Postgres store, and a checker that finds what must not be in its tables.

use std::sync::Arc;

use coursegate::adapter::memory::RecordingPublisher;
use coursegate::adapter::postgres::PgStore;
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::evidence::EvidenceLevel;
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{NextStep, Outcome};
use coursegate::store::{Lookup, Queries, Store};
use coursegate::webhook::Delivery;
use coursegate::{AppId, EnrollmentId, PayLinkId, PaymentReference, Registrar, Secret};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::{APP_ID, SECRET, body, config, request, signed};

/// One payment that can be reported: an enrollment's reference and pay link.
#[derive(Clone, Debug)]
pub struct Due {
    pub enrollment: EnrollmentId,
    pub reference: PaymentReference,
    pub link: PayLinkId,
}

impl Due {
    pub fn callback(&self, status: &str) -> Delivery {
        signed(&body(self.link.as_str(), status, self.reference.as_str()))
    }
}

/// A registrar that believes a signature, and queues what happened for a publisher.
pub fn registrar<S: Store + Queries>(store: S) -> Registrar {
    registrar_with(store, std::time::Duration::from_secs(20))
}

pub fn registrar_with<S: Store + Queries>(store: S, deadline: std::time::Duration) -> Registrar {
    let mut config = config().minimum_evidence(EvidenceLevel::Signed);
    config.deadline = deadline;
    config.provider_wait = deadline / 2;
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    // Any seed will do, but each registrar's links must be its own.
    let simulator = Simulator::new(app_id, secret, Settings::new(rand_seed()));
    Registrar::builder(config, store)
        .gateway(simulator.gateway())
        .publisher(RecordingPublisher::new())
        .build_for_tests()
        .unwrap()
}

pub fn rand_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

pub async fn enroll(registrar: &Registrar, store: &PgStore, name: &str) -> Due {
    let enrolled = registrar
        .enroll(request(name, PaymentMethod::Card))
        .await
        .unwrap();
    let NextStep::Pay { reference, .. } = enrolled.next else {
        panic!("no pay link")
    };
    let found = store.load(Lookup::Reference(&reference)).await.unwrap();
    let case = found.case.unwrap();
    let attempt = case.attempt(Some(reference.as_str()), None).unwrap();
    Due {
        enrollment: case.enrollment.id,
        link: attempt.link.clone().unwrap().id,
        reference,
    }
}

/// Enrolls many, some at a time.
pub async fn enroll_many(store: &PgStore, count: usize) -> Vec<Due> {
    let registrar = registrar(store.clone());
    let tasks: Vec<_> = (0..8)
        .map(|lane| {
            let (registrar, store) = (registrar.clone(), store.clone());
            tokio::spawn(async move {
                let mut dues = Vec::new();
                for number in (lane..count).step_by(8) {
                    dues.push(enroll(&registrar, &store, &format!("learner-{number}")).await);
                }
                dues
            })
        })
        .collect();
    let mut dues = Vec::new();
    for task in tasks {
        dues.extend(task.await.unwrap());
    }
    dues
}

/// Hands over the callback of each payment so many times at once, and says how many of them
/// all were applied.
pub async fn duplicates(registrar: &Registrar, dues: &[Due], copies: usize) -> usize {
    let mut applied = 0;
    for due in dues {
        let tasks: Vec<_> = (0..copies)
            .map(|_| {
                let (registrar, delivery) = (registrar.clone(), due.callback("SUCCESS"));
                tokio::spawn(async move { registrar.receive(delivery).await })
            })
            .collect();
        for task in tasks {
            let receipt = task.await.unwrap();
            assert_eq!(receipt.http_status(), 200, "{receipt:?}");
            applied += usize::from(receipt.outcome == Outcome::Approved);
        }
    }
    applied
}

/// Numbers that look random, and can be had again with the seed that was printed.
pub struct Dice(u64);

impl Dice {
    /// From `COURSEGATE_SEED`, or a new one.
    pub fn new(test: &str) -> Self {
        let seed = std::env::var("COURSEGATE_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok())
            .unwrap_or_else(rand_seed);
        println!("{test}: COURSEGATE_SEED={seed}");
        Self(seed | 1)
    }

    /// From a seed that may be small, or next to another's.
    pub fn from_seed(seed: u64) -> Self {
        // The finaliser of SplitMix64.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let other = self.below(index as u64 + 1);
            items.swap(index, usize::try_from(other).unwrap());
        }
    }
}

/// What the final tables must look like, as queries that give what is wrong. `$1` are the
/// references of the payments that were reported and acknowledged.
const CHECKS: &[(&str, &str)] = &[
    (
        "an acknowledged payment is lost",
        "SELECT p::text FROM unnest($1::text[]) AS p
         WHERE NOT EXISTS (SELECT FROM coursegate.attempts
                           WHERE reference = p AND status = 'paid')",
    ),
    (
        "an acknowledged payment has no settled delivery",
        "SELECT p::text FROM unnest($1::text[]) AS p
         WHERE NOT EXISTS (SELECT FROM coursegate.inbox
                           WHERE reference = p AND state = 'settled' AND outcome = 'approved')",
    ),
    (
        "a payment without access",
        "SELECT a.reference FROM coursegate.attempts AS a
         WHERE a.status = 'paid' AND a.allocation = 'applied' AND NOT EXISTS (
             SELECT FROM coursegate.grants AS g
             WHERE g.enrollment = a.enrollment AND g.ended_at IS NULL)",
    ),
    (
        "access without a payment",
        "SELECT g.id::text FROM coursegate.grants AS g
         WHERE g.ended_at IS NULL AND g.source = 'payment' AND NOT EXISTS (
             SELECT FROM coursegate.attempts AS a
             WHERE a.reference = g.payment AND a.enrollment = g.enrollment AND a.status = 'paid')",
    ),
    (
        "an open payment that nobody will ask about, or a paid one that somebody will",
        "SELECT a.reference FROM coursegate.attempts AS a
         WHERE (a.paid_at IS NULL) <> EXISTS (
             SELECT FROM coursegate.timers AS t WHERE t.kind = 'attempt' AND t.name = a.reference)",
    ),
    (
        "an unpaid enrollment that will not expire, or an approved one that will",
        "SELECT e.id::text FROM coursegate.enrollments AS e
         WHERE (e.status = 'awaiting_payment') <> EXISTS (
             SELECT FROM coursegate.timers AS t WHERE t.kind = 'enrollment' AND t.name = e.id::text)",
    ),
    (
        "more than one grant",
        "SELECT enrollment::text FROM coursegate.grants
         GROUP BY enrollment HAVING count(*) > 1",
    ),
    (
        "approved without access, or access without approval",
        "SELECT e.id::text FROM coursegate.enrollments AS e
         WHERE (e.status = 'approved') <> EXISTS (
             SELECT FROM coursegate.grants AS g WHERE g.enrollment = e.id AND g.ended_at IS NULL)",
    ),
    (
        "a change without an event, or an event without a change",
        "SELECT e.id::text FROM coursegate.enrollments AS e
         WHERE e.version <> (SELECT count(DISTINCT r.version) FROM coursegate.events AS r
                             WHERE r.enrollment = e.id)
            OR e.version <> (SELECT max(r.version) FROM coursegate.events AS r
                             WHERE r.enrollment = e.id)",
    ),
    (
        "a thing that happened twice",
        "SELECT r.enrollment::text || r.name FROM coursegate.events AS r
         WHERE r.name IN ('enrollment_created', 'payment_completed', 'course_access_granted')
         GROUP BY r.enrollment, r.name HAVING count(*) > 1",
    ),
    (
        "approved by a history that does not say so",
        "SELECT e.id::text FROM coursegate.enrollments AS e
         WHERE e.status = 'approved' AND 1 <> (
             SELECT count(*) FROM coursegate.events AS r
             WHERE r.enrollment = e.id AND r.data::json ->> 'type' = 'enrollment_moved'
               AND r.data::json -> 'to' ->> 'state' = 'approved'
               AND r.data::json -> 'from' ->> 'state' <> 'approved')",
    ),
    (
        "an event that nobody will hear of, or would hear of twice",
        "SELECT r.id::text FROM coursegate.events AS r
         WHERE 1 <> (SELECT count(*) FROM coursegate.outbox AS o WHERE o.event = r.id)",
    ),
];

/// Everything that is wrong in a schema.
pub async fn problems(
    pool: &PgPool,
    schema: &str,
    acknowledged: &[PaymentReference],
) -> Vec<String> {
    let acknowledged: Vec<&str> = acknowledged.iter().map(PaymentReference::as_str).collect();
    let mut problems = Vec::new();
    for (what, query) in CHECKS {
        // Each takes the list, whether it looks at it or not.
        let text = format!(
            "SELECT * FROM ({}) AS found LIMIT cardinality($1::text[]) + 1000000",
            query.replace("coursegate.", &format!("{schema}."))
        );
        let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(text))
            .persistent(false)
            .bind(&acknowledged)
            .fetch_all(pool)
            .await
            .unwrap();
        if let Some(first) = found.first() {
            problems.push(format!("{what}: {} times, such as {first}", found.len()));
        }
    }
    problems
}

/// One connection for looking on.
pub async fn onlooker(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .connect(url)
        .await
        .unwrap()
}

/// The deliveries of these payments: a failure and a success each, the success twice.
pub fn deliveries(dues: &[Due], dice: &mut Dice) -> Vec<(PaymentReference, Arc<Delivery>)> {
    let mut deliveries = Vec::new();
    for due in dues {
        for status in ["FAILURE", "SUCCESS", "SUCCESS"] {
            let delivery = Arc::new(due.callback(status));
            deliveries.push((due.reference.clone(), delivery));
        }
    }
    dice.shuffle(&mut deliveries);
    deliveries
}
