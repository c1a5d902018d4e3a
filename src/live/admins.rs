use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};
use uuid::Uuid;

use super::Hub;
use crate::enrollment::{Status, Version};
use crate::event::{Event, EventKind};
use crate::ids::{AdminId, CourseId, EnrollmentId, EventId};
use crate::money::Money;
use crate::notice::NoticeKind;
use crate::payment::AttemptStatus;
use crate::port::{PageRequest, Sleep};
use crate::reason::{HoldReason, Permission, Severity};
use crate::registrar::{Error, Registrar};

/// Events kept for readers who fall behind or come back.
const KEPT: usize = 1024;
/// Enrollments in a snapshot of the queue.
const SHOWN: usize = 100;
/// How often a stream on which nothing happens asks whether its reader still may read it.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// What an event means to the people who approve. It names an enrollment, and nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AdminEvent {
    /// The event it tells of.
    pub id: EventId,
    /// The event's event name, such as `payment_completed`.
    pub event: &'static str,
    /// The enrollment it is about.
    pub enrollment: Option<EnrollmentId>,
    /// The enrollment's version after it.
    pub version: Version,
    /// Why the enrollment now waits for a person, if it begins to.
    pub pending: Option<HoldReason>,
    /// Whether it waits for a person no longer.
    pub decided: bool,
    /// How an attempt to pay now stands.
    pub payment: Option<AttemptStatus>,
    /// How far the import of a bank statement is.
    pub import: Option<ImportProgress>,
    /// What kind of notice it is, if people are told of it.
    pub notice: Option<NoticeKind>,
    /// How urgently somebody should look.
    pub severity: Severity,
    /// When it happened.
    pub at: DateTime<Utc>,
}

/// How far the import of a bank statement is: large ones are stored in parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportProgress {
    /// Rows that were looked at.
    pub done: u64,
    /// Rows of the import.
    pub of: u64,
}

/// One enrollment of the approval queue, as far as the stream shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PendingView {
    /// The enrollment.
    pub enrollment: EnrollmentId,
    /// Which course.
    pub course: CourseId,
    /// Its price today.
    pub price: Money,
    /// What the attempt asked whose money waits, where that is another sum.
    pub offered: Option<Money>,
    /// Why it waits.
    pub reason: HoldReason,
    /// Its version.
    pub version: Version,
    /// Since when it is as it is.
    pub since: DateTime<Utc>,
}

/// What the admins' stream says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "update")]
#[non_exhaustive]
pub enum AdminUpdate {
    /// The queue as it is: at the beginning, and whenever the reader fell too far behind.
    /// What was shown before it is void.
    Snapshot {
        /// Its oldest enrollments, 100 at most.
        pending: Vec<PendingView>,
        /// Whether there are more.
        more: bool,
    },
    /// Something happened.
    Event(Arc<AdminEvent>),
}

/// An event and its place in this hub.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    place: u64,
    /// `None` where some may be missing.
    pub(super) event: Option<Arc<AdminEvent>>,
}

pub(super) struct Admins {
    /// Tells one hub's places from another's.
    hub: Uuid,
    sender: Sender<Placed>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last: u64,
    events: VecDeque<Placed>,
}

impl Admins {
    pub(super) fn new() -> Self {
        Self {
            hub: Uuid::new_v4(),
            sender: broadcast::channel(KEPT).0,
            kept: Mutex::default(),
        }
    }

    pub(super) fn tell(&self, event: &Event) {
        let event = admin_event(event);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let placed = Placed {
            place: kept.last,
            event: Some(Arc::new(event)),
        };
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(placed.clone());
        // Under the lock, so that places are sent in order. Nobody may listen: that is no error.
        let _ = self.sender.send(placed);
    }

    /// Leaves a gap that every stream notices: whoever reads next is shown the queue anew.
    pub(super) fn forget(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        kept.events.clear();
        let gap = Placed {
            place: kept.last,
            event: None,
        };
        let _ = self.sender.send(gap);
    }

    /// Whatever happens from now on.
    pub(super) fn subscribe(&self) -> Receiver<Placed> {
        self.sender.subscribe()
    }

    /// Listens from now on; and what came after a place, if all of it is still kept.
    fn listen(&self, since: Option<&str>) -> (Receiver<Placed>, u64, Option<VecDeque<Placed>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let since = since.and_then(|token| {
            let (hub, place) = token.split_once('.')?;
            (hub == self.hub.simple().to_string()).then(|| place.parse::<u64>().ok())?
        });
        let oldest = kept.last - kept.events.len() as u64;
        let since = since.filter(|place| (oldest..=kept.last).contains(place));
        let missed = since.map(|place| {
            let later = kept.events.iter().filter(|placed| placed.place > place);
            later.cloned().collect()
        });
        (receiver, since.unwrap_or(kept.last), missed)
    }
}

fn admin_event(event: &Event) -> AdminEvent {
    let (mut pending, mut decided, mut payment) = (None, false, None);
    match &event.kind {
        EventKind::EnrollmentMoved { from, to, .. } => {
            let waits = |status: &Status| matches!(status, Status::AwaitingApproval { .. });
            if let Status::AwaitingApproval { reason } = to {
                pending = Some(*reason);
            }
            decided = waits(from) && !waits(to);
        }
        EventKind::ReviewChanged { reason } => {
            pending = *reason;
            decided = reason.is_none();
        }
        EventKind::AttemptMoved { to, .. } => payment = Some(*to),
        EventKind::AttemptStarted { .. } => payment = Some(AttemptStatus::Started),
        EventKind::PaymentCompleted { .. } => payment = Some(AttemptStatus::Paid),
        EventKind::PaymentReturned { .. } => payment = Some(AttemptStatus::Refunded),
        EventKind::PaymentReversed { .. } => payment = Some(AttemptStatus::Reversed),
        _ => {}
    }
    let import = match event.kind {
        EventKind::StatementImported { done, of, .. } => Some(ImportProgress { done, of }),
        _ => None,
    };
    AdminEvent {
        id: event.id,
        event: event.kind.name(),
        enrollment: event.enrollment,
        version: event.version,
        pending,
        decided,
        payment,
        import,
        notice: NoticeKind::of(&event.kind),
        severity: event.kind.severity(),
        at: event.at,
    }
}

