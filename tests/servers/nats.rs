//! A real NATS server, killed and restarted, between instances.

use std::collections::HashMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream;
use coursegate::access::Visitor;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::nats::{NatsBus, NatsError};
use coursegate::event::Event;
use coursegate::live::Hub;
use coursegate::payment::PaymentMethod;
use coursegate::port::EventPublisher;
use coursegate::registrar::EnrollRequest;
use coursegate::store::Queries;
use coursegate::{
    AdminId, AppId, BankDetails, Config, CourseId, Email, EnrollmentId, EventId, LearnerId, Money,
    Registrar, Secret, Site, Title,
};
use futures_util::StreamExt;
use tokio::task::JoinHandle;

/// A server of its own, in a temporary folder; both end with the test.
struct Nats {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Nats {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder =
            std::env::temp_dir().join(format!("coursegate-nats-{port}-{}", std::process::id()));
        Self {
            child: Self::spawn(port, &folder),
            port,
            folder,
        }
    }

    fn spawn(port: u16, folder: &Path) -> Child {
        let usual = ["/usr/sbin/nats-server", "/usr/local/bin/nats-server"];
        let found = usual.into_iter().find(|path| Path::new(path).exists());
        let child = Command::new(found.unwrap_or("nats-server"))
            .args(["-a", "127.0.0.1", "-js", "-p", &port.to_string(), "-sd"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("install nats-server: bash .ci/test does");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "no NATS server");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = Self::spawn(self.port, &self.folder);
    }

    async fn client(&self) -> async_nats::Client {
        async_nats::connect(format!("127.0.0.1:{}", self.port))
            .await
            .unwrap()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// One process: a registrar that publishes on the bus, and a hub that hears the bus.
struct Instance {
    registrar: Registrar,
    hub: Hub,
    tasks: Vec<JoinHandle<()>>,
}

impl Instance {
    fn new(store: &MemoryStore, bus: &NatsBus, own: Option<Hub>) -> Self {
        let site = Site {
            callback_url: "https://school.example/hook".into(),
            success_url: "https://school.example/paid".into(),
            failure_url: "https://school.example/failed".into(),
            cancel_url: None,
            requester_url: "https://school.example".into(),
        };
        let secret = Secret::new("test-secret-0123456789abcdef").unwrap();
        let config = Config::new(AppId::new("IKTESTAPPLICATION").unwrap(), secret, site).unwrap();
        let bank = BankDetails {
            account_holder: "Test School".into(),
            bank: "Test Bank".into(),
            account_number: "000000001".into(),
            branch_code: "000001".into(),
        };
        let mut builder =
            Registrar::builder(config.bank(bank), store.clone()).publisher(bus.clone());
        if let Some(own) = own {
            builder = builder.publisher(own);
        }
        let registrar = builder.build_for_tests().unwrap();
        let hub = Hub::new();
        let (worker, bus, heard) = (registrar.worker(), bus.clone(), hub.clone());
        let tasks = vec![
            tokio::spawn(async move { worker.run(std::future::pending()).await }),
            tokio::spawn(async move {
                let missed = heard.clone();
                bus.subscribe(heard, move || missed.resync()).await;
            }),
        ];
        Self {
            registrar,
            hub,
            tasks,
        }
    }

    async fn enroll(&self, name: &str) -> EnrollmentId {
        let request = EnrollRequest::new(
            LearnerId::new(name).unwrap(),
            Email::new("learner@school.example").unwrap(),
            course(),
            Title::new("Baking").unwrap(),
            Money::zar(10_000).unwrap(),
            PaymentMethod::BankTransfer,
        );
        self.registrar
            .enroll(request)
            .await
            .unwrap()
            .enrollment
            .unwrap()
    }

    async fn approve(&self, id: EnrollmentId) {
        let desk = self.registrar.admin(AdminId::new("nomsa").unwrap());
        desk.approvals().approve(id, "").await.unwrap();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

fn course() -> CourseId {
    CourseId::new("baking").unwrap()
}

/// Reads on until the card says so.
async fn shows(hub: &Hub, registrar: &Registrar, name: &str, reason: &str) -> Duration {
    let begun = Instant::now();
    let learner = LearnerId::new(name).unwrap();
    let mut stream = hub
        .learner(registrar, Visitor::new(learner), vec![course()], None)
        .await
        .unwrap();
    let reading = async {
        loop {
            let update = stream.next().await.unwrap();
            if update.cards().iter().any(|card| card.card.reason == reason) {
                return begun.elapsed();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .unwrap_or_else(|_| panic!("no card says {reason}"))
}

/// Everything in the stream, in its order.
async fn stored(client: async_nats::Client, wanted: usize) -> Vec<(Option<String>, Event)> {
    let stream = jetstream::new(client).get_stream("school-7").await.unwrap();
    let consumer = stream
        .create_consumer(jetstream::consumer::pull::OrderedConfig::default())
        .await
        .unwrap();
    let mut messages = consumer.messages().await.unwrap();
    let mut found = Vec::new();
    while let Ok(Some(message)) =
        tokio::time::timeout(Duration::from_secs(1), messages.next()).await
    {
        let message = message.unwrap();
        let event: Event = serde_json::from_slice(&message.payload).unwrap();
        assert_eq!(
            message.subject.as_str(),
            format!("school-7.{}", event.kind.name())
        );
        let id = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get("Nats-Msg-Id"));
        found.push((id.map(ToString::to_string), event));
        if found.len() > wanted {
            break;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_at_one_instance_shows_at_the_other_through_nats() {
    let nats = Nats::start();
    let bus = NatsBus::open(nats.client().await, "school-7")
        .await
        .unwrap();
    // Opened again, it is the same stream.
    let other = NatsBus::open(nats.client().await, "school-7")
        .await
        .unwrap();
    let store = MemoryStore::new();
    let (here, there) = (
        Instance::new(&store, &bus, None),
        Instance::new(&store, &other, None),
    );
    let watching = tokio::spawn({
        let (hub, registrar) = (there.hub.clone(), there.registrar.clone());
        async move { shows(&hub, &registrar, "thandi", "access").await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let id = here.enroll("thandi").await;
    here.approve(id).await;
    let begun = Instant::now();
    watching.await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );

    // The same event twice is one message.
    let timeline = store.timeline(id).await.unwrap();
    for event in &timeline {
        bus.publish(event).await.unwrap();
    }
    let found = stored(nats.client().await, timeline.len()).await;
    assert_eq!(found.len(), timeline.len());
    for ((id, event), expected) in found.iter().zip(&timeline) {
        assert_eq!(event, expected);
        assert_eq!(id.as_deref(), Some(expected.id.to_string().as_str()));
    }
    for name in ["", "a b", "a.b", "a>", &"n".repeat(65)] {
        let refused = NatsBus::open(nats.client().await, name).await.unwrap_err();
        assert_eq!(refused, NatsError::BadName, "{name}");
    }
}

/// The server dies three times while things happen: nothing is lost, everything is in order,
/// and a hub beside it hears of everything at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_is_killed_loses_nothing() {
    let mut nats = Nats::start();
    let bus = NatsBus::open(nats.client().await, "school-7")
        .await
        .unwrap();
    let store = MemoryStore::new();
    let own = Hub::new();
    let here = Instance::new(&store, &bus, Some(own.clone()));
    let mut ids = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            let name = format!("learner-{round}-{number}");
            if number == 10 {
                nats.kill();
            }
            let watching = tokio::spawn({
                let (own, registrar, name) = (own.clone(), here.registrar.clone(), name.clone());
                async move { shows(&own, &registrar, &name, "bank_transfer").await }
            });
            ids.push(here.enroll(&name).await);
            // One that does not answer holds the others up for two seconds, now and then.
            let told = watching.await.unwrap();
            assert!(told < Duration::from_secs(4), "{told:?}");
        }
        nats.restart();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for id in &ids {
        here.approve(*id).await;
    }
    // Everybody who hears the bus sees the end of it.
    shows(&here.hub, &here.registrar, "learner-0-0", "access").await;
    let mut expected: HashMap<EnrollmentId, Vec<EventId>> = HashMap::new();
    for id in ids {
        let timeline = store.timeline(id).await.unwrap();
        expected.insert(id, timeline.iter().map(|event| event.id).collect());
    }
    let total: usize = expected.values().map(Vec::len).sum();
    let begun = Instant::now();
    loop {
        let found = stored(nats.client().await, total).await;
        let mut seen: HashMap<EnrollmentId, Vec<EventId>> = HashMap::new();
        for (_, event) in found {
            seen.entry(event.enrollment.unwrap())
                .or_default()
                .push(event.id);
        }
        if seen == expected {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "something is lost, twice there or out of order"
        );
    }
}
