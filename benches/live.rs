//! What a published event costs, with few and with many streams open.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use coursegate::access::Visitor;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::event::Event;
use coursegate::live::Hub;
use coursegate::payment::PaymentMethod;
use coursegate::port::EventPublisher;
use coursegate::registrar::EnrollRequest;
use coursegate::store::Queries;
use coursegate::{
    AdminId, AppId, Config, CourseId, Email, LearnerId, Money, Registrar, Secret, Site, Title,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;

fn registrar(store: &MemoryStore) -> Registrar {
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
    Registrar::builder(config, store.clone())
        .gateway(simulator.gateway())
        .build_for_tests()
        .unwrap()
}

fn wish(name: &str) -> EnrollRequest {
    EnrollRequest::new(
        LearnerId::new(name).unwrap(),
        Email::new("learner@school.example").unwrap(),
        CourseId::new("rust-101").unwrap(),
        Title::new("Rust").unwrap(),
        Money::zar(49_900).unwrap(),
        PaymentMethod::Card,
    )
}

/// One learner's event, while others' streams are open.
fn learners(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let store = MemoryStore::new();
    let registrar = registrar(&store);
    let mut group = c.benchmark_group("hub/one learner's event");
    for size in [10, 10_000] {
        let hub = Hub::new();
        let event = runtime.block_on(async {
            let enrolled = registrar.enroll(wish("learner-3")).await.unwrap();
            let timeline = store.timeline(enrolled.enrollment.unwrap()).await.unwrap();
            timeline.last().unwrap().clone()
        });
        let streams: Vec<_> = (0..size)
            .map(|number| {
                let learner = LearnerId::new(format!("learner-{number}")).unwrap();
                let courses = vec![CourseId::new("rust-101").unwrap()];
                let opened = hub.learner(&registrar, Visitor::new(learner), courses, None);
                runtime.block_on(opened).unwrap()
            })
            .collect();
        group.bench_function(format!("{size} streams"), |b| {
            b.iter(|| runtime.block_on(hub.publish(black_box(&event))).unwrap());
        });
        drop(streams);
    }
    group.finish();
}

/// A thousand tasks that each read what comes, and say so.
struct Readers {
    read: Arc<AtomicUsize>,
    all: Arc<Notify>,
}

const ADMINS: usize = 1_000;

impl Readers {
    fn new() -> Self {
        Self {
            read: Arc::default(),
            all: Arc::default(),
        }
    }

    /// What a task calls for each event.
    fn count(&self) -> impl Fn() + Send + 'static {
        let (read, all) = (self.read.clone(), self.all.clone());
        move || {
            if (read.fetch_add(1, Ordering::AcqRel) + 1).is_multiple_of(ADMINS) {
                all.notify_one();
            }
        }
    }
}

/// An event for a thousand admins, until the last has read it; beside a bare channel.
fn admins(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let store = MemoryStore::new();
    let registrar = registrar(&store);
    let event = runtime.block_on(async {
        let enrolled = registrar.enroll(wish("thandi")).await.unwrap();
        let timeline = store.timeline(enrolled.enrollment.unwrap()).await.unwrap();
        timeline.last().unwrap().clone()
    });
    let mut group = c.benchmark_group("hub/1000 admins");
    group.throughput(Throughput::Elements(ADMINS as u64));
    let hub = Hub::new();
    let person = AdminId::new("nomsa").unwrap();
    let readers = Readers::new();
    let tasks: Vec<_> = (0..ADMINS)
        .map(|_| {
            let stream = hub.admins(&registrar, person.clone(), None);
            let mut stream = runtime.block_on(stream).unwrap();
            let count = readers.count();
            runtime.spawn(async move {
                loop {
                    black_box(stream.next().await.unwrap());
                    count();
                }
            })
        })
        .collect();
    // The snapshots.
    runtime.block_on(readers.all.notified());
    group.bench_function("coursegate", |b| {
        b.iter(|| {
            runtime.block_on(async {
                hub.publish(&event).await.unwrap();
                readers.all.notified().await;
            });
        });
    });
    tasks.iter().for_each(JoinHandle::abort);

    let (sender, _) = broadcast::channel(1024);
    let readers = Readers::new();
    for _ in 0..ADMINS {
        let mut receiver = sender.subscribe();
        let count = readers.count();
        runtime.spawn(async move {
            while let Ok(event) = receiver.recv().await {
                black_box::<Arc<Event>>(event);
                count();
            }
        });
    }
    group.bench_function("tokio broadcast of the event", |b| {
        b.iter(|| {
            runtime.block_on(async {
                sender.send(Arc::new(event.clone())).unwrap();
                readers.all.notified().await;
            });
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    targets = learners, admins
}
criterion_main!(benches);
