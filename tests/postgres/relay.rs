//! The relay dies in the middle, again and again: everybody still hears of everything.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use chrono::{DateTime, Utc};
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::event::Event;
use coursegate::port::{Clock, EventPublisher, PublishError, Sleep, SystemClock};
use coursegate::{EventId, Registrar};
use sqlx::AssertSqlSafe;

use crate::cluster::{fresh_schema, url};
use crate::school::{Dice, enroll_many, onlooker};
use crate::support::config;

/// Writes what it is told to the output, in one write, a little slowly.
#[derive(Debug)]
struct Printer;

#[async_trait::async_trait]
impl EventPublisher for Printer {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        // An alert, perhaps: the clock is ahead.
        let Some(enrollment) = event.enrollment else {
            return Ok(());
        };
        let line = format!("\nsaid {enrollment} {} {}\n", event.version.0, event.id);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

/// A clock that is ahead: what a dead relay had claimed is free again.
#[derive(Debug)]
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }

    fn is_test_double(&self) -> bool {
        true
    }
}

/// Not a test: the relay that the test below starts and kills.
#[test]
#[ignore = "a part of another test"]
fn child() {
    let Ok(schema) = std::env::var("COURSEGATE_RELAY") else {
        return;
    };
    let ahead = std::env::var("COURSEGATE_AHEAD").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let url = std::env::var("COURSEGATE_URL").unwrap();
        let pool = pool_options().connect(&url).await.unwrap();
        let store = PgStore::new(pool).schema(&schema).unwrap();
        let registrar = Registrar::builder(config(), store)
            .clock(Ahead(Duration::from_secs(ahead)))
            .publisher(Printer)
            .build_for_tests()
            .unwrap();
        let worker = registrar.worker();
        while worker.pass().await.unwrap().published > 0 {}
        std::io::stdout().write_all(b"\nall\n").unwrap();
    });
}

/// One relay's life: what it said, and whether it came to the end.
fn live_and_die(schema: &str, ahead: u64, after: Option<Duration>) -> (Vec<String>, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["relay::child", "--exact", "--ignored", "--nocapture"])
        .env("COURSEGATE_RELAY", schema)
        .env("COURSEGATE_AHEAD", ahead.to_string())
        .env("COURSEGATE_URL", url())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let (mut said, mut all) = (Vec::new(), false);
        for line in output.lines().map_while(Result::ok) {
            let event = line.strip_prefix("said ");
            said.extend(event.map(str::to_owned));
            all |= line == "all";
            if event.is_some() || all {
                // Nobody listens any more once it is killed.
                let _ = tell.send(());
            }
        }
        (said, all)
    });
    if let Some(after) = after {
        // From its first words on.
        while told.recv_timeout(Duration::from_secs(30)).is_err() {}
        std::thread::sleep(after);
        child.kill().unwrap();
    }
    child.wait().unwrap();
    reader.join().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_killed_fifty_times_loses_nothing() {
    let schema = fresh_schema();
    let pool = pool_options().connect(url()).await.unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    enroll_many(&store, 1200).await;
    let mut dice = Dice::new("relay");
    let mut said = Vec::new();
    let mut deaths = 0;
    // Longer than a lease.
    let lease = 3600;
    while deaths < 50 {
        deaths += 1;
        let after = Duration::from_millis(dice.below(300));
        let (more, all) = live_and_die(&schema, deaths * lease, Some(after));
        said.extend(more);
        assert!(!all, "there was not enough to say for {deaths} deaths");
    }
    let (rest, all) = live_and_die(&schema, (deaths + 1) * lease, None);
    said.extend(rest);
    assert!(all);

    let mut first: HashMap<&str, Vec<(u64, EventId)>> = HashMap::new();
    let mut seen: HashMap<EventId, (&str, u64)> = HashMap::new();
    for line in &said {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        let (enrollment, version, id) = (next(), next(), next());
        let (version, id): (u64, EventId) = (version.parse().unwrap(), id.parse().unwrap());
        match seen.insert(id, (enrollment, version)) {
            None => first.entry(enrollment).or_default().push((version, id)),
            Some(before) => assert_eq!(before, (enrollment, version), "one id, two messages"),
        }
    }
    for (enrollment, order) in &first {
        assert!(
            order.is_sorted(),
            "{enrollment} was told out of order: {order:?}"
        );
    }
    let text = format!("SELECT id FROM {schema}.events WHERE enrollment IS NOT NULL");
    let onlooker = onlooker(url()).await;
    let ids: Vec<(uuid::Uuid,)> = sqlx::query_as(AssertSqlSafe(text))
        .fetch_all(&onlooker)
        .await
        .unwrap();
    let written: HashSet<EventId> = ids
        .into_iter()
        .map(|(id,)| EventId::from_uuid(id))
        .collect();
    assert_eq!(seen.keys().copied().collect::<HashSet<_>>(), written);
    let text = format!("SELECT count(*) FROM {schema}.outbox");
    let (left,): (i64,) = sqlx::query_as(AssertSqlSafe(text))
        .fetch_one(&onlooker)
        .await
        .unwrap();
    assert_eq!(left, 0);
    println!(
        "{} events, said {} times by {deaths} relays that died and one that did not",
        written.len(),
        said.len()
    );
    assert!(
        said.len() > written.len(),
        "no relay died with something unsettled"
    );
}
