//! What operators see: health, readiness, the use of keys, and what processes tell one another.

pub(in crate::registrar) mod health;
pub(in crate::registrar) mod key_use;
pub(in crate::registrar) mod production;
pub(in crate::registrar) mod sharing;
