//! Walking through everything, comparing money and access in both directions.

use crate::registrar::admin::handles::Operations;
use serde::Serialize;

use crate::enrollment::{Case, Effect, TimerKey};
use crate::event::{Actor, EventKind, Source};
use crate::reconciliation::{Closing, Discrepancy, reconcile};
use crate::registrar::admin::history_sync::Raised;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::system::publishing;
use crate::store::{Change, CommitOutcome, Lookup, Page, PageRequest, Settlement};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{DiscrepancyKey, EnrollmentId, GrantId, Note};

/// Enrollments looked at in one turn of the job.
const TURN: usize = 500;

/// What a reconciliation found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReconciliationReport {
    /// Enrollments and grants looked at.
    pub looked_at: usize,
    /// Enrollments that were mended.
    pub repaired: Vec<EnrollmentId>,
    /// What somebody has to look into, whether it was known before or not.
    pub discrepancies: Vec<Discrepancy>,
    /// Where to go on; `None` when everything was looked at.
    pub next: Option<ReconciliationCursor>,
}

/// Where a reconciliation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReconciliationCursor {
    /// After this enrollment.
    Enrollment(EnrollmentId),
    /// After all enrollments, at the first grant that belongs to none.
    Grants,
    /// After this grant.
    Grant(GrantId),
}

impl Operations<'_> {
    /// Compares money and access in both directions: money without access, access without
    /// money, grants that differ from their payment, and what has waited for too long. What is
    /// safe to mend is mended, by the same rules as everything else; the rest is put on the
    /// list of [`discrepancies`](Self::discrepancies). Give back [`ReconciliationReport::next`] to go on.
    ///
    /// The worker does all of it every day.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn reconcile(
        &self,
        from: Option<ReconciliationCursor>,
        limit: usize,
    ) -> Result<ReconciliationReport, Error> {
        self.admin.allow(Permission::Replay, None).await?;
        self.admin.registrar.reconcile(from, limit).await
    }

    /// What somebody has to look into, by key.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn discrepancies(
        &self,
        page: PageRequest<DiscrepancyKey>,
    ) -> Result<Page<Discrepancy, DiscrepancyKey>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let events = &self.admin.registrar.inner.events;
        self.admin
            .registrar
            .within(async { Ok(events.discrepancies(page).await?) })
            .await
    }

    /// Closes a discrepancy: it was looked into, and this is what came of it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such open discrepancy, or the store's errors.
    pub async fn close_discrepancy(
        &self,
        key: &DiscrepancyKey,
        note: impl Into<Note>,
    ) -> Result<(), Error> {
        self.admin.allow(Permission::Replay, None).await?;
        let note = note.into();
        let registrar = self.admin.registrar;
        let missing = || Error::NotFound("open discrepancy");
        registrar
            .within(async {
                let found = registrar.inner.events.discrepancy(key).await?;
                let mut discrepancy = found
                    .filter(|known| known.closed.is_none())
                    .ok_or_else(missing)?;
                let now = registrar.now();
                discrepancy.closed = Some(Closing {
                    at: now,
                    by: self.admin.person().clone(),
                    note: note.clone(),
                });
                let mut event = self
                    .admin
                    .event(EventKind::DiscrepancyClosed { key: key.clone() }, now);
                event.note = Some(note);
                let mut change = Change::events_only(vec![event]);
                change.discrepancies.push(discrepancy);
                match registrar.commit(publishing(change)).await? {
                    CommitOutcome::Done => Ok(()),
                    CommitOutcome::Conflict | CommitOutcome::Duplicate => Err(missing()),
                }
            })
            .await
    }
}

impl Registrar {
    /// One turn of the worker's job. Gives the place to go on at.
    pub(in crate::registrar) async fn reconciliation_on(
        &self,
        cursor: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let from = cursor.and_then(|text| serde_json::from_str(text).ok());
        let report = self.reconcile(from, TURN).await?;
        Ok(report
            .next
            .and_then(|next| serde_json::to_string(&next).ok()))
    }

