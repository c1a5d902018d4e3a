use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{BadRow, EventRow};
use crate::event::Event;
use crate::notice::{Notice, Preferences};
use crate::store::AdminNotice;
use crate::vocabulary::{AdminId, ChannelName, NoticeKind};

/// What one admin chose to be told of.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct PreferencesRow {
    person: AdminId,
    channels: BTreeMap<NoticeKind, BTreeSet<ChannelName>>,
}

impl From<Preferences> for PreferencesRow {
    fn from(from: Preferences) -> Self {
        Self {
            person: from.person,
            channels: from.channels,
        }
    }
}

impl TryFrom<PreferencesRow> for Preferences {
    type Error = BadRow;

    fn try_from(row: PreferencesRow) -> Result<Self, BadRow> {
        Ok(Self {
            person: row.person,
            channels: row.channels,
        })
    }
}

/// An event that is a notice, and whether somebody has read it.
#[derive(Deserialize)]
pub(in super::super) struct NoticeRow {
    event: EventRow,
    read: bool,
}

impl TryFrom<NoticeRow> for AdminNotice {
    type Error = BadRow;

    fn try_from(row: NoticeRow) -> Result<Self, BadRow> {
        let event = Event::try_from(row.event)?;
        let notice = Notice::of(&event).ok_or(BadRow("events"))?;
        Ok(Self {
            notice,
            read: row.read,
        })
    }
}
