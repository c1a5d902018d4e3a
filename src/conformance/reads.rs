//! Searches and sums, for people.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, FixedOffset, NaiveDate, Utc};

use super::harness::{Checked, RULES, ensure, first, opening, permit, start};
use crate::enrollment::{Case, StepContext, StepOutcome};
use crate::event::{Actor, Source};
use crate::payment::{AttemptStatus, PaymentMethod};
use crate::store::{
    Figures, PageRequest, PaymentFilter, PaymentKey, Period, Prefix, Queries, Store, StoreError,
    Sum,
};
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{AdminId, CourseId, Currency, Email, LearnerId, PaymentReference};

fn at(now: DateTime<Utc>) -> StepContext<'static> {
    StepContext {
        now,
        who: &Actor::System,
        source: Source::SystemAutomatic,
        note: &None,
        guard: &permit,
        rules: &RULES,
        rehearsal: false,
    }
}

fn hours(hours: i64) -> DateTime<Utc> {
    start() + Duration::hours(hours)
}

/// Six learners in two courses, one every ten hours: the even ones by card, the others by
/// bank transfer, of whom an admin approves two.
async fn school<S: Store + Queries>(store: &S) -> Checked {
    for number in 0..6 {
        let course = ["go", "rust"][number % 2];
        let method = [PaymentMethod::Card, PaymentMethod::BankTransfer][number % 2];
        let learner = format!("learner-{number}");
        let mut wish = opening(&learner, course, method)?;
        wish.email = Email::new(format!("{}@school.example", ["ann", "ben"][number / 3]))?;
        let begun = hours(10 * i64::try_from(number)?);
        let reference = PaymentReference::new(format!("CG-{number}"))?;
        let StepOutcome { delta, case, .. } = Case::open(wish, first(), reference, &at(begun))?;
        store.commit(delta.into()).await?;
        if number % 2 == 1 && number < 5 {
            let person = AdminId::new("admin")?;
            let taken = Duration::minutes(i64::try_from(number)?);
            let cause = ApprovalCause::ManualAdminApproval;
            let approved = case.approve(&person, cause, &at(begun + taken))?;
            store.commit(approved.delta.into()).await?;
        }
    }
    Ok(())
}

async fn found<S: Queries>(
    store: &S,
    filter: &PaymentFilter,
) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = store
            .payments(
                filter,
                PageRequest {
                    after: next,
                    limit: 2,
                },
            )
            .await?;
        ensure!(page.items.len() <= 2, "a page is longer than asked for");
        found.extend(
            page.items
                .iter()
                .map(|item| item.attempt.reference.to_string()),
        );
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

