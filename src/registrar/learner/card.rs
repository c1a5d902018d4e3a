//! What one course's card shows one learner: a button, and why.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::access::{AccessDecision, DenyReason};
use crate::payment::{Allocation, AttemptStatus, PaymentAttempt, PaymentMethod};
use crate::vocabulary::reason::{HoldReason, WithdrawReason};
use crate::vocabulary::{Note, Status, string_enum};

/// What the button on a course card says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardText {
    /// Nobody is signed in.
    RegisterToEnroll,
    /// The learner can enroll, enroll again, or go on with the payment they started.
    EnrollNow,
    /// A payment is being confirmed with the provider.
    Confirming,
    /// A person has to approve.
    PendingApproval,
    /// The course is open.
    ContinueCourse,
    /// The last payment failed.
    RetryPayment,
}

string_enum!(CardText {
    RegisterToEnroll => "Register To Enroll",
    EnrollNow => "Enroll Now",
    Confirming => "Confirming\u{2026}",
    PendingApproval => "Pending Approval",
    ContinueCourse => "Continue Course",
    RetryPayment => "Retry payment",
});

/// What the button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardAction {
    /// Go to the host's sign-up page.
    Register,
    /// Enroll.
    Enroll,
    /// Go to the pay link of the open attempt, or make a new attempt.
    Pay,
    /// Nothing: wait.
    Wait,
    /// Open the course.
    Open,
}

string_enum!(CardAction {
    Register => "register",
    Enroll => "enroll",
    Pay => "pay",
    Wait => "wait",
    Open => "open",
});

/// What a course card shows: the same in every front end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LearnerCard {
    /// The button's text.
    pub text: CardText,
    /// What the button does.
    pub action: CardAction,
    /// Whether the button is greyed out.
    pub disabled: bool,
    /// Why it is so, in one word for programs.
    pub reason: &'static str,
    /// Why it is so, in one sentence for the learner.
    pub message: &'static str,
    /// What the school wrote about it: the reason of a rejection.
    pub note: Option<Note>,
    /// Until when the course is open, where that ends: a renewal can be offered.
    pub until: Option<DateTime<Utc>>,
}

/// What a card is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct CardView<'a> {
    /// Whether somebody is signed in.
    pub signed_in: bool,
    /// Status and attempts of the learner's enrollment in this course.
    pub enrollment: Option<(&'a Status, &'a [PaymentAttempt])>,
    /// Whether a callback waits for the provider's confirmation.
    pub confirming: bool,
    /// The best that they may open, whatever kind of content it is (see [`best_access`]).
    ///
    /// [`best_access`]: crate::access::best_access
    pub access: &'a AccessDecision,
}

