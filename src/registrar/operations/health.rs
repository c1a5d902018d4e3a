//! How an installation does, as far as this process can tell: for a health probe and for whoever
//! is woken at night.

use crate::registrar::parts::heartbeat::{STUCK, time};
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join;
use serde::Serialize;
use uuid::Uuid;

use crate::readiness::ReadinessRule;
use crate::registrar::core::Registrar;
use crate::registrar::operations::key_use::IN_USE;
use crate::registrar::parts::deadline;
use crate::registrar::parts::provider::Circuit;
use crate::store::{InboxFilter, Lookup, PageRequest};
use crate::vocabulary::{EnrollmentId, string_enum};

/// How long the database may take to answer, and how long is slow.
const DATABASE_WAIT: Duration = Duration::from_secs(2);
const DATABASE_SLOW: chrono::Duration = chrono::Duration::milliseconds(500);
/// Payments that were started without any callback since, and for how long, before that is
/// remarkable.
const UNANSWERED: u64 = 3;
const SILENCE: chrono::Duration = chrono::Duration::minutes(30);
/// A worker looks at its work once a second.
const HEARTBEAT: chrono::Duration = chrono::Duration::seconds(60);
/// Each process that runs one says so once a minute.
const WORKER_SEEN: chrono::Duration = chrono::Duration::minutes(3);
const LAG: chrono::Duration = chrono::Duration::seconds(5);
/// How long a write that failed is told of, when others work since.
const LATELY: chrono::Duration = chrono::Duration::minutes(1);
/// What was published longer ago says nothing about now.
const RECENT: chrono::Duration = chrono::Duration::minutes(5);
/// Callbacks that wait at once before that is remarkable.
const WAITING: usize = 100;

/// How something does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HealthStatus {
    /// As it should.
    Ok,
    /// It works, and somebody should look.
    Degraded,
    /// It does not work.
    Down,
}

string_enum!(HealthStatus {
    Ok => "ok",
    Degraded => "degraded",
    Down => "down",
});

/// How one part does, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartHealth {
    /// Which part: `database`, `provider`, `callbacks`, `inbox`, `outbox`, `live`, `worker`,
    /// `configuration`, `host` for its own code, or `clock`.
    pub part: &'static str,
    /// How it does.
    pub condition: HealthStatus,
    /// Why, in one sentence. It names nobody.
    pub reason: String,
}

/// How an installation does. `Serialize` is for a probe, `Display` for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// The worst of its parts.
    pub condition: HealthStatus,
    /// Its parts.
    pub parts: Vec<PartHealth>,
    /// When.
    pub at: DateTime<Utc>,
}

impl Health {
    /// What a probe answers: 200, or 503 when a part does not work.
    pub fn http_status(&self) -> u16 {
        match self.condition {
            HealthStatus::Ok | HealthStatus::Degraded => 200,
            HealthStatus::Down => 503,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.condition)?;
        for part in &self.parts {
            write!(
                f,
                "\n{:<10} {:<9} {}",
                part.part,
                part.condition.as_str(),
                part.reason
            )?;
        }
        Ok(())
    }
}

fn part(part: &'static str, condition: HealthStatus, reason: impl Into<String>) -> PartHealth {
    PartHealth {
        part,
        condition,
        reason: reason.into(),
    }
}

impl Registrar {
    /// How this installation does, as far as this process can tell. It asks the database, and
    /// remembers the rest. It never fails: a database that does not answer is what it says.
    ///
    /// ```
    /// # use coursegate::{*};
    /// # async fn example(registrar: &Registrar) -> Result<(), Error> {
    /// let health = registrar.health().await;
    /// println!("{} {health}", health.http_status());
    /// # Ok(()) }
    /// ```
    pub async fn health(&self) -> Health {
        let now = self.now();
        let clock = self.inner.clock.as_ref();
        let shared = deadline::within(clock, DATABASE_WAIT, self.share_in_time());
        let (database, _) = join(self.database_health(now), shared).await;
        let mut parts = vec![database];
        parts.extend(self.inbox_health().await);
        parts.push(self.provider_part(now));
        parts.push(self.callback_part(now));
        parts.push(self.outbox_part(now));
        parts.push(self.live_part(now));
        parts.push(self.worker_part(now));
        parts.push(self.configuration_part(now));
        parts.extend(self.host_part(now));
        parts.extend(self.clock_part());
        let worst = parts.iter().map(|part| part.condition).max();
        Health {
            condition: worst.unwrap_or(HealthStatus::Ok),
            parts,
            at: now,
        }
    }

