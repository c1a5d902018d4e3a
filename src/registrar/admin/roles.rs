//! Who may do what: asked before anything is done, and who lacks it is recorded.

use crate::event::EventKind;
use crate::registrar::admin::handle::Admin;
use crate::registrar::error::Error;
use crate::vocabulary::reason::{Permission, SecurityEvent};
use crate::vocabulary::{EnrollmentId, Note};

impl Admin<'_> {
    /// Whether this person may do that.
    pub fn may(&self, what: Permission) -> bool {
        let permissions = self.registrar.inner.permissions.as_ref();
        permissions.is_none_or(|permissions| permissions.may(self.person(), what))
    }

    /// Goes on only with a permission; that somebody lacks it is recorded.
    pub(crate) async fn allow(
        &self,
        permission: Permission,
        about: Option<EnrollmentId>,
    ) -> Result<(), Error> {
        if self.may(permission) {
            return Ok(());
        }
        let now = self.registrar.now();
        tracing::warn!(%permission, "an admin tried what they may not do");
        let refused = |unrecorded| {
            let kind = EventKind::ActionRefused {
                permission,
                unrecorded,
            };
            let mut event = self.event(kind, now);
            // It changes nothing about the enrollment, and does not belong to its history.
            event.note = about.map(|id| Note::new(format!("enrollment {id}")));
            event
        };
        let admitted = self.registrar.inner.forbidden.admit(now);
        self.registrar
            .note_event(SecurityEvent::ActionRefused, admitted, now, refused)
            .await;
        Err(Error::Forbidden(permission))
    }
}
