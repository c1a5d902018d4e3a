use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::change::Change;
use super::inbox::{InboxEntry, InboxState};
use crate::access::Grant;
use crate::enrollment::{Case, DueTimer, TimerKey, TimerKind};
use crate::event::Event;
use crate::monitor::{Alert, Tallied, Tally};
use crate::vocabulary::{
    AdminId, CourseId, EnrollmentId, EventId, ExternalKey, GrantId, LearnerId, PayLinkId,
    PaymentReference,
};
use crate::webhook::DeliveryKey;

/// Why a store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not reachable or overloaded: try again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The change breaks a rule of the store and will never be accepted.
    #[error("the store refuses the change: {0}")]
    Refused(String),
    /// The store is not set up for this: the schema is missing, a permission, the account.
    /// No change will be accepted before somebody mends it.
    #[error("the store is not usable: {0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// What a store says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// Its clock, if it has one of its own.
    pub now: Option<DateTime<Utc>>,
    /// What is missing: tables, constraints, steps of the schema.
    pub defects: Vec<String>,
    /// Labels of the keys that bodies of deliveries are encrypted with which are still to be
    /// read: those that are not settled.
    pub body_keys: Vec<String>,
}

/// Which bodies of deliveries are not to be kept any longer.
#[derive(Debug, Clone, Copy)]
pub struct Purge<'a> {
    /// Those that arrived before.
    pub before: DateTime<Utc>,
    /// Where the last call left off.
    pub after: Option<&'a DeliveryKey>,
    /// How many deliveries to look at.
    pub limit: usize,
}

/// What became of bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// How many were dropped.
    pub bodies: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<DeliveryKey>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'a> {
    /// What a delivery needs: is it known, and the case it names, by reference or
    /// else by pay link.
    Delivery {
        /// The delivery.
        key: &'a DeliveryKey,
        /// The reference it names.
        reference: Option<&'a str>,
        /// The pay link it names.
        pay_link: Option<&'a str>,
    },
    /// A case by its enrollment.
    Enrollment(EnrollmentId),
    /// A case by the reference of one of its attempts.
    Reference(&'a PaymentReference),
    /// A case by learner and course.
    Learner(&'a LearnerId, &'a CourseId),
    /// A case by the provider's pay link of one of its attempts.
    PayLink(&'a PayLinkId),
    /// A grant, and its case if it has one.
    Grant(GrantId),
    /// The same, by another system's name for it.
    GrantKey(&'a ExternalKey),
}

/// What was found, in one consistent read.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// What is known of the delivery.
    pub delivery: Option<KnownDelivery>,
    /// The case.
    pub case: Option<Case>,
    /// The grant that was asked for.
    pub grant: Option<Grant>,
}

/// What is known of a delivery that came before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDelivery {
    /// How far it is.
    pub state: InboxState,
    /// The enrollment it was matched with.
    pub enrollment: Option<EnrollmentId>,
    /// When it first arrived.
    pub received_at: DateTime<Utc>,
    /// How often it was tried without a decision.
    pub tries: u32,
}

/// What a process tells the others, and asks of them.
#[derive(Debug, Clone, Copy)]
pub struct Share<'a> {
    /// What it saw. A tally that is known is not counted again.
    pub tallies: &'a [Tally],
    /// The time now, for a store without a clock of its own.
    pub now: DateTime<Utc>,
    /// What is younger than this it wants to hear of.
    pub within: Duration,
    /// What is older than this is forgotten.
    pub keep: Duration,
}

/// What all processes saw together.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// The time by the store's own clock, if it has one.
    pub now: Option<DateTime<Utc>>,
    /// What was seen, by this process too.
    pub tallies: Vec<Tallied>,
    /// The alerts that stand, by the names of their rules.
    pub alerts: Vec<Alert>,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Everything is durable.
    Done,
    /// Nothing was written: the enrollment, the delivery or the grant moved on or exists
    /// already, or a reference is taken. Read again and decide again.
    Conflict,
    /// Nothing was written: this delivery is settled already.
    Duplicate,
}

/// Which work is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    /// Deliveries that wait or are parked, and are due.
    Inbox,
    /// Events to publish: for each enrollment the oldest unpublished ones.
    Outbox,
    /// Timers of a kind that fell due.
    Timers(TimerKind),
}

/// A claim on due work.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Which.
    pub kind: WorkKind,
    /// How much at most.
    pub limit: usize,
    /// The time now.
    pub now: DateTime<Utc>,
    /// For how long nobody else gets it.
    pub lease: Duration,
}

/// A piece of claimed work.
#[derive(Debug, Clone)]
pub enum Work {
    /// A delivery to decide about.
    Delivery(Box<InboxEntry>),
    /// An event to publish.
    Message(Box<Event>),
    /// A timer that fell due.
    Timer(DueTimer),
}

