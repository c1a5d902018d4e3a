//! How long a bank statement takes: a file is read and shown, imported, and every row of it is compared
//! with what waits, page by page.
//!
//! `cargo bench --bench statements --features statements,postgres,simulator`, 10,000 enrollments that
//! wait and 5,000 rows, and twice as many of both. Of each ten rows five have the whole reference,
//! two have one that was altered, and three are for something else. It starts a Postgres of its own
//! with default durability, unless `DATABASE_URL` names one.
//!
//! Measured on two cores that others used too, in milliseconds:
//!
//! | store | waiting | rows | read and shown | imported | what waits | all pages | all of it |
//! |---|---|---|---|---|---|---|---|
//! | memory | 10,000 | 5,000 | 17 | 17 | 32 | 51 | 117 |
//! | memory | 20,000 | 10,000 | 31 | 48 | 73 | 151 | 303 |
//! | Postgres | 10,000 | 5,000 | 41 | 265 | 428 | 569 | 1,303 |
//! | Postgres | 20,000 | 10,000 | 64 | 400 | 719 | 1,403 | 2,586 |
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    dead_code
)]

#[path = "../tests/postgres/cluster.rs"]
mod cluster;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::postgres::{PgStore, pool_options};
use coursegate::adapter::simulator::{Settings, Simulator};
use coursegate::payment::PaymentMethod;
use coursegate::registrar::{EnrollRequest, NextStep};
use coursegate::statement::RowKey;
use coursegate::store::{PageRequest, Queries, Store};
use coursegate::{
    AccountId, AdminId, AppId, BankDetails, Config, CourseId, Email, LearnerId, Money,
    PaymentReference, Registrar, Secret, Site, Title,
};

const APP_ID: &str = "IKTESTBENCH";
const SECRET: &str = "test-secret-0123456789abcdef";
/// Rows on a page.
const PAGE: usize = 25;

fn config() -> Config {
    let page = "https://school.example/returned/{reference}";
    let site = Site {
        callback_url: "https://school.example/payments/ikhokha".into(),
        success_url: page.into(),
        failure_url: page.into(),
        cancel_url: None,
        requester_url: "https://school.example".into(),
    };
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    let mut config = Config::new(app_id, secret, site)
        .unwrap()
        .bank(BankDetails {
            account_holder: "Test School".into(),
            bank: "Test Bank".into(),
            account_number: "000000001".into(),
            branch_code: "000001".into(),
        });
    config.deadline = Duration::from_secs(60);
    config
}

fn simulator() -> Simulator {
    let (app_id, secret) = (AppId::new(APP_ID).unwrap(), Secret::new(SECRET).unwrap());
    Simulator::new(app_id, secret, Settings::new(1))
}

/// Enrolls learners who pay by transfer, and gives their references.
async fn enrolled(registrar: &Registrar, many: usize) -> Vec<PaymentReference> {
    let mut tasks = Vec::new();
    for caller in 0..8 {
        let registrar = registrar.clone();
        tasks.push(tokio::spawn(async move {
            let mut references = Vec::new();
            for number in (caller..many).step_by(8) {
                let request = EnrollRequest::new(
                    LearnerId::new(format!("learner-{number}")).unwrap(),
                    Email::new(format!("learner-{number}@school.example")).unwrap(),
                    CourseId::new("rust-101").unwrap(),
                    Title::new("Rust").unwrap(),
                    Money::zar(49_900).unwrap(),
                    PaymentMethod::BankTransfer,
                );
                match registrar.enroll(request).await.unwrap().next {
                    NextStep::Transfer { reference, .. } => references.push(reference),
                    other => panic!("{other:?}"),
                }
            }
            references
        }));
    }
    let mut references = Vec::new();
    for task in tasks {
        references.extend(task.await.unwrap());
    }
    references
}

/// A file in a bank's layout.
fn file(references: &[PaymentReference], rows: usize) -> String {
    let mut file = "Date,Amount,Balance,Description\n".to_owned();
    for at in 0..rows {
        let reference = references[at * references.len() / rows].as_str();
        let text = match at % 10 {
            0..5 => format!("FNB APP PAYMENT FROM {reference}"),
            // One character is missing.
            5 => format!("MAGTAPE CREDIT {}{}", &reference[..8], &reference[9..]),
            // Without its prefix.
            6 => format!("ABSA BANK {}", &reference[3..]),
            7 => format!("CASH DEPOSIT {at:012}"),
            8 => format!("SCHOOL FEES GRADE {} PAYER {at}", at % 12),
            _ => String::new(),
        };
        let day = 1 + at % 28;
        let balance = (at + 1) * 499;
        writeln!(file, "2026/02/{day:02},499.00,{balance}.00,{text}").unwrap();
    }
    file
}

async fn measured<S: Store + Queries>(name: &str, store: S, many: usize, rows: usize) {
    let registrar = Registrar::builder(config(), store)
        .gateway(simulator().gateway())
        .build_for_tests()
        .unwrap();
    let references = enrolled(&registrar, many).await;
    let (file, account) = (file(&references, rows), AccountId::new("fnb").unwrap());
    let desk = registrar.admin(AdminId::new("nomsa").unwrap());
    let mut times = Vec::new();
    let mut lap = Instant::now();
    let mut note = || {
        times.push(lap.elapsed().as_millis());
        lap = Instant::now();
    };
    let statements = desk.statements();
    let preview = statements.preview(&account, file.as_bytes(), None);
    let preview = preview.await.unwrap();
    assert_eq!(preview.import.added, rows);
    note();
    let statements = desk.statements();
    let imported = statements.import(&account, &preview.statement.rows);
    assert_eq!(imported.await.unwrap().added, rows);
    note();
    let matcher = desk.statements().matcher().await.unwrap();
    assert_eq!(matcher.waiting(), many);
    note();
    let (mut next, mut compared, mut suggested): (Option<RowKey>, _, _) = (None, 0, 0);
    loop {
        let page = PageRequest {
            after: next,
            limit: PAGE,
        };
        let page = desk.statements().suggestions(&matcher, page).await.unwrap();
        compared += page.items.len();
        suggested += page
            .items
            .iter()
            .filter(|row| !row.suggestions.is_empty())
            .count();
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    note();
    assert_eq!(compared, rows);
    let found = rows * 7 / 10;
    assert!(suggested * 100 >= found * 95, "{suggested} of {found}");
    let all: u128 = times.iter().sum();
    let times: Vec<String> = times.iter().map(u128::to_string).collect();
    println!(
        "| {name} | {many} | {rows} | {} | {all} |",
        times.join(" | ")
    );
}

fn main() {
    // `cargo test --benches` and a filter have nothing to do here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        println!("\n| store | waiting | rows | read and shown | imported | what waits | all pages | all of it |");
        println!("|---|---|---|---|---|---|---|---|");
        for (many, rows) in [(10_000, 5_000), (20_000, 10_000)] {
            measured("memory", MemoryStore::new(), many, rows).await;
        }
        let pool = pool_options().connect(cluster::url()).await.unwrap();
        for (many, rows) in [(10_000, 5_000), (20_000, 10_000)] {
            let store = PgStore::new(pool.clone())
                .schema(&cluster::fresh_schema())
                .unwrap();
            store.migrate().await.unwrap();
            measured("Postgres", store, many, rows).await;
        }
    });
}