pub(super) async fn payments_are_found<S: Store + Queries>(store: &S) -> Checked {
    school(store).await?;
    let by = PaymentFilter::default;
    let cases: Vec<(PaymentFilter, &[&str])> = vec![
        (by(), &["CG-5", "CG-4", "CG-3", "CG-2", "CG-1", "CG-0"]),
        (
            PaymentFilter {
                learner: Some(LearnerId::new("learner-3")?),
                ..by()
            },
            &["CG-3"],
        ),
        (
            PaymentFilter {
                course: Some(CourseId::new("go")?),
                ..by()
            },
            &["CG-4", "CG-2", "CG-0"],
        ),
        (
            PaymentFilter {
                status: Some(AttemptStatus::Paid),
                ..by()
            },
            &["CG-3", "CG-1"],
        ),
        (
            PaymentFilter {
                method: Some(PaymentMethod::BankTransfer),
                ..by()
            },
            &["CG-5", "CG-3", "CG-1"],
        ),
        (
            PaymentFilter {
                from: Some(hours(10)),
                until: Some(hours(30)),
                ..by()
            },
            &["CG-2", "CG-1"],
        ),
        (
            PaymentFilter {
                prefix: Some(Prefix::Reference("CG-".to_owned())),
                ..by()
            },
            &["CG-0", "CG-1", "CG-2", "CG-3", "CG-4", "CG-5"],
        ),
        (
            PaymentFilter {
                prefix: Some(Prefix::Reference("cg".to_owned())),
                ..by()
            },
            &[],
        ),
        (
            PaymentFilter {
                prefix: Some(Prefix::Email("be".to_owned())),
                ..by()
            },
            &["CG-3", "CG-4", "CG-5"],
        ),
        (
            PaymentFilter {
                prefix: Some(Prefix::Email("ann@".to_owned())),
                method: Some(PaymentMethod::Card),
                from: Some(hours(1)),
                ..by()
            },
            &["CG-2"],
        ),
        (
            // No pattern: these signs mean themselves.
            PaymentFilter {
                prefix: Some(Prefix::Email("%".to_owned())),
                ..by()
            },
            &[],
        ),
    ];
    for (filter, expected) in cases {
        let found = found(store, &filter).await?;
        ensure!(found == expected, "{filter:?} finds {found:?}");
    }
    let wrong = PageRequest::after(PaymentKey::Reference(PaymentReference::new("CG-1")?), 10);
    let answer = store.payments(&by(), wrong).await;
    ensure!(
        matches!(answer, Err(StoreError::Refused(_))),
        "a key of another order is {answer:?}"
    );
    Ok(())
}

pub(super) async fn figures_add_up<S: Store + Queries>(store: &S) -> Checked {
    school(store).await?;
    // 2026-01-01 00:00 UTC is two in the morning in South Africa.
    let offset = FixedOffset::east_opt(2 * 3600).ok_or("no such offset")?;
    let period = Period {
        from: hours(0),
        until: hours(48),
        offset,
    };
    let rust = CourseId::new("rust")?;
    let received = |minor| {
        vec![Sum {
            currency: Currency::ZAR,
            minor,
        }]
    };

    let days = store.days(period, None).await?;
    let expected = [
        (
            1,
            Figures {
                enrolled: 3,
                approved: 1,
                median_approval: Some(60),
                slow_approval: Some(60),
                payments: 1,
                sums: received(10_000),
            },
        ),
        (
            2,
            Figures {
                enrolled: 2,
                approved: 1,
                median_approval: Some(180),
                slow_approval: Some(180),
                payments: 1,
                sums: received(10_000),
            },
        ),
    ];
    let seen: Vec<_> = days
        .iter()
        .map(|day| (day.day, day.figures.clone()))
        .collect();
    let expected: Vec<_> = expected
        .into_iter()
        .filter_map(|(day, figures)| Some((NaiveDate::from_ymd_opt(2026, 1, day)?, figures)))
        .collect();
    ensure!(seen == expected, "the days are {seen:?}");

    let days = store.days(period, Some(&rust)).await?;
    let enrolled: Vec<_> = days.iter().map(|day| day.figures.enrolled).collect();
    ensure!(enrolled == [1, 1], "the days of one course are {days:?}");

    let first = store.courses(period, PageRequest::first(1)).await?;
    let next = first
        .next
        .clone()
        .ok_or("the first page of courses is the last")?;
    let last = store.courses(period, PageRequest::after(next, 1)).await?;
    let pages = [first, last];
    let courses: Vec<_> = pages.iter().flat_map(|page| &page.items).collect();
    let names: BTreeSet<_> = courses.iter().map(|item| item.course.as_str()).collect();
    ensure!(
        names == BTreeSet::from(["go", "rust"]),
        "the courses are {names:?}"
    );
    let rust = courses
        .iter()
        .find(|item| item.course == rust)
        .ok_or("no rust")?;
    let expected = Figures {
        enrolled: 2,
        approved: 2,
        median_approval: Some(60),
        slow_approval: Some(180),
        payments: 2,
        sums: received(20_000),
    };
    ensure!(
        rust.figures == expected,
        "the course's figures are {:?}",
        rust.figures
    );
    Ok(())
}
