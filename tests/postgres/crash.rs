//! Processes that die in the middle: ours, and the database's.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::webhook::Delivery;
use coursegate::{PayLinkId, PaymentReference};

use crate::broken::Kind;
use crate::cluster::{Cluster, fresh_schema, url};
use crate::school::{Dice, Due, deliveries, enroll_many, onlooker, problems};
use crate::support::{body, signed};

/// One line of a child's input, and of its answer: what it acknowledged.
fn line(due: &Due, status: &str) -> String {
    format!("{} {status} {}", due.link.as_str(), due.reference)
}

/// Not a test: what the tests below start as a process of its own, and kill. It handles the
/// deliveries on its input, eight at a time, and says which it acknowledged.
#[test]
#[ignore = "a part of other tests"]
fn child() {
    let Ok(schema) = std::env::var("COURSEGATE_CHILD") else {
        return;
    };
    let kind = Kind::of(&std::env::var("COURSEGATE_STORE").unwrap());
    let url = std::env::var("COURSEGATE_URL").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = pool_options().connect(&url).await.unwrap();
        let registrar = kind.registrar(PgStore::new(pool).schema(&schema).unwrap());
        let lines: Vec<String> = std::io::stdin().lines().map(Result::unwrap).collect();
        let lines = Arc::new(Mutex::new(lines.into_iter()));
        let lanes: Vec<_> = (0..8)
            .map(|_| {
                let (registrar, lines) = (registrar.clone(), lines.clone());
                tokio::spawn(async move {
                    loop {
                        let Some(line) = lines.lock().unwrap().next() else {
                            return;
                        };
                        let receipt = registrar.receive(parse(&line)).await;
                        if receipt.http_status() == 200 {
                            // One write, so that a line is whole or not there.
                            let answer = format!("\nack {line}\n");
                            std::io::stdout().write_all(answer.as_bytes()).unwrap();
                        }
                    }
                })
            })
            .collect();
        for lane in lanes {
            lane.await.unwrap();
        }
    });
}

fn parse(line: &str) -> Delivery {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap();
    let (link, status, reference) = (next(), next(), next());
    signed(&body(link, status, reference))
}

/// Starts a child on these lines, kills it after a while, and gives what it acknowledged.
fn run_and_kill(
    kind: Kind,
    schema: &str,
    lines: &[String],
    after: Option<Duration>,
) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::child", "--exact", "--ignored", "--nocapture"])
        .env("COURSEGATE_CHILD", schema)
        .env("COURSEGATE_STORE", kind.name())
        .env("COURSEGATE_URL", url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = lines.join("\n");
    // It may be dead before it has read everything.
    let writer = std::thread::spawn(move || drop(input.write_all(text.as_bytes())));
    let output = BufReader::new(child.stdout.take().unwrap());
    let first = Arc::new(std::sync::Barrier::new(2));
    let seen_first = first.clone();
    let reader = std::thread::spawn(move || {
        let mut acknowledged = Vec::new();
        for line in output.lines().map_while(Result::ok) {
            if let Some(line) = line.strip_prefix("ack ") {
                if acknowledged.is_empty() {
                    seen_first.wait();
                }
                acknowledged.push(line.to_owned());
            }
        }
        acknowledged
    });
    if let Some(after) = after {
        first.wait();
        std::thread::sleep(after);
        child.kill().unwrap();
    } else {
        first.wait();
    }
    child.wait().unwrap();
    writer.join().unwrap();
    reader.join().unwrap()
}

fn reference(line: &str) -> Option<PaymentReference> {
    let (rest, reference) = line.rsplit_once(' ')?;
    rest.ends_with("SUCCESS")
        .then(|| PaymentReference::new(reference).unwrap())
}

