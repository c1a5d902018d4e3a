//! The main job in one process, each step and why: `cargo run --example quickstart --features simulator`.
#![allow(clippy::print_stdout)]

use coursegate::access::{AccessRequest, ResourceKind, Visitor};
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Choice, Settings, Simulator};
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{EnrollRequest, NextStep};
use coursegate::store::PageRequest;
use coursegate::webhook::Delivery;
use coursegate::{
    AdminId, AppId, Config, CourseId, Email, EnrollmentId, LearnerId, Money, Registrar, Secret,
    Site, Title,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    // The simulator stands in for the provider, which has no sandbox.
    let (app_id, secret) = (
        AppId::new("IKTESTQUICKSTART")?,
        Secret::new("test-secret-quickstart-0001")?,
    );
    let simulator = Simulator::new(app_id.clone(), secret.clone(), Settings::new(1));
    let site = Site {
        callback_url: "https://school.example/payments/ikhokha".into(),
        success_url: "https://school.example/returned/{reference}".into(),
        failure_url: "https://school.example/returned/{reference}".into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    };
    let registrar = Registrar::builder(Config::new(app_id, secret, site)?, MemoryStore::new())
        .gateway(simulator.gateway())
        .build_for_tests()?;
    let school = School {
        registrar,
        simulator,
    };

    println!("1. Thandi pays by card.");
    let enrollment = school
        .pay("thandi", PaymentMethod::Card, Choice::Card)
        .await?;
    school.show("thandi").await?;
    school.why(enrollment).await?;

    println!("\n2. Sipho's card is declined; he tries again on a new link.");
    school
        .pay("sipho", PaymentMethod::Card, Choice::Decline)
        .await?;
    school.show("sipho").await?;
    school
        .pay("sipho", PaymentMethod::Card, Choice::Card)
        .await?;
    school.show("sipho").await?;

    println!("\n3. Lerato pays by instant EFT: a person approves.");
    let enrollment = school
        .pay("lerato", PaymentMethod::InstantEft, Choice::InstantEft)
        .await?;
    school.show("lerato").await?;
    let admin = school.registrar.admin(AdminId::new("nomsa")?);
    for item in admin
        .approvals()
        .pending(PageRequest::first(10))
        .await?
        .items
    {
        println!(
            "   queue: {} waits as {}",
            item.enrollment.course, item.enrollment.status
        );
    }
    admin
        .approvals()
        .approve(enrollment, "seen in the dashboard")
        .await?;
    school.show("lerato").await?;
    school.why(enrollment).await
}

struct School {
    registrar: Registrar,
    simulator: Simulator,
}

impl School {
    /// Enrolls, pays on the provider's page, and hands the signed callback over.
    async fn pay(
        &self,
        name: &str,
        method: PaymentMethod,
        choice: Choice,
    ) -> Outcome<EnrollmentId> {
        let wish = EnrollRequest::new(
            LearnerId::new(name)?,
            Email::new(format!("{name}@school.example"))?,
            CourseId::new("rust-101")?,
            Title::new("Rust from the start")?,
            Money::zar(49_900)?,
            method,
        );
        let enrolled = self.registrar.enroll(wish).await?;
        if let NextStep::Pay { reference, url } = &enrolled.next {
            println!("   {name} is sent to {url} with reference {reference}");
            let link = url.rsplit('/').next().unwrap_or_default().parse()?;
            self.simulator.pay(&link, choice);
        }
        for callback in self.simulator.take_callbacks() {
            let delivery = Delivery::new(callback.path, callback.headers, callback.body);
            let receipt = self.registrar.receive(delivery).await;
            println!(
                "   callback: {} (HTTP {})",
                receipt.outcome.as_str(),
                receipt.http_status()
            );
        }
        Ok(enrolled.enrollment.ok_or("they have it already")?)
    }

    async fn show(&self, name: &str) -> Outcome<()> {
        let (learner, course) = (LearnerId::new(name)?, CourseId::new("rust-101")?);
        let question = AccessRequest::new(learner.clone(), course.clone(), ResourceKind::Lesson);
        let access = self.registrar.access(&question).await?;
        let visitor = Visitor::new(learner);
        let card = self.registrar.learner_card(Some(&visitor), &course).await?;
        let door = if access.is_allowed() {
            "open"
        } else {
            "closed"
        };
        println!(
            "   {name}: lesson {door}, button \"{}\": {}",
            card.text, card.message
        );
        Ok(())
    }

    async fn why(&self, enrollment: EnrollmentId) -> Outcome<()> {
        let why = self
            .registrar
            .admin(AdminId::new("nomsa")?)
            .approvals()
            .explain(enrollment)
            .await?;
        if let Some(basis) = why.basis {
            println!(
                "   evidence: {}, amount {:?}",
                basis.evidence.evidence_level, basis.evidence.amount
            );
            println!(
                "   method: {} with confidence {:.2}",
                basis.detection.method,
                basis.detection.confidence.value()
            );
        }
        for (rule, share) in why.contributions {
            println!("     {share:+.3} {rule}");
        }
        for event in why.history {
            println!(
                "   {} {:?} by {}",
                event.kind.name(),
                event.who,
                event.source
            );
        }
        Ok(())
    }
}
