//! From what is known about a payment to a change: shared by callbacks, by the worker
//! and by the return page.

use crate::registrar::core::ROUNDS;
use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::approval::ApprovalContext;
use crate::detect::DetectionInput;
use crate::enrollment::{Case, CaseError, StepContext, StepOutcome};
use crate::evidence::{CheckReport, Confirmation, Evidence};
use crate::monitor::Signal;
use crate::payment::{PaymentAttempt, PaymentMethod, ProviderStatus};
use crate::port::GatewayError;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::caught::called;
use crate::registrar::parts::meter;
use crate::registrar::parts::panics::HostPart;
use crate::registrar::parts::provider::Caller;
use crate::registrar::parts::receipt::StageTimer;
use crate::store::{Change, CommitOutcome, Lookup, Settlement, StoreError};
use crate::vocabulary::{EnrollmentId, PaymentReference, Status};

use crate::event::{Actor, DecisionRecord, EventKind, Source};
use crate::webhook::{ProviderEvent, Verified};

/// What asking the provider came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaymentUpdate {
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// Where it stands now.
    pub status: Status,
    /// Whether the provider says the attempt is paid.
    pub paid: bool,
    /// Whether this gave access.
    pub access_granted: bool,
    /// When a worker asks again by itself.
    pub next_look: Option<DateTime<Utc>>,
}

/// What is known about one payment.
pub(in crate::registrar) struct Known<'a> {
    pub(in crate::registrar) reference: &'a PaymentReference,
    pub(in crate::registrar) status: &'a ProviderStatus,
    pub(in crate::registrar) callback: Option<(&'a Verified<'a>, &'a ProviderEvent<'a>)>,
    pub(in crate::registrar) confirmation: Option<Confirmation>,
    /// When it was heard of first.
    pub(in crate::registrar) heard: DateTime<Utc>,
}

impl Registrar {
    /// Asks the provider about an attempt, on the learner's return or at any time: the
    /// learner gets access even if the callback never comes. Visiting the success page
    /// proves nothing by itself.
    ///
    /// ```
    /// # use coursegate::{*};
    /// # async fn example(registrar: &Registrar, reference: PaymentReference) -> Result<(), Error> {
    /// // On the page that the learner returns to.
    /// let update = registrar.refresh_payment(&reference).await?;
    /// println!("{update:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown reference, [`Error::NoGateway`],
    /// [`Error::Gateway`] when the provider cannot be asked, or the store's errors.
    pub async fn refresh_payment(
        &self,
        reference: &PaymentReference,
    ) -> Result<PaymentUpdate, Error> {
        let span = tracing::info_span!("coursegate.refresh", ?reference);
        self.within(self.confirm_now(reference, Caller::Visitor))
            .instrument(span)
            .await
    }

    pub(in crate::registrar) async fn confirm_now(
        &self,
        reference: &PaymentReference,
        caller: Caller,
    ) -> Result<PaymentUpdate, Error> {
        let mut answer = None;
        for _ in 0..ROUNDS {
            let loaded = self.inner.store.load(Lookup::Reference(reference)).await?;
            let case = loaded.case.ok_or(Error::NotFound("payment"))?;
            let attempt = case
                .attempt(Some(reference.as_str()), None)
                .ok_or(Error::NotFound("payment"))?;
            let rules = &self.inner.config.rules;
            let next_look = rules.look_at(attempt, self.now());
            let confirmed = |case: &Case, paid, access_granted| PaymentUpdate {
                enrollment: case.enrollment.id,
                status: case.enrollment.status.clone(),
                paid,
                access_granted,
                next_look: if paid { None } else { next_look },
            };
            if is_decided(attempt) || attempt.declared == PaymentMethod::BankTransfer {
                let paid = attempt.holds_money();
                return Ok(confirmed(&case, paid, false));
            }
            if answer.is_none() {
                answer = self.ask(attempt, caller).await?;
            }
            let Some(paid) = answer
                .clone()
                .filter(|answer| answer.status == ProviderStatus::Paid)
            else {
                return Ok(confirmed(&case, false, false));
            };
            let known = Known {
                reference,
                status: &ProviderStatus::Paid,
                callback: None,
                confirmation: Some(paid),
                heard: self.now(),
            };
            let applied = self.decide(case, &known, self.now(), &mut StageTimer::start())?;
            if applied.delta.is_empty() {
                return Ok(confirmed(&applied.case, true, false));
            }
            if self.commit(applied.delta).await? == CommitOutcome::Done {
                return Ok(confirmed(&applied.case, true, applied.access_granted));
            }
        }
        Err(Error::Contended)
    }