    async fn database_health(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "database";
        let nobody = Lookup::Enrollment(EnrollmentId::from_uuid(Uuid::nil()));
        let clock = self.inner.clock.as_ref();
        let asked = deadline::within(clock, DATABASE_WAIT, self.inner.store.load(nobody)).await;
        let taken = self.now() - now;
        let failed = time(&self.inner.pulse.failure_at).map(|at| now - at);
        let lately = failed.filter(|ago| *ago < LATELY);
        match asked {
            None => part(PART, HealthStatus::Down, "It does not answer in time."),
            Some(Err(error)) => part(PART, HealthStatus::Down, format!("{error}.")),
            Some(Ok(_)) if time(&self.inner.pulse.write_failed_at).is_some() => {
                let pulse = &self.inner.pulse;
                let ago = |at: &AtomicI64| time(at).map(|at| (self.now() - at).num_seconds());
                let failed = ago(&pulse.write_failed_at).unwrap_or_default();
                let last = match ago(&pulse.wrote_at) {
                    Some(seconds) => format!("the last one before it worked {seconds} s ago"),
                    None => "none has worked in this process".to_owned(),
                };
                let reason = format!(
                    "It reads, and the last write failed, {failed} s ago; {last}. Look whether its disk is full, or it is read-only."
                );
                // What failed long ago, and was not tried since, may work by now.
                let recent = time(&pulse.write_failed_at).is_some_and(|at| now - at < RECENT);
                let condition = match recent {
                    true => HealthStatus::Down,
                    false => HealthStatus::Degraded,
                };
                part(PART, condition, reason)
            }
            Some(Ok(_)) if lately.is_some() => {
                let seconds = lately.unwrap_or_default().num_seconds();
                let reason = format!(
                    "A write failed {seconds} s ago, though others work since. Look whether its disk is full."
                );
                part(PART, HealthStatus::Degraded, reason)
            }
            Some(Ok(_)) if taken > DATABASE_SLOW => part(
                PART,
                HealthStatus::Degraded,
                format!("It takes {} ms to answer.", taken.num_milliseconds()),
            ),
            Some(Ok(_)) => part(PART, HealthStatus::Ok, "It answers."),
        }
    }

    /// Nothing when the database does not answer: that is said already.
    async fn inbox_health(&self) -> Option<PartHealth> {
        const PART: &str = "inbox";
        let events = &self.inner.events;
        let clock = self.inner.clock.as_ref();
        let count = async |filter| {
            let page = events.inbox(filter, PageRequest::first(WAITING));
            let page = deadline::within(clock, DATABASE_WAIT, page).await?.ok()?;
            Some(page.items.len())
        };
        let dead = count(InboxFilter::Dead).await?;
        let waiting = count(InboxFilter::Waiting).await?;
        let parked = count(InboxFilter::Parked).await?;
        Some(if dead > 0 {
            let reason =
                format!("{dead} callbacks were given up on: look at the admin page's problems.");
            part(PART, HealthStatus::Degraded, reason)
        } else if waiting >= WAITING || parked >= WAITING {
            let reason = format!("{waiting} callbacks wait, {parked} match nothing.");
            part(PART, HealthStatus::Degraded, reason)
        } else {
            let reason = format!("{waiting} callbacks wait, {parked} match nothing.");
            part(PART, HealthStatus::Ok, reason)
        })
    }

    fn provider_part(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "provider";
        let Some(health) = self.provider_health() else {
            return part(PART, HealthStatus::Ok, "There is no gateway.");
        };
        let failures = health.failures_in_a_row;
        match health.circuit {
            Circuit::Open { until } if until > now && failures == 0 => {
                let until = until.format("%H:%M:%S UTC");
                let reason = format!("It asked for fewer calls, and is left alone until {until}.");
                part(PART, HealthStatus::Degraded, reason)
            }
            Circuit::Open { until } if until > now => {
                let reason = format!(
                    "It failed {failures} times in a row and is left alone until {}.",
                    until.format("%H:%M:%S UTC")
                );
                part(PART, HealthStatus::Degraded, reason)
            }
            _ if failures > 0 => {
                let reason = format!("It failed {failures} times in a row.");
                part(PART, HealthStatus::Degraded, reason)
            }
            _ => part(
                PART,
                HealthStatus::Ok,
                "It answers, as far as it was asked.",
            ),
        }
    }

    fn callback_part(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "callbacks";
        let pulse = &self.inner.pulse;
        let unanswered = pulse.unanswered.load(Ordering::Relaxed);
        let since = time(&pulse.unanswered_since).unwrap_or(now);
        if unanswered >= UNANSWERED && now - since >= SILENCE {
            let reason = format!(
                "{unanswered} payments were started in {} minutes, and no callback came: compare the callback \
                 address, and look for refused callbacks.",
                (now - since).num_minutes()
            );
            return part(PART, HealthStatus::Degraded, reason);
        }
        let reason = match time(&pulse.callback_at) {
            Some(last) => format!("The last one came {} s ago.", (now - last).num_seconds()),
            None => "None came to this process yet.".to_owned(),
        };
        part(PART, HealthStatus::Ok, reason)
    }

    fn outbox_part(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "outbox";
        match time(&self.inner.pulse.stuck_since) {
            Some(since) if now - since >= STUCK => {
                let seconds = (now - since).num_seconds();
                let reason = format!("A publisher has not taken everything for {seconds} s.");
                part(PART, HealthStatus::Degraded, reason)
            }
            Some(since) => {
                let seconds = (now - since).num_seconds();
                let reason = format!("Some of it has been on its way for {seconds} s.");
                part(PART, HealthStatus::Ok, reason)
            }
            None => part(PART, HealthStatus::Ok, "What was committed is published."),
        }
    }

