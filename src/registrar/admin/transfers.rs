//! What rows of bank statements paid, said by a person.

use crate::registrar::admin::handles::Statements;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::enrollment::{CaseError, Effect, SeenTransfer, StepContext};
use crate::event::Source;
use crate::evidence::Sums;
use crate::payment::{Offer, PaymentAttempt};
use crate::registrar::error::Error;
use crate::statement::{RowId, RowPart, RowState, StatementEntry};
use crate::store::{Change, CommitOutcome, Lookup};
use crate::vocabulary::reason::{ApprovalCause, HoldReason, Permission};
use crate::vocabulary::{AdminId, Money, Note, PaymentReference};

/// What a person says that rows of a statement paid.
///
/// ```
/// use coursegate::registrar::TransferMatch;
/// use coursegate::statement::RowId;
/// use coursegate::{Money, PaymentReference};
///
/// let (first, second) = (RowId::from("a1"), RowId::from("b2"));
/// let payment = PaymentReference::new("CG-7K3M9QXDT4WZ")?;
/// // One transfer, all of it.
/// let whole = TransferMatch::new(first.clone(), payment.clone());
/// // Two transfers for one course.
/// let both = TransferMatch::new(first.clone(), payment.clone()).and(second);
/// // A part of a transfer that pays for another course besides.
/// let part = TransferMatch::part(first, payment, Money::zar(49_900)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TransferMatch {
    /// The attempt whose reference they have.
    pub payment: PaymentReference,
    /// The rows, and how much of each: `None` for all that is left of it.
    pub rows: Vec<(RowId, Option<Money>)>,
    /// Whether it may be another sum than was asked.
    pub whatever_the_sum: bool,
}

impl TransferMatch {
    /// All that is left of one row.
    pub fn new(row: RowId, payment: PaymentReference) -> Self {
        Self {
            payment,
            rows: vec![(row, None)],
            whatever_the_sum: false,
        }
    }

    /// A part of one row.
    pub fn part(row: RowId, payment: PaymentReference, amount: Money) -> Self {
        Self {
            payment,
            rows: vec![(row, Some(amount))],
            whatever_the_sum: false,
        }
    }

    /// Another row besides, all that is left of it.
    #[must_use]
    pub fn and(mut self, row: RowId) -> Self {
        self.rows.push((row, None));
        self
    }

    /// The person knows that it is another sum than was asked, and takes it.
    #[must_use]
    pub fn whatever_the_sum(mut self) -> Self {
        self.whatever_the_sum = true;
        self
    }
}

/// What became of one match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RowApproval {
    /// What was asked for.
    pub asked: TransferMatch,
    /// What was done; `None` when nothing was.
    pub done: Option<RowOutcome>,
    /// Why nothing was done.
    pub problem: Option<String>,
    /// What arrived, and what was asked, where they differ. Nothing was done then, unless the person
    /// [took it](TransferMatch::whatever_the_sum).
    pub difference: Option<Sums>,
    /// What is offered to the learner today, where the attempt was for something else. The learner
    /// gets what the attempt offered.
    pub other_offer: Option<Offer>,
}

/// What was done with rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum RowOutcome {
    /// The learner has what they paid for.
    Approved,
    /// It is the money of a payment that a person had approved by hand.
    Found,
    /// The money is put down, and stands among the payment exceptions.
    Kept {
        /// Why.
        reason: HoldReason,
        /// The attempt that has it: a new one where the other was paid already.
        payment: PaymentReference,
    },
}

