use chrono::{DateTime, Utc};
use serde_json::Value;

use super::callback::{Callback, Queued};
use super::fault::Fault;
use super::link::{Choice, Link};
use super::{Simulator, State};
use crate::vocabulary::PayLinkId;

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

    /// Says what a callback was answered: its HTTP status, or `None` when no answer came in time.
    /// After anything but 2xx it is sent again later, as often as
    /// [`Settings::callback_retries`](super::Settings::callback_retries) says; gives whether it
    /// will be.
    pub fn callback_answered(&self, callback: &Callback, status: Option<u16>) -> bool {
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        let Some(retries_left) = callback.retries_left.checked_sub(1) else {
            return false;
        };
        if is_taken {
            return false;
        }
        let due_at = self.account.clock.now() + self.account.settings.callback_retry_pause;
        let again = Callback {
            retries_left,
            ..callback.clone()
        };
        self.push(&mut self.lock(), due_at, false, again);
        true
    }

    /// Sends the newest callback about a pay link again, so many times and at once, whatever it
    /// was answered and even if it was lost. `false` when there was none yet.
    pub fn send_again(&self, link: &PayLinkId, times: u32) -> bool {
        let mut state = self.lock();
        let last = state
            .links
            .get(link)
            .and_then(|link| link.last_callback.clone());
        let Some(callback) = last else {
            return false;
        };
        let now = self.account.clock.now();
        for _ in 0..times {
            self.push(&mut state, now, false, callback.clone());
        }
        true
    }

    /// Queues what the provider would send about a payment, with whatever goes wrong; gives the
    /// genuine callback, even when it is lost.
    pub(super) fn queue_callback(
        &self,
        state: &mut State,
        link: &Link,
        choice: Choice,
    ) -> Callback {
        let settings = &self.account.settings;
        let now = self.account.clock.now();
        if self.strikes(state, Fault::Forged) {
            let body = self.body(link, "SUCCESS", &link.reference, choice);
            let forged = format!("{:064x}", state.dice.next());
            let mut forged = self.callback(link, body.into_bytes(), forged);
            // Whoever forges does not wait for an answer.
            forged.retries_left = 0;
            self.push(state, now, false, forged);
        }
        let is_lost = self.strikes(state, Fault::Lost);
        let word = match (self.strikes(state, Fault::UnknownStatus), link.paid) {
            (true, _) => "IN_FLIGHT",
            (false, Some(_)) => "SUCCESS",
            (false, None) => &settings.failed_word,
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
        let signer = &self.account.signer;
        let signature = signer.sign(&link.callback_path, body.as_bytes()).to_hex();
        if self.strikes(state, Fault::ExtraText) && body.starts_with('{') {
            // Signed without it, sent with it.
            body = with_field(&body, r#""text":"Payment of O'Brien""#);
        }
        let due_at = match self.strike(state, Fault::Delayed, None) {
            Some(strike) => now + strike.lasting.unwrap_or(settings.delay),
            None => now,
        };
        let is_shuffled = self.strikes(state, Fault::Reordered);
        let callback = self.callback(link, body.into_bytes(), signature);
        if !is_lost {
            if self.strikes(state, Fault::Duplicate) {
                self.push(state, due_at, is_shuffled, callback.clone());
            }
            self.push(state, due_at, is_shuffled, callback.clone());
        }
        callback
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
        Callback {
            url: link.callback_url.clone(),
            path: link.callback_path.clone(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("ik-appid", self.account.app_id.as_str().to_owned()),
                ("ik-sign", signature),
            ],
            body,
            retries_left: self.account.settings.callback_retries,
        }
    }
}

/// Adds fields at the end of an object.
fn with_field(body: &str, field: &str) -> String {
    format!("{},{field}}}", body.strip_suffix('}').unwrap_or(body))
}
