use std::fmt::Debug;

use async_trait::async_trait;

use crate::event::Event;

/// Why a record could not be published. It stays in the outbox and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the publisher is not available: {0}")]
pub struct PublishError(
    /// What went wrong, without anything personal.
    pub String,
);

/// Hands committed records on: to live streams, mail, metrics, alerts.
///
/// # Contract
/// Called after the commit, from the outbox, at least once for each record and in
/// order within one enrollment. De-duplicate by [`Event::id`].
#[async_trait]
pub trait EventPublisher: Debug + Send + Sync + 'static {
    /// Publishes one record.
    ///
    /// # Errors
    /// [`PublishError`] to be called again later with the same record.
    async fn publish(&self, record: &Event) -> Result<(), PublishError>;

    /// Whether it is meant for tests only.
    fn is_test_double(&self) -> bool;
}
