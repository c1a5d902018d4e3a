//! What a learner has already: whether grants give all that an offer would.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::grant::{Grant, GrantState};
use super::terms::AccessTerms;

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
/// provisional, suspended or has ended covers nothing.
///
/// Only grants that `counts` are looked at.
pub fn cover(
    grants: &[Grant],
    counts: impl Fn(&Grant) -> bool,
    terms: &AccessTerms,
    now: DateTime<Utc>,
) -> Option<Cover> {
    let mut earliest = None;
    for kind in terms.each_kind() {
        let gives = |grant: &&Grant| counts(grant) && grant.gives(terms, kind);
        let giving: Vec<&Grant> = grants.iter().filter(gives).collect();
        let end = end_of(&giving, now)?;
        earliest = Some(earliest.map_or(end, |earliest: DateTime<Utc>| earliest.min(end)));
    }
    // An offer of nothing is covered by nothing.
    earliest.map(|end| Cover {
        until: Some(end).filter(|end| *end < NEVER),
    })
}

/// Whether grants [`cover`] an offer at `now`, or else from a time on when one of them begins: that
/// time with the cover.
pub fn cover_to_come(
    grants: &[Grant],
    counts: impl Fn(&Grant) -> bool,
    terms: &AccessTerms,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, Cover)> {
    let to_come = grants.iter().filter(|grant| grant.is_to_come(now));
    let mut starts: Vec<_> = to_come.map(|grant| grant.starts_at.max(now)).collect();
    starts.sort_unstable();
    starts.dedup();
    let covered = |from| Some((from, cover(grants, &counts, terms, from)?));
    starts.into_iter().find_map(covered)
}

/// Outlasts any day.
const NEVER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// When grants stop giving without a gap; `None` when none gives now.
fn end_of(giving: &[&Grant], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let key = |grant: &&&Grant| grant.expires_at.unwrap_or(NEVER);
    let live = giving.iter().filter(|grant| grant.is_live(now));
    let mut end = live.map(|grant| key(&grant)).max()?;
    loop {
        let follows = |grant: &&&Grant| grant.state == GrantState::Live && grant.starts_at <= end;
        let next = giving.iter().filter(follows).map(|grant| key(&grant)).max();
        match next {
            Some(next) if next > end => end = next,
            _ => return Some(end),
        }
    }
}
