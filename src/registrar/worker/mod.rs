pub(in crate::registrar) mod alerts;
pub(in crate::registrar) mod audit_log;
pub(in crate::registrar) mod notices;
pub(in crate::registrar) mod relay;
pub(in crate::registrar) mod retention;
pub(in crate::registrar) mod run;
pub(in crate::registrar) mod timers;
