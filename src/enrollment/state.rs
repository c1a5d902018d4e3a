use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::first_approval::FirstApproval;
use crate::access::AccessTerms;
use crate::payment::{Offer, PaymentAttempt, PaymentMethod};
use crate::vocabulary::reason::{HoldReason, WithdrawReason};
use crate::vocabulary::{
    Closed, CourseId, Email, EnrollmentId, LearnerId, Money, PaymentReference, Status, Title,
    Version,
};

/// The address of a learner who was erased.
pub(super) const NOWHERE: &str = "erased@erased.invalid";

/// One learner wanting one course. There is one per learner and course; closing
/// and enrolling again reopens it, so that old pay links stay understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Enrollment {
    /// Its name.
    pub id: EnrollmentId,
    /// Who wants the course. Access is given to this learner and no other.
    pub learner: LearnerId,
    /// Where to write to.
    pub email: Email,
    /// Which course.
    pub course: CourseId,
    /// The course's title, as the learner saw it last.
    pub title: Title,
    /// What it costs today. What a payment buys, and for how much, is its attempt's.
    pub price: Money,
    /// What the learner said last they would pay with.
    pub declared: PaymentMethod,
    /// The access that is asked for today.
    pub terms: AccessTerms,
    /// Where it stands.
    pub status: Status,
    /// What waits for a person about it: the reason it is held for, or what came beside access
    /// that it gives already. `None` when nobody has to decide.
    pub waits_for: Option<HoldReason>,
    /// The attempt that a person would approve now; `None` when nobody has to decide, or would let
    /// the learner in ahead of any money.
    pub waits_on: Option<PaymentReference>,
    /// What a person, or the learner, had closed it as, while money that came after that waits for
    /// a person: no other money opens it by itself meanwhile.
    pub closed: Option<Box<Closed>>,
    /// Who has approved it already, and what exactly, where two people have to.
    pub first_approval: Option<Box<FirstApproval>>,
    /// Counts its changes.
    pub version: Version,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Enrollment {
    /// What is offered for it today.
    pub fn offer(&self) -> Offer {
        Offer {
            price: self.price,
            title: self.title.clone(),
            terms: self.terms.clone(),
        }
    }

    /// The one of its attempts that a person would approve now: its money waits for a person, or
    /// it waits for its money.
    pub fn waiting<'a>(&self, attempts: &'a [PaymentAttempt]) -> Option<&'a PaymentAttempt> {
        let waits_on = self.waits_on.as_ref()?;
        attempts.iter().find(|it| it.reference == *waits_on)
    }

    /// Whether the school ended the access, and nothing but money that came since waits.
    pub fn is_ended_by_school(&self) -> bool {
        let ended = Closed::Withdrawn {
            why: WithdrawReason::Revoked,
        };
        self.status == ended.clone().into() || self.closed.as_deref() == Some(&ended)
    }

    /// Whether the learner left, or their money went back, and nothing but money that came since
    /// waits.
    pub fn is_left_by_learner(&self) -> bool {
        let by_learner = |why| matches!(why, WithdrawReason::Left | WithdrawReason::MoneyBack);
        match self.closed.as_deref() {
            Some(Closed::Withdrawn { why }) => by_learner(*why),
            Some(Closed::Rejected { .. }) | None => false,
        }
    }

    /// Whether its learner was erased.
    pub fn is_erased(&self) -> bool {
        self.email.as_str() == NOWHERE
    }

    /// What is offered for it today, where an attempt was for something else.
    pub fn other_offer(&self, attempt: &PaymentAttempt) -> Option<Offer> {
        let other = (attempt.amount, &attempt.terms) != (self.price, &self.terms);
        other.then(|| self.offer())
    }
}
