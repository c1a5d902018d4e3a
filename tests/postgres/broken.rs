//! Stores that are wrong on purpose: what finds nothing wrong with them cannot see.

use std::time::Duration;

use async_trait::async_trait;
use coursegate::access::Grant;
use coursegate::adapter::postgres::PgStore;
use coursegate::store::{
    Change, Claim, CommitOutcome, Loaded, Lookup, Settlement, Store, StoreError, Work,
};
use coursegate::{CourseId, LearnerId};

use crate::support::events_by;

/// Writes a change in steps, each of them committed by itself.
#[derive(Clone, Debug)]
pub struct Autocommit(pub PgStore);

impl Autocommit {
    async fn steps(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        let mut steps = Vec::new();
        if let Some(entry) = change.inbox {
            steps.push(Change::inbox_only(entry, None).inbox_was(change.inbox_was));
        }
        let mut moved = Change::default();
        moved.enrollment = change.enrollment;
        moved.expected = change.expected;
        moved.attempts = change.attempts;
        moved.timers = change.timers;
        steps.push(moved);
        let mut granted = Change::default();
        granted.grants = change.grants;
        steps.push(granted);
        let mut recorded = Change::events_only(change.events);
        recorded.publish = change.publish;
        steps.push(recorded);
        for step in steps.into_iter().filter(|step| !step.is_empty()) {
            match self.0.commit(step).await? {
                CommitOutcome::Done => {}
                other => return Ok(other),
            }
        }
        Ok(CommitOutcome::Done)
    }
}

/// Looks whether a change may be written, and then writes it, whatever happened meanwhile.
#[derive(Clone, Debug)]
pub struct CheckThenAct(pub PgStore);

impl CheckThenAct {
    async fn steps(&self, mut change: Change) -> Result<CommitOutcome, StoreError> {
        if let (Some(enrollment), Some(expected)) = (&change.enrollment, change.expected) {
            let lookup = Lookup::Enrollment(enrollment.id);
            let now = |loaded: Loaded| loaded.case.map(|case| case.enrollment.version);
            if now(self.0.load(lookup).await?) != Some(expected) {
                return Ok(CommitOutcome::Conflict);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            change.expected = now(self.0.load(lookup).await?);
        }
        self.0.commit(change).await
    }
}

/// Loses the answer to each commit, and makes it again, as the store does when a connection
/// breaks.
#[derive(Clone, Debug)]
pub struct LostAnswers(pub PgStore);

impl LostAnswers {
    async fn steps(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        self.0.commit(change.clone()).await?;
        self.0.commit(change).await
    }
}

macro_rules! store_by_steps {
    ($store:ty) => {
        #[async_trait]
        impl Store for $store {
            async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError> {
                self.0.load(lookup).await
            }
            async fn commit(&self, change: Change) -> Result<CommitOutcome, StoreError> {
                self.steps(change).await
            }
            async fn grants(
                &self,
                learner: &LearnerId,
                course: &CourseId,
            ) -> Result<Vec<Grant>, StoreError> {
                self.0.grants(learner, course).await
            }
            async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError> {
                self.0.claim(claim).await
            }
            async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
                self.0.settle(settlements).await
            }
    async fn share(
        &self,
        share: coursegate::store::Share<'_>,
    ) -> Result<coursegate::store::Shared, StoreError> {
        self.0.share(share).await
    }
async fn purge(&self, purge: coursegate::store::Purge<'_>) -> Result<coursegate::store::Purged, StoreError> {
        self.0.purge(purge).await
    }
            async fn append_audit_log(
                &self,
                since: Option<chrono::DateTime<chrono::Utc>>,
                most: usize,
            ) -> Result<usize, StoreError> {
                self.0.append_audit_log(since, most).await
            }
            async fn inspect(&self) -> Result<coursegate::store::StoreReport, StoreError> {
                self.0.inspect().await
            }
            fn is_test_double(&self) -> bool {
                true
            }
        }
        events_by!($store, this => Err(StoreError::Refused("nobody asks".to_owned())));
    };
}
store_by_steps!(Autocommit);
store_by_steps!(CheckThenAct);
store_by_steps!(LostAnswers);

/// Which store a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Right,
    Autocommit,
    CheckThenAct,
}

impl Kind {
    pub fn registrar(self, store: PgStore) -> coursegate::Registrar {
        match self {
            Self::Right => crate::school::registrar(store),
            Self::Autocommit => crate::school::registrar(Autocommit(store)),
            Self::CheckThenAct => crate::school::registrar(CheckThenAct(store)),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Autocommit => "autocommit",
            Self::CheckThenAct => "check-then-act",
        }
    }

    pub fn of(name: &str) -> Self {
        [Self::Right, Self::Autocommit, Self::CheckThenAct]
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap()
    }

    /// What the checker must say of it.
    pub fn judge(self, problems: &[String]) {
        match self {
            Self::Right => assert!(problems.is_empty(), "{problems:#?}"),
            Self::Autocommit | Self::CheckThenAct => {
                assert!(
                    !problems.is_empty(),
                    "the checker sees nothing wrong with {self:?}"
                );
            }
        }
    }
}
