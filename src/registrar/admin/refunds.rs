//! Payment exceptions, and money that goes back.

use crate::registrar::admin::handles::{Payments, Refunds};
use serde::Serialize;

use crate::enrollment::Repayment;
use crate::event::{Actor, Source};
use crate::payment::ProofOfPayment;
use crate::port::{GatewayError, RefundRequest};
use crate::reconciliation::Discrepancy;
use crate::registrar::core::Registrar;
use crate::registrar::error::Error;
use crate::registrar::parts::provider::Caller;
use crate::registrar::webhook::payment::PaymentUpdate;
use crate::store::{HeldPayment, Lookup, Page, PageRequest, PaymentFilter, PaymentKey};
use crate::vocabulary::reason::{ExceptionAction, Permission};
use crate::vocabulary::{
    CourseId, DiscrepancyKey, DiscrepancyKind, LearnerId, Money, Note, PaymentReference, Reversal,
    Status,
};

/// Payments that arrived and need a decision: payment exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "money")]
#[non_exhaustive]
pub enum PaymentException {
    /// It arrived for an attempt of ours: late, again, or another sum than was asked.
    Payment(Box<HeldPayment>),
    /// The provider has it, by a link that nobody here knows.
    Unmatched(Box<Discrepancy>),
}

impl PaymentException {
    /// What becomes of it: a person decides, or it is to be given back.
    pub fn outcome(&self) -> ExceptionAction {
        match self {
            Self::Payment(payment) => payment.outcome(),
            Self::Unmatched(found) => found.outcome.unwrap_or(ExceptionAction::Hold),
        }
    }
}

/// Where a page of payment exceptions ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentExceptionKey {
    /// At this payment.
    Payment(PaymentReference),
    /// At this discrepancy.
    Unmatched(DiscrepancyKey),
}

impl Registrar {
    /// Keeps what a learner shows for their bank transfer: a link, or the host's id of an
    /// upload. The admin sees it beside the enrollment, which then does not expire by itself.
    ///
    /// # Errors
    /// [`Error::NotFound`] without an enrollment, [`Error::Refused`] without an open bank
    /// transfer, or the store's errors.
    pub async fn attach_proof(
        &self,
        learner: &LearnerId,
        course: &CourseId,
        proof: ProofOfPayment,
    ) -> Result<(), Error> {
        let who = Actor::Learner;
        let attached = self.update(Lookup::Learner(learner, course), |case| {
            let step = self.step(&who, Source::LearnerRequest, &None, self.now());
            case.prove(proof.clone(), &step)
        });
        self.within(attached).await.map(drop)
    }
}

