//! Which erasures of a chain speak for which emptied records.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::ids::{EnrollmentId, EventId, GrantId};

/// What of a record's kept text says which erasures may speak for it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Emptied {
    id: EventId,
    enrollment: Option<EnrollmentId>,
    fact: OfGrant,
}

#[derive(Debug, Clone, Deserialize)]
struct OfGrant {
    grant: Option<GrantId>,
}

/// What of an erasure's kept text says which records it speaks for.
#[derive(Deserialize)]
struct Erasure {
    enrollment: Option<EnrollmentId>,
    fact: ErasureFact,
}

#[derive(Deserialize)]
struct ErasureFact {
    fact: String,
    records: Vec<EventId>,
    grants: Vec<GrantId>,
}

/// The erasures of a chain, by the records that they name.
#[derive(Debug, Clone, Default)]
pub(super) struct Erasures {
    of_enrollments: HashMap<EventId, HashSet<EnrollmentId>>,
    of_grants: HashMap<EventId, HashSet<GrantId>>,
}

impl Erasures {
    /// What a record whose kept text fits says about others.
    pub(super) fn note(&mut self, kept: &str) {
        if !kept.contains("\"personal_erased\"") {
            return;
        }
        let Ok(erasure) = serde_json::from_str::<Erasure>(kept) else {
            return;
        };
        if erasure.fact.fact != "personal_erased" {
            return;
        }
        for record in erasure.fact.records {
            match erasure.enrollment {
                Some(enrollment) => {
                    let of = self.of_enrollments.entry(record).or_default();
                    of.insert(enrollment);
                }
                None => {
                    let of = self.of_grants.entry(record).or_default();
                    of.extend(&erasure.fact.grants);
                }
            }
        }
    }

    pub(super) fn speak_for(&self, emptied: &Emptied) -> bool {
        match (emptied.enrollment, emptied.fact.grant) {
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
