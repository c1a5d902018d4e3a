//! What a learner does: enroll, go and pay, enter, leave.

pub(in crate::registrar) mod access;
pub(in crate::registrar) mod card;
pub(in crate::registrar) mod checkout;
pub(in crate::registrar) mod denials;
pub(in crate::registrar) mod link;
pub(in crate::registrar) mod request;
