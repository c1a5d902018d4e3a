use coursegate::adapter::memory::MemoryStore;

#[tokio::test]
async fn the_memory_store_keeps_every_promise() {
    coursegate::conformance::store(|| async { MemoryStore::new() })
        .await
        .unwrap();
}
