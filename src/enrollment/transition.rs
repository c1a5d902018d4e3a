use super::command::Command;
use crate::vocabulary::reason::{HoldReason, WithdrawReason};
use crate::vocabulary::{Status, Transition, string_enum};

/// What the law says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionResult {
    /// The status moves.
    Moved(Transition, Status),
    /// Accepted, and the status stays.
    Unchanged(UnchangedReason),
    /// It cannot be.
    Rejected(Refusal),
}

/// Why a command changes nothing, although it is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UnchangedReason {
    /// It is approved already.
    AlreadyApproved,
    /// It waits already, for this reason or a graver one.
    AlreadyHeld,
    /// It is rejected already.
    AlreadyRejected,
    /// It is closed already.
    AlreadyClosed,
    /// It is open already.
    AlreadyOpen,
    /// A failure is about the attempt, never the enrollment.
    FailureNoted,
    /// The money went back; the status does not depend on it.
    RefundNoted,
    /// The access ended; the status does not depend on it.
    RevocationNoted,
}

string_enum!(UnchangedReason {
    AlreadyApproved => "already_approved",
    AlreadyHeld => "already_held",
    AlreadyRejected => "already_rejected",
    AlreadyClosed => "already_closed",
    AlreadyOpen => "already_open",
    FailureNoted => "failure_noted",
    RefundNoted => "refund_noted",
    RevocationNoted => "revocation_noted",
});

/// Why a command cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refusal {
    /// It is approved: refund the payment or revoke the grant instead.
    ApprovedAlready,
    /// Money may be waiting in it: decide on that first.
    WaitsForAPerson,
    /// It expired: nothing is left to say no to.
    ClosedAlready,
    /// The learner left: they have to enroll again first.
    LearnerLeft,
    /// The school ended the access: the learner cannot enroll again by themselves.
    EndedBySchool,
    /// The payment is disputed, and the access that rests on it suspended: settle that first.
    Disputed,
    /// Its access begins later.
    StartsLater,
    /// No money arrived that could go back.
    NoMoney,
    /// The payer's bank took the money back: there is nothing of it left to give.
    TakenBack,
    /// Its learner was erased: nobody is left who could be let in.
    Erased,
}

string_enum!(Refusal {
    ApprovedAlready => "approved_already",
    WaitsForAPerson => "waits_for_a_person",
    ClosedAlready => "closed_already",
    LearnerLeft => "learner_left",
    EndedBySchool => "ended_by_school",
    Disputed => "disputed",
    StartsLater => "starts_later",
    NoMoney => "no_money",
    TakenBack => "taken_back",
    Erased => "erased",
});

impl Refusal {
    /// What to do instead.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::ApprovedAlready => {
                "the enrollment is approved; refund its payment or revoke its grant instead"
            }
            Self::WaitsForAPerson => {
                "the enrollment waits for a person; approve or reject it first"
            }
            Self::ClosedAlready => {
                "the enrollment is closed; approve it, or let the learner enroll again"
            }
            Self::LearnerLeft => "the learner left; they have to enroll again first",
            Self::EndedBySchool => {
                "the school ended this access; only the school can give it again, by approving"
            }
            Self::Disputed => {
                "its payment is disputed and its access suspended; record the reinstatement, or revoke the grant, first"
            }
            Self::StartsLater => {
                "it is approved, and its access begins later; give a grant apart for the time until then"
            }
            Self::NoMoney => "no money arrived that could go back",
            Self::TakenBack => {
                "the payer's bank took this money back already; settle the dispute, or record what you gave back yourself"
            }
            Self::Erased => {
                "its learner was erased, so nobody could be let in; give the money back"
            }
        }
    }
}

