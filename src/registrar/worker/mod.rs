//! What runs by itself, in lanes that do not wait for one another.

pub(in crate::registrar) mod alerts;
pub(in crate::registrar) mod audit_log;
pub(in crate::registrar) mod notices;
pub(in crate::registrar) mod relay;
pub(in crate::registrar) mod retention;
pub(in crate::registrar) mod run;
pub(in crate::registrar) mod timers;
