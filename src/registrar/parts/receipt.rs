//! What a callback came to, and how long each of its stages took.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::store::InboxOutcome;
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{EnrollmentId, Status};
use crate::webhook::{DeliveryKey, SignedForm, VerifyError};

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "detail")]
#[non_exhaustive]
pub enum Outcome {
    /// The enrollment is approved.
    Approved,
    /// The money waits for a person.
    Held(HoldReason),
    /// A try to pay failed; the learner may retry.
    Failed,
    /// It was settled before, with this outcome.
    Duplicate(InboxOutcome),
    /// What it tells was known already.
    NoEffect,
    /// Its status word means nothing final.
    NotFinal,
    /// It names no payment that we know; it is kept and looked at again.
    Parked,
    /// It is kept until the provider confirms it.
    Waiting,
    /// It is signed but cannot be read; it is kept, and somebody has to look.
    Unreadable,
    /// It was given up on after too many tries; somebody has to look.
    Dead,
    /// It is not from the provider; nothing of it is kept.
    Refused(VerifyError),
    /// A probe of our own: it arrived, and changed nothing.
    Probe,
    /// Nothing could be stored: the sender has to try again.
    Unavailable,
}

impl Outcome {
    /// The word for programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Held(_) => "held",
            Self::Failed => "failed",
            Self::Duplicate(_) => "duplicate",
            Self::NoEffect => "no_effect",
            Self::NotFinal => "not_final",
            Self::Parked => "parked",
            Self::Waiting => "waiting",
            Self::Unreadable => "unreadable",
            Self::Dead => "dead",
            Self::Refused(_) => "refused",
            Self::Probe => "probe",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What the host answers and may log: it holds no secret and nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Receipt {
    /// What became of the delivery.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The delivery, once it was read.
    pub delivery: Option<DeliveryKey>,
    /// Label of the key that signed it.
    pub key: Option<Arc<str>>,
    /// The form that was signed.
    pub form: Option<SignedForm>,
    /// The enrollment that it is about.
    pub enrollment: Option<EnrollmentId>,
    /// Where that enrollment stands now.
    pub status: Option<Status>,
    /// Whether this delivery gave access.
    pub access_granted: bool,
    /// Where the time went.
    pub timings: Timings,
}

impl Receipt {
    pub(in crate::registrar) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            delivery: None,
            key: None,
            form: None,
            enrollment: None,
            status: None,
            access_granted: false,
            timings: Timings::default(),
        }
    }

    /// The HTTP status to answer with: 200 once something is durable, 401 or 413
    /// when it is refused, 503 when nothing could be stored.
    pub fn http_status(&self) -> u16 {
        match &self.outcome {
            Outcome::Refused(VerifyError::TooLarge { .. }) => 413,
            Outcome::Refused(_) => 401,
            Outcome::Unavailable => 503,
            _ => 200,
        }
    }
}

/// Cuts the time of one delivery into stages, with one look at the clock for each.
#[derive(Debug)]
pub(in crate::registrar) struct StageTimer {
    started: Instant,
    last: Instant,
    timings: Timings,
}

impl StageTimer {
    pub(in crate::registrar) fn start() -> Self {
        let started = Instant::now();
        Self {
            started,
            last: started,
            timings: Timings::default(),
        }
    }

    /// Adds the time since the last lap to a stage.
    pub(in crate::registrar) fn lap(&mut self, stage: impl FnOnce(&mut Timings) -> &mut Duration) {
        let now = Instant::now();
        *stage(&mut self.timings) += now.duration_since(self.last);
        self.last = now;
    }

    pub(in crate::registrar) fn finish(self) -> Timings {
        Timings {
            total: self.started.elapsed(),
            ..self.timings
        }
    }
}

/// Time spent in each stage of one delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// Checking the signature.
    pub security: Duration,
    /// Reading the notification, and telling the method.
    pub detection: Duration,
    /// Reading from the store.
    pub lookup: Duration,
    /// Asking the provider.
    pub confirmation: Duration,
    /// Checks, policy and state machine.
    pub routing: Duration,
    /// Writing to the store.
    pub update: Duration,
    /// Handing the committed events to the publisher's queue.
    pub notification: Duration,
    /// From arrival to answer.
    pub total: Duration,
}