impl Status {
    /// The law: what a command does in this status. Total, pure and closed.
    pub fn after(&self, command: &Command) -> TransitionResult {
        use Command as C;
        use Status as S;
        use Transition as T;
        use TransitionResult::{Moved as Move, Rejected as Refuse, Unchanged as Keep};
        match (self, command) {
            (S::AwaitingPayment, C::PaymentConfirmed(cause)) => {
                Move(T::PaymentApproved, S::Approved { cause: *cause })
            }
            (S::AwaitingPayment, C::PaymentFailed) => Keep(UnchangedReason::FailureNoted),
            (S::AwaitingPayment, C::Approve(cause)) => {
                Move(T::PersonApproved, S::Approved { cause: *cause })
            }
            (S::AwaitingPayment, C::Reject(reason)) => Move(
                T::PersonRejected,
                S::Rejected {
                    reason: reason.clone(),
                },
            ),
            (S::AwaitingPayment, C::Hold(reason)) => {
                Move(T::Held, S::AwaitingApproval { reason: *reason })
            }
            (S::AwaitingPayment, C::Expire) => Move(T::Unpaid, S::Expired),
            (S::AwaitingPayment, C::Withdraw) => Move(T::Left, withdrawn(WithdrawReason::Left)),
            (S::AwaitingPayment, C::Refund | C::Release) => Refuse(Refusal::NoMoney),
            (S::AwaitingPayment, C::CloseAgain(_)) => Keep(UnchangedReason::RefundNoted),
            (S::AwaitingPayment, C::Revoke) => {
                Move(T::AccessRevoked, withdrawn(WithdrawReason::Revoked))
            }
            (S::AwaitingPayment, C::Reopen) => Keep(UnchangedReason::AlreadyOpen),

            (S::AwaitingApproval { .. }, C::PaymentConfirmed(cause)) => {
                Move(T::PaymentApproved, S::Approved { cause: *cause })
            }
            (S::AwaitingApproval { .. }, C::PaymentFailed) => Keep(UnchangedReason::FailureNoted),
            (S::AwaitingApproval { .. }, C::Approve(cause)) => {
                Move(T::PersonApproved, S::Approved { cause: *cause })
            }
            (S::AwaitingApproval { .. }, C::Reject(reason)) => Move(
                T::PersonRejected,
                S::Rejected {
                    reason: reason.clone(),
                },
            ),
            (S::AwaitingApproval { reason }, C::Hold(graver)) if graver > reason => {
                Move(T::HoldRaised, S::AwaitingApproval { reason: *graver })
            }
            (S::AwaitingApproval { .. }, C::Hold(_)) => Keep(UnchangedReason::AlreadyHeld),
            // Nobody was seen to pay: a transfer that never came.
            (
                S::AwaitingApproval {
                    reason: HoldReason::BankTransfer,
                },
                C::Expire,
            ) => Move(T::Unpaid, S::Expired),
            (S::AwaitingApproval { .. }, C::Expire) => Refuse(Refusal::WaitsForAPerson),
            (S::AwaitingApproval { .. }, C::Withdraw) => {
                Move(T::Left, withdrawn(WithdrawReason::Left))
            }
            (S::AwaitingApproval { .. }, C::Refund) => {
                Move(T::MoneyReturned, withdrawn(WithdrawReason::MoneyBack))
            }
            (S::AwaitingApproval { .. }, C::Release) => {
                Move(T::HeldMoneyReturned, S::AwaitingPayment)
            }
            (S::AwaitingApproval { .. }, C::CloseAgain(closed)) => {
                Move(T::ClosedAgain, closed.clone().into())
            }
            (S::AwaitingApproval { .. }, C::Revoke) => Keep(UnchangedReason::RevocationNoted),
            (S::AwaitingApproval { .. }, C::Reopen) => Keep(UnchangedReason::AlreadyOpen),

            (S::Approved { cause }, C::PaymentConfirmed(higher)) if higher > cause => {
                Move(T::CauseRaised, S::Approved { cause: *higher })
            }
            (S::Approved { .. }, C::PaymentConfirmed(_)) => Keep(UnchangedReason::AlreadyApproved),
            (S::Approved { .. }, C::PaymentFailed) => Keep(UnchangedReason::FailureNoted),
            (S::Approved { .. }, C::Approve(_)) => Keep(UnchangedReason::AlreadyApproved),
            (S::Approved { .. }, C::Reject(_)) => Refuse(Refusal::ApprovedAlready),
            (S::Approved { .. }, C::Hold(_)) => Keep(UnchangedReason::AlreadyApproved),
            (S::Approved { .. }, C::Expire) => Move(T::Lapsed, S::Expired),
            (S::Approved { .. }, C::Withdraw) => Move(T::Left, withdrawn(WithdrawReason::Left)),
            (S::Approved { .. }, C::Refund) => {
                Move(T::MoneyReturned, withdrawn(WithdrawReason::MoneyBack))
            }
            (S::Approved { .. }, C::Release | C::CloseAgain(_)) => {
                Keep(UnchangedReason::RefundNoted)
            }
            (S::Approved { .. }, C::Revoke) => {
                Move(T::AccessRevoked, withdrawn(WithdrawReason::Revoked))
            }
            (S::Approved { .. }, C::Reopen) => Refuse(Refusal::ApprovedAlready),

            (S::Rejected { .. }, C::PaymentConfirmed(_)) => Move(
                T::LateMoneyHeld,
                S::AwaitingApproval {
                    reason: HoldReason::LatePayment,
                },
            ),
            (S::Rejected { .. }, C::PaymentFailed) => Keep(UnchangedReason::FailureNoted),
            (S::Rejected { .. }, C::Approve(cause)) => {
                Move(T::PersonApproved, S::Approved { cause: *cause })
            }
            (S::Rejected { .. }, C::Reject(_)) => Keep(UnchangedReason::AlreadyRejected),
            (S::Rejected { .. }, C::Hold(reason)) => {
                Move(T::Held, S::AwaitingApproval { reason: *reason })
            }
            (S::Rejected { .. }, C::Expire | C::Withdraw) => Keep(UnchangedReason::AlreadyClosed),
            (S::Rejected { .. }, C::Refund | C::Release | C::CloseAgain(_)) => {
                Keep(UnchangedReason::RefundNoted)
            }
            (S::Rejected { .. }, C::Revoke) => Keep(UnchangedReason::RevocationNoted),
            (S::Rejected { .. }, C::Reopen) => Move(T::Reopened, S::AwaitingPayment),

            // The policy may approve money that came after expiry; by default it holds it.
            (S::Expired, C::PaymentConfirmed(cause)) => {
                Move(T::PaymentApproved, S::Approved { cause: *cause })
            }
            (S::Expired, C::PaymentFailed) => Keep(UnchangedReason::FailureNoted),
            (S::Expired, C::Approve(cause)) => {
                Move(T::PersonApproved, S::Approved { cause: *cause })
            }
            (S::Expired, C::Reject(_)) => Refuse(Refusal::ClosedAlready),
            (S::Expired, C::Hold(reason)) => Move(T::Held, S::AwaitingApproval { reason: *reason }),
            (S::Expired, C::Expire | C::Withdraw) => Keep(UnchangedReason::AlreadyClosed),
            (S::Expired, C::Refund | C::Release | C::CloseAgain(_)) => {
                Keep(UnchangedReason::RefundNoted)
            }
            (S::Expired, C::Revoke) => Keep(UnchangedReason::RevocationNoted),
            (S::Expired, C::Reopen) => Move(T::Reopened, S::AwaitingPayment),

            (S::Withdrawn { .. }, C::PaymentConfirmed(_)) => Move(
                T::LateMoneyHeld,
                S::AwaitingApproval {
                    reason: HoldReason::LatePayment,
                },
            ),
            (S::Withdrawn { .. }, C::PaymentFailed) => Keep(UnchangedReason::FailureNoted),
            (
                S::Withdrawn {
                    why: WithdrawReason::Left,
                },
                C::Approve(_),
            ) => Refuse(Refusal::LearnerLeft),
            // What the school took, or gave money back for, it may give again.
            (S::Withdrawn { .. }, C::Approve(cause)) => {
                Move(T::PersonApproved, S::Approved { cause: *cause })
            }
            (
                S::Withdrawn {
                    why: WithdrawReason::Left,
                },
                C::Reject(_),
            ) => Refuse(Refusal::LearnerLeft),
            (S::Withdrawn { .. }, C::Reject(_)) => Refuse(Refusal::ClosedAlready),
            (S::Withdrawn { .. }, C::Hold(reason)) => {
                Move(T::Held, S::AwaitingApproval { reason: *reason })
            }
            (S::Withdrawn { .. }, C::Expire | C::Withdraw) => Keep(UnchangedReason::AlreadyClosed),
            (S::Withdrawn { .. }, C::Refund | C::Release | C::CloseAgain(_)) => {
                Keep(UnchangedReason::RefundNoted)
            }
            (S::Withdrawn { .. }, C::Revoke) => Keep(UnchangedReason::RevocationNoted),
            (
                S::Withdrawn {
                    why: WithdrawReason::Revoked,
                },
                C::Reopen,
            ) => Refuse(Refusal::EndedBySchool),
            (S::Withdrawn { .. }, C::Reopen) => Move(T::Reopened, S::AwaitingPayment),
        }
    }
}

fn withdrawn(why: WithdrawReason) -> Status {
    Status::Withdrawn { why }
}