/// Draws the card.
pub fn learner_card(view: &CardView<'_>) -> LearnerCard {
    let card = |text, action, reason, message| LearnerCard {
        text,
        action,
        disabled: action == CardAction::Wait,
        reason,
        message,
        note: None,
        until: None,
    };
    if !view.signed_in {
        return card(
            CardText::RegisterToEnroll,
            CardAction::Register,
            "signed_out",
            "Sign up or sign in to enroll.",
        );
    }
    let deny = match view.access {
        AccessDecision::Allow { until, .. } => {
            return LearnerCard {
                until: *until,
                ..card(
                    CardText::ContinueCourse,
                    CardAction::Open,
                    "access",
                    "You have access to this course.",
                )
            };
        }
        AccessDecision::Deny { reason } => *reason,
    };
    match deny {
        DenyReason::NotStarted { .. } => {
            return card(
                CardText::ContinueCourse,
                CardAction::Wait,
                "not_started",
                "Your access has not started yet.",
            );
        }
        DenyReason::UnknownRestriction | DenyReason::Restricted { .. } => {
            return card(
                CardText::ContinueCourse,
                CardAction::Wait,
                "restricted",
                "Your access does not include this here and now.",
            );
        }
        // What is open to a look is no reason not to sell the course.
        DenyReason::LevelTooLow { .. }
        | DenyReason::KindNotCovered
        | DenyReason::NoGrant
        | DenyReason::Ended { .. }
        | DenyReason::Suspended { .. }
        | DenyReason::Expired { .. } => {}
    }
    let Some((status, attempts)) = view.enrollment else {
        return card(
            CardText::EnrollNow,
            CardAction::Enroll,
            "not_enrolled",
            "Enroll to start this course.",
        );
    };
    if view.confirming {
        return card(
            CardText::Confirming,
            CardAction::Wait,
            "confirming",
            "Your payment arrived and is being confirmed. This takes a moment.",
        );
    }
    let held = attempts.iter().filter(|it| it.waits().is_some());
    let left = Status::Withdrawn {
        why: WithdrawReason::Left,
    };
    if *status == left && held.clone().next().is_some() {
        return card(
            CardText::EnrollNow,
            CardAction::Enroll,
            "payment_waits",
            "You left this course, and your payment is still here. Enroll again and the school decides on it; you do not need to pay again.",
        );
    }
    if let Some(reason) = held.filter_map(PaymentAttempt::waits).max() {
        return card(
            CardText::PendingApproval,
            CardAction::Wait,
            reason.as_str(),
            pending_message(reason),
        );
    }
    match status {
        Status::AwaitingPayment => awaiting_payment(attempts),
        Status::AwaitingApproval { reason } => card(
            CardText::PendingApproval,
            CardAction::Wait,
            reason.as_str(),
            pending_message(*reason),
        ),
        Status::Approved { .. } => match deny {
            DenyReason::Expired { .. } => card(
                CardText::EnrollNow,
                CardAction::Enroll,
                "expired",
                "Your access has expired. Enroll again to continue.",
            ),
            DenyReason::Suspended { .. } => card(
                CardText::RetryPayment,
                CardAction::Enroll,
                "suspended",
                "Your bank took your payment back, so your access is on hold. Pay again, or contact the school.",
            ),
            DenyReason::LevelTooLow { .. } | DenyReason::KindNotCovered => card(
                CardText::EnrollNow,
                CardAction::Enroll,
                "preview",
                "You have a preview of this course. Enroll to open all of it.",
            ),
            _ => card(
                CardText::EnrollNow,
                CardAction::Wait,
                "ended",
                "Your access was ended. Please contact the school.",
            ),
        },
        Status::Rejected { reason } => LearnerCard {
            note: (!reason.is_empty()).then(|| reason.clone()),
            ..card(
                CardText::RetryPayment,
                CardAction::Enroll,
                "rejected",
                "Your enrollment was not approved. You can try again or contact the school.",
            )
        },
        Status::Expired => card(
            CardText::EnrollNow,
            CardAction::Enroll,
            "expired",
            "Your enrollment has expired. You can enroll again.",
        ),
        Status::Withdrawn { why } => match why {
            WithdrawReason::Left => card(
                CardText::EnrollNow,
                CardAction::Enroll,
                "withdrawn",
                "You left this course. You can enroll again.",
            ),
            WithdrawReason::MoneyBack => card(
                CardText::EnrollNow,
                CardAction::Enroll,
                "money_back",
                "Your payment went back, so your access ended. You can enroll again.",
            ),
            WithdrawReason::Revoked => card(
                CardText::EnrollNow,
                CardAction::Wait,
                "ended",
                "The school ended your access. Please contact the school.",
            ),
        },
    }
}

fn awaiting_payment(attempts: &[PaymentAttempt]) -> LearnerCard {
    let goes_back = |attempt: &PaymentAttempt| {
        let allocation = attempt.payment.map(|payment| payment.allocation);
        match allocation {
            Some(Allocation::RefundDue(reason)) if attempt.holds_money() => Some(reason),
            _ => None,
        }
    };
    if let Some(reason) = attempts.iter().rev().find_map(goes_back) {
        return LearnerCard {
            text: CardText::RetryPayment,
            action: CardAction::Pay,
            disabled: false,
            reason: "refund_due",
            message: refund_message(reason),
            note: None,
            until: None,
        };
    }
    let failed = attempts
        .iter()
        .max_by_key(|attempt| attempt.asked_at)
        .is_some_and(|attempt| {
            attempt.status == AttemptStatus::Failed
                || (attempt.link.is_none() && attempt.declared != PaymentMethod::BankTransfer)
        });
    let (text, reason, message) = if failed {
        (
            CardText::RetryPayment,
            "payment_failed",
            "The payment did not go through. Please try again.",
        )
    } else {
        (
            CardText::EnrollNow,
            "awaiting_payment",
            "Complete your payment to start this course.",
        )
    };
    LearnerCard {
        text,
        action: CardAction::Pay,
        disabled: false,
        reason,
        message,
        note: None,
        until: None,
    }
}

/// What is told of money that is to be given back, while the learner may pay again.
fn refund_message(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Underpayment
        | HoldReason::Overpayment
        | HoldReason::AmountDiffers
        | HoldReason::CurrencyDiffers
        | HoldReason::OldPrice => {
            "Your payment did not match the price and will be given back. Please pay again."
        }
        HoldReason::DuplicatePayment | HoldReason::AccessCovered => {
            "An earlier payment of yours will be given back. Complete your payment to start this course."
        }
        _ => {
            "The school did not accept your earlier payment and will give it back. You can pay again."
        }
    }
}

fn pending_message(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::BankTransfer => {
            "We are waiting for your bank transfer. Use your reference when you pay."
        }
        HoldReason::InstantEft => {
            "Your payment arrived. The school will approve your enrollment soon."
        }
        _ => "Your payment needs a check by the school. You do not need to pay again.",
    }
}
