//! What a webhook costs, beside what it has to cost. Ratios within one run count;
//! absolute figures drift from machine to machine.
//!
//! `cargo bench --bench webhook --features simulator`
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use coursegate::access::AccessTerms;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::detect::{
    Condition, DetectionInput, MethodDetector, Operand, Rule, RuleDetector, RuleSet,
};
use coursegate::evidence::{Evidence, EvidenceLevel};
use coursegate::payment::{Offer, PaymentAttempt, PaymentMethod, Purpose};
use coursegate::registrar::{EnrollRequest, NextStep, Outcome};
use coursegate::webhook::{Delivery, KeyRing, ProviderEvent, Signer, Verifier};
use coursegate::{
    AppId, Config, CourseId, Email, EnrollmentId, LearnerId, Money, PaymentReference, Registrar,
    Secret, Site, Title,
};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const APP_ID: &str = "IKTESTBENCH";
const SECRET: &str = "test-secret-0123456789abcdef";
const PATH: &str = "/payments/ikhokha";
const GENUINE: &str = r#"{"paylinkID":"2zh1zj6y8xpb0g3","status":"SUCCESS","externalTransactionID":"CG-7K3M9QXDT4WZ","responseCode":"00"}"#;

/// A callback of about so many bytes: the genuine one, or one with short fields behind it.
fn body(size: usize) -> String {
    let mut body = GENUINE.trim_end_matches('}').to_owned();
    let mut number = 0;
    while body.len() + 30 < size {
        body.push_str(&format!(r#","field{number:05}":"value{number:05}""#));
        number += 1;
    }
    body.push('}');
    body
}

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn verifier(keys: usize) -> Verifier {
    let ring = (1..keys).fold(KeyRing::new("0", secret()), |ring, number| {
        ring.and(
            number.to_string(),
            Secret::new(format!("test-secret-number-{number}")).unwrap(),
        )
    });
    Verifier::new(AppId::new(APP_ID).unwrap(), &ring, PATH)
        .unwrap()
        .max_body(1 << 20)
}

fn signed(body: &str) -> Delivery {
    let signature = Signer::new(&secret()).sign(PATH, body.as_bytes()).to_hex();
    Delivery::new(
        PATH,
        [("ik-appid", APP_ID), ("ik-sign", &signature)],
        body.as_bytes(),
    )
}

fn escaped(body: &str) -> String {
    format!("{PATH}{body}")
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\'', "\\'")
        .replace('\0', "\\0")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verify(c: &mut Criterion) {
    for (name, size) in [
        ("110 B", 110),
        ("1 KiB", 1 << 10),
        ("16 KiB", 16 << 10),
        ("256 KiB", 256 << 10),
    ] {
        let mut group = c.benchmark_group(format!("verify/{name}"));
        let body = body(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        let now = chrono::Utc::now();
        let delivery = signed(&body);
        let ours = verifier(1);
        group.bench_function("coursegate", |b| {
            b.iter(|| ours.verify(black_box(&delivery), now).is_ok());
        });

        // The floor: the SHA-256 blocks of the escaped message and of the outer hash, nothing else.
        let message = escaped(&body);
        let blocks = (message.len() + 9).div_ceil(64) + 1;
        let block = [0x5a; 64];
        group.bench_function("floor: sha-256 blocks", |b| {
            b.iter(|| {
                let mut state = [0u32; 8];
                for _ in 0..blocks {
                    sha2::block_api::compress256(
                        &mut state,
                        std::slice::from_ref(black_box(&block)),
                    );
                }
                state
            });
        });
        let prepared = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        group.bench_function("bare hmac over escaped bytes", |b| {
            b.iter(|| {
                let mut mac = prepared.clone();
                mac.update(black_box(message.as_bytes()));
                mac.finalize().into_bytes()
            });
        });
        let right = hex(&Signer::hmac_sha256(SECRET.as_bytes(), message.as_bytes()));
        group.bench_function("naive", |b| {
            b.iter(|| {
                let message = escaped(black_box(&body));
                let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
                mac.update(message.as_bytes());
                base16ct::lower::encode_string(&mac.finalize().into_bytes()) == right
            });
        });
        let webhook = standardwebhooks::Webhook::from_bytes(SECRET.as_bytes().to_vec()).unwrap();
        let stamp = now.timestamp();
        let signature = webhook.sign("msg_1", stamp, body.as_bytes()).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", "msg_1".parse().unwrap());
        headers.insert("webhook-timestamp", stamp.to_string().parse().unwrap());
        headers.insert("webhook-signature", signature.parse().unwrap());
        group.bench_function("standardwebhooks", |b| {
            b.iter(|| {
                webhook
                    .verify(black_box(body.as_bytes()), black_box(&headers))
                    .is_ok()
            });
        });
        if size == 110 {
            let eight = verifier(8);
            group.bench_function("coursegate, 8 keys", |b| {
                b.iter(|| eight.verify(black_box(&delivery), now).is_ok());
            });
        }
        group.finish();
    }
}

fn parse(c: &mut Criterion) {
    for (name, size) in [("110 B", 110), ("1 KiB", 1 << 10)] {
        let mut group = c.benchmark_group(format!("parse/{name}"));
        let body = body(size);
        let delivery = signed(&body);
        let verifier = verifier(1);
        let verified = verifier.verify(&delivery, chrono::Utc::now()).unwrap();
        group.bench_function("coursegate", |b| {
            b.iter(|| ProviderEvent::parse(black_box(&verified)).is_ok());
        });
        group.bench_function("bare scan", |b| {
            b.iter(|| {
                serde_json::from_slice::<serde::de::IgnoredAny>(black_box(body.as_bytes())).is_ok()
            });
        });
        group.bench_function("serde_json::Value", |b| {
            b.iter(|| {
                serde_json::from_slice::<serde_json::Value>(black_box(body.as_bytes())).is_ok()
            });
        });
        group.finish();
    }
}

fn detect(c: &mut Criterion) {
    let mut group = c.benchmark_group("detect");
    let enrollment: EnrollmentId = "019c0000-0000-7000-8000-000000000001".parse().unwrap();
    let subject = (
        LearnerId::new("thandi").unwrap(),
        CourseId::new("rust-101").unwrap(),
    );
    let reference = PaymentReference::new("CG-7K3M9QXDT4WZ").unwrap();
    let now = chrono::Utc::now();
    let offer = Offer {
        price: Money::zar(49_900).unwrap(),
        title: Title::new("Course").unwrap(),
        terms: AccessTerms::default(),
    };
    let attempt = PaymentAttempt::new(
        reference,
        enrollment,
        subject,
        (offer, Purpose::First),
        PaymentMethod::Card,
        now,
    );
    let many = RuleSet {
        rules: (0..200)
            .map(|number| Rule {
                id: format!("rule-{number}"),
                method: [PaymentMethod::Card, PaymentMethod::InstantEft][number % 2],
                field: format!("field{:05}", number % 20),
                condition: [
                    Condition::Equals,
                    Condition::Contains,
                    Condition::Exists,
                    Condition::StartsWith,
                ][number % 4],
                value: (number % 4 != 2).then(|| Operand::Text(format!("value{:05}", number % 20))),
                weight: 0.01,
                required: false,
                ignore_case: false,
            })
            .collect(),
        ..RuleSet::standard()
    };
    for (name, rules, size) in [
        ("standard rules, genuine callback", RuleSet::standard(), 110),
        ("200 rules, 1 KiB callback", many, 1 << 10),
    ] {
        let detector = RuleDetector::new(rules).unwrap();
        let body = body(size);
        let delivery = signed(&body);
        let verifier = verifier(1);
        let verified = verifier.verify(&delivery, now).unwrap();
        let notification = ProviderEvent::parse(&verified).unwrap();
        let evidence = Evidence::gather(&attempt, Some((&verified, &notification)), None);
        let clues = DetectionInput {
            attempt: &attempt,
            evidence: &evidence,
            notification: Some(&notification),
        };
        group.bench_function(name, |b| b.iter(|| detector.detect(black_box(&clues))));
    }
    group.finish();
}

fn site() -> Site {
    let page = "https://school.example/returned/{reference}";
    Site {
        callback_url: format!("https://school.example{PATH}"),
        success_url: page.into(),
        failure_url: page.into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    }
}

/// A school with so many paid-up learners, and callbacks for as many more.
struct School {
    runtime: tokio::runtime::Runtime,
    registrar: Registrar,
    next: usize,
}

impl School {
    fn with(enrollments: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let (app_id, secret) = (AppId::new(APP_ID).unwrap(), secret());
        let simulator = Simulator::new(app_id.clone(), secret.clone(), Settings::new(1));
        let mut config = Config::new(app_id, secret, site())
            .unwrap()
            .minimum_evidence(EvidenceLevel::Signed);
        // More than any school has in ten seconds.
        config.provider.links_per_second = 1_000_000;
        config.provider.callbacks_per_second = 1_000_000;
        let registrar = Registrar::builder(config, MemoryStore::new())
            .gateway(simulator.gateway())
            .build_for_tests()
            .unwrap();
        let mut school = Self {
            runtime,
            registrar,
            next: 0,
        };
        for delivery in school.deliveries(enrollments) {
            school.runtime.block_on(school.registrar.receive(delivery));
        }
        school
    }

    /// Enrolls so many learners and gives their callbacks.
    fn deliveries(&mut self, count: usize) -> Vec<Delivery> {
        let first = self.next;
        self.next += count;
        (first..self.next)
            .map(|number| {
                let wish = EnrollRequest::new(
                    LearnerId::new(format!("learner-{number}")).unwrap(),
                    Email::new("learner@school.example").unwrap(),
                    CourseId::new("rust-101").unwrap(),
                    Title::new("Rust from the start").unwrap(),
                    Money::zar(49_900).unwrap(),
                    PaymentMethod::Card,
                );
                let NextStep::Pay { reference, url } = self
                    .runtime
                    .block_on(self.registrar.enroll(wish))
                    .unwrap()
                    .next
                else {
                    unreachable!("a card payment has a link")
                };
                let link = url.rsplit('/').next().unwrap();
                signed(
                    &GENUINE
                        .replace("2zh1zj6y8xpb0g3", link)
                        .replace("CG-7K3M9QXDT4WZ", reference.as_str()),
                )
            })
            .collect()
    }
}

/// Leaves 2 GiB free in the heap that were touched before, as in a process that has run
/// for a day. On a virtual machine the first touch of a page costs many times more once
/// the host has to find memory for it, which would be counted as the store's growth.
fn warm_heap() {
    // Small enough to come from the heap, and not from pages of their own.
    let blocks: Vec<_> = (0..1 << 16).map(|_| vec![1u8; 32 << 10]).collect();
    // A block above them keeps the heap from being given back.
    let lid = vec![1u8; 64];
    drop(black_box(blocks));
    std::mem::forget(lid);
}

fn receive(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive");
    group
        .throughput(Throughput::Elements(1))
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    // A million enrollments take a minute and 8 GiB to set up: COURSEGATE_BENCH_LARGE=1.
    let large = std::env::var_os("COURSEGATE_BENCH_LARGE").is_some();
    let sizes: &[usize] = if large {
        &[1_000, 1_000_000]
    } else {
        &[1_000, 100_000]
    };
    for &size in sizes {
        let mut school = School::with(size);
        warm_heap();
        group.bench_function(BenchmarkId::new("memory store", size), |b| {
            b.iter_custom(|count| {
                let deliveries = school.deliveries(usize::try_from(count).unwrap());
                let started = Instant::now();
                school.runtime.block_on(async {
                    for delivery in deliveries {
                        let receipt = school.registrar.receive(delivery).await;
                        assert_eq!(receipt.outcome, Outcome::Approved);
                    }
                });
                started.elapsed()
            });
        });
        let duplicate = school.deliveries(1).remove(0);
        school
            .runtime
            .block_on(school.registrar.receive(duplicate.clone()));
        group.bench_function(BenchmarkId::new("duplicate", size), |b| {
            b.iter_batched(
                || duplicate.clone(),
                |delivery| school.runtime.block_on(school.registrar.receive(delivery)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, verify, parse, detect, receive);
criterion_main!(benches);
