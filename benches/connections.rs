//! Five thousand streams of server-sent events on loopback: what one costs in memory, and how
//! long an event takes until the last of them has it, beside a bare axum server.
//!
//! `cargo bench --bench connections --features live,simulator`. Each server is a process of
//! its own. `COURSEGATE_STREAMS` sets another number of streams; both processes need as many
//! open files.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used
)]

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use chrono::Utc;
use coursegate::access::Visitor;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::event::{Actor, Event, EventKind, Source};
use coursegate::live::Hub;
use coursegate::port::EventPublisher;
use coursegate::{
    AdminId, AppId, Config, CourseId, IdGenerator, LearnerId, Registrar, Secret, Site,
};
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

const KINDS: [&str; 3] = ["bare", "admins", "learners"];
const EVENTS: usize = 20;

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--serve") {
        let kind = arguments.next().unwrap();
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(serve(&kind));
        return;
    }
    let streams =
        std::env::var("COURSEGATE_STREAMS").map_or(5000, |number| number.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("{streams} streams, {EVENTS} events");
    for kind in KINDS {
        runtime.block_on(measure(kind, streams));
    }
}

// --- The servers -----------------------------------------------------------------------------------

#[derive(Clone)]
struct School {
    hub: Hub,
    registrar: Registrar,
    bare: broadcast::Sender<Bytes>,
}

fn school() -> School {
    let app_id = AppId::new("IKTESTBENCH").unwrap();
    let secret = Secret::new("test-secret-0123456789abcdef").unwrap();
    let simulator = Simulator::new(app_id.clone(), secret.clone(), Settings::new(1));
    let page = "https://school.example/returned/{reference}";
    let site = Site {
        callback_url: "https://school.example/payments/ikhokha".into(),
        success_url: page.into(),
        failure_url: page.into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    };
    let mut config = Config::new(app_id, secret, site).unwrap();
    // More than any school has in ten seconds.
    config.provider.links_per_second = 1_000_000;
    config.provider.callbacks_per_second = 1_000_000;
    let registrar = Registrar::builder(config, MemoryStore::new()).gateway(simulator.gateway());
    School {
        hub: Hub::new(),
        registrar: registrar.build_for_tests().unwrap(),
        bare: broadcast::channel(1024).0,
    }
}

fn event() -> Event {
    let now = Utc::now();
    let id = IdGenerator::new(now).event();
    Event::new(
        id,
        EventKind::PreferencesChosen,
        Actor::System,
        Source::SystemAutomatic,
        now,
    )
}

async fn serve(kind: &str) {
    let school = school();
    let router = match kind {
        "bare" => Router::new()
            .route("/events/{number}", get(bare_events))
            .route("/fire", post(bare_fire)),
        "admins" => Router::new()
            .route("/events/{number}", get(admin_events))
            .route("/fire", post(admin_fire)),
        _ => Router::new().route("/events/{number}", get(learner_events)),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router.with_state(school))
        .await
        .unwrap();
}

fn events(body: Body) -> Response {
    ([(CONTENT_TYPE, "text/event-stream")], body).into_response()
}

/// What one writes without this crate: a receiver for each stream.
async fn bare_events(State(school): State<School>) -> Response {
    let hello = Bytes::from_static(b"event: admin\ndata: {\"update\":\"snapshot\"}\n\n");
    let receiver = school.bare.subscribe();
    let rest = unfold(receiver, async |mut receiver| {
        let event = receiver.recv().await.ok()?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    let first = futures_util::stream::once(async { Ok(hello) });
    events(Body::from_stream(first.chain(rest)))
}

async fn bare_fire(State(school): State<School>) {
    let data = serde_json::to_string(&event()).unwrap();
    let event = Bytes::from(format!("event: admin\ndata: {data}\n\n"));
    school.bare.send(event).unwrap();
}

async fn admin_events(State(school): State<School>) -> Response {
    let person = AdminId::new("nomsa").unwrap();
    let stream = school.hub.admins(&school.registrar, person, None);
    let stream = stream.await.unwrap();
    let stream = unfold(stream, async |mut stream| {
        let update = stream.next().await.ok()?;
        let data = serde_json::to_string(&update).unwrap();
        let text = format!("id: {}\nevent: admin\ndata: {data}\n\n", stream.token());
        Some((Ok::<_, Infallible>(Bytes::from(text)), stream))
    });
    events(Body::from_stream(stream))
}

async fn admin_fire(State(school): State<School>) {
    school.hub.publish(&event()).await.unwrap();
}

/// A learner with a page of three courses.
async fn learner_events(State(school): State<School>, Path(number): Path<u32>) -> Response {
    let learner = LearnerId::new(format!("learner-{number}")).unwrap();
    let courses = ["rust-101", "maths-12", "baking"].map(|id| CourseId::new(id).unwrap());
    let stream = school.hub.learner(
        &school.registrar,
        Visitor::new(learner),
        courses.into(),
        None,
    );
    let stream = unfold(stream.await.unwrap(), async |mut stream| {
        let update = stream.next().await.ok()?;
        let data = serde_json::to_string(&update).unwrap();
        let id = serde_json::to_string(&stream.token()).unwrap();
        let text = format!("id: {id}\nevent: learner\ndata: {data}\n\n");
        Some((Ok::<_, Infallible>(Bytes::from(text)), stream))
    });
    events(Body::from_stream(stream))
}

// --- The readers -----------------------------------------------------------------------------------

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(kind: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", kind])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut address).unwrap();
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }

    /// Memory that the process holds, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    async fn request(&self, text: String) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

async fn measure(kind: &str, streams: usize) {
    let server = Arc::new(Server::start(kind));
    // One connection first, so that what is made once is not counted.
    drop(
        server
            .request("GET /events/0 HTTP/1.1\r\nhost: x\r\n\r\n".into())
            .await,
    );
    let before = server.memory();
    let (tell, mut told) = mpsc::unbounded_channel();
    let begun = Instant::now();
    for number in 0..streams {
        let mut stream = server
            .request(format!("GET /events/{number} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        let tell = tell.clone();
        tokio::spawn(async move {
            let (mut buffer, mut seen) = ([0; 4096], String::new());
            while let Ok(read) = stream.read(&mut buffer).await {
                if read == 0 {
                    break;
                }
                seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
                while let Some(end) = seen.find("\n\n") {
                    let head = seen.drain(..end + 2).collect::<String>();
                    if head.contains("data: ") {
                        tell.send(()).unwrap();
                    }
                }
            }
        });
        if number % 250 == 249 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for _ in 0..streams {
        told.recv().await.unwrap();
    }
    let opened = begun.elapsed();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let each = (server.memory() - before) * 1024 / u64::try_from(streams).unwrap();
    print!("{kind:>9}: opened in {opened:.0?}, {each} bytes of the server's memory for each");
    if kind != "learners" {
        let mut times = Vec::new();
        for _ in 0..EVENTS {
            let begun = Instant::now();
            let mut fired = server
                .request("POST /fire HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".into())
                .await;
            for _ in 0..streams {
                told.recv().await.unwrap();
            }
            times.push(begun.elapsed());
            let mut rest = Vec::new();
            fired.read_to_end(&mut rest).await.unwrap();
        }
        times.sort_unstable();
        let (median, slow) = (times[EVENTS / 2], times[EVENTS * 19 / 20]);
        print!("; an event reaches the last in {median:.0?} (median), {slow:.0?} (95 %)");
    }
    println!();
}
