//! Who may open what: independent grants, and the question asked of them.
//!
//! A learner's access to a course is the union of their live grants. Ending one
//! grant leaves the others untouched, and a restriction this version does not
//! know denies.

mod card;
mod cover;
mod grant;
mod level;
mod network;
mod question;
mod restriction;
mod terms;

pub use card::{CardAction, CardText, CardView, LearnerCard, learner_card};
pub use cover::{Cover, cover};
pub use grant::{EndReason, Grant, GrantSource, GrantState};
pub use level::{AccessLevel, Kinds, ResourceKind};
pub use network::{Network, NetworkError};
pub use question::{
    AccessDecision, AccessPolicy, Context, DenyReason, Question, StandardAccess, Visitor,
    best_access, decide,
};
pub use restriction::{Restriction, RestrictionKind};
pub use terms::Terms;
