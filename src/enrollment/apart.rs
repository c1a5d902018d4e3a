//! Grants apart from any enrollment.

use chrono::{DateTime, TimeDelta, Utc};

use super::case::Case;
use super::delta::Delta;
use super::draft::Draft;
use super::step::{CaseError, StepContext, StepOutcome};
use super::timer::{Timer, TimerKey};
use crate::access::{Grant, GrantState};
use crate::event::{Event, EventKind};
use crate::vocabulary::IdGenerator;

impl Case {
    /// Puts down what became of a grant apart from the enrollment, and looks again at the money and
    /// the renewals that came beside it.
    ///
    /// # Errors
    /// [`CaseError::Refused`].
    pub fn set_apart(
        self,
        grant: Grant,
        kind: EventKind,
        step: &StepContext<'_>,
    ) -> Result<StepOutcome, CaseError> {
        let step = &step.not_before(&grant);
        let mut draft = self.draft(step);
        // It is none of the enrollment's own: an erasure finds its events by the grant.
        draft.record(kind).enrollment = None;
        draft.set_grant(grant);
        draft.reconsider()?;
        Ok(draft.finish_if_any())
    }
}

impl Draft<'_> {
    fn set_grant(&mut self, grant: Grant) {
        let grant = changed_at(grant, self.now());
        self.timers.push(timer(&grant));
        let grants = &mut self.case.grants;
        let at = match grants.iter().position(|known| known.id == grant.id) {
            Some(known) => {
                grants[known] = grant;
                known
            }
            None => {
                grants.push(grant);
                grants.len() - 1
            }
        };
        self.touch_grant(at);
    }
}

impl Delta {
    /// What became of a grant apart from any enrollment, of a learner who has none in the course.
    pub fn apart(grant: Grant, kind: EventKind, step: &StepContext<'_>) -> Self {
        let now = step.not_before(&grant).now;
        let grant = changed_at(grant, now);
        let id = IdGenerator::new(now).event();
        let event = Event::new(id, kind, step.who.clone(), step.source, now);
        let mut event = event.about(grant.learner.clone(), grant.course.clone());
        event.note.clone_from(step.note);
        Self {
            timers: vec![timer(&grant)],
            grants: vec![grant],
            events: vec![event],
            ..Self::default()
        }
    }
}

impl StepContext<'_> {
    /// The same step, not before a grant was given: the clock of the instance that gave it may be
    /// ahead of this one's.
    fn not_before(&self, grant: &Grant) -> Self {
        let given = grant.id.made_at().map(|millisecond| {
            let within = millisecond..millisecond + TimeDelta::milliseconds(1);
            match within.contains(&grant.starts_at) {
                true => grant.starts_at,
                false => millisecond,
            }
        });
        Self {
            now: given.map_or(self.now, |given| self.now.max(given)),
            ..*self
        }
    }
}

/// A grant that ends does so at the time of the step.
fn changed_at(mut grant: Grant, now: DateTime<Utc>) -> Grant {
    if let GrantState::Ended { at, .. } = &mut grant.state {
        *at = now;
    }
    grant
}

fn timer(grant: &Grant) -> Timer {
    Timer {
        key: TimerKey::Grant(grant.id),
        due_at: grant.expires_at.filter(|_| grant.state == GrantState::Live),
    }
}
