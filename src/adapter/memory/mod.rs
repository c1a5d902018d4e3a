//! Everything in memory: for tests, for trying things out, and as the reference that
//! other stores are compared with. It forgets everything when the process ends.

mod audit_log;
mod bank_rows;
mod clock;
mod figures;
mod grants;
mod id_map;
mod inbox;
mod personal;
mod publisher;
mod queries;
mod sharing;
mod state;
mod tables;
mod timers;
mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::access::Grant;
use crate::store::{
    Change, Claim, CommitOutcome, Loaded, Lookup, Purge, Purged, Settlement, Share, Shared, Store,
    StoreError, StoreReport, Work, WorkKind,
};
use crate::vocabulary::{CourseId, LearnerId};

pub use clock::TestClock;
pub use publisher::RecordingPublisher;

use state::State;

/// A [`Store`] in memory. Clones share what is stored.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held cannot happen between two writes of one
        // commit: everything is checked before the first.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore")
            .field("enrollments", &self.lock().len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError> {
        Ok(self.lock().load(lookup))
    }

    async fn commit(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        self.lock().commit(change)
    }

    async fn grants(
        &self,
        learner: &LearnerId,
        course: &CourseId,
    ) -> Result<Vec<Grant>, StoreError> {
        Ok(self.lock().grants(learner, course))
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError> {
        let mut state = self.lock();
        Ok(match claim.kind {
            WorkKind::Inbox => state.claim_inbox(&claim),
            WorkKind::Outbox => state.claim_outbox(&claim),
            WorkKind::Timers(kind) => state.claim_timers(kind, &claim),
        })
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.lock().settle(settlements);
        Ok(())
    }

    async fn share(&self, share: Share<'_>) -> Result<Shared, StoreError> {
        Ok(self.lock().share(share))
    }

    /// Memory has no schema that something could be missing of.
    async fn inspect(&self) -> Result<StoreReport, StoreError> {
        Ok(StoreReport::default())
    }

    async fn append_audit_log(
        &self,
        since: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<usize, StoreError> {
        Ok(self.lock().append_audit_log(since, most))
    }

    async fn purge(&self, purge: Purge<'_>) -> Result<Purged, StoreError> {
        Ok(self.lock().purge(purge))
    }

    fn is_test_double(&self) -> bool {
        true
    }
}