async fn killed(kind: Kind, payments: usize, kills: usize) {
    let schema = fresh_schema();
    let pool = pool_options().connect(url()).await.unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let dues = enroll_many(&store, payments).await;
    let mut dice = Dice::new("killed");
    let mut lines: Vec<String> = dues
        .iter()
        .flat_map(|due| {
            [
                line(due, "FAILURE"),
                line(due, "SUCCESS"),
                line(due, "SUCCESS"),
            ]
        })
        .collect();
    dice.shuffle(&mut lines);
    let mut acknowledged = HashSet::new();
    for _ in 0..kills {
        // The unacknowledged ones come again; once there are none left, all of them do.
        let mut left: Vec<String> = lines
            .iter()
            .filter(|line| !acknowledged.contains(*line))
            .cloned()
            .collect();
        left.extend(lines.iter().take(400).cloned());
        let after = Duration::from_millis(dice.below(60));
        acknowledged.extend(run_and_kill(kind, &schema, &left, Some(after)));
    }
    let left: Vec<_> = lines
        .iter()
        .filter(|line| !acknowledged.contains(*line))
        .cloned()
        .collect();
    println!(
        "{} of {} deliveries were acknowledged by processes that died",
        lines.len() - left.len(),
        lines.len()
    );
    if !left.is_empty() {
        acknowledged.extend(run_and_kill(kind, &schema, &left, None));
    }
    let paid: Vec<PaymentReference> = acknowledged
        .iter()
        .filter_map(|line| reference(line))
        .collect();
    if kind == Kind::Right {
        assert_eq!(
            acknowledged.len(),
            lines.iter().collect::<HashSet<_>>().len()
        );
    }
    kind.judge(&problems(&onlooker(url()).await, &schema, &paid).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_a_hundred_times_loses_nothing() {
    killed(Kind::Right, 2500, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_commits_in_steps_is_found_out_by_a_kill() {
    killed(Kind::Autocommit, 600, 12).await;
}

/// Hands deliveries over, eight at a time, until each is acknowledged.
async fn persist(
    kind: Kind,
    store: PgStore,
    deliveries: Vec<(PaymentReference, Arc<Delivery>)>,
    done: Arc<Mutex<usize>>,
) {
    let registrar = kind.registrar(store);
    let queue = Arc::new(Mutex::new(deliveries.into_iter()));
    let lanes: Vec<_> = (0..8)
        .map(|_| {
            let (registrar, queue, done) = (registrar.clone(), queue.clone(), done.clone());
            tokio::spawn(async move {
                loop {
                    let Some((_, delivery)) = queue.lock().unwrap().next() else {
                        return;
                    };
                    while registrar
                        .receive(delivery.as_ref().clone())
                        .await
                        .http_status()
                        != 200
                    {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    *done.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

async fn database_killed(kind: Kind, payments: usize, kills: usize, outage: Duration) {
    let cluster = Arc::new(Cluster::start());
    let schema = fresh_schema();
    let pool = pool_options().connect(&cluster.url()).await.unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let dues = enroll_many(&store, payments).await;
    let mut dice = Dice::new("database_killed");
    let all = deliveries(&dues, &mut dice);
    let (total, done) = (all.len(), Arc::new(Mutex::new(0)));
    // Each kill has its share of the deliveries before it.
    let handled = tokio::spawn(persist(kind, store, all, done.clone()));
    for kill in 0..kills {
        let enough = total * kill / kills;
        while *done.lock().unwrap() <= enough && !handled.is_finished() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.below(40))).await;
        let cluster = cluster.clone();
        tokio::task::spawn_blocking(move || cluster.crash_and_restart(outage))
            .await
            .unwrap();
    }
    handled.await.unwrap();
    let paid: Vec<PaymentReference> = dues.into_iter().map(|due| due.reference).collect();
    let found = problems(&onlooker(&cluster.url()).await, &schema, &paid).await;
    kind.judge(&found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_killed_twenty_times_loses_nothing() {
    database_killed(Kind::Right, 1500, 20, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_commits_in_steps_is_found_out_by_a_crash_of_the_database() {
    // Longer than a call is tried again for: it has to break off between two steps.
    database_killed(Kind::Autocommit, 400, 4, Duration::from_secs(6)).await;
}

#[test]
fn a_line_is_read_back() {
    let due = Due {
        enrollment: "019c0000-0000-7000-8000-000000000001".parse().unwrap(),
        reference: PaymentReference::new("CG-1").unwrap(),
        link: PayLinkId::new("link1").unwrap(),
    };
    assert_eq!(
        parse(&line(&due, "SUCCESS")).body(),
        due.callback("SUCCESS").body()
    );
    assert_eq!(
        reference(&line(&due, "SUCCESS")),
        Some(due.reference.clone())
    );
    assert_eq!(reference(&line(&due, "FAILURE")), None);
}
