use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Hub;
use crate::port::Sleep;
use crate::registrar::{Error, Registrar};
use crate::store::PageRequest;
use crate::vocabulary::AdminId;
use crate::vocabulary::reason::Permission;

use super::feed::{AdminEvent, PendingView, Placed};

/// How often a stream on which nothing happens asks whether its reader still may read it.
const ASK_EVERY: Duration = Duration::from_secs(60);
/// Enrollments in a snapshot of the queue.
const SHOWN: usize = 100;

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
        let admin = registrar.admin(person.clone());
        admin.allow(Permission::View, None).await?;
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
        let admin = self.registrar.admin(self.person.clone());
        if admin.may(Permission::View) {
            return Ok(());
        }
        let asked = admin.allow(Permission::View, None).await;
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
        let admin = self.registrar.admin(self.person.clone());
        let page = admin.approvals().pending(PageRequest::first(SHOWN)).await?;
        let view = |item: crate::store::PendingItem| {
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
