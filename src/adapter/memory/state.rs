use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::bank_rows::BankRows;
use super::id_map::IdMap;
use super::tables::{Home, KeptTally, KeptTimer, Link, Subject, Timers};
use crate::access::Grant;
use crate::enrollment::{Case, Enrollment};
use crate::event::Event;
use crate::monitor::Alert;
use crate::notice::Preferences;
use crate::payment::PaymentAttempt;
use crate::reconciliation::Discrepancy;
use crate::store::{
    Change, CommitOutcome, HeldPayment, InboxEntry, InboxState, KnownDelivery, Loaded, Lookup,
    StoreError,
};
use crate::vocabulary::{
    AdminId, DiscrepancyKey, EnrollmentId, EventId, ExternalKey, GrantId, PayLinkId,
    PaymentReference,
};
use crate::webhook::DeliveryKey;

pub(super) type Place = Reverse<(DateTime<Utc>, DeliveryKey)>;

#[derive(Default)]
pub(super) struct State {
    pub(super) rows: IdMap<EnrollmentId, Box<Row>>,
    pub(super) by_subject: HashMap<Subject, EnrollmentId>,
    pub(super) by_reference: HashMap<PaymentReference, EnrollmentId>,
    by_link: HashMap<PayLinkId, EnrollmentId>,
    /// Grants apart from any enrollment.
    pub(super) free_grants: HashMap<Subject, Vec<Grant>>,
    pub(super) grant_homes: IdMap<GrantId, Home>,
    /// Other systems' names for grants.
    pub(super) grant_keys: HashMap<ExternalKey, GrantId>,
    /// Payments whose grant lies elsewhere than in the payment's own row.
    pub(super) stray_payments: HashMap<PaymentReference, GrantId>,
    pub(super) pending: BTreeSet<EnrollmentId>,
    /// Payment exceptions.
    pub(super) exceptions: BTreeMap<PaymentReference, EnrollmentId>,
    pub(super) discrepancies: BTreeMap<DiscrepancyKey, Discrepancy>,
    pub(super) statement: BankRows,
    pub(super) timers: Timers,
    pub(super) audit_log: Vec<Link>,
    pub(super) preferences: BTreeMap<AdminId, Preferences>,
    pub(super) tallies: Vec<KeptTally>,
    /// Alerts that stand, by rule.
    pub(super) alerts: BTreeMap<String, Alert>,
    /// Notices that somebody has read.
    pub(super) read: HashSet<(AdminId, EventId)>,
    pub(super) inbox: HashMap<DeliveryKey, Box<Kept>>,
    /// Deliveries that are not settled.
    pub(super) unsettled: BTreeSet<DeliveryKey>,
    /// Those of them that match nothing.
    pub(super) parked: BTreeSet<DeliveryKey>,
    /// When to look at which delivery. What it says may be outdated.
    pub(super) inbox_due: BinaryHeap<Place>,
    pub(super) unassigned: BTreeMap<EventId, Arc<Event>>,
    pub(super) outbox: BTreeMap<u64, Queued>,
    pub(super) queued: IdMap<EventId, u64>,
    last_queued: u64,
}

pub(super) struct Row {
    pub(super) enrollment: Enrollment,
    pub(super) attempts: Vec<PaymentAttempt>,
    pub(super) grants: Vec<Grant>,
    pub(super) events: Vec<Arc<Event>>,
    /// Its own timer, and those of its attempts.
    pub(super) timers: Vec<KeptTimer>,
    /// Deliveries for it that wait.
    pub(super) waiting: BTreeSet<(DateTime<Utc>, DeliveryKey)>,
}

pub(super) struct Kept {
    pub(super) entry: InboxEntry,
    pub(super) leased_until: Option<DateTime<Utc>>,
}

pub(super) struct Queued {
    pub(super) event: Arc<Event>,
    pub(super) not_before: Option<DateTime<Utc>>,
}

