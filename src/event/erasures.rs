//! Which erasures of an audit log speak for which emptied events.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::vocabulary::{EnrollmentId, EventId, GrantId};

/// What of an event's kept text says which erasures may speak for it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Emptied {
    id: EventId,
    enrollment: Option<EnrollmentId>,
    data: OfGrant,
}

#[derive(Debug, Clone, Deserialize)]
struct OfGrant {
    grant: Option<GrantId>,
}

/// What of an erasure's kept text says which events it speaks for.
#[derive(Deserialize)]
struct Erasure {
    enrollment: Option<EnrollmentId>,
    data: ErasureData,
}

#[derive(Deserialize)]
struct ErasureData {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<EventId>,
    grants: Vec<GrantId>,
}

/// The erasures of an audit log, by the events that they name.
#[derive(Debug, Clone, Default)]
pub(super) struct Erasures {
    of_enrollments: HashMap<EventId, HashSet<EnrollmentId>>,
    of_grants: HashMap<EventId, HashSet<GrantId>>,
}

impl Erasures {
    /// What an event whose kept text fits says about others.
    pub(super) fn note(&mut self, kept: &str) {
        if !kept.contains("\"personal_erased\"") {
            return;
        }
        let Ok(erasure) = serde_json::from_str::<Erasure>(kept) else {
            return;
        };
        if erasure.data.kind != "personal_erased" {
            return;
        }
        for event in erasure.data.events {
            match erasure.enrollment {
                Some(enrollment) => {
                    let of = self.of_enrollments.entry(event).or_default();
                    of.insert(enrollment);
                }
                None => {
                    let of = self.of_grants.entry(event).or_default();
                    of.extend(&erasure.data.grants);
                }
            }
        }
    }

    pub(super) fn speak_for(&self, emptied: &Emptied) -> bool {
        match (emptied.enrollment, emptied.data.grant) {
            (Some(enrollment), _) => {
                let of = self.of_enrollments.get(&emptied.id);
                of.is_some_and(|of| of.contains(&enrollment))
            }
            (None, Some(grant)) => {
                let of = self.of_grants.get(&emptied.id);
                of.is_some_and(|of| of.contains(&grant))
            }
            (None, None) => false,
        }
    }
}
