use super::inbox::{InboxEntry, InboxState};
use crate::access::Grant;
use crate::enrollment::{Delta, Enrollment, Erasure, Timer};
use crate::event::{Event, EventKind};
use crate::monitor::Alert;
use crate::notice::Preferences;
use crate::payment::PaymentAttempt;
use crate::reconciliation::Discrepancy;
use crate::statement::StatementEntry;
use crate::vocabulary::{EventId, GrantId, Version};

/// Everything one decision writes: committed together or not at all.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Change {
    /// The inbox row.
    pub inbox: Option<InboxEntry>,
    /// How far the inbox row was when the decision was made; `None` when there was none.
    pub inbox_was: Option<InboxState>,
    /// The enrollment as it is after the change, if it changed.
    pub enrollment: Option<Enrollment>,
    /// The version the decision was made on; `None` when the enrollment is new.
    pub expected: Option<Version>,
    /// Attempts as they are after the change: new ones and changed ones.
    pub attempts: Vec<PaymentAttempt>,
    /// Grants as they are after the change: new ones and changed ones. One apart from any
    /// enrollment is given once and ends once.
    pub grants: Vec<Grant>,
    /// Timers that are set or stopped.
    pub timers: Vec<Timer>,
    /// Discrepancies: new ones, and known ones that are closed now.
    pub discrepancies: Vec<Discrepancy>,
    /// Rows of bank statements: new ones, and known ones that are settled now.
    pub statement: Vec<StatementEntry>,
    /// What an admin chose to be told of.
    pub preferences: Option<Preferences>,
    /// An alert of the whole installation that begins, escalates or ends. It is a conflict when
    /// another process has said so already.
    pub alert: Option<Alert>,
    /// What takes personal data out of the enrollment, or of grants apart from any. The first
    /// of the events tells of it ([`EventKind::PersonalErased`]), and names the events that are
    /// emptied.
    pub erasure: Option<Erasure>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Whether the events are queued for the publisher.
    pub publish: bool,
}

impl Change {
    /// A change that writes one inbox row, a new one, and perhaps an event about it.
    pub fn inbox_only(entry: InboxEntry, event: Option<Event>) -> Self {
        Self {
            inbox: Some(entry),
            events: event.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same for an inbox row that was this far when the decision was made.
    #[must_use]
    pub fn inbox_was(mut self, was: Option<InboxState>) -> Self {
        self.inbox_was = was;
        self
    }

    /// A change that writes events only.
    pub fn events_only(events: Vec<Event>) -> Self {
        Self {
            events,
            ..Self::default()
        }
    }

    /// Which events an erasure empties, and of which grants they may be apart from the
    /// enrollment of the change; `None` when it erases nothing.
    pub fn emptied(&self) -> Option<(&[EventId], &[GrantId])> {
        self.erasure.as_ref()?;
        match &self.events.first()?.kind {
            EventKind::PersonalErased { events, grants } => Some((events, grants)),
            _ => None,
        }
    }

    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.inbox.is_none()
            && self.enrollment.is_none()
            && self.attempts.is_empty()
            && self.grants.is_empty()
            && self.timers.is_empty()
            && self.discrepancies.is_empty()
            && self.statement.is_empty()
            && self.preferences.is_none()
            && self.alert.is_none()
            && self.erasure.is_none()
            && self.events.is_empty()
    }
}

/// A step's delta, to be written with its events queued for the publisher.
impl From<Delta> for Change {
    fn from(delta: Delta) -> Self {
        Self {
            enrollment: delta.enrollment,
            expected: delta.expected,
            attempts: delta.attempts,
            grants: delta.grants,
            timers: delta.timers,
            erasure: delta.erasure,
            publish: !delta.events.is_empty(),
            events: delta.events,
            ..Self::default()
        }
    }
}
