//! What this process tells the others through the store, and hears of them.

use crate::registrar::parts::shared::State;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::monitor::{Counted, Tallied, Tally};
use crate::registrar::core::Registrar;
use crate::store::Share;

/// How often the others are heard of.
const EVERY: TimeDelta = TimeDelta::seconds(5);
/// What was heard of is asked for again for so long: it may have been on its way.
const AGAIN: Duration = Duration::from_secs(30);
/// For how long the use of a secret is kept, at least.
const KEEP: Duration = Duration::from_secs(48 * 3600);
/// How often the others are told that a worker of this process looks at its work.
const WORKER_EVERY: TimeDelta = TimeDelta::seconds(60);

impl State {
    /// What is to be told: the same again until it has arrived.
    fn leave(&mut self, registrar: &Registrar) -> Vec<Tally> {
        if let Some(leaving) = &self.leaving {
            return leaving.clone();
        }
        let tally = |of, times, most| Tally {
            process: self.process,
            number: self.number,
            of,
            times,
            most,
        };
        let signals = registrar.inner.tower.leave().into_iter();
        let signals =
            signals.map(|(signal, times, most)| tally(Counted::Signal(signal), times, most));
        let keys = registrar.inner.keys.callbacks();
        let keys = keys.filter_map(|(label, callbacks)| {
            let told = self.told.get(label).copied().unwrap_or_default();
            let times = callbacks.saturating_sub(told);
            (times > 0).then(|| tally(Counted::Key(label.clone()), times, 0))
        });
        let now = registrar.now();
        let due = |told: DateTime<Utc>| now - told >= WORKER_EVERY || told > now;
        let is_due = registrar.works_here(now) && self.worker_told.is_none_or(due);
        let worker = is_due.then(|| tally(Counted::Worker, 1, 0));
        let leaving: Vec<Tally> = signals.chain(keys).chain(worker).collect();
        if is_due {
            self.worker_told = Some(now);
        }
        if !leaving.is_empty() {
            self.leaving = Some(leaving.clone());
        }
        leaving
    }

    /// What was to be told is in the store.
    fn arrived(&mut self) {
        for tally in self.leaving.take().into_iter().flatten() {
            if let Counted::Key(label) = tally.of {
                *self.told.entry(label).or_default() += tally.times;
            }
        }
        self.number += 1;
    }

    fn learn(&mut self, heard: Tallied, registrar: &Registrar, now: DateTime<Utc>) {
        let Tallied { tally, age } = heard;
        let key = (tally.process, tally.number, tally.of);
        if self.known.insert(key.clone(), now).is_some() {
            return;
        }
        let at = TimeDelta::from_std(age)
            .ok()
            .and_then(|age| now.checked_sub_signed(age));
        let at = at.unwrap_or(now);
        match key.2 {
            Counted::Signal(signal) => {
                registrar
                    .inner
                    .tower
                    .learn(signal, tally.times, tally.most, at);
            }
            Counted::Key(label) => {
                let (times, last) = self.used.entry(label).or_insert((0, at));
                *times += tally.times;
                *last = at.max(*last);
            }
            Counted::Worker => self.worker_seen = self.worker_seen.max(Some(at)),
        }
    }
}

impl Registrar {
    /// Tells the others what was seen here, and hears what they saw, now and then; whether it did.
    pub(in crate::registrar) async fn share_in_time(&self) -> bool {
        let now = self.now();
        let is_time = {
            let state = self.inner.sharing.lock();
            let heard = state.heard_at;
            state.hear_now || heard.is_none_or(|heard| now - heard >= EVERY || heard > now)
        };
        is_time && self.share().await
    }

    /// The same, now; `false` when the store cannot be reached.
    pub(in crate::registrar) async fn share(&self) -> bool {
        let inner = &self.inner;
        let keep = inner.tower.reach().max(KEEP);
        let (tallies, within) = {
            let mut state = inner.sharing.lock();
            let within = match state.heard_at {
                None => keep,
                Some(heard) => (self.now() - heard).to_std().unwrap_or_default() + AGAIN,
            };
            (state.leave(self), within)
        };
        let share = Share {
            tallies: &tallies,
            now: self.now(),
            within,
            keep,
        };
        let before = inner.clock.own();
        let shared = self
            .within(async { Ok(inner.store.share(share).await?) })
            .await;
        let shared = match shared {
            Ok(shared) => shared,
            Err(error) => {
                tracing::warn!(error = %error.in_full(), "what other processes see is not known");
                return false;
            }
        };
        if let Some(store) = shared.now {
            inner.clock.compare(before, store, inner.clock.own());
        }
        let now = self.now();
        let mut state = inner.sharing.lock();
        if !tallies.is_empty() && state.leaving.as_ref() == Some(&tallies) {
            inner.tower.arrived();
            state.arrived();
        }
        for heard in shared.tallies {
            state.learn(heard, self, now);
        }
        let recent = |at: &DateTime<Utc>| now - *at < TimeDelta::minutes(2);
        state.known.retain(|_, at| recent(at));
        (state.heard_at, state.hear_now) = (Some(now), false);
        inner.tower.stand(&shared.alerts);
        true
    }
}
