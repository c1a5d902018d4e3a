use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::vocabulary::{AdminId, ChannelName, NoticeKind};

/// What reaches one admin, and by which channels.
///
/// Whoever has chosen nothing finds in the app what has to be done: approvals, refunds and
/// alerts. Channels that leave the app are used for those who chose them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    /// Whose.
    pub person: AdminId,
    /// By which channels each kind comes; a kind that is left out comes by none.
    pub channels: BTreeMap<NoticeKind, BTreeSet<ChannelName>>,
}

impl Preferences {
    /// What holds for somebody who has chosen nothing.
    pub fn standard(person: AdminId) -> Self {
        let kinds = [
            NoticeKind::ApprovalNeeded,
            NoticeKind::RefundDue,
            NoticeKind::Alert,
        ];
        let in_app = BTreeSet::from([ChannelName::in_app()]);
        Self {
            person,
            channels: kinds.map(|kind| (kind, in_app.clone())).into(),
        }
    }

    /// Adds a channel for a kind.
    #[must_use]
    pub fn and(mut self, kind: NoticeKind, channel: ChannelName) -> Self {
        self.channels.entry(kind).or_default().insert(channel);
        self
    }

    /// Whether a kind comes by a channel.
    pub fn wants(&self, kind: NoticeKind, channel: &ChannelName) -> bool {
        let channels = self.channels.get(&kind);
        channels.is_some_and(|channels| channels.contains(channel))
    }

    /// The kinds that come by a channel.
    pub fn kinds(&self, channel: &ChannelName) -> Vec<NoticeKind> {
        let kinds = NoticeKind::ALL.iter().copied();
        kinds.filter(|kind| self.wants(*kind, channel)).collect()
    }
}