/// What happens, for the people who approve.
pub struct AdminStream {
    hub: Hub,
    registrar: Registrar,
    person: AdminId,
    receiver: Receiver<Placed>,
    missed: VecDeque<Placed>,
    /// The place of the last update.
    place: u64,
    snapshot_due: bool,
    /// Until it asks again.
    pause: Option<Sleep>,
    /// Whether the reader lost the permission.
    over: bool,
}

impl Hub {
    /// Opens a stream for one of the people who approve. It begins with the queue, or, with the
    /// token of an earlier stream, with what happened since, if that is not too much.
    ///
    /// The permission to view is asked for now, before each update, and every minute while
    /// somebody waits in [`AdminStream::next`].
    ///
    /// # Errors
    /// [`Error::Forbidden`] without that permission, and the try is recorded.
    pub async fn admins(
        &self,
        registrar: &Registrar,
        person: AdminId,
        since: Option<&str>,
    ) -> Result<AdminStream, Error> {
        let desk = registrar.admin(person.clone());
        desk.allow(Permission::View, None).await?;
        let (receiver, place, missed) = self.inner.admins.listen(since);
        Ok(AdminStream {
            hub: self.clone(),
            registrar: registrar.clone(),
            person,
            receiver,
            snapshot_due: missed.is_none(),
            missed: missed.unwrap_or_default(),
            place,
            pause: None,
            over: false,
        })
    }
}

impl AdminStream {
    /// Waits for the next update.
    ///
    /// # Errors
    /// [`Error::Forbidden`] once the person lacks the permission to view: the stream is over. Or
    /// the store's errors, from reading the queue: call it again after a moment.
    pub async fn next(&mut self) -> Result<AdminUpdate, Error> {
        self.ask().await?;
        loop {
            if self.snapshot_due {
                let snapshot = self.snapshot().await?;
                self.snapshot_due = false;
                return Ok(snapshot);
            }
            let placed = match self.missed.pop_front() {
                Some(missed) => Ok(missed),
                None => {
                    let heard = self.hear().await;
                    // It may have waited for long.
                    self.ask().await?;
                    match heard {
                        Some(heard) => heard,
                        None => continue,
                    }
                }
            };
            match placed {
                Ok(placed) => {
                    self.place = placed.place;
                    match placed.event {
                        Some(event) => return Ok(AdminUpdate::Event(event)),
                        None => self.snapshot_due = true,
                    }
                }
                // The stream holds the hub, so the other end is there.
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    // What was kept for this reader is older than the snapshot will be.
                    let (receiver, place, _) = self.hub.inner.admins.listen(None);
                    (self.receiver, self.place) = (receiver, place);
                    self.snapshot_due = true;
                }
            }
        }
    }

    /// Goes on only while its reader may view, and never again once they may not.
    async fn ask(&mut self) -> Result<(), Error> {
        if self.over {
            return Err(Error::Forbidden(Permission::View));
        }
        let desk = self.registrar.admin(self.person.clone());
        if desk.may(Permission::View) {
            return Ok(());
        }
        let asked = desk.allow(Permission::View, None).await;
        self.over = asked.is_err();
        asked
    }

    /// What comes next; `None` when it is time to ask again. The timer is kept from one event
    /// to the next, since events are many.
    async fn hear(&mut self) -> Option<Result<Placed, RecvError>> {
        let registrar = &self.registrar;
        let pause = self.pause.get_or_insert_with(|| registrar.sleep(ASK_EVERY));
        let heard = {
            let mut heard = pin!(self.receiver.recv());
            poll_fn(|context| match heard.as_mut().poll(context) {
                Poll::Ready(heard) => Poll::Ready(Some(heard)),
                Poll::Pending => pause.as_mut().poll(context).map(|()| None),
            })
            .await
        };
        if heard.is_none() {
            self.pause = None;
        }
        heard
    }

    /// The place of the last update: give it back to go on from there.
    pub fn token(&self) -> String {
        format!("{}.{}", self.hub.inner.admins.hub.simple(), self.place)
    }

    async fn snapshot(&mut self) -> Result<AdminUpdate, Error> {
        let desk = self.registrar.admin(self.person.clone());
        let page = desk.pending(PageRequest::first(SHOWN)).await?;
        let view = |item: crate::port::PendingItem| {
            let offered = item.sums().map(|sums| sums.is);
            Some(PendingView {
                offered,
                enrollment: item.enrollment.id,
                course: item.enrollment.course,
                price: item.enrollment.price,
                reason: item.enrollment.waits_for?,
                version: item.enrollment.version,
                since: item.enrollment.updated_at,
            })
        };
        Ok(AdminUpdate::Snapshot {
            more: page.next.is_some(),
            pending: page.items.into_iter().filter_map(view).collect(),
        })
    }
}

impl fmt::Debug for AdminStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminStream")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}
