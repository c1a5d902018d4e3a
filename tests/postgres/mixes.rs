//! Everything the provider does wrong, on Postgres.

use crate::cluster::fresh_store;
use crate::mix::{converges, down_for_an_hour, each_fault_alone, random_mixes, several_workers};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_callbacks_outages_and_several_workers_on_postgres() {
    converges(fresh_store().await).await;
    down_for_an_hour(fresh_store().await).await;
    several_workers(fresh_store().await).await;
}
