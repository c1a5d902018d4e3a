use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::access::{EndReason, TermsOutline};
use crate::payment::{Allocation, AttemptStatus, PaymentMethod, Purpose};
use crate::vocabulary::reason::{HoldReason, Permission, SecurityEvent, Severity};
use crate::vocabulary::{
    AccountId, AlertSeverity, AlertStage, ChannelName, DiscrepancyKey, DiscrepancyKind,
    EnrollmentId, EventId, GrantId, Money, Note, PaymentReference, Reversal, Status, Transition,
};
use crate::webhook::{DeliveryKey, VerifyError};

/// What happened. Whose it is stands in the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
#[non_exhaustive]
pub enum EventKind {
    /// An enrollment was made.
    EnrollmentCreated {
        /// Its price.
        price: Money,
        /// The declared method.
        declared: PaymentMethod,
    },
    /// An enrollment's status moved.
    EnrollmentMoved {
        /// From.
        from: Status,
        /// To.
        to: Status,
        /// By which transition.
        transition: Transition,
    },
    /// The learner enrolled again: at another price, for other access, or by another method.
    EnrollmentRevised {
        /// The price from now on.
        price: Money,
        /// The declared method from now on.
        declared: PaymentMethod,
        /// The access that is asked for from now on.
        terms: TermsOutline,
    },
    /// The learner's address or the course's title is another now.
    DetailsChanged,
    /// The learner asked for the course again, and goes on with what there is.
    AskedAgain {
        /// The attempt that they go on with; `None` when money of theirs waits.
        reference: Option<PaymentReference>,
    },
    /// An enrollment that gives access waits for a person too, or no longer does.
    ReviewChanged {
        /// Why it waits.
        reason: Option<HoldReason>,
    },
    /// An attempt to pay was started.
    AttemptStarted {
        /// Its reference.
        reference: PaymentReference,
        /// What was asked.
        amount: Money,
        /// The access that it buys.
        terms: TermsOutline,
        /// What it is for.
        purpose: Purpose,
    },
    /// An attempt moved without money.
    AttemptMoved {
        /// Its reference.
        reference: PaymentReference,
        /// From.
        from: AttemptStatus,
        /// To.
        to: AttemptStatus,
    },
    /// Money arrived.
    PaymentCompleted {
        /// The attempt's reference.
        reference: PaymentReference,
        /// The sum the provider stated.
        amount: Option<Money>,
        /// The method the evidence pointed to.
        method: PaymentMethod,
        /// What the money does.
        allocation: Allocation,
    },
    /// Money that had arrived does something else now.
    PaymentRestated {
        /// The attempt's reference.
        reference: PaymentReference,
        /// What it does now.
        allocation: Allocation,
    },
    /// Money went back.
    PaymentReturned {
        /// The attempt's reference.
        reference: PaymentReference,
        /// How much.
        amount: Money,
        /// Whether the access that rests on the payment ended with it.
        ends_access: bool,
    },
    /// The provider was asked to give money back.
    RefundRequested {
        /// The attempt's reference.
        reference: PaymentReference,
        /// How much.
        amount: Money,
    },
    /// The provider did not give the money back that it was asked for.
    RefundFailed {
        /// The attempt's reference.
        reference: PaymentReference,
        /// How much it was.
        amount: Money,
    },
    /// The payer's bank took money back.
    PaymentReversed {
        /// The attempt's reference.
        reference: PaymentReference,
        /// How.
        how: Reversal,
    },
    /// Money that the payer's bank took back came again.
    PaymentReinstated {
        /// The attempt's reference.
        reference: PaymentReference,
    },
    /// The learner showed a proof of payment for a bank transfer.
    ProofAttached {
        /// The attempt's reference.
        reference: PaymentReference,
    },
    /// A payment names an enrollment that it does not fit; nothing was moved by it.
    PaymentDoubted {
        /// The attempt's reference.
        reference: PaymentReference,
        /// What does not fit.
        reason: HoldReason,
    },
    /// A grant began, or begins at another time than it was to.
    AccessGranted {
        /// The grant.
        grant: GrantId,
        /// Until when.
        until: Option<DateTime<Utc>>,
        /// Whether it is more than an approved enrollment gave before: an upgrade or a renewal.
        more: bool,
    },
    /// A grant apart from any enrollment began.
    GrantGiven {
        /// The grant.
        grant: GrantId,
        /// Until when.
        until: Option<DateTime<Utc>>,
    },
    /// A grant apart from any enrollment ended.
    GrantTaken {
        /// The grant.
        grant: GrantId,
        /// Why.
        why: EndReason,
    },
    /// A grant that was given ahead of its payment rests on one now, or on none any more.
    AccessRebased {
        /// The grant.
        grant: GrantId,
        /// The payment.
        payment: Option<PaymentReference>,
    },
    /// A grant ended.
    AccessEnded {
        /// The grant.
        grant: GrantId,
        /// Why.
        why: EndReason,
    },
    /// A grant does not count for now.
    AccessSuspended {
        /// The grant.
        grant: GrantId,
        /// Why.
        why: Reversal,
    },
    /// A suspended grant counts again.
    AccessResumed {
        /// The grant.
        grant: GrantId,
    },
    /// Something needs a person: money that nobody knows, or money and access that disagree.
    DiscrepancyFound {
        /// Which discrepancy.
        key: DiscrepancyKey,
        /// What is wrong.
        kind: DiscrepancyKind,
        /// The enrollment it is about.
        about: Option<EnrollmentId>,
    },
    /// A person closed a discrepancy.
    DiscrepancyClosed {
        /// Which discrepancy.
        key: DiscrepancyKey,
    },
    /// The money of a bank transfer that a person approved by hand is on a statement.
    TransferFound {
        /// The attempt.
        reference: PaymentReference,
        /// How much of it.
        amount: Money,
    },
    /// Rows of a bank statement were imported.
    StatementImported {
        /// The account.
        account: AccountId,
        /// How many new rows.
        rows: u64,
        /// How many of them may be an earlier row once more.
        doubtful: u64,
        /// How many rows of the import were looked at by now.
        done: u64,
        /// How many rows the import has.
        of: u64,
    },
    /// A row of a bank statement was settled without an enrollment.
    StatementRowClosed {
        /// Its name.
        row: String,
    },
    /// A row of a bank statement is not the earlier one that it resembles.
    StatementRowApart {
        /// Its name.
        row: String,
        /// The earlier one's.
        resembles: String,
    },
    /// Rows of bank statements are earlier ones once more.
    StatementRowsRepeated {
        /// How many.
        rows: u64,
    },
    /// A verified callback names no payment that we know.
    DeliveryParked {
        /// The delivery.
        key: DeliveryKey,
    },
    /// A verified callback cannot be read, or could not be applied for too long.
    DeliveryDead {
        /// The delivery.
        key: DeliveryKey,
        /// Why.
        cause: Note,
    },
    /// A parked delivery is still not matched after the time that the host set.
    DeliveryOverdue {
        /// The delivery.
        key: DeliveryKey,
    },
    /// An admin asked for a delivery to be handled again.
    DeliveryReplayed {
        /// The delivery.
        key: DeliveryKey,
    },
    /// One of two people who have to approve has done so.
    FirstApproval,
    /// Somebody tried what they may not do.
    ActionRefused {
        /// The permission that they lack.
        permission: Permission,
        /// How many more such tries were not recorded since the last.
        unrecorded: u64,
    },
    /// An alert began, escalated or ended.
    AlertChanged {
        /// Its rule.
        rule: String,
        /// What became of it.
        stage: AlertStage,
        /// How grave it is.
        severity: AlertSeverity,
        /// Since when.
        since: DateTime<Utc>,
        /// Whether it stood for too long.
        escalated: bool,
    },
    /// A learner's personal data was erased: from the enrollment of this event, or from grants
    /// apart from any.
    PersonalErased {
        /// The events that were emptied. All are of that enrollment, or about those grants.
        events: Vec<EventId>,
        /// The grants, when it is about no enrollment.
        grants: Vec<GrantId>,
    },
    /// Somebody looks whether live updates arrive. It means nothing else.
    LiveProbed,
    /// What is kept of the learner was given out.
    PersonalExported,
    /// The bodies of old deliveries were dropped.
    BodiesPurged {
        /// How many.
        bodies: u64,
        /// Those that arrived before.
        before: DateTime<Utc>,
    },
    /// An admin chose what they are told of.
    PreferencesChosen,
    /// A channel did not take a notice for too long; it stays in the app.
    NoticeUndelivered {
        /// The event that the notice is.
        notice: EventId,
        /// The channel.
        channel: ChannelName,
    },
    /// A publisher panicked over an event again and again, while it took others: it is not told of
    /// that one any more.
    PublishingGivenUp {
        /// The event.
        event: EventId,
    },
    /// A delivery that was settled long ago came again: it changed nothing.
    DeliveryRepeated {
        /// The delivery.
        key: DeliveryKey,
        /// How many more came since the last such event.
        unrecorded: u64,
    },
    /// A learner was refused often, from many addresses: somebody may try what was passed on.
    AccessProbed {
        /// How many more there were since the last such event.
        unrecorded: u64,
    },
    /// So much of it came within a minute that the rest of it is only counted.
    FloodBegan {
        /// Of what.
        of: SecurityEvent,
    },
    /// A delivery was refused before anything of it was read.
    DeliveryRefused {
        /// Why.
        error: VerifyError,
        /// How many more were refused since the last such event.
        unrecorded: u64,
    },
}

