//! What falls due by itself: asking about open attempts, expiry, and the daily jobs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::access::EndReason;
use crate::enrollment::{CaseError, DueTimer, Effect, Job, Timer, TimerKey, TimerKind};
use crate::event::{Actor, Source};
use crate::monitor::Signal;
use crate::port::GatewayError;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::caught::caught;
use crate::registrar::parts::deadline::side_by_side;
use crate::registrar::parts::panics::HostPart;
use crate::registrar::parts::provider::Caller;
use crate::registrar::parts::system::spread;
use crate::registrar::worker::audit_log::Appended;
use crate::registrar::worker::run::{Pass, Worker};
use crate::store::{Change, CommitOutcome, Lookup, Settlement, Work, WorkKind};
use crate::vocabulary::{EnrollmentId, GrantId, PaymentReference};

/// Timers taken at once, and how many of them are handled at a time.
const BATCH: usize = 64;
const AT_ONCE: usize = 16;
/// How often bodies are looked at that are not to be kept any longer.
const DAILY: Duration = Duration::from_secs(24 * 3600);
/// When to ask again after the provider failed.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// When to ask again after it refused, which somebody has to mend.
const AFTER_REFUSAL: Duration = Duration::from_secs(900);
/// When to look again at what cannot expire now.
const POSTPONED: Duration = Duration::from_secs(3600);
/// When to look again at what the host's guard does not let expire.
const VETOED: Duration = Duration::from_secs(24 * 3600);
/// Attempts of one enrollment that are asked about before it expires; newest first.
const ASKED_BEFORE_EXPIRY: usize = 10;

/// How long claimed timers of a kind are kept from other workers: for twice as long as one of
/// them may take, and no longer, since nobody does the work of a worker that was killed before.
fn lease(kind: TimerKind) -> Duration {
    Duration::from_secs(match kind {
        TimerKind::Attempt | TimerKind::Grant => 30,
        TimerKind::Job => 60,
        // One may ask about ten attempts, or wait for several channels.
        TimerKind::Enrollment | TimerKind::Notice => 120,
    })
}

/// What is to become of a timer.
pub(in crate::registrar) enum Next {
    At(DateTime<Utc>, Option<String>),
    Never,
}

impl Worker {
    /// Handles timers of a kind that fell due; `true` when there may be more.
    pub(in crate::registrar) async fn timers(
        &self,
        kind: TimerKind,
        pass: &mut Pass,
    ) -> Result<bool, Error> {
        let most = match kind {
            TimerKind::Attempt => self.most(Caller::Background, 1, BATCH),
            _ => BATCH,
        };
        if most == 0 {
            return Ok(false);
        }
        let lease = lease(kind);
        let claimed = self.claim(WorkKind::Timers(kind), most, lease).await?;
        let full = claimed.len() == most;
        let held_until = self.held_until(lease);
        let timers = claimed.into_iter().filter_map(|work| match work {
            Work::Timer(timer) => Some(timer),
            Work::Delivery(_) | Work::Message(_) => None,
        });
        let handled = timers.map(|timer| async move {
            let mut done = Pass::default();
            match self.registrar.now() > held_until {
                true => Ok(done),
                false => self.handle(timer, &mut done).await.map(|()| done),
            }
        });
        for done in side_by_side(handled.collect(), AT_ONCE).await {
            *pass += done?;
        }
        Ok(full)
    }

    /// Handles one timer, and says when it falls due again.
    async fn handle(&self, timer: DueTimer, pass: &mut Pass) -> Result<(), Error> {
        let registrar = &self.registrar;
        let span = tracing::debug_span!("coursegate.timer", key = ?timer.key);
        let handled = async {
            match &timer.key {
                TimerKey::Attempt(reference) => self.look(reference, pass).await,
                TimerKey::Enrollment(id) => self.expire(*id, pass).await,
                TimerKey::Grant(id) => self.expire_grant(*id, pass).await,
                TimerKey::Job(job) => self.work_on(*job, timer.cursor.as_deref(), pass).await,
                TimerKey::Notice(id) => self.tell(*id, timer.cursor.as_deref(), pass).await,
            }
        };
        let handled = Box::pin(handled.instrument(span));
        let handled = caught(registrar.watched(), HostPart::Other, handled).await;
        match handled.unwrap_or_else(|panicked| Err(panicked.into())) {
            Ok(next) => self.settle(timer, next).await,
            // Nobody mends that within seconds.
            Err(Error::Panicked(_)) => {
                let again = registrar.now() + AFTER_REFUSAL;
                let cursor = timer.cursor.clone();
                self.settle(timer, Next::At(again, cursor)).await
            }
            Err(error) => {
                tracing::error!(error = %error.in_full(), "a timer could not be handled; its lease will end");
                Ok(())
            }
        }
    }

