//! Turns a payment into course access, and can prove why.
//!
//! A course platform embeds this crate in its own web framework. It enrolls learners,
//! sends them to pay, verifies the provider's webhooks, tells card from EFT, approves what
//! is proven, queues the rest for a person, and answers "may this learner open this
//! lesson?". The first provider is iKhokha (South Africa).
//!
//! ```text
//! Delivery --verify--> Verified --parse--> ProviderEvent --(+ PaymentAttempt, + Confirmation)--> Evidence
//! Evidence --detect--> Detection --approval policy--> Decision
//! Decision + Enrollment --apply--> Change --commit--> durable --outbox--> live updates, mail, metrics
//! ```
//!
//! Every arrow is one type made by one module, and everything left of `commit` is pure.
//! Names to learn for the main job: [`Registrar`], a store
//! ([`MemoryStore`](adapter::memory::MemoryStore)), a gateway
//! ([`PaymentGateway`](port::PaymentGateway)), [`Config`] and
//! [`Delivery`](webhook::Delivery).
//!
//! # Example
//! ```
//! # #[cfg(feature = "simulator")] {
//! # use coursegate::{adapter::{memory::MemoryStore, simulator::{Settings, Simulator}}, *};
//! # async fn example(site: Site, wish: registrar::EnrollRequest, question: access::AccessRequest, request: webhook::Delivery)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let (app_id, secret) = (AppId::new("IKTESTAPP")?, Secret::new("test-secret-0123456789abcdef")?);
//! let provider = Simulator::new(app_id.clone(), secret.clone(), Settings::default());
//! let registrar = Registrar::builder(Config::new(app_id, secret, site)?, MemoryStore::new())
//!     .gateway(provider.gateway())
//!     .build_for_tests()?;
//!
//! let enrolled = registrar.enroll(wish).await?; // a pay link, or a bank reference
//! let receipt = registrar.receive(request).await; // the provider's callback
//! let status = receipt.http_status(); // what to answer it
//! let open = registrar.access(&question).await?.is_allowed(); // may they enter?
//! # Ok(()) } }
//! ```
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `simulator` | a faithful iKhokha without sockets, and a gateway on top of it |
//! | `ikhokha` | the client for iKhokha's API, `adapter::ikhokha` |
//! | `postgres` | the store in Postgres, `adapter::postgres` |
//! | `conformance` | the suite every [`Store`](store::Store) must pass |
//! | `live` | streams of what changed, for learners and admins, in `live` |
//! | `nats` | events on NATS JetStream, `adapter::nats` |
//! | `metrics` | numbers for operators, through the `metrics` facade: [`monitor::Metric`] |
//! | `encryption` | stored bodies of callbacks are encrypted, by [`webhook::BodyKeys`] |
//! | `statements` | bank statements from CSV files, in [`statement`] |
//! | `regex` | the `regex` condition in detection rules |
//!
//! None is on by default. The library needs no async runtime of its own: its futures run
//! on any, but for the features `postgres`, `nats` and `ikhokha`, which need Tokio.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod access;
pub mod adapter;
pub mod approval;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod detect;
pub mod enrollment;
pub mod event;
pub mod evidence;
#[cfg(feature = "live")]
pub mod live;
pub mod monitor;
pub mod notice;
pub mod payment;
pub mod port;
pub mod readiness;
pub mod reconciliation;
pub mod registrar;
pub mod statement;
pub mod store;
pub mod webhook;

mod config;
pub mod guide;
mod vocabulary;

pub use config::{
    BankDetails, Config, ConfigError, ConfigProblem, Environment, Mode, OnUnverified,
    ProviderLimits, Setting, Site, UrlError,
};
pub use registrar::{Error, ErrorKind, Registrar};
pub use vocabulary::{
    AccountId, AdminId, AppId, ChannelName, CourseId, Currency, Email, EnrollmentId, EventId,
    ExternalKey, GrantId, IdError, IdGenerator, LearnerId, MAX_ID_LEN, MAX_MINOR, Money,
    MoneyError, PayLinkId, PaymentReference, Secret, SecretError, Title, reason,
};

/// The README's code compiles.
#[cfg(all(doctest, feature = "simulator"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
