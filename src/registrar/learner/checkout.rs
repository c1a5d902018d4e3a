//! From "I want this course" to a pay link or a bank reference. The enrollment is
//! durable before the learner is sent anywhere.
use tracing::Instrument;
use tracing::field::Empty;

use crate::access::Cover;
use crate::enrollment::{Ask, Asked, Case, Effect, StepOutcome};
use crate::event::{Actor, Source};
use crate::payment::PaymentMethod;
use crate::registrar::core::{ROUNDS, Registrar};
use crate::registrar::error::Error;
use crate::registrar::learner::request::{EnrollRequest, Enrolled, NextStep};
use crate::store::{CommitOutcome, Lookup};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{CourseId, LearnerId, PaymentReference, Status};

/// How far a request is in the store.
enum Placed {
    /// It is answered.
    Answered(Box<Enrolled>),
    /// There is an attempt to pay with.
    Attempt {
        case: Box<Case>,
        reference: PaymentReference,
        /// Whether this call started the attempt, so that nobody else asked for its link yet.
        fresh: bool,
    },
}

impl Registrar {
    /// Enrolls a learner, or finds their enrollment, and says how to pay. Idempotent per
    /// learner and course: double clicks, two tabs and retries give one enrollment. After a
    /// failure, a rejection or an expiry there is a new attempt on the same
    /// enrollment; old pay links still count, each for what it was made for.
    ///
    /// Whoever has all that is offered is told so ([`NextStep::Open`]), wherever they have it
    /// from; see [`EnrollRequest::renew`] and [`EnrollRequest::buy_again`]. More than they have
    /// (full access for who has limited access, a year for who has a month) is an ordinary
    /// request: until it is paid, what they have stands.
    ///
    /// ```
    /// # use coursegate::{*, payment::PaymentMethod, registrar::{EnrollRequest, NextStep}};
    /// # async fn example(registrar: &Registrar) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = EnrollRequest::new(
    ///     LearnerId::new("thandi")?,
    ///     Email::new("thandi@learners.example")?,
    ///     CourseId::new("rust-101")?,
    ///     Title::new("Rust from the start")?,
    ///     Money::zar(49_900)?, // cents, from the school's own catalogue
    ///     PaymentMethod::Card,
    /// );
    /// match registrar.enroll(request).await?.next {
    ///     NextStep::Pay { url, .. } => println!("send them to {url}"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownCourse`], [`Error::NothingOffered`], [`Error::NoBank`], [`Error::NoGateway`] or
    /// [`Error::CurrencyNotTaken`] when this cannot be sold this way; [`Error::NoPayLink`] when the provider fails: the
    /// enrollment is kept and the call can be repeated; the store's errors.
    pub async fn enroll(&self, request: EnrollRequest) -> Result<Enrolled, Error> {
        let span = tracing::info_span!(
            "coursegate.enroll",
            course = ?request.course,
            method = request.method.as_str(),
            enrollment = Empty
        );
        let enrolled = self.enroll_now(&request).instrument(span.clone()).await;
        if let Ok(Enrolled {
            enrollment: Some(enrollment),
            ..
        }) = &enrolled
        {
            span.record("enrollment", tracing::field::display(enrollment));
        }
        enrolled
    }

