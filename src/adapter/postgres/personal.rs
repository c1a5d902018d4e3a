//! What is kept of one learner.

use sqlx::Row;

use super::error::CallError;
use super::rows::{EventRow, GrantRow, InboxRow, StatementRowRow};
use super::{PgStore, all, arguments};
use crate::access::Grant;
use crate::event::Event;
use crate::statement::StatementEntry;
use crate::store::{InboxEntry, LearnerFile, Received, StoreError};
use crate::vocabulary::{EnrollmentId, LearnerId};

impl PgStore {
    pub(super) async fn learner_file(
        &self,
        learner: &LearnerId,
    ) -> Result<LearnerFile, StoreError> {
        let arguments = || arguments![learner.as_str()];
        let statements = &self.statements;
        let rows = self
            .ask(&statements.learner_enrollments, arguments())
            .await?;
        let enrollments = rows
            .iter()
            .map(|row| Ok(EnrollmentId::from_uuid(row.try_get(0)?)))
            .collect::<Result<_, sqlx::Error>>()
            .map_err(CallError::from)?;
        let rows = self.ask(&statements.learner_grants, arguments()).await?;
        let grants = all::<GrantRow, Grant>(&rows)?;
        let rows = self.ask(&statements.learner_events, arguments()).await?;
        let events = all::<EventRow, Event>(&rows)?;
        Ok(LearnerFile {
            enrollments,
            grants,
            events,
        })
    }

    pub(super) async fn all_received(
        &self,
        enrollment: EnrollmentId,
    ) -> Result<Received, StoreError> {
        let arguments = || arguments![enrollment.as_uuid()];
        let deliveries = self.ask(&self.statements.deliveries, arguments()).await?;
        let rows = self.ask(&self.statements.paying_rows, arguments()).await?;
        Ok(Received {
            deliveries: all::<InboxRow, InboxEntry>(&deliveries)?,
            rows: all::<StatementRowRow, StatementEntry>(&rows)?,
        })
    }
}
