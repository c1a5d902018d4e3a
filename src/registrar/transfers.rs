//! Rows of bank statements and the payments they are: suggested, and approved by a person.

use std::collections::HashMap;

use serde::Serialize;

use super::Error;
use super::admin::Admin;
use crate::approval::Sums;
use crate::enrollment::{CaseError, Effect, Expected, SeenTransfer, Step};
use crate::ids::Reference;
use crate::money::Money;
use crate::payment::{Attempt, Offer};
use crate::port::{Committed, Lookup, Page, PageRequest, RowFilter};
use crate::reason::{ApprovalCause, HoldReason, Note, Permission};
use crate::record::Source;
use crate::statement::{
    Matcher, RowId, RowKey, RowPart, RowState, StatementEntry, Suggestion, Waiting, references_in,
};

/// Open rows that a matcher keeps in mind at most.
const MOST_ROWS: usize = 20_000;
/// Transfers that a matcher compares rows with at most.
const MOST_WAITING: usize = 50_000;
/// Enrollments or rows read at once.
const PAGE: usize = 500;

/// A row, and what it may pay for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RowSuggestions {
    /// The row.
    pub entry: StatementEntry,
    /// What it may pay for, best first.
    pub suggestions: Vec<Suggestion>,
}

/// What a person says that rows of a statement paid.
///
/// ```
/// use coursegate::registrar::TransferMatch;
/// use coursegate::statement::RowId;
/// use coursegate::{Money, Reference};
///
/// let (first, second) = (RowId::from("a1"), RowId::from("b2"));
/// let payment = Reference::new("CG-7K3M9QXDT4WZ")?;
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
    pub payment: Reference,
    /// The rows, and how much of each: `None` for all that is left of it.
    pub rows: Vec<(RowId, Option<Money>)>,
    /// Whether it may be another sum than was asked.
    pub whatever_the_sum: bool,
}

impl TransferMatch {
    /// All that is left of one row.
    pub fn new(row: RowId, payment: Reference) -> Self {
        Self {
            payment,
            rows: vec![(row, None)],
            whatever_the_sum: false,
        }
    }

