use std::fmt::Debug;

use async_trait::async_trait;

use crate::enrollment::Enrollment;
use crate::notice::Notice;
use crate::vocabulary::{AdminId, ChannelName, Email, LearnerId};

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
    fn reaches_learners(&self) -> bool;

    /// Sends one notification. It may take ten seconds.
    ///
    /// # Errors
    /// [`ChannelError`]; when it is [`Unavailable`](ChannelError::Unavailable) the same
    /// notification comes again later.
    async fn send(&self, notification: &Message) -> Result<(), ChannelError>;
}
