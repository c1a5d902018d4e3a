//! The registrar itself: what it is made of, and what every use case needs of it.

use crate::registrar::parts::alert_state::AlertState;
use crate::registrar::parts::caught::caught;
use crate::registrar::parts::deadline::Signal;
use crate::registrar::parts::denial_log::DenialLog;
use crate::registrar::parts::heartbeat::Heartbeat;
use crate::registrar::parts::key_log::KeyLog;
use crate::registrar::parts::provider::Provider;
use crate::registrar::parts::route::Route;
use crate::registrar::parts::security_log::{EventLog, HintLimit};
use crate::registrar::parts::shared::Sharing;
use crate::registrar::parts::subscriber::Subscriber;
use crate::registrar::parts::time::CommonClock;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::access::AccessPolicy;
use crate::approval::ApprovalPolicy;
use crate::config::Config;
use crate::detect::MethodDetector;
use crate::enrollment::TransitionGuard;
use crate::port::{Clock, NotificationChannel, Permissions};
use crate::readiness::ReadinessRule;
use crate::store::{Queries, Store};
use crate::vocabulary::{CourseId, EvidenceLevel};
use crate::webhook::Verifier;

use crate::registrar::error::Error;
use crate::registrar::parts::panics::HostPart;
use crate::registrar::parts::provider::ProviderHealth;

/// Times a lost race is decided again.
pub(in crate::registrar) const ROUNDS: usize = 8;

/// Enrolls learners, receives webhooks, decides, and says who may enter. Cheap to
/// clone; every clone is the same registrar.
#[derive(Clone)]
pub struct Registrar {
    pub(in crate::registrar) inner: Arc<Inner>,
}

pub(in crate::registrar) struct Inner {
    pub(in crate::registrar) config: Config,
    pub(in crate::registrar) verifier: Verifier,
    pub(in crate::registrar) minimum: EvidenceLevel,
    pub(in crate::registrar) store: Arc<dyn Store>,
    pub(in crate::registrar) events: Arc<dyn Queries>,
    pub(in crate::registrar) provider: Option<Arc<Provider>>,
    pub(in crate::registrar) subscribers: Vec<Subscriber>,
    pub(in crate::registrar) channels: Vec<Arc<dyn NotificationChannel>>,
    pub(in crate::registrar) clock: Arc<CommonClock>,
    pub(in crate::registrar) sharing: Sharing,
    pub(in crate::registrar) detector: Arc<dyn MethodDetector>,
    pub(in crate::registrar) policy: Arc<dyn ApprovalPolicy>,
    pub(in crate::registrar) guard: Arc<dyn TransitionGuard>,
    pub(in crate::registrar) access: Arc<dyn AccessPolicy>,
    pub(in crate::registrar) courses: Arc<dyn CourseCatalog>,
    pub(in crate::registrar) permissions: Option<Arc<dyn Permissions>>,
    pub(in crate::registrar) forbidden: EventLog,
    pub(in crate::registrar) refused: EventLog,
    pub(in crate::registrar) repeated: EventLog,
    pub(in crate::registrar) probed: EventLog,
    pub(in crate::registrar) denials: DenialLog,
    pub(in crate::registrar) doubled: EventLog,
    pub(in crate::registrar) hints: HintLimit,
    pub(in crate::registrar) keys: KeyLog,
    pub(in crate::registrar) pulse: Heartbeat,
    /// What readiness says of settings and parts, the gravest first.
    pub(in crate::registrar) standing: Vec<ReadinessRule>,
    pub(in crate::registrar) tower: Arc<AlertState>,
    pub(in crate::registrar) sinks: Vec<Route>,
    pub(in crate::registrar) wake: Signal,
}

/// Which courses the host offers. A closure will do; without one every course is offered.
pub trait CourseCatalog: Send + Sync + 'static {
    /// Whether this course can be enrolled in and approved now.
    fn offers(&self, course: &CourseId) -> bool;
}

impl<F> CourseCatalog for F
where
    F: Fn(&CourseId) -> bool + Send + Sync + 'static,
{
    fn offers(&self, course: &CourseId) -> bool {
        self(course)
    }
}

impl Registrar {
    pub(in crate::registrar) fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// A wait by the same clock.
    #[cfg(feature = "live")]
    pub(crate) fn sleep(&self, duration: std::time::Duration) -> crate::port::Sleep {
        self.inner.clock.sleep(duration)
    }

    /// Runs a use case within the outer deadline.
    pub(in crate::registrar) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let inner = &self.inner;
        // Kilobytes, often: pinned here, and not moved from call to call.
        let work = pin!(work);
        let work = caught(self.watched(), HostPart::Other, work);
        match crate::registrar::parts::deadline::within(
            inner.clock.as_ref(),
            inner.config.deadline,
            work,
        )
        .await
        {
            Some(Ok(done)) => done,
            Some(Err(panicked)) => Err(panicked.into()),
            None => Err(Error::DeadlineExceeded),
        }
    }

    /// Who is told when something of the host's panics.
    pub(in crate::registrar) fn watched(&self) -> (&AlertState, &dyn Clock) {
        (&self.inner.tower, self.inner.clock.as_ref())
    }

    /// How the provider does; `None` without one.
    pub fn provider_health(&self) -> Option<ProviderHealth> {
        self.inner
            .provider
            .as_ref()
            .map(|provider| provider.health())
    }

    /// The names of the parts that are meant for tests only: such a registrar must
    /// not handle real money.
    pub fn test_doubles(&self) -> Vec<&'static str> {
        let inner = &self.inner;
        let mut found = Vec::new();
        let mut note = |is_double, name| {
            if is_double {
                found.push(name);
            }
        };
        note(inner.store.is_test_double(), "store");
        note(
            inner
                .provider
                .as_ref()
                .is_some_and(|provider| provider.gateway().capabilities().is_test_double),
            "gateway",
        );
        note(
            inner.subscribers.iter().any(Subscriber::is_test_double),
            "publisher",
        );
        note(inner.clock.is_test_double(), "clock");
        found
    }
}

impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("store", &self.inner.store)
            .field(
                "gateway",
                &self
                    .inner
                    .provider
                    .as_ref()
                    .map(|provider| provider.gateway()),
            )
            .field("minimum_evidence", &self.inner.minimum)
            .finish_non_exhaustive()
    }
}
