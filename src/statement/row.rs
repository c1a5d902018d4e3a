use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::vocabulary::{Money, Note};

/// The name of an imported row: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowId(Arc<str>);

impl RowId {
    /// SHA-256 over parts that stay apart.
    pub(super) fn of(parts: &[&str]) -> Self {
        Self(digest_of(parts))
    }

    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for RowId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digest_of(parts: &[&str]) -> Arc<str> {
    let mut sum = Sha256::new();
    for part in parts {
        // The length in front keeps the parts apart.
        sum.update(part.len().to_le_bytes());
        sum.update(part);
    }
    base16ct::lower::encode_string(&sum.finalize()).into()
}

/// Where a row stands: the checksum of a file, and a line in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileLine {
    /// SHA-256 of the file's bytes, in hexadecimal digits.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl FileLine {
    /// The checksum of a file.
    pub fn checksum(file: &[u8]) -> Arc<str> {
        base16ct::lower::encode_string(&Sha256::digest(file)).into()
    }
}

/// One line of a bank statement: money that arrived, as it was read.
///
/// Whether it is one that was imported before is decided by the account that it is imported for, and
/// by what the bank says besides: its own id of the row, or the balance behind it.
///
/// ```
/// use chrono::NaiveDate;
/// use coursegate::Money;
/// use coursegate::statement::StatementRow;
///
/// let day = NaiveDate::from_ymd_opt(2026, 1, 31).unwrap_or_default();
/// let row = StatementRow::new(day, Money::zar(49_900)?, "CG-7K3M9QXDT4WZ", "MAGTAPE CREDIT")
///     .with_balance(149_900);
/// # Ok::<(), coursegate::MoneyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StatementRow {
    /// The day the bank booked it.
    pub date: NaiveDate,
    /// How much.
    pub amount: Money,
    /// The payer's reference.
    pub reference: Note,
    /// What else the bank says about it.
    pub description: Note,
    /// The balance behind it, in minor units; negative when the account is overdrawn.
    pub balance: Option<i64>,
    /// A checksum of the bank's own id of the row.
    pub bank_id: Option<Arc<str>>,
    /// Where it was read.
    pub place: Option<FileLine>,
}

impl StatementRow {
    /// A row, by what every statement has.
    pub fn new(date: NaiveDate, amount: Money, reference: &str, description: &str) -> Self {
        Self {
            date,
            amount,
            reference: Note::new(reference),
            description: Note::new(description),
            balance: None,
            bank_id: None,
            place: None,
        }
    }

    /// The same, with the account's balance behind it in minor units.
    #[must_use]
    pub fn with_balance(mut self, minor: i64) -> Self {
        self.balance = Some(minor);
        self
    }

    /// The same, with the bank's own id of it. It must be one that no other row of the account has,
    /// in any file: a number that begins again in each file is none.
    #[must_use]
    pub fn with_bank_id(mut self, id: &str) -> Self {
        self.bank_id = Some(digest_of(&[id]));
        self
    }

    /// The same, read at a place.
    #[must_use]
    pub fn at(mut self, place: FileLine) -> Self {
        self.place = Some(place);
        self
    }

    /// Its texts.
    pub(super) fn texts(&self) -> [&str; 2] {
        [self.reference.as_str(), self.description.as_str()]
    }

    /// What it says, without what banks and people write differently.
    pub(super) fn plain_text(&self) -> String {
        let letters = self.texts().into_iter().flat_map(str::chars);
        let letters = letters.filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_uppercase).collect()
    }
}
