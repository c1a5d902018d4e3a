use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::broadcast::{self, Receiver, Sender};
use uuid::Uuid;

use crate::event::{Event, EventKind};
use crate::payment::AttemptStatus;
use crate::vocabulary::reason::{HoldReason, Severity};
use crate::vocabulary::{CourseId, EnrollmentId, EventId, Money, NoticeKind, Status, Version};

/// Events kept for readers who fall behind or come back.
const KEPT: usize = 1024;

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

/// An event and its place in this hub.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) place: u64,
    /// `None` where some may be missing.
    pub(super) event: Option<Arc<AdminEvent>>,
}

pub(super) struct Admins {
    /// Tells one hub's places from another's.
    pub(super) hub: Uuid,
    pub(super) sender: Sender<Placed>,
    pub(super) kept: Mutex<Kept>,
}

#[derive(Default)]
pub(super) struct Kept {
    pub(super) last: u64,
    pub(super) events: VecDeque<Placed>,
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
    pub(super) fn listen(
        &self,
        since: Option<&str>,
    ) -> (Receiver<Placed>, u64, Option<VecDeque<Placed>>) {
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
        notice: event.kind.notice(),
        severity: event.kind.severity(),
        at: event.at,
    }
}
