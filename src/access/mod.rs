//! Who may open what: independent grants, and the question asked of them.
//!
//! A learner's access to a course is the union of their live grants. Ending one
//! grant leaves the others untouched, and a restriction this version does not
//! know denies.

mod context;
mod cover;
mod denial;
mod end_reason;
mod grant;
mod level;
mod network;
mod question;
mod restriction;
mod terms;

pub use context::{RequestContext, Visitor};
pub use cover::{Cover, cover, cover_to_come};
pub use denial::{DenyReason, RestrictionKind};
pub use end_reason::EndReason;
pub use grant::{Grant, GrantSource, GrantState};
pub use level::{AccessLevel, ResourceKind, ResourceKinds};
pub use network::{Network, NetworkError};
pub use question::{
    AccessDecision, AccessPolicy, AccessRequest, StandardAccess, best_access, decide,
};
pub use restriction::Restriction;
pub use terms::{AccessTerms, TermsOutline};
