//! From "I want this course" to a pay link or a bank reference. The enrollment is
//! durable before the learner is sent anywhere.
use tracing::Instrument;
use tracing::field::Empty;

use super::payment::ROUNDS;
use super::{Error, Registrar};
use crate::access::Terms;
use crate::config::BankDetails;
use crate::enrollment::{Applied, Case, Opening, Status};
use crate::ids::{CourseId, Email, EnrollmentId, LearnerId, Reference, Title};
use crate::money::Money;
use crate::payment::{Attempt, AttemptStatus, Method};
use crate::port::{Committed, Lookup};
use crate::reason::HoldReason;
use crate::record::{Actor, Source};

/// A learner's wish. Take the learner from the host's own session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EnrolRequest {
    /// Who wants the course.
    pub learner: LearnerId,
    /// Where to write to.
    pub email: Email,
    /// Which course.
    pub course: CourseId,
    /// Its title, as the payer sees it.
    pub title: Title,
    /// Its price. Take it from the host's own catalogue, never from the request.
    pub price: Money,
    /// What the learner says they will pay with.
    pub method: Method,
    /// What an approval gives (default: full access for ever).
    pub terms: Terms,
}

impl EnrolRequest {
    /// A wish for full access.
    pub fn new(
        learner: LearnerId,
        email: Email,
        course: CourseId,
        title: Title,
        price: Money,
        method: Method,
    ) -> Self {
        Self {
            learner,
            email,
            course,
            title,
            price,
            method,
            terms: Terms::default(),
        }
    }

    /// Sets what an approval gives.
    #[must_use]
    pub fn terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }

    fn opening(&self) -> Opening {
        Opening {
            learner: self.learner.clone(),
            email: self.email.clone(),
            course: self.course.clone(),
            title: self.title.clone(),
            price: self.price,
            declared: self.method,
            terms: self.terms.clone(),
        }
    }
}

/// What came of the wish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolled {
    /// The enrollment: the same for a double click, a second tab and a retry.
    pub enrollment: EnrollmentId,
    /// Where it stands.
    pub status: Status,
    /// What the learner does next.
    pub next: NextStep,
}

/// What the learner does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextStep {
    /// Go to this page and pay.
    Pay {
        /// Our reference for this attempt.
        reference: Reference,
        /// The page.
        url: String,
    },
    /// Transfer the money, with this reference.
    Transfer {
        /// What to write on the transfer.
        reference: Reference,
        /// How much.
        amount: Money,
        /// Where to.
        bank: BankDetails,
    },
    /// Wait until the provider has confirmed a payment that came.
    Confirming,
    /// Wait for a person.
    Wait(HoldReason),
    /// Open the course.
    Open,
}

/// How far a wish is in the store.
struct Placed {
    case: Case,
    /// Whether this call started the attempt, so that nobody else asked for its link yet.
    fresh: bool,
}

impl Registrar {
    /// Enrols a learner, or finds their enrollment, and says how to pay. Idempotent per
    /// learner and course: double clicks, two tabs and retries give one enrollment. After a
    /// failure, a rejection or an expiry there is a new attempt on the same
    /// enrollment; old pay links still count.
    ///
    /// # Errors
    /// [`Error::UnknownCourse`], [`Error::NoBank`] or [`Error::NoGateway`] when this
    /// cannot be sold this way; [`Error::NoPayLink`] when the provider fails: the
    /// enrollment is kept and the call can be repeated; the store's errors.
    pub async fn enrol(&self, request: EnrolRequest) -> Result<Enrolled, Error> {
        let span = tracing::info_span!(
            "coursegate.enrol",
            course = ?request.course,
            method = request.method.as_str(),
            enrollment = Empty
        );
        let enrolled = self.enrol_now(&request).instrument(span.clone()).await;
        if let Ok(enrolled) = &enrolled {
            span.record("enrollment", tracing::field::display(enrolled.enrollment));
        }
        enrolled
    }

