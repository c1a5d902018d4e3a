//! The provider outside both processes, and the callbacks on their way to them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use coursegate::adapter::simulator::{Choice, Fault, Settings, Simulator};
use coursegate::webhook::Signer;
use coursegate::{AppId, PayLinkId, Secret};
use futures_util::future::join_all;

use super::books::Books;
use super::child::FastClock;
use super::weather::Process;
use crate::school::Dice;
use crate::support::{APP_ID, PATH, SECRET, body};

#[path = "../../../examples/common/callbacks.rs"]
#[allow(dead_code, clippy::print_stderr, unreachable_pub)]
mod callbacks;

/// A callback on its way.
#[derive(Clone)]
struct Letter {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    due: Instant,
}

pub struct Post {
    simulator: Simulator,
    books: Arc<Books>,
    processes: [Arc<Process>; 2],
    client: reqwest::Client,
    paid: Mutex<HashSet<PayLinkId>>,
    letters: Mutex<Vec<Letter>>,
    /// Delivered already; some come again.
    old: Mutex<Vec<Letter>>,
    over: AtomicBool,
    pub acknowledged: AtomicUsize,
}

impl Post {
    /// Opens the provider, and makes the processes that are told its address.
    pub async fn open(
        seed: u64,
        clock: FastClock,
        books: Arc<Books>,
        processes: impl FnOnce(&str) -> [Arc<Process>; 2],
    ) -> (Arc<Self>, [Arc<Process>; 2]) {
        let settings = Settings::new(seed)
            .fault(Fault::Lost, 0.1)
            .fault(Fault::Duplicate, 0.2)
            .fault(Fault::Delayed, 0.2)
            .fault(Fault::Reordered, 0.3)
            .fault(Fault::Forged, 0.05)
            .fault(Fault::LaggingStatus, 0.05)
            .fault(Fault::ServerError, 0.03);
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
        let simulator = Simulator::with_clock(app_id, secret, settings, clock);
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", socket.local_addr().unwrap());
        simulator.set_pay_base(&origin);
        let router = callbacks::mount(simulator.clone());
        tokio::spawn(async move { axum::serve(socket, router).await });
        let processes = processes(&format!("{origin}/public-api/v1/api"));
        let post = Self {
            simulator,
            books,
            processes: processes.clone(),
            client: client(Duration::from_secs(1)),
            paid: Mutex::default(),
            letters: Mutex::default(),
            old: Mutex::default(),
            over: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
        };
        (Arc::new(post), processes)
    }

    /// What a payer does on the pay page. Money is noted outside before any callback is sent.
    pub async fn pay(&self, (link, reference): (&str, &str), cents: i64, choice: Choice) {
        let link = PayLinkId::new(link).unwrap();
        if choice == Choice::Decline {
            drop(self.simulator.pay(&link, choice));
            return;
        }
        if self.paid.lock().unwrap().insert(link.clone()) {
            self.books.paid(reference, link.as_str(), cents).await;
            assert!(
                self.simulator.pay(&link, choice).is_some(),
                "an unknown link"
            );
        }
    }

    /// Somebody says that it is paid, and it is not.
    pub fn lie(&self, link: &str, reference: &str, signed: bool) {
        let body = body(link, "SUCCESS", reference).into_bytes();
        let signature = match signed {
            true => Signer::new(&Secret::new(SECRET).unwrap())
                .sign(PATH, &body)
                .to_hex(),
            false => "0".repeat(64),
        };
        let headers = vec![("ik-appid", APP_ID.to_owned()), ("ik-sign", signature)];
        let due = Instant::now();
        self.letters
            .lock()
            .unwrap()
            .push(Letter { headers, body, due });
    }

    /// From now on senders end when everything is delivered.
    pub fn close(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Delivers what is due: often several times at once, sometimes again much later.
    pub async fn send(self: Arc<Self>, mut dice: Dice) {
        loop {
            let new = self.simulator.take_callbacks().into_iter();
            let new = new.map(|callback| Letter {
                headers: callback.headers,
                body: callback.body,
                due: Instant::now(),
            });
            let (letter, left) = {
                let mut letters = self.letters.lock().unwrap();
                letters.extend(new);
                let now = Instant::now();
                let due = letters.iter().position(|letter| letter.due <= now);
                (due.map(|at| letters.swap_remove(at)), !letters.is_empty())
            };
            let over = self.over.load(Ordering::SeqCst);
            match letter {
                Some(letter) => self.deliver(letter, &mut dice).await,
                None if over && !left => return,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            if !over && dice.below(30) == 0 {
                self.send_old(&mut dice).await;
            }
        }
    }

    async fn deliver(&self, letter: Letter, dice: &mut Dice) {
        let copies: Vec<_> = (0..1 + dice.below(4)).map(|_| dice.below(2)).collect();
        let sent = copies.into_iter().map(|to| self.hand_over(&letter, to));
        let answers = join_all(sent).await;
        if answers.contains(&Some(200)) {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            self.books.acknowledged(&letter.body).await;
            self.old.lock().unwrap().push(letter);
        } else if !answers.contains(&Some(401)) {
            let due = Instant::now() + Duration::from_millis(50 + dice.below(400));
            self.letters.lock().unwrap().push(Letter { due, ..letter });
        }
    }

    async fn send_old(&self, dice: &mut Dice) {
        let letter = {
            let old = self.old.lock().unwrap();
            let count = u64::try_from(old.len()).unwrap();
            (count > 0).then(|| old[usize::try_from(dice.below(count)).unwrap()].clone())
        };
        if let Some(letter) = letter {
            self.hand_over(&letter, dice.below(2)).await;
        }
    }

    /// The answer, if there is one.
    async fn hand_over(&self, letter: &Letter, to: u64) -> Option<u16> {
        let process = &self.processes[usize::try_from(to).unwrap()];
        let mut request = self
            .client
            .post(format!("http://127.0.0.1:{}{PATH}", process.port()))
            .body(letter.body.clone());
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        Some(request.send().await.ok()?.status().as_u16())
    }
}

/// A client that waits so long, and less long than a process may be frozen.
pub fn client(time_limit: Duration) -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(time_limit)
        .build()
        .unwrap()
}
