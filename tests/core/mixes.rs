//! Everything the provider does wrong, in memory.

use coursegate::adapter::memory::MemoryStore;
use coursegate::adapter::simulator::{Fault, Settings};
use coursegate::enrollment::SyncSchedule;

use crate::mix::{
    converges, down_for_an_hour, each_fault_alone, fortnight, random_mixes, several_workers,
};
use crate::support::config;

#[tokio::test]
async fn each_fault_alone_in_memory() {
    each_fault_alone(0..5, || async { MemoryStore::new() }).await;
}

#[tokio::test]
async fn two_hundred_random_mixes_in_memory() {
    random_mixes(0..200, || async { MemoryStore::new() }).await;
}

#[tokio::test]
async fn the_check_sees_what_nobody_reconciles() {
    let mut lonely = config();
    lonely.rules.reconciliation = SyncSchedule::never();
    lonely.sync_history_every = None;
    let settings = Settings::new(0).fault(Fault::Lost, 1.0);
    let wrong = fortnight(MemoryStore::new(), settings, lonely).await;
    assert!(!wrong.is_empty(), "lost payments are not seen");
}

#[tokio::test]
async fn lost_callbacks_outages_and_several_workers_in_memory() {
    converges(MemoryStore::new()).await;
    down_for_an_hour(MemoryStore::new()).await;
    several_workers(MemoryStore::new()).await;
}
