//! The provider's JSON, as its official example repository (`ikhokha/ik-pay-api-examples`)
//! shows it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::evidence::{Confirmation, Stated};
use crate::payment::ProviderStatus;
use crate::port::{History, LinkRequest, RefundRequest};
use crate::vocabulary::{AppId, Currency, PayLinkId, PaymentReference};

/// The body of `POST /payment`. Its compact form is what `JSON.stringify` would give, which
/// the provider very probably makes again before it checks the signature.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Create<'r> {
    #[serde(rename = "entityID")]
    entity_id: &'r str,
    amount: i64,
    currency: String,
    requester_url: &'r str,
    /// Only live works, says the official README.
    mode: &'static str,
    #[serde(rename = "externalTransactionID")]
    external_transaction_id: &'r str,
    description: String,
    urls: Urls<'r>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Urls<'r> {
    callback_url: &'r str,
    success_page_url: &'r str,
    failure_page_url: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_url: Option<&'r str>,
}

impl<'r> Create<'r> {
    pub(super) fn new(app_id: &'r AppId, request: &'r LinkRequest) -> Self {
        Self {
            entity_id: app_id.as_str(),
            amount: request.amount.minor(),
            currency: request.amount.currency().code().to_owned(),
            requester_url: &request.requester_url,
            mode: "live",
            external_transaction_id: request.reference.as_str(),
            // Official samples differ on escaping the apostrophe, so none is sent.
            description: request.description.as_str().replace('\'', "\u{2019}"),
            urls: Urls {
                callback_url: &request.callback_url,
                success_page_url: &request.success_url,
                failure_page_url: &request.failure_url,
                cancel_url: request.cancel_url.as_deref(),
            },
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Created {
    #[serde(rename = "responseCode")]
    pub(super) response_code: String,
    #[serde(default)]
    pub(super) message: Option<String>,
    #[serde(rename = "paylinkUrl", default)]
    pub(super) url: Option<String>,
    #[serde(rename = "paylinkID", alias = "paylinkId", default)]
    pub(super) link: Option<PayLinkId>,
    #[serde(rename = "externalTransactionID", default)]
    pub(super) reference: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct StatusAnswer {
    #[serde(rename = "paylinkID", alias = "paylinkId")]
    link: PayLinkId,
    status: ProviderStatus,
    /// Cents. Whatever else comes is no sum, and still an answer.
    #[serde(default)]
    amount: Value,
    /// A date, of which one sample is known. What cannot be read as one is none.
    #[serde(rename = "createdAt", default)]
    created_at: Value,
    /// No known answer has these two. Should one come, it has to be ours.
    #[serde(rename = "externalTransactionID", default)]
    reference: Value,
    #[serde(default)]
    currency: Value,
}

impl From<StatusAnswer> for Confirmation {
    fn from(answer: StatusAnswer) -> Self {
        let currency = stated(&answer.currency, |code| {
            Currency::new(&code.to_ascii_uppercase()).ok()
        });
        let counted_in = currency.known().copied().unwrap_or(Currency::ZAR);
        let amount = match &answer.amount {
            Value::Null => Stated::Nothing,
            amount => amount.as_i64().map_or(Stated::Unusable, |cents| {
                Stated::from_minor(cents, counted_in)
            }),
        };
        let reference = stated(&answer.reference, |text| PaymentReference::new(text).ok());
        let date = answer.created_at.as_str();
        Self {
            pay_link: Some(answer.link),
            reference,
            status: answer.status,
            amount,
            currency,
            method: None,
            created_at: date.and_then(|date| date.parse().ok()),
        }
    }
}

/// Text that has to be of a kind. None, and an empty one, says nothing.
fn stated<T>(value: &Value, read: impl FnOnce(&str) -> Option<T>) -> Stated<T> {
    match value {
        Value::Null => Stated::Nothing,
        Value::String(text) if text.is_empty() => Stated::Nothing,
        Value::String(text) => read(text).map_or(Stated::Unusable, Stated::Is),
        _ => Stated::Unusable,
    }
}

/// A list of payments; `None` when it is no array. Entries that cannot be read are counted.
pub(super) fn history(bytes: &[u8]) -> Option<History> {
    let listed: Vec<&RawValue> = serde_json::from_slice(bytes).ok()?;
    let mut history = History::default();
    for entry in listed {
        match serde_json::from_str::<StatusAnswer>(entry.get()) {
            Ok(answer) => history.payments.push(answer.into()),
            Err(_) => history.unreadable += 1,
        }
    }
    Some(history)
}

/// The body of a refund, as the provider's own shop plugin sends it.
#[derive(Serialize)]
pub(super) struct Refund {
    amount: i64,
    reason: String,
}

impl Refund {
    pub(super) fn new(request: &RefundRequest) -> Self {
        Self {
            amount: request.amount.minor(),
            // As in a description: no apostrophe is sent.
            reason: request.reason.as_str().replace('\'', "\u{2019}"),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Refunded {
    pub(super) status: String,
    #[serde(rename = "responseMessage", default)]
    pub(super) message: Option<String>,
}

/// What an error body may say; theirs are not published.
#[derive(Deserialize)]
pub(super) struct Complaint {
    #[serde(rename = "responseCode", default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) message: Option<String>,
}
