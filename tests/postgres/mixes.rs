//! Everything the provider does wrong, on Postgres.

use crate::cluster::fresh_store;
use crate::mix::{each_fault_alone, random_mixes};

#[tokio::test]
async fn each_fault_alone_on_postgres() {
    each_fault_alone(0..1, fresh_store).await;
}

#[tokio::test]
async fn a_hundred_random_mixes_on_postgres() {
    random_mixes(0..100, fresh_store).await;
}

#[tokio::test]
async fn a_hundred_more_random_mixes_on_postgres() {
    random_mixes(100..200, fresh_store).await;
}
