//! The Postgres store, on a real server that these tests start themselves.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cluster;
mod conformance;
#[path = "../core/support.rs"]
#[allow(dead_code, unreachable_pub)]
mod support;
