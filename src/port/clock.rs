use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// A wait that ends by itself.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Time, as the registrar sees it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// Waits for a while.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// Whether it is meant for tests only.
    fn is_test_double(&self) -> bool;
}

/// The system's clock. Waiting works under any async runtime: one shared timer
/// thread wakes the task.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(futures_timer::Delay::new(duration))
    }

    fn is_test_double(&self) -> bool {
        false
    }
}
