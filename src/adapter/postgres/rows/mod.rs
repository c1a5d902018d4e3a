//! Rows as the database has them, and the way to and from the domain's types. Columns and
//! fields have the same names: rows travel as JSON in both directions.

mod attempt;
mod discrepancy;
mod enrollment;
mod event;
mod grant;
mod inbox;
mod notice;
mod reads;
mod statement;
mod timer;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::monitor::Alert;
use crate::payment::{AttemptStatus, PaymentAttempt};
use crate::store::Change;
use crate::vocabulary::{PayLinkId, PaymentReference};

pub(super) use attempt::AttemptRow;
pub(super) use discrepancy::DiscrepancyRow;
pub(super) use enrollment::EnrollmentRow;
pub(super) use event::{ErasureRow, EventRow};
pub(super) use grant::GrantRow;
pub(super) use inbox::{InboxRow, KnownRow, StateRow};
pub(super) use notice::{NoticeRow, PreferencesRow};
pub(super) use reads::{CaseRow, FiguresRow, HeldPaymentRow, PaymentRow, PendingRow};
pub(super) use statement::StatementRowRow;
pub(super) use timer::{TimerKeyRow, TimerRow};

/// A row that the domain cannot have written: somebody else did.
#[derive(Debug, thiserror::Error)]
#[error("a row of {0} makes no sense")]
pub(super) struct BadRow(pub(super) &'static str);

/// What a parked delivery may name an attempt by.
#[derive(Serialize)]
struct WakeRow {
    reference: PaymentReference,
    link: Option<PayLinkId>,
    created_at: DateTime<Utc>,
}

/// The argument of the function `commit`. What is absent is left out.
#[derive(Serialize)]
pub(super) struct ChangeRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox: Option<InboxRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox_was: Option<StateRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment: Option<EnrollmentRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptRow>,
    /// The names of attempts that are new or have a new link.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    wakes: Vec<WakeRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grants: Vec<GrantRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stops: Vec<TimerKeyRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timers: Vec<TimerRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discrepancies: Vec<DiscrepancyRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statement: Vec<StatementRowRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferences: Option<PreferencesRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erasure: Option<ErasureRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventRow>,
    publish: bool,
}

impl From<Change> for ChangeRow {
    fn from(from: Change) -> Self {
        let waits = |attempt: &&PaymentAttempt| {
            matches!(
                attempt.status,
                AttemptStatus::Started | AttemptStatus::LinkReady
            )
        };
        let wake = |attempt: &PaymentAttempt| WakeRow {
            reference: attempt.reference.clone(),
            link: attempt.link.as_ref().map(|link| link.id.clone()),
            created_at: attempt.created_at,
        };
        let wakes = from.attempts.iter().filter(waits).map(wake).collect();
        let (mut stops, mut timers) = (Vec::new(), Vec::new());
        for timer in &from.timers {
            match timer.due_at {
                None => stops.push(TimerKeyRow::from(&timer.key)),
                Some(due_at) => timers.push(TimerRow::new(&timer.key, due_at)),
            }
        }
        Self {
            wakes,
            inbox: from.inbox.map(InboxRow::from),
            inbox_was: from.inbox_was.map(StateRow::from),
            enrollment: from.enrollment.map(EnrollmentRow::from),
            expected: from.expected.map(|version| version.0),
            attempts: from.attempts.into_iter().map(AttemptRow::from).collect(),
            grants: from.grants.into_iter().map(GrantRow::from).collect(),
            stops,
            timers,
            discrepancies: from
                .discrepancies
                .into_iter()
                .map(DiscrepancyRow::from)
                .collect(),
            statement: from
                .statement
                .into_iter()
                .map(StatementRowRow::from)
                .collect(),
            preferences: from.preferences.map(PreferencesRow::from),
            alert: from.alert,
            erasure: from.erasure.map(ErasureRow::from),
            events: from.events.into_iter().map(EventRow::from).collect(),
            publish: from.publish,
        }
    }
}
