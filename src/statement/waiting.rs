use crate::enrollment::Expected;
use crate::payment::Offer;
use crate::vocabulary::{CourseId, EnrollmentId, LearnerId, Money, PaymentReference};

/// A bank transfer that may be on a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// The learner.
    pub learner: LearnerId,
    /// The course.
    pub course: CourseId,
    /// The reference the learner was given.
    pub reference: PaymentReference,
    /// What was asked: the price of its own offer.
    pub amount: Money,
    /// What is offered to the learner today, if that is something else.
    pub other_offer: Option<Offer>,
    /// Whether it is waited for.
    pub expected: Expected,
}
