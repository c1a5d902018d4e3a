//! Grants of a change that is being written.

use chrono::{DateTime, Utc};

use super::command::Command;
use super::draft::Draft;
use super::offers::for_any_time;
use super::step::CaseError;
use crate::access::{AccessTerms, Cover, EndReason, Grant, GrantSource, GrantState, cover};
use crate::event::EventKind;
use crate::payment::{Allocation, PaymentAttempt, Purpose, Verdict};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{AdminId, GrantId, PaymentReference, Status};

impl Draft<'_> {
    /// A provisional grant lives exactly as long as the bank transfer waits, and is given once
    /// until money is seen: whoever enrolls again and again borrows nothing more.
    pub(super) fn lend_or_end(&mut self, from: &Status, to: &Status) {
        let waits = |status: &Status| matches!(status, Status::AwaitingApproval { .. });
        if self.keeps_lent {
            return;
        }
        if waits(from) && !waits(to) {
            self.end_grants(EndReason::Decided, |grant| {
                grant.source == GrantSource::Provisional
            });
        }
        if let (
            Some(terms),
            Status::AwaitingApproval {
                reason: HoldReason::BankTransfer,
            },
        ) = (&self.step.rules.provisional, to)
            && !self.has_borrowed(terms)
        {
            let start = self.now();
            self.add_grant(GrantSource::Provisional, terms, start);
        }
    }

    /// Whether there was a provisional grant, and no money has come and stayed since that bought as much of the
    /// course.
    fn has_borrowed(&self, terms: &AccessTerms) -> bool {
        let provisional = self
            .case
            .grants
            .iter()
            .filter(|grant| grant.source == GrantSource::Provisional);
        let Some(last) = provisional.map(|grant| grant.starts_at).max() else {
            return false;
        };
        let provisional = for_any_time(terms);
        let earned = |attempt: &PaymentAttempt| {
            let counts = attempt.payment.is_some_and(|payment| {
                payment.at >= last
                    && matches!(payment.allocation, Allocation::Applied | Allocation::Kept)
            });
            attempt.holds_money() && counts && attempt.terms.is_at_least(&provisional)
        };
        !self.case.attempts.iter().any(earned)
    }

    /// Gives the access that an attempt buys, resting on its payment. A grant that rested on it
    /// before begins anew.
    pub(super) fn grant(&mut self, at: usize, source: GrantSource) {
        let attempt = &self.case.attempts[at];
        let terms = attempt.terms.clone();
        let known = self.case.grants.iter().position(|grant| {
            grant.enrollment == Some(self.case.enrollment.id)
                && grant.source.payment() == Some(&attempt.reference)
        });
        if known.is_none() && self.rebase(at) {
            return;
        }
        let attempt = &self.case.attempts[at];
        let start = self.start(attempt);
        let Some(known) = known else {
            return self.add_grant(source, &terms, start);
        };
        let grant = &mut self.case.grants[known];
        if matches!(grant.state, GrantState::Ended { .. }) {
            grant.source = source;
            grant.revive(&terms, start);
            let (grant, until) = (grant.id, grant.expires_at);
            self.touch_grant(known);
            self.granted = true;
            let more = self.is_more();
            self.record(EventKind::AccessGranted { grant, until, more });
            self.follow();
        }
    }

    /// Whether a grant that is made now comes to an enrollment that was approved before.
    fn is_more(&self) -> bool {
        let approved = |status: &Status| matches!(status, Status::Approved { .. });
        let moved = self.events.iter().any(|event| match &event.kind {
            EventKind::EnrollmentMoved { to, .. } => approved(to),
            _ => false,
        });
        approved(&self.case.enrollment.status) && !moved
    }

    /// Gives access ahead of any payment.
    pub(super) fn grant_ahead(&mut self, by: AdminId, terms: &AccessTerms) {
        let start = self.now();
        let source = GrantSource::Ahead { by, payment: None };
        self.add_grant(source, terms, start);
    }

    /// Gives what an attempt buys ahead of the proof of its money, as that would give it.
    pub(super) fn grant_accepted(&mut self, at: usize, by: AdminId) {
        let attempt = &self.case.attempts[at];
        let (terms, start) = (attempt.terms.clone(), self.start(attempt));
        let source = GrantSource::Ahead { by, payment: None };
        let known = self.case.grants.len();
        self.add_grant(source, &terms, start);
        let grant = self.case.grants.get(known).map(|grant| grant.id);
        if let (Some(grant), Some(doubt)) = (grant, &mut self.case.attempts[at].doubt) {
            doubt.verdict = Verdict::Accepted(grant);
            self.touch_attempt(at);
        }
    }

    /// Lets a grant that a person gave ahead of any payment rest on the one that came for it, if
    /// it gives just what that buys. More time, and the same once more, are apart from that.
    pub(super) fn rebase(&mut self, at: usize) -> bool {
        let attempt = &self.case.attempts[at];
        let reference = attempt.reference.clone();
        let waits = |grant: &Grant| self.case.waits_for_money_of(grant, attempt, self.now);
        let found = self.case.grants.iter().position(waits);
        found.is_some_and(|found| self.rest_on(found, Some(reference)))
    }

    /// What a person gave ahead of a payment stands when that goes back.
    pub(super) fn unbase(&mut self, payment: &PaymentReference) {
        for at in 0..self.case.grants.len() {
            if self.case.grants[at].source.payment() == Some(payment) {
                self.rest_on(at, None);
            }
        }
    }

    /// Changes what a grant rests on that was given ahead of a payment; `false` for another.
    fn rest_on(&mut self, at: usize, reference: Option<PaymentReference>) -> bool {
        let grant = &mut self.case.grants[at];
        let GrantSource::Ahead { payment, .. } = &mut grant.source else {
            return false;
        };
        payment.clone_from(&reference);
        let grant = grant.id;
        self.touch_grant(at);
        self.record(EventKind::AccessRebased {
            grant,
            payment: reference,
        });
        true
    }

    /// When access begins that an attempt buys now: a renewal follows what there is.
    fn start(&self, attempt: &PaymentAttempt) -> DateTime<Utc> {
        let before = match attempt.purpose {
            Purpose::Renewal { .. } => self.before(attempt, |_| true),
            Purpose::First | Purpose::Upgrade | Purpose::Additional => None,
        };
        before.and_then(|before| before.until).unwrap_or(self.now)
    }

    /// What other grants give now, without a gap, of the same as an attempt; only some are looked
    /// at.
    fn before(&self, attempt: &PaymentAttempt, counts: impl Fn(&Grant) -> bool) -> Option<Cover> {
        let other = |grant: &Grant| counts(grant) && !attempt.gave(grant);
        let terms = for_any_time(&attempt.terms);
        cover(&self.case.grants, other, &terms, self.now)
    }

    /// Lets renewals that have not begun follow what there is now: sooner, when something before
    /// them ended before its time; later, when more came. Behind access for ever they stay where
    /// they are.
    pub(super) fn follow(&mut self) {
        let now = self.now();
        self.move_renewals(|grant, before| {
            let start = match before {
                None => now,
                Some(before) => before.until?,
            };
            (grant.starts_at > now && start != grant.starts_at).then_some(start)
        });
    }

    /// Lets renewals follow access that counts again, where they began instead of it since then.
    pub(super) fn push_back(&mut self, since: DateTime<Utc>) {
        self.move_renewals(|grant, before| {
            let end = before?.until?;
            (grant.starts_at >= since && end > grant.starts_at).then_some(end)
        });
    }

    /// Begins renewals anew, one after the other, by the access before each of them.
    fn move_renewals(&mut self, start: impl Fn(&Grant, Option<Cover>) -> Option<DateTime<Utc>>) {
        let mut renewals: Vec<(usize, PaymentAttempt)> = Vec::new();
        for (at, grant) in self.case.grants.iter().enumerate() {
            let bought = |attempt: &&PaymentAttempt| {
                matches!(attempt.purpose, Purpose::Renewal { .. }) && attempt.gave(grant)
            };
            if grant.is_to_come(self.now)
                && let Some(attempt) = self.case.attempts.iter().find(bought)
            {
                renewals.push((at, attempt.clone()));
            }
        }
        let renewals = self.in_turn(renewals);
        let order: Vec<GrantId> = renewals
            .iter()
            .map(|(at, _)| self.case.grants[*at].id)
            .collect();
        for (place, (at, attempt)) in renewals.into_iter().enumerate() {
            let later = &order[place..];
            let before = self.before(&attempt, |grant| !later.contains(&grant.id));
            let grant = &mut self.case.grants[at];
            let Some(start) = start(grant, before) else {
                continue;
            };
            grant.revive(&attempt.terms, start);
            let (grant, until) = (grant.id, grant.expires_at);
            self.touch_grant(at);
            let more = false;
            self.record(EventKind::AccessGranted { grant, until, more });
        }
    }

    /// The order in which renewals follow each other: as they began, but one that gives less after
    /// those that give all of it and more, since it follows them.
    fn in_turn(&self, mut renewals: Vec<(usize, PaymentAttempt)>) -> Vec<(usize, PaymentAttempt)> {
        let key = |at: usize| (self.case.grants[at].starts_at, self.case.grants[at].id);
        renewals.sort_by_key(|(at, _)| key(*at));
        let mut order = Vec::with_capacity(renewals.len());
        while !renewals.is_empty() {
            let gives_less = |(_, one): &(usize, PaymentAttempt)| {
                let less = for_any_time(&one.terms);
                renewals.iter().any(|(_, other)| {
                    let more = for_any_time(&other.terms);
                    more.is_at_least(&less) && !less.is_at_least(&more)
                })
            };
            let next = renewals.iter().position(|it| !gives_less(it));
            order.push(renewals.remove(next.unwrap_or_default()));
        }
        order
    }

    pub(super) fn add_grant(
        &mut self,
        source: GrantSource,
        terms: &AccessTerms,
        start: DateTime<Utc>,
    ) {
        let enrollment = &self.case.enrollment;
        let subject = (enrollment.learner.clone(), enrollment.course.clone());
        let grant = Grant::new(
            self.ids.grant(),
            subject,
            Some(enrollment.id),
            source,
            terms,
            start,
        );
        self.put_grant(grant);
    }

    /// Adds a grant that is made.
    pub(super) fn put_grant(&mut self, grant: Grant) {
        let kind = EventKind::AccessGranted {
            grant: grant.id,
            until: grant.expires_at,
            // Nobody is told of what they had in another system.
            more: grant.key.is_none() && self.is_more(),
        };
        self.case.grants.push(grant);
        self.touch_grant(self.case.grants.len() - 1);
        self.granted = true;
        self.record(kind);
        self.follow();
    }

    /// Ends the grants that fit and have not ended.
    pub(super) fn end_grants(&mut self, why: EndReason, fits: impl Fn(&Grant) -> bool) {
        for at in 0..self.case.grants.len() {
            let grant = &mut self.case.grants[at];
            if fits(grant) && grant.end(self.now, why) {
                let kind = EventKind::AccessEnded {
                    grant: grant.id,
                    why,
                };
                self.touch_grant(at);
                self.record(kind);
            }
        }
    }

    /// Ends grants whose time is over, and the enrollment with the last of them.
    pub(super) fn end_due(&mut self) -> Result<(), CaseError> {
        let (id, now) = (self.case.enrollment.id, self.now);
        self.end_grants(EndReason::Expired, |grant| {
            grant.enrollment == Some(id)
                && grant.state == GrantState::Live
                && grant.expires_at.is_some_and(|end| end <= now)
        });
        self.lapse()
    }

    /// Lets the enrollment expire when the access it gave has run out, and nobody noticed yet.
    pub(super) fn lapse(&mut self) -> Result<(), CaseError> {
        let now = self.now();
        if self.case.has_lapsed(now) {
            let id = self.case.enrollment.id;
            self.end_grants(EndReason::Expired, |grant| {
                grant.enrollment == Some(id) && grant.expires_at.is_some_and(|end| end <= now)
            });
            self.rule(&Command::Expire)?;
            self.hold_what_waits()?;
        }
        Ok(())
    }

    /// Keeps before a person what waited beside access that is over: held money, and a bank
    /// transfer that was asked for.
    pub(super) fn hold_what_waits(&mut self) -> Result<(), CaseError> {
        self.hold_money()?;
        let transfer = HoldReason::BankTransfer;
        let beside = self.case.enrollment.waits_for == Some(transfer);
        let asked = beside && self.case.transfers().next().is_some();
        match asked {
            true => self.rule_hold(transfer),
            false => Ok(()),
        }
    }

    /// Keeps before a person what waits for one: held money, or money that was told of.
    pub(super) fn hold_money(&mut self) -> Result<(), CaseError> {
        match self.case.waiting_reason() {
            Some(reason) => self.rule_hold(reason),
            None => Ok(()),
        }
    }

    pub(super) fn touch_grant(&mut self, at: usize) {
        if !self.touched_grants.contains(&at) {
            self.touched_grants.push(at);
        }
    }
}
