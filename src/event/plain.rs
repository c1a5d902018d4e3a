//! What happened, in plain words.

use super::{Event, EventKind};
use crate::payment::{Allocation, AttemptStatus};
use crate::vocabulary::reason::WithdrawReason;
use crate::vocabulary::{Reversal, Status};

impl Event {
    /// What happened, in one sentence for a person, with the course where that is news.
    pub fn sentence(&self) -> String {
        let sentence = self.kind.sentence();
        match (&self.kind, &self.course) {
            (EventKind::EnrollmentCreated { .. }, Some(course)) => {
                sentence.replacen("Enrolled", &format!("Enrolled in {course}"), 1)
            }
            _ => sentence,
        }
    }
}

impl EventKind {
    /// What happened, in one sentence for a person. It names no learner; who did it stands
    /// beside it in the event.
    pub fn sentence(&self) -> String {
        match self {
            Self::EnrollmentCreated { price, declared } => {
                format!("Enrolled for {price}, to be paid by {}.", words(declared))
            }
            Self::EnrollmentMoved { to, .. } => match to {
                Status::AwaitingPayment => "Waits for the payment.".to_owned(),
                Status::AwaitingApproval { reason } => {
                    format!("Waits for a person: {}.", words(reason))
                }
                Status::Approved { cause } => format!("Approved: {}.", words(cause)),
                Status::Rejected { .. } => "Rejected.".to_owned(),
                Status::Expired => "Expired.".to_owned(),
                Status::Withdrawn { why } => match why {
                    WithdrawReason::Left => "The learner left.".to_owned(),
                    WithdrawReason::MoneyBack => "Closed: the money went back.".to_owned(),
                    WithdrawReason::Revoked => "The school ended the access.".to_owned(),
                },
            },
            Self::EnrollmentRevised {
                price, declared, ..
            } => {
                format!("Enrolled again: {price}, by {}.", words(declared))
            }
            Self::DetailsChanged => {
                "The learner's address or the course's title changed.".to_owned()
            }
            Self::AskedAgain { reference } => match reference {
                Some(reference) => format!("Asked for the course again; goes on with {reference}."),
                None => "Asked for the course again; money of theirs waits.".to_owned(),
            },
            Self::ReviewChanged { reason } => match reason {
                Some(reason) => {
                    format!("Waits for a person, beside the access: {}.", words(reason))
                }
                None => "Waits for nobody any more.".to_owned(),
            },
            Self::AttemptStarted {
                reference,
                amount,
                terms,
                purpose,
            } => {
                let (level, purpose) = (terms.level, purpose.as_str());
                let lasting = terms.seconds.map_or_else(String::new, |seconds| {
                    format!(" for {}", duration_words(seconds))
                });
                format!(
                    "A payment of {amount} was started, {reference}, for {level} access{lasting} ({purpose})."
                )
            }
            Self::AttemptMoved { reference, to, .. } => match to {
                AttemptStatus::LinkReady => {
                    format!("The provider gave a pay link for {reference}.")
                }
                AttemptStatus::Failed => format!("The payment {reference} failed."),
                other => format!("The payment {reference} is {} now.", words(other)),
            },
            Self::PaymentCompleted {
                reference,
                amount,
                method,
                allocation,
            } => {
                let sum = amount.map_or_else(|| "Money".to_owned(), |amount| amount.to_string());
                let method = words(method);
                let does = standing_words(allocation);
                format!("{sum} arrived for {reference}, by {method}; {does}.")
            }
            Self::PaymentRestated {
                reference,
                allocation,
            } => format!("The money for {reference}: {}.", standing_words(allocation)),
            Self::PaymentReturned {
                reference,
                amount,
                ends_access,
            } => {
                let access = match ends_access {
                    true => "the access that rested on it ended",
                    false => "the access stays",
                };
                format!("{amount} of {reference} went back; {access}.")
            }
            Self::RefundRequested { reference, amount } => {
                format!("The provider was asked to give back {amount} of {reference}.")
            }
            Self::RefundFailed { reference, amount } => {
                format!("The provider did not give back {amount} of {reference}.")
            }
            Self::PaymentReversed { reference, how } => match how {
                Reversal::Reversed => format!("The bank took {reference} back."),
                Reversal::ChargedBack => format!("The card's holder disputes {reference}."),
            },
            Self::PaymentReinstated { reference } => {
                format!("The money of {reference} came again.")
            }
            Self::ProofAttached { reference } => {
                format!("The learner showed a proof of payment for {reference}.")
            }
            Self::PaymentDoubted { reference, reason } => {
                format!("The payment {reference} does not fit: {}.", words(reason))
            }
            Self::AccessGranted { until, .. } | Self::GrantGiven { until, .. } => match until {
                Some(until) => format!("Access was given until {}.", until.format("%Y-%m-%d")),
                None => "Access was given.".to_owned(),
            },
            Self::AccessRebased { payment, .. } => match payment {
                Some(payment) => format!("The access rests on {payment} now."),
                None => "The access rests on no payment any more; it stands.".to_owned(),
            },
            Self::AccessEnded { why, .. } | Self::GrantTaken { why, .. } => {
                format!("Access ended: {}.", words(why))
            }
            Self::AccessSuspended { why, .. } => {
                format!("Access is suspended: {}.", words(why))
            }
            Self::AccessResumed { .. } => "Access counts again.".to_owned(),
            Self::DiscrepancyFound { kind, .. } => {
                format!("Somebody has to look: {}.", words(kind))
            }
            Self::DiscrepancyClosed { .. } => "A discrepancy was closed.".to_owned(),
            Self::TransferFound { amount, .. } => {
                format!("The transfer that was approved is on the bank statement: {amount}.")
            }
            Self::StatementImported {
                rows,
                doubtful,
                done,
                of,
                ..
            } => {
                let doubtful = match doubtful {
                    0 => String::new(),
                    some => format!("; {some} of them may be earlier ones"),
                };
                let far = match done < of {
                    true => format!(" ({done} of {of} rows looked at)"),
                    false => String::new(),
                };
                format!("{rows} rows of a bank statement were imported{doubtful}{far}.")
            }
            Self::StatementRowApart { .. } => {
                "A row of a bank statement is another one than the earlier one like it.".to_owned()
            }
            Self::StatementRowsRepeated { rows } => {
                format!("{rows} rows of bank statements are earlier ones once more.")
            }
            Self::StatementRowClosed { .. } => {
                "A row of a bank statement was settled without an enrollment.".to_owned()
            }
            Self::DeliveryParked { .. } => "A callback names no payment that we know.".to_owned(),
            Self::DeliveryDead { cause, .. } => {
                format!("A callback was given up on: {}", cause.as_str())
            }
            Self::DeliveryOverdue { .. } => {
                "A callback has matched nothing for too long.".to_owned()
            }
            Self::DeliveryReplayed { .. } => "A callback was handled again.".to_owned(),
            Self::FirstApproval => "Approved by one person; a second one has to.".to_owned(),
            Self::ActionRefused { permission, .. } => {
                format!("Tried what needs the permission to {permission}.")
            }
            Self::AlertChanged { rule, stage, .. } => {
                format!("The alert {} {stage}.", words(rule))
            }
            Self::BodiesPurged { bodies, before } => format!(
                "The bodies of {bodies} callbacks from before {} were dropped.",
                before.format("%Y-%m-%d")
            ),
            Self::LiveProbed => "Live updates were tried.".to_owned(),
            Self::PersonalExported => "What is kept of the learner was given out.".to_owned(),
            Self::PersonalErased { events, .. } => {
                format!(
                    "Personal data was erased; {} events lost theirs.",
                    events.len()
                )
            }
            Self::PreferencesChosen => "Chose what to be told of.".to_owned(),
            Self::PublishingGivenUp { event } => format!(
                "A publisher panicked over the event {event} again and again, and is not told of it any more."
            ),
            Self::NoticeUndelivered { channel, .. } => {
                format!("A notice could not be delivered by {channel}.")
            }
            Self::DeliveryRepeated { .. } => {
                "A callback from long ago came again; it changed nothing.".to_owned()
            }
            Self::AccessProbed { .. } => {
                "A learner was refused again and again, from many addresses.".to_owned()
            }
            Self::FloodBegan { of } => {
                format!(
                    "A flood began: {}. The rest of it is only counted.",
                    words(of)
                )
            }
            Self::DeliveryRefused { error, .. } => format!("A callback was refused: {error}."),
        }
    }
}

fn standing_words(allocation: &Allocation) -> String {
    match allocation {
        Allocation::Applied => "it counts".to_owned(),
        Allocation::Kept => "it is kept beside other money".to_owned(),
        Allocation::OnHold(reason) => format!("it is held: {}", words(reason)),
        Allocation::RefundDue(reason) => format!("it has to go back: {}", words(reason)),
        Allocation::Refunded => "it went back".to_owned(),
    }
}

/// A word of the wire, as people write it.
fn words(word: &impl ToString) -> String {
    word.to_string().replace('_', " ")
}

/// A time in the largest unit that it is a whole number of.
fn duration_words(seconds: u64) -> String {
    let (number, unit) = match seconds {
        _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, "day"),
        _ if seconds.is_multiple_of(3600) => (seconds / 3600, "hour"),
        _ => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}
