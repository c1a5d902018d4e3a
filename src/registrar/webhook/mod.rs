//! A callback, from its bytes to the commit: `receive` first, `incoming` reads, `payment` decides,
//! `inbox` keeps what cannot be decided yet.

pub(in crate::registrar) mod inbox;
pub(in crate::registrar) mod incoming;
pub(in crate::registrar) mod payment;
pub(in crate::registrar) mod receive;
pub(in crate::registrar) mod security;
