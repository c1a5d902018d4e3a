use crate::vocabulary::reason::{ApprovalCause, HoldReason};
use crate::vocabulary::{Closed, Note, string_enum};

/// What is asked of an enrollment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The policy approved a payment.
    PaymentConfirmed(ApprovalCause),
    /// A try to pay failed.
    PaymentFailed,
    /// A person approves.
    Approve(ApprovalCause),
    /// A person says no.
    Reject(Note),
    /// The policy, or a bank transfer, asks for a person.
    Hold(HoldReason),
    /// Nobody paid in time, or the bought access is over.
    Expire,
    /// The learner leaves.
    Withdraw,
    /// The money that carried it went back, and no other does.
    Refund,
    /// The last money that it held went back.
    Release,
    /// Money is gone that came after a person, or the learner, had closed it.
    CloseAgain(Closed),
    /// The school ended the access it gave.
    Revoke,
    /// The learner enrolls again.
    Reopen,
}

/// A command without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CommandKind {
    /// See [`Command::PaymentConfirmed`].
    PaymentConfirmed,
    /// See [`Command::PaymentFailed`].
    PaymentFailed,
    /// See [`Command::Approve`].
    Approve,
    /// See [`Command::Reject`].
    Reject,
    /// See [`Command::Hold`].
    Hold,
    /// See [`Command::Expire`].
    Expire,
    /// See [`Command::Withdraw`].
    Withdraw,
    /// See [`Command::Refund`].
    Refund,
    /// See [`Command::Release`].
    Release,
    /// See [`Command::CloseAgain`].
    CloseAgain,
    /// See [`Command::Revoke`].
    Revoke,
    /// See [`Command::Reopen`].
    Reopen,
}

string_enum!(CommandKind {
    PaymentConfirmed => "payment_confirmed",
    PaymentFailed => "payment_failed",
    Approve => "approve",
    Reject => "reject",
    Hold => "hold",
    Expire => "expire",
    Withdraw => "withdraw",
    Refund => "refund",
    Release => "release",
    CloseAgain => "close_again",
    Revoke => "revoke",
    Reopen => "reopen",
});

impl Command {
    /// The command without its data.
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::PaymentConfirmed(_) => CommandKind::PaymentConfirmed,
            Self::PaymentFailed => CommandKind::PaymentFailed,
            Self::Approve(_) => CommandKind::Approve,
            Self::Reject(_) => CommandKind::Reject,
            Self::Hold(_) => CommandKind::Hold,
            Self::Expire => CommandKind::Expire,
            Self::Withdraw => CommandKind::Withdraw,
            Self::Refund => CommandKind::Refund,
            Self::Release => CommandKind::Release,
            Self::CloseAgain(_) => CommandKind::CloseAgain,
            Self::Revoke => CommandKind::Revoke,
            Self::Reopen => CommandKind::Reopen,
        }
    }
}
