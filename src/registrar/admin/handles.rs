//! What an admin may do, by subject: each handle acts as the admin it was taken from.

use crate::registrar::admin::handle::Admin;

/// Enrollments that wait for a person, and what they decide about them.
///
/// From [`Admin::approvals`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Approvals<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// Payments made and tried, payment exceptions, figures, and what the provider says of them.
///
/// From [`Admin::payments`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Payments<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// Money that went back or is to: recorded, asked for, disputed, reinstated.
///
/// From [`Admin::refunds`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Refunds<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// Bank statements: read, imported, compared with the transfers that are waited for, approved.
///
/// From [`Admin::statements`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Statements<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// One learner: their history and grants, access given and taken, export and erasure of personal data.
///
/// From [`Admin::learners`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Learners<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// The audit log: verified and exported.
///
/// From [`Admin::audit_log`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct AuditLog<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// What operators look after: callbacks that wait or were given up on, reconciliation and its discrepancies.
///
/// From [`Admin::operations`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Operations<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// What this admin is told, has read, and chose to be told of.
///
/// From [`Admin::notices`]; it acts as that admin.
#[derive(Debug, Clone)]
pub struct Notices<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

impl<'r> Admin<'r> {
    /// Enrollments that wait for a person, and what they decide about them.
    pub fn approvals(&self) -> Approvals<'r> {
        Approvals {
            admin: self.clone(),
        }
    }

    /// Payments made and tried, payment exceptions, figures, and what the provider says of them.
    pub fn payments(&self) -> Payments<'r> {
        Payments {
            admin: self.clone(),
        }
    }

    /// Money that went back or is to: recorded, asked for, disputed, reinstated.
    pub fn refunds(&self) -> Refunds<'r> {
        Refunds {
            admin: self.clone(),
        }
    }

    /// Bank statements: read, imported, compared with the transfers that are waited for, approved.
    pub fn statements(&self) -> Statements<'r> {
        Statements {
            admin: self.clone(),
        }
    }

    /// One learner: their history and grants, access given and taken, export and erasure of personal data.
    pub fn learners(&self) -> Learners<'r> {
        Learners {
            admin: self.clone(),
        }
    }

    /// The audit log: verified and exported.
    pub fn audit_log(&self) -> AuditLog<'r> {
        AuditLog {
            admin: self.clone(),
        }
    }

    /// What operators look after: callbacks that wait or were given up on, reconciliation and its discrepancies.
    pub fn operations(&self) -> Operations<'r> {
        Operations {
            admin: self.clone(),
        }
    }

    /// What this admin is told, has read, and chose to be told of.
    pub fn notices(&self) -> Notices<'r> {
        Notices {
            admin: self.clone(),
        }
    }
}
