use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BadRow;
use crate::evidence::SignedBy;
use crate::store::{InboxEntry, InboxOutcome, InboxState, KnownDelivery};
use crate::vocabulary::{EnrollmentId, Note, PayLinkId, PaymentReference};
use crate::webhook::{DeliveryKey, SignedForm, StoredBody};

/// How far a delivery is, in the four columns that say it.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct StateRow {
    state: String,
    next_at: Option<DateTime<Utc>>,
    outcome: Option<InboxOutcome>,
    cause: Option<Note>,
}

impl From<InboxState> for StateRow {
    fn from(from: InboxState) -> Self {
        let (state, next_at, outcome, cause) = match from {
            InboxState::Waiting { next_at } => ("waiting", Some(next_at), None, None),
            InboxState::Parked { next_at } => ("parked", Some(next_at), None, None),
            InboxState::Dead { cause } => ("dead", None, None, Some(cause)),
            InboxState::Settled { outcome } => ("settled", None, Some(outcome), None),
        };
        Self {
            state: state.to_owned(),
            next_at,
            outcome,
            cause,
        }
    }
}

impl TryFrom<StateRow> for InboxState {
    type Error = BadRow;

    fn try_from(row: StateRow) -> Result<Self, BadRow> {
        Ok(
            match (row.state.as_str(), row.next_at, row.outcome, row.cause) {
                ("waiting", Some(next_at), None, None) => Self::Waiting { next_at },
                ("parked", Some(next_at), None, None) => Self::Parked { next_at },
                ("dead", None, None, Some(cause)) => Self::Dead { cause },
                ("settled", None, Some(outcome), None) => Self::Settled { outcome },
                _ => return Err(BadRow("inbox")),
            },
        )
    }
}

#[derive(Serialize, Deserialize)]
pub(in super::super) struct InboxRow {
    key: Arc<str>,
    received_at: DateTime<Utc>,
    path: String,
    /// As Postgres writes bytes: `\x` and two digits for each.
    body: Option<String>,
    body_key: Option<Arc<str>>,
    signed_key: Arc<str>,
    signed_form: SignedForm,
    pay_link: Option<PayLinkId>,
    reference: Option<PaymentReference>,
    enrollment: Option<EnrollmentId>,
    #[serde(flatten)]
    state: StateRow,
    tries: u32,
}

impl From<InboxEntry> for InboxRow {
    fn from(from: InboxEntry) -> Self {
        let (body_key, body) = match &from.body {
            StoredBody::Plain(bytes) => (None, Some(bytes)),
            StoredBody::Sealed { key, bytes } => (Some(key.clone()), Some(bytes)),
            StoredBody::Gone => (None, None),
        };
        Self {
            key: from.key.as_str().into(),
            received_at: from.received_at,
            path: from.path,
            body: body.map(|bytes| format!("\\x{}", base16ct::lower::encode_string(bytes))),
            body_key,
            signed_key: from.signed_by.key,
            signed_form: from.signed_by.form,
            pay_link: from.pay_link,
            reference: from.reference,
            enrollment: from.enrollment,
            state: from.state.into(),
            tries: from.tries,
        }
    }
}

impl TryFrom<InboxRow> for InboxEntry {
    type Error = BadRow;

    fn try_from(row: InboxRow) -> Result<Self, BadRow> {
        let bytes = row.body.map(|text| {
            let digits = text.strip_prefix("\\x").ok_or(BadRow("inbox"))?;
            base16ct::lower::decode_vec(digits).map_err(|_| BadRow("inbox"))
        });
        let body = match (bytes.transpose()?, row.body_key) {
            (None, _) => StoredBody::Gone,
            (Some(bytes), None) => StoredBody::Plain(bytes),
            (Some(bytes), Some(key)) => StoredBody::Sealed { key, bytes },
        };
        let signed_by = SignedBy {
            key: row.signed_key,
            form: row.signed_form,
        };
        Ok(Self {
            pay_link: row.pay_link,
            reference: row.reference,
            enrollment: row.enrollment,
            state: row.state.try_into()?,
            tries: row.tries,
            ..Self::new(
                DeliveryKey::from(row.key.as_ref()),
                row.received_at,
                &row.path,
                body,
                signed_by,
            )
        })
    }
}

/// What `load` asks of a delivery.
#[derive(Deserialize)]
pub(in super::super) struct KnownRow {
    #[serde(flatten)]
    state: StateRow,
    enrollment: Option<EnrollmentId>,
    received_at: DateTime<Utc>,
    tries: u32,
}

impl TryFrom<KnownRow> for KnownDelivery {
    type Error = BadRow;

    fn try_from(row: KnownRow) -> Result<Self, BadRow> {
        Ok(Self {
            state: row.state.try_into()?,
            enrollment: row.enrollment,
            received_at: row.received_at,
            tries: row.tries,
        })
    }
}
