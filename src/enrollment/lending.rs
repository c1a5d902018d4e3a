//! Grants of a change that is being written.

use super::draft::Draft;
use super::status::Status;
use crate::access::{EndReason, Grant, GrantSource, GrantState, Terms};
use crate::reason::HoldReason;
use crate::record::Fact;

impl Draft<'_> {
    /// A provisional grant lives exactly as long as the bank transfer waits.
    pub(super) fn lend_or_end(&mut self, from: &Status, to: &Status) {
        let waits = |status: &Status| matches!(status, Status::AwaitingApproval { .. });
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
        {
            self.add_grant(GrantSource::Provisional, terms);
        }
    }

    /// Gives access on the enrollment's terms, or lets the grant a person gave ahead
    /// of any payment rest on this one.
    pub(super) fn grant(&mut self, source: GrantSource) {
        let waiting = self.case.grants.iter().position(|grant| {
            grant.state == GrantState::Live
                && grant.enrollment == Some(self.case.enrollment.id)
                && matches!(grant.source, GrantSource::Approval { payment: None, .. })
        });
        match (waiting, source.payment().cloned()) {
            (Some(at), Some(payment)) => {
                let grant = self.case.grants[at].id;
                self.case.grants[at].source = source;
                self.touch_grant(at);
                self.record(Fact::AccessRebased { grant, payment });
            }
            (Some(_), None) => {}
            (None, _) => {
                let terms = self.case.enrollment.terms.clone();
                self.add_grant(source, &terms);
            }
        }
    }

    fn add_grant(&mut self, source: GrantSource, terms: &Terms) {
        let enrollment = &self.case.enrollment;
        let subject = (enrollment.learner.clone(), enrollment.course.clone());
        let grant = Grant::new(
            self.ids.grant(),
            subject,
            Some(enrollment.id),
            source,
            terms,
            self.step.now,
        );
        let fact = Fact::AccessGranted {
            grant: grant.id,
            until: grant.expires_at,
        };
        self.case.grants.push(grant);
        self.touch_grant(self.case.grants.len() - 1);
        self.granted = true;
        self.record(fact);
    }

    /// Ends the live grants that fit.
    pub(super) fn end_grants(&mut self, why: EndReason, fits: impl Fn(&Grant) -> bool) {
        for at in 0..self.case.grants.len() {
            let grant = &mut self.case.grants[at];
            if fits(grant) && grant.end(self.step.now, why) {
                let fact = Fact::AccessEnded {
                    grant: grant.id,
                    why,
                };
                self.touch_grant(at);
                self.record(fact);
            }
        }
    }

    pub(super) fn touch_grant(&mut self, at: usize) {
        if !self.touched_grants.contains(&at) {
            self.touched_grants.push(at);
        }
    }
}
