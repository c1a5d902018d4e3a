//! What people are told of: which events are worth telling, to whom, and by which channel.
//!
//! A [`Notice`] is an event seen from the side of somebody who should hear of it. It is
//! read off the event and never stored beside it, so that neither can be there without the
//! other. Admins choose by [`Preferences`] what reaches them, and how.

mod preferences;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind};
use crate::payment::Allocation;
use crate::vocabulary::reason::{HoldReason, Severity};
use crate::vocabulary::{EnrollmentId, EventId, Note, PaymentReference, Status};

pub use crate::vocabulary::NoticeKind;
pub use preferences::Preferences;

/// One thing that people should hear of. It names an enrollment, and nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Notice {
    /// The event it was read off: the same notice always has the same id.
    pub id: EventId,
    /// What it is about.
    pub kind: NoticeKind,
    /// The event's event name, such as `enrollment_updated`.
    pub event: String,
    /// How urgently somebody should look.
    pub severity: Severity,
    /// The enrollment, if it is about one.
    pub enrollment: Option<EnrollmentId>,
    /// The payment, if it is about one.
    pub payment: Option<PaymentReference>,
    /// Why the enrollment waits, or the money goes back.
    pub reason: Option<HoldReason>,
    /// What a person wrote about it, such as the reason of a rejection.
    pub note: Option<Note>,
    /// When it happened.
    pub at: DateTime<Utc>,
}

impl Notice {
    /// The notice that an event is, if it is one.
    pub fn of(event: &Event) -> Option<Self> {
        let kind = event.kind.notice()?;
        let (payment, reason) = match &event.kind {
            EventKind::EnrollmentMoved {
                to: Status::AwaitingApproval { reason },
                ..
            }
            | EventKind::ReviewChanged {
                reason: Some(reason),
            } => (None, Some(*reason)),
            EventKind::PaymentCompleted {
                reference,
                allocation: Allocation::RefundDue(reason),
                ..
            }
            | EventKind::PaymentRestated {
                reference,
                allocation: Allocation::RefundDue(reason),
            }
            | EventKind::PaymentDoubted { reference, reason } => (Some(reference), Some(*reason)),
            EventKind::PaymentReversed { reference, .. }
            | EventKind::RefundFailed { reference, .. } => (Some(reference), None),
            _ => (None, None),
        };
        let about = match &event.kind {
            EventKind::DiscrepancyFound { about, .. } => *about,
            _ => None,
        };
        Some(Self {
            id: event.id,
            kind,
            event: event.kind.name().to_owned(),
            severity: event.kind.severity(),
            enrollment: event.enrollment.or(about),
            payment: payment.cloned(),
            reason,
            note: match &event.kind {
                EventKind::EnrollmentMoved {
                    to: Status::Rejected { reason },
                    ..
                } => Some(reason.clone()),
                _ => event.note.clone(),
            },
            at: event.at,
        })
    }

    /// What happened, in one sentence.
    pub fn headline(&self) -> &'static str {
        match (self.kind, self.event.as_str()) {
            (NoticeKind::ApprovalNeeded, "first_approval") => "A second person has to approve.",
            (NoticeKind::ApprovalNeeded, _) => match self.reason {
                Some(HoldReason::BankTransfer) => "A bank transfer waits for approval.",
                Some(HoldReason::InstantEft) => "An instant EFT waits for approval.",
                _ => "A payment needs a person to look at it.",
            },
            (NoticeKind::Approved, "course_access_granted") => "More access was given.",
            (NoticeKind::Approved, _) => "An enrollment was approved.",
            (NoticeKind::Rejected, _) => "An enrollment was rejected.",
            (NoticeKind::RefundDue, _) => "Money has to go back.",
            (NoticeKind::Alert, "payment_reversed") => "A bank took a payment back.",
            (NoticeKind::Alert, "refund_failed") => "The provider did not give money back.",
            (NoticeKind::Alert, "payment_doubted") => "A payment does not fit its enrollment.",
            (NoticeKind::Alert, "discrepancy_found") => "Money and access do not agree.",
            (NoticeKind::Alert, "delivery_dead") => "A callback was given up on.",
            (NoticeKind::Alert, "delivery_overdue") => "A callback has matched nothing for long.",
            (NoticeKind::Alert, "alert_raised") => "An alert began.",
            (NoticeKind::Alert, "alert_escalated") => "An alert stands for long.",
            (NoticeKind::Alert, "alert_recovered") => "An alert is over.",
            (NoticeKind::Alert, "notice_undelivered") => "A notice could not be delivered.",
            (NoticeKind::Alert, "publishing_given_up") => "A publisher panics over an event.",
            (NoticeKind::Alert, _) => "Something needs a person.",
        }
    }
}
