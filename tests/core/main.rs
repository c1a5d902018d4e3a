//! The core through its public API, one module per behaviour or attack.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub
)]

mod support;

mod access;
mod addresses;
mod alerts;
mod any_order;
mod architecture;
mod attack2;
mod attack3;
mod attacks;
mod audit_log;
mod canaries;
mod card_payment;
mod cohort;
mod configuration;
mod conformance;
mod denials;
mod detection;
mod dual_approval;
mod eft_approval;
mod enrolling;
mod gateway_failures;
mod health;
mod histories;
mod hostile_webhooks;
#[cfg(feature = "ikhokha")]
mod ikhokha_client;
#[cfg(feature = "live")]
mod live;
#[cfg(feature = "metrics")]
mod metrics;
mod migration;
mod mix;
mod mixes;
mod mocked;
mod money_back;
mod names;
mod net;
mod no_secrets;
mod notices;
mod offers;
mod paid_time;
mod panics;
mod payment_exceptions;
mod payment_sync;
mod permissions;
mod personal;
mod policy;
mod provider_calls;
mod provider_faults;
mod public_names;
mod races;
mod readiness;
mod readiness_secrets;
mod readiness_words;
mod reconciliation;
mod refunds;
mod renewals;
mod roles;
mod scene;
mod simulator_api;
mod simulator_callbacks;
mod simulator_faults;
#[cfg(feature = "ikhokha")]
mod simulator_http;
#[cfg(feature = "ikhokha")]
mod staging;
mod state_machine;
#[cfg(feature = "statements")]
mod statement_files;
mod statement_flow;
mod statement_identity;
mod statement_matching;
mod statement_money;
#[cfg(feature = "statements")]
mod statements;
mod vectors;
mod waiting;
mod worker;
