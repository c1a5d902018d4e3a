//! What is new is added to the audit log.

use crate::registrar::admin::audit_log::DAY;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// How long one turn adds events for, below the lease of a job.
const TURN: TimeDelta = TimeDelta::seconds(20);
/// Events added in one call.
const BATCH: usize = 1000;
/// What is older than this is not looked for at every turn: all of it is once a day.
const RECENT: Duration = Duration::from_secs(3600);
/// What one turn of adding came to, with its cursor.
#[derive(Debug)]
pub(in crate::registrar) enum Appended {
    /// Nothing is left to add.
    Wholly(String),
    /// There is more, and a next turn goes on.
    Partly(Option<String>),
}

impl Registrar {
    /// One turn of the job: recent events, and once a day all of them. The cursor says when
    /// that was last. A turn ends well within its lease.
    pub(in crate::registrar) async fn append_on(
        &self,
        cursor: Option<&str>,
    ) -> Result<Appended, Error> {
        let now = self.now();
        let last: Option<DateTime<Utc>> = cursor.and_then(|text| text.parse().ok());
        let whole = last.filter(|last| now - *last < DAY);
        let since = whole.map(|_| now - RECENT);
        while self.append_audit_log(since).await? == BATCH {
            if self.now() - now > TURN {
                return Ok(Appended::Partly(last.map(|last| last.to_rfc3339())));
            }
        }
        Ok(Appended::Wholly(whole.unwrap_or(now).to_rfc3339()))
    }

    /// Adds what is new to the audit log now, if there is to be one.
    pub(in crate::registrar) async fn append_recent(&self) -> Result<(), Error> {
        if self.inner.config.audit_log_every.is_some() {
            while self.append_audit_log(Some(self.now() - RECENT)).await? == BATCH {}
        }
        Ok(())
    }

    async fn append_audit_log(&self, since: Option<DateTime<Utc>>) -> Result<usize, Error> {
        let store = &self.inner.store;
        self.within(async { Ok(store.append_audit_log(since, BATCH).await?) })
            .await
    }
}
