use chrono::{DateTime, Utc};

use super::state::Enrollment;
use crate::access::{Grant, GrantState};
use crate::payment::PaymentAttempt;
use crate::vocabulary::Status;

/// An enrollment with its attempts and the learner's grants for the course, as
/// loaded together.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The enrollment.
    pub enrollment: Enrollment,
    /// Its attempts, oldest first.
    pub attempts: Vec<PaymentAttempt>,
    /// The learner's grants for the course, oldest first.
    pub grants: Vec<Grant>,
    /// Since when a delivery for it waits in the inbox, if one does.
    pub confirming: Option<DateTime<Utc>>,
}

impl Case {
    /// The attempt a payment speaks of: by our reference, else by its pay link.
    pub fn attempt(
        &self,
        reference: Option<&str>,
        pay_link: Option<&str>,
    ) -> Option<&PaymentAttempt> {
        let by_reference = |wanted| {
            self.attempts
                .iter()
                .find(|attempt| attempt.reference.as_str() == wanted)
        };
        let by_link = |wanted| {
            self.attempts.iter().find(|attempt| {
                attempt
                    .link
                    .as_ref()
                    .is_some_and(|link| link.id.as_str() == wanted)
            })
        };
        reference
            .and_then(by_reference)
            .or_else(|| pay_link.and_then(by_link))
    }

    /// Whether it was approved and the access it gave has run out. Access by other ways does
    /// not matter; access that is suspended, or starts later, has not run out.
    pub fn has_lapsed(&self, now: DateTime<Utc>) -> bool {
        let own = |grant: &&Grant| grant.enrollment == Some(self.enrollment.id);
        let expired = |grant: &Grant| grant.expires_at.is_some_and(|end| end <= now);
        let over =
            |grant: &Grant| expired(grant) || matches!(grant.state, GrantState::Ended { .. });
        matches!(self.enrollment.status, Status::Approved { .. })
            && self.grants.iter().filter(own).all(over)
            && self.grants.iter().filter(own).any(expired)
    }

    /// The time of a step that is made now: never before the last change, since another
    /// instance's clock may be ahead of this one's.
    pub fn time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.enrollment.updated_at)
    }

    /// The attempt that was asked for last. One that was brought over is as old as it was in the
    /// other system.
    pub fn latest_attempt(&self) -> Option<&PaymentAttempt> {
        self.attempts.iter().max_by_key(|it| it.asked_at)
    }
}
