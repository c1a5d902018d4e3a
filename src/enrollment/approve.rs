//! What a person approves: which money, on whose terms, and who has to sign.

use serde::{Deserialize, Serialize};

use super::case::Case;
use super::command::Command;
use super::draft::Draft;
use super::ruling::{Refusal, Ruling};
use super::status::Status;
use super::step::{Applied, CaseError, Effect, Step};
use crate::access::{EndReason, Grant, GrantSource, GrantState, Terms};
use crate::evidence::Grade;
use crate::ids::{PersonId, Reference};
use crate::money::Money;
use crate::payment::{Attempt, Method, Payment, ProofOfPayment, Standing};
use crate::reason::{ApprovalCause, HoldReason, WithdrawReason};
use crate::record::Fact;

/// One of two signatures that are needed, and what it is for. When anything of that changes,
/// the signature is worth nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstApproval {
    /// Who signed.
    pub by: PersonId,
    /// What they signed.
    pub of: Approvable,
}

/// What an approval rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvable {
    /// The attempt whose money is approved, or was told of and is not proven; `None` for access
    /// ahead of any money.
    pub payment: Option<Reference>,
    /// What that attempt asks, or else what the enrollment does.
    pub amount: Money,
    /// What the enrollment asks today, or asked for the same since, whichever is more.
    pub price: Money,
    /// The access that is given.
    pub terms: Terms,
    /// The money that arrived for the attempt, and how well it is proven.
    pub money: Option<Payment>,
    /// How much of it went back, in minor units.
    pub returned: i64,
    /// What the learner shows for a bank transfer.
    pub proof: Option<ProofOfPayment>,
    /// The sum that the person saw on a bank statement.
    pub seen: Option<Money>,
}

impl Approvable {
    /// The highest sum of it, in minor units: asked today, asked by the attempt, or arrived.
    pub fn highest(&self) -> i64 {
        let arrived = self.money.and_then(|money| money.amount);
        [Some(self.amount), Some(self.price), arrived, self.seen]
            .into_iter()
            .flatten()
            .map(|sum| sum.minor())
            .max()
            .unwrap_or_default()
    }
}

/// What there is to approve.
enum Choice {
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
    fn attempt(&self) -> Option<usize> {
        match *self {
            Self::Money(at) => Some(at),
            Self::Ahead(at) => at,
            Self::Nothing => None,
        }
    }
}

impl Case {
    /// A person approves; where two have to, the first of them changes nothing but that. Money
    /// that is held, or the newest bank transfer, carries it, and gives what its own offer says.
    ///
    /// # Errors
    /// [`CaseError::Refused`], [`CaseError::Vetoed`] or [`CaseError::SecondPersonNeeded`].
    pub fn approve(
        self,
        by: &PersonId,
        cause: ApprovalCause,
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        draft.lapse()?;
        let chosen = draft.to_approve()?;
        if let Choice::Nothing = chosen {
            // What waited beside the access may have come to nothing by time alone.
            draft.note_review();
            return Ok(draft.finish(Effect::Nothing));
        }
        draft.approve(by, cause, &chosen, None)
    }

    /// A person approves, having seen the money of one bank transfer on a statement.
    ///
    /// # Errors
    /// [`CaseError::UnknownAttempt`]; [`CaseError::NoTransfer`] when it is no bank transfer, or
    /// was seen before; [`CaseError::Covered`] when the learner has what it buys already;
    /// [`CaseError::Refused`], [`CaseError::Vetoed`] or [`CaseError::SecondPersonNeeded`].
    pub fn approve_seen(
        self,
        by: &PersonId,
        cause: ApprovalCause,
        (payment, amount): (&Reference, Money),
        step: &Step<'_>,
    ) -> Result<Applied, CaseError> {
        let mut draft = self.draft(step);
        let at = draft.index_of(payment)?;
        if !draft.case.attempts[at].is_payable_transfer() {
            return Err(CaseError::NoTransfer);
        }
        draft.lapse()?;
        let attempt = &draft.case.attempts[at];
        if draft.case.covering(attempt, draft.now).is_some() {
            return Err(CaseError::Covered);
        }
        draft.approve(by, cause, &Choice::Money(at), Some(amount))
    }
}

