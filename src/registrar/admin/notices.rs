//! What an admin is told, and what they chose to be told of.

use crate::event::EventKind;
use crate::notice::Preferences;
use crate::registrar::admin::handles::Notices;
use crate::registrar::error::Error;
use crate::store::{AdminNotice, Change, NoticeFilter, NoticeKey, Page, PageRequest, Settlement};
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{ChannelName, EventId, NoticeKind};
use std::collections::{BTreeMap, BTreeSet};

/// What nobody has read for so long does not count as unread any more.
const FRESH: chrono::Duration = chrono::Duration::days(30);

impl Notices<'_> {
    /// What this person is told of, and by which channels.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn preferences(&self) -> Result<Preferences, Error> {
        self.admin.allow(Permission::View, None).await?;
        let everybody = self
            .admin
            .registrar
            .within(async { Ok(self.admin.registrar.inner.events.preferences().await?) })
            .await?;
        let own = everybody
            .into_iter()
            .find(|preferences| preferences.person == *self.admin.person());
        Ok(own.unwrap_or_else(|| Preferences::standard(self.admin.person().clone())))
    }

    /// Chooses what this person is told of: by which channels each kind comes.
    ///
    /// # Errors
    /// [`Error::UnknownChannel`], or the store's errors.
    pub async fn choose_channels(
        &self,
        channels: BTreeMap<NoticeKind, BTreeSet<ChannelName>>,
    ) -> Result<Preferences, Error> {
        self.admin.allow(Permission::View, None).await?;
        let known = self.admin.registrar.channels();
        if let Some(unknown) = channels
            .values()
            .flatten()
            .find(|name| !known.contains(name))
        {
            return Err(Error::UnknownChannel(unknown.clone()));
        }
        let preferences = Preferences {
            person: self.admin.person().clone(),
            channels,
        };
        let event = self
            .admin
            .event(EventKind::PreferencesChosen, self.admin.registrar.now());
        let mut change = Change::events_only(vec![event]);
        change.preferences = Some(preferences.clone());
        self.admin
            .registrar
            .within(self.admin.registrar.commit(change))
            .await?;
        Ok(preferences)
    }

    /// This person's list in the app, newest first: the kinds they chose for it. What is
    /// unread is looked for among the last 30 days.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn list(
        &self,
        unread: bool,
        page: PageRequest<NoticeKey>,
    ) -> Result<Page<AdminNotice, NoticeKey>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let preferences = self.preferences().await?;
        let filter = NoticeFilter {
            kinds: preferences.kinds(&ChannelName::in_app()),
            person: preferences.person,
            unread,
            since: unread.then(|| self.admin.registrar.now() - FRESH),
        };
        self.admin
            .registrar
            .within(async {
                Ok(self
                    .admin
                    .registrar
                    .inner
                    .events
                    .notices(&filter, page)
                    .await?)
            })
            .await
    }

    /// Notes that this person has read these notices.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn mark_read(&self, notices: &[EventId]) -> Result<(), Error> {
        self.admin.allow(Permission::View, None).await?;
        let read = Settlement::Read {
            person: self.admin.person().clone(),
            notices: notices.to_vec(),
        };
        self.admin.registrar.settle(&[read]).await
    }
}
