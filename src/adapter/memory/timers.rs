//! What falls due by itself. A timer lies with what it is about, so that stopping it costs
//! nothing to speak of; the heap only says where to look, and what it says may be outdated.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};

use super::state::State;
use super::tables::KeptTimer;
use crate::enrollment::{DueTimer, Timer, TimerKey, TimerKind};
use crate::store::{Claim, Work};
use crate::vocabulary::EnrollmentId;

impl State {
    /// `near` is the enrollment that was written with it.
    pub(super) fn set_timer(&mut self, timer: Timer, near: Option<EnrollmentId>) {
        let Timer { key, due_at } = timer;
        match due_at {
            None => {
                let row = near.and_then(|id| self.rows.get_mut(&id));
                let beside = row.and_then(|row| {
                    let at = row.timers.iter().position(|kept| kept.timer.key == key)?;
                    Some(row.timers.swap_remove(at))
                });
                if beside.is_none() {
                    self.take_timer(&key);
                }
            }
            Some(due_at) => self.keep_timer(DueTimer {
                key,
                due_at,
                cursor: None,
            }),
        }
    }

    fn keep_timer(&mut self, timer: DueTimer) {
        self.take_timer(&timer.key);
        let place = Reverse((timer.due_at, timer.key.clone()));
        self.timers.due(timer.key.kind()).push(place);
        let kept = KeptTimer {
            timer,
            leased_until: None,
        };
        match self.timers_beside(&kept.timer.key) {
            Some(timers) => {
                timers.reserve_exact(1);
                timers.push(kept);
            }
            None => drop(self.timers.loose.insert(kept.timer.key.clone(), kept)),
        }
    }

    fn take_timer(&mut self, key: &TimerKey) -> Option<KeptTimer> {
        match self.timers_beside(key) {
            Some(timers) => {
                let at = timers.iter().position(|kept| kept.timer.key == *key)?;
                Some(timers.swap_remove(at))
            }
            None => self.timers.loose.remove(key),
        }
    }

    fn timer(&mut self, key: &TimerKey) -> Option<&mut KeptTimer> {
        if self.timers_beside(key).is_none() {
            return self.timers.loose.get_mut(key);
        }
        let mut timers = self.timers_beside(key)?.iter_mut();
        timers.find(|kept| kept.timer.key == *key)
    }

    fn timers_beside(&mut self, key: &TimerKey) -> Option<&mut Vec<KeptTimer>> {
        let id = match key {
            TimerKey::Attempt(reference) => *self.by_reference.get(reference)?,
            TimerKey::Enrollment(id) => *id,
            TimerKey::Grant(_) | TimerKey::Notice(_) | TimerKey::Job(_) => return None,
        };
        Some(&mut self.rows.get_mut(&id)?.timers)
    }

    pub(super) fn claim_timers(&mut self, kind: TimerKind, claim: &Claim) -> Vec<Work> {
        let mut work = Vec::new();
        let until = claim.now + claim.lease;
        while work.len() < claim.limit
            && let Some(Reverse((at, _))) = self.timers.due(kind).peek()
            && *at <= claim.now
            && let Some(Reverse((at, key))) = self.timers.due(kind).pop()
        {
            let Some(kept) = self.timer(&key) else {
                continue;
            };
            let free_at = kept.leased_until.unwrap_or(kept.timer.due_at);
            if free_at != at {
                continue;
            }
            kept.leased_until = Some(until);
            work.push(Work::Timer(kept.timer.clone()));
            self.timers.due(kind).push(Reverse((until, key)));
        }
        work
    }

    /// Whether the timer is still the one that was claimed.
    fn is_as_claimed(&mut self, claimed: &DueTimer) -> bool {
        self.timer(&claimed.key)
            .is_some_and(|kept| kept.timer.due_at == claimed.due_at)
    }

    pub(super) fn renew(
        &mut self,
        claimed: &DueTimer,
        next_at: DateTime<Utc>,
        cursor: Option<&str>,
    ) {
        if self.is_as_claimed(claimed) {
            self.keep_timer(DueTimer {
                key: claimed.key.clone(),
                due_at: next_at,
                cursor: cursor.map(str::to_owned),
            });
        }
    }

    pub(super) fn finish(&mut self, claimed: &DueTimer) {
        if self.is_as_claimed(claimed) {
            self.take_timer(&claimed.key);
        }
    }

    pub(super) fn ensure(&mut self, key: &TimerKey, due_at: DateTime<Utc>) {
        if self.timer(key).is_none() {
            self.keep_timer(DueTimer {
                key: key.clone(),
                due_at,
                cursor: None,
            });
        }
    }
}
