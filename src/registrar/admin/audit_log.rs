//! The audit log: kept up by the worker, checked and exported by people.

use crate::registrar::admin::handles::AuditLog;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::event::audit_log::{AuditLogEntry, AuditLogVerifier, Broken, Checked, Checkpoint};
use crate::registrar::admin::handle::Admin;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::store::{Page, PageRequest};
use crate::vocabulary::reason::Permission;

/// Events added in one call.
const BATCH: usize = 1000;
/// How long one turn seals, below the lease of a job.
const TURN: TimeDelta = TimeDelta::seconds(20);
/// Links read at once.
const PAGE: usize = 500;
/// What is older than this is not looked for at every turn: all of it is once a day.
const RECENT: Duration = Duration::from_secs(3600);
const DAY: chrono::Duration = chrono::Duration::days(1);
/// An event that is not in the audit log by then was left out.
const OVERDUE: Duration = Duration::from_secs(300);

/// What checking the audit log came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditLogReport {
    /// The newest link: note it somewhere else, and give it to the next check.
    pub newest: Option<Checkpoint>,
    /// Events whose personal data was erased since; who did it is in the audit log.
    pub erased: u64,
    /// The first link that does not hold, if there is one.
    pub broken: Option<Broken>,
    /// Events that should be in the audit log, and are not.
    pub left_out: u64,
}

impl AuditLogReport {
    /// Whether nothing was tampered with, as far as the audit log tells.
    pub fn holds(&self) -> bool {
        self.broken.is_none() && self.left_out == 0
    }
}

impl AuditLog<'_> {
    /// Checks every link of the audit log, from the first on; with a link that was noted before,
    /// also that it is there still.
    ///
    /// # Errors
    /// [`Error::Forbidden`], or the store's errors.
    pub async fn verify(&self, noted: Option<Checkpoint>) -> Result<AuditLogReport, Error> {
        self.admin.allow(Permission::View, None).await?;
        let registrar = self.admin.registrar;
        let mut walked = registrar.walk(noted.clone()).await?;
        if walked.is_err() {
            // Somebody may just have been erased: what vouches for that came behind us.
            walked = registrar.walk(noted).await?;
        }
        let events = &registrar.inner.events;
        let before = registrar.now() - OVERDUE;
        let left_out = registrar
            .within(async { Ok(events.missing_from_audit_log(before).await?) })
            .await?;
        let (checked, broken) = match walked {
            Ok(checked) => (Some(checked), None),
            Err(broken) => (None, Some(broken)),
        };
        Ok(AuditLogReport {
            erased: checked.as_ref().map_or(0, |checked| checked.erased),
            newest: checked
                .map(|checked| checked.newest)
                .filter(|newest| newest.position > 0),
            broken,
            left_out,
        })
    }

    /// Exports links as lines of JSON, from a position on. `event::audit_log::verify_lines`
    /// checks them without the database.
    ///
    /// # Errors
    /// [`Error::Forbidden`], or the store's errors.
    pub async fn export(&self, page: PageRequest<u64>) -> Result<Page<String, u64>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let events = &self.admin.registrar.inner.events;
        let page = self
            .admin
            .registrar
            .within(async { Ok(events.audit_log(page).await?) })
            .await?;
        Ok(Page {
            items: page.items.iter().map(AuditLogEntry::line).collect(),
            next: page.next,
        })
    }
}

/// What one turn of sealing came to, with its cursor.
#[derive(Debug)]
pub(in crate::registrar) enum Appended {
    /// Nothing is left to seal.
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

    /// Checks every link; the outer error is the store's.
    async fn walk(&self, noted: Option<Checkpoint>) -> Result<Result<Checked, Broken>, Error> {
        let events = &self.inner.events;
        let mut check = AuditLogVerifier::new(noted);
        let mut request = PageRequest::first(PAGE);
        loop {
            let page = self
                .within(async { Ok(events.audit_log(request).await?) })
                .await?;
            if let Err(broken) = page.items.iter().try_for_each(|link| check.next(link)) {
                return Ok(Err(broken));
            }
            match page.next {
                Some(after) => request = PageRequest::after(after, PAGE),
                None => return Ok(check.end()),
            }
        }
    }

    /// Adds what is new to the audit log now, if there is to be one.
    pub(in crate::registrar) async fn seal_recent(&self) -> Result<(), Error> {
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
