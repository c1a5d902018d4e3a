//! A callback that was given up on, tried again.

use crate::event::EventKind;
use crate::registrar::admin::handles::Operations;
use crate::registrar::core::ROUNDS;
use crate::registrar::error::Error;
use crate::store::{Change, CommitOutcome, InboxState};
use crate::vocabulary::reason::Permission;
use crate::webhook::DeliveryKey;

impl Operations<'_> {
    /// Makes a delivery that was parked or given up on due again; a worker takes it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such unsettled delivery, or the store's errors.
    pub async fn replay(&self, delivery: &DeliveryKey) -> Result<(), Error> {
        self.admin.allow(Permission::Replay, None).await?;
        self.admin
            .registrar
            .within(async {
                for _ in 0..ROUNDS {
                    let found = self.admin.registrar.inner.events.delivery(delivery).await?;
                    let mut entry = found
                        .filter(|entry| !entry.state.is_settled())
                        .ok_or(Error::NotFound("unsettled delivery"))?;
                    let now = self.admin.registrar.now();
                    let due = InboxState::Waiting { next_at: now };
                    let was = std::mem::replace(&mut entry.state, due);
                    entry.tries = 0;
                    let kind = EventKind::DeliveryReplayed {
                        key: delivery.clone(),
                    };
                    let event = self.admin.event(kind, now);
                    let change = Change::inbox_only(entry, Some(event)).inbox_was(Some(was));
                    if self.admin.registrar.commit(change).await? == CommitOutcome::Done {
                        return Ok(());
                    }
                }
                Err(Error::Contended)
            })
            .await
    }
}
