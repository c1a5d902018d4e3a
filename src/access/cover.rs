//! What a learner has already: whether grants give all that an offer would.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::grant::{Grant, GrantState};
use super::level::ResourceKind;
use super::terms::Terms;

/// Live grants give all that an offer would, and until when they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cover {
    /// Until when, `None` for ever. Grants that begin when another ends are counted in.
    pub until: Option<DateTime<Utc>>,
}

/// Whether grants cover an offer at `now`, in level, kinds, restrictions and time: `None` when
/// something of it is missing.
///
/// Grants count together, as in the question of access: one may give the lessons and another the
/// quizzes. Each is taken for as long as it lasts in all, from its start to its end, so that a
/// month that is half over covers the offer of a month, and never the offer of a year. What is
/// lent, suspended or has ended covers nothing.
pub fn cover<'g>(
    grants: impl Iterator<Item = &'g Grant> + Clone,
    terms: &Terms,
    now: DateTime<Utc>,
) -> Option<Cover> {
    let mut earliest = None;
    for kind in ResourceKind::ALL {
        if terms.kinds.cover(*kind) {
            let giving = grants.clone().filter(|grant| grant.gives(terms, *kind));
            let end = end_of(giving, now)?;
            earliest = Some(earliest.map_or(end, |earliest: DateTime<Utc>| earliest.min(end)));
        }
    }
    // An offer of nothing is covered by nothing.
    earliest.map(|end| Cover {
        until: Some(end).filter(|end| *end < NEVER),
    })
}

/// Outlasts any day.
const NEVER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// When grants stop giving without a gap; `None` when none gives now.
fn end_of<'g>(
    giving: impl Iterator<Item = &'g Grant> + Clone,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let key = |end: Option<DateTime<Utc>>| end.unwrap_or(NEVER);
    let live = giving.clone().filter(|grant| grant.is_live(now));
    let mut end = live.map(|grant| key(grant.expires_at)).max()?;
    loop {
        let next = giving
            .clone()
            .filter(|grant| grant.state == GrantState::Live && grant.starts_at <= end)
            .map(|grant| key(grant.expires_at))
            .max()
            .unwrap_or(end);
        if next <= end {
            return Some(end);
        }
        end = next;
    }
}
