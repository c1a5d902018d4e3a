//! What falls due by itself.

use chrono::{DateTime, Duration, Utc};

use super::harness::{Checked, ensure, open, start, with_step};
use super::queues::claim;
use crate::enrollment::{DueTimer, Job, Timer, TimerKey, TimerKind};
use crate::payment::PaymentMethod;
use crate::store::{Change, Claim, Queries, Settlement, Store, Work, WorkKind};
use crate::vocabulary::reason::ApprovalCause;
use crate::vocabulary::{AdminId, PaymentReference};

fn minutes(minutes: i64) -> DateTime<Utc> {
    start() + Duration::minutes(minutes)
}

async fn due<S: Store>(
    store: &S,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<DueTimer>, Box<dyn std::error::Error + Send + Sync>> {
    let timer = |work| match work {
        Work::Timer(timer) => Some(timer),
        Work::Delivery(_) | Work::Message(_) => None,
    };
    let mut due = Vec::new();
    for kind in TimerKind::ALL {
        let claim = Claim {
            limit,
            ..claim(WorkKind::Timers(*kind), now)
        };
        due.extend(store.claim(claim).await?.into_iter().filter_map(timer));
    }
    Ok(due)
}

fn keys(timers: &[DueTimer]) -> Vec<TimerKey> {
    timers.iter().map(|timer| timer.key.clone()).collect()
}

async fn set<S: Store>(store: &S, key: &TimerKey, due_at: Option<DateTime<Utc>>) -> Checked {
    let timers = vec![Timer {
        key: key.clone(),
        due_at,
    }];
    store
        .commit(Change {
            timers,
            ..Change::default()
        })
        .await?;
    Ok(())
}

pub(super) async fn timers_fall_due_and_are_leased<S: Store + Queries>(store: &S) -> Checked {
    let opened = open("learner", "REF-1", PaymentMethod::Card)?;
    let look = TimerKey::Attempt(PaymentReference::new("REF-1")?);
    let expiry = TimerKey::Enrollment(opened.case.enrollment.id);
    store.commit(opened.delta.into()).await?;
    ensure!(
        due(store, start(), 10).await?.is_empty(),
        "a timer is due too early"
    );
    ensure!(
        keys(&due(store, minutes(1), 10).await?) == [look.clone()],
        "an open attempt is not looked at after a minute"
    );
    ensure!(
        due(store, minutes(1), 10).await?.is_empty(),
        "a timer is given twice"
    );
    ensure!(
        keys(&due(store, minutes(2), 10).await?) == [look.clone()],
        "a lease that is over is not given again"
    );

    let jobs = [Job::SyncHistory, Job::AppendAuditLog, Job::Reconcile].map(TimerKey::Job);
    for (job, after) in jobs.iter().zip([5, 4, 3]) {
        set(store, job, Some(minutes(after))).await?;
    }
    let [sync, seal, reconcile] = jobs;
    let week = minutes(8 * 24 * 60);
    let mut first = due(store, week, 2).await?;
    let of_jobs = |key: &TimerKey| key.kind() == TimerKind::Job;
    let claimed = keys(&first);
    ensure!(
        claimed
            .iter()
            .filter(|key| of_jobs(key))
            .eq([&reconcile, &seal]),
        "what fell due first does not come first, or the limit is not kept"
    );
    first.retain(|timer| !of_jobs(&timer.key));
    ensure!(
        keys(&first) == [look.clone(), expiry.clone()],
        "timers of one kind keep others from being claimed, or an enrollment does not expire after a week"
    );
    ensure!(
        keys(&due(store, week, 2).await?) == [sync.clone()],
        "what is left over is not claimed next"
    );
    for job in [seal, reconcile] {
        set(store, &job, None).await?;
    }

    let person = AdminId::new("admin")?;
    let approved = with_step(|step| {
        opened
            .case
            .approve(&person, ApprovalCause::ManualAdminApproval, step)
    })?;
    store.commit(approved.delta.into()).await?;
    set(store, &sync, None).await?;
    let year = minutes(365 * 24 * 60);
    ensure!(
        keys(&due(store, year, 10).await?) == [look],
        "a timer that was stopped falls due, or one that was not does not"
    );
    Ok(())
}

pub(super) async fn a_timer_is_settled_as_it_was_claimed<S: Store + Queries>(store: &S) -> Checked {
    let key = TimerKey::Job(Job::Reconcile);
    let ensured = |due_at| Settlement::Ensure {
        key: TimerKey::Job(Job::Reconcile),
        due_at,
    };
    store.settle(&[ensured(minutes(1))]).await?;
    store.settle(&[ensured(minutes(0))]).await?;
    ensure!(
        due(store, minutes(0), 10).await?.is_empty(),
        "a timer that is set is set anew"
    );
    let claimed = due(store, minutes(1), 10).await?;
    ensure!(
        keys(&claimed) == [key.clone()] && claimed[0].cursor.is_none(),
        "a timer is not set"
    );
    let again = Settlement::Reschedule {
        timer: claimed[0].clone(),
        next_at: minutes(1),
        cursor: Some("half".to_owned()),
    };
    store.settle(&[again]).await?;
    let claimed = due(store, minutes(1), 10).await?;
    ensure!(
        claimed.len() == 1 && claimed[0].cursor.as_deref() == Some("half"),
        "a job does not go on where it left off"
    );

    // It is set anew while somebody works on it.
    set(store, &key, Some(minutes(2))).await?;
    let late = claimed[0].clone();
    store.settle(&[Settlement::Finish(late.clone())]).await?;
    let again = Settlement::Reschedule {
        timer: late,
        next_at: minutes(9),
        cursor: None,
    };
    store.settle(&[again]).await?;
    let claimed = due(store, minutes(2), 10).await?;
    ensure!(
        keys(&claimed) == [key] && claimed[0].cursor.is_none(),
        "who was late has the last word"
    );
    store
        .settle(&[Settlement::Finish(claimed[0].clone())])
        .await?;
    ensure!(
        due(store, minutes(60), 10).await?.is_empty(),
        "a timer that is over falls due again"
    );
    Ok(())
}
