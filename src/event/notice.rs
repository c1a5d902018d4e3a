//! Which events people are told of.

use super::EventKind;
use crate::payment::Allocation;
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{NoticeKind, Status, Transition};

impl EventKind {
    /// What kind of notice it is to people, if it is one.
    pub fn notice(&self) -> Option<NoticeKind> {
        match self {
            Self::EnrollmentMoved {
                from,
                to,
                transition,
            } => match to {
                Status::AwaitingApproval { .. } => Some(NoticeKind::ApprovalNeeded),
                // Known before: here, or in the system that it was brought over from.
                Status::Approved {
                    cause: ApprovalCause::Migration,
                } => None,
                Status::Approved { .. } if matches!(from, Status::Approved { .. }) => None,
                Status::Approved { .. } => Some(NoticeKind::Approved),
                // Known before: money that came since is gone.
                Status::Rejected { .. } if *transition == Transition::ClosedAgain => None,
                Status::Rejected { .. } => Some(NoticeKind::Rejected),
                Status::AwaitingPayment | Status::Expired | Status::Withdrawn { .. } => None,
            },
            Self::AccessGranted { more: true, .. } => Some(NoticeKind::Approved),
            Self::FirstApproval | Self::ReviewChanged { reason: Some(_) } => {
                Some(NoticeKind::ApprovalNeeded)
            }
            Self::PaymentCompleted {
                allocation: Allocation::RefundDue(_),
                ..
            }
            | Self::PaymentRestated {
                allocation: Allocation::RefundDue(_),
                ..
            } => Some(NoticeKind::RefundDue),
            Self::PaymentReversed { .. }
            | Self::RefundFailed { .. }
            | Self::PaymentDoubted { .. }
            | Self::DiscrepancyFound { .. }
            | Self::DeliveryDead { .. }
            | Self::DeliveryOverdue { .. }
            | Self::AlertChanged { .. }
            | Self::NoticeUndelivered { .. }
            | Self::PublishingGivenUp { .. } => Some(NoticeKind::Alert),
            _ => None,
        }
    }
}
