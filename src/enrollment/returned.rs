//! What becomes of access, and of other money, when money goes back.

use super::command::Command;
use super::draft::Draft;
use super::refund::Repayment;
use super::step::CaseError;
use super::transition::{Refusal, TransitionResult};
use crate::access::{EndReason, Grant, GrantSource, GrantState};
use crate::event::EventKind;
use crate::payment::{Allocation, AttemptEvent, Refund, RefundState};
use crate::vocabulary::reason::{HoldReason, WithdrawReason};
use crate::vocabulary::{Closed, Money, Reversal, Status};

impl Draft<'_> {
    pub(super) fn give_back(
        &mut self,
        at: usize,
        amount: Money,
        repayment: Repayment,
    ) -> Result<(), CaseError> {
        let now = self.now();
        let keeping = i64::from(self.rules().refund_keeping_access);
        let attempt = &mut self.case.attempts[at];
        let (reference, held) = (attempt.reference.clone(), attempt.held_back());
        let done = Refund {
            amount,
            state: RefundState::Done,
            proof: repayment.proof,
            by: repayment.by,
            at: now,
        };
        let asked_for = attempt
            .refunds
            .iter()
            .position(|refund| refund.state == RefundState::Requested && refund.amount == amount);
        match asked_for {
            Some(known) => attempt.refunds[known] = done,
            None => attempt.refunds.push(done),
        }
        let over = attempt.is_given_back(keeping);
        self.touch_attempt(at);
        if over {
            self.move_attempt(at, AttemptEvent::Refunded)?;
        }
        if over {
            self.unbase(&reference);
        }
        let rests = |grant: &Grant| grant.source.payment() == Some(&reference);
        let lasts =
            |grant: &Grant| rests(grant) && !matches!(grant.state, GrantState::Ended { .. });
        let ends_access = over && self.case.own_grants().any(lasts);
        self.record(EventKind::PaymentReturned {
            reference: reference.clone(),
            amount,
            ends_access,
        });
        if !over {
            return Ok(());
        }
        self.end_grants(EndReason::Refunded, rests);
        self.reconsider()?;
        let approved = matches!(self.case.enrollment.status, Status::Approved { .. });
        if ends_access && approved && self.case.is_bare() {
            return self.close_bare(&Command::Refund);
        }
        self.release(held)
    }

    /// Looks again at money that came beside some that is gone: what was kept takes its place, and
    /// what was to be given back as a duplicate waits for a person, if it gives something now. Where
    /// nothing is approved, nothing begins by that.
    pub(super) fn reconsider(&mut self) -> Result<(), CaseError> {
        self.follow();
        if !matches!(self.case.enrollment.status, Status::Approved { .. }) {
            return Ok(());
        }
        for at in 0..self.case.attempts.len() {
            let attempt = &self.case.attempts[at];
            let Some(payment) = attempt.payment.filter(|_| attempt.holds_money()) else {
                continue;
            };
            if self.case.covering(attempt, self.now()).is_some() {
                continue;
            }
            match payment.allocation {
                Allocation::Kept => {
                    let payment = attempt.reference.clone();
                    self.grant(at, GrantSource::Payment { payment });
                    self.count(at);
                }
                Allocation::RefundDue(reason) if reason.is_about_cover() => {
                    self.restate(at, Allocation::OnHold(reason));
                }
                Allocation::Applied
                | Allocation::OnHold(_)
                | Allocation::RefundDue(_)
                | Allocation::Refunded => {}
            }
        }
        Ok(())
    }

    /// Closes an approved enrollment that gives no access any more; when money is here that could
    /// carry it, a person is asked instead.
    pub(super) fn close_bare(&mut self, command: &Command) -> Result<(), CaseError> {
        self.rule(command)?;
        self.hold_what_waits()
    }

    /// Money is gone that the enrollment waited for a person because of: when it was the last,
    /// the learner may pay again, unless it was closed before that came, or its money went back.
    /// What waits for something graver, or for a bank transfer still to come, waits on.
    pub(super) fn release(&mut self, held: Option<HoldReason>) -> Result<(), CaseError> {
        let Status::AwaitingApproval { reason } = self.case.enrollment.status else {
            return Ok(());
        };
        let left = self.case.waiting_reason();
        if held.is_none_or(|held| held < reason) || left.is_some_and(|left| left >= reason) {
            return Ok(());
        }
        if left.is_some() {
            // Other money is here, for a lesser reason.
            if !self.close_again()? {
                self.rule(&Command::Release)?;
            }
            return self.hold_money();
        }
        let went_back = |grant: &Grant| {
            matches!(
                grant.state,
                GrantState::Ended {
                    why: EndReason::Refunded,
                    ..
                }
            )
        };
        let last = match self.case.own_grants().any(went_back) && self.case.is_bare() {
            true => Command::Refund,
            false => Command::Release,
        };
        let asked = self.case.transfers().next().is_some();
        // A provisional grant for a transfer lives on while that waits.
        self.keeps_lent = asked;
        let money_back = Closed::Withdrawn {
            why: WithdrawReason::MoneyBack,
        };
        let went_back = self.case.enrollment.closed.as_deref() == Some(&money_back);
        let closed = self.close_again()?;
        if !closed {
            self.rule(&last)?;
        }
        let held = match asked && (!closed || went_back) {
            true => self.rule_hold(HoldReason::BankTransfer),
            false => Ok(()),
        };
        self.keeps_lent = false;
        held
    }

    /// Closes what was closed before money came that waited since; `false` for another.
    pub(super) fn close_again(&mut self) -> Result<bool, CaseError> {
        let closed = self.case.enrollment.closed.as_deref().cloned();
        let Some(closed) = closed else {
            return Ok(false);
        };
        let ruling = self.rule(&Command::CloseAgain(closed))?;
        Ok(matches!(ruling, TransitionResult::Moved(..)))
    }

    /// The learner asks for the course anew: what closed the enrollment before is over, unless the
    /// school ended the access. `false` when nothing did.
    pub(super) fn wish_again(&mut self) -> Result<bool, CaseError> {
        if self.case.enrollment.is_ended_by_school() {
            return Err(CaseError::Refused(Refusal::EndedBySchool));
        }
        Ok(self.case.enrollment.closed.take().is_some())
    }

    pub(super) fn suspend_grants(&mut self, why: Reversal, fits: impl Fn(&Grant) -> bool) {
        for at in 0..self.case.grants.len() {
            let now = self.now();
            let grant = &mut self.case.grants[at];
            if fits(grant) && grant.suspend(now, why) {
                let grant = grant.id;
                self.touch_grant(at);
                self.record(EventKind::AccessSuspended { grant, why });
            }
        }
    }

    pub(super) fn resume_grants(&mut self, fits: impl Fn(&Grant) -> bool) {
        for at in 0..self.case.grants.len() {
            let grant = &mut self.case.grants[at];
            if fits(grant) && grant.resume() {
                let grant = grant.id;
                self.touch_grant(at);
                self.record(EventKind::AccessResumed { grant });
            }
        }
    }
}
