//! What the checks share: a time, an opening, a step.

use std::sync::LazyLock;

use chrono::{DateTime, TimeZone, Utc};

use crate::access::{AccessTerms, Grant};
use crate::enrollment::{
    Case, CaseError, EnrollmentPolicy, NewEnrollment, StepContext, StepOutcome, TransitionRequest,
};
use crate::event::{Actor, Source};
use crate::evidence::SignedBy;
use crate::payment::{Offer, PaymentMethod, Purpose};
use crate::store::{InboxEntry, InboxOutcome, InboxState};
use crate::vocabulary::{CourseId, Email, LearnerId, Money, Note, PaymentReference, Title};
use crate::webhook::{DeliveryKey, SignedForm, StoredBody};

pub(super) type Checked = Result<(), Box<dyn std::error::Error + Send + Sync>>;

macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+).into());
        }
    };
}
pub(super) use ensure;

pub(super) fn start() -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600, 0)
        .single()
        .unwrap_or_default()
}

/// What holds for every enrollment of the suite.
pub(super) static RULES: LazyLock<EnrollmentPolicy> = LazyLock::new(EnrollmentPolicy::default);

pub(super) fn permit(_: &TransitionRequest<'_>) -> Result<(), Note> {
    Ok(())
}

pub(super) fn with_step<T>(
    apply: impl FnOnce(&StepContext<'_>) -> Result<T, CaseError>,
) -> Result<T, CaseError> {
    apply(&StepContext {
        now: start(),
        who: &Actor::System,
        source: Source::SystemAutomatic,
        note: &None,
        guard: &permit,
        rules: &RULES,
        rehearsal: false,
    })
}

pub(super) fn opening(
    learner: &str,
    course: &str,
    method: PaymentMethod,
) -> Result<NewEnrollment, Box<dyn std::error::Error + Send + Sync>> {
    Ok(NewEnrollment {
        learner: LearnerId::new(learner)?,
        email: Email::new("learner@school.example")?,
        course: CourseId::new(course)?,
        offer: Offer {
            price: Money::zar(10_000)?,
            title: Title::new("Course")?,
            terms: AccessTerms::default(),
        },
        declared: method,
    })
}

pub(super) fn open(
    learner: &str,
    reference: &str,
    method: PaymentMethod,
) -> Result<StepOutcome, Box<dyn std::error::Error + Send + Sync>> {
    let opening = opening(learner, "course", method)?;
    let reference = PaymentReference::new(reference)?;
    Ok(with_step(|step| {
        Case::open(opening, first(), reference, step)
    })?)
}

/// For a learner who has no access yet.
pub(super) fn first() -> (Vec<Grant>, Purpose) {
    (Vec::new(), Purpose::First)
}

pub(super) fn delivery(key: &str, state: InboxState) -> InboxEntry {
    let signed_by = SignedBy {
        key: "primary".into(),
        form: SignedForm::Raw,
    };
    let body = StoredBody::Plain(b"{}".to_vec());
    InboxEntry {
        state,
        ..InboxEntry::new(DeliveryKey::from(key), start(), "/hook", body, signed_by)
    }
}

pub(super) const SETTLED: InboxState = InboxState::Settled {
    outcome: InboxOutcome::Approved,
};
