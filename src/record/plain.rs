//! What happened, in plain words.

use super::Fact;
use crate::enrollment::Status;
use crate::payment::{AttemptStatus, Reversal, Standing};

impl Fact {
    /// What happened, in one sentence for a person. It names no learner; who did it stands
    /// beside it in the record.
    pub fn sentence(&self) -> String {
        match self {
            Self::EnrollmentCreated {
                price,
                declared,
                course,
                ..
            } => format!(
                "Enrolled in {course} for {price}, to be paid by {}.",
                words(declared)
            ),
            Self::EnrollmentMoved { to, .. } => match to {
                Status::AwaitingPayment => "Waits for the payment.".to_owned(),
                Status::AwaitingApproval { reason } => {
                    format!("Waits for a person: {}.", words(reason))
                }
                Status::Approved { cause } => format!("Approved: {}.", words(cause)),
                Status::Rejected { .. } => "Rejected.".to_owned(),
                Status::Expired => "Expired.".to_owned(),
                Status::Withdrawn => "Closed: the learner left, or the money went back.".to_owned(),
            },
            Self::EnrollmentRevised { price, declared } => {
                format!("Enrolled again: {price}, by {}.", words(declared))
            }
            Self::AttemptStarted { reference, amount } => {
                format!("A payment of {amount} was started, {reference}.")
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
                standing,
            } => {
                let sum = amount.map_or_else(|| "Money".to_owned(), |amount| amount.to_string());
                let method = words(method);
                let does = standing_words(standing);
                format!("{sum} arrived for {reference}, by {method}; {does}.")
            }
            Self::PaymentRestated {
                reference,
                standing,
            } => format!("The money for {reference}: {}.", standing_words(standing)),
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
            Self::AccessRebased { payment, .. } => {
                format!("The access rests on {payment} now.")
            }
            Self::AccessEnded { why, .. } | Self::GrantTaken { why, .. } => {
                format!("Access ended: {}.", words(why))
            }
            Self::AccessSuspended { why, .. } => {
                format!("Access is suspended: {}.", words(why))
            }
            Self::AccessResumed { .. } => "Access counts again.".to_owned(),
            Self::ConcernRaised { kind, .. } => {
                format!("Somebody has to look: {}.", words(kind))
            }
            Self::ConcernClosed { .. } => "A concern was closed.".to_owned(),
            Self::StatementImported { rows } => {
                format!("{rows} rows of a bank statement were imported.")
            }
            Self::StatementRowClosed { .. } => {
                "A row of a bank statement was settled without an enrolment.".to_owned()
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
            Self::PersonalErased { records } => {
                format!(
                    "Personal data was erased; {} records were changed by it.",
                    records.len()
                )
            }
            Self::PreferencesChosen => "Chose what to be told of.".to_owned(),
            Self::NoticeUndelivered { channel, .. } => {
                format!("A notice could not be delivered by {channel}.")
            }
            Self::DeliveryRepeated { .. } => {
                "A callback from long ago came again; it changed nothing.".to_owned()
            }
            Self::AccessProbed { course, .. } => {
                format!("A learner was refused at {course} again and again, from many addresses.")
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

fn standing_words(standing: &Standing) -> String {
    match standing {
        Standing::Counted => "it counts".to_owned(),
        Standing::Held(reason) => format!("it is held: {}", words(reason)),
        Standing::RefundDue(reason) => format!("it has to go back: {}", words(reason)),
        Standing::Returned => "it went back".to_owned(),
    }
}

/// A word of the wire, as people write it.
fn words(word: &impl ToString) -> String {
    word.to_string().replace('_', " ")
}
