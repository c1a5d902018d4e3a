//! The Postgres store, on a real server that these tests start themselves.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub
)]

mod audit_log;
mod broken;
mod claims;
mod clocks;
mod cluster;
mod conformance;
mod crash;
mod cut;
mod erasure;
mod hostile;
mod inspection;
#[cfg(feature = "live")]
mod live;
mod migration;
mod migrations;
#[path = "../core/mix.rs"]
#[allow(dead_code)]
mod mix;
mod mixes;
mod once;
mod personal;
mod plans;
mod pooler;
mod races;
mod reads;
mod relay;
mod rights;
mod school;
#[cfg(feature = "ikhokha")]
mod storm;
#[path = "../core/support.rs"]
#[allow(dead_code, unused_macros, unused_imports)]
mod support;