    async fn settle(&self, timer: DueTimer, next: Next) -> Result<(), Error> {
        let settlement = match next {
            Next::Never => Settlement::Finish(timer),
            Next::At(next_at, cursor) => Settlement::Reschedule {
                timer,
                next_at,
                cursor,
            },
        };
        self.registrar.settle(&[settlement]).await
    }

    /// Asks the provider about an attempt that nothing final is known of.
    async fn look(&self, reference: &PaymentReference, pass: &mut Pass) -> Result<Next, Error> {
        let registrar = &self.registrar;
        pass.asked += 1;
        let asked = registrar.confirm_now(reference, Caller::Background);
        match registrar.within(asked).await {
            Ok(confirmed) => {
                pass.found_paid += usize::from(confirmed.paid);
                Ok(match confirmed.next_look {
                    Some(at) => Next::At(at, None),
                    None => Next::Never,
                })
            }
            Err(Error::Gateway(error)) => Ok(Next::At(self.after(&error), None)),
            Err(Error::NotFound(_) | Error::NoGateway) => Ok(Next::Never),
            Err(Error::Refused(error)) => {
                tracing::error!(%error, "a payment that the provider confirms cannot be applied");
                Ok(Next::At(registrar.now() + AFTER_REFUSAL, None))
            }
            Err(error) => Err(error),
        }
    }

    /// When to ask again after the provider failed.
    fn after(&self, error: &GatewayError) -> DateTime<Utc> {
        let now = self.registrar.now();
        let spread = spread();
        match error {
            GatewayError::CircuitOpen { until } => (*until).max(now) + spread,
            GatewayError::Throttled => now + spread,
            GatewayError::RateLimited { wait } => now + wait.unwrap_or(AFTER_FAILURE) + spread,
            error if error.is_transient() => now + AFTER_FAILURE + spread,
            error => {
                let tower = &self.registrar.inner.tower;
                tower.count(Signal::ConfigurationWrong, now);
                self.registrar.inner.pulse.misconfigured(now);
                tracing::error!(%error, "the provider refuses to say where payments stand");
                now + AFTER_REFUSAL
            }
        }
    }

