use std::fmt::Debug;

use async_trait::async_trait;

use crate::event::Event;

/// Why an event could not be published. It stays in the outbox and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the publisher is not available: {0}")]
pub struct PublishError(
    /// What went wrong, without anything personal.
    pub String,
);

/// Hands committed events on: to live streams, mail, metrics, alerts.
///
/// # Contract
/// Called after the commit, from the outbox, at least once for each event and in
/// order within one enrollment. De-duplicate by [`Event::id`].
#[async_trait]
pub trait EventPublisher: Debug + Send + Sync + 'static {
    /// Publishes one event.
    ///
    /// # Errors
    /// [`PublishError`] to be called again later with the same event.
    async fn publish(&self, event: &Event) -> Result<(), PublishError>;

    /// Whether it is meant for tests only.
    fn is_test_double(&self) -> bool;
}
