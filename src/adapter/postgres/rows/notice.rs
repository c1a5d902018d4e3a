use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{BadRow, RecordRow};
use crate::event::Event;
use crate::ids::{AdminId, ChannelName};
use crate::notice::{Notice, NoticeKind, Preferences};
use crate::port::AdminNotice;

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

/// A record that is a notice, and whether somebody has read it.
#[derive(Deserialize)]
pub(in super::super) struct NoticeRow {
    record: RecordRow,
    read: bool,
}

impl TryFrom<NoticeRow> for AdminNotice {
    type Error = BadRow;

    fn try_from(row: NoticeRow) -> Result<Self, BadRow> {
        let record = Event::try_from(row.record)?;
        let notice = Notice::of(&record).ok_or(BadRow("records"))?;
        Ok(Self {
            notice,
            read: row.read,
        })
    }
}
