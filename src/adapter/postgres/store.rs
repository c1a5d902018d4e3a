use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::{Json, Uuid};

use super::error::CallError;
use super::rows::{
    AttemptRow, BadRow, ChangeRow, EnrollmentRow, EventRow, GrantRow, InboxRow, KnownRow,
    TimerKeyRow, TimerRow,
};
use super::{PgStore, all, arguments};
use crate::access::Grant;
use crate::enrollment::{Case, DueTimer, TimerKey};
use crate::event::Event;
use crate::store::{
    Change, Claim, CommitOutcome, InboxEntry, Loaded, Lookup, Purge, Purged, Settlement, Share,
    Shared, Store, StoreError, StoreReport, Work, WorkKind,
};
use crate::vocabulary::{CourseId, EventId, LearnerId};
use crate::webhook::DeliveryKey;

#[async_trait]
impl Store for PgStore {
    async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError> {
        let texts = &self.statements;
        let (text, arguments) = match lookup {
            Lookup::Delivery {
                key,
                reference,
                pay_link,
            } => (
                &texts.load_delivery,
                arguments![key.as_str(), reference, pay_link],
            ),
            Lookup::Enrollment(id) => (&texts.load_enrollment, arguments![id.as_uuid()]),
            Lookup::Reference(reference) => (&texts.load_reference, arguments![reference.as_str()]),
            Lookup::Learner(learner, course) => (
                &texts.load_learner,
                arguments![learner.as_str(), course.as_str()],
            ),
            Lookup::PayLink(link) => (&texts.load_link, arguments![link.as_str()]),
            Lookup::Grant(id) => (&texts.load_grant, arguments![id.as_uuid()]),
            Lookup::GrantKey(key) => (&texts.load_grant_key, arguments![key.as_str()]),
        };
        let rows = self.ask(text, arguments).await?;
        let row = rows.first().ok_or(CallError::Row(BadRow("load")))?;
        Ok(loaded(row)?)
    }

    async fn commit(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        let event = change.events.first().map(|event| event.id);
        let committed = self.commit_once(change).await?;
        match (committed, event) {
            // An earlier try may have done it, and its answer was lost.
            (CommitOutcome::Conflict | CommitOutcome::Duplicate, Some(event))
                if self.has(event).await? =>
            {
                Ok(CommitOutcome::Done)
            }
            _ => Ok(committed),
        }
    }

