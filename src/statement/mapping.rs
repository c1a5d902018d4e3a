//! Which column of a statement says what.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::vocabulary::Currency;

/// A column, by its name in the header or by its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Column {
    /// Its place, from 1. Where all columns are given by their places, no header is needed.
    Number(usize),
    /// Its name in the header; upper and lower case are the same.
    Name(String),
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<String> for Column {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

impl From<usize> for Column {
    fn from(number: usize) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where the sums stand, and what says whether money arrived or left.
///
/// In each form a sum may have the suffix `Cr` or `Dr`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Amounts {
    /// One column: money that left is negative, with a minus on either side or in brackets.
    Signed(Column),
    /// One column of sums, and another that says the direction in words.
    Directed {
        /// The column with the sum.
        amount: Column,
        /// The column with the word.
        direction: Column,
        /// Words for money that arrived, such as `CR`; upper and lower case are the same.
        incoming: Vec<String>,
        /// Words for money that left, such as `DR`.
        outgoing: Vec<String>,
    },
    /// Two columns, of which one is filled.
    Split {
        /// Money that arrived.
        incoming: Column,
        /// Money that left, with a minus or without.
        outgoing: Column,
    },
}

/// A word at the beginning of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Marked {
    /// The column.
    pub column: Column,
    /// How it begins; upper and lower case are the same.
    pub word: String,
}

impl Marked {
    /// A column that begins with a word.
    pub fn new(column: impl Into<Column>, word: impl Into<String>) -> Self {
        Self {
            column: column.into(),
            word: word.into(),
        }
    }
}

/// What gives a year to days that are written without one: a day of the statement, which is its
/// last or near it. A month later in the year than that day's belongs to the year before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StatementDay {
    /// This day.
    On(NaiveDate),
    /// The day in a column of the same line.
    Column {
        /// The column.
        column: Column,
        /// How it is written.
        format: String,
    },
    /// The day in a column of the nearest line before that has a mark.
    Line {
        /// The mark.
        mark: Marked,
        /// The column.
        column: Column,
        /// How it is written.
        format: String,
    },
}

/// Lines that say the balance before the first row and behind the last. Where the sums of all rows lie
/// between them to the cent, the balance behind each row is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunningBalance {
    /// The column with the word.
    pub mark: Column,
    /// The word before the first row; upper and lower case are the same.
    pub open: String,
    /// The word behind the last row.
    pub close: String,
    /// The column with the balance.
    pub sum: Column,
}

impl RunningBalance {
    /// Such lines, by the column with the words `OPEN` and `CLOSE`, and the one with the balance.
    pub fn new(mark: impl Into<Column>, sum: impl Into<Column>) -> Self {
        Self {
            mark: mark.into(),
            open: "OPEN".to_owned(),
            close: "CLOSE".to_owned(),
            sum: sum.into(),
        }
    }
}