impl State {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn load(&self, lookup: Lookup<'_>) -> Loaded {
        let mut loaded = Loaded::default();
        let id = match lookup {
            Lookup::Delivery {
                key,
                reference,
                pay_link,
            } => {
                loaded.delivery = self.inbox.get(key).map(|kept| KnownDelivery {
                    state: kept.entry.state.clone(),
                    enrollment: kept.entry.enrollment,
                    received_at: kept.entry.received_at,
                    tries: kept.entry.tries,
                });
                let by_reference = reference.and_then(|reference| self.by_reference.get(reference));
                by_reference
                    .or_else(|| pay_link.and_then(|link| self.by_link.get(link)))
                    .copied()
            }
            Lookup::Enrollment(id) => Some(id),
            Lookup::Reference(reference) => self.by_reference.get(reference).copied(),
            Lookup::PayLink(link) => self.by_link.get(link).copied(),
            Lookup::Learner(learner, course) => self
                .by_subject
                .get(&(learner.clone(), course.clone()))
                .copied(),
            Lookup::Grant(id) => {
                loaded.grant = self.grant(id).cloned();
                loaded.grant.as_ref().and_then(|grant| grant.enrollment)
            }
            Lookup::GrantKey(key) => {
                let id = self.grant_keys.get(key);
                loaded.grant = id.and_then(|id| self.grant(*id)).cloned();
                loaded.grant.as_ref().and_then(|grant| grant.enrollment)
            }
        };
        loaded.case = id.and_then(|id| self.case(id));
        loaded
    }

    pub(super) fn case(&self, id: EnrollmentId) -> Option<Case> {
        let row = self.rows.get(&id)?;
        let mut grants = row.grants.clone();
        if !self.free_grants.is_empty() {
            let subject = (
                row.enrollment.learner.clone(),
                row.enrollment.course.clone(),
            );
            grants.extend(
                self.free_grants
                    .get(&subject)
                    .into_iter()
                    .flatten()
                    .cloned(),
            );
        }
        Some(Case {
            enrollment: row.enrollment.clone(),
            attempts: row.attempts.clone(),
            grants,
            confirming: row.waiting.first().map(|(at, _)| *at),
        })
    }

    /// Checks everything, then writes everything.
    pub(super) fn commit(&mut self, change: Change) -> Result<CommitOutcome, StoreError> {
        let objection = self.objection(&change);
        // With an enrollment its version objects to what is committed already.
        if (objection.is_some() || change.enrollment.is_none()) && self.has(&change) {
            return Ok(CommitOutcome::Done);
        }
        if let Some(objection) = objection {
            return Ok(objection);
        }
        self.check_grants(&change)?;
        self.check_erasure(&change)?;

        let emptied = change.emptied().map(|(events, _)| events.to_vec());
        let emptied = emptied.unwrap_or_default();
        let touched = change.enrollment.as_ref().map(|enrollment| enrollment.id);
        self.write_enrollment(change.enrollment);
        for attempt in change.attempts {
            self.write_attempt(attempt);
        }
        if let Some(id) = touched {
            self.list_exceptions(id);
        }
        for grant in change.grants {
            self.write_grant(grant);
        }
        for timer in change.timers {
            self.set_timer(timer, touched);
        }
        for discrepancy in change.discrepancies {
            self.discrepancies
                .insert(discrepancy.key.clone(), discrepancy);
        }
        for entry in change.statement {
            self.statement.put(entry);
        }
        if let Some(preferences) = change.preferences {
            self.preferences
                .insert(preferences.person.clone(), preferences);
        }
        if let Some(alert) = change.alert {
            self.follow(alert);
        }
        if let Some(erasure) = &change.erasure {
            self.erase(touched, erasure);
        }
        if !emptied.is_empty() {
            let about = change.events.first().and_then(|event| event.enrollment);
            for id in emptied {
                self.empty(about, id);
            }
        }
        for event in change.events {
            self.write_event(event, change.publish);
        }
        if let Some(entry) = change.inbox {
            self.write_inbox(entry);
        }
        Ok(CommitOutcome::Done)
    }

    /// Why the change may not be written.
    fn objection(&self, change: &Change) -> Option<CommitOutcome> {
        if let Some(entry) = &change.inbox {
            let known = self.inbox.get(&entry.key).map(|kept| &kept.entry.state);
            if known.is_some_and(InboxState::is_settled) {
                return Some(CommitOutcome::Duplicate);
            }
            if known != change.inbox_was.as_ref() {
                return Some(CommitOutcome::Conflict);
            }
        }
        let alert = change.alert.as_ref();
        let holds = alert.is_none_or(|alert| self.may_follow(alert))
            && self.is_current(change)
            && self.are_open(change)
            && self.are_theirs(change);
        (!holds).then_some(CommitOutcome::Conflict)
    }

