//! May this learner open this? And what does the course card show?

use super::{Error, Registrar};
use crate::access::{
    AccessDecision, CardView, LearnerCard, Question, ResourceKind, decide, learner_card,
};
use crate::ids::{CourseId, LearnerId};
use crate::port::Lookup;

impl Registrar {
    /// Answers from the union of the learner's live grants, with the reason.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::DeadlineExceeded`]: then do not let them in.
    pub async fn access(&self, question: &Question) -> Result<AccessDecision, Error> {
        self.within(async {
            let grants = self
                .inner
                .store
                .grants(&question.learner, &question.course)
                .await?;
            Ok(decide(
                &grants,
                question,
                self.inner.access.as_ref(),
                self.now(),
            ))
        })
        .await
    }

    /// What the course card shows this learner; `None` for somebody who is not signed in.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::DeadlineExceeded`].
    pub async fn learner_card(
        &self,
        learner: Option<&LearnerId>,
        course: &CourseId,
    ) -> Result<LearnerCard, Error> {
        self.within(async {
            let denied = AccessDecision::Deny {
                reason: crate::access::DenyReason::NoGrant,
            };
            let Some(learner) = learner else {
                let view = CardView {
                    signed_in: false,
                    enrollment: None,
                    confirming: false,
                    access: &denied,
                };
                return Ok(learner_card(&view));
            };
            let question = Question::new(learner.clone(), course.clone(), ResourceKind::Lesson);
            let case = self
                .inner
                .store
                .load(Lookup::Learner(learner, course))
                .await?
                .case;
            let access = match &case {
                Some(case) => decide(
                    &case.grants,
                    &question,
                    self.inner.access.as_ref(),
                    self.now(),
                ),
                None => {
                    let grants = self.inner.store.grants(learner, course).await?;
                    decide(&grants, &question, self.inner.access.as_ref(), self.now())
                }
            };
            Ok(learner_card(&CardView {
                signed_in: true,
                enrollment: case
                    .as_ref()
                    .map(|case| (&case.enrollment.status, case.attempts.as_slice())),
                confirming: case.as_ref().is_some_and(|case| case.confirming),
                access: &access,
            }))
        })
        .await
    }
}
