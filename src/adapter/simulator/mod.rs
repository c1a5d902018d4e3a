//! A faithful iKhokha without sockets: the provider has no sandbox, so this is the
//! only way to test without real cards.
//!
//! [`Simulator::handle`] answers the provider's own paths, signature checks
//! included, and shows a hosted pay page; [`Simulator::take_callbacks`] gives the
//! signed callbacks to send. [`Simulator::gateway`] is a
//! [`PaymentGateway`](crate::port::PaymentGateway) on top of it. Everything random comes
//! from the seed, so that a run can be repeated.
//!
//! What goes wrong is a [`Fault`]: of callbacks, of what a status look-up says, or of the answer to
//! a call. [`Settings::fault`] makes it happen at random, [`Simulator::inject`] on demand: for one
//! kind of call or all of them, so many times or until it is cleared. A web server that mounts
//! [`Simulator::handle`] sends each answer as its [`Transport`] says, and tells
//! [`Simulator::callback_answered`] what became of a callback. `examples/provider_faults.rs` shows
//! both, `examples/common/callbacks.rs` the server.
//!
//! # How much of it is known
//! Paths, fields, signatures, status words and the four fields of a callback follow the official
//! example repository `ikhokha/ik-pay-api-examples` (official). These are the simulator's own choice,
//! and nothing should rest on them:
//!
//! - `message` of a created link: that there is one is official, and that it is empty is not; what the
//!   provider writes there is not published.
//! - Pay pages at `/{pay link}`: official is a `paylinkUrl`, and `securepay.ikhokha.red` was seen in
//!   it; the form of its path is not published. A client follows the address as it is given.
//! - The word for a payment that is not made, the answer about one that nobody knows, the list of
//!   payments, and every error body: not published either, and settable where that matters.
//! - That a callback address is read as a URL parser of today does (WHATWG) before its path is
//!   signed: official is that the percent-encoded path is signed, not which parser reads it. This crate
//!   gives the provider addresses that are in that form already.

mod answer;
mod api;
mod callback;
mod create;
mod fault;
mod gateway;
mod http;
mod injection;
mod link;
mod page;
mod sending;
mod settings;
mod signature;
mod unknown;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::port::{Clock, SystemClock};
use crate::vocabulary::{AppId, PayLinkId, Secret};
use crate::webhook::Signer;

pub use callback::Callback;
pub use fault::Fault;
pub use gateway::SimulatorGateway;
pub use http::{HttpRequest, HttpResponse, Transport};
pub use injection::{Call, Injection};
pub use link::Choice;
pub use settings::Settings;
pub use unknown::UnknownAnswer;

use fault::Dice;
use link::Link;

/// A simulated iKhokha account. Clones are the same account.
#[derive(Clone)]
pub struct Simulator {
    account: Arc<Account>,
}

struct Account {
    app_id: AppId,
    secret: Secret,
    signer: Signer,
    clock: Arc<dyn Clock>,
    settings: Settings,
    state: Mutex<State>,
}

struct State {
    dice: Dice,
    pay_base: String,
    links: HashMap<PayLinkId, Link>,
    /// Link of each reference, the newest.
    references: HashMap<String, PayLinkId>,
    callbacks: Vec<callback::Queued>,
    /// Faults on demand, the oldest first.
    injections: Vec<Injection>,
    /// Whether the API is down.
    down: bool,
    notes: VecDeque<String>,
}

/// Most notes that are kept: the newest ones.
const MAX_NOTES: usize = 1000;

impl State {
    fn note(&mut self, note: String) {
        if self.notes.len() == MAX_NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }
}

impl Simulator {
    /// An account with one application, in real time.
    pub fn new(app_id: AppId, secret: Secret, settings: Settings) -> Self {
        Self::with_clock(app_id, secret, settings, SystemClock)
    }

    /// The same, by another clock.
    pub fn with_clock(
        app_id: AppId,
        secret: Secret,
        settings: Settings,
        clock: impl Clock,
    ) -> Self {
        let state = State {
            dice: Dice::new(settings.seed),
            pay_base: "http://127.0.0.1".to_owned(),
            links: HashMap::new(),
            references: HashMap::new(),
            callbacks: Vec::new(),
            injections: Vec::new(),
            down: false,
            notes: VecDeque::new(),
        };
        let signer = Signer::new(&secret);
        let account = Account {
            app_id,
            secret,
            signer,
            clock: Arc::new(clock),
            settings,
            state: Mutex::new(state),
        };
        Self {
            account: Arc::new(account),
        }
    }

    /// Sets the address under which the pay pages can be reached: each is at `/{pay link}` there, which
    /// is the simulator's own choice.
    pub fn set_pay_base(&self, base: impl Into<String>) {
        self.lock().pay_base = base.into();
    }

    /// Makes every call of the API fail, or no longer. Pay pages and callbacks go on.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// The debug report: what was odd about the requests so far, what differed and how to mend it;
    /// of the newest 1,000 of them. A signature appears in it no more than a body or a secret.
    pub fn report(&self) -> Vec<String> {
        self.lock().notes.iter().cloned().collect()
    }

    /// A gateway that talks to this simulator in process.
    pub fn gateway(&self) -> SimulatorGateway {
        SimulatorGateway::new(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.account
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("settings", &self.account.settings)
            .finish_non_exhaustive()
    }
}