    /// Whether the change is committed already.
    fn has(&self, change: &Change) -> bool {
        change.events.first().is_some_and(|first| {
            match first.enrollment.and_then(|id| self.rows.get(&id)) {
                Some(row) => row.events.iter().any(|event| event.id == first.id),
                None => self.unassigned.contains_key(&first.id),
            }
        })
    }

    fn list_exceptions(&mut self, id: EnrollmentId) {
        let Some(row) = self.rows.get(&id) else {
            return;
        };
        for attempt in &row.attempts {
            if HeldPayment::is_exception(attempt, &row.enrollment) {
                self.exceptions.insert(attempt.reference.clone(), id);
            } else if !self.exceptions.is_empty() {
                self.exceptions.remove(&attempt.reference);
            }
        }
    }

    /// Whether discrepancies and rows of statements that are new are new, and those that are
    /// decided now are still open.
    fn are_open(&self, change: &Change) -> bool {
        let discrepancies = change.discrepancies.iter().all(|discrepancy| {
            let known = self.discrepancies.get(&discrepancy.key);
            match discrepancy.closed {
                None => known.is_none(),
                Some(_) => known.is_some_and(|known| known.closed.is_none()),
            }
        });
        discrepancies && self.statement.takes(&change.statement)
    }

    /// Whether the change was decided on what is stored now.
    fn is_current(&self, change: &Change) -> bool {
        let enrollment_is_current =
            change
                .enrollment
                .as_ref()
                .is_none_or(|enrollment| match change.expected {
                    Some(expected) => self
                        .rows
                        .get(&enrollment.id)
                        .is_some_and(|row| row.enrollment.version == expected),
                    None => {
                        let subject = (enrollment.learner.clone(), enrollment.course.clone());
                        !self.by_subject.contains_key(&subject)
                    }
                });
        let references_are_free = change.attempts.iter().all(|attempt| {
            self.by_reference
                .get(&attempt.reference)
                .is_none_or(|owner| *owner == attempt.enrollment)
        });
        enrollment_is_current && references_are_free
    }

    fn write_enrollment(&mut self, enrollment: Option<Enrollment>) {
        let Some(enrollment) = enrollment else { return };
        let id = enrollment.id;
        if enrollment.waits_for.is_some() {
            self.pending.insert(id);
        } else if !self.pending.is_empty() {
            self.pending.remove(&id);
        }
        match self.rows.get_mut(&id) {
            Some(row) => row.enrollment = enrollment,
            None => {
                self.by_subject
                    .insert((enrollment.learner.clone(), enrollment.course.clone()), id);
                let row = Row {
                    enrollment,
                    attempts: Vec::new(),
                    grants: Vec::new(),
                    events: Vec::new(),
                    timers: Vec::new(),
                    waiting: BTreeSet::new(),
                };
                self.rows.insert(id, Box::new(row));
            }
        }
    }

    fn write_attempt(&mut self, attempt: PaymentAttempt) {
        let Some(row) = self.rows.get_mut(&attempt.enrollment) else {
            return;
        };
        let known = |known: &PaymentAttempt| known.reference == attempt.reference;
        let at = row.attempts.iter().position(known);
        let old_link = at.and_then(|at| row.attempts[at].link.as_ref());
        let names = (at.is_none() || old_link != attempt.link.as_ref()).then(|| {
            let link = attempt.link.as_ref().map(|link| link.id.clone());
            (attempt.reference.clone(), link)
        });
        let (enrollment, since) = (attempt.enrollment, attempt.created_at);
        match at {
            Some(at) => row.attempts[at] = attempt,
            None => {
                row.attempts.reserve_exact(1);
                row.attempts.push(attempt);
            }
        }
        if let Some((reference, link)) = names {
            self.wake_parked(reference.as_str(), link.as_ref(), since);
            self.by_reference.insert(reference, enrollment);
            self.by_link.extend(link.map(|link| (link, enrollment)));
        }
    }

    fn write_event(&mut self, event: Event, publish: bool) {
        let event = Arc::new(event);
        if publish {
            self.last_queued += 1;
            self.queued.insert(event.id, self.last_queued);
            self.outbox.insert(
                self.last_queued,
                Queued {
                    event: event.clone(),
                    not_before: None,
                },
            );
        }
        match event.enrollment.and_then(|id| self.rows.get_mut(&id)) {
            Some(row) => row.events.push(event),
            None => {
                self.unassigned.insert(event.id, event);
            }
        }
    }
}