    async fn reconcile(
        &self,
        from: Option<ReconciliationCursor>,
        limit: usize,
    ) -> Result<ReconciliationReport, Error> {
        let mut report = ReconciliationReport::default();
        match from {
            None => self.reconcile_cases(None, limit, &mut report).await?,
            Some(ReconciliationCursor::Enrollment(after)) => {
                self.reconcile_cases(Some(after), limit, &mut report)
                    .await?;
            }
            Some(ReconciliationCursor::Grants) => {
                self.reconcile_grants(None, limit, &mut report).await?;
            }
            Some(ReconciliationCursor::Grant(after)) => {
                self.reconcile_grants(Some(after), limit, &mut report)
                    .await?;
            }
        }
        Ok(report)
    }

    async fn reconcile_cases(
        &self,
        after: Option<EnrollmentId>,
        limit: usize,
        report: &mut ReconciliationReport,
    ) -> Result<(), Error> {
        let events = &self.inner.events;
        let request = PageRequest { after, limit };
        let page = self
            .within(async { Ok(events.cases(request).await?) })
            .await?;
        let mut timers = Vec::new();
        for case in page.items {
            report.looked_at += 1;
            self.ensure_timers(&case, &mut timers);
            self.within(self.reconcile_case(case, report)).await?;
        }
        self.ensure(&timers).await?;
        report.next = Some(match page.next {
            Some(last) => ReconciliationCursor::Enrollment(last),
            None => ReconciliationCursor::Grants,
        });
        Ok(())
    }

    async fn ensure(&self, timers: &[Settlement]) -> Result<(), Error> {
        if timers.is_empty() {
            return Ok(());
        }
        self.settle(timers).await
    }

    /// Timers that should be set: lost ones are set again, and others left as they are.
    fn ensure_timers(&self, case: &Case, timers: &mut Vec<Settlement>) {
        let (rules, now) = (&self.inner.config.rules, self.now());
        let expiry = rules
            .due_at(case, now)
            .map(|at| (TimerKey::Enrollment(case.enrollment.id), at));
        let looks = case.attempts.iter().filter_map(|attempt| {
            let at = rules.look_at(attempt, now)?;
            Some((TimerKey::Attempt(attempt.reference.clone()), at))
        });
        let ensured = expiry
            .into_iter()
            .chain(looks)
            .map(|(key, due_at)| Settlement::Ensure { key, due_at });
        timers.extend(ensured);
    }

    async fn reconcile_case(
        &self,
        case: Case,
        report: &mut ReconciliationReport,
    ) -> Result<(), Error> {
        let now = self.now();
        let approval_sla = self.inner.config.approval_sla;
        let id = case.enrollment.id;
        let mut case = case;
        let found = reconcile(&case, approval_sla, now);
        if !found.is_empty() {
            let repaired = self
                .update(Lookup::Enrollment(id), |case| {
                    let step = self.step(&Actor::System, Source::SystemAutomatic, &None, now);
                    case.repair(self.inner.minimum, &step)
                })
                .await;
            match repaired {
                Ok(applied) => {
                    if applied.effect == Effect::Changed {
                        tracing::warn!(enrollment = %id, "the auditor mended an enrollment");
                        report.repaired.push(id);
                    }
                    case = applied.case;
                }
                Err(Error::Refused(error)) => {
                    tracing::warn!(%error, enrollment = %id, "the auditor may not mend this");
                }
                Err(error) => return Err(error),
            }
        }
        for discrepancy in reconcile(&case, approval_sla, now) {
            if self.raise(discrepancy.clone()).await? != Raised::Closed {
                report.discrepancies.push(discrepancy);
            }
        }
        Ok(())
    }

    async fn reconcile_grants(
        &self,
        after: Option<GrantId>,
        limit: usize,
        report: &mut ReconciliationReport,
    ) -> Result<(), Error> {
        let events = &self.inner.events;
        let request = PageRequest { after, limit };
        let page = self
            .within(async { Ok(events.loose_grants(request).await?) })
            .await?;
        let mut timers = Vec::new();
        for grant in page.items {
            report.looked_at += 1;
            if let Some(discrepancy) = Discrepancy::loose(&grant, self.now())
                && self.within(self.raise(discrepancy.clone())).await? != Raised::Closed
            {
                report.discrepancies.push(discrepancy);
            }
            if let (crate::access::GrantState::Live, Some(due_at)) = (grant.state, grant.expires_at)
            {
                let key = TimerKey::Grant(grant.id);
                timers.push(Settlement::Ensure { key, due_at });
            }
        }
        self.ensure(&timers).await?;
        report.next = page.next.map(ReconciliationCursor::Grant);
        Ok(())
    }
}
