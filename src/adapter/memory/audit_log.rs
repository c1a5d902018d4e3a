//! The audit log.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::state::State;
use super::tables::Link;
use crate::event::Event;
use crate::event::audit_log::LinkHash;
use crate::event::form::EventText;
use crate::vocabulary::EventId;

impl State {
    /// Every event there is, in no order.
    pub(super) fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        let of_rows = self.rows.values().flat_map(|row| &row.events);
        of_rows.chain(self.unassigned.values())
    }

    /// Adds events to the audit log that are not in it yet.
    pub(super) fn append_audit_log(&mut self, since: Option<DateTime<Utc>>, most: usize) -> usize {
        let sealed: HashSet<EventId> = self.audit_log.iter().map(|link| link.event).collect();
        let mut new: Vec<Arc<Event>> = self
            .events()
            .filter(|event| since.is_none_or(|since| event.at >= since))
            .filter(|event| !sealed.contains(&event.id))
            .cloned()
            .collect();
        new.sort_unstable_by_key(|event| event.id);
        new.truncate(most);
        for event in &new {
            let last = self.audit_log.last().map(|link| link.hash.clone());
            let salt = Uuid::new_v4().simple().to_string();
            let text = EventText::of(event);
            let kept = LinkHash::kept(&text.kept);
            let personal = LinkHash::personal(&salt, &text.personal);
            self.audit_log.push(Link {
                event: event.id,
                salt: Some(salt),
                hash: last.unwrap_or_else(LinkHash::start).then(&kept, &personal),
                kept,
                personal,
            });
        }
        new.len()
    }
}
