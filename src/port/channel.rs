use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::enrollment::Enrollment;
use crate::ids::{AdminId, ChannelName, Email, EventId, LearnerId};
use crate::notice::{Notice, NoticeKind};

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recipient {
    /// An admin, by the host's name for them: the channel knows their address.
    Admin(AdminId),
    /// The learner whom it is about.
    Learner(LearnerId, Email),
}

/// One notice for one person.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Message {
    /// What they are told.
    pub notice: Notice,
    /// Who.
    pub to: Recipient,
    /// The enrollment it is about, as it is now.
    pub enrollment: Option<Enrollment>,
}

impl Message {
    pub(crate) fn new(notice: Notice, to: Recipient, enrollment: Option<Enrollment>) -> Self {
        Self {
            notice,
            to,
            enrollment,
        }
    }
}

/// Why a channel did not take a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Not now: it is tried again.
    #[error("the channel is not available: {0}")]
    Unavailable(
        /// What went wrong, without anything personal.
        String,
    ),
    /// Never: nobody by that name, an address that does not exist.
    #[error("the channel refuses it: {0}")]
    Refused(
        /// What went wrong, without anything personal.
        String,
    ),
}

/// Carries notices to people: mail, a message to a phone, a chat.
///
/// # Contract
/// Called by a worker, after the commit of what it tells of, at least once for each notice
/// and person; de-duplicate by [`Notice::id`] and [`Message::to`]. A channel that fails
/// delays neither live updates nor other channels.
#[async_trait]
pub trait NotificationChannel: Debug + Send + Sync + 'static {
    /// The name admins choose it by.
    fn name(&self) -> ChannelName;

    /// Whether learners are told by it that they were approved or rejected.
    fn reaches_learners(&self) -> bool {
        false
    }

    /// Sends one notification. It may take ten seconds.
    ///
    /// # Errors
    /// [`ChannelError`]; when it is [`Unavailable`](ChannelError::Unavailable) the same
    /// notification comes again later.
    async fn send(&self, notification: &Message) -> Result<(), ChannelError>;
}

/// Which notices to list.
#[derive(Debug, Clone)]
pub struct NoticeFilter {
    /// Whose reading counts.
    pub person: AdminId,
    /// Of which kinds.
    pub kinds: Vec<NoticeKind>,
    /// Only those that the person has not read.
    pub unread: bool,
    /// Since when.
    pub since: Option<DateTime<Utc>>,
}

/// A notice in a person's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdminNotice {
    /// The notice.
    #[serde(flatten)]
    pub notice: Notice,
    /// Whether the person has read it.
    pub read: bool,
}

/// Where a page of notices ended: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NoticeKey {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// The notice.
    pub id: EventId,
}

impl AdminNotice {
    /// Its place in the list.
    pub fn key(&self) -> NoticeKey {
        NoticeKey {
            at: self.notice.at,
            id: self.notice.id,
        }
    }
}
