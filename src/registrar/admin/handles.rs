//! What an admin may do, by subject: each handle acts as the admin it was taken from.

use crate::registrar::admin::handle::Admin;

/// Enrollments that wait for a person, and what they decide about them.
///
/// From [`Admin::approvals`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, store::PageRequest};
/// # async fn example(admin: &Admin<'_>) -> Result<(), Error> {
/// let mut next = PageRequest::first(50);
/// loop {
///     let page = admin.approvals().pending(next).await?;
///     for item in &page.items {
///         println!("{} waits: {}", item.enrollment.id, item.enrollment.status);
///     }
///     // What the page showed is approved, and nothing that came since.
///     if let Some(item) = page.items.first() {
///         let (id, shown) = (item.enrollment.id, item.enrollment.version);
///         admin.approvals().approve_shown(id, shown, "seen at the bank").await?;
///     }
///     match page.next {
///         Some(after) => next = PageRequest::after(after, 50),
///         None => break,
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Approvals<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// Payments made and tried, payment exceptions, figures, and what the provider says of them.
///
/// From [`Admin::payments`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, payment::AttemptStatus, store::{PageRequest, PaymentFilter}};
/// # async fn example(admin: &Admin<'_>) -> Result<(), Error> {
/// let paid = PaymentFilter { status: Some(AttemptStatus::Paid), ..PaymentFilter::default() };
/// for item in admin.payments().list(&paid, PageRequest::first(50)).await?.items {
///     println!("{} {}", item.attempt.reference, item.attempt.amount);
/// }
/// for exception in admin.payments().exceptions(PageRequest::first(50)).await?.items {
///     println!("somebody has to decide: {exception:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Payments<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// Money that went back or is to: recorded, asked for, disputed, reinstated.
///
/// From [`Admin::refunds`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, Money, PaymentReference};
/// # async fn example(admin: &Admin<'_>, payment: PaymentReference, part: Money) -> Result<(), Error> {
/// // A part that went back in the provider's dashboard, with what proves it …
/// admin.refunds().record_partial(&payment, part, "dashboard 4711").await?;
/// // … and the rest. The access that the payment gave ends.
/// let status = admin.refunds().record(&payment, "dashboard 4712").await?;
/// println!("{status}");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Refunds<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// Bank statements: read, imported, compared with the transfers that are waited for, approved.
///
/// From [`Admin::statements`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, AccountId, statement::StatementRow, registrar::TransferMatch, store::PageRequest};
/// # async fn example(admin: &Admin<'_>, account: AccountId, rows: Vec<StatementRow>) -> Result<(), Error> {
/// let imported = admin.statements().import(&account, &rows).await?;
/// println!("{} new, {} doubtful", imported.added, imported.doubtful);
/// let matcher = admin.statements().matcher().await?; // what waits, read once for all pages
/// for row in admin.statements().suggestions(&matcher, PageRequest::first(25)).await?.items {
///     if let [only] = row.suggestions.as_slice() {
///         let found = TransferMatch::new(row.entry.id.clone(), only.payment.clone());
///         admin.statements().approve(&[found], "seen at the bank").await;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Statements<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// One learner: their history and grants, access given and taken, export and erasure of personal data.
///
/// From [`Admin::learners`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, LearnerId};
/// # async fn example(admin: &Admin<'_>, learner: LearnerId) -> Result<(), Error> {
/// for event in admin.learners().timeline(&learner).await? {
///     println!("{} {}", event.at, event.kind.name());
/// }
/// for grant in admin.learners().grants(&learner).await? {
///     println!("{} until {:?}", grant.course, grant.expires_at);
/// }
/// let everything = admin.learners().export(&learner).await?; // as JSON, for whoever asks for it
/// # drop(everything);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Learners<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// The audit log: verified and exported.
///
/// From [`Admin::audit_log`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, event::audit_log::Checkpoint};
/// # async fn example(admin: &Admin<'_>, noted: Option<Checkpoint>) -> Result<(), Error> {
/// // `noted` is the newest entry of the last check, kept somewhere else.
/// let report = admin.audit_log().verify(noted).await?;
/// assert!(report.holds(), "somebody tampered: {:?}", report.broken);
/// println!("note this: {:?}", report.newest);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct AuditLog<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// What operators look after: callbacks that wait or were given up on, reconciliation and its discrepancies.
///
/// From [`Admin::operations`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, store::{InboxFilter, PageRequest}};
/// # async fn example(admin: &Admin<'_>) -> Result<(), Error> {
/// for entry in admin.operations().inbox(InboxFilter::Dead, PageRequest::first(20)).await?.items {
///     admin.operations().replay(&entry.key).await?; // the cause is mended: try it again
/// }
/// let report = admin.operations().reconcile(None, 100).await?;
/// println!("{} enrollments compared, {} discrepancies", report.looked_at, report.discrepancies.len());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Operations<'r> {
    pub(in crate::registrar) admin: Admin<'r>,
}

/// What this admin is told, has read, and chose to be told of.
///
/// From [`Admin::notices`]; it acts as that admin.
///
/// ```
/// # use coursegate::{Error, registrar::Admin, store::PageRequest};
/// # async fn example(admin: &Admin<'_>) -> Result<(), Error> {
/// let unread = admin.notices().list(true, PageRequest::first(20)).await?;
/// let ids: Vec<_> = unread.items.iter().map(|item| item.notice.id).collect();
/// admin.notices().mark_read(&ids).await?;
/// # Ok(()) }
/// ```
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
