//! Telling people what happened: the list in the app, and the channels that leave it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::enrollment::{Enrollment, Timer, TimerKey, TimerKind};
use crate::event::{Actor, Event, EventKind, Source};
use crate::monitor::Alert;
use crate::notice::Notice;
use crate::port::{ChannelError, Message, NotificationChannel, Recipient};
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::caught::caught;
use crate::registrar::parts::deadline;
use crate::registrar::parts::deadline::side_by_side;
use crate::registrar::parts::panics::HostPart;
use crate::registrar::parts::route::Route;
use crate::registrar::worker::run::{Pass, Worker};
use crate::registrar::worker::timers::Next;
use crate::store::{Change, Lookup};
use crate::vocabulary::{AdminId, ChannelName, EventId, IdGenerator, NoticeKind, Status};

/// How long one notification may take to send.
const SEND_WAIT: Duration = Duration::from_secs(10);
/// Wait before a notification is sent again; four times as long after each failure.
const FIRST_DELAY: Duration = Duration::from_secs(10);
/// The longest of these waits.
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3600);
/// How often a notification is tried in all: for about a day and a half.
const TRIES: u32 = 12;

/// Who is still to be told of a notice, kept as its timer's cursor.
#[derive(Serialize, Deserialize)]
struct Sending {
    tries: u32,
    left: Vec<Address>,
    /// Sinks that have not taken the alert that it is.
    #[serde(default)]
    sinks: Vec<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Address {
    channel: ChannelName,
    /// Which admin; `None` is the learner.
    admin: Option<AdminId>,
}

/// What became of one notification.
enum Sent {
    Done,
    Later,
    Never,
}

impl Registrar {
    /// The channels that admins can choose from: the list in the app, and those that the
    /// builder was given.
    pub fn channels(&self) -> Vec<ChannelName> {
        let given = self.inner.channels.iter().map(|channel| channel.name());
        std::iter::once(ChannelName::in_app())
            .chain(given)
            .collect()
    }

    /// Sets a timer for each event that somebody may have to be told of.
    pub(in crate::registrar) fn queue_notices(&self, change: &mut Change) {
        let has_channels = !self.inner.channels.is_empty();
        let told = |event: &&Event| match event.kind {
            EventKind::AlertChanged { .. } => true,
            // Through the channel that does not work? It is in the app.
            EventKind::NoticeUndelivered { .. } => false,
            _ => has_channels && event.kind.notice().is_some(),
        };
        let timers = change.events.iter().filter(told).map(|event| Timer {
            key: TimerKey::Notice(event.id),
            due_at: Some(event.at),
        });
        change.timers.extend(timers);
    }

    /// Hands an alert to one sink; whether it is done with it.
    pub(in crate::registrar) async fn alert_by(&self, route: &Route, alert: &Alert) -> bool {
        let clock = self.inner.clock.as_ref();
        let told = async { route.sink.alert(alert).await };
        let told = caught(self.watched(), HostPart::Sink, told);
        let why = match deadline::within(clock, SEND_WAIT, told).await {
            Some(Ok(Ok(()))) => return true,
            Some(Ok(Err(error @ ChannelError::Refused(_)))) => {
                tracing::error!(%error, sink = route.name, "an alert is refused by its sink");
                return true;
            }
            Some(Ok(Err(error))) => error.to_string(),
            Some(Err(_)) => "it panicked".to_owned(),
            None => "it did not answer in time".to_owned(),
        };
        tracing::error!(
            why,
            sink = route.name,
            rule = alert.rule,
            "an alert was not taken"
        );
        false
    }

    fn channel(&self, name: &ChannelName) -> Option<&dyn NotificationChannel> {
        let mut channels = self.inner.channels.iter();
        let found = channels.find(|channel| channel.name() == *name)?;
        Some(found.as_ref())
    }
}

impl Worker {
    /// Tells people what is due to be told; `true` when there may be more.
    pub(in crate::registrar) async fn notices(&self, pass: &mut Pass) -> Result<bool, Error> {
        self.timers(TimerKind::Notice, pass).await
    }

    /// Tells those who are still to be told.
    pub(in crate::registrar) async fn tell(
        &self,
        id: EventId,
        cursor: Option<&str>,
        pass: &mut Pass,
    ) -> Result<Next, Error> {
        let registrar = &self.registrar;
        let inner = &registrar.inner;
        let event = registrar
            .within(async { Ok(inner.events.event(id).await?) })
            .await?;
        let Some(notice) = event.as_ref().and_then(Notice::of) else {
            return Ok(Next::Never);
        };
        let alert = event.as_ref().and_then(Alert::of);
        let enrollment = match notice.enrollment {
            None => None,
            Some(id) => {
                let load = async { Ok(inner.store.load(Lookup::Enrollment(id)).await?.case) };
                registrar.within(load).await?.map(|case| case.enrollment)
            }
        };
        let mut sending = match cursor.and_then(|cursor| serde_json::from_str(cursor).ok()) {
            Some(sending) => sending,
            None => Sending {
                tries: 0,
                left: self.addresses(notice.kind).await?,
                sinks: self.sinks_for(alert.as_ref()),
            },
        };
        let mut sinks = std::mem::take(&mut sending.sinks);
        if let Some(alert) = &alert {
            sinks = self.alert(alert, sinks, pass).await;
        }
        let mut left = Vec::new();
        let mut failed = BTreeSet::new();
        for address in sending.left {
            // One wait for a channel that does not answer is enough.
            let sent = match failed.contains(&address.channel) {
                true => Sent::Later,
                false => self.send(&notice, enrollment.as_ref(), &address).await,
            };
            match sent {
                Sent::Done => pass.told += 1,
                Sent::Never => self.give_up(&notice, &address).await?,
                Sent::Later => {
                    failed.insert(address.channel.clone());
                    left.push(address);
                }
            }
        }
        sending = Sending {
            tries: sending.tries + 1,
            left,
            sinks,
        };
        if sending.left.is_empty() && sending.sinks.is_empty() {
            return Ok(Next::Never);
        }
        if sending.tries >= TRIES {
            for address in &sending.left {
                self.give_up(&notice, address).await?;
            }
            return Ok(Next::Never);
        }
        let delay = FIRST_DELAY * 4_u32.pow((sending.tries - 1).min(8));
        let cursor = serde_json::to_string(&sending).ok();
        Ok(Next::At(registrar.now() + delay.min(LONGEST_DELAY), cursor))
    }