/// How a bank's file is read: which column says what, and how days and sums are written.
///
/// It can be stored as JSON beside the school that uses it. [`Preset`](super::Preset) has those of
/// South African banks.
///
/// ```
/// use chrono::NaiveDate;
/// use coursegate::statement::{Mapping, parse_csv};
///
/// let mapping = Mapping::new("Date", "Amount").reference("Reference");
/// let text = "Date,Amount,Reference\n2026-01-31,499.00,CG-7K3M9QXDT4WZ\n2026-02-30,1.00,x\n";
/// let today = NaiveDate::from_ymd_opt(2026, 2, 28).unwrap_or_default();
/// let statement = parse_csv(text.as_bytes(), &mapping, today)?;
/// assert_eq!(statement.rows[0].amount.minor(), 49_900);
/// assert_eq!(statement.bad[0].line, 3); // there is no such day
/// # Ok::<(), coursegate::statement::MappingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Mapping {
    /// The column with the day.
    pub date: Column,
    /// How the day is written (default `%Y-%m-%d`; the codes are chrono's). Names of months are
    /// English or Afrikaans, short or long. A time behind the day is left out.
    pub date_format: String,
    /// The first of the hundred years that two digits mean: 1990 makes `26` 2026, and `91` 1991.
    /// Without it, days with such years are refused.
    pub century: Option<u16>,
    /// What gives a year to days that are written without one.
    pub statement_day: Option<StatementDay>,
    /// The columns with the sum. `R` or the currency's code may stand in front of it.
    pub amounts: Amounts,
    /// Whether sums are whole cents, rather than rands and cents (default: no).
    pub in_cents: bool,
    /// What stands between rands and cents: `.` (the default) or `,`. The other one, a space of any
    /// width or `'` may stand between thousands, in groups of three.
    pub decimal: char,
    /// The account's currency (default ZAR).
    pub currency: Currency,
    /// The column with the payer's reference.
    pub reference: Option<Column>,
    /// The columns with anything else that helps to recognise a payment.
    pub description: Vec<Column>,
    /// What stands between columns: `,` (the default), `;`, `|` or a tab. A first line `sep=;` in
    /// the file decides.
    pub delimiter: char,
    /// What stands around texts (default `"`). Single quotes around a whole cell are taken off too.
    pub quote: char,
    /// Where the file has other lines besides its rows: the words, one of which a row has in a
    /// column. All other lines are skipped.
    pub only: Option<(Column, Vec<String>)>,
    /// How cells of lines begin that are no rows though they hold sums, such as `Total:`. They skip
    /// nothing that has both a day and a sum.
    pub not_rows: Vec<String>,
    /// How rows are marked that the bank has not booked yet. They are counted, and not read: they
    /// come back when they are booked.
    pub pending: Option<Marked>,
    /// Columns that look as if they said a direction, and do not.
    pub ignored: Vec<Column>,
    /// The column with the balance behind each row: it tells equal transfers of a day apart, and
    /// an imported row from a new one.
    pub balance: Option<Column>,
    /// Where the file says the balance only before its first row and behind its last one.
    pub running: Option<RunningBalance>,
    /// The column with the bank's own id of a row, if no other row of the account has it in any file.
    /// A number that begins again in each file is none.
    pub bank_id: Option<Column>,
}

impl Default for Mapping {
    /// `Date` and a signed `Amount`.
    fn default() -> Self {
        Self::new("Date", "Amount")
    }
}

impl Mapping {
    /// A mapping by the two columns that cannot be missing: the day, and the signed sum.
    pub fn new(date: impl Into<Column>, amount: impl Into<Column>) -> Self {
        Self::with(date, Amounts::Signed(amount.into()))
    }

    /// A mapping for a file that has a column for money that arrived, and one for money that left.
    pub fn split(
        date: impl Into<Column>,
        incoming: impl Into<Column>,
        outgoing: impl Into<Column>,
    ) -> Self {
        let (incoming, outgoing) = (incoming.into(), outgoing.into());
        Self::with(date, Amounts::Split { incoming, outgoing })
    }

    /// A mapping by the column with the day, and those with the sum.
    pub fn with(date: impl Into<Column>, amounts: Amounts) -> Self {
        Self {
            date: date.into(),
            date_format: "%Y-%m-%d".to_owned(),
            century: None,
            statement_day: None,
            amounts,
            in_cents: false,
            decimal: '.',
            currency: Currency::ZAR,
            reference: None,
            description: Vec::new(),
            delimiter: ',',
            quote: '"',
            only: None,
            not_rows: Vec::new(),
            pending: None,
            ignored: Vec::new(),
            balance: None,
            running: None,
            bank_id: None,
        }
    }

    /// Names the column with the payer's reference.
    #[must_use]
    pub fn reference(mut self, column: impl Into<Column>) -> Self {
        self.reference = Some(column.into());
        self
    }

    /// Names a column that helps to recognise a payment.
    #[must_use]
    pub fn description(mut self, column: impl Into<Column>) -> Self {
        self.description.push(column.into());
        self
    }

    /// Says how days are written, in chrono's codes.
    #[must_use]
    pub fn days_like(mut self, format: impl Into<String>) -> Self {
        self.date_format = format.into();
        self
    }

    /// Names the column with the balance behind each row.
    #[must_use]
    pub fn balance(mut self, column: impl Into<Column>) -> Self {
        self.balance = Some(column.into());
        self
    }