    /// A part of one row.
    pub fn part(row: RowId, payment: Reference, amount: Money) -> Self {
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
    /// The money is put down, and stands among the payments that do not fit.
    Kept {
        /// Why.
        reason: HoldReason,
        /// The attempt that has it: a new one where the other was paid already.
        payment: Reference,
    },
}

impl Admin<'_> {
    /// Reads what waits for bank transfers, to compare rows with. Reads at most 50,000 transfers, the
    /// oldest enrollments first, and keeps the 20,000 newest open rows in mind for courses that are
    /// paid by several.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn matcher(&self) -> Result<Matcher, Error> {
        self.allow(Permission::View, None).await?;
        let (mut waiting, mut next) = (Vec::new(), None);
        loop {
            let request = PageRequest {
                after: next,
                limit: PAGE,
            };
            let page = self.pending(request).await?;
            for item in page.items {
                let enrollment = item.enrollment;
                let open = item.attempts.iter().filter(|it| it.is_payable_transfer());
                waiting.extend(open.map(|attempt| Waiting {
                    enrollment: enrollment.id,
                    learner: enrollment.learner.clone(),
                    course: enrollment.course.clone(),
                    other_offer: enrollment.other_offer(attempt),
                    reference: attempt.reference.clone(),
                    amount: attempt.amount,
                    expected: Expected::Awaited,
                }));
            }
            next = page.next;
            if next.is_none() || waiting.len() >= MOST_WAITING {
                break;
            }
        }
        let mut matcher = Matcher::new(waiting);
        let (mut read, mut next) = (0, None);
        loop {
            let request = PageRequest {
                after: next,
                limit: PAGE,
            };
            let page = self.statement(RowFilter::Open, request).await?;
            matcher.note_rows(&page.items);
            read += page.items.len();
            next = page.next;
            if next.is_none() || read >= MOST_ROWS {
                return Ok(matcher);
            }
        }
    }

    /// Open rows, newest day first, with what each may pay for (see [`Matcher`]): transfers that
    /// enrollments wait for, and exact references of those that nobody waits for any more.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn suggestions(
        &self,
        matcher: &Matcher,
        page: PageRequest<RowKey>,
    ) -> Result<Page<RowSuggestions, RowKey>, Error> {
        let page = self.statement(RowFilter::Open, page).await?;
        let named: Vec<Vec<Reference>> = page
            .items
            .iter()
            .map(|entry| {
                let mut named = references_in(&entry.row);
                named.retain(|reference| !matcher.waits_for(reference));
                named
            })
            .collect();
        let known = self.known(named.iter().flatten()).await?;
        let items = page.items.into_iter().zip(named).map(|(entry, named)| {
            let others: Vec<Waiting> = named
                .iter()
                .filter_map(|reference| known.get(reference).cloned())
                .collect();
            let suggestions = matcher.suggest(&entry, &others);
            RowSuggestions { entry, suggestions }
        });
        let mut items: Vec<RowSuggestions> = items.collect();
        // What waited when the matcher was made may be paid by now, or be given away.
        let suggested = items.iter().flat_map(|item| &item.suggestions);
        let waited = suggested.filter(|it| it.expected == Expected::Awaited);
        let now = self.known(waited.map(|it| &it.payment)).await?;
        for suggestion in items.iter_mut().flat_map(|item| &mut item.suggestions) {
            if let Some(known) = now.get(&suggestion.payment) {
                suggestion.expected = known.expected;
                suggestion.other_offer.clone_from(&known.other_offer);
            }
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }

    /// Those of these references that are payments of ours, as they are now.
    async fn known(
        &self,
        references: impl Iterator<Item = &Reference>,
    ) -> Result<HashMap<Reference, Waiting>, Error> {
        let mut references: Vec<Reference> = references.cloned().collect();
        references.sort_unstable();
        references.dedup();
        if references.is_empty() {
            return Ok(HashMap::new());
        }
        let registrar = self.registrar;
        let (records, now) = (&registrar.inner.records, registrar.now());
        registrar
            .within(async {
                let cases = records.cases_of(&references).await?;
                let named =
                    |attempt: &&Attempt| references.binary_search(&attempt.reference).is_ok();
                let attempts = cases
                    .iter()
                    .flat_map(|case| case.attempts.iter().filter(named));
                let vouched = attempts.filter(|attempt| attempt.is_vouched());
                let vouched: Vec<Reference> = vouched.map(|it| it.reference.clone()).collect();
                let found = self.found(&vouched).await?;
                let mut known = HashMap::new();
                for case in &cases {
                    for attempt in case.attempts.iter().filter(named) {
                        let reference = attempt.reference.clone();
                        let found = found.get(&reference).copied().unwrap_or_default();
                        let rules = &registrar.inner.config.rules;
                        let waiting = Waiting {
                            enrollment: case.enrollment.id,
                            learner: case.enrollment.learner.clone(),
                            course: case.enrollment.course.clone(),
                            other_offer: case.enrollment.other_offer(attempt),
                            reference: reference.clone(),
                            amount: attempt.amount,
                            expected: case.expects(attempt, found, rules, now),
                        };
                        known.insert(reference, waiting);
                    }
                }
                Ok(known)
            })
            .await
    }

    /// How much of each payment is on statements, in minor units.
    async fn found(&self, payments: &[Reference]) -> Result<HashMap<Reference, i64>, Error> {
        let mut found: HashMap<Reference, i64> = HashMap::new();
        if payments.is_empty() {
            return Ok(found);
        }
        let records = &self.registrar.inner.records;
        for entry in records.rows_paying(payments).await? {
            for part in entry.parts {
                let sum = found.entry(part.payment).or_default();
                *sum = sum.saturating_add(part.amount.minor());
            }
        }
        Ok(found)
    }

    /// Puts down what rows paid, match by match: one that fails does not stop the others.
    ///
    /// What is waited for is approved, and gives the learner what that attempt offered. Where the sum
    /// is not the one that was asked, nothing is done until the person
    /// [takes it](TransferMatch::whatever_the_sum); then the sum of the rows counts as paid. Money
    /// that nobody waits for is put down and stands among the [payments that do not
    /// fit](Self::awkward_money); where a person had approved the transfer by hand, it is settled
    /// with that.
    pub async fn approve_rows(
        &self,
        matches: &[TransferMatch],
        note: impl Into<Note>,
    ) -> Vec<RowApproval> {
        let note = note.into();
        let mut items = Vec::with_capacity(matches.len());
        let allowed = self.allow(Permission::Approve, None).await;
        for asked in matches {
            let approved = match &allowed {
                Err(error) => Err(error.clone()),
                Ok(()) => {
                    let approved = self.approve_match(asked, &note);
                    self.registrar.within(approved).await
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
        let registrar = self.registrar;
        let note = Some(note.clone()).filter(|note| !note.is_empty());
        for _ in 0..super::payment::ROUNDS {
            let mut taken = self.take(asked).await?;
            let find = Lookup::Reference(&asked.payment);
            let found = registrar.inner.store.load(find).await?;
            let case = found.case.ok_or(Error::NotFound("payment"))?;
            let attempt = case.attempt(Some(asked.payment.as_str()), None);
            let attempt = attempt.ok_or(Error::NotFound("payment"))?;
            let now = registrar.now();
            let step: Step<'_> = registrar.step(self.who(), Source::AdminApproval, &note, now);
            let difference = (attempt.amount != taken.total).then_some(Sums {
                is: taken.total,
                asked: attempt.amount,
            });
            let mut approved = Approved {
                outcome: RowOutcome::Found,
                difference,
                other_offer: case.enrollment.other_offer(attempt),
            };
            let before = self.found(std::slice::from_ref(&asked.payment)).await?;
            let before = before.get(&asked.payment).copied().unwrap_or_default();
            let vouched = attempt.paid().filter(|_| attempt.is_vouched());
            let is_found = vouched.is_some_and(|paid| {
                let after = before.checked_add(taken.total.minor());
                paid.currency() == taken.total.currency()
                    && after.is_some_and(|it| it <= paid.minor())
            });
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
                    case.approve_seen(self.person(), cause, seen, &step)?
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
                    if registrar.commit(applied.change).await? == Committed::Done {
                        return Err(Error::AwaitsSecond);
                    }
                    continue;
                }
                Effect::Nothing | Effect::Failed => {
                    return Err(Error::NotFound("enrollment that waits for a bank transfer"));
                }
            }
            for (entry, amount) in &mut taken.rows {
                entry.parts.push(RowPart {
                    payment: payment.clone(),
                    amount: *amount,
                    by: self.person().clone(),
                    at: now,
                });
                entry.revision = entry.revision.saturating_add(1);
                if entry.left().is_none() {
                    entry.state = RowState::Matched;
                }
            }
            let mut change = applied.change;
            change.statement = taken.rows.into_iter().map(|(entry, _)| entry).collect();
            if registrar.commit(change).await? == Committed::Done {
                return Ok(approved);
            }
        }
        Err(Error::Contended)
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

/// What came of a match.
struct Approved {
    outcome: RowOutcome,
    difference: Option<Sums>,
    other_offer: Option<Offer>,
}
