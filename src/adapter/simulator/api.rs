use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::json;

use super::fault::Fault;
use super::http::{HttpRequest, HttpResponse, form_field};
use super::injection::Call;
use super::link::{Choice, Link};
use super::{Simulator, State, page};
use crate::vocabulary::PayLinkId;

/// Where the provider's API lives.
const BASE: &str = "/public-api/v1/api";

/// What a request asks for.
enum Route<'r> {
    Create,
    StatusByReference,
    Status(PayLinkId),
    History,
    Refund(&'r str),
}

impl<'r> Route<'r> {
    fn of(request: &'r HttpRequest) -> Option<Self> {
        let path = request.bare_path();
        let refunded = |path: &'r str| path.strip_prefix("/ecomm/")?.strip_suffix("/refunds");
        if let Some(link) = refunded(path) {
            return Some(Self::Refund(link));
        }
        match (request.method.as_str(), path.strip_prefix(BASE)?) {
            ("POST", "/payment") => Some(Self::Create),
            ("GET", "/getStatus/external") => Some(Self::StatusByReference),
            ("GET", "/payments/history") => Some(Self::History),
            ("GET", call) => PayLinkId::new(call.strip_prefix("/getStatus/")?)
                .ok()
                .map(Self::Status),
            _ => None,
        }
    }

    fn call(&self) -> Call {
        match self {
            Self::Create => Call::Create,
            Self::StatusByReference | Self::Status(_) => Call::Status,
            Self::History => Call::History,
            Self::Refund(_) => Call::Refund,
        }
    }
}

impl Simulator {
    /// Answers a request to the provider's API, or to a hosted pay page (`/{pay link}`). How the
    /// answer is to be sent says its [`transport`](HttpResponse::transport).
    pub fn handle(&self, request: &HttpRequest) -> HttpResponse {
        let mut state = self.lock();
        let path = request.bare_path();
        if let Some(link) = path
            .strip_prefix('/')
            .and_then(|id| PayLinkId::new(id).ok())
        {
            return self.pay_page(&mut state, request, &link);
        }
        let refunds = self.account.settings.refunds && path.starts_with("/ecomm/");
        if !path.starts_with(BASE) && !refunds {
            return HttpResponse::nothing_here();
        }
        if state.down {
            return HttpResponse::error(503, "Service Unavailable");
        }
        if let Err(refusal) = self.check_signature(&mut state, request) {
            return refusal;
        }
        let Some(route) = Route::of(request) else {
            return HttpResponse::nothing_here();
        };
        self.with_faults(&mut state, route.call(), |state| match route {
            Route::Create => self.create(state, request),
            Route::StatusByReference => {
                let reference = request.query("externalReference").unwrap_or_default();
                let link = state.references.get(&reference).cloned();
                self.status(state, link.as_ref())
            }
            Route::Status(link) => self.status(state, Some(&link)),
            Route::History => self.history(state, request),
            Route::Refund(link) => refund(state, link, request),
        })
    }

    fn status(&self, state: &State, link: Option<&PayLinkId>) -> HttpResponse {
        let now = self.account.clock.now();
        match link.and_then(|link| state.links.get(link)) {
            Some(link) => HttpResponse::json(200, &link.status(&self.account.settings, now)),
            None => self.account.settings.unknown.response(),
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
        let (settings, now) = (&self.account.settings, self.account.clock.now());
        HttpResponse::json(
            200,
            &links
                .into_iter()
                .map(|link| link.status(settings, now))
                .collect(),
        )
    }

    fn pay_page(&self, state: &mut State, request: &HttpRequest, id: &PayLinkId) -> HttpResponse {
        let Some(known) = state.links.get(id) else {
            return HttpResponse::html(404, page::unknown());
        };
        if request.method != "POST" {
            return HttpResponse::html(200, page::pay(known));
        }
        let form = String::from_utf8_lossy(&request.body);
        let choice = form_field(&form, "choice").and_then(|word| word.parse::<Choice>().ok());
        let Some(choice) = choice else {
            return HttpResponse::html(400, page::pay(known));
        };
        match self.choose(state, id, choice) {
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
                if let Some(strike) = self.strike(state, Fault::LaggingStatus, None) {
                    let delay = strike.lasting.unwrap_or(self.account.settings.delay);
                    link.unseen_until = Some(self.account.clock.now() + delay);
                }
                link.last_callback = Some(self.queue_callback(state, &link, choice));
                link.success_url.clone()
            }
            Choice::Decline => {
                link.has_failed = true;
                link.last_callback = Some(self.queue_callback(state, &link, choice));
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
