//! Looks at where a payment stands: one at a time for each attempt, shared by all who ask.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, Shared, WeakShared};

use crate::evidence::Confirmation;
use crate::payment::PayLink;
use crate::port::{GatewayError, StatusQuery};
use crate::registrar::parts::deadline::Signal;
use crate::vocabulary::PaymentReference;

/// How old an answer may be that a visitor is given.
const FRESH: Duration = Duration::from_secs(2);
/// Attempts that are remembered before old ones are forgotten.
const MANY: usize = 1024;
/// Seconds after which a worker that was not heard of is none.
const TENDED: i64 = 5;
/// Looks that are carried on at most after everybody left who asked for them.
const MOST_LEFT: usize = 256;

pub(in crate::registrar) type Answer = Result<Option<Confirmation>, GatewayError>;
pub(in crate::registrar) type Look = Shared<BoxFuture<'static, Answer>>;
type Weak = WeakShared<BoxFuture<'static, Answer>>;

/// Looks that are under way, and the last answers.
#[derive(Default)]
pub(in crate::registrar) struct Looks {
    pub(in crate::registrar) of: Mutex<Known>,
    /// Those that everybody left who asked, to be carried on by a worker.
    pub(in crate::registrar) left: Mutex<HashMap<PaymentReference, Look>>,
    /// When a worker of this process last looked for those, in seconds.
    pub(in crate::registrar) tended: AtomicI64,
    /// Raised when one was left.
    pub(in crate::registrar) wake: Signal,
}

/// Attempts that were asked about.
#[derive(Default)]
pub(in crate::registrar) struct Known {
    pub(in crate::registrar) entries: HashMap<PaymentReference, Entry>,
    /// How many there were, twice, when old ones were forgotten last.
    pub(in crate::registrar) full: usize,
}

impl Known {
    /// That of an attempt. When there are many, old ones are forgotten: as seldom as that costs each
    /// look the same, however many are fresh.
    pub(in crate::registrar) fn entry(
        &mut self,
        reference: &PaymentReference,
        now: DateTime<Utc>,
    ) -> &mut Entry {
        let len = self.entries.len();
        if len >= self.full.max(MANY) && !self.entries.contains_key(reference) {
            self.entries.retain(|_, entry| entry.is_of_use(now));
            self.full = self.entries.len() * 2;
        }
        self.entries.entry(reference.clone()).or_default()
    }
}

#[derive(Default)]
pub(in crate::registrar) struct Entry {
    pub(in crate::registrar) running: Option<Weak>,
    /// Begins when the running one ends: for those who need an answer to a question asked now.
    pub(in crate::registrar) next: Option<Weak>,
    pub(in crate::registrar) last: Option<(DateTime<Utc>, Answer)>,
}

impl Looks {
    pub(in crate::registrar) fn lock(&self) -> MutexGuard<'_, Known> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the looks that everybody left. They go on as long as they are kept.
    pub(in crate::registrar) fn take_left(
        &self,
        now: DateTime<Utc>,
    ) -> HashMap<PaymentReference, Look> {
        self.tended.store(now.timestamp(), Ordering::Release);
        std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Without a worker that takes it over, a look that nobody waits for is given up.
    pub(in crate::registrar) fn leave(
        &self,
        reference: &PaymentReference,
        look: Look,
        now: DateTime<Utc>,
    ) {
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
pub(in crate::registrar) fn alive(weak: Option<&Weak>) -> Option<Look> {
    weak?.upgrade().filter(|look| look.peek().is_none())
}

pub(in crate::registrar) enum Found {
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

pub(in crate::registrar) fn is_fresh(began: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    let age = now.signed_duration_since(began).to_std();
    age.is_ok_and(|age| age <= FRESH)
}

pub(in crate::registrar) fn query<'a>(
    reference: &'a PaymentReference,
    link: Option<&'a PayLink>,
) -> StatusQuery<'a> {
    match link {
        Some(link) => StatusQuery::PayLink(&link.id),
        None => StatusQuery::Reference(reference),
    }
}
