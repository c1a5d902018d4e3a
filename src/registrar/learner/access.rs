//! May this learner open this? And what does the course card show?

use serde::Serialize;

use crate::access::{AccessDecision, AccessRequest, DenyReason, Visitor, best_access, decide};
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::learner::card::{CardView, LearnerCard, learner_card};
use crate::store::Lookup;
use crate::vocabulary::{CourseId, EnrollmentId, Version};

/// What one course's card shows one learner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CourseCard {
    /// The course.
    pub course: CourseId,
    /// The learner's enrollment, if there is one.
    pub enrollment: Option<EnrollmentId>,
    /// The version of the enrollment that was read; 0 without one. A front end never shows a
    /// card of a lower version than it has shown.
    pub version: Version,
    /// Button, action, and why.
    pub card: LearnerCard,
}

impl Registrar {
    /// Answers from the union of the learner's live grants, with the reason. Refusals are counted
    /// by reason; that one learner is refused 20 times within ten minutes, from five addresses or
    /// more, is recorded as a security event.
    ///
    /// ```
    /// # use coursegate::{*, access::{AccessRequest, ResourceKind}};
    /// # async fn example(registrar: &Registrar, learner: LearnerId, course: CourseId) -> Result<(), Error> {
    /// let lesson = AccessRequest::new(learner, course, ResourceKind::Lesson);
    /// if registrar.access(&lesson).await?.is_allowed() {
    ///     println!("show the lesson");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::DeadlineExceeded`]: then do not let them in.
    pub async fn access(&self, question: &AccessRequest) -> Result<AccessDecision, Error> {
        let decided = self.within(async {
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
        });
        let decision = decided.await?;
        if let AccessDecision::Deny { reason } = decision {
            // On the heap: the way of those who are let in is not to be larger for it.
            Box::pin(self.note_denial(question, reason)).await;
        }
        Ok(decision)
    }

    /// What the course card shows this visitor; `None` for somebody who is not signed in.
    ///
    /// Give it the same context as the question of access, so that who is let in never sees a
    /// grey button.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::DeadlineExceeded`].
    pub async fn learner_card(
        &self,
        visitor: Option<&Visitor>,
        course: &CourseId,
    ) -> Result<LearnerCard, Error> {
        Ok(self.course_card(visitor, course).await?.card)
    }

    /// The same, with the enrollment it was read from.
    ///
    /// # Errors
    /// [`Error::Store`] or [`Error::DeadlineExceeded`].
    pub async fn course_card(
        &self,
        visitor: Option<&Visitor>,
        course: &CourseId,
    ) -> Result<CourseCard, Error> {
        if let Some(visitor) = visitor {
            return self.within(self.card_now(visitor, course)).await;
        }
        let access = AccessDecision::Deny {
            reason: DenyReason::NoGrant,
        };
        Ok(CourseCard {
            course: course.clone(),
            enrollment: None,
            version: Version::default(),
            card: learner_card(&CardView {
                signed_in: false,
                enrollment: None,
                confirming: false,
                access: &access,
            }),
        })
    }

    async fn card_now(&self, visitor: &Visitor, course: &CourseId) -> Result<CourseCard, Error> {
        let (store, now) = (&self.inner.store, self.now());
        let find = Lookup::Learner(&visitor.learner, course);
        let case = store.load(find).await?.case;
        let loose;
        let grants = match &case {
            Some(case) => &case.grants,
            None => {
                loose = store.grants(&visitor.learner, course).await?;
                &loose
            }
        };
        let access = best_access(grants, visitor, course, self.inner.access.as_ref(), now);
        let card = learner_card(&CardView {
            signed_in: true,
            enrollment: case
                .as_ref()
                .map(|case| (&case.enrollment.status, case.attempts.as_slice())),
            confirming: case.as_ref().is_some_and(|case| case.confirming.is_some()),
            access: &access,
        });
        let enrollment = case.as_ref().map(|case| &case.enrollment);
        Ok(CourseCard {
            course: course.clone(),
            enrollment: enrollment.map(|enrollment| enrollment.id),
            version: enrollment.map_or_else(Version::default, |enrollment| enrollment.version),
            card,
        })
    }
}
