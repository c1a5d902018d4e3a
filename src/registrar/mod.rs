//! The façade: it enrolls, decides and lets in.
//!
//! [`Registrar`] is the only code of the domain that awaits. Its use cases lie in rooms:
//! `webhook` (a callback, from its bytes to the commit), `learner` (enroll, pay, enter), `admin` (what
//! people decide), `worker` (what runs by itself) and `operations` (health, readiness, what processes
//! tell one another). They stand on `core`, the registrar itself, and that on `parts`.
//!
//! # Spans
//! For `tracing`. Their fields name enrollments, references and courses, and nobody.
//!
//! | span | level | fields |
//! |---|---|---|
//! | `coursegate.webhook` | info | `outcome`, `enrollment` |
//! | `coursegate.enroll` | info | `course`, `method`, `enrollment` |
//! | `coursegate.refresh` | info | `reference` |
//! | `coursegate.admin` | info | `enrollment`: something a person decides |
//! | `coursegate.retry` | info | `enrollment`: a callback that waited |
//! | `coursegate.provider` | info | `call`: `create_link`, `status`, `status_by_reference`, `history` or `refund` |
//! | `coursegate.commit` | debug | `enrollment`, `events` |
//! | `coursegate.timer` | debug | `key` |
//! | `coursegate.worker` | debug | `lane` |

mod admin;
mod builder;
mod core;
mod error;
mod learner;
mod operations;
mod parts;
mod webhook;
mod worker;

pub use admin::approvals::{BulkItem, BulkOutcome};
pub use admin::audit_log::AuditLogReport;
pub use admin::explanation::Explanation;
pub use admin::grants::NewGrant;
pub use admin::handle::Admin;
pub use admin::handles::{
    Approvals, AuditLog, Learners, Notices, Operations, Payments, Refunds, Statements,
};
pub use admin::history_sync::HistorySyncReport;
pub use admin::migration::{ExistingAccess, ExistingPayment, Migrated};
pub use admin::personal::{DeliveryExport, EnrollmentExport, LearnerErased, LearnerExport};
#[cfg(feature = "statements")]
pub use admin::preview::StatementPreview;
pub use admin::reconciliation::{ReconciliationCursor, ReconciliationReport};
pub use admin::refunds::{PaymentException, PaymentExceptionKey};
pub use admin::statement::Imported;
pub use admin::suggestions::RowSuggestions;
pub use admin::transfers::{RowApproval, RowOutcome, TransferMatch};
pub use builder::{BuildError, RegistrarBuilder};
pub use error::{Error, ErrorKind};
pub use learner::access::CourseCard;
pub use learner::card::{CardAction, CardText, CardView, LearnerCard, learner_card};
pub use learner::request::{EnrollRequest, Enrolled, NextStep};
pub use operations::health::{Health, HealthStatus, PartHealth};
pub use operations::key_use::KeyUse;
pub use operations::production::NotReady;
pub use parts::panics::HostPart;
pub use parts::provider::{Circuit, ProviderHealth};
pub use parts::receipt::{Outcome, Receipt, Timings};
pub use webhook::payment::PaymentUpdate;
pub use worker::run::{Pass, Worker};

pub use self::core::{CourseCatalog, Registrar};
