use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::fault::Fault;
use super::http::{HttpRequest, HttpResponse, form_field};
use super::link::{Choice, Link};
use super::page;
use super::{Simulator, State};
use crate::ids::{PayLinkId, Reference};
use crate::money::Money;
use crate::webhook::{Signature, Signer, canonical};

/// Where the provider's API lives.
const BASE: &str = "/public-api/v1/api";

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
    /// Answers a request to the provider's API or to a hosted pay page.
    pub fn handle(&self, request: &HttpRequest) -> HttpResponse {
        let mut state = self.lock();
        let path = request.bare_path();
        if let Some(link) = path.strip_prefix("/pay/") {
            return self.pay_page(&mut state, request, link);
        }
        let refunded = path
            .strip_prefix("/ecomm/")
            .and_then(|rest| rest.strip_suffix("/refunds"));
        let call = path.strip_prefix(BASE);
        if call.is_none() && !(refunded.is_some() && self.account.settings.refunds) {
            return HttpResponse::error(404, "there is nothing at this path");
        }
        if state.down {
            return HttpResponse::error(503, "Service Unavailable");
        }
        if let Err(refusal) = self.check_signature(&mut state, request) {
            return refusal;
        }
        let Some(call) = call else {
            return refund(&mut state, refunded.unwrap_or_default(), request);
        };
        if self.strikes(&mut state, Fault::ServerError) {
            return HttpResponse::error(500, "Internal server error");
        }
        match (request.method.as_str(), call) {
            ("POST", "/payment") => self.create(&mut state, request),
            ("GET", "/getStatus/external") => {
                let reference = request.query("externalReference").unwrap_or_default();
                let link = state.references.get(&reference).cloned();
                self.status(&state, link.as_ref())
            }
            ("GET", "/payments/history") => self.history(&state, request),
            ("GET", call) => match call.strip_prefix("/getStatus/").map(PayLinkId::new) {
                Some(Ok(link)) => self.status(&state, Some(&link)),
                _ => HttpResponse::error(404, "there is nothing at this path"),
            },
            _ => HttpResponse::error(404, "there is nothing at this path"),
        }
    }

    /// The provider very probably re-serialises what it parsed before it checks, so the
    /// canonical form is what has to be signed.
    fn check_signature(
        &self,
        state: &mut State,
        request: &HttpRequest,
    ) -> Result<(), HttpResponse> {
        let settings = &self.account.settings;
        let path = request.bare_path();
        let app_id = request.header("ik-appid").unwrap_or_default();
        if app_id != self.account.app_id.as_str() {
            state.notes.push(format!(
                "{path}: the IK-APPID header is missing or names another application"
            ));
            return Err(HttpResponse::error(401, "Unauthorized"));
        }
        let Some(signature) = request
            .header("ik-sign")
            .and_then(|hex| Signature::from_hex(hex.as_bytes()))
        else {
            state.notes.push(format!(
                "{path}: the IK-SIGN header is missing or not 64 hexadecimal digits"
            ));
            return Err(HttpResponse::error(401, "Unauthorized"));
        };
        let signer = &self.account.signer;
        let same = |expected: Signature| bool::from(expected.ct_eq(&signature));
        let body = canonical(&request.body).unwrap_or_else(|| request.body.clone());
        if same(signer.sign(path, &body)) {
            if body != request.body {
                state.notes.push(format!(
                    "{path}: the body sent is not the canonical form that was signed"
                ));
            }
            return Ok(());
        }
        let raw = body != request.body && same(signer.sign(path, &request.body));
        let query = same(signer.sign(&request.path, &request.body));
        let apostrophe = same(self.unescaped_apostrophes(path, &request.body));
        let (note, accepted) = if raw {
            (
                "the signature is over the raw body, and its canonical form differs",
                settings.lenient_raw,
            )
        } else if query {
            (
                "the signature covers the query, which is not signed",
                settings.lenient_query,
            )
        } else if apostrophe {
            (
                "the signature leaves apostrophes unescaped",
                settings.lenient_apostrophe,
            )
        } else {
            (
                "the signature matches no known form: compare the secret",
                false,
            )
        };
        state.notes.push(format!("{path}: {note}"));
        if accepted {
            Ok(())
        } else {
            Err(HttpResponse::error(401, "Unauthorized"))
        }
    }

    fn unescaped_apostrophes(&self, path: &str, body: &[u8]) -> Signature {
        let mut message = Vec::with_capacity(path.len() + body.len());
        for byte in path.bytes().chain(body.iter().copied()) {
            match byte {
                0 => message.extend(b"\\0"),
                b'\\' | b'"' => message.extend([b'\\', byte]),
                other => message.push(other),
            }
        }
        Signature::from_bytes(Signer::hmac_sha256(self.account.secret.bytes(), &message))
    }

    fn create(&self, state: &mut State, request: &HttpRequest) -> HttpResponse {
        let wanted: CreateRequest = match serde_json::from_slice(&request.body) {
            Ok(wanted) => wanted,
            Err(error) => {
                return HttpResponse::error(400, &format!("the request cannot be read: {error}"));
            }
        };
        if let Some(problem) = problem_with(&wanted) {
            return HttpResponse::error(400, problem);
        }
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
            success_url: wanted.urls.success_page_url,
            failure_url: wanted.urls.failure_page_url,
            cancel_url: wanted.urls.cancel_url,
            created_at: self.account.clock.now(),
            paid: None,
            refunded: 0,
            unseen_until: None,
            stated_amount,
        };
        let url = format!("{}/pay/{id}", state.pay_base);
        state
            .references
            .insert(wanted.external_transaction_id.clone(), id.clone());
        state.links.insert(id.clone(), link);
        HttpResponse::json(
            200,
            &json!({
                "responseCode": "00",
                "message": "Payment link created",
                "paylinkUrl": url,
                "paylinkID": id,
                "externalTransactionID": wanted.external_transaction_id,
            }),
        )
    }

    fn status(&self, state: &State, link: Option<&PayLinkId>) -> HttpResponse {
        let (word, now) = (&self.account.settings.unpaid_word, self.account.clock.now());
        match link.and_then(|link| state.links.get(link)) {
            Some(link) => HttpResponse::json(200, &link.status(word, now)),
            None => HttpResponse::error(404, "Payment not found"),
        }
    }

    fn history(&self, state: &State, request: &HttpRequest) -> HttpResponse {
        let day = |name| {
            request
                .query(name)
                .and_then(|text| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok())
        };
        let (Some(from), Some(to)) = (day("startDate"), day("endDate")) else {
            return HttpResponse::error(400, "startDate and endDate are days such as 2026-01-31");
        };
        let mut links: Vec<&Link> = state
            .links
            .values()
            .filter(|link| (from..=to).contains(&link.created_at.date_naive()))
            .collect();
        links.sort_by_key(|link| (link.created_at, link.id.clone()));
        let (word, now) = (&self.account.settings.unpaid_word, self.account.clock.now());
        HttpResponse::json(
            200,
            &links
                .into_iter()
                .map(|link| link.status(word, now))
                .collect(),
        )
    }

    fn pay_page(&self, state: &mut State, request: &HttpRequest, link: &str) -> HttpResponse {
        let Some(known) = PayLinkId::new(link)
            .ok()
            .and_then(|id| state.links.get(&id))
        else {
            return HttpResponse::html(404, page::unknown());
        };
        if request.method != "POST" {
            return HttpResponse::html(200, page::pay(known));
        }
        let form = String::from_utf8_lossy(&request.body);
        let choice = form_field(&form, "choice").and_then(|word| word.parse::<Choice>().ok());
        let (Some(choice), id) = (choice, known.id.clone()) else {
            return HttpResponse::html(400, page::pay(known));
        };
        match self.choose(state, &id, choice) {
            Some(location) => HttpResponse::see_other(location),
            None => HttpResponse::html(404, page::unknown()),
        }
    }

    /// What the payer does on the pay page, without the page. Gives the address the
    /// payer is sent to; `None` for an unknown link.
    pub fn pay(&self, link: &PayLinkId, choice: Choice) -> Option<String> {
        self.choose(&mut self.lock(), link, choice)
    }

    fn choose(&self, state: &mut State, id: &PayLinkId, choice: Choice) -> Option<String> {
        let mut link = state.links.remove(id)?;
        let location = match choice {
            // A link cannot be paid twice.
            _ if link.paid.is_some() => link.success_url.clone(),
            Choice::Card | Choice::InstantEft => {
                link.paid = Some(choice);
                if self.strikes(state, Fault::LaggingStatus) {
                    link.unseen_until =
                        Some(self.account.clock.now() + self.account.settings.delay);
                }
                self.queue_callback(state, &link, true, choice);
                link.success_url.clone()
            }
            Choice::Decline => {
                self.queue_callback(state, &link, false, choice);
                link.failure_url.clone()
            }
            // Whether the provider sends a callback here is not known: it does not.
            Choice::Cancel => link
                .cancel_url
                .clone()
                .unwrap_or_else(|| link.failure_url.clone()),
        };
        state.links.insert(id.clone(), link);
        Some(location)
    }
}