    /// Asks the provider where an attempt stands, for a bounded time.
    pub(in crate::registrar) async fn ask(
        &self,
        attempt: &PaymentAttempt,
        caller: Caller,
    ) -> Result<Option<Confirmation>, Error> {
        let provider = self.inner.provider.as_ref().ok_or(Error::NoGateway)?;
        let wait = self.inner.config.provider_wait;
        match provider.look(attempt, wait, caller).await {
            // What it says to a reference that it does not know is not published: none of these
            // says that there is money.
            Err(
                error @ (GatewayError::Refused { .. }
                | GatewayError::Unreadable
                | GatewayError::Failed { .. }),
            ) if attempt.link.is_none() => {
                tracing::debug!(%error, "the provider does not know a reference, it seems");
                Ok(None)
            }
            Err(error) => {
                self.note_credentials(&error);
                Err(error.into())
            }
            Ok(answer) => Ok(answer),
        }
    }

    /// Credentials that the provider refuses are a wrong setting: health and an alert say so,
    /// whoever met with it first.
    pub(in crate::registrar) fn note_credentials(&self, error: &GatewayError) {
        if *error == GatewayError::BadCredentials {
            let now = self.now();
            self.inner.tower.count(Signal::ConfigurationWrong, now);
            self.inner.pulse.misconfigured(now);
        }
    }

    /// Evidence, detection, checks, policy, state machine.
    pub(in crate::registrar) fn decide(
        &self,
        case: Case,
        known: &Known<'_>,
        now: DateTime<Utc>,
        watch: &mut StageTimer,
    ) -> Result<StepOutcome, Error> {
        let decide = || self.decide_now(case, known, now, watch);
        Ok(called(self.watched(), HostPart::Decision, decide)??)
    }

    /// Pure from here on, as far as the host's own parts are.
    fn decide_now(
        &self,
        case: Case,
        known: &Known<'_>,
        now: DateTime<Utc>,
        watch: &mut StageTimer,
    ) -> Result<StepOutcome, CaseError> {
        let inner = &self.inner;
        let now = case.time(now);
        let attempt = case
            .attempt(Some(known.reference.as_str()), None)
            .ok_or(CaseError::UnknownAttempt)?;
        let evidence = Evidence::gather(attempt, known.callback, known.confirmation.clone());
        let notification = known.callback.map(|(_, notification)| notification);
        let detection = inner.detector.detect(&DetectionInput {
            attempt,
            evidence: &evidence,
            notification,
        });
        watch.lap(|timings| &mut timings.detection);

        let offered = inner.courses.offers(&case.enrollment.course);
        let rules = &inner.config.rules;
        let checks = CheckReport::of(
            &case,
            attempt,
            &evidence,
            (offered, rules),
            (known.heard.min(now), now),
        );
        let decision = inner.policy.decide(&ApprovalContext {
            enrollment: &case.enrollment,
            attempt,
            status: known.status,
            evidence: &evidence,
            detection: &detection,
            checks: &checks,
            minimum: inner.minimum,
            money: &inner.config.rules.money,
            now,
        });
        let (who, webhook) = match detection.method {
            PaymentMethod::Card => (Actor::SystemCardPayment, Source::WebhookCardPayment),
            PaymentMethod::InstantEft | PaymentMethod::BankTransfer => {
                (Actor::SystemEftPayment, Source::WebhookEftPayment)
            }
            PaymentMethod::Unknown => (Actor::System, Source::WebhookUnknownPayment),
        };
        let source = if known.callback.is_some() {
            webhook
        } else {
            Source::ProviderStatus
        };
        let basis = Box::new(DecisionRecord {
            evidence,
            detection,
            checks,
            decision,
        });
        let step = self.step(&who, source, &None, now);
        let applied = case.decided(known.reference, known.status, basis, inner.minimum, &step);
        watch.lap(|timings| &mut timings.routing);
        applied
    }