    /// Names the column with the bank's own id of a row.
    #[must_use]
    pub fn bank_id(mut self, column: impl Into<Column>) -> Self {
        self.bank_id = Some(column.into());
        self
    }

    /// Takes only lines that have one of these words in a column.
    #[must_use]
    pub fn only<const N: usize>(mut self, column: impl Into<Column>, words: [&str; N]) -> Self {
        self.only = Some((column.into(), words.map(str::to_owned).to_vec()));
        self
    }

    /// Says how lines begin that are no rows though they hold sums.
    #[must_use]
    pub fn not_rows<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.not_rows = words.map(str::to_owned).to_vec();
        self
    }

    /// Says how rows are marked that are not booked yet.
    #[must_use]
    pub fn pending(mut self, column: impl Into<Column>, word: impl Into<String>) -> Self {
        self.pending = Some(Marked::new(column, word));
        self
    }

    /// Every column that is read.
    pub(super) fn columns(&self) -> Vec<&Column> {
        let mut columns = vec![&self.date];
        match &self.amounts {
            Amounts::Signed(amount) => columns.push(amount),
            Amounts::Directed {
                amount, direction, ..
            } => columns.extend([amount, direction]),
            Amounts::Split { incoming, outgoing } => columns.extend([incoming, outgoing]),
        }
        columns.extend(&self.reference);
        columns.extend(&self.description);
        columns.extend(self.only.iter().map(|(column, _)| column));
        columns.extend(self.pending.iter().map(|marked| &marked.column));
        columns.extend(&self.balance);
        columns.extend(&self.bank_id);
        let running = self.running.iter();
        columns.extend(running.flat_map(|running| [&running.mark, &running.sum]));
        match &self.statement_day {
            Some(StatementDay::Column { column, .. }) => columns.push(column),
            Some(StatementDay::Line { mark, column, .. }) => {
                columns.extend([&mark.column, column]);
            }
            Some(StatementDay::On(_)) | None => {}
        }
        columns
    }
}

/// Why nothing of a file could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The file has no such column.
    #[error("the statement has no column `{0}`; compare the mapping with its header line")]
    NoColumn(String),
    /// Two columns have this name.
    #[error("the statement has more than one column `{0}`; rename one, or give its number")]
    TwoColumns(String),
    /// The sums are written with the other decimal mark, and none with the mapping's. A guess could
    /// make R 499.00 of R 4.99.
    #[error(
        "the sums in column `{column}` end like `{mark}00` (line {line}): set `Mapping::decimal` to `{mark}`"
    )]
    OtherDecimal {
        /// The column.
        column: String,
        /// The first line of such a sum, from 1.
        line: u64,
        /// The mark that stands before the cents.
        mark: char,
    },
    /// The decimal mark is none that this crate reads.
    #[error("the decimal mark `{0}` is neither `.` nor `,`: set `Mapping::decimal` to one of them")]
    NoDecimal(char),
    /// The delimiter or the quote is none that this crate reads.
    #[error("`{0}` can stand neither between columns nor around texts; use `,` `;` `|` or a tab")]
    NoDelimiter(char),
    /// The way in which days are written is none.
    #[error("`{0}` is no way to write a day; the codes are chrono's, such as `%Y-%m-%d`")]
    NoDateFormat(String),
    /// A column seems to say whether money arrived or left, and the mapping does not name it.
    #[error(
        "column `{0}` says whether money arrived or left: name it in `Mapping::amounts`, or in `Mapping::ignored` if it does not"
    )]
    Direction(String),
    /// The column for the sums holds balances, by its name in the file. What is left on the account
    /// would be taken for money that arrived.
    #[error(
        "column `{0}` holds balances, not sums: name the column with the sums in `Mapping::amounts`"
    )]
    Balance(String),
    /// The file has none of the layouts that are known, and no mapping was given.
    #[error("the file has none of the layouts that are known here: say which column is which")]
    NoPreset,
    /// It is a file of another kind.
    #[error("this is {0}, which is not read here; ask the bank's site for CSV")]
    OtherKind(&'static str),
    /// It is larger than any statement.
    #[error("the statement is larger than 10 MiB; import it in parts")]
    TooLarge,
}