    fn sinks_for(&self, alert: Option<&Alert>) -> Vec<String> {
        let sinks = self.registrar.inner.sinks.iter();
        let told = sinks.filter(|route| alert.is_some_and(|alert| route.takes(alert)));
        told.map(|route| route.name.clone()).collect()
    }

    /// Hands an alert to sinks, and gives those that have not taken it. Each waits for itself.
    async fn alert(&self, alert: &Alert, names: Vec<String>, pass: &mut Pass) -> Vec<String> {
        let registrar = &self.registrar;
        let sinks = names.into_iter().filter_map(|name| {
            // One that is not there any more is told nothing.
            let route = registrar
                .inner
                .sinks
                .iter()
                .find(|route| route.name == name)?;
            Some(async move { (name, registrar.alert_by(route, alert).await) })
        });
        let told = side_by_side(sinks.collect(), usize::MAX).await;
        pass.told += told.iter().filter(|(_, taken)| *taken).count();
        let left = told.into_iter().filter(|(_, taken)| !taken);
        left.map(|(name, _)| name).collect()
    }

    /// Everybody who is to be told of this kind, by channels that leave the app.
    async fn addresses(&self, kind: NoticeKind) -> Result<Vec<Address>, Error> {
        let registrar = &self.registrar;
        let everybody = registrar
            .within(async { Ok(registrar.inner.events.preferences().await?) })
            .await?;
        let mut addresses = Vec::new();
        for channel in &registrar.inner.channels {
            let name = channel.name();
            if channel.reaches_learners() && kind.is_for_learner() {
                addresses.push(Address {
                    channel: name.clone(),
                    admin: None,
                });
            }
            let who_want = everybody.iter().filter(|person| person.wants(kind, &name));
            addresses.extend(who_want.map(|preferences| Address {
                channel: name.clone(),
                admin: Some(preferences.person.clone()),
            }));
        }
        Ok(addresses)
    }

    async fn send(
        &self,
        notice: &Notice,
        enrollment: Option<&Enrollment>,
        address: &Address,
    ) -> Sent {
        let registrar = &self.registrar;
        let Some(channel) = registrar.channel(&address.channel) else {
            // It is not there any more.
            return Sent::Done;
        };
        let to = match (&address.admin, enrollment) {
            (Some(person), _) => Recipient::Admin(person.clone()),
            // A learner is told what still holds, and nothing that is over.
            (None, Some(now)) if still_holds(notice.kind, &now.status) => {
                Recipient::Learner(now.learner.clone(), now.email.clone())
            }
            (None, _) => return Sent::Done,
        };
        let notification = Message::new(notice.clone(), to, enrollment.cloned());
        let clock = registrar.inner.clock.as_ref();
        let sending = async { channel.send(&notification).await };
        let sending = caught(registrar.watched(), HostPart::Channel, sending);
        let unavailable = |what: &str| Err(ChannelError::Unavailable(what.to_owned()));
        let sent = match deadline::within(clock, SEND_WAIT, sending).await {
            Some(Ok(sent)) => sent,
            Some(Err(_)) => unavailable("it panicked"),
            None => unavailable("it did not answer in time"),
        };
        match sent {
            Ok(()) => Sent::Done,
            Err(error) => {
                tracing::warn!(%error, channel = %address.channel, notice = %notice.id, "not told");
                match error {
                    ChannelError::Unavailable(_) => Sent::Later,
                    ChannelError::Refused(_) => Sent::Never,
                }
            }
        }
    }

    /// Leaves an event, which shows in the app, that a notice did not reach somebody.
    async fn give_up(&self, notice: &Notice, address: &Address) -> Result<(), Error> {
        let registrar = &self.registrar;
        let now = registrar.now();
        let kind = EventKind::NoticeUndelivered {
            notice: notice.id,
            channel: address.channel.clone(),
        };
        let event = Event::new(
            IdGenerator::new(now).event(),
            kind,
            Actor::System,
            Source::SystemAutomatic,
            now,
        );
        let mut change = Change::events_only(vec![event]);
        change.publish = true;
        registrar.within(registrar.commit(change)).await?;
        Ok(())
    }
}

/// Whether an enrollment is still where the notice says it went.
fn still_holds(kind: NoticeKind, now: &Status) -> bool {
    match kind {
        NoticeKind::Approved => matches!(now, Status::Approved { .. }),
        NoticeKind::Rejected => matches!(now, Status::Rejected { .. }),
        NoticeKind::ApprovalNeeded | NoticeKind::RefundDue | NoticeKind::Alert => true,
    }
}