impl Statements<'_> {
    /// Puts down what rows paid, match by match: one that fails does not stop the others.
    ///
    /// What is waited for is approved, and gives the learner what that attempt offered. Where the sum
    /// is not the one that was asked, nothing is done until the person
    /// [takes it](TransferMatch::whatever_the_sum); then the sum of the rows counts as paid. Money
    /// that nobody waits for is put down and stands among the [payment exceptions
    /// fit](crate::registrar::Payments::exceptions); where a person had approved the transfer by hand, it is settled
    /// with that.
    pub async fn approve(
        &self,
        matches: &[TransferMatch],
        note: impl Into<Note>,
    ) -> Vec<RowApproval> {
        let note = note.into();
        let mut items = Vec::with_capacity(matches.len());
        let allowed = self.admin.allow(Permission::Approve, None).await;
        for asked in matches {
            let approved = match &allowed {
                Err(error) => Err(error.clone()),
                Ok(()) => {
                    let approved = self.approve_match(asked, &note);
                    self.admin.registrar.within(approved).await
                }
            };
            let mut item = RowApproval {
                asked: asked.clone(),
                done: None,
                problem: None,
                difference: None,
                other_offer: None,
            };
            match approved {
                Ok(approved) => {
                    item.done = Some(approved.outcome);
                    (item.difference, item.other_offer) =
                        (approved.difference, approved.other_offer);
                }
                Err(error) => {
                    if let Error::Refused(CaseError::OtherSum { asked, seen }) = error {
                        item.difference = Some(Sums { is: seen, asked });
                    }
                    item.problem = Some(error.in_full());
                }
            }
            items.push(item);
        }
        items
    }

    async fn approve_match(&self, asked: &TransferMatch, note: &Note) -> Result<Approved, Error> {
        let registrar = self.admin.registrar;
        let note = Some(note.clone()).filter(|note| !note.is_empty());
        for _ in 0..crate::registrar::core::ROUNDS {
            let taken = self.take(asked).await?;
            let find = Lookup::Reference(&asked.payment);
            let found = registrar.inner.store.load(find).await?;
            let case = found.case.ok_or(Error::NotFound("payment"))?;
            let attempt = case.attempt(Some(asked.payment.as_str()), None);
            let attempt = attempt.ok_or(Error::NotFound("payment"))?;
            let now = registrar.now();
            let step: StepContext<'_> =
                registrar.step(self.admin.who(), Source::AdminApproval, &note, now);
            let difference = (attempt.amount != taken.total).then_some(Sums {
                is: taken.total,
                asked: attempt.amount,
            });
            let mut approved = Approved {
                outcome: RowOutcome::Found,
                difference,
                other_offer: case.enrollment.other_offer(attempt),
            };
            let is_found = self.is_found(attempt, taken.total).await?;
            let (applied, payment) = match is_found {
                true => {
                    let found = (&asked.payment, taken.total);
                    (case.find_transfer(found, &step)?, asked.payment.clone())
                }
                false => {
                    let seen = SeenTransfer {
                        payment: &asked.payment,
                        amount: taken.total,
                        whatever_the_sum: asked.whatever_the_sum,
                    };
                    let cause = ApprovalCause::ManualAdminApproval;
                    case.approve_seen(self.admin.person(), cause, seen, &step)?
                }
            };
            match applied.effect {
                Effect::Approved => approved.outcome = RowOutcome::Approved,
                Effect::Held(reason) => {
                    let payment = payment.clone();
                    approved.outcome = RowOutcome::Kept { reason, payment };
                }
                Effect::Changed if is_found => {}
                // The rows stay open for the second person.
                Effect::Changed => {
                    if registrar.commit(applied.delta).await? == CommitOutcome::Done {
                        return Err(Error::AwaitsSecond);
                    }
                    continue;
                }
                Effect::Nothing | Effect::Failed => {
                    return Err(Error::NotFound("enrollment that waits for a bank transfer"));
                }
            }
            let mut change = Change::from(applied.delta);
            change.statement = taken.used_up(&payment, (self.admin.person(), now));
            if registrar.commit(change).await? == CommitOutcome::Done {
                return Ok(approved);
            }
        }
        Err(Error::Contended)
    }

    /// Whether this much more is money of a transfer that a person had approved by hand.
    async fn is_found(&self, attempt: &PaymentAttempt, more: Money) -> Result<bool, Error> {
        let vouched = attempt.paid().filter(|_| attempt.is_vouched());
        let Some(paid) = vouched.filter(|paid| paid.currency() == more.currency()) else {
            return Ok(false);
        };
        let found = self.found(std::slice::from_ref(&attempt.reference)).await?;
        let found = found.get(&attempt.reference).copied().unwrap_or_default();
        let all = found.checked_add(more.minor());
        Ok(all.is_some_and(|all| all <= paid.minor()))
    }

    /// The rows of a match, and how much of each it takes.
    async fn take(&self, asked: &TransferMatch) -> Result<Taken, Error> {
        let ids: Vec<RowId> = asked.rows.iter().map(|(row, _)| row.clone()).collect();
        let mut found: HashMap<RowId, StatementEntry> = HashMap::new();
        for entry in self.waiting_rows(&ids).await? {
            if entry.state == RowState::Doubtful {
                return Err(Error::DoubtfulRow);
            }
            found.insert(entry.id.clone(), entry);
        }
        let (mut rows, mut total): (Vec<_>, Option<Money>) = (Vec::new(), None);
        for (row, wanted) in &asked.rows {
            // One that is named twice has nothing left the second time.
            let entry = found.remove(row).ok_or(Error::NotFound("open row"))?;
            let left = entry.left().ok_or(Error::NotFound("open row"))?;
            let amount = wanted.unwrap_or(left);
            let fits = amount.currency() == left.currency() && amount.minor() <= left.minor();
            if !fits {
                return Err(Error::TooMuchOfRow { left });
            }
            total = Some(match total {
                None => amount,
                Some(sum) if sum.currency() == amount.currency() => {
                    let minor = sum.minor().saturating_add(amount.minor());
                    Money::new(minor, sum.currency()).map_err(|_| Error::TooMuchOfRow { left })?
                }
                Some(_) => return Err(Error::TooMuchOfRow { left }),
            });
            rows.push((entry, amount));
        }
        let total = total.ok_or(Error::NotFound("open row"))?;
        Ok(Taken { rows, total })
    }
}

/// What rows give to a match.
struct Taken {
    rows: Vec<(StatementEntry, Money)>,
    total: Money,
}

impl Taken {
    /// The rows, of whose sums this much paid for something.
    fn used_up(
        self,
        payment: &PaymentReference,
        (by, at): (&AdminId, DateTime<Utc>),
    ) -> Vec<StatementEntry> {
        let mut rows = Vec::with_capacity(self.rows.len());
        for (mut entry, amount) in self.rows {
            entry.parts.push(RowPart {
                payment: payment.clone(),
                amount,
                by: by.clone(),
                at,
            });
            entry.revision = entry.revision.saturating_add(1);
            if entry.left().is_none() {
                entry.state = RowState::Matched;
            }
            rows.push(entry);
        }
        rows
    }
}

/// What came of a match.
struct Approved {
    outcome: RowOutcome,
    difference: Option<Sums>,
    other_offer: Option<Offer>,
}