impl Payments<'_> {
    /// All payment exceptions, in one list: first what arrived for an attempt of ours,
    /// by reference, then what the provider has by links that nobody here knows.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn exceptions(
        &self,
        page: PageRequest<PaymentExceptionKey>,
    ) -> Result<Page<PaymentException, PaymentExceptionKey>, Error> {
        self.admin.allow(Permission::View, None).await?;
        let size = page.size();
        let (mut items, mut keys) = (Vec::new(), Vec::new());
        let mut orphans_after = None;
        let payments_after = match page.after {
            Some(PaymentExceptionKey::Unmatched(key)) => {
                orphans_after = Some(key);
                None
            }
            Some(PaymentExceptionKey::Payment(reference)) => Some(Some(reference)),
            None => Some(None),
        };
        let events = &self.admin.registrar.inner.events;
        if let Some(after) = payments_after {
            let request = PageRequest { after, limit: size };
            let found = self
                .admin
                .registrar
                .within(async { Ok(events.payment_exceptions(request).await?) })
                .await?;
            for item in found.items {
                keys.push(PaymentExceptionKey::Payment(item.attempt.reference.clone()));
                items.push(PaymentException::Payment(Box::new(item)));
            }
            if found.next.is_some() {
                return Ok(Page {
                    items,
                    next: keys.pop(),
                });
            }
        }
        // Discrepancies of other kinds lie between; one item too many says that there is more.
        while items.len() <= size {
            let request = PageRequest {
                after: orphans_after,
                limit: size,
            };
            let found = self
                .admin
                .registrar
                .within(async { Ok(events.discrepancies(request).await?) })
                .await?;
            for discrepancy in found.items {
                if discrepancy.kind == DiscrepancyKind::UnmatchedPayment {
                    keys.push(PaymentExceptionKey::Unmatched(discrepancy.key.clone()));
                    items.push(PaymentException::Unmatched(Box::new(discrepancy)));
                }
            }
            orphans_after = found.next;
            if orphans_after.is_none() {
                break;
            }
        }
        let more = items.len() > size;
        items.truncate(size);
        keys.truncate(size);
        Ok(Page {
            items,
            next: if more { keys.pop() } else { None },
        })
    }

    /// Asks the provider about the open payments on one page of a search, whether they are
    /// due or not. Give back [`Page::next`] to go on.
    ///
    /// # Errors
    /// [`Error::NoGateway`], or the store's errors. What the provider could not be asked
    /// about is left out of the answer: the worker asks again.
    pub async fn sync(
        &self,
        filter: &PaymentFilter,
        page: PageRequest<PaymentKey>,
    ) -> Result<Page<PaymentUpdate, PaymentKey>, Error> {
        self.admin.allow(Permission::Replay, None).await?;
        let registrar = self.admin.registrar;
        if registrar.inner.provider.is_none() {
            return Err(Error::NoGateway);
        }
        let events = &registrar.inner.events;
        let found = registrar
            .within(async { Ok(events.payments(filter, page).await?) })
            .await?;
        let mut items = Vec::new();
        for item in found.items {
            let attempt = item.attempt;
            if !attempt.is_open() {
                continue;
            }
            let asked = registrar.confirm_now(&attempt.reference, Caller::Callback);
            match registrar.within(asked).await {
                Ok(confirmed) => items.push(confirmed),
                Err(Error::Gateway(error)) => tracing::warn!(%error, "a payment is left for later"),
                Err(error) => return Err(error),
            }
        }
        Ok(Page {
            items,
            next: found.next,
        })
    }
}

