//! A faithful iKhokha without sockets: the provider has no sandbox, so this is the
//! only way to test without real cards.
//!
//! [`Simulator::handle`] answers the provider's own paths, signature checks
//! included, and shows a hosted pay page; [`Simulator::take_callbacks`] gives the
//! signed callbacks to send. [`Simulator::gateway`] is a
//! [`PaymentGateway`](crate::port::PaymentGateway) on top of it. Everything random comes
//! from the seed, so that a run can be repeated.
//!
//! What is simulated follows the official example repository `ikhokha/ik-pay-api-examples`.
//! Error bodies are the simulator's own, since the provider's are not published.

mod api;
mod callback;
mod fault;
mod gateway;
mod http;
mod link;
mod page;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ids::PayLinkId;
use crate::port::{Clock, SystemClock};
use crate::secret::{AppId, Secret};
use crate::webhook::Signer;

pub use callback::Callback;
pub use fault::Fault;
pub use gateway::SimulatorGateway;
pub use http::{HttpRequest, HttpResponse};
pub use link::Choice;

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

/// How the simulator behaves.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where everything random comes from.
    pub seed: u64,
    /// How often each fault happens, from 0 (never) to 1 (always).
    pub faults: Vec<(Fault, f64)>,
    /// How long a delayed callback, or a lagging status, is late (default 30 s).
    pub delay: Duration,
    /// The word for an unpaid link; the provider's own was never seen (default `PENDING`).
    pub unpaid_word: String,
    /// Also accept a signature that leaves apostrophes alone, as two official samples do.
    pub lenient_apostrophe: bool,
    /// Also accept a signature over the path with its query.
    pub lenient_query: bool,
    /// Also accept a signature over the raw body when its canonical form differs.
    pub lenient_raw: bool,
    /// Add card and bank fields that the real provider never sends, to try detection rules.
    pub rich: bool,
    /// Answer the refund call of the sibling API. Whether the real one takes these links is
    /// unknown.
    pub refunds: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            faults: Vec::new(),
            delay: Duration::from_secs(30),
            unpaid_word: "PENDING".to_owned(),
            lenient_apostrophe: false,
            lenient_query: false,
            lenient_raw: false,
            rich: false,
            refunds: false,
        }
    }
}

impl Settings {
    /// Settings without faults.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Makes a fault happen with this probability.
    #[must_use]
    pub fn fault(mut self, fault: Fault, probability: f64) -> Self {
        self.faults.push((fault, probability));
        self
    }
}

struct State {
    dice: Dice,
    pay_base: String,
    links: HashMap<PayLinkId, Link>,
    /// Link of each reference, the newest.
    references: HashMap<String, PayLinkId>,
    callbacks: Vec<callback::Queued>,
    /// Whether the API is down.
    down: bool,
    notes: Vec<String>,
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
            down: false,
            notes: Vec::new(),
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

    /// Sets the address under which the pay pages can be reached.
    pub fn set_pay_base(&self, base: impl Into<String>) {
        self.lock().pay_base = base.into();
    }

    /// Makes every call of the API fail, or no longer. Pay pages and callbacks go on.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// What was odd about the requests so far: for each, what differed and how to mend it.
    pub fn report(&self) -> Vec<String> {
        self.lock().notes.clone()
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

    fn rate(&self, fault: Fault) -> f64 {
        let rates = self.account.settings.faults.iter();
        rates
            .filter(|(named, _)| *named == fault)
            .map(|(_, rate)| *rate)
            .fold(0.0, f64::max)
    }

    /// Throws the dice for a fault; a fault that never happens uses up no randomness.
    fn strikes(&self, state: &mut State, fault: Fault) -> bool {
        let rate = self.rate(fault);
        rate > 0.0 && state.dice.chance(rate)
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator")
            .field("settings", &self.account.settings)
            .finish_non_exhaustive()
    }
}