    pub(in crate::registrar) fn step<'a>(
        &'a self,
        who: &'a Actor,
        source: Source,
        note: &'a Option<crate::vocabulary::Note>,
        now: DateTime<Utc>,
    ) -> StepContext<'a> {
        StepContext {
            now,
            who,
            source,
            note,
            guard: self.inner.guard.as_ref(),
            rules: &self.inner.config.rules,
            rehearsal: false,
        }
    }

    /// Settles work of the worker's, or what people have read.
    pub(in crate::registrar) async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<(), Error> {
        let settled = self.inner.store.settle(settlements);
        let settled = self.within(async { Ok(settled.await?) }).await;
        match &settled {
            Ok(()) => self.inner.pulse.wrote(self.now()),
            Err(Error::Store(StoreError::Refused(_))) => {}
            Err(_) => self.inner.pulse.write_failed(self.now()),
        }
        settled
    }

    /// Commits, and wakes the workers when there is something to publish.
    pub(in crate::registrar) async fn commit(
        &self,
        change: impl Into<Change>,
    ) -> Result<CommitOutcome, Error> {
        self.commit_timed(change.into(), &mut StageTimer::start())
            .await
    }

    pub(in crate::registrar) async fn commit_timed(
        &self,
        mut change: Change,
        watch: &mut StageTimer,
    ) -> Result<CommitOutcome, Error> {
        change.publish &= !self.inner.subscribers.is_empty();
        self.queue_notices(&mut change);
        // Which signals, before the change is handed over: a bit for each, since one change has
        // each of them once at most.
        let facts = change.events.iter().map(|event| &event.kind);
        let signals = facts
            .filter_map(Signal::of)
            .fold(0, |bits, signal| bits | signal.bit());
        let approved = change.events.iter().find_map(|event| match &event.kind {
            EventKind::EnrollmentMoved {
                to: Status::Approved { cause },
                ..
            } => Some(*cause),
            _ => None,
        });
        let span = tracing::debug_span!(
            "coursegate.commit",
            events = change.events.len(),
            enrollment = change
                .enrollment
                .as_ref()
                .map(|enrollment| tracing::field::display(enrollment.id)),
        );
        let committed = match self.inner.store.commit(change).instrument(span).await {
            Ok(committed) => {
                self.inner.pulse.wrote(self.now());
                committed
            }
            Err(error) => {
                // A change that breaks a rule says nothing about the store.
                if !matches!(error, StoreError::Refused(_)) {
                    self.inner.pulse.write_failed(self.now());
                }
                if matches!(error, StoreError::Unusable(_)) {
                    self.inner.pulse.misconfigured(self.now());
                    self.inner
                        .tower
                        .count(Signal::ConfigurationWrong, self.now());
                }
                return Err(error.into());
            }
        };
        watch.lap(|timings| &mut timings.update);
        if committed == CommitOutcome::Done {
            if signals != 0 {
                self.inner.tower.count_all(signals, self.now());
                meter::committed(signals);
                approved.into_iter().for_each(meter::approved);
            }
            self.inner.wake.raise();
            watch.lap(|timings| &mut timings.notification);
        }
        Ok(committed)
    }
}

/// Whether nothing the provider says can change this attempt any more.
pub(in crate::registrar) fn is_decided(attempt: &PaymentAttempt) -> bool {
    attempt
        .payment
        .is_some_and(|payment| payment.allocation.is_settled())
}
