//! What people do, as it goes from the test to one of the processes, and what they are answered.

use std::time::Duration;

use coursegate::access::{AccessLevel, AccessTerms};
use coursegate::payment::{PaymentMethod, ProofOfPayment, Reversal};
use coursegate::registrar::{EnrollRequest, NewGrant, NextStep, TransferMatch};
use coursegate::statement::StatementRow;
use coursegate::store::{Lookup, PageRequest, RowFilter, Store};
use coursegate::{
    AdminId, CourseId, Email, EnrollmentId, Error, GrantId, Money, PaymentReference, Registrar,
    Title,
};
use serde::{Deserialize, Serialize};

use crate::support::{account, learner};

/// One thing that somebody does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Act {
    Enroll {
        learner: String,
        course: String,
        offer: usize,
        method: String,
        intent: u64,
    },
    Prove {
        learner: String,
        course: String,
    },
    Withdraw {
        learner: String,
        course: String,
    },
    /// The learner comes back from the pay page.
    Return {
        reference: String,
    },
    Approve {
        enrollment: EnrollmentId,
        by: String,
        past_everybody: bool,
    },
    Reject {
        enrollment: EnrollmentId,
    },
    Refund {
        reference: String,
        part: bool,
        proof: u64,
    },
    Reverse {
        reference: String,
    },
    Reinstate {
        reference: String,
    },
    Revoke {
        grant: GrantId,
    },
    Give {
        learner: String,
        course: String,
        offer: usize,
    },
    /// A transfer is seen on a bank statement.
    See {
        reference: String,
        cents: i64,
        line: u64,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Pay {
        enrollment: EnrollmentId,
        reference: String,
        url: String,
    },
    Transfer {
        enrollment: EnrollmentId,
        reference: String,
    },
    /// The learner has to do nothing.
    Stays(Option<EnrollmentId>),
    Given(GrantId),
    Done,
    Refused(String),
}

/// Prices in cents, and what they buy: all of it, a month, little, and little time. Each lasts
/// longer than the storm or ends within it.
pub fn offers() -> [(i64, AccessTerms); 4] {
    let limited = AccessTerms {
        level: AccessLevel::Limited,
        ..AccessTerms::default()
    };
    [
        (90_000, AccessTerms::default()),
        (
            30_000,
            AccessTerms::lasting(Duration::from_secs(30 * 24 * 3600)),
        ),
        (10_000, limited),
        (5_000, AccessTerms::lasting(Duration::from_secs(120))),
    ]
}

impl Act {
    /// A word for it, and what it is about: by that the events are searched for its trace.
    pub fn trace(&self, answer: &Answer) -> Option<(&'static str, String)> {
        let done = *answer == Answer::Done;
        match (self, answer) {
            (Self::Give { .. }, Answer::Given(grant)) => Some(("give", grant.to_string())),
            (Self::Approve { enrollment, .. }, _) if done => {
                Some(("approve", enrollment.to_string()))
            }
            (Self::Refund { reference, .. }, _) if done => Some(("refund", reference.clone())),
            (Self::See { reference, .. }, _) if done => Some(("see", reference.clone())),
            (Self::Revoke { grant }, _) if done => Some(("revoke", grant.to_string())),
            _ => None,
        }
    }