    async fn grants(
        &self,
        learner: &LearnerId,
        course: &CourseId,
    ) -> Result<Vec<Grant>, StoreError> {
        let arguments = arguments![learner.as_str(), course.as_str()];
        let rows = self.ask(&self.statements.grants, arguments).await?;
        Ok(all::<GrantRow, Grant>(&rows)?)
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError> {
        let until = Duration::from_std(claim.lease)
            .ok()
            .and_then(|lease| claim.now.checked_add_signed(lease))
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
        let arguments = arguments![claim.now, until, limit];
        match claim.kind {
            WorkKind::Inbox => {
                let rows = self.ask(&self.statements.claim_inbox, arguments).await?;
                let mut due = all::<InboxRow, InboxEntry>(&rows)?;
                due.sort_by(|a, b| (a.state.due_at(), &a.key).cmp(&(b.state.due_at(), &b.key)));
                Ok(due.into_iter().map(Box::new).map(Work::Delivery).collect())
            }
            WorkKind::Outbox => {
                let rows = self.ask(&self.statements.claim_outbox, arguments).await?;
                let mut due = all::<EventRow, Event>(&rows)?;
                due.sort_by_key(|event| (event.version, event.id));
                Ok(due.into_iter().map(Box::new).map(Work::Message).collect())
            }
            WorkKind::Timers(kind) => {
                let arguments = arguments![claim.now, until, limit, kind.as_str()];
                let rows = self.ask(&self.statements.claim_timers, arguments).await?;
                let mut due = all::<TimerRow, DueTimer>(&rows)?;
                due.sort_by(|a, b| (a.due_at, &a.key).cmp(&(b.due_at, &b.key)));
                Ok(due.into_iter().map(Work::Timer).collect())
            }
        }
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let mut events = RecordSettlements::default();
        let mut timers = TimerSettlements::default();
        for settlement in settlements {
            match settlement {
                Settlement::Published(event) => events.published.push(event.as_uuid()),
                Settlement::Retry { event, next_at } => {
                    events.later.push(event.as_uuid());
                    events.times.push(*next_at);
                }
                Settlement::Finish(timer) => {
                    timers.over.push(&timer.key);
                    timers.over_seen.push(timer.due_at);
                }
                Settlement::Reschedule {
                    timer,
                    next_at,
                    cursor,
                } => {
                    timers.again.push(&timer.key);
                    timers.again_seen.push(timer.due_at);
                    timers.next.push(*next_at);
                    timers.cursors.push(cursor.clone());
                }
                Settlement::Read { person, notices } => {
                    let notices: Vec<Uuid> = notices.iter().map(EventId::as_uuid).collect();
                    let arguments = arguments![person.as_str(), &notices];
                    self.ask(&self.statements.read, arguments).await?;
                }
                Settlement::Ensure { key, due_at } => {
                    timers.ensure.push(key);
                    timers.due.push(*due_at);
                }
            }
        }
        if !events.published.is_empty() || !events.later.is_empty() {
            let arguments = arguments![&events.published, &events.later, &events.times];
            self.ask(&self.statements.settle, arguments).await?;
        }
        if !timers.is_empty() {
            let arguments = arguments![
                &timers.over.kinds,
                &timers.over.names,
                &timers.over_seen,
                &timers.again.kinds,
                &timers.again.names,
                &timers.again_seen,
                &timers.next,
                &timers.cursors,
                &timers.ensure.kinds,
                &timers.ensure.names,
                &timers.due,
            ];
            self.ask(&self.statements.settle_timers, arguments).await?;
        }
        Ok(())
    }

    async fn share(&self, share: Share<'_>) -> Result<Shared, StoreError> {
        self.tell_and_hear(share).await
    }

    async fn append_audit_log(
        &self,
        since: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<usize, StoreError> {
        // Ids begin with the time they were made.
        let since = since.map_or(Uuid::nil(), |since| {
            let millis = u64::try_from(since.timestamp_millis()).unwrap_or(0);
            uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
        });
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let rows = self
            .ask(&self.statements.append_audit_log, arguments![since, most])
            .await?;
        let row = rows
            .first()
            .ok_or(CallError::Row(BadRow("append_audit_log")))?;
        let added: i32 = row.try_get(0).map_err(CallError::from)?;
        Ok(usize::try_from(added).unwrap_or_default())
    }

    async fn purge(&self, purge: Purge<'_>) -> Result<Purged, StoreError> {
        let after = purge.after.map_or("", DeliveryKey::as_str);
        let limit = i64::try_from(purge.limit).unwrap_or(i64::MAX);
        let rows = self
            .ask(
                &self.statements.purge,
                arguments![purge.before, after, limit],
            )
            .await?;
        let row = rows.first().ok_or(CallError::Row(BadRow("purge")))?;
        let read = || -> Result<_, sqlx::Error> {
            Ok((
                row.try_get::<i64, _>(0)?,
                row.try_get::<i64, _>(1)?,
                row.try_get::<Option<String>, _>(2)?,
            ))
        };
        let (bodies, seen, last) = read().map_err(CallError::from)?;
        Ok(Purged {
            bodies: u64::try_from(bodies).unwrap_or_default(),
            next: last
                .filter(|_| seen >= limit)
                .map(|key| DeliveryKey::from(key.as_str())),
        })
    }

    async fn inspect(&self) -> Result<StoreReport, StoreError> {
        self.look().await
    }

    fn is_test_double(&self) -> bool {
        false
    }
}

impl PgStore {
    async fn commit_once(&self, change: Change) -> Result<CommitOutcome, StoreError> {
        let has_events = !change.events.is_empty();
        let change = Json(ChangeRow::from(change));
        let answer = self
            .ask(&self.statements.commit, arguments![&change])
            .await
            .and_then(|rows| {
                let row = rows.first().ok_or(BadRow("commit"))?;
                Ok(row.try_get::<String, _>(0)?)
            });
        match answer {
            Ok(word) => match word.as_str() {
                "done" => Ok(CommitOutcome::Done),
                "conflict" => Ok(CommitOutcome::Conflict),
                "duplicate" => Ok(CommitOutcome::Duplicate),
                _ => Err(CallError::Row(BadRow("commit")).into()),
            },
            Err(error) => match (error.code().as_deref(), error.constraint()) {
                (Some("CG001"), _) => Ok(CommitOutcome::Duplicate),
                (Some("CG002"), _)
                | (Some("23505"), Some("attempts_are_numbered" | "one_grant_per_key")) => {
                    Ok(CommitOutcome::Conflict)
                }
                // The ids of events are made for one change: an earlier try has committed it.
                (Some("23505"), Some("events_pkey")) if has_events => Ok(CommitOutcome::Done),
                _ => Err(error.into()),
            },
        }
    }

    /// Whether there is such an event.
    async fn has(&self, event: EventId) -> Result<bool, StoreError> {
        let rows = self
            .ask(&self.statements.event, arguments![event.as_uuid()])
            .await?;
        Ok(!rows.is_empty())
    }
}

#[derive(Default)]
struct RecordSettlements {
    published: Vec<Uuid>,
    later: Vec<Uuid>,
    times: Vec<DateTime<Utc>>,
}

#[derive(Default)]
struct TimerSettlements {
    over: Keys,
    over_seen: Vec<DateTime<Utc>>,
    again: Keys,
    again_seen: Vec<DateTime<Utc>>,
    next: Vec<DateTime<Utc>>,
    cursors: Vec<Option<String>>,
    ensure: Keys,
    due: Vec<DateTime<Utc>>,
}

impl TimerSettlements {
    fn is_empty(&self) -> bool {
        self.over_seen.is_empty() && self.again_seen.is_empty() && self.due.is_empty()
    }
}

/// Keys of timers, as two columns.
#[derive(Default)]
struct Keys {
    kinds: Vec<String>,
    names: Vec<String>,
}

impl Keys {
    fn push(&mut self, key: &TimerKey) {
        let TimerKeyRow { kind, name } = key.into();
        self.kinds.push(kind);
        self.names.push(name);
    }
}

fn loaded(row: &PgRow) -> Result<Loaded, CallError> {
    let delivery: Option<Json<KnownRow>> = row.try_get("delivery")?;
    let asked: Option<Json<GrantRow>> = row.try_get("asked")?;
    let enrollment: Option<Json<EnrollmentRow>> = row.try_get("enrollment")?;
    let case = match enrollment {
        None => None,
        Some(Json(enrollment)) => Some(Case {
            enrollment: enrollment.try_into()?,
            attempts: each(row.try_get::<Option<Json<Vec<AttemptRow>>>, _>("attempts")?)?,
            grants: each(row.try_get::<Option<Json<Vec<GrantRow>>>, _>("grants")?)?,
            confirming: row.try_get("confirming")?,
        }),
    };
    Ok(Loaded {
        delivery: delivery.map(|Json(known)| known.try_into()).transpose()?,
        case,
        grant: asked.map(|Json(grant)| grant.try_into()).transpose()?,
    })
}

fn each<R, T: TryFrom<R, Error = BadRow>>(rows: Option<Json<Vec<R>>>) -> Result<Vec<T>, BadRow> {
    let rows = rows.map_or_else(Vec::new, |Json(rows)| rows);
    rows.into_iter().map(T::try_from).collect()
}
