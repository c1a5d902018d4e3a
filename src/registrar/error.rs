use crate::config::UrlError;
use crate::enrollment::CaseError;
use crate::port::GatewayError;
use crate::registrar::parts::panics::{HostPart, Panicked};
#[cfg(feature = "statements")]
use crate::statement::MappingError;
use crate::store::StoreError;
use crate::vocabulary::reason::Permission;
use crate::vocabulary::{ChannelName, CourseId, EnrollmentId, GrantId};
use crate::vocabulary::{Currency, Money};
use crate::webhook::BodyError;

/// Why a use case failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host does not offer this course.
    #[error("the course {0} is not offered")]
    UnknownCourse(CourseId),
    /// No such notification channel was given to the builder.
    #[error("there is no notification channel {0}")]
    UnknownChannel(ChannelName),
    /// One person has approved now; the row of the statement stays open for the second.
    #[error("approved by you; a second person has to approve this row too")]
    AwaitsSecond,
    /// The row may be an earlier one once more.
    #[error(
        "this row may be an earlier one once more: say first that it is another, or that it is the same"
    )]
    DoubtfulRow,
    /// More is to be taken of a row than is left of its sum, or in another currency.
    #[error("of this row only {left} is left")]
    TooMuchOfRow {
        /// What is left.
        left: Money,
    },
    /// The person lacks the permission. It is recorded that they tried.
    #[error("this needs the permission to {0}; ask whoever gives out roles")]
    Forbidden(Permission),
    /// Nothing has this id or reference.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// These are not over yet: withdraw or reject them, end their access, and settle their
    /// money before the learner is erased.
    #[error("{} enrollments and {} grants of this learner are not over yet", .enrollments.len(), .grants.len())]
    StillOpen {
        /// The learner's enrollments that are not over.
        enrollments: Vec<EnrollmentId>,
        /// Grants apart from any enrollment that have not ended.
        grants: Vec<GrantId>,
    },
    /// Bank transfers are not set up.
    #[error("bank transfers are not offered; set the bank details in the configuration")]
    NoBank,
    /// No gateway is set up.
    #[error("no payment gateway is set up; give the builder one")]
    NoGateway,
    /// The terms of an offer give no access: no level, no kinds or no time.
    #[error("the offer gives no access: set a level, kinds of content and a time")]
    NothingOffered,
    /// Access that is brought over ends before it starts.
    #[error("the access ends before it starts")]
    EndsBeforeItStarts,
    /// The key of access that is brought over is that of somebody else's, or of another course.
    #[error("this key was brought over for another learner or course")]
    KeyTaken,
    /// The law of the enrollment, or the host's guard, says no.
    #[error(transparent)]
    Refused(#[from] CaseError),
    /// The provider takes no payments in this currency.
    #[error("the provider takes no payments in {0}; set a price in a currency that it takes")]
    CurrencyNotTaken(Currency),
    /// The provider did not give a pay link. The enrollment is kept; whether the same request may
    /// succeed later says [`GatewayError::is_transient`].
    #[error("{}", no_pay_link(source))]
    NoPayLink {
        /// The enrollment that was kept.
        enrollment: EnrollmentId,
        /// What the provider did.
        #[source]
        source: GatewayError,
    },
    /// The provider could not be asked.
    #[error("the provider could not be asked")]
    Gateway(#[from] GatewayError),
    /// The store did not do its part.
    #[error("the store did not do its part")]
    Store(#[from] StoreError),
    /// Others changed the same enrollment again and again.
    #[error("the enrollment is being changed by others; try again")]
    Contended,
    /// A part of the host's panicked.
    #[error(
        "a part of this program panicked ({0}); its message is in the error output of the process"
    )]
    Panicked(HostPart),
    /// The outer deadline passed.
    #[error("the deadline passed; it is not known whether anything was written")]
    DeadlineExceeded,
    /// The body of a delivery cannot be encrypted, or not be read again.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// Nothing of a bank statement can be read.
    #[cfg(feature = "statements")]
    #[error(transparent)]
    Statement(#[from] MappingError),
    /// An address cannot be right.
    #[error(transparent)]
    Url(#[from] UrlError),
}

/// What kind of error it is, and what to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be carried out as it is. HTTP 422; do not retry.
    Invalid,
    /// The person may not do this. HTTP 403; do not retry.
    Forbidden,
    /// HTTP 404; do not retry.
    NotFound,
    /// The state of things does not permit it. HTTP 409; look again before retrying.
    Conflict,
    /// The provider failed. HTTP 502; retry later.
    Provider,
    /// The store or the time failed. HTTP 503; retry soon.
    Unavailable,
    /// The installation lacks something. HTTP 500; tell the operator.
    Setup,
}

impl From<Panicked> for Error {
    fn from(panicked: Panicked) -> Self {
        Self::Panicked(panicked.0)
    }
}

fn no_pay_link(source: &GatewayError) -> &'static str {
    match source.is_transient() {
        true => "the provider gave no pay link; the enrollment is kept, enroll again to retry",
        false => {
            "the provider gives no pay link, and will not when it is asked again; the enrollment is kept"
        }
    }
}

