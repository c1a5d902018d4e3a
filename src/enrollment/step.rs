//! What a step on a case is made with, and what it comes to.

use chrono::{DateTime, Utc};

use super::case::Case;
use super::delta::Delta;
use super::rules::EnrollmentPolicy;
use super::state::Enrollment;
use super::transition::Refusal;
use crate::event::{Actor, Source};
use crate::payment::{Offer, PaymentMethod};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{CourseId, Email, LearnerId, Money, Note, Status, Transition};

/// Who does something, by which way, when, and who may veto it.
#[derive(Clone, Copy)]
pub struct StepContext<'a> {
    /// When.
    pub now: DateTime<Utc>,
    /// Who.
    pub who: &'a Actor,
    /// By which way it came.
    pub source: Source,
    /// What a person wrote about it.
    pub note: &'a Option<Note>,
    /// Who may veto it.
    pub guard: &'a dyn TransitionGuard,
    /// What holds for every enrollment.
    pub rules: &'a EnrollmentPolicy,
    /// Whether it only asks what would happen: nothing of it is written.
    pub rehearsal: bool,
}

impl std::fmt::Debug for StepContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Step")
            .field("now", &self.now)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// Vetoes legal moves; it cannot allow an illegal one. A closure will do.
///
/// It is asked about moves of the status ([`Transition`]), and about nothing else: not when
/// somebody who is approved gets more by an upgrade or a renewal, nor about grants apart from any
/// enrollment. What is not to be sold is not to be offered.
///
/// # Contract
/// It may be called any number of times for one move: again when a race was lost, once for a
/// rehearsal ([`TransitionRequest::rehearsal`]) and once more for the real thing, and for a move that is
/// then not written because the store was away. So an answer must not use anything up, unless
/// that is kept by enrollment and asking again finds it; and a rehearsal must change nothing at
/// all. What a move frees, hear of it as a publisher. `examples/cohort.rs` does this for a course
/// with a number of seats.
pub trait TransitionGuard: Send + Sync + 'static {
    /// Permits the move, or says why not.
    ///
    /// # Errors
    /// The reason, shown to the admin. A vetoed automatic approval is held.
    fn permits(&self, proposal: &TransitionRequest<'_>) -> Result<(), Note>;
}

impl<F> TransitionGuard for F
where
    F: Fn(&TransitionRequest<'_>) -> Result<(), Note> + Send + Sync + 'static,
{
    fn permits(&self, proposal: &TransitionRequest<'_>) -> Result<(), Note> {
        self(proposal)
    }
}

/// A legal move that is about to be made.
#[derive(Debug, Clone, Copy)]
pub struct TransitionRequest<'a> {
    /// The enrollment as it is.
    pub enrollment: &'a Enrollment,
    /// The move.
    pub transition: Transition,
    /// Where it would lead.
    pub to: &'a Status,
    /// Who makes it.
    pub who: &'a Actor,
    /// Whether somebody only asks what would happen: then nothing may be changed by the answer.
    pub rehearsal: bool,
}

/// Why something could not be done to an enrollment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The law refuses it.
    #[error("{}", .0.advice())]
    Refused(Refusal),
    /// The host's guard vetoed it.
    #[error("the host's rules do not permit this: {}", .0.as_str())]
    Vetoed(Note),
    /// The enrollment has no such attempt.
    #[error("the enrollment has no attempt with this reference")]
    UnknownAttempt,
    /// More attempts than any learner needs: somebody plays with the button.
    #[error("there are {0} attempts to pay for this enrollment already; ask the school")]
    TooManyAttempts(usize),
    /// More than is left of the payment.
    #[error("only {left} cents of this payment are left to give back, in its own currency")]
    RefundTooLarge {
        /// What is left, in minor units.
        left: i64,
    },
    /// The provider was asked for this already, and its answer is not known.
    #[error(
        "a refund was requested and its outcome is not known; look in the provider's dashboard, then record it"
    )]
    RefundUnknown,
    /// The same person cannot be both.
    #[error("you have approved this already; it costs so much that a second person has to")]
    SecondPersonNeeded,
    /// Something about it is another than the person saw who decides.
    #[error("the enrollment changed since it was shown to you; look at it again, then decide")]
    ChangedSince,
    /// Something is to come yet: money, a decision, or access that lasts.
    #[error(
        "the enrollment is not over: withdraw or reject it, end its access, and settle its money first"
    )]
    NotOver,
    /// Another sum arrived than was asked.
    #[error(
        "{seen} arrived, and {asked} was asked: add the transfer that makes it up, or accept the difference"
    )]
    OtherSum {
        /// The price of the attempt's own offer.
        asked: Money,
        /// What is on the statement.
        seen: Money,
    },
    /// Nobody waits for a bank transfer here.
    #[error("the enrollment has no open bank transfer to prove")]
    NoTransfer,
    /// The reference of a payment that is brought over is that of another one here.
    #[error("another payment has this reference already")]
    ReferenceTaken,
    /// The enrollment has no such grant, or it ended already.
    #[error("there is no grant with this id that has not ended")]
    UnknownGrant,
}

/// What a step came to.
#[derive(Debug, Clone)]
pub struct StepOutcome {
    /// What to write; empty when nothing changed.
    pub delta: Delta,
    /// The case after it.
    pub case: Case,
    /// In one word.
    pub effect: Effect,
    /// Whether a new grant was made.
    pub access_granted: bool,
}

/// What a step came to, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The enrollment is approved, by this or before.
    Approved,
    /// Something waits for a person.
    Held(HoldReason),
    /// A try to pay failed.
    Failed,
    /// Something else changed.
    Changed,
    /// Nothing changed: it was known already.
    Nothing,
}

/// What a learner asks for: the offer of today, and how they want to pay.
#[derive(Debug, Clone)]
pub struct NewEnrollment {
    /// Who wants the course.
    pub learner: LearnerId,
    /// Where to write to.
    pub email: Email,
    /// Which course.
    pub course: CourseId,
    /// What is offered.
    pub offer: Offer,
    /// The declared method.
    pub declared: PaymentMethod,
}
