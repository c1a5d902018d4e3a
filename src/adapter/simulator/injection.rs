use std::time::Duration;

use super::fault::Fault;
use super::{Simulator, State};
use crate::vocabulary::string_enum;

/// A call of the provider's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Call {
    /// Makes a pay link: `POST /payment`.
    Create,
    /// Asks where a payment stands: `GET /getStatus/…`, by pay link or by reference.
    Status,
    /// Lists the payments of some days: `GET /payments/history`.
    History,
    /// Gives money back, where [`Settings::refunds`](super::Settings::refunds) offers it.
    Refund,
}

string_enum!(Call {
    Create => "create",
    Status => "status",
    History => "history",
    Refund => "refund",
});

/// A fault that strikes on demand: everywhere and until it is cleared, unless it is narrowed down.
///
/// ```
/// use std::time::Duration;
/// use coursegate::adapter::simulator::{Call, Fault, Injection, Settings, Simulator};
/// # use coursegate::{AppId, Secret};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (app_id, secret) = (AppId::new("IKTESTAPP")?, Secret::new("test-secret-0123456789abcdef")?);
/// let simulator = Simulator::new(app_id, secret, Settings::new(1));
///
/// // The next link is made, and the connection is cut before its address arrives.
/// simulator.inject(Injection::new(Fault::AnswerCut).on(Call::Create).times(1));
/// // Every look-up is told to come again in a minute.
/// let minute = Duration::from_secs(60);
/// simulator.inject(Injection::new(Fault::RateLimited).on(Call::Status).lasting(minute));
/// // The next two callbacks are lost.
/// simulator.inject(Injection::new(Fault::Lost).times(2));
///
/// simulator.clear_faults();
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    fault: Fault,
    call: Option<Call>,
    times: Option<u32>,
    lasting: Option<Duration>,
}

impl Injection {
    /// A fault that always strikes.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            call: None,
            times: None,
            lasting: None,
        }
    }

    /// Strikes one kind of call only. Faults of callbacks and of what a status says belong to no
    /// call, and strike all the same.
    #[must_use]
    pub fn on(mut self, call: Call) -> Self {
        self.call = Some(call);
        self
    }

    /// Strikes so many times, and is over then; 0 is never.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// How long a slow answer takes, a callback is delayed or a status lags, or the `Retry-After`
    /// of a 429; otherwise the settings say it. No other fault has a length.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.lasting = Some(duration);
        self
    }
}

impl From<Fault> for Injection {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

/// A fault that happens now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strike {
    /// How long it lasts, if the injection says so.
    pub(super) lasting: Option<Duration>,
}

impl Simulator {
    /// Makes a fault strike on demand, besides those of the settings. Of several injections of one
    /// fault the oldest strikes first.
    pub fn inject(&self, injection: impl Into<Injection>) {
        self.lock().injections.push(injection.into());
    }

    /// Ends every injected fault; those of the settings go on.
    pub fn clear_faults(&self) {
        self.lock().injections.clear();
    }

    /// Whether a fault of a callback or of a payment happens now.
    pub(super) fn strikes(&self, state: &mut State, fault: Fault) -> bool {
        self.strike(state, fault, None).is_some()
    }

    /// The same for a call. A fault that never happens uses up no randomness.
    pub(super) fn strike(
        &self,
        state: &mut State,
        fault: Fault,
        call: Option<Call>,
    ) -> Option<Strike> {
        state.injected(fault, call).or_else(|| {
            let rates = self.account.settings.faults.iter();
            let rate = rates
                .filter(|(named, _)| *named == fault)
                .map(|(_, rate)| *rate)
                .fold(0.0, f64::max);
            (rate > 0.0 && state.dice.chance(rate)).then_some(Strike { lasting: None })
        })
    }
}

impl State {
    fn injected(&mut self, fault: Fault, call: Option<Call>) -> Option<Strike> {
        let strikes = |injection: &Injection| {
            let here = call.is_none() || injection.call.is_none() || injection.call == call;
            injection.fault == fault && here && injection.times != Some(0)
        };
        let at = self.injections.iter().position(strikes)?;
        let injection = &mut self.injections[at];
        let lasting = injection.lasting;
        if let Some(times) = &mut injection.times {
            *times -= 1;
            if *times == 0 {
                self.injections.remove(at);
            }
        }
        Some(Strike { lasting })
    }
}
