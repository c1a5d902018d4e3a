//! Looks at where a payment stands: one at a time for each attempt, shared by all who ask.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::deadline::{self, Signal};
use super::provider::{Caller, Provider};
use crate::evidence::Confirmation;
use crate::payment::{PayLink, PaymentAttempt};
use crate::port::{GatewayError, StatusQuery};
use crate::vocabulary::PaymentReference;

/// How old an answer may be that a visitor is given.
const FRESH: Duration = Duration::from_secs(2);
/// Attempts that are remembered before old ones are forgotten.
const MANY: usize = 1024;
/// Seconds after which a worker that was not heard of is none.
const TENDED: i64 = 5;
/// Looks that are carried on at most after everybody left who asked for them.
const MOST_LEFT: usize = 256;

pub(super) type Answer = Result<Option<Confirmation>, GatewayError>;
pub(super) type Look = Shared<BoxFuture<'static, Answer>>;
type Weak = WeakShared<BoxFuture<'static, Answer>>;

/// Looks that are under way, and the last answers.
#[derive(Default)]
pub(super) struct Looks {
    of: Mutex<Known>,
    /// Those that everybody left who asked, to be carried on by a worker.
    left: Mutex<HashMap<PaymentReference, Look>>,
    /// When a worker of this process last looked for those, in seconds.
    tended: AtomicI64,
    /// Raised when one was left.
    pub(super) wake: Signal,
}

/// Attempts that were asked about.
#[derive(Default)]
struct Known {
    entries: HashMap<PaymentReference, Entry>,
    /// How many there were, twice, when old ones were forgotten last.
    full: usize,
}

impl Known {
    /// That of an attempt. When there are many, old ones are forgotten: as seldom as that costs each
    /// look the same, however many are fresh.
    fn entry(&mut self, reference: &PaymentReference, now: DateTime<Utc>) -> &mut Entry {
        let len = self.entries.len();
        if len >= self.full.max(MANY) && !self.entries.contains_key(reference) {
            self.entries.retain(|_, entry| entry.is_of_use(now));
            self.full = self.entries.len() * 2;
        }
        self.entries.entry(reference.clone()).or_default()
    }
}

#[derive(Default)]
struct Entry {
    running: Option<Weak>,
    /// Begins when the running one ends: for those who need an answer to a question asked now.
    next: Option<Weak>,
    last: Option<(DateTime<Utc>, Answer)>,
}

impl Looks {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the looks that everybody left. They go on as long as they are kept.
    pub(super) fn take_left(&self, now: DateTime<Utc>) -> HashMap<PaymentReference, Look> {
        self.tended.store(now.timestamp(), Ordering::Release);
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Without a worker that takes it over, a look that nobody waits for is given up.
    fn leave(&self, reference: &PaymentReference, look: Look, now: DateTime<Utc>) {
        if now.timestamp() - self.tended.load(Ordering::Acquire) > TENDED {
            return;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() < MOST_LEFT {
            left.insert(reference.clone(), look);
            self.wake.raise();
        }
    }
}

impl fmt::Debug for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looks").finish_non_exhaustive()
    }
}

/// A look that somebody waits for, and that has no answer yet.
fn alive(weak: Option<&Weak>) -> Option<Look> {
    weak?.upgrade().filter(|look| look.peek().is_none())
}

impl Provider {
    /// Asks where an attempt stands, together with all others who ask now. A visitor may be given
    /// an answer that is up to two seconds old; anybody else gets one to a question that was put
    /// after they asked.
    pub(super) async fn look(
        self: &Arc<Self>,
        attempt: &PaymentAttempt,
        wait: Duration,
        caller: Caller,
    ) -> Answer {
        let (look, ours) = match self.find_or_begin(attempt, wait, caller) {
            Found::Answered(answer) => return answer,
            Found::Look { look, ours } => (look, ours),
        };
        let answer = self.wait_for(attempt, look, wait).await;
        if answer != Err(GatewayError::Throttled) || ours {
            return answer;
        }
        // Whoever began it had no calls left; we may have.
        let query = query(&attempt.reference, attempt.link.as_ref());
        self.status(query, wait, caller).await
    }

