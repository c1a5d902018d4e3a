use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Hub;
use super::listener::Listener;
use crate::access::Visitor;
use crate::registrar::{CourseCard, Error, LearnerCard, Registrar};
use crate::vocabulary::{CourseId, Note, Version};

/// What a learner's stream says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "update", content = "cards")]
#[non_exhaustive]
pub enum LearnerUpdate {
    /// All cards; the first update of a stream that does not go on after a break.
    Snapshot(Vec<CourseCard>),
    /// The cards that changed.
    Changed(Vec<CourseCard>),
}

impl LearnerUpdate {
    /// The cards, whichever they are.
    pub fn cards(&self) -> &[CourseCard] {
        match self {
            Self::Snapshot(cards) | Self::Changed(cards) => cards,
        }
    }
}

/// What a reader has seen. Given back, the stream goes on from there; it decides nothing about
/// access, and one that was made up only leads to cards that are sent needlessly, or not sent
/// until they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LearnerToken(BTreeMap<CourseId, (Version, u64)>);

#[derive(Clone, Copy)]
enum First {
    Snapshot,
    Changed,
}

/// One learner's cards, as they change. Leaves the hub when it is dropped.
pub struct LearnerStream {
    hub: Hub,
    registrar: Registrar,
    visitor: Visitor,
    listener: Arc<Listener>,
    number: u64,
    seen: LearnerToken,
    /// Whether the first update is still to be sent: all cards, or what changed.
    first: Option<First>,
    /// Cards that could not be read, and are tried again.
    missed: BTreeSet<CourseId>,
}

impl Hub {
    /// Opens a stream of what these courses' cards show a visitor: with the same context that
    /// the question of access is asked with. With the token of an earlier stream it begins with
    /// what changed since then.
    ///
    /// # Errors
    /// The store's errors, from reading the cards.
    pub async fn learner(
        &self,
        registrar: &Registrar,
        visitor: Visitor,
        courses: Vec<CourseId>,
        since: Option<LearnerToken>,
    ) -> Result<LearnerStream, Error> {
        let listener = Arc::new(Listener {
            courses: courses.into_iter().collect(),
            ..Listener::default()
        });
        // It listens before it reads: whatever is committed after that wakes it.
        let number = self.topics().listen(&visitor.learner, listener.clone());
        let stream = LearnerStream {
            hub: self.clone(),
            registrar: registrar.clone(),
            visitor,
            listener,
            number,
            seen: since.clone().unwrap_or_default(),
            first: Some(match since {
                Some(_) => First::Changed,
                None => First::Snapshot,
            }),
            missed: BTreeSet::new(),
        };
        // A host can still answer with an error now, and no longer once it streams.
        for course in &stream.listener.courses {
            stream.read(course).await?;
        }
        Ok(stream)
    }
}

impl LearnerStream {
    /// Waits for the next update. May be given up on and called again.
    ///
    /// # Errors
    /// The store's errors: nothing is lost, call it again after a moment.
    pub async fn next(&mut self) -> Result<LearnerUpdate, Error> {
        if let Some(first) = self.first {
            let courses = self.listener.courses.clone();
            let cards = self.changed(&courses).await?;
            self.first = None;
            match first {
                First::Snapshot => return Ok(LearnerUpdate::Snapshot(cards)),
                First::Changed if !cards.is_empty() => return Ok(LearnerUpdate::Changed(cards)),
                First::Changed => {}
            }
        }
        loop {
            let woken = self.listener.take();
            self.missed.extend(woken);
            let courses = self.missed.clone();
            let cards = self.changed(&courses).await?;
            self.missed.clear();
            if !cards.is_empty() {
                return Ok(LearnerUpdate::Changed(cards));
            }
            self.listener.notify.notified().await;
        }
    }

    /// What was seen up to the last update: give it back to go on from there.
    pub fn token(&self) -> LearnerToken {
        self.seen.clone()
    }

    /// The cards of these courses that are not what was seen, and notes them as seen.
    async fn changed(&mut self, courses: &BTreeSet<CourseId>) -> Result<Vec<CourseCard>, Error> {
        let mut cards = Vec::new();
        for course in courses {
            cards.push(self.read(course).await?);
        }
        cards.retain(|card| {
            let now = (card.version, digest(&card.card));
            let seen = self.seen.0.insert(card.course.clone(), now);
            seen != Some(now)
        });
        Ok(cards)
    }

    async fn read(&self, course: &CourseId) -> Result<CourseCard, Error> {
        self.registrar
            .course_card(Some(&self.visitor), course)
            .await
    }
}

/// Tells one card from another.
fn digest(card: &LearnerCard) -> u64 {
    let mut hasher = DefaultHasher::new();
    let note = card.note.as_ref().map(Note::as_str);
    (
        card.text.as_str(),
        card.reason,
        card.message,
        card.disabled,
        note,
        card.until,
    )
        .hash(&mut hasher);
    hasher.finish()
}

impl Drop for LearnerStream {
    fn drop(&mut self) {
        self.hub.topics().leave(&self.visitor.learner, self.number);
    }
}

impl fmt::Debug for LearnerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearnerStream")
            .field("courses", &self.listener.courses.len())
            .finish_non_exhaustive()
    }
}
