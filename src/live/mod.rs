//! Live updates: what changed, for the learner whose card it is and for every admin.
//!
//! ```
//! # #[cfg(feature = "simulator")] {
//! # use coursegate::{access::Visitor, adapter::memory::MemoryStore, live::{Hub, LearnerUpdate}, *};
//! # async fn example(config: Config, visitor: Visitor, courses: Vec<CourseId>) -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::new();
//! let registrar = Registrar::builder(config, MemoryStore::new())
//!     .publisher(hub.clone())
//!     .build_for_tests()?;
//! tokio::spawn({
//!     let worker = registrar.worker(); // it hands what was committed to the hub
//!     async move { worker.run(std::future::pending()).await }
//! });
//! let mut stream = hub.learner(&registrar, visitor, courses, None).await?;
//! while let Ok(update) = stream.next().await {
//!     let event_id = stream.token(); // give it back to go on after a break
//!     // … send `update` as a server-sent event
//! #   let _ = (event_id, update);
//! }
//! # Ok(()) } }
//! ```
//!
//! A learner's stream is about cards: what a course's button shows, and why. The first
//! update holds all of them, later ones those that changed; each was read from the store
//! when it was sent, so a slow reader gets the newest state and never a backlog, and no
//! update is older than one before it. What wakes a stream is an event of this learner:
//! events of others cost it nothing.
//!
//! The admins' stream is about the queue. It holds no more than the queue itself shows. Who
//! falls behind is shown the queue anew.
//!
//! # Several instances
//! The hub hears what the worker of its own process publishes. Where several processes share a
//! Postgres store, each gives its registrar the store's `announcer()` as publisher, and spawns
//! `store.subscribe(hub.clone(), move || hub.resync())`: then every hub hears of everything.

mod admins;
mod feed;
mod learner;
mod listener;
mod probe;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::event::Event;
use crate::port::{EventPublisher, PublishError};
use crate::vocabulary::LearnerId;

pub use admins::{AdminStream, AdminUpdate};
pub use feed::{AdminEvent, ImportProgress, PendingView};
pub use learner::{LearnerStream, LearnerToken, LearnerUpdate};

use feed::Admins;
use listener::Listener;

/// Hands what was committed to the streams of those whom it concerns. Clones are the same hub.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    topics: Mutex<Topics>,
    admins: Admins,
}

/// Who listens to what.
#[derive(Default)]
struct Topics {
    learners: HashMap<LearnerId, Topic>,
    next_listener: u64,
}

#[derive(Default)]
struct Topic {
    listeners: HashMap<u64, Arc<Listener>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new()
    }
}

impl Hub {
    /// A hub that nobody listens to yet.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                topics: Mutex::default(),
                admins: Admins::new(),
            }),
        }
    }

    /// Makes every stream look for itself: some events may not have been heard of.
    pub fn resync(&self) {
        for topic in self.topics().learners.values() {
            for listener in topic.listeners.values() {
                listener.wake_all();
            }
        }
        self.inner.admins.forget();
    }

    /// How many streams of learners are open.
    pub fn listeners(&self) -> usize {
        let topics = self.topics();
        let open = topics.learners.values().map(|topic| topic.listeners.len());
        open.sum()
    }

    fn topics(&self) -> MutexGuard<'_, Topics> {
        self.inner
            .topics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the streams of the learner whom an event concerns.
    fn wake(&self, event: &Event) {
        let (Some(learner), Some(course)) = (&event.learner, &event.course) else {
            return;
        };
        if let Some(topic) = self.topics().learners.get(learner) {
            for listener in topic.listeners.values() {
                listener.wake(course);
            }
        }
    }
}

impl Topics {
    fn listen(&mut self, learner: &LearnerId, listener: Arc<Listener>) -> u64 {
        let number = self.next_listener;
        self.next_listener += 1;
        let topic = self.learners.entry(learner.clone()).or_default();
        topic.listeners.insert(number, listener);
        number
    }

    fn leave(&mut self, learner: &LearnerId, number: u64) {
        let Some(topic) = self.learners.get_mut(learner) else {
            return;
        };
        topic.listeners.remove(&number);
        if topic.listeners.is_empty() {
            self.learners.remove(learner);
        }
    }
}

#[async_trait]
impl EventPublisher for Hub {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        self.wake(event);
        self.inner.admins.tell(event);
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("listeners", &self.listeners())
            .finish_non_exhaustive()
    }
}