    async fn enroll_now(&self, request: &EnrollRequest) -> Result<Enrolled, Error> {
        if !self.inner.courses.offers(&request.course) {
            return Err(Error::UnknownCourse(request.course.clone()));
        }
        if request.terms.is_nothing() {
            return Err(Error::NothingOffered);
        }
        match request.method {
            PaymentMethod::BankTransfer if self.inner.config.bank.is_none() => {
                return Err(Error::NoBank);
            }
            PaymentMethod::Card | PaymentMethod::InstantEft | PaymentMethod::Unknown
                if self.inner.provider.is_none() =>
            {
                return Err(Error::NoGateway);
            }
            _ => {}
        }
        if let (Some(provider), true) = (
            &self.inner.provider,
            request.method != PaymentMethod::BankTransfer,
        ) {
            let taken = provider.gateway().capabilities().currencies;
            let currency = request.price.currency();
            if taken.is_some_and(|taken| !taken.contains(&currency)) {
                return Err(Error::CurrencyNotTaken(currency));
            }
        }
        for _ in 0..ROUNDS {
            let (case, reference, fresh) = match self.within(self.place(request)).await? {
                Placed::Answered(enrolled) => return Ok(*enrolled),
                Placed::Attempt {
                    case,
                    reference,
                    fresh,
                } => (case, reference, fresh),
            };
            if let Some(next) = self.next_step(&case, &reference) {
                return Ok(enrolled(&case, next));
            }
            let Some(attempt) = case.attempt(Some(reference.as_str()), None).cloned() else {
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

    /// Finds or makes the enrollment and an attempt to pay with, if one is needed.
    async fn place(&self, request: &EnrollRequest) -> Result<Placed, Error> {
        let who = Actor::Learner;
        let store = &self.inner.store;
        let (offer, opening) = (request.offer(), request.opening());
        let ask = Ask {
            offer: &offer,
            declared: request.method,
            intent: request.intent,
        };
        for _ in 0..ROUNDS {
            let now = self.now();
            let step = self.step(&who, Source::LearnerRequest, &None, now);
            let find = Lookup::Learner(&request.learner, &request.course);
            let Some(case) = store.load(find).await?.case else {
                let grants = store.grants(&request.learner, &request.course).await?;
                let purpose = match ask.of_grants(&grants, now) {
                    Asked::Start(purpose) => purpose,
                    Asked::Open(Cover { until }) => return Ok(has(NextStep::Open { until })),
                    Asked::Begins(from) => return Ok(has(NextStep::Begins { from })),
                    _ => return Err(Error::NotFound("enrollment")),
                };
                let reference = PaymentReference::random();
                let start = (grants, purpose);
                let opened = Case::open(opening.clone(), start, reference.clone(), &step)?;
                match self.placed(opened, reference, true).await? {
                    Some(placed) => return Ok(placed),
                    None => continue,
                }
            };
            let next = match ask.of_case(&case, &self.inner.config.rules, now) {
                Asked::Start(purpose) => {
                    let reference = PaymentReference::random();
                    let retried = case.retry(opening.clone(), purpose, reference.clone(), &step)?;
                    match self.placed(retried, reference, true).await? {
                        Some(placed) => return Ok(placed),
                        None => continue,
                    }
                }
                Asked::GoOn(reference) => {
                    match self
                        .placed(
                            case.go_on(&reference, opening.clone(), &step)?,
                            reference,
                            false,
                        )
                        .await?
                    {
                        Some(placed) => return Ok(placed),
                        None => continue,
                    }
                }
                Asked::Open(Cover { until }) => NextStep::Open { until },
                Asked::Begins(from) => NextStep::Begins { from },
                Asked::Confirming => NextStep::Confirming,
                Asked::Waits(reason) => NextStep::Wait(reason),
                Asked::Ended => NextStep::Ended,
            };
            // The newest address and title are kept, whatever the answer.
            let renamed = match &next {
                NextStep::Wait(_) => case.come_back(&opening, &step)?,
                _ => case.rename(&opening, &step)?,
            };
            let answer = enrolled(&renamed.case, next);
            if renamed.delta.is_empty() || self.commit(renamed.delta).await? == CommitOutcome::Done
            {
                return Ok(Placed::Answered(Box::new(answer)));
            }
        }
        Err(Error::Contended)
    }

    /// Commits a step that leads to an attempt; `None` when the race was lost.
    async fn placed(
        &self,
        applied: StepOutcome,
        reference: PaymentReference,
        fresh: bool,
    ) -> Result<Option<Placed>, Error> {
        let StepOutcome {
            delta,
            case,
            effect,
            ..
        } = applied;
        if effect != Effect::Nothing && self.commit(delta).await? != CommitOutcome::Done {
            return Ok(None);
        }
        Ok(Some(Placed::Attempt {
            case: Box::new(case),
            reference,
            fresh,
        }))
    }

    /// What a learner does about an attempt; `None` when a pay link has to be made first.
    pub(in crate::registrar) fn next_step(
        &self,
        case: &Case,
        reference: &PaymentReference,
    ) -> Option<NextStep> {
        let attempt = case.attempt(Some(reference.as_str()), None)?;
        if attempt.holds_money() {
            return Some(match attempt.held_back() {
                Some(reason) => NextStep::Wait(reason),
                None => NextStep::Open {
                    until: case.open_until(attempt, self.now()),
                },
            });
        }
        if case.confirming.is_some() {
            return Some(NextStep::Confirming);
        }
        if let Status::AwaitingApproval { reason } = &case.enrollment.status
            && *reason != HoldReason::BankTransfer
        {
            return Some(NextStep::Wait(*reason));
        }
        if attempt.declared == PaymentMethod::BankTransfer {
            return self
                .inner
                .config
                .bank
                .as_ref()
                .map(|bank| NextStep::Transfer {
                    reference: attempt.reference.clone(),
                    amount: attempt.amount,
                    bank: bank.clone(),
                });
        }
        let url = attempt.link.as_ref()?.url.as_ref()?;
        Some(NextStep::Pay {
            reference: attempt.reference.clone(),
            url: url.to_string(),
        })
    }
}

/// The answer to who has the access, and no enrollment.
fn has(next: NextStep) -> Placed {
    Placed::Answered(Box::new(Enrolled {
        enrollment: None,
        status: None,
        next,
    }))
}

pub(in crate::registrar) fn enrolled(case: &Case, next: NextStep) -> Enrolled {
    Enrolled {
        enrollment: Some(case.enrollment.id),
        status: Some(case.enrollment.status.clone()),
        next,
    }
}
