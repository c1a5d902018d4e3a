//! What people decide. Only through a handle that carries who acts.

use chrono::{DateTime, Utc};
use tracing::Instrument;

use crate::enrollment::{Case, CaseError, StepContext, StepOutcome};
use crate::event::{Actor, Event, EventKind, Source};
use crate::registrar::core::{ROUNDS, Registrar};
use crate::registrar::error::Error;
use crate::store::{CommitOutcome, Lookup};
use crate::vocabulary::{AdminId, IdGenerator, Note};

/// A registrar in the hands of one person.
#[derive(Debug, Clone)]
pub struct Admin<'r> {
    pub(in crate::registrar) registrar: &'r Registrar,
    pub(in crate::registrar) person: AdminId,
    pub(in crate::registrar) who: Actor,
}

impl Registrar {
    /// A handle for one person. The host has checked that they may decide.
    pub fn admin(&self, person: AdminId) -> Admin<'_> {
        Admin {
            registrar: self,
            who: Actor::Admin(person.clone()),
            person,
        }
    }

    /// Loads a case, applies a step and commits, again when the race is lost.
    pub(in crate::registrar) async fn update(
        &self,
        find: Lookup<'_>,
        apply: impl Fn(Case) -> Result<StepOutcome, CaseError>,
    ) -> Result<StepOutcome, Error> {
        for _ in 0..ROUNDS {
            let case = self
                .inner
                .store
                .load(find)
                .await?
                .case
                .ok_or(Error::NotFound("enrollment"))?;
            let mut applied = apply(case)?;
            if applied.delta.is_empty() {
                return Ok(applied);
            }
            let delta = std::mem::take(&mut applied.delta);
            if self.commit(delta).await? == CommitOutcome::Done {
                return Ok(applied);
            }
        }
        Err(Error::Contended)
    }
}

impl Admin<'_> {
    pub(in crate::registrar) fn person(&self) -> &AdminId {
        &self.person
    }

    pub(in crate::registrar) fn who(&self) -> &Actor {
        &self.who
    }

    /// An event of something this person did.
    pub(in crate::registrar) fn event(&self, kind: EventKind, now: DateTime<Utc>) -> Event {
        Event::new(
            IdGenerator::new(now).event(),
            kind,
            self.who.clone(),
            Source::AdminApproval,
            now,
        )
    }

    pub(in crate::registrar) async fn change(
        &self,
        find: Lookup<'_>,
        note: Note,
        apply: impl Fn(Case, &StepContext<'_>) -> Result<StepOutcome, CaseError>,
    ) -> Result<StepOutcome, Error> {
        let note = (!note.is_empty()).then_some(note);
        let registrar = self.registrar;
        let enrollment = match &find {
            Lookup::Enrollment(id) => Some(tracing::field::display(*id)),
            _ => None,
        };
        let span = tracing::info_span!("coursegate.admin", enrollment);
        registrar
            .update(find, |case| {
                apply(
                    case,
                    &registrar.step(&self.who, Source::AdminApproval, &note, registrar.now()),
                )
            })
            .instrument(span)
            .await
    }
}
