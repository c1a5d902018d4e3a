//! Deliveries, as they are kept.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::state::{Kept, Place, State};
use crate::store::{InboxEntry, InboxState, Purge, Purged};
use crate::vocabulary::PayLinkId;
use crate::webhook::{DeliveryKey, StoredBody};

impl Kept {
    /// When to look at it: when it is due, or its lease is over.
    pub(super) fn place(&self) -> Option<Place> {
        let due_at = self.entry.state.due_at()?;
        let at = self.leased_until.unwrap_or(due_at);
        Some(Reverse((at, self.entry.key.clone())))
    }
}

impl State {
    /// Parked deliveries that name this attempt are due at once.
    pub(super) fn wake_parked(
        &mut self,
        reference: &str,
        link: Option<&PayLinkId>,
        now: DateTime<Utc>,
    ) {
        for key in &self.parked {
            let Some(kept) = self.inbox.get_mut(key) else {
                continue;
            };
            let named = kept
                .entry
                .reference
                .as_ref()
                .is_some_and(|named| named.as_str() == reference)
                || (link.is_some() && kept.entry.pay_link.as_ref() == link);
            if named && matches!(kept.entry.state, InboxState::Parked { .. }) {
                kept.entry.state = InboxState::Parked { next_at: now };
                self.inbox_due.extend(kept.place());
            }
        }
    }

    pub(super) fn purge(&mut self, purge: Purge<'_>) -> Purged {
        let new = |key: &&DeliveryKey| purge.after.is_none_or(|after| *key > after);
        let mut seen: Vec<DeliveryKey> = self.inbox.keys().filter(new).cloned().collect();
        seen.sort_unstable();
        seen.truncate(purge.limit);
        let mut bodies = 0;
        for key in &seen {
            let Some(kept) = self.inbox.get_mut(key) else {
                continue;
            };
            let entry = &mut kept.entry;
            let is_over = entry.state.is_settled() && entry.received_at < purge.before;
            if is_over && entry.body.is_kept() {
                entry.body = StoredBody::Gone;
                bodies += 1;
            }
        }
        let is_full = seen.len() == purge.limit;
        Purged {
            bodies,
            next: seen.pop().filter(|_| is_full),
        }
    }

    pub(super) fn write_inbox(&mut self, entry: InboxEntry) {
        let waits = |entry: &InboxEntry| {
            let waiting = matches!(entry.state, InboxState::Waiting { .. });
            entry.enrollment.filter(|_| waiting)
        };
        let before = self
            .inbox
            .get(&entry.key)
            .and_then(|kept| waits(&kept.entry));
        let after = waits(&entry);
        if before != after {
            let waiting = (entry.received_at, entry.key.clone());
            if let Some(row) = before.and_then(|id| self.rows.get_mut(&id)) {
                row.waiting.retain(|(_, key)| *key != entry.key);
            }
            if let Some(row) = after.and_then(|id| self.rows.get_mut(&id)) {
                row.waiting.insert(waiting);
            }
        }
        if !entry.state.is_settled() {
            self.unsettled.insert(entry.key.clone());
        } else if !self.unsettled.is_empty() {
            self.unsettled.remove(&entry.key);
        }
        if matches!(entry.state, InboxState::Parked { .. }) {
            self.parked.insert(entry.key.clone());
        } else if !self.parked.is_empty() {
            self.parked.remove(&entry.key);
        }
        let key = entry.key.clone();
        let kept = Kept {
            entry,
            leased_until: None,
        };
        self.inbox_due.extend(kept.place());
        self.inbox.insert(key, Box::new(kept));
    }
}
