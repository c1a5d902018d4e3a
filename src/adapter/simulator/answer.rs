use super::fault::Fault;
use super::http::{HttpResponse, Transport};
use super::injection::Call;
use super::{Simulator, State, page};

/// Faults that do nothing but answer so.
const REFUSALS: [(Fault, u16, &str); 4] = [
    (Fault::ServerError, 500, "Internal server error"),
    (Fault::BadRequest, 400, "Bad Request"),
    (Fault::Unauthorized, 401, "Unauthorized"),
    (Fault::Unprocessable, 422, "Unprocessable Entity"),
];

/// Faults after which the call was carried out, and what becomes of the answer: what is still sent
/// is an error.
const LOSSES: [(Fault, Transport); 3] = [
    (Fault::AnswerLost, Transport::Send),
    (Fault::AnswerTimeout, Transport::Hang),
    (Fault::AnswerCut, Transport::Disconnect),
];

impl Simulator {
    /// Carries a call out and answers it, with whatever goes wrong.
    pub(super) fn with_faults(
        &self,
        state: &mut State,
        call: Call,
        carry_out: impl FnOnce(&mut State) -> HttpResponse,
    ) -> HttpResponse {
        let answer = self.answer(state, call, carry_out);
        match self.strike(state, Fault::SlowAnswer, Some(call)) {
            Some(strike) if answer.transport == Transport::Send => {
                let delay = strike.lasting.unwrap_or(self.account.settings.answer_delay);
                answer.over(Transport::Delay(delay))
            }
            _ => answer,
        }
    }

    fn answer(
        &self,
        state: &mut State,
        call: Call,
        carry_out: impl FnOnce(&mut State) -> HttpResponse,
    ) -> HttpResponse {
        for (fault, status, message) in REFUSALS {
            if self.strike(state, fault, Some(call)).is_some() {
                return HttpResponse::error(status, message);
            }
        }
        if let Some(strike) = self.strike(state, Fault::RateLimited, Some(call)) {
            let mut answer = HttpResponse::error(429, "Too Many Requests");
            if let Some(wait) = strike.lasting.or(self.account.settings.retry_after) {
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                answer.headers.push(("retry-after", seconds.to_string()));
            }
            return answer;
        }
        if self.strike(state, Fault::HtmlAnswer, Some(call)).is_some() {
            return HttpResponse::html(200, page::instead_of_json());
        }
        let mut losses = LOSSES.into_iter();
        let lost = losses.find(|(fault, _)| self.strike(state, *fault, Some(call)).is_some());
        let answer = carry_out(state);
        match lost {
            None => answer,
            Some((_, Transport::Send)) => HttpResponse::error(500, "Internal server error"),
            Some((_, transport)) => answer.over(transport),
        }
    }
}
