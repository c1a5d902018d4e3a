//! A provider that goes wrong, step by step, and what the learner is told:
//! `cargo run --example provider_faults --features simulator`.
#![allow(clippy::print_stdout)]

use std::time::Duration;

use coursegate::adapter::memory::{MemoryStore, TestClock};
use coursegate::adapter::simulator::{Call, Choice, Fault, Injection, Settings, Simulator};
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{EnrollRequest, NextStep};
use coursegate::webhook::Delivery;
use coursegate::{
    AppId, Config, CourseId, Email, LearnerId, Money, Registrar, Secret, Site, Title,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (app_id, secret) = (
        AppId::new("IKTESTFAULTS")?,
        Secret::new("test-secret-of-the-faults-01")?,
    );
    let clock = TestClock::at(chrono::Utc::now());
    let settings = Settings::new(1);
    let simulator = Simulator::with_clock(app_id.clone(), secret.clone(), settings, clock.clone());
    let site = Site {
        callback_url: "https://school.example/payments/ikhokha".into(),
        success_url: "https://school.example/returned/{reference}".into(),
        failure_url: "https://school.example/returned/{reference}".into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    };
    let registrar = Registrar::builder(Config::new(app_id, secret, site)?, MemoryStore::new())
        .gateway(simulator.gateway())
        .clock(clock.clone())
        .build_for_tests()?;
    let wish = EnrollRequest::new(
        LearnerId::new("thandi")?,
        Email::new("thandi@school.example")?,
        CourseId::new("rust-101")?,
        Title::new("Rust from the start")?,
        Money::zar(49_900)?,
        PaymentMethod::Card,
    );

    println!("1. The link is made, and the connection is cut before its address arrives.");
    simulator.inject(Injection::new(Fault::AnswerCut).on(Call::Create).times(1));
    if let Err(error) = registrar.enroll(wish.clone()).await {
        println!("   {}: {}", error.in_full(), error.for_learner());
    }

    println!(
        "2. A minute later there is another link; it is paid while the provider is asked too often."
    );
    clock.advance(Duration::from_secs(60));
    let NextStep::Pay { url, .. } = registrar.enroll(wish).await?.next else {
        return Err("no pay link".into());
    };
    let link = url.rsplit('/').next().unwrap_or_default().parse()?;
    let busy = Injection::new(Fault::RateLimited).on(Call::Status).times(1);
    simulator.inject(busy.lasting(Duration::from_secs(20)));
    simulator.pay(&link, Choice::Card);
    deliver(&registrar, &simulator).await;

    println!(
        "3. The provider asked to be left alone for 20 s; the worker settles it then, and callbacks that come again change nothing."
    );
    clock.advance(Duration::from_secs(30));
    registrar.worker().pass().await?;
    simulator.send_again(&link, 2);
    deliver(&registrar, &simulator).await;
    Ok(())
}

async fn deliver(registrar: &Registrar, simulator: &Simulator) {
    for callback in simulator.take_callbacks() {
        let delivery = Delivery::new(
            callback.path.clone(),
            callback.headers.clone(),
            callback.body.clone(),
        );
        let receipt = registrar.receive(delivery).await;
        println!("   callback: {}", receipt.outcome.as_str());
        simulator.callback_answered(&callback, Some(receipt.http_status()));
    }
}
