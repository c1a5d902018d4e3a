//! Rows of bank statements, and where to find them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use chrono::NaiveDate;

use crate::statement::{RowId, RowKey, RowState, StatementEntry};
use crate::store::{Page, PageRequest, RowFilter, RowProbe};
use crate::vocabulary::{AccountId, Money, Note, PaymentReference};

/// What no two rows share.
type Number = (AccountId, NaiveDate, Money, u32);
/// A place in a list: newest day first.
type Place = (Reverse<NaiveDate>, RowId);

#[derive(Debug, Default)]
pub(super) struct BankRows {
    rows: HashMap<RowId, StatementEntry>,
    numbers: HashSet<Number>,
    /// How many rows each account has.
    accounts: BTreeMap<AccountId, usize>,
    lists: HashMap<RowFilter, BTreeSet<Place>>,
    /// The rows that paid for something.
    paying: HashMap<PaymentReference, BTreeSet<RowId>>,
}

impl BankRows {
    /// Whether each of these is new, or the next step of what is here.
    pub(super) fn takes(&self, entries: &[StatementEntry]) -> bool {
        let (mut ids, mut numbers) = (HashSet::new(), HashSet::new());
        entries.iter().all(|entry| {
            let known = self.rows.get(&entry.id);
            let once = ids.insert(&entry.id);
            let fits = match entry.revision.checked_sub(1) {
                None => {
                    let number = number(entry);
                    known.is_none() && !self.numbers.contains(&number) && numbers.insert(number)
                }
                Some(before) => {
                    known.is_some_and(|known| known.revision == before && known.state.waits())
                }
            };
            once && fits
        })
    }

    pub(super) fn put(&mut self, entry: StatementEntry) {
        let place = place(entry.key());
        match self.rows.get(&entry.id) {
            Some(before) => {
                if let Some(list) = self.lists.get_mut(&RowFilter::of(&before.state)) {
                    list.remove(&place);
                }
            }
            None => {
                self.numbers.insert(number(&entry));
                *self.accounts.entry(entry.account.clone()).or_default() += 1;
            }
        }
        let list = RowFilter::of(&entry.state);
        self.lists.entry(list).or_default().insert(place);
        for part in &entry.parts {
            let paying = self.paying.entry(part.payment.clone()).or_default();
            paying.insert(entry.id.clone());
        }
        self.rows.insert(entry.id.clone(), entry);
    }

    pub(super) fn get(&self, row: &RowId) -> Option<&StatementEntry> {
        self.rows.get(row)
    }

    /// The accounts, by name.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &AccountId> {
        self.accounts.keys()
    }

    pub(super) fn page(
        &self,
        filter: RowFilter,
        request: PageRequest<RowKey>,
    ) -> Page<StatementEntry, RowKey> {
        let size = request.size();
        let after = request.after.map(place);
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let list = self.lists.get(&filter).into_iter();
        let places = list.flat_map(|list| list.range((after.clone(), Bound::Unbounded)));
        let found = places.filter_map(|(_, id)| self.rows.get(id));
        let items = found.take(size + 1).cloned().collect();
        Page::cut(items, size, StatementEntry::key)
    }

    /// Rows that paid for one of these, each once.
    pub(super) fn paying<'r>(
        &'r self,
        payments: impl IntoIterator<Item = &'r PaymentReference>,
    ) -> Vec<&'r StatementEntry> {
        let found = payments.into_iter().filter_map(|it| self.paying.get(it));
        let ids: BTreeSet<&RowId> = found.flatten().collect();
        ids.into_iter().filter_map(|id| self.rows.get(id)).collect()
    }

    /// Takes the texts out of rows that paid for one of these, and of the others that are not open:
    /// those that looked like one of them, and those with one of the references.
    pub(super) fn erase(&mut self, payments: &[PaymentReference]) {
        let found = payments.iter().filter_map(|it| self.paying.get(it));
        let paid: HashSet<&RowId> = found.flatten().collect();
        let named = |entry: &StatementEntry| {
            let row = &entry.row;
            let text = format!("{} {}", row.reference.as_str(), row.description.as_str());
            let text = text.to_uppercase();
            let mut payments = payments.iter();
            payments.any(|it| text.contains(&it.as_str().to_uppercase()))
        };
        for entry in self.rows.values_mut() {
            let looks = entry.resembles.as_ref().is_some_and(|it| paid.contains(it));
            let settled = entry.state != RowState::Open && (looks || named(entry));
            if paid.contains(&entry.id) || settled {
                entry.row.reference = Note::new("");
                entry.row.description = Note::new("");
                if let RowState::Closed { note, .. } = &mut entry.state {
                    *note = Note::new("");
                }
            }
        }
    }

    /// Rows that any of these finds, in the port's order.
    pub(super) fn like(&self, probes: &[RowProbe]) -> Vec<StatementEntry> {
        let days: HashSet<_> = probes.iter().map(|it| (it.date, it.amount)).collect();
        let balances: HashSet<_> = probes
            .iter()
            .filter_map(|it| Some((&it.account, it.amount, it.balance?)))
            .collect();
        let places: HashSet<_> = probes.iter().filter_map(|it| it.place.as_ref()).collect();
        let ids: HashSet<_> = probes.iter().filter_map(|it| it.id.as_ref()).collect();
        let known = self.rows.values().filter(|entry| {
            let row = &entry.row;
            let balance = row.balance.map(|it| (&entry.account, row.amount, it));
            days.contains(&(row.date, row.amount))
                || balance.is_some_and(|it| balances.contains(&it))
                || row.place.as_ref().is_some_and(|it| places.contains(it))
                || ids.contains(&entry.id)
        });
        let mut known: Vec<StatementEntry> = known.cloned().collect();
        known.sort_by(|a, b| {
            let key = |it: &StatementEntry| (it.row.date, it.number);
            key(a)
                .cmp(&key(b))
                .then_with(|| (&a.account, &a.id).cmp(&(&b.account, &b.id)))
        });
        known
    }
}

fn place(key: RowKey) -> Place {
    (Reverse(key.date), key.id)
}

fn number(entry: &StatementEntry) -> Number {
    let row = &entry.row;
    (entry.account.clone(), row.date, row.amount, entry.number)
}
