use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::fault::Fault;
use super::link::{Choice, Link};
use super::{Simulator, State};

/// A callback to send: POST these bytes, as they are, with these headers.
#[derive(Clone)]
#[non_exhaustive]
pub struct Callback {
    /// The address given with the payment.
    pub url: String,
    /// Its path, as signed.
    pub path: String,
    /// `IK-APPID`, `IK-SIGN` and the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

pub(super) struct Queued {
    due_at: DateTime<Utc>,
    /// Breaks ties; a reordered callback draws a random one.
    order: u64,
    callback: Callback,
}

impl Simulator {
    /// Takes the callbacks that are due, in the order in which to send them.
    pub fn take_callbacks(&self) -> Vec<Callback> {
        let now = self.account.clock.now();
        let mut state = self.lock();
        let (mut due, later): (Vec<Queued>, Vec<Queued>) = std::mem::take(&mut state.callbacks)
            .into_iter()
            .partition(|queued| queued.due_at <= now);
        state.callbacks = later;
        due.sort_by_key(|queued| (queued.due_at, queued.order));
        due.into_iter().map(|queued| queued.callback).collect()
    }

    /// Queues what the provider would send about a payment, with whatever goes wrong.
    pub(super) fn queue_callback(
        &self,
        state: &mut State,
        link: &Link,
        succeeded: bool,
        choice: Choice,
    ) {
        let now = self.account.clock.now();
        if self.strikes(state, Fault::Forged) {
            let body = self.body(link, "SUCCESS", &link.reference, choice);
            let forged = format!("{:064x}", state.dice.next());
            self.push(
                state,
                now,
                false,
                self.callback(link, body.into_bytes(), forged),
            );
        }
        if self.strikes(state, Fault::Lost) {
            return;
        }
        let word = match (self.strikes(state, Fault::UnknownStatus), succeeded) {
            (true, _) => "IN_FLIGHT",
            (false, true) => "SUCCESS",
            (false, false) => "FAILURE",
        };
        let reference = match self.strikes(state, Fault::WrongReference) {
            true => format!("OTHER-{}", state.dice.text(8)),
            false => link.reference.clone(),
        };
        let mut body = self.body(link, word, &reference, choice);
        if self.strikes(state, Fault::ExtraField) {
            body = with_field(&body, r#""settlementBatch":"unknown""#);
        }
        if self.strikes(state, Fault::NotJson) {
            body = format!("status={word}");
        }
        let path = path_of(&link.callback_url);
        let signature = self.account.signer.sign(path, body.as_bytes()).to_hex();
        if self.strikes(state, Fault::ExtraText) && body.starts_with('{') {
            // Signed without it, sent with it.
            body = with_field(&body, r#""text":"Payment of O'Brien""#);
        }
        let due_at = match self.strikes(state, Fault::Delayed) {
            true => now + self.account.settings.delay,
            false => now,
        };
        let shuffled = self.strikes(state, Fault::Reordered);
        let callback = self.callback(link, body.into_bytes(), signature);
        if self.strikes(state, Fault::Duplicate) {
            self.push(state, due_at, shuffled, callback.clone());
        }
        self.push(state, due_at, shuffled, callback);
    }

    fn push(&self, state: &mut State, due_at: DateTime<Utc>, shuffled: bool, callback: Callback) {
        let order = if shuffled {
            state.dice.next()
        } else {
            u64::MAX / 2
        };
        state.callbacks.push(Queued {
            due_at,
            order,
            callback,
        });
    }

    fn body(&self, link: &Link, word: &str, reference: &str, choice: Choice) -> String {
        let text = |text: &str| Value::from(text);
        let fields = [
            ("paylinkID", text(link.id.as_str())),
            ("status", text(word)),
            ("externalTransactionID", text(reference)),
            ("responseCode", text("00")),
        ];
        // Written by hand, so that the order is the provider's.
        let mut body = String::from("{");
        for (index, (name, value)) in fields.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            body.push_str(&format!("{comma}\"{name}\":{value}"));
        }
        body.push('}');
        match (self.account.settings.rich, choice) {
            (true, Choice::Card | Choice::Decline) => with_field(
                &body,
                r#""paymentMethod":"CARD","cardBrand":"VISA","cardLastFour":"0000","authCode":"A00001""#,
            ),
            (true, Choice::InstantEft) => with_field(
                &body,
                r#""paymentMethod":"EFT","bankName":"Test Bank","bankReference":"T0001""#,
            ),
            _ => body,
        }
    }

    fn callback(&self, link: &Link, body: Vec<u8>, signature: String) -> Callback {
        let path = path_of(&link.callback_url);
        Callback {
            url: link.callback_url.clone(),
            path: path.to_owned(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("ik-appid", self.account.app_id.as_str().to_owned()),
                ("ik-sign", signature),
            ],
            body,
        }
    }
}

/// Adds fields at the end of an object.
fn with_field(body: &str, field: &str) -> String {
    format!("{},{field}}}", body.strip_suffix('}').unwrap_or(body))
}

/// The path of an absolute address, without its query.
fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let from_path = rest.find('/').map_or("/", |at| &rest[at..]);
    from_path
        .split_once('?')
        .map_or(from_path, |(path, _)| path)
}
