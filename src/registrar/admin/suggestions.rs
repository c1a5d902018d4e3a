//! Rows of bank statements, beside the payments that they may be.

use crate::registrar::admin::handles::Statements;
use std::collections::HashMap;

use serde::Serialize;

use crate::enrollment::Expected;
use crate::payment::PaymentAttempt;
use crate::registrar::error::Error;
use crate::statement::{Matcher, RowKey, StatementEntry, Suggestion, Waiting, references_in};
use crate::store::{Page, PageRequest, RowFilter};
use crate::vocabulary::PaymentReference;
use crate::vocabulary::reason::Permission;

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

impl Statements<'_> {
    /// Reads what waits for bank transfers, to compare rows with. Reads at most 50,000 transfers, the
    /// oldest enrollments first, and keeps the 20,000 newest open rows in mind for courses that are
    /// paid by several.
    ///
    /// # Errors
    /// The store's errors.
    pub async fn matcher(&self) -> Result<Matcher, Error> {
        self.admin.allow(Permission::View, None).await?;
        let (mut waiting, mut next) = (Vec::new(), None);
        loop {
            let request = PageRequest {
                after: next,
                limit: PAGE,
            };
            let page = self.admin.approvals().pending(request).await?;
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
            let page = self.list(RowFilter::Open, request).await?;
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
        let page = self.list(RowFilter::Open, page).await?;
        let named: Vec<Vec<PaymentReference>> = page
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
        references: impl Iterator<Item = &PaymentReference>,
    ) -> Result<HashMap<PaymentReference, Waiting>, Error> {
        let mut references: Vec<PaymentReference> = references.cloned().collect();
        references.sort_unstable();
        references.dedup();
        if references.is_empty() {
            return Ok(HashMap::new());
        }
        let registrar = self.admin.registrar;
        let (events, now) = (&registrar.inner.events, registrar.now());
        registrar
            .within(async {
                let cases = events.cases_of(&references).await?;
                let named = |attempt: &&PaymentAttempt| {
                    references.binary_search(&attempt.reference).is_ok()
                };
                let attempts = cases
                    .iter()
                    .flat_map(|case| case.attempts.iter().filter(named));
                let vouched = attempts.filter(|attempt| attempt.is_vouched());
                let vouched: Vec<PaymentReference> =
                    vouched.map(|it| it.reference.clone()).collect();
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
    pub(in crate::registrar) async fn found(
        &self,
        payments: &[PaymentReference],
    ) -> Result<HashMap<PaymentReference, i64>, Error> {
        let mut found: HashMap<PaymentReference, i64> = HashMap::new();
        if payments.is_empty() {
            return Ok(found);
        }
        let events = &self.admin.registrar.inner.events;
        for entry in events.rows_paying(payments).await? {
            for part in entry.parts {
                let sum = found.entry(part.payment).or_default();
                *sum = sum.saturating_add(part.amount.minor());
            }
        }
        Ok(found)
    }
}
