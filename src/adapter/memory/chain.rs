//! The chain of records.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::state::State;
use crate::event::Event;
use crate::event::chain::LinkHash;
use crate::event::form::RecordText;
use crate::ids::EventId;

/// A record in the chain.
pub(super) struct Link {
    pub(super) record: EventId,
    pub(super) salt: Option<String>,
    pub(super) kept: LinkHash,
    pub(super) personal: LinkHash,
    pub(super) hash: LinkHash,
}

impl State {
    /// Every record there is, in no order.
    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<Event>> {
        let of_rows = self.rows.values().flat_map(|row| &row.records);
        of_rows.chain(self.unassigned.values())
    }

    /// Adds records to the chain that are not in it yet.
    pub(super) fn seal(&mut self, since: Option<DateTime<Utc>>, most: usize) -> usize {
        let sealed: HashSet<EventId> = self.chain.iter().map(|link| link.record).collect();
        let mut new: Vec<Arc<Event>> = self
            .records()
            .filter(|record| since.is_none_or(|since| record.at >= since))
            .filter(|record| !sealed.contains(&record.id))
            .cloned()
            .collect();
        new.sort_unstable_by_key(|record| record.id);
        new.truncate(most);
        for record in &new {
            let last = self.chain.last().map(|link| link.hash.clone());
            let salt = Uuid::new_v4().simple().to_string();
            let text = RecordText::of(record);
            let kept = LinkHash::kept(&text.kept);
            let personal = LinkHash::personal(&salt, &text.personal);
            self.chain.push(Link {
                record: record.id,
                salt: Some(salt),
                hash: last.unwrap_or_else(LinkHash::start).then(&kept, &personal),
                kept,
                personal,
            });
        }
        new.len()
    }
}
