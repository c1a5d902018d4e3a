//! Events on NATS JetStream: events across instances, and to other programs, where one
//! database's fan-out is not enough.
//!
//! ```no_run
//! # async fn example(config: coursegate::Config, store: coursegate::adapter::memory::MemoryStore)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use coursegate::{Registrar, adapter::nats::NatsBus};
//!
//! let client = async_nats::connect("nats://localhost").await?;
//! let bus = NatsBus::open(client, "coursegate").await?;
//! let registrar = Registrar::builder(config, store).publisher(bus.clone()).build_for_tests()?;
//! // With the feature `live`, each instance hears of all of them:
//! // tokio::spawn(async move { bus.subscribe(hub.clone(), move || hub.resync()).await });
//! # Ok(()) }
//! ```
//!
//! # What is in the stream
//! Each message is one [`Event`] as JSON, on the subject `<stream>.<event>`, such as
//! `coursegate.payment_completed`, in order within one enrollment. An event names learners and
//! holds what admins wrote: let only those read the stream who may.
//!
//! It is published at least once. The header `Nats-Msg-Id` is the event's id, so that the
//! server drops what comes again within the stream's duplicate window (ten minutes, unless the
//! stream was there already with another one); after that, readers de-duplicate by it.
//!
//! Tested with nats-server 2.9, killed and restarted in the middle.

use std::fmt;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context, stream};
use async_trait::async_trait;
use futures_timer::Delay;
use futures_util::StreamExt;

use crate::event::Event;
use crate::port::{EventPublisher, PublishError};

/// How long the server remembers the ids of messages.
const DUPLICATES: Duration = Duration::from_secs(600);
/// How long messages are kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the server may take to say that a message is stored.
const ACKNOWLEDGED: Duration = Duration::from_millis(1500);
/// Wait before the stream is read again after it broke.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest name of a stream.
const LONGEST_NAME: usize = 64;

/// Why a stream cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NatsError {
    /// The name cannot be a stream's and the beginning of a subject.
    #[error("a stream's name is 1 to {LONGEST_NAME} letters, digits, `_` and `-`")]
    BadName,
    /// The server did not give the stream: JetStream is off, or permission is missing.
    #[error("the NATS server does not give the stream: {0}")]
    Unavailable(String),
}

/// A JetStream stream that events are published to and heard from. Clones share the
/// connection.
#[derive(Clone)]
pub struct NatsBus {
    context: Context,
    stream: String,
}

impl NatsBus {
    /// Opens a stream, and makes it if it is not there: on disk, for seven days. One that is
    /// there is used as it is; it has to take the subjects `<stream>.>`.
    ///
    /// # Errors
    /// [`NatsError`].
    pub async fn open(client: async_nats::Client, stream: &str) -> Result<Self, NatsError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if stream.is_empty() || stream.len() > LONGEST_NAME || !stream.bytes().all(fits) {
            return Err(NatsError::BadName);
        }
        let mut context = jetstream::new(client);
        context.set_timeout(ACKNOWLEDGED);
        let config = stream::Config {
            name: stream.to_owned(),
            subjects: vec![format!("{stream}.>")],
            max_age: KEPT,
            duplicate_window: DUPLICATES,
            ..stream::Config::default()
        };
        let opened = context.get_or_create_stream(config).await;
        opened.map_err(|error| NatsError::Unavailable(error.to_string()))?;
        Ok(Self {
            context,
            stream: stream.to_owned(),
        })
    }

    /// Hands what any instance published to a publisher of this one, such as a hub, until it is
    /// dropped. What was published while the server could not be reached is read afterwards;
    /// where some may be missing all the same, and at the beginning, `missed` is called:
    /// everybody has to look for themselves then.
    pub async fn subscribe(&self, publisher: impl EventPublisher, missed: impl Fn()) {
        loop {
            if let Err(error) = self.listen(&publisher, &missed).await {
                tracing::warn!(%error, "events may be missed");
            }
            Delay::new(PAUSE).await;
        }
    }

    /// Listens until the consumer is lost.
    async fn listen(
        &self,
        publisher: &impl EventPublisher,
        missed: &impl Fn(),
    ) -> Result<(), NatsError> {
        let lost = |error: &dyn fmt::Display| NatsError::Unavailable(error.to_string());
        let stream = self.context.get_stream(&self.stream).await;
        let ordered = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::New,
            ..pull::OrderedConfig::default()
        };
        let consumer = stream.map_err(|error| lost(&error))?;
        let consumer = consumer.create_consumer(ordered).await;
        let messages = consumer.map_err(|error| lost(&error))?.messages().await;
        let mut messages = messages.map_err(|error| lost(&error))?;
        // Whatever was published before this is not told.
        missed();
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| lost(&error))?;
            match serde_json::from_slice::<Event>(&message.payload) {
                Ok(event) => {
                    if let Err(error) = publisher.publish(&event).await {
                        tracing::warn!(%error, "an event that was heard of was not taken");
                    }
                }
                Err(_) => tracing::warn!(subject = %message.subject, "this is no event of ours"),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl EventPublisher for NatsBus {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        let failed = |error: &dyn fmt::Display| PublishError(error.to_string());
        let payload = serde_json::to_vec(event).map_err(|error| failed(&error))?;
        let mut headers = HeaderMap::new();
        if let Some(enrollment) = event.enrollment {
            headers.insert("Coursegate-Enrollment", enrollment.to_string());
            headers.insert("Coursegate-Version", event.version.0.to_string());
        }
        let message = PublishMessage::build()
            .headers(headers)
            .message_id(event.id.to_string())
            .payload(payload.into());
        let subject = format!("{}.{}", self.stream, event.kind.name());
        let sent = self.context.send_publish(subject, message).await;
        // Only what the server says is stored has been published.
        let stored = sent.map_err(|error| failed(&error))?.await;
        stored.map(drop).map_err(|error| failed(&error))
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

impl fmt::Debug for NatsBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsBus")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
