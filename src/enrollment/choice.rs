//! Which money a person would approve.

use super::draft::Draft;
use super::step::CaseError;
use super::transition::Refusal;
use crate::access::{EndReason, Grant, GrantSource, GrantState};
use crate::payment::{Allocation, PaymentAttempt};
use crate::vocabulary::reason::{HoldReason, WithdrawReason};
use crate::vocabulary::{PaymentReference, Status};

/// What there is to approve.
pub(super) enum Choice {
    /// The money of an attempt: held, or a bank transfer that the person vouches for.
    Money(usize),
    /// Access ahead of any money: what an attempt buys whose money was told of and is not proven,
    /// or what is asked for today.
    Ahead(Option<usize>),
    /// Nothing: the learner has access by it.
    Nothing,
}

impl Choice {
    /// The attempt that it is about.
    pub(super) fn attempt(&self) -> Option<usize> {
        match *self {
            Self::Money(at) => Some(at),
            Self::Ahead(at) => at,
            Self::Nothing => None,
        }
    }
}

impl Draft<'_> {
    /// What a person would approve now.
    pub(super) fn to_approve(&self) -> Result<Choice, CaseError> {
        let case = &self.case;
        if !matches!(case.enrollment.status, Status::Approved { .. }) {
            let chosen = self
                .least_grave(PaymentAttempt::is_held)
                .or_else(|| self.revoked_money());
            if let (None, Some(doubted)) = (chosen, self.doubted(|_| true)) {
                return Ok(Choice::Ahead(Some(doubted)));
            }
            let chosen = chosen
                .or_else(|| self.asked_transfer())
                .or_else(|| self.held_money());
            return Ok(chosen.map_or(Choice::Ahead(None), Choice::Money));
        }
        let useful = |attempt: &PaymentAttempt| case.covering(attempt, self.now()).is_none();
        let held = |attempt: &PaymentAttempt| attempt.is_held() && useful(attempt);
        let transfer = || {
            let beside = case.transfers_beside(self.now()).next()?;
            self.index_of(&beside.reference).ok()
        };
        let chosen = self.least_grave(held).or_else(transfer);
        if let Some(at) = chosen {
            return Ok(Choice::Money(at));
        }
        if let Some(doubted) = self.doubted(useful) {
            return Ok(Choice::Ahead(Some(doubted)));
        }
        let lasting = case
            .own_grants()
            .filter(|grant| grant.source != GrantSource::Provisional);
        let (mut suspended, mut to_come) = (false, false);
        for grant in lasting {
            if grant.is_live(self.now()) {
                return Ok(Choice::Nothing);
            }
            to_come |= grant.is_to_come(self.now());
            suspended |= matches!(grant.state, GrantState::Suspended { .. });
        }
        match (suspended, to_come) {
            (true, _) => Err(CaseError::Refused(Refusal::Disputed)),
            (false, true) => Err(CaseError::Refused(Refusal::StartsLater)),
            (false, false) => Ok(Choice::Ahead(None)),
        }
    }

    /// The payment to count when a person approves: held rather than to be given back, one that gives
    /// something rather than what there is already, for what is asked today rather than for less,
    /// the least grave, the oldest.
    pub(super) fn held_money(&self) -> Option<usize> {
        self.least_grave(PaymentAttempt::holds_money)
    }

    /// A payment that counts, and whose access the school ended, and with it all: it is here still.
    fn revoked_money(&self) -> Option<usize> {
        let ended = Status::Withdrawn {
            why: WithdrawReason::Revoked,
        };
        if self.case.enrollment.status != ended {
            return None;
        }
        let revoked = |grant: &Grant| {
            matches!(
                grant.state,
                GrantState::Ended {
                    why: EndReason::Revoked,
                    ..
                }
            )
        };
        self.case.attempts.iter().rposition(|attempt| {
            let counts = attempt
                .payment
                .is_some_and(|payment| payment.allocation == Allocation::Applied);
            let rests = |grant: &Grant| grant.source.payment() == Some(&attempt.reference);
            attempt.holds_money()
                && counts
                && self.case.own_grants().any(|it| rests(it) && revoked(it))
        })
    }

    /// The newest attempt whose money was told of, and is not proven: where an enrollment is not
    /// approved, as long as it waits for that.
    fn doubted(&self, fits: impl Fn(&PaymentAttempt) -> bool) -> Option<usize> {
        let waits = match &self.case.enrollment.status {
            Status::AwaitingApproval { reason } => Some(*reason),
            _ => None,
        };
        let doubted = |attempt: &PaymentAttempt| {
            let doubt = attempt.open_doubt().map(|doubt| doubt.reason);
            doubt.is_some_and(|doubt| waits.is_none_or(|reason| reason == doubt)) && fits(attempt)
        };
        self.case.attempts.iter().rposition(doubted)
    }

    /// The attempt that an approval would rest on.
    pub(super) fn would_approve(&self) -> Option<PaymentReference> {
        let at = self.to_approve().ok()?.attempt()?;
        Some(self.case.attempts[at].reference.clone())
    }

    fn least_grave(&self, fits: impl Fn(&PaymentAttempt) -> bool) -> Option<usize> {
        let asked = &self.case.enrollment.terms;
        let rank = |(at, attempt): (usize, &PaymentAttempt)| {
            let idle = self.case.covering(attempt, self.now).is_some();
            let less = !attempt.terms.is_at_least(asked);
            match attempt.payment?.allocation {
                Allocation::OnHold(reason) => Some((false, idle, less, reason, at)),
                Allocation::RefundDue(reason) => Some((true, idle, less, reason, at)),
                Allocation::Applied | Allocation::Kept | Allocation::Refunded => None,
            }
        };
        let attempts = self.case.attempts.iter().enumerate();
        let held = attempts.filter(|(_, attempt)| attempt.holds_money() && fits(attempt));
        held.filter_map(rank).min().map(|(.., at)| at)
    }

    /// The bank transfer a person vouches for when they approve: the newest that is waited for, or
    /// what the learner asked for last.
    fn asked_transfer(&self) -> Option<usize> {
        let transfer = self.open_transfer()?;
        let reference = &self.case.attempts[transfer].reference;
        let waits = self.case.enrollment.status
            == Status::AwaitingApproval {
                reason: HoldReason::BankTransfer,
            };
        let last = self.case.latest_attempt();
        let is_last = last.is_some_and(|last| last.reference == *reference);
        (waits || is_last).then_some(transfer)
    }

    /// The newest bank transfer that is open.
    pub(super) fn open_transfer(&self) -> Option<usize> {
        let attempts = &self.case.attempts;
        attempts.iter().rposition(PaymentAttempt::is_open_transfer)
    }
}
