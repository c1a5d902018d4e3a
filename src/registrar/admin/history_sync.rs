//! Looking through the provider's history for money that nobody here knows of.

use crate::registrar::admin::handles::Payments;
use chrono::{Days, Duration, NaiveDate};
use serde::Serialize;

use crate::event::EventKind;
use crate::evidence::{Confirmation, Stated};
use crate::payment::ProviderStatus;
use crate::reconciliation::Discrepancy;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::provider::Caller;
use crate::registrar::parts::system::{publishing, system_event};
use crate::store::{Change, CommitOutcome, Lookup};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{PayLinkId, PaymentReference};

/// A link as young as this may be one whose making is still under way here.
const TOO_YOUNG: Duration = Duration::hours(2);

/// What became of a discrepancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::registrar) enum Raised {
    /// Nobody knew of it.
    New,
    /// It is on the list already.
    Standing,
    /// Somebody looked into it, and nothing changed since.
    Closed,
}

/// What a look through the history found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HistorySyncReport {
    /// Payments the provider lists.
    pub listed: usize,
    /// How many of them are paid.
    pub paid: usize,
    /// Entries that cannot be read.
    pub unreadable: usize,
    /// Payments of ours that were paid, and that this brought to light.
    pub found: Vec<PaymentReference>,
    /// Payments of ours that could not be looked at now; the next look will.
    pub left: usize,
    /// Paid links that nobody here knows, and that were not known to be so before.
    pub unmatched: Vec<PayLinkId>,
}

impl Payments<'_> {
    /// Looks through the provider's history of some days, both included, for money that
    /// nobody here knows of. The worker does this every day for the last few days.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the permission to replay; [`Error::NoGateway`];
    /// [`Error::Gateway`]; or the store's errors.
    pub async fn sync_history(
        &self,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<HistorySyncReport, Error> {
        self.admin.allow(Permission::Replay, None).await?;
        self.admin.registrar.sync_history(from, to).await
    }
}

impl Registrar {
    pub(in crate::registrar) async fn sync_recent_history(
        &self,
    ) -> Result<HistorySyncReport, Error> {
        let today = self.now().date_naive();
        // A day more on both sides: the zone of the provider's days is not published.
        let back = Days::new(u64::from(self.inner.config.sync_history_days) + 1);
        let from = today.checked_sub_days(back).unwrap_or(today);
        let to = today.checked_add_days(Days::new(1)).unwrap_or(today);
        self.sync_history(from, to).await
    }

    async fn sync_history(
        &self,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<HistorySyncReport, Error> {
        let provider = self.inner.provider.as_ref().ok_or(Error::NoGateway)?;
        let history = provider.history(from, to).await?;
        let mut report = HistorySyncReport {
            listed: history.payments.len(),
            unreadable: history.unreadable,
            ..HistorySyncReport::default()
        };
        for payment in history.payments {
            if payment.status == ProviderStatus::Paid {
                report.paid += 1;
                match self.within(self.trace(&payment, &mut report)).await {
                    Ok(()) => {}
                    Err(Error::DeadlineExceeded) => report.left += 1,
                    Err(error) => return Err(error),
                }
            }
        }
        if report.unreadable > 0 {
            tracing::warn!(
                unreadable = report.unreadable,
                "the provider's history cannot all be read"
            );
        }
        Ok(report)
    }

    /// Looks up whose money this is.
    async fn trace(
        &self,
        payment: &Confirmation,
        report: &mut HistorySyncReport,
    ) -> Result<(), Error> {
        let Some(link) = &payment.pay_link else {
            report.unreadable += 1;
            return Ok(());
        };
        let case = self.inner.store.load(Lookup::PayLink(link)).await?.case;
        let Some(case) = case else {
            return self.unmatched(link, payment, report).await;
        };
        let attempt = case.attempt(None, Some(link.as_str()));
        let Some(open) = attempt.filter(|attempt| attempt.payment.is_none()) else {
            return Ok(());
        };
        // The history's word is not taken: the provider is asked about this very attempt.
        match self.confirm_now(&open.reference, Caller::Background).await {
            Ok(confirmed) if confirmed.paid => report.found.push(open.reference.clone()),
            Ok(_) => {}
            Err(Error::Gateway(_)) => report.left += 1,
            Err(Error::Refused(error)) => {
                tracing::error!(%error, "a payment that the provider confirms cannot be applied");
                report.left += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn unmatched(
        &self,
        link: &PayLinkId,
        payment: &Confirmation,
        report: &mut HistorySyncReport,
    ) -> Result<(), Error> {
        let now = self.now();
        let young = payment
            .created_at
            .is_some_and(|made| now.signed_duration_since(made) < TOO_YOUNG);
        if young {
            return Ok(());
        }
        let amount = match payment.amount {
            Stated::Is(sum) => Some(sum),
            Stated::Nothing | Stated::Unusable => None,
        };
        let outcome = self.inner.config.rules.money.unmatched;
        let discrepancy = Discrepancy::unmatched(link.clone(), amount, outcome, now);
        if self.raise(discrepancy).await? == Raised::New {
            report.unmatched.push(link.clone());
        }
        Ok(())
    }

    /// Puts a discrepancy on the list, unless it was there before.
    pub(in crate::registrar) async fn raise(
        &self,
        discrepancy: Discrepancy,
    ) -> Result<Raised, Error> {
        if let Some(known) = self.inner.events.discrepancy(&discrepancy.key).await? {
            return Ok(match known.closed {
                None => Raised::Standing,
                Some(_) => Raised::Closed,
            });
        }
        let kind = EventKind::DiscrepancyFound {
            key: discrepancy.key.clone(),
            kind: discrepancy.kind,
            about: discrepancy.enrollment,
        };
        tracing::error!(kind = %discrepancy.kind, enrollment = discrepancy.enrollment.map(tracing::field::display), "somebody has to look into this");
        let event = system_event(kind, discrepancy.since);
        let mut change = Change::events_only(vec![event]);
        change.discrepancies.push(discrepancy);
        // A conflict: another instance was faster.
        Ok(match self.commit(publishing(change)).await? {
            CommitOutcome::Done => Raised::New,
            CommitOutcome::Conflict | CommitOutcome::Duplicate => Raised::Standing,
        })
    }
}
