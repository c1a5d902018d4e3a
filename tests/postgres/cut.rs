//! A network that breaks the connection at every point of a webhook, and a database that
//! stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::registrar::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::broken::Kind;
use crate::cluster::{Cluster, fresh_schema};
use crate::school::{Dice, deliveries, enroll_many, onlooker, problems, registrar_with};

/// Where the connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The client's write never arrives.
    Before(usize),
    /// It arrives, and its answer does not.
    After(usize),
}

/// Passes bytes on, counts the client's writes, and breaks connections.
#[derive(Default)]
struct Line {
    writes: AtomicUsize,
    executes: AtomicUsize,
    parses: AtomicUsize,
    cut: std::sync::Mutex<Option<Cut>>,
    /// No connection comes about while this is so.
    down: AtomicBool,
    /// After a cut the line stays down.
    stays_down: AtomicBool,
}

impl Line {
    async fn open(server: String) -> (Arc<Self>, u16) {
        let line = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = line.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (line, server) = (shared.clone(), server.clone());
                if !line.down.load(Ordering::SeqCst) {
                    tokio::spawn(async move { line.connect(client, &server).await });
                }
            }
        });
        (line, port)
    }

    async fn connect(&self, mut client: TcpStream, server: &str) {
        let mut server = TcpStream::connect(server).await.unwrap();
        let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let Ok(read @ 1..) = read else { return };
                    let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
                    let (parses, executes) = statements(&up[..read]);
                    self.parses.fetch_add(parses, Ordering::SeqCst);
                    self.executes.fetch_add(executes, Ordering::SeqCst);
                    let cut = *self.cut.lock().unwrap();
                    if cut == Some(Cut::Before(write)) {
                        return self.break_down();
                    }
                    if server.write_all(&up[..read]).await.is_err() {
                        return;
                    }
                    if cut == Some(Cut::After(write)) {
                        // The server acts on it; nobody hears of it.
                        drop(server.read(&mut down).await);
                        return self.break_down();
                    }
                }
                read = server.read(&mut down) => {
                    let Ok(read @ 1..) = read else { return };
                    if client.write_all(&down[..read]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn break_down(&self) {
        *self.cut.lock().unwrap() = None;
        self.down
            .store(self.stays_down.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

/// How many statements a client's write prepares, and how many it executes: messages `P`,
/// and `E` or `Q`, of the protocol.
fn statements(mut bytes: &[u8]) -> (usize, usize) {
    let (mut parses, mut executes) = (0, 0);
    while let [kind, a, b, c, d, rest @ ..] = bytes {
        parses += usize::from(*kind == b'P');
        executes += usize::from(matches!(kind, b'E' | b'Q'));
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(next) = length.checked_sub(4).and_then(|length| rest.get(length..)) else {
            break;
        };
        bytes = next;
    }
    (parses, executes)
}

async fn cut_everywhere(kind: Kind, stays_down: bool) {
    let cluster = Cluster::start();
    let schema = fresh_schema();
    let direct = pool_options().connect(&cluster.url()).await.unwrap();
    let store = PgStore::new(direct).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let mut dues = enroll_many(&store, 60).await;
    let direct = kind.registrar(store.clone());
    let paid: Vec<_> = dues.iter().map(|due| due.reference.clone()).collect();

    let (line, port) = Line::open(format!("127.0.0.1:{}", cluster.port())).await;
    line.stays_down.store(stays_down, Ordering::SeqCst);
    let url = format!("postgres://school@127.0.0.1:{port}/postgres");
    let mut cuts = 0;
    'points: for point in 1.. {
        for cut in [Cut::Before(point), Cut::After(point)] {
            let due = dues.pop().unwrap();
            line.down.store(false, Ordering::SeqCst);
            let pool = pool_options()
                .max_connections(1)
                .connect(&url)
                .await
                .unwrap();
            let cut_off = kind.registrar(PgStore::new(pool).schema(&schema).unwrap());
            line.writes.store(0, Ordering::SeqCst);
            *line.cut.lock().unwrap() = Some(cut);
            let receipt = cut_off.receive(due.callback("SUCCESS")).await;
            let was_cut = line.cut.lock().unwrap().take().is_none();
            if stays_down && was_cut && line.writes.load(Ordering::SeqCst) == point {
                cuts += 1;
            }
            if !stays_down {
                assert_eq!(receipt.http_status(), 200, "{cut:?}: {receipt:?}");
                cuts += usize::from(was_cut);
            }
            // The provider, or a person, sends it again.
            let again = direct.receive(due.callback("SUCCESS")).await;
            assert_eq!(again.http_status(), 200, "{cut:?}: {again:?}");
            if !was_cut {
                assert_eq!(receipt.outcome, Outcome::Approved);
                break 'points;
            }
        }
    }
    println!("{cuts} cuts");
    assert!(cuts >= 4, "only {cuts} cuts");
    let paid: Vec<_> = paid[dues.len()..].to_vec();
    kind.judge(&problems(&onlooker(&cluster.url()).await, &schema, &paid).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_any_write_is_made_good() {
    cut_everywhere(Kind::Right, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_stays_down_after_any_write_loses_nothing() {
    cut_everywhere(Kind::Right, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_commits_in_steps_is_found_out_by_a_cut() {
    cut_everywhere(Kind::Autocommit, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_two_statements_and_a_duplicate_is_one() {
    let cluster = Cluster::start();
    let schema = fresh_schema();
    let (line, port) = Line::open(format!("127.0.0.1:{}", cluster.port())).await;
    let url = format!("postgres://school@127.0.0.1:{port}/postgres");
    let pool = pool_options()
        .max_connections(1)
        .connect(&url)
        .await
        .unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let dues = enroll_many(&store, 3).await;
    let registrar = Kind::Right.registrar(store);
    for (number, due) in dues.iter().enumerate() {
        for expected in [2, 1] {
            line.executes.store(0, Ordering::SeqCst);
            line.parses.store(0, Ordering::SeqCst);
            let receipt = registrar.receive(due.callback("SUCCESS")).await;
            assert_eq!(receipt.http_status(), 200);
            assert_eq!(
                line.executes.load(Ordering::SeqCst),
                expected,
                "{receipt:?}"
            );
            // After the first webhook everything is prepared.
            assert!(number == 0 || line.parses.load(Ordering::SeqCst) == 0);
        }
    }
}

async fn frozen(deadline: Duration) -> (Vec<Duration>, bool) {
    let cluster = Cluster::start();
    let schema = fresh_schema();
    let pool = pool_options().connect(&cluster.url()).await.unwrap();
    let store = PgStore::new(pool).schema(&schema).unwrap();
    store.migrate().await.unwrap();
    let dues = enroll_many(&store, 300).await;
    let registrar = registrar_with(store.clone(), deadline);
    let mut dice = Dice::new("frozen");
    let all = deliveries(&dues, &mut dice);

    // Sixteen callers are in the middle of it when the database stops.
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..16)
        .map(|lane| {
            let (registrar, stop) = (registrar.clone(), stop.clone());
            let all: Vec<_> = all.iter().skip(lane).step_by(16).cloned().collect();
            tokio::spawn(async move {
                let mut longest = Duration::ZERO;
                for (_, delivery) in all.iter().cycle() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let begun = Instant::now();
                    let receipt = registrar.receive(delivery.as_ref().clone()).await;
                    assert!(matches!(receipt.http_status(), 200 | 503));
                    longest = longest.max(begun.elapsed());
                }
                longest
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(30 + dice.below(30))).await;
    let ice = cluster.freeze();
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::SeqCst);
    let answered = tokio::time::timeout(Duration::from_secs(2), async {
        let mut longest = Vec::new();
        for caller in callers {
            longest.push(caller.await.unwrap());
        }
        longest
    })
    .await;
    drop(ice);

    // Everything goes on, on the same pool.
    let begun = Instant::now();
    for (_, delivery) in &all {
        while registrar
            .receive(delivery.as_ref().clone())
            .await
            .http_status()
            != 200
        {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the pool does not recover"
            );
        }
    }
    let paid: Vec<_> = dues.into_iter().map(|due| due.reference).collect();
    Kind::Right.judge(&problems(&onlooker(&cluster.url()).await, &schema, &paid).await);
    let all_answered = answered.is_ok();
    (answered.unwrap_or_default(), all_answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_is_an_error_within_the_deadline() {
    let deadline = Duration::from_millis(700);
    let (longest, all_answered) = frozen(deadline).await;
    assert!(all_answered, "a caller hangs");
    for longest in longest {
        assert!(
            longest < deadline + Duration::from_millis(800),
            "{longest:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_deadline_a_frozen_database_is_seen_to_hang() {
    let (_, all_answered) = frozen(Duration::from_secs(60)).await;
    assert!(!all_answered, "the test above could not fail");
}
