//! Events across instances: one tells the others, through the database, what it published.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_timer::Delay;
use sqlx::postgres::PgListener;
use sqlx::types::Uuid;

use super::error::CallError;
use super::rows::EventRow;
use super::{PgStore, all, arguments};
use crate::event::Event;
use crate::port::{EventPublisher, PublishError};
use crate::store::StoreError;

/// How long the database may say nothing before it is asked whether it still hears us.
const QUIET: Duration = Duration::from_secs(15);
/// How long it may take to answer that.
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// Wait before it is connected to again.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells every instance that listens (see [`PgStore::subscribe`]) what was published.
#[derive(Debug, Clone)]
pub struct PgAnnouncer {
    store: PgStore,
}

#[async_trait]
impl EventPublisher for PgAnnouncer {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        let told = self.store.notify(&event.id.to_string()).await;
        told.map_err(|error| PublishError(error.to_string()))
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

impl PgStore {
    /// A publisher that tells every instance: give it to the registrar in place of a hub, and
    /// let each instance [`subscribe`](Self::subscribe) for its own.
    pub fn announcer(&self) -> PgAnnouncer {
        PgAnnouncer {
            store: self.clone(),
        }
    }

    /// Hands what any instance announced to a publisher of this one, until it is dropped. It
    /// holds one connection of the pool, which has to reach the database itself: a pooler in
    /// transaction mode does not pass announcements on.
    ///
    /// An announcement is a hint, the event is read from its table. Announcements that may
    /// have been missed, while the database could not be reached, are not repeated: `missed`
    /// is called then, and everybody has to look for themselves.
    pub async fn subscribe(&self, publisher: impl EventPublisher, missed: impl Fn()) {
        loop {
            match self.listen(&publisher, &missed).await {
                Ok(()) => {
                    tracing::warn!("the database does not answer; announcements may be missed");
                }
                Err(error) => tracing::warn!(%error, "announcements may be missed"),
            }
            Delay::new(PAUSE).await;
        }
    }

    /// Listens until the connection is lost.
    async fn listen(
        &self,
        publisher: &impl EventPublisher,
        missed: &impl Fn(),
    ) -> Result<(), StoreError> {
        let channel = self.schema.name();
        let lost = |error: sqlx::Error| StoreError::from(CallError::from(error));
        let mut listener = PgListener::connect_with(&self.pool).await.map_err(lost)?;
        listener.listen(channel).await.map_err(lost)?;
        // Whatever happened before this is not told.
        missed();
        let mut asked = false;
        loop {
            let limit = if asked { TIME_LIMIT } else { QUIET };
            match within(limit, listener.try_recv()).await {
                Some(Ok(Some(announced))) => {
                    asked = false;
                    if let Ok(id) = announced.payload().parse::<Uuid>() {
                        self.hand_over(id, publisher).await?;
                    }
                }
                // The connection broke, and is another one from now on.
                Some(Ok(None)) => missed(),
                Some(Err(error)) => return Err(lost(error)),
                None if asked => return Ok(()),
                None => {
                    self.notify("").await?;
                    asked = true;
                }
            }
        }
    }

    async fn hand_over(&self, id: Uuid, publisher: &impl EventPublisher) -> Result<(), StoreError> {
        let rows = self.ask(&self.statements.event, arguments![id]).await?;
        for event in all::<EventRow, Event>(&rows)? {
            if let Err(error) = publisher.publish(&event).await {
                tracing::warn!(%error, "an announced event was not taken");
            }
        }
        Ok(())
    }

    async fn notify(&self, payload: &str) -> Result<(), StoreError> {
        let arguments = arguments![self.schema.name(), payload];
        self.ask(&self.statements.notify, arguments).await?;
        Ok(())
    }
}

/// Waits for `work`, but not longer than `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut timer) = (pin!(work), pin!(Delay::new(limit)));
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}
