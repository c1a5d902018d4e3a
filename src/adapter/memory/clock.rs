use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::port::{Clock, Sleep};

/// A clock that stands still until a test moves it. Clones are the same clock.
///
/// **The test has to move it**, with [`advance`](Self::advance): nothing else does. A worker that runs
/// on it sleeps for ever by itself, a retry never becomes due, nothing expires, and a call that waits
/// for a slow provider never runs into its deadline. Keep a clone of the clock that the builder got,
/// and wait for what you expect before you move it further; where time shall pass by itself, leave the
/// builder its own clock.
///
/// ```
/// use std::time::Duration;
///
/// use coursegate::adapter::memory::TestClock;
/// use coursegate::port::Clock;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let clock = TestClock::at("2026-01-31T09:00:00Z".parse()?);
/// // What a worker does between two passes; `.clock(clock.clone())` on the builder gives it this one.
/// let worker = tokio::spawn({
///     let clock = clock.clone();
///     async move { clock.sleep(Duration::from_secs(60)).await }
/// });
/// // However long the test waits, no time passes.
/// tokio::time::sleep(Duration::from_millis(20)).await;
/// assert!(!worker.is_finished());
///
/// clock.advance(Duration::from_secs(60));
/// worker.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A test that wants one round of the background work rather than a running worker calls
/// `registrar.worker().pass()` after each step of the clock.
#[derive(Clone, Debug)]
pub struct TestClock {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    now: DateTime<Utc>,
    sleepers: Vec<Waker>,
}

impl TestClock {
    /// A clock that shows `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                now,
                sleepers: Vec::new(),
            })),
        }
    }

    /// Moves it forward, and wakes who slept until then.
    pub fn advance(&self, by: Duration) {
        let mut inner = self.lock();
        inner.now += by;
        let sleepers = std::mem::take(&mut inner.sleepers);
        drop(inner);
        sleepers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let clock = self.clone();
        let end = self.now() + duration;
        Box::pin(poll_fn(move |context| {
            let mut inner = clock.lock();
            if end <= inner.now {
                return Poll::Ready(());
            }
            inner.sleepers.push(context.waker().clone());
            Poll::Pending
        }))
    }

    fn is_test_double(&self) -> bool {
        true
    }
}
