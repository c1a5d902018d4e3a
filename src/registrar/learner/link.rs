//! Getting a pay link from the provider, once, however often it is asked for.

use std::time::Duration;

use crate::enrollment::{Case, StepOutcome};
use crate::event::{Actor, Source};
use crate::payment::{PayLink, PaymentAttempt, PaymentMethod, ProviderStatus};
use crate::port::{Clock, GatewayError, LinkRequest};
use crate::registrar::core::{ROUNDS, Registrar};
use crate::registrar::error::Error;
use crate::registrar::learner::checkout::enrolled;
use crate::registrar::learner::request::{Enrolled, NextStep};
use crate::registrar::parts::provider::Caller;
use crate::store::{CommitOutcome, Lookup};

/// How often the wait for a lost link doubles at most.
const MOST_DOUBLED: usize = 5;

impl Registrar {
    /// Whether another call may be waiting for the provider to make this attempt's link.
    pub(in crate::registrar) fn is_being_linked(&self, attempt: &PaymentAttempt) -> bool {
        let age = self.now().signed_duration_since(attempt.created_at);
        age.to_std()
            .is_ok_and(|age| age < self.inner.config.link_wait)
    }

    /// Looks for a link that another call is fetching, for as long as the provider is waited
    /// for elsewhere; `None` when it does not come, or the attempt was given up.
    pub(in crate::registrar) async fn await_link(
        &self,
        case: &Case,
        attempt: &PaymentAttempt,
    ) -> Result<Option<Enrolled>, Error> {
        let clock = self.inner.clock.as_ref();
        let (mut waited, mut pause) = (Duration::ZERO, Duration::from_millis(25));
        while waited < self.inner.config.provider_wait {
            clock.sleep(pause).await;
            waited += pause;
            pause = (pause * 2).min(Duration::from_millis(400));
            let found = self
                .within(async {
                    let lookup = Lookup::Enrollment(case.enrollment.id);
                    Ok(self.inner.store.load(lookup).await?)
                })
                .await?;
            let Some(case) = found.case else {
                return Ok(None);
            };
            if let Some(next) = self.next_step(&case, &attempt.reference) {
                return Ok(Some(enrolled(&case, next)));
            }
            let found = case.attempt(Some(attempt.reference.as_str()), None);
            if found.map(|found| found.status) != Some(attempt.status) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// An earlier call may have made a link and lost the answer. `true` when things
    /// moved on and have to be looked at again; `false` when the link is to be asked for (again).
    ///
    /// The address of a link whose answer was lost was never shown to anybody, so nobody can pay
    /// there: whatever the provider answers but that it is paid, a new attempt may begin. What it
    /// answers to a reference that it does not know is not published.
    pub(in crate::registrar) async fn look_before_asking_again(
        &self,
        case: &Case,
        attempt: &PaymentAttempt,
    ) -> Result<bool, Error> {
        let provider = self.inner.provider.as_ref().ok_or(Error::NoGateway)?;
        if provider.gateway().capabilities().idempotent_links {
            return Ok(false);
        }
        let wait = self.inner.config.provider_wait;
        let told = |source| Error::NoPayLink {
            enrollment: case.enrollment.id,
            source,
        };
        match provider.look(attempt, wait, Caller::Checkout).await {
            Ok(None) => Ok(false),
            Ok(Some(answer)) if answer.status == ProviderStatus::Paid => {
                let confirmed = self.confirm_now(&attempt.reference, Caller::Callback);
                self.within(confirmed).await?;
                Ok(true)
            }
            Ok(Some(_))
            | Err(
                GatewayError::Refused { .. }
                | GatewayError::Unreadable
                | GatewayError::Failed { .. },
            ) => {
                let age = self.now().signed_duration_since(attempt.created_at);
                let grace = self.grace(case);
                if age.to_std().is_ok_and(|age| age < grace) {
                    return Err(told(GatewayError::TimedOut));
                }
                // It is watched, and stays payable.
                self.within(self.drop_attempt(attempt)).await?;
                Ok(true)
            }
            Err(source) => Err(told(source)),
        }
    }

    /// How long a link may be on its way before another is made: as long as making one may take,
    /// and twice as long for each that was lost within a day.
    fn grace(&self, case: &Case) -> Duration {
        let day = chrono::Duration::days(1);
        let lost = |attempt: &&PaymentAttempt| {
            attempt.link.is_none()
                && attempt.declared != PaymentMethod::BankTransfer
                && self.now().signed_duration_since(attempt.created_at) < day
        };
        let lost = case.attempts.iter().filter(lost).count();
        let times = 1 << lost.saturating_sub(1).min(MOST_DOUBLED);
        self.inner.config.link_wait.saturating_mul(times)
    }

    pub(in crate::registrar) async fn fetch_link(
        &self,
        case: &Case,
        attempt: &PaymentAttempt,
    ) -> Result<Enrolled, Error> {
        let provider = self.inner.provider.as_ref().ok_or(Error::NoGateway)?;
        let site = &self.inner.config.site;
        let reference = &attempt.reference;
        let request = LinkRequest {
            reference: reference.clone(),
            amount: attempt.amount,
            description: attempt.title.clone(),
            callback_url: site.callback_url.clone(),
            success_url: site.filled(&site.success_url, reference),
            failure_url: site.filled(&site.failure_url, reference),
            cancel_url: site
                .cancel_url
                .as_ref()
                .map(|url| site.filled(url, reference)),
            requester_url: site.requester_url.clone(),
        };
        let made = provider
            .create_link(&request, self.inner.config.link_wait)
            .await;
        match made {
            Ok(link) => {
                self.inner.pulse.link(self.now());
                self.within(self.keep_link(attempt, link)).await
            }
            Err(source) => {
                tracing::warn!(error = %source, enrollment = %case.enrollment.id, "no pay link");
                self.note_credentials(&source);
                // Nothing was sent, so the attempt can be used again; or a link may exist.
                let keeps = matches!(
                    source,
                    GatewayError::CircuitOpen { .. }
                        | GatewayError::Throttled
                        | GatewayError::RateLimited { .. }
                        | GatewayError::TimedOut
                        | GatewayError::Failed { .. }
                        | GatewayError::Panicked
                        | GatewayError::Unreadable
                );
                if !keeps {
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
    async fn keep_link(&self, attempt: &PaymentAttempt, link: PayLink) -> Result<Enrolled, Error> {
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
                let StepOutcome { delta, case, .. } =
                    case.link(&attempt.reference, link.clone(), &step)?;
                if self.commit(delta).await? != CommitOutcome::Done {
                    continue;
                }
                case
            };
            let next = self
                .next_step(&case, &attempt.reference)
                .unwrap_or(NextStep::Confirming);
            return Ok(enrolled(&case, next));
        }
        Err(Error::Contended)
    }

    /// Stops waiting for an attempt that has no usable link; it stays payable.
    async fn drop_attempt(&self, attempt: &PaymentAttempt) -> Result<(), Error> {
        let find = Lookup::Reference(&attempt.reference);
        self.update(find, |case| {
            let step = self.step(&Actor::System, Source::SystemAutomatic, &None, self.now());
            case.abandon(&attempt.reference, &step)
        })
        .await
        .map(drop)
    }
}
