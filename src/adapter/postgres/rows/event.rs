use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::enrollment::Erasure;
use crate::event::form::{EventParts, PartsError};
use crate::event::{Actor, Event, Source};
use crate::vocabulary::reason::Severity;
use crate::vocabulary::{
    AdminId, CourseId, EnrollmentId, EventId, LearnerId, Note, NoticeKind, Version,
};

/// What is in the audit log as JSON is stored as the text that is in the audit log: see `event::form`.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct EventRow {
    id: EventId,
    enrollment: Option<EnrollmentId>,
    version: u64,
    learner: Option<LearnerId>,
    course: Option<CourseId>,
    #[serde(skip_deserializing)]
    name: &'static str,
    #[serde(skip_deserializing)]
    notice: Option<NoticeKind>,
    #[serde(skip_deserializing)]
    severity: Option<Severity>,
    data: String,
    written: Option<String>,
    #[serde(flatten)]
    who: ActorRow,
    source: Source,
    note: Option<Note>,
    basis: Option<String>,
    card: Option<String>,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct ActorRow {
    actor: String,
    admin: Option<AdminId>,
}

impl From<Actor> for ActorRow {
    fn from(from: Actor) -> Self {
        Self {
            actor: from.kind().to_owned(),
            admin: match from {
                Actor::Admin(id) => Some(id),
                _ => None,
            },
        }
    }
}

impl TryFrom<ActorRow> for Actor {
    type Error = BadRow;

    fn try_from(row: ActorRow) -> Result<Self, BadRow> {
        Ok(match (row.actor.as_str(), row.admin) {
            ("system_card_payment", None) => Self::SystemCardPayment,
            ("system_eft_payment", None) => Self::SystemEftPayment,
            ("system", None) => Self::System,
            ("learner", None) => Self::Learner,
            ("admin", Some(id)) => Self::Admin(id),
            _ => return Err(BadRow("events")),
        })
    }
}

impl From<Event> for EventRow {
    fn from(from: Event) -> Self {
        let parts = from.parts();
        Self {
            id: from.id,
            enrollment: from.enrollment,
            version: from.version.0,
            learner: from.learner,
            course: from.course,
            name: from.kind.name(),
            notice: from.kind.notice(),
            severity: Some(from.kind.severity()),
            data: parts.data,
            written: parts.written,
            who: from.who.into(),
            source: from.source,
            note: from.note,
            basis: parts.basis,
            card: parts.card,
            at: from.at,
        }
    }
}

/// What takes a learner out of what is stored.
#[derive(Serialize)]
pub(in super::super) struct ErasureRow {
    pseudonym: LearnerId,
}

impl From<Erasure> for ErasureRow {
    fn from(from: Erasure) -> Self {
        Self {
            pseudonym: from.pseudonym,
        }
    }
}

impl From<PartsError> for BadRow {
    fn from(_: PartsError) -> Self {
        Self("events")
    }
}

impl TryFrom<EventRow> for Event {
    type Error = BadRow;

    fn try_from(row: EventRow) -> Result<Self, BadRow> {
        let parts = EventParts {
            data: row.data,
            basis: row.basis,
            written: row.written,
            card: row.card,
        };
        let (kind, basis) = parts.join()?;
        let who = row.who.try_into()?;
        let mut event = Self::new(row.id, kind, who, row.source, row.at);
        event.enrollment = row.enrollment;
        event.version = Version(row.version);
        event.learner = row.learner;
        event.course = row.course;
        event.note = row.note;
        event.basis = basis;
        Ok(event)
    }
}
