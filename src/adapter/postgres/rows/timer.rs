use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::enrollment::{DueTimer, TimerKey, TimerKind};
use crate::vocabulary::PaymentReference;

/// A key, in the two columns that say it.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct TimerKeyRow {
    pub(in super::super) kind: String,
    pub(in super::super) name: String,
}

#[derive(Serialize, Deserialize)]
pub(in super::super) struct TimerRow {
    #[serde(flatten)]
    key: TimerKeyRow,
    due_at: DateTime<Utc>,
    cursor: Option<String>,
}

impl TimerRow {
    pub(super) fn new(key: &TimerKey, due_at: DateTime<Utc>) -> Self {
        Self {
            key: key.into(),
            due_at,
            cursor: None,
        }
    }
}

impl From<&TimerKey> for TimerKeyRow {
    fn from(from: &TimerKey) -> Self {
        let name = match from {
            TimerKey::Attempt(reference) => reference.as_str().to_owned(),
            TimerKey::Enrollment(id) => id.to_string(),
            TimerKey::Grant(id) => id.to_string(),
            TimerKey::Notice(id) => id.to_string(),
            TimerKey::Job(job) => job.as_str().to_owned(),
        };
        Self {
            kind: from.kind().as_str().to_owned(),
            name,
        }
    }
}

impl TryFrom<TimerRow> for DueTimer {
    type Error = BadRow;

    fn try_from(row: TimerRow) -> Result<Self, BadRow> {
        let bad = || BadRow("timers");
        let name = row.key.name.as_str();
        let key = match row.key.kind.parse().map_err(|_| bad())? {
            TimerKind::Attempt => {
                TimerKey::Attempt(PaymentReference::new(name).map_err(|_| bad())?)
            }
            TimerKind::Enrollment => TimerKey::Enrollment(name.parse().map_err(|_| bad())?),
            TimerKind::Grant => TimerKey::Grant(name.parse().map_err(|_| bad())?),
            TimerKind::Notice => TimerKey::Notice(name.parse().map_err(|_| bad())?),
            TimerKind::Job => TimerKey::Job(name.parse().map_err(|_| bad())?),
        };
        Ok(Self {
            key,
            due_at: row.due_at,
            cursor: row.cursor,
        })
    }
}