    pub async fn perform<S: Store>(self, registrar: &Registrar, store: &S) -> Answer {
        match self.carry_out(registrar, store).await {
            Ok(answer) => answer,
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    async fn carry_out<S: Store>(self, registrar: &Registrar, store: &S) -> Result<Answer, Error> {
        let desk = registrar.admin(AdminId::new("nomsa").unwrap());
        match self {
            Self::Enroll {
                learner: name,
                course,
                offer,
                method,
                intent,
            } => {
                let (cents, terms) = offers()[offer].clone();
                let request = EnrollRequest::new(
                    learner(&name),
                    Email::new(format!("{name}@school.example")).unwrap(),
                    CourseId::new(course).unwrap(),
                    Title::new("A course").unwrap(),
                    Money::zar(cents).unwrap(),
                    method.parse::<PaymentMethod>().unwrap(),
                );
                let request = match intent {
                    0 => request.renew(),
                    1 => request.buy_again(),
                    _ => request,
                };
                let enrolled = registrar.enroll(request.terms(terms)).await?;
                return Ok(match (enrolled.enrollment, enrolled.next) {
                    (Some(enrollment), NextStep::Pay { reference, url }) => Answer::Pay {
                        enrollment,
                        reference: reference.to_string(),
                        url,
                    },
                    (Some(enrollment), NextStep::Transfer { reference, .. }) => Answer::Transfer {
                        enrollment,
                        reference: reference.to_string(),
                    },
                    (enrollment, _) => Answer::Stays(enrollment),
                });
            }
            Self::Prove {
                learner: name,
                course,
            } => {
                let proof = ProofOfPayment::new("upload-1").unwrap();
                let course = CourseId::new(course).unwrap();
                registrar
                    .attach_proof(&learner(&name), &course, proof)
                    .await?;
            }
            Self::Withdraw {
                learner: name,
                course,
            } => {
                let course = CourseId::new(course).unwrap();
                registrar.withdraw(&learner(&name), &course).await?;
            }
            Self::Return { reference } => {
                drop(registrar.refresh_payment(&named(&reference)).await?);
            }
            Self::Approve {
                enrollment,
                by,
                past_everybody,
            } => {
                let desk = registrar.admin(AdminId::new(by).unwrap());
                match past_everybody {
                    true => desk.approvals().approve_override(enrollment, "").await?,
                    false => desk.approvals().approve(enrollment, "seen").await?,
                };
            }
            Self::Reject { enrollment } => drop(desk.approvals().reject(enrollment, "no").await?),
            Self::Refund {
                reference,
                part,
                proof,
            } => {
                let (reference, proof) = (named(&reference), format!("R-{proof}"));
                match part {
                    true => {
                        let cents = Money::zar(100).unwrap();
                        desk.refunds()
                            .record_partial(&reference, cents, proof)
                            .await?
                    }
                    false => desk.refunds().record(&reference, proof).await?,
                };
            }
            Self::Reverse { reference } => {
                let how = Reversal::ChargedBack;
                drop(
                    desk.refunds()
                        .record_reversal(&named(&reference), how, "")
                        .await?,
                );
            }
            Self::Reinstate { reference } => {
                drop(
                    desk.refunds()
                        .record_reinstatement(&named(&reference), "")
                        .await?,
                );
            }
            Self::Revoke { grant } => desk.learners().revoke(grant, "").await?,
            Self::Give {
                learner: name,
                course,
                offer,
            } => {
                let given = NewGrant {
                    learner: learner(&name),
                    course: CourseId::new(course).unwrap(),
                    terms: offers()[offer].1.clone(),
                };
                return Ok(Answer::Given(
                    desk.learners().grant(given, "bursary").await?.id,
                ));
            }
            Self::See {
                reference,
                cents,
                line,
            } => {
                let found = store.load(Lookup::Reference(&named(&reference))).await?;
                if found.case.is_none() {
                    return Err(Error::NotFound("payment"));
                }
                let day = chrono::NaiveDate::from_ymd_opt(2026, 2, 1).unwrap();
                let (amount, text) = (Money::zar(cents).unwrap(), format!("{reference} {line}"));
                let row = StatementRow::new(day, amount, &text, "").with_bank_id(&text);
                let rows = std::slice::from_ref(&row);
                desk.statements().import(&account(), rows).await?;
                let statements = desk.statements();
                let open = statements.list(RowFilter::Open, PageRequest::first(500));
                let mut open = open.await?.items.into_iter();
                let Some(entry) = open.find(|entry| entry.row.bank_id == row.bank_id) else {
                    return Ok(Answer::Refused("the row was settled before".to_owned()));
                };
                let pair = TransferMatch::new(entry.id, named(&reference)).whatever_the_sum();
                let done = desk.statements().approve(&[pair], "").await;
                if let Some(problem) = done.into_iter().find_map(|row| row.problem) {
                    return Ok(Answer::Refused(problem));
                }
            }
        }
        Ok(Answer::Done)
    }
}

fn named(reference: &str) -> PaymentReference {
    PaymentReference::new(reference).unwrap()
}
