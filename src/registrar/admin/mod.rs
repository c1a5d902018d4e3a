//! What people do: each subject has a handle, and each call asks for a permission first.

pub(in crate::registrar) mod approvals;
pub(in crate::registrar) mod audit_log;
pub(in crate::registrar) mod explanation;
pub(in crate::registrar) mod grants;
pub(in crate::registrar) mod handle;
pub(in crate::registrar) mod handles;
pub(in crate::registrar) mod history_sync;
pub(in crate::registrar) mod migration;
pub(in crate::registrar) mod notices;
pub(in crate::registrar) mod personal;
#[cfg(feature = "statements")]
pub(in crate::registrar) mod preview;
pub(in crate::registrar) mod reconciliation;
pub(in crate::registrar) mod refunds;
pub(in crate::registrar) mod replay;
pub(in crate::registrar) mod roles;
pub(in crate::registrar) mod statement;
pub(in crate::registrar) mod suggestions;
pub(in crate::registrar) mod transfers;
