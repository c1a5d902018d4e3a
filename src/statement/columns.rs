//! Where the columns of a mapping stand in a file.

use super::lines::{Cells, Splitter, lines};
use super::mapping::{Amounts, Column, Mapping, MappingError, StatementDay};
use super::parsed::BadReason;
use super::sum::SumFormat;

/// A header is looked for in so many lines.
const HEADER_WITHIN: usize = 100;

/// The places of the columns, from 0.
pub(super) struct At {
    pub(super) date: usize,
    pub(super) sums: Sums,
    pub(super) reference: Option<usize>,
    pub(super) description: Vec<usize>,
    pub(super) only: Option<usize>,
    pub(super) pending: Option<usize>,
    pub(super) balance: Option<usize>,
    pub(super) bank_id: Option<usize>,
    /// The columns with the word that opens and closes the account, and its sum.
    pub(super) running: Option<(usize, usize)>,
    /// The column with the day that gives years, and what marks its lines.
    pub(super) statement_day: Option<(Option<(usize, String)>, usize)>,
    ignored: Vec<usize>,
}

/// The places of the sums.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sums {
    Signed(usize),
    Directed { amount: usize, direction: usize },
    Split { incoming: usize, outgoing: usize },
}

/// The header of a file.
pub(super) struct Header {
    pub(super) at: At,
    /// Its line, from 0; `None` where none is needed.
    pub(super) line: Option<usize>,
    pub(super) cells: Vec<String>,
}

/// Finds the first line that has all columns of a mapping, each once.
pub(super) fn find_header(
    text: &str,
    splitter: &mut Splitter,
    mapping: &Mapping,
) -> Result<Header, MappingError> {
    let columns = mapping.columns();
    if columns
        .iter()
        .all(|column| matches!(column, Column::Number(_)))
    {
        return Ok(Header {
            at: At::new(mapping, &[])?,
            line: None,
            cells: Vec::new(),
        });
    }
    let mut nearest: Option<(usize, MappingError)> = None;
    for (index, line) in lines(text).enumerate().take(HEADER_WITHIN) {
        let Some(cells) = splitter.split(line).filter(|_| !line.trim().is_empty()) else {
            continue;
        };
        let cells: Vec<String> = cells.iter().map(str::to_owned).collect();
        let error = match At::new(mapping, &cells) {
            Ok(at) => {
                let line = Some(index);
                return Ok(Header { at, line, cells });
            }
            Err(error) => error,
        };
        let found = columns
            .iter()
            .filter(|column| place(&cells, column).is_ok())
            .count();
        if nearest.as_ref().is_none_or(|(most, _)| found > *most) {
            nearest = Some((found, error));
        }
    }
    let missing = || MappingError::NoColumn(mapping.date.to_string());
    Err(nearest.map_or_else(missing, |(_, error)| error))
}

impl At {
    fn new(mapping: &Mapping, header: &[String]) -> Result<Self, MappingError> {
        let find = |column: &Column| place(header, column);
        let sums = match &mapping.amounts {
            Amounts::Signed(amount) => Sums::Signed(find(amount)?),
            Amounts::Directed {
                amount, direction, ..
            } => Sums::Directed {
                amount: find(amount)?,
                direction: find(direction)?,
            },
            Amounts::Split { incoming, outgoing } => Sums::Split {
                incoming: find(incoming)?,
                outgoing: find(outgoing)?,
            },
        };
        let statement_day = match &mapping.statement_day {
            Some(StatementDay::Column { column, .. }) => Some((None, find(column)?)),
            Some(StatementDay::Line { mark, column, .. }) => {
                let mark = (find(&mark.column)?, mark.word.clone());
                Some((Some(mark), find(column)?))
            }
            Some(StatementDay::On(_)) | None => None,
        };
        let only = mapping.only.as_ref().map(|(column, _)| column);
        let pending = mapping.pending.as_ref().map(|mark| &mark.column);
        Ok(Self {
            date: find(&mapping.date)?,
            sums,
            reference: mapping.reference.as_ref().map(find).transpose()?,
            description: mapping
                .description
                .iter()
                .map(find)
                .collect::<Result<_, _>>()?,
            only: only.map(find).transpose()?,
            pending: pending.map(find).transpose()?,
            balance: mapping.balance.as_ref().map(find).transpose()?,
            bank_id: mapping.bank_id.as_ref().map(find).transpose()?,
            running: match &mapping.running {
                Some(running) => Some((find(&running.mark)?, find(&running.sum)?)),
                None => None,
            },
            statement_day,
            // One that the file does not have does no harm.
            ignored: mapping
                .ignored
                .iter()
                .filter_map(|column| find(column).ok())
                .collect(),
        })
    }

