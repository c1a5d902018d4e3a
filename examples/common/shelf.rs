//! What the server keeps in memory for a person for a while: a file that is looked at, or what came
//! of a click.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use coursegate::AdminId;

/// How long things are kept.
const KEPT: Duration = Duration::from_secs(3600);

/// Things, each under a name that nobody guesses. When there is no more room, the oldest goes.
pub struct Shelf<T> {
    kept: Mutex<VecDeque<Kept<T>>>,
    room: usize,
}

struct Kept<T> {
    name: String,
    of: AdminId,
    since: Instant,
    thing: T,
}

impl<T: Clone> Shelf<T> {
    pub fn new(room: usize) -> Self {
        Self {
            kept: Mutex::default(),
            room,
        }
    }

    /// Keeps something, and gives its name.
    pub fn put(&self, of: &AdminId, thing: T) -> String {
        let name = uuid::Uuid::new_v4().to_string();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|it| it.since.elapsed() < KEPT);
        while kept.len() >= self.room {
            kept.pop_front();
        }
        kept.push_back(Kept {
            name: name.clone(),
            of: of.clone(),
            since: Instant::now(),
            thing,
        });
        name
    }

    /// What a person has under a name.
    pub fn get(&self, of: &AdminId, name: &str) -> Option<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = kept.iter();
        let found = kept.find(|it| it.name == name && it.of == *of && it.since.elapsed() < KEPT);
        found.map(|it| it.thing.clone())
    }

    /// Changes what a person has under a name, if it is still there.
    #[cfg(feature = "statements")]
    pub fn change(&self, of: &AdminId, name: &str, change: impl FnOnce(&mut T)) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = kept.iter_mut();
        if let Some(found) = kept.find(|it| it.name == name && it.of == *of) {
            change(&mut found.thing);
        }
    }
}
