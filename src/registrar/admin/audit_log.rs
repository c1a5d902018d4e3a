//! The audit log: kept up by the worker, checked and exported by people.

use crate::registrar::admin::handles::AuditLog;
use std::time::Duration;

use serde::Serialize;

use crate::event::audit_log::{AuditLogEntry, AuditLogVerifier, Broken, Checked, Checkpoint};
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::store::{Page, PageRequest};
use crate::vocabulary::reason::Permission;

/// Links read at once.
const PAGE: usize = 500;
pub(in crate::registrar) const DAY: chrono::Duration = chrono::Duration::days(1);
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

impl Registrar {
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
}
