use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::vocabulary::CourseId;

/// What wakes one stream.
#[derive(Default)]
pub(super) struct Listener {
    pub(super) courses: BTreeSet<CourseId>,
    pub(super) woken: Mutex<BTreeSet<CourseId>>,
    pub(super) notify: Notify,
}

impl Listener {
    pub(super) fn wake(&self, course: &CourseId) {
        if self.courses.contains(course) {
            let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
            woken.insert(course.clone());
            drop(woken);
            self.notify.notify_one();
        }
    }

    pub(super) fn wake_all(&self) {
        for course in &self.courses {
            self.wake(course);
        }
    }

    pub(super) fn take(&self) -> BTreeSet<CourseId> {
        std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