impl Draft<'_> {
    fn approve(
        mut self,
        by: &PersonId,
        cause: ApprovalCause,
        chosen: &Choice,
        seen: Option<Money>,
    ) -> Result<Applied, CaseError> {
        if self.case.enrollment.is_erased() {
            return Err(CaseError::Refused(Refusal::Erased));
        }
        if let Ruling::Refuse(refusal) = self.case.enrollment.status.after(&Command::Approve(cause))
        {
            return Err(CaseError::Refused(refusal));
        }
        if self.is_first_of_two(by, cause, self.approvable(chosen.attempt(), seen))? {
            return Ok(self.finish(Effect::Changed));
        }
        self.rule(&Command::Approve(cause))?;
        if let Choice::Money(at) = *chosen {
            let attempt = &self.case.attempts[at];
            if !attempt.holds_money() {
                let amount = seen.unwrap_or(attempt.amount);
                self.vouch(at, amount)?;
            }
        }
        self.let_in(by, chosen);
        Ok(self.finish(Effect::Approved))
    }

    fn to_approve(&self) -> Result<Choice, CaseError> {
        let case = &self.case;
        if !matches!(case.enrollment.status, Status::Approved { .. }) {
            let chosen = self
                .least_grave(Attempt::is_held)
                .or_else(|| self.revoked_money());
            if let (None, Some(doubted)) = (chosen, self.doubted(|_| true)) {
                return Ok(Choice::Ahead(Some(doubted)));
            }
            let chosen = chosen
                .or_else(|| self.asked_transfer())
                .or_else(|| self.held_money());
            return Ok(chosen.map_or(Choice::Ahead(None), Choice::Money));
        }
        let useful = |attempt: &Attempt| case.covering(attempt, self.now()).is_none();
        let held = |attempt: &Attempt| attempt.is_held() && useful(attempt);
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
        self.least_grave(Attempt::holds_money)
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
                .is_some_and(|payment| payment.standing == Standing::Counted);
            let rests = |grant: &Grant| grant.source.payment() == Some(&attempt.reference);
            attempt.holds_money()
                && counts
                && self.case.own_grants().any(|it| rests(it) && revoked(it))
        })
    }

    /// The newest attempt whose money was told of, and is not proven: where an enrollment is not
    /// approved, as long as it waits for that.
    fn doubted(&self, fits: impl Fn(&Attempt) -> bool) -> Option<usize> {
        let waits = match &self.case.enrollment.status {
            Status::AwaitingApproval { reason } => Some(*reason),
            _ => None,
        };
        let doubted = |attempt: &Attempt| {
            let doubt = attempt.doubt.filter(|_| attempt.payment.is_none());
            doubt.is_some_and(|doubt| waits.is_none_or(|reason| reason == doubt)) && fits(attempt)
        };
        self.case.attempts.iter().rposition(doubted)
    }

    /// The attempt that an approval would rest on.
    pub(super) fn would_approve(&self) -> Option<Reference> {
        let at = self.to_approve().ok()?.attempt()?;
        Some(self.case.attempts[at].reference.clone())
    }

    fn least_grave(&self, fits: impl Fn(&Attempt) -> bool) -> Option<usize> {
        let asked = &self.case.enrollment.terms;
        let rank = |(at, attempt): (usize, &Attempt)| {
            let idle = self.case.covering(attempt, self.now).is_some();
            let less = !attempt.terms.is_at_least(asked);
            match attempt.payment?.standing {
                Standing::Held(reason) => Some((false, idle, less, reason, at)),
                Standing::RefundDue(reason) => Some((true, idle, less, reason, at)),
                Standing::Counted | Standing::Kept | Standing::Returned => None,
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
        attempts.iter().rposition(Attempt::is_open_transfer)
    }

    /// Takes a person's word for a bank transfer: they saw the statement.
    fn vouch(&mut self, at: usize, amount: Money) -> Result<(), CaseError> {
        let payment = Payment {
            at: self.now(),
            amount: Some(amount),
            method: Method::BankTransfer,
            grade: Grade::Unsigned,
            standing: Standing::Counted,
        };
        self.pay(at, payment, None)
    }

    /// Gives the access that a person approved, resting on a payment if there is one.
    fn let_in(&mut self, by: &PersonId, chosen: &Choice) {
        let by = by.clone();
        match *chosen {
            Choice::Money(at) => {
                let payment = self.case.attempts[at].reference.clone();
                self.grant(at, GrantSource::Approval { by, payment });
                self.count(at);
            }
            Choice::Ahead(Some(at)) => {
                let terms = self.case.attempts[at].terms.clone();
                self.settle_doubt(at);
                self.grant_ahead(by, &terms);
            }
            Choice::Ahead(None) => {
                let terms = self.case.enrollment.terms.clone();
                self.grant_ahead(by, &terms);
            }
            Choice::Nothing => {}
        }
    }

    /// A person decided about money that was told of and is not proven.
    pub(super) fn settle_doubt(&mut self, at: usize) {
        if self.case.attempts[at].doubt.take().is_some() {
            self.touch_attempt(at);
        }
    }

    fn approvable(&self, chosen: Option<usize>, seen: Option<Money>) -> Approvable {
        let enrollment = &self.case.enrollment;
        let attempt = chosen.map(|at| &self.case.attempts[at]);
        Approvable {
            payment: attempt.map(|attempt| attempt.reference.clone()),
            amount: attempt.map_or(enrollment.price, |attempt| attempt.amount),
            price: attempt.map_or(enrollment.price, |attempt| self.case.asked_since(attempt)),
            terms: attempt
                .map_or(&enrollment.terms, |attempt| &attempt.terms)
                .clone(),
            money: attempt.and_then(|attempt| attempt.payment),
            returned: attempt.map_or(0, Attempt::returned),
            proof: attempt.and_then(|attempt| attempt.proof.clone()),
            seen,
        }
    }

    /// Whether this approval is the first of two that are needed; it is noted then.
    fn is_first_of_two(
        &mut self,
        by: &PersonId,
        cause: ApprovalCause,
        of: Approvable,
    ) -> Result<bool, CaseError> {
        let limit = self.rules().four_eyes_above;
        if cause.is_past_everybody() || limit.is_none_or(|limit| of.highest() <= limit) {
            return Ok(false);
        }
        match &self.case.enrollment.first_approval {
            Some(first) if first.of == of => match first.by.is_same_person(by) {
                true => Err(CaseError::SecondPersonNeeded),
                false => Ok(false),
            },
            _ => {
                let by = by.clone();
                self.case.enrollment.first_approval = Some(Box::new(FirstApproval { by, of }));
                self.record(Fact::FirstApproval);
                Ok(true)
            }
        }
    }

    /// Drops a first signature when what it was for is not what would be approved now.
    pub(super) fn drop_stale_signature(&mut self) {
        let Some(first) = &self.case.enrollment.first_approval else {
            return;
        };
        let chosen = match (&first.of.payment, first.of.seen) {
            (Some(payment), Some(_)) => self.index_of(payment).ok(),
            _ => self.to_approve().ok().and_then(|chosen| chosen.attempt()),
        };
        if self.approvable(chosen, first.of.seen) != first.of {
            self.case.enrollment.first_approval = None;
        }
    }

    /// A guard cannot veto a hold away: the money would be out of sight.
    pub(super) fn rule_hold(&mut self, reason: HoldReason) -> Result<(), CaseError> {
        match self.rule(&Command::Hold(reason)) {
            Ok(_) | Err(CaseError::Vetoed(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }
}
