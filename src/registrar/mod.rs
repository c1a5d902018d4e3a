//! The façade: it enrolls, decides and lets in.
//!
//! [`Registrar`] is the only code of the domain that awaits. Each use case is one
//! file: `checkout`, `webhook`, `entrance`, `admin`, `worker`.
//!
//! # Spans
//! For `tracing`. Their fields name enrollments, references and courses, and nobody.
//!
//! | span | level | fields |
//! |---|---|---|
//! | `coursegate.webhook` | info | `outcome`, `enrollment` |
//! | `coursegate.enroll` | info | `course`, `method`, `enrollment` |
//! | `coursegate.confirm` | info | `reference` |
//! | `coursegate.desk` | info | `enrollment`: something a person decides |
//! | `coursegate.retry` | info | `enrollment`: a callback that waited |
//! | `coursegate.provider` | info | `call`: `create_link`, `status`, `status_by_reference`, `history` or `refund` |
//! | `coursegate.commit` | debug | `enrollment`, `events` |
//! | `coursegate.timer` | debug | `key` |
//! | `coursegate.worker` | debug | `lane` |

mod access;
mod admin;
mod audit_log;
mod builder;
mod card;
mod caught;
mod checkout;
mod deadline;
mod denials;
mod error;
mod explanation;
mod grants;
mod health;
mod history_sync;
mod inbox;
mod incoming;
mod key_use;
mod link;
mod looks;
mod meter;
mod migration;
mod money;
mod notices;
mod payment;
mod personal;
#[cfg(feature = "statements")]
mod preview;
mod production;
mod provider;
mod receipt;
mod reconciliation;
mod relay;
mod request;
mod retention;
mod roles;
mod security;
mod sharing;
mod statement;
mod suggestions;
mod time;
mod timers;
mod transfers;
mod watch;
mod webhook;
mod worker;

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
use crate::vocabulary::CourseId;
use crate::vocabulary::EvidenceLevel;
use crate::webhook::Verifier;

pub use access::CourseCard;
pub use admin::{Admin, BulkItem, BulkOutcome};
pub use audit_log::AuditLogReport;
pub use builder::{BuildError, RegistrarBuilder};
pub use card::{CardAction, CardText, CardView, LearnerCard, learner_card};
pub use caught::HostPart;
pub use error::{Error, ErrorKind};
pub use explanation::Explanation;
pub use grants::NewGrant;
pub use health::{Health, HealthStatus, PartHealth};
pub use history_sync::HistorySyncReport;
pub use key_use::KeyUse;
pub use migration::{ExistingAccess, ExistingPayment, Migrated};
pub use money::{PaymentException, PaymentExceptionKey};
pub use payment::PaymentUpdate;
pub use personal::{DeliveryExport, EnrollmentExport, LearnerErased, LearnerExport};
#[cfg(feature = "statements")]
pub use preview::StatementPreview;
pub use production::NotReady;
pub use provider::{Circuit, ProviderHealth};
pub use receipt::{Outcome, Receipt, Timings};
pub use reconciliation::{ReconciliationCursor, ReconciliationReport};
pub use request::{EnrollRequest, Enrolled, NextStep};
pub use statement::Imported;
pub use suggestions::RowSuggestions;
pub use transfers::{RowApproval, RowOutcome, TransferMatch};
pub use worker::{Pass, Worker};

/// Enrolls learners, receives webhooks, decides, and says who may enter. Cheap to
/// clone; every clone is the same registrar.
#[derive(Clone)]
pub struct Registrar {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    verifier: Verifier,
    minimum: EvidenceLevel,
    store: Arc<dyn Store>,
    events: Arc<dyn Queries>,
    provider: Option<Arc<provider::Provider>>,
    subscribers: Vec<relay::Subscriber>,
    channels: Vec<Arc<dyn NotificationChannel>>,
    clock: Arc<time::CommonClock>,
    sharing: sharing::Sharing,
    detector: Arc<dyn MethodDetector>,
    policy: Arc<dyn ApprovalPolicy>,
    guard: Arc<dyn TransitionGuard>,
    access: Arc<dyn AccessPolicy>,
    courses: Arc<dyn CourseCatalog>,
    permissions: Option<Arc<dyn Permissions>>,
    forbidden: security::EventLog,
    refused: security::EventLog,
    repeated: security::EventLog,
    probed: security::EventLog,
    denials: denials::DenialLog,
    doubled: security::EventLog,
    hints: security::HintLimit,
    keys: key_use::KeyLog,
    pulse: health::Heartbeat,
    /// What readiness says of settings and parts, the gravest first.
    standing: Vec<ReadinessRule>,
    tower: Arc<watch::AlertState>,
    sinks: Vec<builder::Route>,
    wake: deadline::Signal,
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
    fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// A wait by the same clock.
    #[cfg(feature = "live")]
    pub(crate) fn sleep(&self, duration: std::time::Duration) -> crate::port::Sleep {
        self.inner.clock.sleep(duration)
    }

    /// Runs a use case within the outer deadline.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let inner = &self.inner;
        // Kilobytes, often: pinned here, and not moved from call to call.
        let work = pin!(work);
        let work = caught::caught(self.watched(), HostPart::Other, work);
        match deadline::within(inner.clock.as_ref(), inner.config.deadline, work).await {
            Some(Ok(done)) => done,
            Some(Err(panicked)) => Err(panicked.into()),
            None => Err(Error::DeadlineExceeded),
        }
    }

    /// Who is told when something of the host's panics.
    fn watched(&self) -> (&watch::AlertState, &dyn Clock) {
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
            inner
                .subscribers
                .iter()
                .any(relay::Subscriber::is_test_double),
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