impl Refunds<'_> {
    /// Events that all that is left of a payment went back, with the proof: the dashboard's
    /// reference, for example. The grant that rests on it ends; others are left alone.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] when no money arrived, or the store's errors.
    pub async fn record(
        &self,
        payment: &PaymentReference,
        proof: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin.allow(Permission::Refund, None).await?;
        self.give_back(payment, None, proof.into()).await
    }

    /// Events that a part of a payment went back. Access stays when the part is small (see
    /// [`EnrollmentPolicy::refund_keeping_access`](crate::enrollment::EnrollmentPolicy)) or when what is
    /// left is still the price.
    ///
    /// # Errors
    /// As [`record`](Self::record); [`Error::Refused`] when less is left.
    pub async fn record_partial(
        &self,
        payment: &PaymentReference,
        amount: Money,
        proof: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin.allow(Permission::Refund, None).await?;
        self.give_back(payment, Some(amount), proof.into()).await
    }

    async fn give_back(
        &self,
        payment: &PaymentReference,
        amount: Option<Money>,
        proof: Note,
    ) -> Result<Status, Error> {
        let repayment = self.repayment(amount, proof.clone());
        let refunded = self
            .admin
            .change(Lookup::Reference(payment), proof, |case, step| {
                case.refund(payment, repayment.clone(), step)
            });
        let applied = self.admin.registrar.within(refunded).await?;
        Ok(applied.case.enrollment.status)
    }

    fn repayment(&self, amount: Option<Money>, proof: Note) -> Repayment {
        Repayment {
            amount,
            proof,
            by: self.admin.person().clone(),
        }
    }

    /// **Experimental.** Asks the provider to give money back, and records it when it did.
    /// Needs a gateway whose [`refunds`](crate::port::Capabilities::refunds) is on.
    ///
    /// That it will be asked is written down first, so that nobody asks twice: when its
    /// answer is lost, look in its dashboard and record what you find with
    /// [`record`](Self::record) or
    /// [`forget_request`](Self::forget_request).
    ///
    /// # Errors
    /// [`Error::NoGateway`]; [`Error::Gateway`] with what the provider did;
    /// [`Error::Refused`]; or the store's errors.
    pub async fn request(
        &self,
        payment: &PaymentReference,
        amount: Option<Money>,
        reason: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin.allow(Permission::Refund, None).await?;
        let registrar = self.admin.registrar;
        let provider = registrar.inner.provider.as_ref().ok_or(Error::NoGateway)?;
        if !provider.gateway().capabilities().refunds {
            return Err(GatewayError::NotSupported.into());
        }
        let reason = reason.into();
        let repayment = self.repayment(amount, reason.clone());
        let find = Lookup::Reference(payment);
        let requested = self.admin.change(find, reason.clone(), |case, step| {
            case.request_refund(payment, repayment.clone(), step)
        });
        let case = registrar.within(requested).await?.case;
        let attempt = case.attempt(Some(payment.as_str()), None);
        let link = attempt.and_then(|attempt| attempt.link.as_ref());
        let asked_for = attempt.and_then(|attempt| attempt.requested());
        let (Some(link), Some(asked_for)) = (link, asked_for) else {
            self.forget_request(payment, "").await?;
            return Err(Error::NotFound("pay link"));
        };
        // Two equal refunds are two: each has a proof of its own.
        let number = attempt.map_or(0, |attempt| attempt.refunds.len());
        let request = RefundRequest {
            pay_link: link.id.clone(),
            amount: asked_for.amount,
            reason,
        };
        match provider.refund(&request).await {
            Ok(()) => {
                let proof = Note::new(format!("Given back by the provider, refund {number}."));
                self.give_back(payment, Some(request.amount), proof).await
            }
            // The money may be gone: nobody asks a second time before somebody has looked.
            Err(
                error @ (GatewayError::TimedOut
                | GatewayError::Unreadable
                | GatewayError::Failed { .. }
                | GatewayError::Panicked),
            ) => Err(error.into()),
            // Nothing happened there.
            Err(
                error @ (GatewayError::Refused { .. }
                | GatewayError::BadCredentials
                | GatewayError::Unreachable
                | GatewayError::RateLimited { .. }
                | GatewayError::CircuitOpen { .. }
                | GatewayError::Throttled
                | GatewayError::NotSupported),
            ) => {
                self.forget_request(payment, error.to_string()).await?;
                Err(error.into())
            }
        }
    }

    /// Says that a refund the provider was asked for did not happen.
    ///
    /// # Errors
    /// [`Error::NotFound`] or the store's errors.
    pub async fn forget_request(
        &self,
        payment: &PaymentReference,
        note: impl Into<Note>,
    ) -> Result<(), Error> {
        self.admin.allow(Permission::Refund, None).await?;
        let failed = self
            .admin
            .change(Lookup::Reference(payment), note.into(), |case, step| {
                case.refund_failed(payment, step)
            });
        self.admin.registrar.within(failed).await.map(drop)
    }

    /// Events that the payer's bank took the money back, or that the card's holder disputes
    /// it. The grant that rests on it is suspended; others are left alone. When the dispute is
    /// lost, [`revoke`](crate::registrar::Learners::revoke) ends it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] when no money arrived, or the store's errors.
    pub async fn record_reversal(
        &self,
        payment: &PaymentReference,
        how: Reversal,
        proof: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin.allow(Permission::Refund, None).await?;
        let find = Lookup::Reference(payment);
        let reversed = self.admin.change(find, proof.into(), |case, step| {
            case.reverse(payment, how, step)
        });
        let applied = self.admin.registrar.within(reversed).await?;
        Ok(applied.case.enrollment.status)
    }

    /// Events that money which was taken back came again: a dispute was won. The grant that
    /// was suspended for it counts again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] when it was not taken back, or the store's errors.
    pub async fn record_reinstatement(
        &self,
        payment: &PaymentReference,
        proof: impl Into<Note>,
    ) -> Result<Status, Error> {
        self.admin.allow(Permission::Refund, None).await?;
        let find = Lookup::Reference(payment);
        let reinstated = self.admin.change(find, proof.into(), |case, step| {
            case.reinstate(payment, step)
        });
        let applied = self.admin.registrar.within(reinstated).await?;
        Ok(applied.case.enrollment.status)
    }
}
