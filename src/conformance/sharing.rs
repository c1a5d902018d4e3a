//! What processes tell one another.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::harness::{Checked, ensure, start};
use crate::monitor::{Alert, Counted, Signal, Tally};
use crate::store::{Change, CommitOutcome, Queries, Share, Shared, Store, StoreError};
use crate::vocabulary::{AlertSeverity, AlertStage};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn share<S: Store>(store: &S, tallies: &[Tally]) -> Result<Shared, StoreError> {
    let share = Share {
        tallies,
        now: start(),
        within: DAY / 2,
        keep: DAY,
    };
    store.share(share).await
}

pub(super) async fn processes_tell_one_another<S: Store + Queries>(store: &S) -> Checked {
    let tally = |process, number, of, times, most| Tally {
        process: Uuid::from_u128(process),
        number,
        of,
        times,
        most,
    };
    let key = || Counted::Key("old, and \"odd\"".into());
    let failed = || Counted::Signal(Signal::WebhookFailed);
    let of_one = [tally(1, 0, failed(), 2, 1), tally(1, 0, key(), 3, 0)];
    let of_other = [tally(2, 0, failed(), 5, -7)];
    ensure!(
        share(store, &[]).await?.tallies.is_empty(),
        "something is told that nobody saw"
    );
    share(store, &of_one).await?;
    // It does not know whether that arrived, and tells it again.
    share(store, &of_one).await?;
    let heard = share(store, &of_other).await?.tallies;
    let mut heard: Vec<Tally> = heard.into_iter().map(|heard| heard.tally).collect();
    heard.sort_by_key(|tally| (tally.process, tally.of.to_string()));
    let mut told = [of_one, [of_other[0].clone(), tally(1, 1, failed(), 1, 9)]].concat();
    let later = told.pop().into_iter().collect::<Vec<_>>();
    told.sort_by_key(|tally| (tally.process, tally.of.to_string()));
    ensure!(heard == told, "what was told is not heard, or heard twice");
    let heard = share(store, &later).await?.tallies;
    ensure!(heard.len() == 4, "what is told next is not heard");
    ensure!(
        heard.iter().all(|heard| heard.age < DAY / 4),
        "what was told just now is old"
    );
    Ok(())
}

pub(super) async fn an_alert_is_raised_once_and_ends_once<S: Store + Queries>(
    store: &S,
) -> Checked {
    let alert = |stage, since: DateTime<Utc>, escalated| Alert {
        rule: "flood".to_owned(),
        stage,
        severity: AlertSeverity::Warning,
        message: "Many.".to_owned(),
        since,
        at: start(),
        escalated,
    };
    let commit = async |alert: &Alert| {
        let change = Change {
            alert: Some(alert.clone()),
            ..Change::default()
        };
        store.commit(change).await
    };
    let other = start() + chrono::Duration::seconds(1);
    let raised = alert(AlertStage::Raised, start(), false);
    let escalated = alert(AlertStage::Escalated, start(), true);
    let steps = [
        (
            alert(AlertStage::Recovered, start(), false),
            CommitOutcome::Conflict,
        ),
        (escalated.clone(), CommitOutcome::Conflict),
        (raised.clone(), CommitOutcome::Done),
        (raised.clone(), CommitOutcome::Conflict),
        (
            alert(AlertStage::Raised, other, false),
            CommitOutcome::Conflict,
        ),
        (
            alert(AlertStage::Escalated, other, true),
            CommitOutcome::Conflict,
        ),
        (escalated.clone(), CommitOutcome::Done),
        (escalated.clone(), CommitOutcome::Conflict),
        (
            alert(AlertStage::Recovered, other, true),
            CommitOutcome::Conflict,
        ),
    ];
    for (at, (step, expected)) in steps.iter().enumerate() {
        ensure!(
            commit(step).await? == *expected,
            "step {at} of an alert is not {expected:?}"
        );
        if *step == raised && *expected == CommitOutcome::Done {
            let standing = share(store, &[]).await?.alerts;
            ensure!(
                standing == [raised.clone()],
                "a raised alert does not stand"
            );
        }
    }
    let standing = share(store, &[]).await?.alerts;
    ensure!(standing == [escalated], "an alert does not stand as it is");
    let over = alert(AlertStage::Recovered, start(), true);
    ensure!(
        commit(&over).await? == CommitOutcome::Done && share(store, &[]).await?.alerts.is_empty(),
        "an alert does not end"
    );
    ensure!(
        commit(&raised).await? == CommitOutcome::Done,
        "an alert that ended cannot begin again"
    );
    Ok(())
}
