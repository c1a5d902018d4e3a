use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::notice::Notice;
use crate::vocabulary::{AdminId, EventId, NoticeKind};

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
