//! Who may do what: asked before anything is done, and who lacks it is recorded.

use super::Error;
use super::admin::Admin;
use crate::enrollment::Change;
use crate::ids::EnrollmentId;
use crate::reason::{Note, Permission};
use crate::record::Fact;

impl Admin<'_> {
    /// Whether this person may do that.
    pub fn may(&self, what: Permission) -> bool {
        let permissions = self.registrar.inner.permissions.as_ref();
        permissions.is_none_or(|permissions| permissions.may(self.person(), what))
    }

    /// Goes on only with a permission; that somebody lacks it is recorded.
    pub(super) async fn allow(
        &self,
        permission: Permission,
        about: Option<EnrollmentId>,
    ) -> Result<(), Error> {
        if self.may(permission) {
            return Ok(());
        }
        let now = self.registrar.now();
        tracing::warn!(%permission, "an admin tried what they may not do");
        if let Some(unrecorded) = self.registrar.inner.forbidden.admit(now) {
            let fact = Fact::ActionRefused {
                permission,
                unrecorded,
            };
            let mut record = self.record(fact, now);
            // It changes nothing about the enrollment, and does not belong to its history.
            record.note = about.map(|id| Note::new(format!("enrollment {id}")));
            let written = self.registrar.commit(Change::records_only(vec![record]));
            if let Err(error) = self.registrar.within(written).await {
                tracing::error!(%error, "the refusal could not be recorded");
            }
        }
        Err(Error::Forbidden(permission))
    }
}