    /// Whether the mapping reads a column, or says that it need not be read.
    pub(super) fn reads(&self, index: usize) -> bool {
        let in_sums = match self.sums {
            Sums::Signed(amount) => amount == index,
            Sums::Directed { amount, direction } => amount == index || direction == index,
            Sums::Split { incoming, outgoing } => incoming == index || outgoing == index,
        };
        let optional = [
            self.reference,
            self.only,
            self.pending,
            self.balance,
            self.bank_id,
        ];
        in_sums
            || self.date == index
            || optional.contains(&Some(index))
            || self.description.contains(&index)
            || self.ignored.contains(&index)
    }
}

impl Sums {
    /// What stands in the columns with sums.
    pub(super) fn written<'l>(self, cells: Cells<'l>) -> Vec<&'l str> {
        match self {
            Self::Signed(amount) | Self::Directed { amount, .. } => vec![cells.at(amount)],
            Self::Split { incoming, outgoing } => vec![cells.at(incoming), cells.at(outgoing)],
        }
    }

    /// Where they stand.
    pub(super) fn places(self) -> Vec<usize> {
        match self {
            Self::Signed(amount) | Self::Directed { amount, .. } => vec![amount],
            Self::Split { incoming, outgoing } => vec![incoming, outgoing],
        }
    }

    /// The column that is named when sums are the matter.
    pub(super) fn name(self, amounts: &Amounts) -> &Column {
        match amounts {
            Amounts::Signed(column)
            | Amounts::Directed { amount: column, .. }
            | Amounts::Split {
                incoming: column, ..
            } => column,
        }
    }

    /// The sum of a row in cents, negative where money left.
    pub(super) fn read(
        self,
        cells: Cells<'_>,
        format: SumFormat<'_>,
        amounts: &Amounts,
    ) -> Result<i64, BadReason> {
        let sum = |at| match cells.at(at) {
            "" | "-" | "\u{2013}" | "\u{2014}" | "\u{2212}" => Ok(0),
            written => format.read(written).ok_or(BadReason::NoSum),
        };
        match (self, amounts) {
            (
                Self::Directed { amount, direction },
                Amounts::Directed {
                    incoming, outgoing, ..
                },
            ) => {
                let minor = sum(amount)?;
                let word = cells.at(direction);
                let among = |words: &[String]| words.iter().any(|it| it.eq_ignore_ascii_case(word));
                match (among(incoming), among(outgoing)) {
                    _ if minor == 0 => Ok(0),
                    (true, false) if minor > 0 => Ok(minor),
                    (false, true) => Ok(-minor.abs()),
                    (false, false) => Err(BadReason::NoDirection),
                    _ => Err(BadReason::BothDirections),
                }
            }
            (Self::Split { incoming, outgoing }, _) => match (sum(incoming)?, sum(outgoing)?) {
                (arrived, 0) if arrived >= 0 => Ok(arrived),
                (0, left) => Ok(-left.abs()),
                _ => Err(BadReason::BothDirections),
            },
            (Self::Signed(amount) | Self::Directed { amount, .. }, _) => sum(amount),
        }
    }
}

fn place(header: &[String], column: &Column) -> Result<usize, MappingError> {
    let name = match column {
        Column::Number(number) => {
            let missing = || MappingError::NoColumn(column.to_string());
            return number.checked_sub(1).ok_or_else(missing);
        }
        Column::Name(name) => name.trim(),
    };
    let named = |index: &usize| header[*index].eq_ignore_ascii_case(name);
    let mut found = (0..header.len()).filter(named);
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => Err(MappingError::NoColumn(name.to_owned())),
        (Some(_), Some(_)) => Err(MappingError::TwoColumns(name.to_owned())),
    }
}

/// Whether a cell says nothing but a direction.
pub(super) fn is_direction(cell: &str) -> bool {
    const WORDS: [&str; 8] = ["C", "D", "CR", "DR", "CREDIT", "DEBIT", "IN", "OUT"];
    WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Whether the name of a column says that a direction stands in it.
pub(super) fn is_direction_name(name: &str) -> bool {
    const NAMES: [&str; 26] = [
        "DEBIT",
        "CREDIT",
        "DEBITS",
        "CREDITS",
        "DEBITAMOUNT",
        "CREDITAMOUNT",
        "DEBITCREDIT",
        "CREDITDEBIT",
        "DEBITCREDITINDICATOR",
        "CREDITDEBITINDICATOR",
        "DRCR",
        "CRDR",
        "DR",
        "CR",
        "DC",
        "CD",
        "MONEYIN",
        "MONEYOUT",
        "PAIDIN",
        "PAIDOUT",
        "DEPOSITS",
        "WITHDRAWALS",
        "DEBIET",
        "KREDIET",
        "DEBIETE",
        "KREDIETE",
    ];
    let bare: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    NAMES.contains(&bare.to_ascii_uppercase().as_str())
}

/// Whether the name of a column says that what is left on the account stands in it.
pub(super) fn is_balance_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.contains("BALANCE") || name.contains("SALDO")
}
