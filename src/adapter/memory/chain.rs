//! The chain of records.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::state::State;
use crate::ids::RecordId;
use crate::record::Record;
use crate::record::chain::LinkHash;

impl State {
    /// Every record there is, in no order.
    pub(super) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let of_rows = self.rows.values().flat_map(|row| &row.records);
        of_rows.chain(self.unassigned.values())
    }

    /// Adds records to the chain that are not in it yet.
    pub(super) fn seal(&mut self, since: Option<DateTime<Utc>>, most: usize) -> usize {
        let sealed: HashSet<RecordId> = self.chain.iter().map(|(id, _)| *id).collect();
        let mut new: Vec<Arc<Record>> = self
            .records()
            .filter(|record| since.is_none_or(|since| record.at >= since))
            .filter(|record| !sealed.contains(&record.id))
            .cloned()
            .collect();
        new.sort_unstable_by_key(|record| record.id);
        new.truncate(most);
        for record in &new {
            let last = self.chain.last().map(|(_, hash)| hash.clone());
            let hash = last.unwrap_or_else(LinkHash::start).then(&text_of(record));
            self.chain.push((record.id, hash));
        }
        new.len()
    }
}

/// A record as the chain covers it.
pub(super) fn text_of(record: &Record) -> String {
    serde_json::to_string(record).unwrap_or_default()
}
