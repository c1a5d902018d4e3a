use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::port::{Clock, Sleep};

/// A clock that stands still until a test moves it. Clones are the same clock.
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
