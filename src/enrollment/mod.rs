//! One learner wanting one course, and what may happen to that wish.
//!
//! [`Status`] says where it stands, [`Status::after`] is the law, [`Case`] applies
//! it to an enrollment with its attempts and grants, and a [`Delta`] is what
//! one step changes.
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
mod apply;
mod approve;
mod ask;
mod case;
mod choice;
mod command;
mod cover;
mod delta;
mod draft;
mod erase;
mod first_approval;
mod migrate;
mod money;
mod offers;
mod provisional;
mod refund;
mod repair;
mod returned;
mod rules;
mod state;
mod step;
mod table;
mod timer;
mod transfer;
mod transition;

pub use crate::vocabulary::{Closed, Status, StatusKind, Transition, Version};
pub use ask::{Ask, Asked, Intent};
pub use case::Case;
pub use command::{Command, CommandKind};
pub use cover::Covering;
pub use delta::{Delta, Erasure};
pub use first_approval::{Approvable, FirstApproval};
pub use migrate::{MigratedPayment, Migration};
pub use refund::Repayment;
pub use rules::{EnrollmentPolicy, ExceptionPolicy, SyncSchedule};
pub use state::Enrollment;
pub use step::{
    CaseError, Effect, NewEnrollment, StepContext, StepOutcome, TransitionGuard, TransitionRequest,
};
pub use table::render_table;
pub use timer::{DueTimer, Job, Timer, TimerKey, TimerKind};
pub use transfer::{Expected, SeenTransfer};
pub use transition::{Refusal, TransitionResult, UnchangedReason};