    async fn enrol_now(&self, request: &EnrolRequest) -> Result<Enrolled, Error> {
        if !self.inner.courses.offers(&request.course) {
            return Err(Error::UnknownCourse(request.course.clone()));
        }
        match request.method {
            Method::BankTransfer if self.inner.config.bank.is_none() => return Err(Error::NoBank),
            Method::Card | Method::InstantEft | Method::Unknown
                if self.inner.provider.is_none() =>
            {
                return Err(Error::NoGateway);
            }
            _ => {}
        }
        for _ in 0..ROUNDS {
            let Placed { case, fresh } = self.within(self.place(request)).await?;
            if let Some(next) = self.next_step(&case) {
                return Ok(enrolled(&case, next));
            }
            let Some(attempt) = case.latest_attempt().cloned() else {
                return Err(Error::NotFound("attempt"));
            };
            if !fresh && self.is_being_linked(&attempt) {
                // The other half of a double click: its link is the one to use.
                if let Some(next) = self.await_link(&case, &attempt).await? {
                    return Ok(next);
                }
            }
            if !fresh && self.look_before_asking_again(&case, &attempt).await? {
                continue;
            }
            return self.fetch_link(&case, &attempt).await;
        }
        Err(Error::Contended)
    }

    /// The learner leaves the course, or gives the wish up; access by this enrollment ends.
    ///
    /// # Errors
    /// [`Error::NotFound`] without an enrollment, [`Error::Refused`] by the guard, or
    /// the store's errors.
    pub async fn withdraw(&self, learner: &LearnerId, course: &CourseId) -> Result<Status, Error> {
        let who = Actor::Learner;
        let find = Lookup::Learner(learner, course);
        let applied = self
            .within(self.update(find, |case| {
                case.withdraw(&self.step(&who, Source::LearnerRequest, &None, self.now()))
            }))
            .await?;
        Ok(applied.case.enrollment.status)
    }

    /// Finds or makes the enrollment and an attempt to pay with.
    async fn place(&self, request: &EnrolRequest) -> Result<Placed, Error> {
        let who = Actor::Learner;
        for _ in 0..ROUNDS {
            let step = self.step(&who, Source::LearnerRequest, &None, self.now());
            let found = self
                .inner
                .store
                .load(Lookup::Learner(&request.learner, &request.course))
                .await?;
            let Applied { change, case, .. } = match found.case {
                None => Case::open(request.opening(), Reference::random(), &step)?,
                Some(case) if can_go_on(&case, request, step.now) => {
                    return Ok(Placed { case, fresh: false });
                }
                Some(case) => case.retry(request.opening(), Reference::random(), &step)?,
            };
            if self.commit(change).await? == Committed::Done {
                return Ok(Placed { case, fresh: true });
            }
        }
        Err(Error::Contended)
    }

    /// `None` when a pay link has to be made first.
    pub(super) fn next_step(&self, case: &Case) -> Option<NextStep> {
        let latest = case.latest_attempt();
        let payable = || {
            let attempt = latest?;
            let url = attempt.link.as_ref()?.url.as_ref()?;
            Some(NextStep::Pay {
                reference: attempt.reference.clone(),
                url: url.to_string(),
            })
        };
        match &case.enrollment.status {
            Status::Approved { .. } => Some(NextStep::Open),
            _ if case.confirming => Some(NextStep::Confirming),
            Status::AwaitingApproval {
                reason: HoldReason::BankTransfer,
            } => match (latest, &self.inner.config.bank) {
                (Some(attempt), Some(bank)) if attempt.declared == Method::BankTransfer => {
                    Some(NextStep::Transfer {
                        reference: attempt.reference.clone(),
                        amount: attempt.amount,
                        bank: bank.clone(),
                    })
                }
                _ => payable(),
            },
            Status::AwaitingApproval { reason } => Some(NextStep::Wait(*reason)),
            _ => payable(),
        }
    }
}

/// Whether the learner can go on with what is there.
fn can_go_on(case: &Case, request: &EnrolRequest, now: chrono::DateTime<chrono::Utc>) -> bool {
    let usable = |attempt: &Attempt| {
        matches!(
            attempt.status,
            AttemptStatus::Started | AttemptStatus::LinkReady
        ) && (attempt.amount, attempt.declared) == (request.price, request.method)
    };
    let latest_usable = case.latest_attempt().is_some_and(usable);
    match &case.enrollment.status {
        Status::Approved { .. } => !case.has_lapsed(now),
        // A payment that is being confirmed, or money that waits: do not ask to pay again.
        Status::AwaitingPayment => case.confirming || latest_usable,
        Status::AwaitingApproval {
            reason: HoldReason::BankTransfer,
        } => case.confirming || latest_usable,
        Status::AwaitingApproval { .. } => true,
        Status::Rejected { .. } | Status::Expired | Status::Withdrawn => false,
    }
}

pub(super) fn enrolled(case: &Case, next: NextStep) -> Enrolled {
    Enrolled {
        enrollment: case.enrollment.id,
        status: case.enrollment.status.clone(),
        next,
    }
}