impl EventKind {
    /// The event name that front ends of this kind use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EnrollmentCreated { .. } => "enrollment_created",
            Self::EnrollmentMoved {
                transition: Transition::PersonApproved,
                ..
            } => "admin_approved",
            Self::EnrollmentMoved { .. }
            | Self::EnrollmentRevised { .. }
            | Self::DetailsChanged
            | Self::AskedAgain { .. }
            | Self::ReviewChanged { .. } => "enrollment_updated",
            Self::AttemptStarted { .. } => "payment_started",
            Self::AttemptMoved {
                to: AttemptStatus::Failed,
                ..
            } => "payment_failed",
            Self::AttemptMoved { .. } | Self::PaymentRestated { .. } => "payment_updated",
            Self::PaymentCompleted { .. } => "payment_completed",
            Self::PaymentReturned { .. } => "payment_refunded",
            Self::RefundRequested { .. } => "refund_requested",
            Self::RefundFailed { .. } => "refund_failed",
            Self::PaymentReversed { .. } => "payment_reversed",
            Self::PaymentReinstated { .. } => "payment_reinstated",
            Self::ProofAttached { .. } => "payment_proof_attached",
            Self::AccessSuspended { .. } => "course_access_suspended",
            Self::AccessResumed { .. } => "course_access_resumed",
            Self::DiscrepancyFound { .. } => "discrepancy_found",
            Self::DiscrepancyClosed { .. } => "discrepancy_closed",
            Self::TransferFound { .. } => "transfer_found",
            Self::StatementImported { .. } => "statement_imported",
            Self::StatementRowClosed { .. } => "statement_row_closed",
            Self::StatementRowApart { .. } => "statement_row_apart",
            Self::StatementRowsRepeated { .. } => "statement_rows_repeated",
            Self::DeliveryOverdue { .. } => "delivery_overdue",
            Self::PaymentDoubted { .. } => "payment_doubted",
            Self::AccessGranted { .. } | Self::GrantGiven { .. } => "course_access_granted",
            Self::AccessRebased { .. } => "course_access_updated",
            Self::AccessEnded { .. } | Self::GrantTaken { .. } => "course_access_ended",
            Self::DeliveryParked { .. } => "delivery_parked",
            Self::DeliveryDead { .. } => "delivery_dead",
            Self::DeliveryReplayed { .. } => "delivery_replayed",
            Self::FirstApproval => "first_approval",
            Self::ActionRefused { .. } => "action_refused",
            Self::AlertChanged { stage, .. } => match stage {
                AlertStage::Raised => "alert_raised",
                AlertStage::Escalated => "alert_escalated",
                AlertStage::Recovered => "alert_recovered",
            },
            Self::PersonalErased { .. } => "personal_data_erased",
            Self::LiveProbed => "live_probed",
            Self::PersonalExported => "personal_data_exported",
            Self::BodiesPurged { .. } => "bodies_purged",
            Self::PreferencesChosen => "preferences_chosen",
            Self::NoticeUndelivered { .. } => "notice_undelivered",
            Self::PublishingGivenUp { .. } => "publishing_given_up",
            Self::DeliveryRefused { .. }
            | Self::DeliveryRepeated { .. }
            | Self::AccessProbed { .. }
            | Self::FloodBegan { .. } => "security_event",
        }
    }

    /// How urgently a person should look.
    pub fn severity(&self) -> Severity {
        match self {
            Self::EnrollmentMoved {
                to: Status::AwaitingApproval { reason },
                ..
            }
            | Self::PaymentDoubted { reason, .. }
            | Self::ReviewChanged {
                reason: Some(reason),
            }
            | Self::PaymentCompleted {
                allocation: Allocation::OnHold(reason) | Allocation::RefundDue(reason),
                ..
            }
            | Self::PaymentRestated {
                allocation: Allocation::OnHold(reason) | Allocation::RefundDue(reason),
                ..
            } => reason.severity(),
            Self::DiscrepancyFound { kind, .. } => kind.severity(),
            Self::AlertChanged {
                stage: AlertStage::Raised | AlertStage::Escalated,
                severity,
                ..
            } => match severity {
                AlertSeverity::Critical => Severity::Error,
                AlertSeverity::Warning => Severity::Warning,
                AlertSeverity::Business => Severity::Info,
            },
            Self::RefundFailed { .. } | Self::PaymentReversed { .. } => Severity::Warning,
            Self::DeliveryOverdue { .. } => Severity::Error,
            Self::DeliveryParked { .. } | Self::NoticeUndelivered { .. } => Severity::Warning,
            Self::DeliveryDead { .. } | Self::PublishingGivenUp { .. } => Severity::Error,
            Self::DeliveryRefused { .. }
            | Self::DeliveryRepeated { .. }
            | Self::AccessProbed { .. }
            | Self::FloodBegan { .. }
            | Self::ActionRefused { .. } => Severity::Warning,
            _ => Severity::Info,
        }
    }
}