    fn live_part(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "live";
        let pulse = &self.inner.pulse;
        let recent = time(&pulse.published_at).is_some_and(|last| now - last < RECENT);
        if !recent {
            return part(
                PART,
                HealthStatus::Ok,
                "Nothing was published in the last five minutes.",
            );
        }
        let millis = pulse.lag.load(Ordering::Relaxed);
        let reason = format!("The last events took {millis} ms from commit to publication.");
        let slow = millis > LAG.num_milliseconds();
        let condition = if slow {
            HealthStatus::Degraded
        } else {
            HealthStatus::Ok
        };
        part(PART, condition, reason)
    }

    /// Nothing unless a part of the host's panicked lately.
    fn host_part(&self, now: DateTime<Utc>) -> Option<PartHealth> {
        let panics = self.inner.tower.panics.since(now - RECENT);
        let each: Vec<String> = panics
            .into_iter()
            .map(|(which, times, last)| {
                let ago = (now - last).num_seconds();
                format!("{which} panicked {times} times, {ago} s ago at last")
            })
            .collect();
        let reason = format!(
            "{}: look for the message in the error output of this process.",
            each.join("; ")
        );
        (!each.is_empty()).then(|| part("host", HealthStatus::Degraded, reason))
    }

    /// Nothing as long as the clocks agree.
    fn clock_part(&self) -> Option<PartHealth> {
        let clock = &self.inner.clock;
        let ahead = clock.ahead().filter(|_| clock.is_wrong())?.num_seconds();
        let (seconds, direction) = match ahead {
            0.. => (ahead, "ahead of"),
            _ => (-ahead, "behind"),
        };
        let reason = format!(
            "This machine's clock is {seconds} s {direction} the database's, which is gone by: set it, by NTP \
             for example."
        );
        Some(part("clock", HealthStatus::Degraded, reason))
    }

    /// What the settings in use come to. What readiness says of them is repeated by the names of its
    /// rules, and is no news that anybody has to be woken for.
    fn configuration_part(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "configuration";
        let config = &self.inner.config;
        let wrong = time(&self.inner.pulse.misconfigured_at).filter(|at| now - *at < RECENT);
        if let Some(at) = wrong {
            let seconds = (now - at).num_seconds();
            let reason = format!(
                "A setting is wrong: {seconds} s ago the provider refused our credentials, or the database lacked something. The log names it."
            );
            return part(PART, HealthStatus::Down, reason);
        }
        let secrets = config.keys.texts().count();
        let accepted = match secrets {
            1 => "one secret is accepted".to_owned(),
            more => format!("{more} secrets are accepted"),
        };
        let since = now - IN_USE;
        let old = self.key_use().into_iter().filter(|key| !key.current);
        let used = old.filter(|key| key.last.is_some_and(|last| last >= since));
        let used = match used.count() {
            0 => "",
            _ => ", and one that is not the current one is still in use",
        };
        let rules = self.inner.standing.iter().map(ReadinessRule::as_str);
        let rules = rules.collect::<Vec<_>>().join(", ");
        let stands = match rules.as_str() {
            "" => String::new(),
            rules => format!(" Readiness names {rules}."),
        };
        let reason = format!("The mode is {}; {accepted}{used}.{stands}", config.mode);
        part(PART, HealthStatus::Ok, reason)
    }

    /// Whether a worker of this process looks at its work.
    pub(in crate::registrar) fn works_here(&self, now: DateTime<Utc>) -> bool {
        time(&self.inner.pulse.worked_at).is_some_and(|last| now - last < HEARTBEAT)
    }

    /// When a worker of another process was seen, if that was lately.
    fn works_elsewhere(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let seen = self.inner.sharing.worker_seen();
        seen.filter(|seen| now - *seen < WORKER_SEEN)
    }

    /// Whether no process of the installation works, as far as this one can tell.
    pub(in crate::registrar) fn nobody_works(&self, now: DateTime<Utc>) -> bool {
        !self.works_here(now) && self.works_elsewhere(now).is_none()
    }

    fn worker_part(&self, now: DateTime<Utc>) -> PartHealth {
        const PART: &str = "worker";
        if self.works_here(now) {
            return part(PART, HealthStatus::Ok, "It looks at its work.");
        }
        if let Some(last) = time(&self.inner.pulse.worked_at) {
            let seconds = (now - last).num_seconds();
            let reason = format!("It has not looked at its work for {seconds} s.");
            return part(PART, HealthStatus::Down, reason);
        }
        match self.works_elsewhere(now) {
            Some(seen) => {
                let seconds = (now - seen).num_seconds();
                let reason =
                    format!("None runs in this process; one of another was seen {seconds} s ago.");
                part(PART, HealthStatus::Ok, reason)
            }
            None => part(
                PART,
                HealthStatus::Degraded,
                "None runs in this process, and none of another was seen for three minutes: run \
                 `registrar.worker()` in one at least.",
            ),
        }
    }
}
