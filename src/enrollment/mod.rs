//! One learner wanting one course, and what may happen to that wish.
//!
//! [`Status`] says where it stands, [`Status::after`] is the law, [`Case`] applies
//! it to an enrollment with its attempts and grants, and a [`Change`] is everything
//! one decision writes.
//!
//! The outcome is a function of the set of facts seen, with a precedence: a confirmed
//! payment outranks a person's approval as its cause, the gravest hold reason is the
//! one shown, a failure never lowers money that arrived. So neither the order of
//! deliveries nor their repetition can matter.
//!
//! # Transition table
//! Rendered from the code; a test keeps it so. **Bold** cells move, *italic* ones are
//! accepted and change nothing, the others are refused.
//!
#![doc = include_str!("table.md")]

mod apart;
mod approve;
mod ask;
mod case;
mod change;
mod cover;
mod draft;
mod erase;
mod lending;
mod migrate;
mod money;
mod offers;
mod refund;
mod repair;
mod returned;
mod rules;
mod ruling;
mod status;
mod step;
mod table;
mod timer;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::Terms;
use crate::ids::{CourseId, Email, EnrollmentId, LearnerId, Title};
use crate::money::Money;
use crate::payment::{Attempt, Method, Offer};
use crate::reason::HoldReason;

pub use approve::{Approvable, FirstApproval};
pub use ask::{Ask, Asked, Intent};
pub use case::Case;
pub use change::{Change, Erasure, InboxEntry, InboxOutcome, InboxState};
pub use cover::Covering;
pub use migrate::{MigratedPayment, Migration};
pub use refund::Repayment;
pub use rules::{HouseRules, MoneyRules, Schedule};
pub use ruling::{Command, CommandKind, Refusal, Ruling, Stay, Transition};
pub use status::{Status, StatusKind};
pub use step::{Applied, CaseError, Effect, Opening, Proposal, Step, TransitionGuard};
pub use table::render_table;
pub use timer::{DueTimer, Job, Timer, TimerKey, TimerKind};

/// Counts the changes of one enrollment, from 1. Every commit names the version it
/// was decided on, so that of two racing decisions one is made again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

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
    pub declared: Method,
    /// The access that is asked for today.
    pub terms: Terms,
    /// Where it stands.
    pub status: Status,
    /// What waits for a person about it: the reason it is held for, or what came beside access
    /// that it gives already. `None` when nobody has to decide.
    pub waits_for: Option<HoldReason>,
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

    /// The one of its attempts whose money waits for a person, or that waits for its money.
    pub fn waiting<'a>(&self, attempts: &'a [Attempt]) -> Option<&'a Attempt> {
        let reason = self.waits_for?;
        let held = |attempt: &&Attempt| attempt.held_back() == Some(reason);
        let open =
            |attempt: &&Attempt| reason == HoldReason::BankTransfer && attempt.is_open_transfer();
        let transfer = || attempts.iter().rev().find(open);
        attempts.iter().find(held).or_else(transfer)
    }

    /// What is offered for it today, where an attempt was for something else.
    pub fn other_offer(&self, attempt: &Attempt) -> Option<Offer> {
        let other = (attempt.amount, &attempt.terms) != (self.price, &self.terms);
        other.then(|| self.offer())
    }
}
