//! What a learner asks for, and what they are answered.

use chrono::{DateTime, Utc};

use crate::access::AccessTerms;
use crate::config::BankDetails;
use crate::enrollment::{Intent, NewEnrollment};
use crate::payment::{Offer, PaymentMethod};
use crate::vocabulary::reason::HoldReason;
use crate::vocabulary::{
    CourseId, Email, EnrollmentId, LearnerId, Money, PaymentReference, Status, Title,
};

/// A learner asks for a course. Take the learner from the host's own session.
///
/// ```
/// use coursegate::{CourseId, Email, LearnerId, Money, Title};
/// use coursegate::access::AccessTerms;
/// use coursegate::{payment::PaymentMethod, registrar::EnrollRequest};
///
/// let month = std::time::Duration::from_secs(30 * 24 * 3600);
/// let request = EnrollRequest::new(
///     LearnerId::new("thandi")?,
///     Email::new("thandi@learners.example")?,
///     CourseId::new("rust-101")?,
///     Title::new("Rust from the start")?,
///     Money::zar(49_900)?,
///     PaymentMethod::BankTransfer,
/// )
/// .terms(AccessTerms::lasting(month));
/// assert_eq!(request.price.minor(), 49_900);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EnrollRequest {
    /// Who wants the course.
    pub learner: LearnerId,
    /// Where to write to.
    pub email: Email,
    /// Which course.
    pub course: CourseId,
    /// Its title, as the payer sees it.
    pub title: Title,
    /// Its price. Take it from the host's own catalogue, never from the request.
    pub price: Money,
    /// What the learner says they will pay with.
    pub method: PaymentMethod,
    /// The access that is offered for the price (default: full access for ever).
    pub terms: AccessTerms,
    /// What they want it for (default: the course, unless they have it).
    pub intent: Intent,
}

impl EnrollRequest {
    /// Asks for full access.
    pub fn new(
        learner: LearnerId,
        email: Email,
        course: CourseId,
        title: Title,
        price: Money,
        method: PaymentMethod,
    ) -> Self {
        Self {
            learner,
            email,
            course,
            title,
            price,
            method,
            terms: AccessTerms::default(),
            intent: Intent::default(),
        }
    }

    /// Sets the access that is offered for the price.
    #[must_use]
    pub fn terms(mut self, terms: AccessTerms) -> Self {
        self.terms = terms;
        self
    }

    /// Asks for more time, before the access that the learner has ends: it begins where that
    /// ends. Who has no access that ends enrolls as otherwise.
    ///
    /// Put it behind a button of its own: a plain request answers
    /// [`NextStep::Open`] with the end, so that a double click buys nothing twice.
    #[must_use]
    pub fn renew(mut self) -> Self {
        self.intent = Intent::Renew;
        self
    }

    /// Asks for it even if the learner has it already, by a bursary for example.
    #[must_use]
    pub fn buy_again(mut self) -> Self {
        self.intent = Intent::BuyAgain;
        self
    }

    pub(in crate::registrar) fn offer(&self) -> Offer {
        Offer {
            price: self.price,
            title: self.title.clone(),
            terms: self.terms.clone(),
        }
    }

    pub(in crate::registrar) fn opening(&self) -> NewEnrollment {
        NewEnrollment {
            learner: self.learner.clone(),
            email: self.email.clone(),
            course: self.course.clone(),
            offer: self.offer(),
            declared: self.method,
        }
    }
}

/// What came of a request to enroll.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enrolled {
    /// The enrollment: the same for a double click, a second tab and a retry. `None` for a
    /// learner who has the access already, and never enrolled here.
    pub enrollment: Option<EnrollmentId>,
    /// Where it stands.
    pub status: Option<Status>,
    /// What the learner does next.
    pub next: NextStep,
}

/// What the learner does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextStep {
    /// Go to this page and pay.
    Pay {
        /// Our reference for this attempt.
        reference: PaymentReference,
        /// The page.
        url: String,
    },
    /// Transfer the money, with this reference.
    Transfer {
        /// What to write on the transfer.
        reference: PaymentReference,
        /// How much.
        amount: Money,
        /// Where to.
        bank: BankDetails,
    },
    /// Wait until the provider has confirmed a payment that came.
    Confirming,
    /// Wait for a person.
    Wait(HoldReason),
    /// Open the course: they have all that was asked for.
    Open {
        /// Until when, `None` for ever.
        until: Option<DateTime<Utc>>,
    },
    /// Wait until the course opens for them: they have all that was asked for from then on.
    Begins {
        /// When.
        from: DateTime<Utc>,
    },
    /// Speak to the school: it ended their access.
    Ended,
}