/// The sibling API's refund, as the provider's own shop plugin calls it.
fn refund(state: &mut State, link: &str, request: &HttpRequest) -> HttpResponse {
    #[derive(Deserialize)]
    struct Wanted {
        amount: i64,
    }
    let known = PayLinkId::new(link)
        .ok()
        .and_then(|id| state.links.get_mut(&id));
    let wanted = serde_json::from_slice::<Wanted>(&request.body);
    let (word, message) = match (known, wanted) {
        (Some(link), Ok(wanted))
            if link.paid.is_some()
                && wanted.amount > 0
                && link.refunded + wanted.amount <= link.amount =>
        {
            link.refunded += wanted.amount;
            ("SUCCESS", "Refund accepted")
        }
        _ => ("FAILURE", "Refund not possible"),
    };
    HttpResponse::json(200, &json!({ "status": word, "responseMessage": message }))
}

fn problem_with(wanted: &CreateRequest) -> Option<&'static str> {
    let web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    let urls = &wanted.urls;
    let pages = [
        &urls.callback_url,
        &urls.success_page_url,
        &urls.failure_page_url,
        &wanted.requester_url,
    ];
    if Money::zar(wanted.amount).is_err() {
        Some("amount must be a positive number of cents")
    } else if wanted.currency != "ZAR" {
        Some("currency must be ZAR")
    } else if wanted.mode != "live" {
        Some("mode must be live")
    } else if wanted.entity_id.is_empty() {
        Some("entityID is empty")
    } else if Reference::new(&wanted.external_transaction_id).is_err() {
        Some("externalTransactionID cannot be used")
    } else if !pages.into_iter().all(|url| web(url)) {
        Some("the urls must be absolute")
    } else {
        None
    }
}
