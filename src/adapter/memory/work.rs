//! Work that is due, and who has it.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::state::State;
use crate::store::{Claim, Settlement, Work};

impl State {
    pub(super) fn claim_inbox(&mut self, claim: &Claim) -> Vec<Work> {
        let mut work = Vec::new();
        while work.len() < claim.limit
            && let Some(Reverse((at, _))) = self.inbox_due.peek()
            && *at <= claim.now
            && let Some(place) = self.inbox_due.pop()
        {
            let Some(kept) = self.inbox.get_mut(&place.0.1) else {
                continue;
            };
            if kept.place().as_ref() != Some(&place) {
                continue;
            }
            kept.leased_until = Some(claim.now + claim.lease);
            work.push(Work::Delivery(Box::new(kept.entry.clone())));
            self.inbox_due.extend(kept.place());
        }
        work
    }

    pub(super) fn claim_outbox(&mut self, claim: &Claim) -> Vec<Work> {
        let mut blocked = HashSet::new();
        let mut work = Vec::new();
        for queued in self.outbox.values_mut() {
            if work.len() >= claim.limit {
                break;
            }
            let enrollment = queued.event.enrollment;
            let held = queued.not_before.is_some_and(|at| claim.now < at);
            if held || enrollment.is_some_and(|enrollment| blocked.contains(&enrollment)) {
                blocked.extend(enrollment);
                continue;
            }
            queued.not_before = Some(claim.now + claim.lease);
            work.push(Work::Message(Box::new(queued.event.as_ref().clone())));
        }
        work
    }

    pub(super) fn settle(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            match settlement {
                Settlement::Published(event) => {
                    if let Some(position) = self.queued.remove(event) {
                        self.outbox.remove(&position);
                    }
                }
                Settlement::Reschedule {
                    timer,
                    next_at,
                    cursor,
                } => self.renew(timer, *next_at, cursor.as_deref()),
                Settlement::Finish(timer) => self.finish(timer),
                Settlement::Read { person, notices } => {
                    let read = notices.iter().map(|notice| (person.clone(), *notice));
                    self.read.extend(read);
                }
                Settlement::Ensure { key, due_at } => self.ensure(key, *due_at),
                Settlement::Retry { event, next_at } => {
                    let queued = self
                        .queued
                        .get(event)
                        .and_then(|position| self.outbox.get_mut(position));
                    if let Some(queued) = queued {
                        queued.not_before = Some(*next_at);
                    }
                }
            }
        }
    }
}
