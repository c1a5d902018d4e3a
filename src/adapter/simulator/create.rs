use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::fault::Fault;
use super::http::{HttpRequest, HttpResponse};
use super::link::Link;
use super::{Simulator, State};
use crate::vocabulary::{Money, PayLinkId, PaymentReference};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateRequest {
    #[serde(rename = "entityID")]
    entity_id: String,
    amount: i64,
    currency: String,
    requester_url: String,
    mode: String,
    #[serde(rename = "externalTransactionID")]
    external_transaction_id: String,
    urls: CreateUrls,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateUrls {
    callback_url: String,
    success_page_url: String,
    failure_page_url: String,
    cancel_url: Option<String>,
}

impl Simulator {
    pub(super) fn create(&self, state: &mut State, request: &HttpRequest) -> HttpResponse {
        let wanted: CreateRequest = match serde_json::from_slice(&request.body) {
            Ok(wanted) => wanted,
            Err(error) => {
                return HttpResponse::error(400, &format!("the request cannot be read: {error}"));
            }
        };
        let callback_path = match callback_path(&wanted) {
            Ok(path) => path,
            Err(problem) => return HttpResponse::error(400, problem),
        };
        let text = state.dice.text(15);
        let Ok(id) = PayLinkId::new(&text) else {
            return HttpResponse::error(500, "Internal server error");
        };
        let more = i64::from(self.strikes(state, Fault::WrongAmount));
        let less = i64::from(self.strikes(state, Fault::ShortAmount));
        let stated_amount = wanted.amount + more - less;
        let link = Link {
            id: id.clone(),
            reference: wanted.external_transaction_id.clone(),
            amount: wanted.amount,
            description: wanted.description,
            callback_url: wanted.urls.callback_url,
            callback_path,
            success_url: wanted.urls.success_page_url,
            failure_url: wanted.urls.failure_page_url,
            cancel_url: wanted.urls.cancel_url,
            created_at: self.account.clock.now(),
            paid: None,
            has_failed: false,
            last_callback: None,
            refunded: 0,
            unseen_until: None,
            stated_amount,
        };
        let url = format!("{}/{id}", state.pay_base);
        state
            .references
            .insert(wanted.external_transaction_id.clone(), id.clone());
        state.links.insert(id.clone(), link);
        HttpResponse::json(
            200,
            &json!({
                "responseCode": "00",
                // That it is empty is the simulator's choice: only the field is known.
                "message": "",
                "paylinkUrl": url,
                "paylinkID": id,
                "externalTransactionID": wanted.external_transaction_id,
            }),
        )
    }
}

/// What is wrong with a request; otherwise the path that callbacks are signed over: as a URL
/// parser reads it, percent-encoded, without query and fragment.
fn callback_path(wanted: &CreateRequest) -> Result<String, &'static str> {
    let urls = &wanted.urls;
    let pages = [
        &urls.success_page_url,
        &urls.failure_page_url,
        &wanted.requester_url,
    ];
    if Money::zar(wanted.amount).is_err() {
        Err("amount must be a positive number of cents")
    } else if wanted.currency != "ZAR" {
        Err("currency must be ZAR")
    } else if wanted.mode != "live" {
        Err("mode must be live")
    } else if wanted.entity_id.is_empty() {
        Err("entityID is empty")
    } else if PaymentReference::new(&wanted.external_transaction_id).is_err() {
        Err("externalTransactionID cannot be used")
    } else if !pages.into_iter().all(|url| web(url).is_some()) {
        Err("the urls must be absolute")
    } else {
        let callback = web(&urls.callback_url).ok_or("the urls must be absolute")?;
        Ok(callback.path().to_owned())
    }
}

/// An absolute web address.
fn web(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then_some(url)
}
