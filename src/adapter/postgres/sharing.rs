//! What processes tell one another.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::Row;
use sqlx::types::Json;
use uuid::Uuid;

use super::error::CallError;
use super::rows::BadRow;
use super::{PgStore, arguments};
use crate::monitor::{Alert, Tallied, Tally};
use crate::store::{Share, Shared, StoreError};

#[derive(Deserialize)]
struct TallyRow {
    process: Uuid,
    number: u64,
    name: String,
    times: u64,
    most: i64,
    age: u64,
}

impl TryFrom<TallyRow> for Tallied {
    type Error = BadRow;

    fn try_from(row: TallyRow) -> Result<Self, BadRow> {
        Ok(Self {
            tally: Tally {
                process: row.process,
                number: row.number,
                of: row.name.parse().map_err(|_| BadRow("tallies"))?,
                times: row.times,
                most: row.most,
            },
            age: Duration::from_millis(row.age),
        })
    }
}

impl PgStore {
    pub(super) async fn tell_and_hear(&self, share: Share<'_>) -> Result<Shared, StoreError> {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let first = share.tallies.first();
        let (process, number) =
            first.map_or((Uuid::nil(), 0), |tally| (tally.process, tally.number));
        let names: Vec<String> = share
            .tallies
            .iter()
            .map(|tally| tally.of.to_string())
            .collect();
        let times: Vec<i64> = share
            .tallies
            .iter()
            .map(|tally| whole(tally.times))
            .collect();
        let most: Vec<i64> = share.tallies.iter().map(|tally| tally.most).collect();
        let keep = share.keep.as_secs_f64();
        let arguments = arguments![process, whole(number), &names, &times, &most, keep];
        self.ask(&self.statements.tell, arguments).await?;
        let arguments = arguments![share.within.as_secs_f64()];
        let rows = self.ask(&self.statements.hear, arguments).await?;
        let row = rows.first().ok_or(CallError::Row(BadRow("tallies")))?;
        let now: DateTime<Utc> = row.try_get("now").map_err(CallError::from)?;
        let Json(tallies): Json<Vec<TallyRow>> = row.try_get("tallies").map_err(CallError::from)?;
        let Json(alerts): Json<Vec<Alert>> = row.try_get("alerts").map_err(CallError::from)?;
        Ok(Shared {
            now: Some(now),
            // A version that is newer may count what this one does not know.
            tallies: tallies
                .into_iter()
                .filter_map(|row| row.try_into().ok())
                .collect(),
            alerts,
        })
    }
}
