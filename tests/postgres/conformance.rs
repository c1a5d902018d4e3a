use crate::cluster::{fresh_store, pool, serializable, store_on};
use coursegate::adapter::postgres::pool_options;

#[tokio::test]
async fn the_postgres_store_keeps_every_promise() {
    coursegate::conformance::store(fresh_store).await.unwrap();
}

#[tokio::test]
async fn also_at_serializable() {
    let pool = pool_options().connect_with(serializable()).await.unwrap();
    coursegate::conformance::store(|| store_on(pool.clone()))
        .await
        .unwrap();
}

#[tokio::test]
async fn also_with_statements_that_have_no_name() {
    let pool = pool().await;
    coursegate::conformance::store(|| async { store_on(pool.clone()).await.transaction_pooler() })
        .await
        .unwrap();
}
