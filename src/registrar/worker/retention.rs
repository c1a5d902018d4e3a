//! What is not to be kept for ever: the bodies of deliveries.

use crate::event::EventKind;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::system::system_event;
use crate::store::{Change, Purge};
use crate::webhook::DeliveryKey;

/// Deliveries looked at in one turn.
const BATCH: usize = 2000;

impl Registrar {
    /// One turn of the daily walk through the deliveries; gives where to go on.
    pub(in crate::registrar) async fn purge_on(
        &self,
        cursor: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let Some(keep) = self.inner.config.keep_bodies else {
            return Ok(None);
        };
        let now = self.now();
        let age = chrono::Duration::from_std(keep).ok();
        let Some(before) = age.and_then(|age| now.checked_sub_signed(age)) else {
            return Ok(None);
        };
        // How many so far, and where they left off.
        let (so_far, after) = cursor.and_then(|text| text.split_once(' ')).unzip();
        let so_far: u64 = so_far
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        let after = after.map(DeliveryKey::from);
        let purge = Purge {
            before,
            after: after.as_ref(),
            limit: BATCH,
        };
        let store = &self.inner.store;
        let purged = self.within(async { Ok(store.purge(purge).await?) }).await?;
        let bodies = so_far + purged.bodies;
        if let Some(next) = purged.next {
            return Ok(Some(format!("{bodies} {}", next.as_str())));
        }
        if bodies > 0 {
            tracing::info!(bodies, "old bodies of webhooks are dropped");
            let event = system_event(EventKind::BodiesPurged { bodies, before }, now);
            let written = self.commit(Change::events_only(vec![event]));
            self.within(written).await?;
        }
        Ok(None)
    }
}
