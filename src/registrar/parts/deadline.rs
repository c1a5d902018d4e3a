use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::port::Clock;

/// Waits for `work`, but not longer than `limit`; `None` when the time was over. The
/// timer is only started when the work has to wait at all.
pub(in crate::registrar) async fn within<T>(
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

/// Drives futures side by side, so many at a time; what they give comes in their order.
pub(in crate::registrar) async fn side_by_side<F: Future>(
    futures: Vec<F>,
    most: usize,
) -> Vec<F::Output> {
    let most = most.clamp(1, futures.len().max(1));
    let mut waiting = futures.into_iter().enumerate();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::with_capacity(most);
    let mut done: Vec<(usize, F::Output)> = Vec::with_capacity(waiting.len());
    poll_fn(|context| {
        loop {
            while running.len() < most
                && let Some((at, future)) = waiting.next()
            {
                running.push((at, Box::pin(future)));
            }
            let before = running.len();
            running.retain_mut(|(at, future)| match future.as_mut().poll(context) {
                Poll::Ready(given) => {
                    done.push((*at, given));
                    false
                }
                Poll::Pending => true,
            });
            if running.is_empty() && waiting.len() == 0 {
                return Poll::Ready(());
            }
            // Whatever takes a place that is free now has to be asked once, too.
            if running.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, given)| given).collect()
}

/// Wakes workers when something was committed. A hint only: they also look by themselves.
#[derive(Debug, Default)]
pub(in crate::registrar) struct Signal {
    raised: AtomicU64,
    waiting: Mutex<Vec<Waker>>,
}

impl Signal {
    pub(in crate::registrar) fn raise(&self) {
        self.raised.fetch_add(1, Ordering::Release);
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How often it was raised so far.
    pub(in crate::registrar) fn count(&self) -> u64 {
        self.raised.load(Ordering::Acquire)
    }

    /// Ready once it was raised after `seen`.
    pub(in crate::registrar) fn poll(&self, seen: u64, waker: &Waker) -> Poll<()> {
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
