//! From "I want this course" to a pay link or a bank reference. The enrollment is
//! durable before the learner is sent anywhere.

use super::payment::ROUNDS;
use super::{Error, Registrar, deadline};
use crate::access::Terms;
use crate::config::BankDetails;
use crate::enrollment::{Applied, Case, Opening, Status};
use crate::ids::{CourseId, Email, EnrollmentId, LearnerId, Reference, Title};
use crate::money::Money;
use crate::payment::{Attempt, AttemptStatus, Method, PayLink, ProviderStatus};
use crate::port::{Committed, GatewayError, LinkRequest, Lookup, StatusQuery};
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
        if !self.inner.courses.offers(&request.course) {
            return Err(Error::UnknownCourse(request.course));
        }
        match request.method {
            Method::BankTransfer if self.inner.config.bank.is_none() => return Err(Error::NoBank),
            Method::Card | Method::InstantEft | Method::Unknown if self.inner.gateway.is_none() => {
                return Err(Error::NoGateway);
            }
            _ => {}
        }
        for _ in 0..ROUNDS {
            let Placed { case, fresh } = self.within(self.place(&request)).await?;
            if let Some(next) = self.next_step(&case) {
                return Ok(enrolled(&case, next));
            }
            let Some(attempt) = case.latest_attempt().cloned() else {
                return Err(Error::NotFound("attempt"));
            };
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
        let who = Actor::Learner(learner.clone());
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
        let who = Actor::Learner(request.learner.clone());
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
    fn next_step(&self, case: &Case) -> Option<NextStep> {
        let latest = case.latest_attempt();
        let payable = || {
            let attempt = latest?;
            let link = attempt.link.as_ref()?;
            Some(NextStep::Pay {
                reference: attempt.reference.clone(),
                url: link.url.to_string(),
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

    /// An earlier call may have made a link and lost the answer. `true` when things
    /// moved on and have to be looked at again.
    async fn look_before_asking_again(
        &self,
        case: &Case,
        attempt: &Attempt,
    ) -> Result<bool, Error> {
        let gateway = self.inner.gateway.as_ref().ok_or(Error::NoGateway)?;
        let asked = gateway.status(StatusQuery::Reference(&attempt.reference));
        let answer = deadline::within(
            self.inner.clock.as_ref(),
            self.inner.config.provider_wait,
            asked,
        )
        .await
        .unwrap_or(Err(GatewayError::TimedOut))
        .map_err(|source| Error::NoPayLink {
            enrollment: case.enrollment.id,
            source,
        })?;
        match answer {
            None => Ok(false),
            Some(answer) if answer.status == ProviderStatus::Paid => {
                self.confirm(&attempt.reference).await?;
                Ok(true)
            }
            // It made a link whose address nobody kept: that attempt stays payable, a new
            // one is needed.
            Some(_) => {
                self.within(self.drop_attempt(attempt)).await?;
                Ok(true)
            }
        }
    }

    async fn fetch_link(&self, case: &Case, attempt: &Attempt) -> Result<Enrolled, Error> {
        let gateway = self.inner.gateway.as_ref().ok_or(Error::NoGateway)?;
        let site = &self.inner.config.site;
        let reference = &attempt.reference;
        let request = LinkRequest {
            reference: reference.clone(),
            amount: attempt.amount,
            description: case.enrollment.title.clone(),
            callback_url: site.callback_url.clone(),
            success_url: site.filled(&site.success_url, reference),
            failure_url: site.filled(&site.failure_url, reference),
            cancel_url: site
                .cancel_url
                .as_ref()
                .map(|url| site.filled(url, reference)),
            requester_url: site.requester_url.clone(),
        };
        let wait = self.inner.config.link_wait;
        let made = deadline::within(
            self.inner.clock.as_ref(),
            wait,
            gateway.create_link(&request),
        )
        .await
        .unwrap_or(Err(GatewayError::TimedOut));
        match made {
            Ok(link) => self.within(self.keep_link(attempt, link)).await,
            Err(source) => {
                tracing::warn!(error = %source, enrollment = %case.enrollment.id, "no pay link");
                if !matches!(source, GatewayError::TimedOut | GatewayError::Unreadable) {
                    self.within(self.drop_attempt(attempt)).await?;
                }
                Err(Error::NoPayLink {
                    enrollment: case.enrollment.id,
                    source,
                })
            }
        }
    }

    /// Keeps a link; when another call was faster, its link is the one to use.
    async fn keep_link(&self, attempt: &Attempt, link: PayLink) -> Result<Enrolled, Error> {
        for _ in 0..ROUNDS {
            let found = self
                .inner
                .store
                .load(Lookup::Reference(&attempt.reference))
                .await?;
            let case = found.case.ok_or(Error::NotFound("attempt"))?;
            let linked = case
                .attempt(Some(attempt.reference.as_str()), None)
                .is_some_and(|known| known.link.is_some());
            let case = if linked {
                case
            } else {
                let step = self.step(&Actor::System, Source::SystemAutomatic, &None, self.now());
                let Applied { change, case, .. } =
                    case.link(&attempt.reference, link.clone(), &step)?;
                if self.commit(change).await? != Committed::Done {
                    continue;
                }
                case
            };
            let next = self.next_step(&case).unwrap_or(NextStep::Confirming);
            return Ok(enrolled(&case, next));
        }
        Err(Error::Contended)
    }

    /// Stops waiting for an attempt that has no usable link; it stays payable.
    async fn drop_attempt(&self, attempt: &Attempt) -> Result<(), Error> {
        let find = Lookup::Reference(&attempt.reference);
        self.update(find, |case| {
            let step = self.step(&Actor::System, Source::SystemAutomatic, &None, self.now());
            case.abandon(&attempt.reference, &step)
        })
        .await
        .map(drop)
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

fn enrolled(case: &Case, next: NextStep) -> Enrolled {
    Enrolled {
        enrollment: case.enrollment.id,
        status: case.enrollment.status.clone(),
        next,
    }
}
