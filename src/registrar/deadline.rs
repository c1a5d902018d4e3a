use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::port::Clock;

/// Waits for `work`, but not longer than `limit`; `None` when the time was over. The
/// timer is only started when the work has to wait at all.
pub(super) async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    let mut timer = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        let timer = timer.get_or_insert_with(|| clock.sleep(limit));
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

/// Wakes workers when something was committed. A hint only: they also look by themselves.
#[derive(Debug, Default)]
pub(super) struct Signal {
    raised: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
}

impl Signal {
    pub(super) fn raise(&self) {
        self.raised.fetch_add(1, Ordering::Release);
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How often it was raised so far.
    pub(super) fn count(&self) -> u64 {
        self.raised.load(Ordering::Acquire)
    }

    /// Ready once it was raised after `seen`.
    pub(super) fn poll(&self, seen: u64, waker: &Waker) -> Poll<()> {
        if self.count() != seen {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        drop(waiting);
        // It may have been raised between the look and the registration.
        if self.count() != seen {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}