/// What became of claimed work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It was published, and leaves the outbox.
    Published(EventId),
    /// It was not; it and what follows it in its enrollment waits.
    Retry {
        /// The event.
        event: EventId,
        /// Not before.
        next_at: DateTime<Utc>,
    },
    /// A timer falls due again. Says nothing when it was set anew, or stopped, meanwhile.
    Reschedule {
        /// As it was claimed.
        timer: DueTimer,
        /// When.
        next_at: DateTime<Utc>,
        /// Where the job left off.
        cursor: Option<String>,
    },
    /// A timer is done with. Says nothing when it was set anew meanwhile.
    Finish(DueTimer),
    /// A person has read these notices.
    Read {
        /// Who.
        person: AdminId,
        /// Which.
        notices: Vec<EventId>,
    },
    /// A timer is set unless it is there already.
    Ensure {
        /// Of what.
        key: TimerKey,
        /// When it falls due.
        due_at: DateTime<Utc>,
    },
}

/// Where everything is kept.
///
/// # Contract
/// - [`load`](Self::load) is one consistent read.
/// - [`commit`](Self::commit) is atomic and durable before it answers. It is refused
///   as a [`CommitOutcome::Conflict`] unless the stored version equals
///   [`Change::expected`] (or, without one, the learner has no enrollment in the
///   course), and as a [`CommitOutcome::Duplicate`] when the inbox row is settled
///   already. One reference belongs to one enrollment; one payment to one grant;
///   events are only ever added. A grant whose key another grant has, or that would become
///   another learner's or course's, is a [`CommitOutcome::Conflict`].
/// - An inbox row that is not as far as [`Change::inbox_was`] says (without it: that is there), is
///   a [`CommitOutcome::Conflict`]; of those who found the same one writes.
/// - A grant apart from any enrollment is given once and ends once: one that lives must be new, and
///   one that has ended must not have ended in the store; else [`CommitOutcome::Conflict`]. An erasure
///   may name it anew.
/// - A change that is committed already, by the id of its first event, is [`CommitOutcome::Done`], and
///   written no second time: whoever lost the answer may commit it again.
/// - Committing an attempt makes the parked deliveries that name its reference or
///   its pay link due at once.
/// - [`claim`](Self::claim) hands each piece of work to one caller at a time, until its
///   lease is over; an outbox event never before the older ones of its enrollment, and
///   what fell due earlier before what did later.
/// - A commit of an inbox row ends the lease on it, and one of a timer that on the timer.
/// - [`purge`](Self::purge) drops bodies of settled deliveries only; their keys stay known.
/// - An erasure ([`Change::erasure`]) is part of its commit: after it nothing of the learner is
///   left of the enrollment, its events, deliveries and rows of statements, and the audit log holds.
/// - An alert that begins must not stand, and one that escalates or ends must stand since the same
///   time, not escalated yet; else [`CommitOutcome::Conflict`].
/// - A discrepancy or a row of a statement that is open must be new, and one that is closed or
///   settled must be open in the store; else [`CommitOutcome::Conflict`].
///
/// The suite in `conformance` (feature of that name) checks all of it.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Reads what a decision needs.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn load(&self, lookup: Lookup<'_>) -> Result<Loaded, StoreError>;

    /// Writes a change, all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written, or it is not known whether it was.
    async fn commit(&self, change: Change) -> Result<CommitOutcome, StoreError>;

    /// A learner's grants for a course, live or not, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn grants(
        &self,
        learner: &LearnerId,
        course: &CourseId,
    ) -> Result<Vec<Grant>, StoreError>;

    /// Claims due work.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim(&self, claim: Claim) -> Result<Vec<Work>, StoreError>;

    /// Says what became of claimed events and timers.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn settle(&self, settlements: &[Settlement]) -> Result<(), StoreError>;

    /// Keeps what a process saw, and gives what all of them did; after that, by one clock.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn share(&self, share: Share<'_>) -> Result<Shared, StoreError>;

    /// Adds events to the audit log that are not in it yet, those of `since` and later, or all of
    /// them; in the order of their ids, so many at most. One caller at a time. Gives how many.
    /// A store without an audit log adds none.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn append_audit_log(
        &self,
        since: Option<DateTime<Utc>>,
        most: usize,
    ) -> Result<usize, StoreError>;

    /// Walks on through the deliveries, so many at most, and drops the bodies of those that are
    /// settled and arrived before a time. All else about them stays.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn purge(&self, purge: Purge<'_>) -> Result<Purged, StoreError>;

    /// Looks whether everything is there that keeps money and access right. A store that has
    /// nothing to look at says so by the empty report.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn inspect(&self) -> Result<StoreReport, StoreError>;

    /// Whether it forgets everything when the process ends.
    fn is_test_double(&self) -> bool;
}
