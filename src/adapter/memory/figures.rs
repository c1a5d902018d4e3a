//! Searches and sums over everything: a walk through all rows.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::state::State;
use crate::enrollment::Enrollment;
use crate::event::{Event, EventKind};
use crate::payment::{AttemptStatus, PaymentAttempt};
use crate::store::{Figures, PaymentFilter, PaymentKey, Period, Prefix, Sum};
use crate::vocabulary::{CourseId, Email, PaymentReference, Status, Version};

pub(super) fn matches(
    filter: &PaymentFilter,
    enrollment: &Enrollment,
    attempt: &PaymentAttempt,
) -> bool {
    let method = attempt
        .payment
        .map_or(attempt.declared, |payment| payment.method);
    let prefix = filter.prefix.as_ref().is_none_or(|prefix| match prefix {
        Prefix::Reference(start) => attempt.reference.as_str().starts_with(start.as_str()),
        Prefix::Email(start) => enrollment.email.as_str().starts_with(start.as_str()),
    });
    prefix
        && is(filter.learner.as_ref(), &enrollment.learner)
        && is(filter.course.as_ref(), &attempt.course)
        && is(filter.status.as_ref(), &attempt.status)
        && is(filter.method.as_ref(), &method)
        && filter.from.is_none_or(|from| from <= attempt.created_at)
        && filter.until.is_none_or(|until| attempt.created_at < until)
}

fn is<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

/// A key, as it sorts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Newest(Reverse<(DateTime<Utc>, PaymentReference)>),
    Reference(PaymentReference),
    Email(Email, PaymentReference),
}

impl Place {
    pub(super) fn of(key: PaymentKey) -> Self {
        match key {
            PaymentKey::Newest(at, reference) => Self::Newest(Reverse((at, reference))),
            PaymentKey::Reference(reference) => Self::Reference(reference),
            PaymentKey::Email(email, reference) => Self::Email(email, reference),
        }
    }
}

/// Sums up a period by whatever `group` makes of a course and a time.
pub(super) fn gather<K: Ord>(
    state: &State,
    period: Period,
    group: impl Fn(&CourseId, DateTime<Utc>) -> Option<K>,
) -> BTreeMap<K, Figures> {
    let mut groups: BTreeMap<K, (Figures, Vec<u64>)> = BTreeMap::new();
    let within = |at: DateTime<Utc>| period.from <= at && at < period.until;
    for row in state.rows.values() {
        let enrollment = &row.enrollment;
        if within(enrollment.created_at)
            && let Some(key) = group(&enrollment.course, enrollment.created_at)
        {
            let (figures, times) = groups.entry(key).or_default();
            figures.enrolled += 1;
            let made = enrollment.created_at;
            let newest_first = row.events.iter().rev();
            let approved = newest_first.clone().find_map(|it| approval(it, made));
            if let Some(at) = approved {
                figures.approved += 1;
                if at > enrollment.created_at {
                    let taken = (at - enrollment.created_at).num_seconds();
                    times.push(u64::try_from(taken).unwrap_or(0));
                }
            }
        }
        for attempt in &row.attempts {
            if let (AttemptStatus::Paid, Some(payment)) = (attempt.status, attempt.payment)
                && within(payment.at)
                && let Some(key) = group(&attempt.course, payment.at)
            {
                let (figures, _) = groups.entry(key).or_default();
                figures.payments += 1;
                let paid = payment.amount.unwrap_or(attempt.amount);
                add(figures, paid, attempt.returned());
            }
        }
    }
    let finish = |(key, (mut figures, mut times)): (K, (Figures, Vec<u64>))| {
        times.sort_unstable();
        figures.median_approval = share(&times, 5);
        figures.slow_approval = share(&times, 9);
        figures.sums.sort_by_key(|sum| sum.currency);
        (key, figures)
    };
    groups.into_iter().map(finish).collect()
}

/// When an enrollment was approved. What was brought over came approved: nobody waited for it here.
fn approval(event: &Event, made: DateTime<Utc>) -> Option<DateTime<Utc>> {
    match &event.kind {
        EventKind::EnrollmentMoved {
            from,
            to: Status::Approved { .. },
            ..
        } if !matches!(from, Status::Approved { .. }) => match event.version {
            Version(1) => Some(made),
            _ => Some(event.at),
        },
        _ => None,
    }
}

fn add(figures: &mut Figures, amount: crate::vocabulary::Money, returned: i64) {
    let (currency, kept) = (amount.currency(), amount.minor() - returned);
    match figures.sums.iter_mut().find(|sum| sum.currency == currency) {
        Some(sum) => sum.minor = sum.minor.saturating_add(kept),
        None => figures.sums.push(Sum {
            currency,
            minor: kept,
        }),
    }
}

/// The smallest value that so many tenths of all values do not pass.
fn share(sorted: &[u64], tenths: usize) -> Option<u64> {
    let rank = (sorted.len() * tenths).div_ceil(10);
    sorted.get(rank.checked_sub(1)?).copied()
}
