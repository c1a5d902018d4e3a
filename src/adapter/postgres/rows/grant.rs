use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::access::{
    AccessLevel, EndReason, Grant, GrantSource, GrantState, ResourceKinds, Restriction,
};
use crate::vocabulary::{
    AdminId, CourseId, EnrollmentId, ExternalKey, GrantId, LearnerId, PaymentReference, Reversal,
};

#[derive(Serialize, Deserialize)]
pub(in super::super) struct GrantRow {
    id: GrantId,
    learner: LearnerId,
    course: CourseId,
    enrollment: Option<EnrollmentId>,
    source: String,
    payment: Option<PaymentReference>,
    by_person: Option<AdminId>,
    level: AccessLevel,
    kinds: ResourceKinds,
    restrictions: Vec<Restriction>,
    starts_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    suspended_at: Option<DateTime<Utc>>,
    suspend_reason: Option<Reversal>,
    ended_at: Option<DateTime<Utc>>,
    end_reason: Option<EndReason>,
    key: Option<ExternalKey>,
}

impl From<Grant> for GrantRow {
    fn from(from: Grant) -> Self {
        let (source, payment, by_person) = match from.source {
            GrantSource::Payment { payment } => ("payment", Some(payment), None),
            GrantSource::Approval { by, payment } => ("approval", Some(payment), Some(by)),
            GrantSource::Ahead { by, payment } => ("ahead", payment, Some(by)),
            GrantSource::Provisional => ("provisional", None, None),
            GrantSource::Admin { by } => ("admin", None, Some(by)),
            GrantSource::Migration { by, payment } => ("migration", payment, Some(by)),
        };
        let (suspended, ended) = match from.state {
            GrantState::Live => (None, None),
            GrantState::Suspended { at, why } => (Some((at, why)), None),
            GrantState::Ended { at, why } => (None, Some((at, why))),
        };
        let (suspended_at, suspend_reason) = suspended.unzip();
        let (ended_at, end_reason) = ended.unzip();
        Self {
            id: from.id,
            learner: from.learner,
            course: from.course,
            enrollment: from.enrollment,
            source: source.to_owned(),
            payment,
            by_person,
            level: from.level,
            kinds: from.kinds,
            restrictions: from.restrictions,
            starts_at: from.starts_at,
            expires_at: from.expires_at,
            suspended_at,
            suspend_reason,
            ended_at,
            end_reason,
            key: from.key,
        }
    }
}

impl TryFrom<GrantRow> for Grant {
    type Error = BadRow;

    fn try_from(row: GrantRow) -> Result<Self, BadRow> {
        let bad = || BadRow("grants");
        let source = match (row.source.as_str(), row.payment, row.by_person) {
            ("payment", Some(payment), None) => GrantSource::Payment { payment },
            ("approval", Some(payment), Some(by)) => GrantSource::Approval { by, payment },
            ("ahead", payment, Some(by)) => GrantSource::Ahead { by, payment },
            ("provisional", None, None) => GrantSource::Provisional,
            ("admin", None, Some(by)) => GrantSource::Admin { by },
            ("migration", payment, Some(by)) => GrantSource::Migration { by, payment },
            _ => return Err(bad()),
        };
        let suspended = row.suspended_at.zip(row.suspend_reason);
        let state = match (row.ended_at, row.end_reason, suspended) {
            (None, None, None) => GrantState::Live,
            (None, None, Some((at, why))) => GrantState::Suspended { at, why },
            (Some(at), Some(why), _) => GrantState::Ended { at, why },
            _ => return Err(bad()),
        };
        Ok(Self {
            id: row.id,
            learner: row.learner,
            course: row.course,
            enrollment: row.enrollment,
            source,
            level: row.level,
            kinds: row.kinds,
            restrictions: row.restrictions,
            starts_at: row.starts_at,
            expires_at: row.expires_at,
            state,
            key: row.key,
        })
    }
}
