use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::enrollment::{Erasure, Version};
use crate::event::form::{PartsError, RecordParts};
use crate::event::{Actor, Event, Source};
use crate::ids::{AdminId, CourseId, EnrollmentId, EventId, LearnerId};
use crate::notice::NoticeKind;
use crate::reason::{Note, Severity};

/// What is sealed as JSON is stored as the text that is sealed: see `record::form`.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct RecordRow {
    id: EventId,
    enrollment: Option<EnrollmentId>,
    version: u64,
    learner: Option<LearnerId>,
    course: Option<CourseId>,
    #[serde(skip_deserializing)]
    event: &'static str,
    #[serde(skip_deserializing)]
    notice: Option<NoticeKind>,
    #[serde(skip_deserializing)]
    severity: Option<Severity>,
    fact: String,
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
            _ => return Err(BadRow("records")),
        })
    }
}

impl From<Event> for RecordRow {
    fn from(from: Event) -> Self {
        let parts = from.parts();
        Self {
            id: from.id,
            enrollment: from.enrollment,
            version: from.version.0,
            learner: from.learner,
            course: from.course,
            event: from.fact.event(),
            notice: NoticeKind::of(&from.fact),
            severity: Some(from.fact.severity()),
            fact: parts.fact,
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
        Self("records")
    }
}

impl TryFrom<RecordRow> for Event {
    type Error = BadRow;

    fn try_from(row: RecordRow) -> Result<Self, BadRow> {
        let parts = RecordParts {
            fact: row.fact,
            basis: row.basis,
            written: row.written,
            card: row.card,
        };
        let (fact, basis) = parts.join()?;
        let who = row.who.try_into()?;
        let mut record = Self::new(row.id, fact, who, row.source, row.at);
        record.enrollment = row.enrollment;
        record.version = Version(row.version);
        record.learner = row.learner;
        record.course = row.course;
        record.note = row.note;
        record.basis = basis;
        Ok(record)
    }
}
