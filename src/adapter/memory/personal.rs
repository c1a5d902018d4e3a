//! What is kept of one learner, and how it is erased.

use std::sync::Arc;

use super::state::State;
use crate::access::Grant;
use crate::enrollment::Erasure;
use crate::event::EventKind;
use crate::statement::StatementEntry;
use crate::store::{
    Change, InboxEntry, InboxOutcome, InboxState, LearnerFile, Received, StoreError,
};
use crate::vocabulary::{EnrollmentId, EventId, GrantId, LearnerId, Note, PaymentReference};
use crate::webhook::StoredBody;

impl State {
    pub(super) fn learner(&self, learner: &LearnerId) -> LearnerFile {
        let own = self.by_subject.iter().filter(|((of, _), _)| of == learner);
        let mut enrollments: Vec<EnrollmentId> = own.map(|(_, id)| *id).collect();
        enrollments.sort_unstable();
        let own = self.free_grants.iter().filter(|((of, _), _)| of == learner);
        let free = own.flat_map(|(_, grants)| grants);
        let mut grants: Vec<Grant> = free
            .filter(|grant| grant.enrollment.is_none())
            .cloned()
            .collect();
        grants.sort_unstable_by_key(|grant| grant.id);
        let events = self.unassigned.values();
        let events = events.filter(|event| event.learner.as_ref() == Some(learner));
        LearnerFile {
            enrollments,
            events: events.map(|event| event.as_ref().clone()).collect(),
            grants,
        }
    }

    pub(super) fn received(&self, enrollment: EnrollmentId) -> Received {
        let entries = self.inbox.values().map(|kept| &kept.entry);
        let own = entries.filter(|entry| entry.enrollment == Some(enrollment));
        let mut deliveries: Vec<InboxEntry> = own.cloned().collect();
        deliveries.sort_unstable_by(|a, b| (a.received_at, &a.key).cmp(&(b.received_at, &b.key)));
        let rows = self.statement.paying(self.payments_of(enrollment));
        let mut rows: Vec<StatementEntry> = rows.into_iter().cloned().collect();
        rows.sort_unstable_by(|a, b| (a.row.date, &a.id).cmp(&(b.row.date, &b.id)));
        Received { deliveries, rows }
    }

    /// The references of an enrollment.
    fn payments_of(&self, enrollment: EnrollmentId) -> Vec<&PaymentReference> {
        let case = self.rows.get(&enrollment);
        let attempts = case.into_iter().flat_map(|row| &row.attempts);
        attempts.map(|attempt| &attempt.reference).collect()
    }

    /// Takes the learner out; what the change itself carries is written already.
    pub(super) fn erase(&mut self, enrollment: Option<EnrollmentId>, erasure: &Erasure) {
        let pseudonym = &erasure.pseudonym;
        if let Some(id) = enrollment {
            self.by_subject.retain(|_, known| *known != id);
            if let Some(row) = self.rows.get_mut(&id) {
                let course = row.enrollment.course.clone();
                self.by_subject.insert((pseudonym.clone(), course), id);
                row.waiting.clear();
            }
            for kept in self.inbox.values_mut() {
                let entry = &mut kept.entry;
                if entry.enrollment == Some(id) {
                    entry.body = StoredBody::Gone;
                    if !entry.state.is_settled() {
                        let outcome = InboxOutcome::NoEffect;
                        entry.state = InboxState::Settled { outcome };
                        self.unsettled.remove(&entry.key);
                        self.parked.remove(&entry.key);
                    }
                }
            }
            let payments: Vec<PaymentReference> =
                self.payments_of(id).into_iter().cloned().collect();
            self.statement.erase(&payments);
            for discrepancy in self.discrepancies.values_mut() {
                if discrepancy.enrollment == Some(id)
                    && let Some(closed) = &mut discrepancy.closed
                {
                    closed.note = Note::new("");
                }
            }
        }
        self.rename_free_grants(pseudonym);
    }

    /// Grants that were written under the pseudonym leave the learner's own list.
    fn rename_free_grants(&mut self, pseudonym: &LearnerId) {
        let under = |((learner, _), _): &(&(LearnerId, _), &Vec<Grant>)| learner == pseudonym;
        let renamed: Vec<GrantId> = self
            .free_grants
            .iter()
            .filter(under)
            .flat_map(|(_, grants)| grants.iter().map(|grant| grant.id))
            .collect();
        for ((learner, _), grants) in &mut self.free_grants {
            if learner != pseudonym {
                grants.retain(|grant| !renamed.contains(&grant.id));
            }
        }
        self.free_grants.retain(|_, grants| !grants.is_empty());
    }

    /// Whether an erasure names only what is its own.
    pub(super) fn check_erasure(&self, change: &Change) -> Result<(), StoreError> {
        let Some((events, grants)) = change.emptied() else {
            return match change.erasure {
                Some(_) => Err(StoreError::Refused("an erasure has its event".to_owned())),
                None => Ok(()),
            };
        };
        let about = change.events.first().and_then(|event| event.enrollment);
        let own = |id: &EventId| match about {
            Some(about) => self
                .rows
                .get(&about)
                .is_some_and(|row| row.events.iter().any(|event| event.id == *id)),
            None => self
                .unassigned
                .get(id)
                .and_then(|event| grant_of(&event.kind))
                .is_some_and(|grant| grants.contains(&grant)),
        };
        match events.iter().all(own) {
            true => Ok(()),
            false => Err(StoreError::Refused(
                "an erasure names an event of somebody else".to_owned(),
            )),
        }
    }

    /// Takes out of an event what is personal, and the salt of its link.
    pub(super) fn empty(&mut self, enrollment: Option<EnrollmentId>, id: EventId) {
        let row = enrollment.and_then(|id| self.rows.get_mut(&id));
        let known = match row {
            Some(row) => row.events.iter_mut().find(|known| known.id == id),
            None => self.unassigned.get_mut(&id),
        };
        let Some(known) = known else { return };
        Arc::make_mut(known).empty();
        let queued = self.queued.get(&id).copied();
        if let Some(queued) = queued.and_then(|at| self.outbox.get_mut(&at)) {
            queued.event = known.clone();
        }
        if let Some(link) = self.audit_log.iter_mut().find(|link| link.event == id) {
            link.salt = None;
        }
    }
}

/// The grant apart from any enrollment that an event is about.
fn grant_of(kind: &EventKind) -> Option<GrantId> {
    match kind {
        EventKind::GrantGiven { grant, .. } | EventKind::GrantTaken { grant, .. } => Some(*grant),
        _ => None,
    }
}
