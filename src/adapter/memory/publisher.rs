use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::event::Event;
use crate::port::{EventPublisher, PublishError};

/// Keeps what is published, for tests to look at. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RecordingPublisher {
    events: Arc<Mutex<Vec<Event>>>,
    down: Arc<AtomicBool>,
}

impl RecordingPublisher {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was published so far, in order.
    pub fn published(&self) -> Vec<Event> {
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes every further call fail, or no longer.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventPublisher for RecordingPublisher {
    async fn publish(&self, event: &Event) -> Result<(), PublishError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(PublishError("switched off".to_owned()));
        }
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.clone());
        Ok(())
    }

    fn is_test_double(&self) -> bool {
        true
    }
}