    /// Waits so long. Whoever goes away leaves the look to a worker of this process.
    async fn wait_for(&self, attempt: &PaymentAttempt, look: Look, wait: Duration) -> Answer {
        let mut leaving = Leaving {
            provider: self,
            reference: &attempt.reference,
            look: Some(look.clone()),
        };
        let answer = deadline::within(self.clock(), wait, look).await;
        if answer.is_some() {
            leaving.look = None;
        }
        answer.unwrap_or(Err(GatewayError::TimedOut))
    }

    fn find_or_begin(
        self: &Arc<Self>,
        attempt: &PaymentAttempt,
        wait: Duration,
        caller: Caller,
    ) -> Found {
        let now = self.clock().now();
        let mut looks = self.looks.lock();
        let entry = looks.entry(&attempt.reference, now);
        let (running, next) = (alive(entry.running.as_ref()), alive(entry.next.as_ref()));
        let visitor = caller == Caller::Visitor;
        if let Some((began, answer)) = entry.last.as_ref().filter(|_| visitor)
            && is_fresh(*began, now)
        {
            return Found::Answered(answer.clone());
        }
        // One that is running began before they asked.
        if let Some(look) = running.clone().filter(|_| visitor).or(next) {
            return Found::Look { look, ours: false };
        }
        let waits = running.is_some();
        let look = self.begin_look(attempt, running, wait, caller);
        match waits {
            true => entry.next = look.downgrade(),
            false => entry.running = look.downgrade(),
        }
        Found::Look { look, ours: true }
    }

    /// A look that begins when another one has ended.
    fn begin_look(
        self: &Arc<Self>,
        attempt: &PaymentAttempt,
        before: Option<Look>,
        wait: Duration,
        caller: Caller,
    ) -> Look {
        let provider = self.clone();
        let (reference, link) = (attempt.reference.clone(), attempt.link.clone());
        let asked = async move {
            if let Some(before) = before {
                drop(before.await);
                let mut looks = provider.looks.lock();
                if let Some(entry) = looks.entries.get_mut(&reference) {
                    entry.running = entry.next.take();
                }
            }
            let began = provider.clock().now();
            let query = query(&reference, link.as_ref());
            let answer = provider.status(query, wait, caller).await;
            // What was not asked is no answer.
            let asked = !matches!(
                answer,
                Err(GatewayError::Throttled | GatewayError::CircuitOpen { .. })
            );
            if asked && let Some(entry) = provider.looks.lock().entries.get_mut(&reference) {
                entry.last = Some((began, answer.clone()));
            }
            answer
        };
        asked.boxed().shared()
    }
}

enum Found {
    Answered(Answer),
    Look { look: Look, ours: bool },
}

impl Entry {
    fn is_of_use(&self, now: DateTime<Utc>) -> bool {
        let under_way = [&self.running, &self.next]
            .into_iter()
            .any(|look| alive(look.as_ref()).is_some_and(|look| look.peek().is_none()));
        let last = self.last.as_ref();
        under_way || last.is_some_and(|(began, _)| is_fresh(*began, now))
    }
}

fn is_fresh(began: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = now.signed_duration_since(began).to_std();
    age.is_ok_and(|age| age <= FRESH)
}

fn query<'a>(reference: &'a PaymentReference, link: Option<&'a PayLink>) -> StatusQuery<'a> {
    match link {
        Some(link) => StatusQuery::PayLink(&link.id),
        None => StatusQuery::Reference(reference),
    }
}

/// Somebody who waits for a look, and may go away.
struct Leaving<'l> {
    provider: &'l Provider,
    reference: &'l PaymentReference,
    look: Option<Look>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(look) = self.look.take() {
            let now = self.provider.clock().now();
            self.provider.looks.leave(self.reference, look, now);
        }
    }
}
