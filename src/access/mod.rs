//! Who may open what: independent grants, and the question asked of them.
//!
//! A learner's access to a course is the union of their live grants. Ending one
//! grant leaves the others untouched, and a restriction this version does not
//! know denies.

mod card;
mod grant;
mod network;
mod question;
mod restriction;

pub use card::{CardAction, CardText, CardView, LearnerCard, learner_card};
pub use grant::{
    AccessLevel, EndReason, Grant, GrantSource, GrantState, Kinds, ResourceKind, Terms,
};
pub use network::{Network, NetworkError};
pub use question::{
    AccessDecision, AccessPolicy, Context, DenyReason, Question, StandardAccess, decide,
};
pub use restriction::{Restriction, RestrictionKind};
