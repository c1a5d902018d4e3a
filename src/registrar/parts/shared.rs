//! What this process has told the others, and heard of them.

use crate::monitor::{Counted, Tally};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// What this process has told and heard.
#[derive(Debug)]
pub(in crate::registrar) struct Sharing(Mutex<State>);

#[derive(Debug)]
pub(in crate::registrar) struct State {
    pub(in crate::registrar) process: Uuid,
    /// How many times it has told something.
    pub(in crate::registrar) number: u64,
    /// What is on its way, if it is not known whether it arrived.
    pub(in crate::registrar) leaving: Option<Vec<Tally>>,
    /// When the others were last heard of.
    pub(in crate::registrar) heard_at: Option<DateTime<Utc>>,
    /// Whether they are heard of next time, however short ago that was.
    pub(in crate::registrar) hear_now: bool,
    /// What was heard lately, and when.
    pub(in crate::registrar) known: HashMap<(Uuid, u64, Counted), DateTime<Utc>>,
    /// Uses of secrets: how many of this process are told, and how many by anybody, when last.
    pub(in crate::registrar) told: BTreeMap<Arc<str>, u64>,
    pub(in crate::registrar) used: BTreeMap<Arc<str>, (u64, DateTime<Utc>)>,
    /// When it was told that a worker runs here, and when one of any process was seen last.
    pub(in crate::registrar) worker_told: Option<DateTime<Utc>>,
    pub(in crate::registrar) worker_seen: Option<DateTime<Utc>>,
}

impl Sharing {
    pub(in crate::registrar) fn new() -> Self {
        Self(Mutex::new(State {
            process: Uuid::new_v4(),
            number: 0,
            leaving: None,
            heard_at: None,
            hear_now: false,
            known: HashMap::new(),
            told: BTreeMap::new(),
            used: BTreeMap::new(),
            worker_told: None,
            worker_seen: None,
        }))
    }

    pub(in crate::registrar) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The others are heard of next time.
    pub(in crate::registrar) fn forget_time(&self) {
        self.lock().hear_now = true;
    }

    /// When a worker of any process said last that it looks at its work, as far as was heard.
    pub(in crate::registrar) fn worker_seen(&self) -> Option<DateTime<Utc>> {
        self.lock().worker_seen
    }

    /// Callbacks that were signed with a secret, by all processes, and when the last one was;
    /// `here` are those of this process, some of which the others were not told of yet.
    pub(in crate::registrar) fn key_use(
        &self,
        label: &str,
        here: u64,
    ) -> (u64, Option<DateTime<Utc>>) {
        let state = self.lock();
        let told = state.told.get(label).copied().unwrap_or_default();
        let used = state.used.get(label);
        let untold = here.saturating_sub(told);
        let times = used.map_or(0, |(times, _)| *times);
        (times + untold, used.map(|(_, last)| *last))
    }
}
