//! Access that was refused: counted, and noted when somebody tries from many addresses.

use crate::access::{AccessRequest, DenyReason};
use crate::event::EventKind;
use crate::monitor::Signal;
use crate::registrar::core::Registrar;
use crate::registrar::parts::meter;
use crate::registrar::parts::security_log::Admission;
use crate::registrar::parts::system::system_event;
use crate::store::Lookup;
use crate::vocabulary::reason::SecurityEvent;
use crate::vocabulary::{EnrollmentId, Note};

impl Registrar {
    /// Counts a refusal. What is written of it names neither learner nor address, but the
    /// enrollment, if there is one.
    pub(in crate::registrar) async fn note_denial(
        &self,
        question: &AccessRequest,
        reason: DenyReason,
    ) {
        meter::denied(reason);
        let (inner, now) = (&self.inner, self.now());
        if !inner
            .denials
            .note(&question.learner, question.context.ip, now)
        {
            return;
        }
        inner.tower.count(Signal::AccessProbed, now);
        let admitted = inner.probed.admit(now);
        let enrollment = match admitted {
            Admission::Event { .. } => self.enrollment_of(question).await,
            Admission::Flood | Admission::Counted => None,
        };
        tracing::warn!(
            enrollment = enrollment.map(tracing::field::display),
            "a learner is refused often, from many addresses"
        );
        let noted = self.note_event(SecurityEvent::AccessProbing, admitted, now, |unrecorded| {
            let mut event = system_event(EventKind::AccessProbed { unrecorded }, now);
            // It changes nothing about the enrollment, and does not belong to its history; so an
            // erasure would not find the learner in it.
            event.course = Some(question.course.clone());
            event.note = enrollment.map(|id| Note::new(format!("enrollment {id}")));
            event
        });
        noted.await;
    }

    async fn enrollment_of(&self, question: &AccessRequest) -> Option<EnrollmentId> {
        let find = Lookup::Learner(&question.learner, &question.course);
        let found = self
            .within(async { Ok(self.inner.store.load(find).await?) })
            .await;
        Some(found.ok()?.case?.enrollment.id)
    }
}
