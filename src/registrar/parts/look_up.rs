//! A look-up of a payment, shared by all who ask for the same at once.

use crate::payment::PaymentAttempt;
use crate::port::GatewayError;
use crate::registrar::parts::deadline::{self};
use crate::registrar::parts::looks::{Answer, Found, Look, alive, is_fresh, query};
use crate::registrar::parts::provider::{Caller, Provider};
use crate::vocabulary::PaymentReference;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;

impl Provider {
    /// Asks where an attempt stands, together with all others who ask now. A visitor may be given
    /// an answer that is up to two seconds old; anybody else gets one to a question that was put
    /// after they asked.
    pub(in crate::registrar) async fn look(
        self: &Arc<Self>,
        attempt: &PaymentAttempt,
        wait: Duration,
        caller: Caller,
    ) -> Answer {
        let (look, ours) = match self.find_or_begin(attempt, wait, caller) {
            Found::Answered(answer) => return answer,
            Found::Look { look, ours } => (look, ours),
        };
        let answer = self.wait_for(attempt, look, wait).await;
        if answer != Err(GatewayError::Throttled) || ours {
            return answer;
        }
        // Whoever began it had no calls left; we may have.
        let query = query(&attempt.reference, attempt.link.as_ref());
        self.status(query, wait, caller).await
    }

    /// Waits so long. Whoever goes away leaves the look to a worker of this process.
    async fn wait_for(&self, attempt: &PaymentAttempt, look: Look, wait: Duration) -> Answer {
        let mut leaving = Leaving {
            provider: self,
            reference: &attempt.reference,
            look: Some(look.clone()),
        };
        let answer = deadline::within(self.clock(), wait, look).await;
        if answer.is_some() {
            leaving.look = None;
        }
        answer.unwrap_or(Err(GatewayError::TimedOut))
    }

    fn find_or_begin(
        self: &Arc<Self>,
        attempt: &PaymentAttempt,
        wait: Duration,
        caller: Caller,
    ) -> Found {
        let now = self.clock().now();
        let mut looks = self.looks.lock();
        let entry = looks.entry(&attempt.reference, now);
        let (running, next) = (alive(entry.running.as_ref()), alive(entry.next.as_ref()));
        let visitor = caller == Caller::Visitor;
        if let Some((began, answer)) = entry.last.as_ref().filter(|_| visitor)
            && is_fresh(*began, now)
        {
            return Found::Answered(answer.clone());
        }
        // One that is running began before they asked.
        if let Some(look) = running.clone().filter(|_| visitor).or(next) {
            return Found::Look { look, ours: false };
        }
        let waits = running.is_some();
        let look = self.begin_look(attempt, running, wait, caller);
        match waits {
            true => entry.next = look.downgrade(),
            false => entry.running = look.downgrade(),
        }
        Found::Look { look, ours: true }
    }

    /// A look that begins when another one has ended.
    fn begin_look(
        self: &Arc<Self>,
        attempt: &PaymentAttempt,
        before: Option<Look>,
        wait: Duration,
        caller: Caller,
    ) -> Look {
        let provider = self.clone();
        let (reference, link) = (attempt.reference.clone(), attempt.link.clone());
        let asked = async move {
            if let Some(before) = before {
                drop(before.await);
                let mut looks = provider.looks.lock();
                if let Some(entry) = looks.entries.get_mut(&reference) {
                    entry.running = entry.next.take();
                }
            }
            let began = provider.clock().now();
            let query = query(&reference, link.as_ref());
            let answer = provider.status(query, wait, caller).await;
            // What was not asked is no answer.
            let asked = !matches!(
                answer,
                Err(GatewayError::Throttled | GatewayError::CircuitOpen { .. })
            );
            if asked && let Some(entry) = provider.looks.lock().entries.get_mut(&reference) {
                entry.last = Some((began, answer.clone()));
            }
            answer
        };
        asked.boxed().shared()
    }
}

/// Somebody who waits for a look, and may go away.
struct Leaving<'l> {
    provider: &'l Provider,
    reference: &'l PaymentReference,
    look: Option<Look>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if let Some(look) = self.look.take() {
            let now = self.provider.clock().now();
            self.provider.looks.leave(self.reference, look, now);
        }
    }
}
