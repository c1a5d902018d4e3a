use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::enrollment::{Erasure, Version};
use crate::ids::{EnrollmentId, LearnerId, PersonId, RecordId};
use crate::notice::NoticeKind;
use crate::reason::{Note, Severity};
use crate::record::{Actor, Basis, Fact, Record, Source};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct RecordRow {
    id: RecordId,
    enrollment: Option<EnrollmentId>,
    version: u64,
    #[serde(skip_deserializing)]
    event: &'static str,
    #[serde(skip_deserializing)]
    notice: Option<NoticeKind>,
    #[serde(skip_deserializing)]
    severity: Option<Severity>,
    fact: Fact,
    #[serde(flatten)]
    who: ActorRow,
    source: Source,
    note: Option<Note>,
    basis: Option<Box<Basis>>,
    at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct ActorRow {
    actor: String,
    actor_id: Option<String>,
}

impl From<Actor> for ActorRow {
    fn from(from: Actor) -> Self {
        let (actor, actor_id) = match from {
            Actor::SystemCardPayment => ("system_card_payment", None),
            Actor::SystemEftPayment => ("system_eft_payment", None),
            Actor::System => ("system", None),
            Actor::Learner(id) => ("learner", Some(id.as_str().to_owned())),
            Actor::Admin(id) => ("admin", Some(id.as_str().to_owned())),
        };
        Self {
            actor: actor.to_owned(),
            actor_id,
        }
    }
}

impl TryFrom<ActorRow> for Actor {
    type Error = BadRow;

    fn try_from(row: ActorRow) -> Result<Self, BadRow> {
        let bad = || BadRow("records");
        Ok(match (row.actor.as_str(), row.actor_id) {
            ("system_card_payment", None) => Self::SystemCardPayment,
            ("system_eft_payment", None) => Self::SystemEftPayment,
            ("system", None) => Self::System,
            ("learner", Some(id)) => Self::Learner(LearnerId::new(id).map_err(|_| bad())?),
            ("admin", Some(id)) => Self::Admin(PersonId::new(id).map_err(|_| bad())?),
            _ => return Err(bad()),
        })
    }
}

impl From<Record> for RecordRow {
    fn from(from: Record) -> Self {
        Self {
            id: from.id,
            enrollment: from.enrollment,
            version: from.version.0,
            event: from.fact.event(),
            notice: NoticeKind::of(&from.fact),
            severity: Some(from.fact.severity()),
            fact: from.fact,
            who: from.who.into(),
            source: from.source,
            note: from.note,
            basis: from.basis,
            at: from.at,
        }
    }
}

/// What takes a learner out of what is stored.
#[derive(Serialize)]
pub(in super::super) struct ErasureRow {
    pseudonym: LearnerId,
    records: Vec<RecordRow>,
}

impl From<Erasure> for ErasureRow {
    fn from(from: Erasure) -> Self {
        Self {
            pseudonym: from.pseudonym,
            records: from.records.into_iter().map(RecordRow::from).collect(),
        }
    }
}

impl TryFrom<RecordRow> for Record {
    type Error = BadRow;

    fn try_from(row: RecordRow) -> Result<Self, BadRow> {
        Ok(Self {
            id: row.id,
            enrollment: row.enrollment,
            version: Version(row.version),
            fact: row.fact,
            who: row.who.try_into()?,
            source: row.source,
            note: row.note,
            basis: row.basis,
            at: row.at,
        })
    }
}
