//! Grants: with their enrollment, or apart from any.

use super::state::{Row, State};
use super::tables::Home;
use crate::access::{Grant, GrantState};
use crate::store::{Change, StoreError};
use crate::vocabulary::{CourseId, GrantId, LearnerId, PaymentReference};

impl State {
    pub(super) fn grant(&self, id: GrantId) -> Option<&Grant> {
        let grants = match self.grant_homes.get(&id)? {
            Home::Row(enrollment) => &self.rows.get(enrollment)?.grants,
            Home::Free(subject) => self.free_grants.get(subject)?,
        };
        grants.iter().find(|grant| grant.id == id)
    }

    pub(super) fn grants(&self, learner: &LearnerId, course: &CourseId) -> Vec<Grant> {
        let subject = (learner.clone(), course.clone());
        let row = self
            .by_subject
            .get(&subject)
            .and_then(|enrollment| self.rows.get(enrollment));
        let free = self.free_grants.get(&subject).into_iter().flatten();
        row.into_iter()
            .flat_map(|row| &row.grants)
            .chain(free)
            .cloned()
            .collect()
    }

    /// Whether each grant is new, or that of the same learner and course, and no other has its
    /// key; and one apart from any enrollment does not end again. An erasure alone gives them
    /// another learner.
    pub(super) fn are_theirs(&self, change: &Change) -> bool {
        change.grants.iter().all(|grant| {
            let named = grant.key.as_ref().and_then(|key| self.grant_keys.get(key));
            let ended = |grant: &Grant| matches!(grant.state, GrantState::Ended { .. });
            let same = |known: &Grant| {
                (&known.learner, &known.course, known.enrollment)
                    == (&grant.learner, &grant.course, grant.enrollment)
                    && (known.enrollment.is_some() || (!ended(known) && ended(grant)))
            };
            named.is_none_or(|id| *id == grant.id)
                && (change.erasure.is_some() || self.grant(grant.id).is_none_or(same))
        })
    }

    pub(super) fn check_grants(&self, change: &Change) -> Result<(), StoreError> {
        for grant in &change.grants {
            let Some(payment) = grant.source.payment() else {
                continue;
            };
            let row = self.paid_row(payment);
            let near = row.into_iter().flat_map(|row| &row.grants);
            let near = near.filter(|known| known.source.payment() == Some(payment));
            let stray = self.stray_payments.get(payment).copied();
            if near
                .map(|known| known.id)
                .chain(stray)
                .any(|id| id != grant.id)
            {
                return Err(StoreError::Refused(
                    "a payment is the source of one grant at most".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// The enrollment that a payment was made for.
    fn paid_row(&self, payment: &PaymentReference) -> Option<&Row> {
        self.rows
            .get(self.by_reference.get(payment)?)
            .map(Box::as_ref)
    }

    pub(super) fn write_grant(&mut self, grant: Grant) {
        if let Some(payment) = grant.source.payment()
            && self
                .paid_row(payment)
                .is_none_or(|row| Some(row.enrollment.id) != grant.enrollment)
        {
            self.stray_payments.insert(payment.clone(), grant.id);
        }
        let row = grant
            .enrollment
            .and_then(|id| Some((id, self.rows.get_mut(&id)?)));
        let (home, grants) = match row {
            Some((enrollment, row)) => (Home::Row(enrollment), &mut row.grants),
            None => {
                let subject = (grant.learner.clone(), grant.course.clone());
                (
                    Home::Free(subject.clone()),
                    self.free_grants.entry(subject).or_default(),
                )
            }
        };
        self.grant_homes.insert(grant.id, home);
        match &grant.key {
            Some(key) => drop(self.grant_keys.insert(key.clone(), grant.id)),
            None if self.grant_keys.is_empty() => {}
            None => self.grant_keys.retain(|_, id| *id != grant.id),
        }
        match grants.iter_mut().find(|known| known.id == grant.id) {
            Some(known) => *known = grant,
            None => {
                // Most have one: a vector would make room for four.
                grants.reserve_exact(1);
                grants.push(grant);
            }
        }
    }
}
