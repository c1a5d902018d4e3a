//! Records without personal data.

use serde::{Deserialize, Serialize};

use super::{Actor, Fact, Record};
use crate::enrollment::Status;
use crate::ids::{LearnerId, RecordId};
use crate::reason::Note;

/// A record that holds no personal data any more, and what its text is since then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedRecord {
    /// Which.
    pub record: RecordId,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
}

impl Record {
    /// The same without what tells of the learner: their id, and what people wrote. `None` when
    /// there is nothing of the kind in it.
    pub(crate) fn erased(&self, pseudonym: &LearnerId) -> Option<Self> {
        let mut erased = self.clone();
        erased.note = None;
        if let Actor::Learner(learner) = &mut erased.who {
            *learner = pseudonym.clone();
        }
        match &mut erased.fact {
            Fact::EnrollmentCreated { learner, .. }
            | Fact::GrantGiven { learner, .. }
            | Fact::GrantTaken { learner, .. } => *learner = pseudonym.clone(),
            Fact::EnrollmentMoved { from, to, .. } => {
                erase_reason(from);
                erase_reason(to);
            }
            _ => {}
        }
        (erased != *self).then_some(erased)
    }
}

/// What a person wrote when they rejected an enrollment.
pub(crate) fn erase_reason(status: &mut Status) {
    if let Status::Rejected { reason } = status {
        *reason = Note::new("erased");
    }
}
