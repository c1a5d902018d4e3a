use std::fmt::Debug;

use async_trait::async_trait;
use serde::Serialize;

use super::store::StoreError;
use crate::enrollment::{Enrollment, InboxEntry};
use crate::ids::{EnrollmentId, RecordId, Reference};
use crate::payment::Attempt;
use crate::record::Record;
use crate::webhook::DeliveryKey;

/// A page to read: what comes after a key, in the list's own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// The last key of the page before; `None` for the first page.
    pub after: Option<K>,
    /// How many at most; 1 to 500, anything else is brought into range.
    pub limit: usize,
}

impl<K> PageRequest<K> {
    /// The first page.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// The page after a key.
    pub fn after(key: K, limit: usize) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// The limit, in range.
    pub fn size(&self) -> usize {
        self.limit.clamp(1, 500)
    }
}

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T, K> {
    /// What is on it.
    pub items: Vec<T>,
    /// The key to ask for the next page with; `None` on the last.
    pub next: Option<K>,
}

/// An enrollment that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Its attempts.
    pub attempts: Vec<Attempt>,
}

/// Which deliveries to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxFilter {
    /// Those that wait for the provider or for another try.
    Waiting,
    /// Those that name no payment we know.
    Parked,
    /// Those that were given up on.
    Dead,
}

/// Reads for people: queues and histories, in pages.
#[async_trait]
pub trait Records: Debug + Send + Sync + 'static {
    /// Enrollments that wait for a person, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn pending(
        &self,
        page: PageRequest<EnrollmentId>,
    ) -> Result<Page<PendingItem, EnrollmentId>, StoreError>;

    /// Payments that are held although their enrollment waits for nobody: paid twice, or
    /// left behind by a rejection or a withdrawal. By reference.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn refunds_due(
        &self,
        page: PageRequest<Reference>,
    ) -> Result<Page<Attempt, Reference>, StoreError>;

    /// Everything that happened to one enrollment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn timeline(&self, enrollment: EnrollmentId) -> Result<Vec<Record>, StoreError>;

    /// Records that belong to no enrollment, oldest first: refused, parked and dead deliveries.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn unassigned(
        &self,
        page: PageRequest<RecordId>,
    ) -> Result<Page<Record, RecordId>, StoreError>;

    /// Deliveries that are not settled, by key.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn inbox(
        &self,
        filter: InboxFilter,
        page: PageRequest<DeliveryKey>,
    ) -> Result<Page<InboxEntry, DeliveryKey>, StoreError>;

    /// One delivery.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn delivery(&self, key: &DeliveryKey) -> Result<Option<InboxEntry>, StoreError>;
}