impl Error {
    /// What went wrong and because of what, in one line for people.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }

    /// What a learner can be told: what they can do now, and nothing of what is behind it.
    pub fn for_learner(&self) -> &'static str {
        match (self, self.kind()) {
            (Self::NoBank, _) => {
                "Bank transfers are not offered here. Please choose another way to pay."
            }
            (Self::NoGateway, _) => {
                "Online payments are not offered here. Please choose another way to pay."
            }
            (Self::NoPayLink { .. }, ErrorKind::Provider | ErrorKind::Unavailable) => {
                "The payment page could not be opened. Nothing was paid, and your place is kept. Please try again in a minute."
            }
            (Self::NoPayLink { .. }, _) => {
                "The payment page cannot be opened, and trying again will not help. Nothing was paid. Please contact the school."
            }
            (_, ErrorKind::Provider | ErrorKind::Unavailable) => {
                "This takes longer than usual. Please look again in a minute; if you have paid, do not pay again."
            }
            (_, ErrorKind::NotFound) => "There is nothing here. Please go back to the course.",
            (_, ErrorKind::Conflict) => {
                "This is not possible now. Please look at the course again."
            }
            (_, ErrorKind::Invalid | ErrorKind::Forbidden | ErrorKind::Setup) => {
                "This is not possible. Please contact the school."
            }
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownCourse(_)
            | Self::CurrencyNotTaken(_)
            | Self::UnknownChannel(_)
            | Self::NothingOffered
            | Self::EndsBeforeItStarts => ErrorKind::Invalid,
            #[cfg(feature = "statements")]
            Self::Statement(_) => ErrorKind::Invalid,
            Self::Forbidden(_) => ErrorKind::Forbidden,
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::NoBank | Self::NoGateway | Self::Url(_) | Self::Panicked(_) => ErrorKind::Setup,
            Self::Refused(CaseError::UnknownAttempt | CaseError::UnknownGrant) => {
                ErrorKind::NotFound
            }
            Self::Refused(_)
            | Self::Contended
            | Self::AwaitsSecond
            | Self::DoubtfulRow
            | Self::TooMuchOfRow { .. }
            | Self::KeyTaken
            | Self::StillOpen { .. } => ErrorKind::Conflict,
            Self::NoPayLink { source, .. } | Self::Gateway(source) => match source {
                GatewayError::Throttled => ErrorKind::Unavailable,
                error if error.is_transient() => ErrorKind::Provider,
                GatewayError::Refused { .. } => ErrorKind::Invalid,
                _ => ErrorKind::Setup,
            },
            Self::Body(BodyError::Gone) => ErrorKind::NotFound,
            Self::Body(_) => ErrorKind::Setup,
            Self::Store(_) | Self::DeadlineExceeded => ErrorKind::Unavailable,
        }
    }
}

impl ErrorKind {
    /// The usual HTTP status.
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Invalid => 422,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::Provider => 502,
            Self::Unavailable => 503,
            Self::Setup => 500,
        }
    }
}
