//! What happens to the processes and to their connections.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::child::Orders;
use crate::school::Dice;

/// How long a process may take to start, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line to the database that can be cut, in the middle of whatever is on it.
pub struct Wire {
    pub port: u16,
    cut: watch::Sender<()>,
    down: AtomicBool,
}

impl Wire {
    pub async fn open(server: u16) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            cut: watch::Sender::new(()),
            down: AtomicBool::new(false),
        });
        let shared = wire.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if shared.down.load(Ordering::SeqCst) {
                    continue;
                }
                let mut cut = shared.cut.subscribe();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", server)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        wire
    }

    /// Cuts every connection, and lets none come about for a while.
    async fn cut(&self, outage: Duration) {
        self.down.store(!outage.is_zero(), Ordering::SeqCst);
        self.cut.send_replace(());
        tokio::time::sleep(outage).await;
        self.down.store(false, Ordering::SeqCst);
    }
}

/// How often each thing happened.
#[derive(Debug, Default)]
pub struct Tally {
    pub kills: AtomicUsize,
    pub freezes: AtomicUsize,
    pub cuts: AtomicUsize,
}

/// A process, which is killed when this is dropped.
pub struct Process {
    orders: Mutex<Orders>,
    child: Mutex<Option<Child>>,
    port: AtomicU16,
}

impl Process {
    pub fn new(orders: Orders) -> Arc<Self> {
        Arc::new(Self {
            orders: Mutex::new(orders),
            child: Mutex::new(None),
            port: AtomicU16::new(0),
        })
    }

    /// Where it listens; 0 while it does not run.
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::SeqCst)
    }

    /// Starts it, again until it runs: it may have been cut off from the database.
    pub async fn start(self: &Arc<Self>) {
        let process = self.clone();
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            while !process.try_start() {
                assert!(begun.elapsed() < PATIENCE, "a process does not start");
                std::thread::sleep(Duration::from_millis(20));
            }
        })
        .await
        .unwrap();
    }

    /// Moves its clock on, from its next start.
    pub fn go_on(&self, by: i64) {
        self.orders.lock().unwrap().ahead += by;
    }

    fn try_start(&self) -> bool {
        let orders = self.orders.lock().unwrap().clone();
        let log = match std::env::var("COURSEGATE_STORM_LOG") {
            Ok(folder) => {
                let name = format!("{folder}/{}-{}.log", orders.schema, orders.name);
                let file = std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(name);
                Stdio::from(file.unwrap())
            }
            Err(_) => Stdio::null(),
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["storm::child::process", "--exact", "--ignored"])
            .arg("--nocapture")
            .env(Orders::VARIABLE, serde_json::to_string(&orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("port ")?.parse().ok());
        let Some(port) = port else {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        };
        std::thread::spawn(move || lines.for_each(drop));
        *self.child.lock().unwrap() = Some(child);
        self.port.store(port, Ordering::SeqCst);
        true
    }

    pub fn kill(&self) {
        self.port.store(0, Ordering::SeqCst);
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it end what it is in the middle of.
    pub async fn stop(&self) {
        self.port.store(0, Ordering::SeqCst);
        let Some(mut child) = self.child.lock().unwrap().take() else {
            return;
        };
        drop(child.stdin.take());
        let begun = Instant::now();
        let ended = loop {
            match child.try_wait().unwrap() {
                Some(ended) => break ended,
                None if begun.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                None => {
                    child.kill().unwrap();
                    break child.wait().unwrap();
                }
            }
        };
        assert!(
            ended.success(),
            "a process does not end as it should: {ended}"
        );
    }

    /// Stops it in the middle of whatever it does. It goes on even if the test is gone by then.
    async fn freeze(&self, pause: Duration) {
        let id = self.child.lock().unwrap().as_ref().map(Child::id);
        let Some(id) = id else { return };
        let script = "kill -STOP $0; sleep $1; kill -CONT $0";
        let mut shell = Command::new("sh")
            .args(["-c", script, &id.to_string()])
            .arg(format!("{:.3}", pause.as_secs_f64()))
            .spawn()
            .unwrap();
        let frozen = tokio::task::spawn_blocking(move || shell.wait());
        drop(frozen.await.unwrap());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn millis(dice: &mut Dice, from: u64, to: u64) -> Duration {
    Duration::from_millis(from + dice.below(to - from))
}

/// Kills and freezes a process until the storm is over, and leaves it running.
pub async fn strike(
    process: Arc<Process>,
    tally: Arc<Tally>,
    until: Instant,
    mut dice: Dice,
    long: bool,
) {
    // Whatever the dice say, each happens once.
    let mut first = vec![4, 0];
    while Instant::now() < until {
        tokio::time::sleep(millis(&mut dice, 300, 2200)).await;
        match first.pop().unwrap_or_else(|| dice.below(10)) {
            0..=3 => {
                process.kill();
                tally.kills.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(millis(&mut dice, 0, 600)).await;
                process.start().await;
            }
            4..=5 => {
                // The lease of a callback is over then; in a long storm that of a timer too.
                let pause = match long && dice.below(20) == 0 {
                    true => millis(&mut dice, 15_500, 17_000),
                    false => millis(&mut dice, 1_600, 2_600),
                };
                process.freeze(pause).await;
                tally.freezes.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}

/// Cuts a line until the storm is over.
pub async fn cut(wire: Arc<Wire>, tally: Arc<Tally>, until: Instant, mut dice: Dice) {
    while Instant::now() < until {
        tokio::time::sleep(millis(&mut dice, 50, 1200)).await;
        let outage = match dice.below(4) {
            0 => millis(&mut dice, 50, 700),
            _ => Duration::ZERO,
        };
        wire.cut(outage).await;
        tally.cuts.fetch_add(1, Ordering::Relaxed);
    }
}
