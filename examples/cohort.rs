//! A course with a number of seats: `cargo run --example cohort --features simulator`.
//!
//! [`Seats`] is a guard and a publisher. As a guard it is asked before an enrollment is approved,
//! any number of times, so a seat is kept by enrollment: asking again finds it. A rehearsal (a dry
//! run) takes none. As a publisher it hears of what was committed, in order, some time later: who
//! was approved past the guard has a seat too, and the seat is free of who was approved and left,
//! expired or had their money back. News older than the seat is let pass. [`Seats::refill`] reads
//! who has a seat from the store: call it when the process starts, and now and then, so that a seat
//! is not lost to an approval that never became durable.
//!
//! With several processes keep the seats in a table of your own, one row an enrollment with a
//! unique key, and take a row where this takes an entry of a set.
#![allow(clippy::print_stdout)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Choice, Settings, Simulator};
use coursegate::enrollment::{Status, TransitionGuard, TransitionRequest, Version};
use coursegate::event::{Event, EventKind};
use coursegate::payment::PaymentMethod;
use coursegate::port::{EventPublisher, PublishError};
use coursegate::reason::Note;
use coursegate::registrar::{EnrollRequest, Error, NextStep};
use coursegate::store::{PageRequest, PaymentFilter};
use coursegate::webhook::Delivery;
use coursegate::{
    AdminId, AppId, Config, CourseId, Email, EnrollmentId, LearnerId, Money, Registrar, Secret,
    Site, Title,
};

/// The seats of one course.
#[derive(Debug, Clone)]
pub struct Seats {
    course: CourseId,
    most: usize,
    /// Who has one, and the version of their enrollment that this is known of.
    taken: Arc<Mutex<HashMap<EnrollmentId, Version>>>,
}

impl Seats {
    /// So many seats, all of them free.
    pub fn new(course: CourseId, most: usize) -> Self {
        let taken = Arc::default();
        Self {
            course,
            most,
            taken,
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.seats().len()
    }

    /// Takes the seats of those who are approved in the store, and frees those that were taken
    /// before for somebody who is not.
    pub async fn refill(&self, registrar: &Registrar, admin: AdminId) -> Result<(), Error> {
        let filter = PaymentFilter {
            course: Some(self.course.clone()),
            ..PaymentFilter::default()
        };
        let before: HashSet<EnrollmentId> = self.seats().keys().copied().collect();
        let (mut approved, mut page) = (HashSet::new(), PageRequest::first(500));
        loop {
            let found = registrar
                .admin(admin.clone())
                .payments()
                .list(&filter, page)
                .await?;
            let sits = |status: &Status| matches!(status, Status::Approved { .. });
            let sitting = found.items.iter().filter(|it| sits(&it.enrollment));
            approved.extend(sitting.map(|it| it.attempt.enrollment));
            match found.next {
                Some(after) => page = PageRequest::after(after, 500),
                None => break,
            }
        }
        let mut seats = self.seats();
        seats.retain(|id, _| approved.contains(id) || !before.contains(id));
        for id in approved {
            seats.entry(id).or_default();
        }
        Ok(())
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<EnrollmentId, Version>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TransitionGuard for Seats {
    fn permits(&self, proposal: &TransitionRequest<'_>) -> Result<(), Note> {
        let enrollment = proposal.enrollment;
        let approves = matches!(proposal.to, Status::Approved { .. });
        if !approves || enrollment.course != self.course {
            return Ok(());
        }
        let mut seats = self.seats();
        if !seats.contains_key(&enrollment.id) && seats.len() >= self.most {
            return Err(Note::new(format!("all {} seats are taken", self.most)));
        }
        if !proposal.rehearsal {
            seats.insert(enrollment.id, enrollment.version);
        }
        Ok(())
    }
}

#[async_trait]
impl EventPublisher for Seats {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        let (Some(id), EventKind::EnrollmentMoved { from, to, .. }) =
            (event.enrollment, &event.kind)
        else {
            return Ok(());
        };
        let sits = |status: &Status| matches!(status, Status::Approved { .. });
        let mut seats = self.seats();
        let is_news = seats.get(&id).is_none_or(|known| *known < event.version);
        if is_news && event.course.as_ref() == Some(&self.course) {
            if sits(to) {
                seats.insert(id, event.version);
            } else if sits(from) {
                seats.remove(&id);
            }
        }
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (app_id, secret) = (
        AppId::new("IKTESTAPP")?,
        Secret::new("test-secret-0123456789abcdef")?,
    );
    let page = "https://school.example/returned/{reference}";
    let site = Site {
        callback_url: "https://school.example/payments/ikhokha".into(),
        success_url: page.into(),
        failure_url: page.into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    };
    let provider = Simulator::new(app_id.clone(), secret.clone(), Settings::default());
    let course = CourseId::new("rust-cohort")?;
    let seats = Seats::new(course.clone(), 2);
    let registrar = Registrar::builder(Config::new(app_id, secret, site)?, MemoryStore::new())
        .gateway(provider.gateway())
        .guard(seats.clone())
        .publisher(seats.clone())
        .build_for_tests()?;
    for name in ["thandi", "sipho", "zoe"] {
        let asked = registrar.enroll(EnrollRequest::new(
            LearnerId::new(name)?,
            Email::new(format!("{name}@school.example"))?,
            course.clone(),
            Title::new("Rust together")?,
            Money::zar(49_900)?,
            PaymentMethod::Card,
        ));
        if let NextStep::Pay { url, .. } = asked.await?.next {
            let link = url.rsplit('/').next().unwrap_or_default().parse()?;
            provider.pay(&link, Choice::Card);
        }
        for callback in provider.take_callbacks() {
            let delivery = Delivery::new(callback.path, callback.headers, callback.body);
            let receipt = registrar.receive(delivery).await;
            println!(
                "{name}: {}, {} taken",
                receipt.outcome.as_str(),
                seats.taken()
            );
        }
    }
    let status = registrar
        .withdraw(&LearnerId::new("sipho")?, &course)
        .await?;
    registrar.worker().pass().await?;
    println!("sipho: {status}, {} taken", seats.taken());
    Ok(())
}