    /// Lets an enrollment expire whose time has come, after a last look for its money.
    async fn expire(&self, id: EnrollmentId, pass: &mut Pass) -> Result<Next, Error> {
        let registrar = &self.registrar;
        let inner = &registrar.inner;
        let load = || async { Ok(inner.store.load(Lookup::Enrollment(id)).await?.case) };
        let Some(case) = registrar.within(load()).await? else {
            return Ok(Next::Never);
        };
        let rules = &inner.config.rules;
        let now = registrar.now();
        let is_unpaid = rules.unpaid_until(&case).is_some_and(|until| until <= now);
        // It must not expire while nobody knows whether it is paid; access that is over ends.
        let mut unknown = (is_unpaid && case.confirming.is_some()).then_some(now + POSTPONED);
        if is_unpaid && unknown.is_none() && inner.provider.is_some() {
            let open = case.attempts.iter().rev().filter(|attempt| {
                let still = rules.reconciliation.until;
                let age = now.signed_duration_since(attempt.created_at).to_std();
                attempt.is_open() && age.is_ok_and(|age| age <= still)
            });
            for attempt in open.take(ASKED_BEFORE_EXPIRY) {
                pass.asked += 1;
                let asked = registrar.confirm_now(&attempt.reference, Caller::Background);
                match registrar.within(asked).await {
                    Ok(confirmed) => pass.found_paid += usize::from(confirmed.paid),
                    Err(Error::Gateway(error)) => {
                        unknown = Some(self.after(&error).max(now + AFTER_FAILURE));
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let ended = registrar.update(Lookup::Enrollment(id), |case| {
            let step = registrar.step(&Actor::System, Source::SystemAutomatic, &None, now);
            match unknown {
                Some(_) => case.end_due(&step),
                None => case.expire_due(&step),
            }
        });
        match registrar.within(ended).await {
            Ok(applied) => {
                pass.expired += usize::from(applied.effect == Effect::Changed);
                if let Some(at) = unknown {
                    return Ok(Next::At(at, None));
                }
                Ok(match rules.due_at(&applied.case, now) {
                    Some(at) if at > now => Next::At(at, None),
                    // Something keeps it from ending now: look again later.
                    Some(_) => Next::At(now + POSTPONED, None),
                    None => Next::Never,
                })
            }
            Err(Error::Refused(CaseError::Vetoed(_))) => Ok(Next::At(now + VETOED, None)),
            Err(Error::Refused(error)) => {
                tracing::error!(%error, enrollment = %id, "what is due cannot expire");
                Ok(Next::At(now + VETOED, None))
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a grant apart from any enrollment.
    async fn expire_grant(&self, id: GrantId, pass: &mut Pass) -> Result<Next, Error> {
        let registrar = &self.registrar;
        let now = registrar.now();
        registrar
            .within(async {
                let found = registrar.inner.store.load(Lookup::Grant(id)).await?.grant;
                let Some(grant) = found else {
                    return Ok(Next::Never);
                };
                match grant.expires_at {
                    Some(end) if end > now => return Ok(Next::At(end, None)),
                    None => return Ok(Next::Never),
                    Some(_) => {}
                }
                let step = registrar.step(&Actor::System, Source::SystemAutomatic, &None, now);
                let ended = registrar.end_apart(grant, EndReason::Expired, &step);
                match ended.await? {
                    None => Ok(Next::Never),
                    Some(CommitOutcome::Done) => {
                        pass.expired += 1;
                        Ok(Next::Never)
                    }
                    // Something else changed for the learner meanwhile.
                    Some(CommitOutcome::Conflict | CommitOutcome::Duplicate) => {
                        Ok(Next::At(now, None))
                    }
                }
            })
            .await
    }

    async fn work_on(
        &self,
        job: Job,
        cursor: Option<&str>,
        pass: &mut Pass,
    ) -> Result<Next, Error> {
        let registrar = &self.registrar;
        let config = &registrar.inner.config;
        let every = match job {
            Job::SyncHistory => config.sync_history_every,
            Job::Reconcile => config.reconcile_every,
            Job::AppendAuditLog => config.audit_log_every,
            Job::Purge => config.keep_bodies.map(|_| DAILY),
        };
        let Some(every) = every else {
            return Ok(Next::Never);
        };
        pass.jobs += 1;
        let left_off = match job {
            Job::SyncHistory => match registrar.sync_recent_history().await {
                Ok(_) => None,
                Err(Error::Gateway(GatewayError::NotSupported) | Error::NoGateway) => {
                    return Ok(Next::Never);
                }
                // Its form is not published: asking again soon would not change it.
                Err(Error::Gateway(GatewayError::Unreadable)) => {
                    tracing::error!("the provider's history cannot be read");
                    None
                }
                Err(Error::Gateway(error)) => {
                    let soon = self.after(&error).max(registrar.now() + AFTER_REFUSAL);
                    return Ok(Next::At(soon, None));
                }
                Err(error) => return Err(error),
            },
            Job::Reconcile => registrar.reconciliation_on(cursor).await?,
            Job::Purge => registrar.purge_on(cursor).await?,
            Job::AppendAuditLog => {
                let appended = registrar.append_on(cursor).await?;
                let now = registrar.now();
                return Ok(match appended {
                    Appended::Wholly(cursor) => Next::At(now + every, Some(cursor)),
                    Appended::Partly(cursor) => Next::At(now, cursor),
                });
            }
        };
        let now = registrar.now();
        Ok(match left_off {
            Some(cursor) => Next::At(now, Some(cursor)),
            None => Next::At(now + every, None),
        })
    }

    /// Sees to it that the daily jobs are on the list, once for all instances.
    pub(in crate::registrar) async fn ensure_jobs(&self) -> Result<(), Error> {
        let registrar = &self.registrar;
        let inner = &registrar.inner;
        let config = &inner.config;
        let jobs = [
            (
                Job::SyncHistory,
                config
                    .sync_history_every
                    .filter(|_| inner.provider.is_some()),
            ),
            (Job::Reconcile, config.reconcile_every),
            (Job::AppendAuditLog, config.audit_log_every),
            (Job::Purge, config.keep_bodies.map(|_| DAILY)),
        ];
        let now = registrar.now();
        let wanted: Vec<_> = jobs
            .into_iter()
            .filter_map(|(job, every)| {
                Some(Settlement::Ensure {
                    key: TimerKey::Job(job),
                    due_at: now + every?,
                })
            })
            .collect();
        registrar.settle(&wanted).await
    }
}

impl Registrar {
    /// Puts an attempt at the head of the list of those to ask about.
    pub(in crate::registrar) async fn look_soon(
        &self,
        reference: &PaymentReference,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        let mut change = Change::default();
        change.timers.push(Timer {
            key: TimerKey::Attempt(reference.clone()),
            due_at: Some(now),
        });
        self.commit(change).await.map(drop)
    }
}
