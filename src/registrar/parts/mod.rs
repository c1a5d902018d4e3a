//! What a registrar is made of. Nothing here knows the registrar.

pub(in crate::registrar) mod alert_state;
pub(in crate::registrar) mod caught;
pub(in crate::registrar) mod deadline;
pub(in crate::registrar) mod denial_log;
pub(in crate::registrar) mod heartbeat;
pub(in crate::registrar) mod key_log;
pub(in crate::registrar) mod look_up;
pub(in crate::registrar) mod looks;
pub(in crate::registrar) mod meter;
pub(in crate::registrar) mod panics;
pub(in crate::registrar) mod provider;
pub(in crate::registrar) mod receipt;
pub(in crate::registrar) mod route;
pub(in crate::registrar) mod security_log;
pub(in crate::registrar) mod shared;
pub(in crate::registrar) mod subscriber;
pub(in crate::registrar) mod system;
pub(in crate::registrar) mod time;
