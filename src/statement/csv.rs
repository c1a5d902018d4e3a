use std::borrow::Cow;
use std::collections::HashMap;

use chrono::NaiveDate;
use csv::{ByteRecord, ReaderBuilder, Trim};
use encoding_rs::{Encoding, WINDOWS_1252};

use super::row::StatementRow;
use super::sum::SumFormat;
use crate::money::{Currency, Money};

/// Largest statement, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;

/// Which column says what.
///
/// ```
/// use coursegate::statement::{Mapping, parse_csv};
///
/// let mapping = Mapping::new("Date", "Amount").reference("Reference");
/// let text = "Date,Amount,Reference\n2026-01-31,499.00,CG-7K3M9QXDT4WZ\n2026-02-30,1.00,x\n";
/// let statement = parse_csv(text.as_bytes(), &mapping)?;
/// assert_eq!(statement.rows[0].amount.minor(), 49_900);
/// assert_eq!(statement.bad[0].line, 3); // there is no such day
/// # Ok::<(), coursegate::statement::MappingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mapping {
    /// Header of the column with the day.
    pub date: String,
    /// How the day is written (default `%Y-%m-%d`; the codes are chrono's).
    pub date_format: String,
    /// Header of the column with the sum. Money that left the account is negative there: with a
    /// minus on either side, or in brackets. `R` or the currency's code may stand in front.
    pub amount: String,
    /// Whether sums are whole cents, rather than rands and cents (default: no).
    pub in_cents: bool,
    /// What stands between rands and cents: `.` (the default) or `,`. The other one, a space of any
    /// width or `'` may stand between thousands, in groups of three.
    pub decimal: char,
    /// The account's currency (default ZAR).
    pub currency: Currency,
    /// Header of the column with the payer's reference.
    pub reference: Option<String>,
    /// Headers of the columns with anything else that helps to recognise a payment.
    pub description: Vec<String>,
    /// What stands between columns (default `,`).
    pub delimiter: u8,
    /// Lines before the header, which many banks fill with the account's name (default 0).
    pub skip_lines: usize,
}

impl Mapping {
    /// A mapping by the headers of the two columns that cannot be missing.
    pub fn new(date: impl Into<String>, amount: impl Into<String>) -> Self {
        Self {
            date: date.into(),
            date_format: "%Y-%m-%d".to_owned(),
            amount: amount.into(),
            in_cents: false,
            decimal: '.',
            currency: Currency::ZAR,
            reference: None,
            description: Vec::new(),
            delimiter: b',',
            skip_lines: 0,
        }
    }

    /// Names the column with the payer's reference.
    #[must_use]
    pub fn reference(mut self, header: impl Into<String>) -> Self {
        self.reference = Some(header.into());
        self
    }

    /// Names a column that helps to recognise a payment.
    #[must_use]
    pub fn description(mut self, header: impl Into<String>) -> Self {
        self.description.push(header.into());
        self
    }
}

/// Why nothing of a file could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// The file has no such column.
    #[error("the statement has no column `{0}`; compare the mapping with its header line")]
    NoColumn(String),
    /// Two columns have this header.
    #[error("the statement has more than one column `{0}`; rename one of them")]
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
    /// It is larger than any statement.
    #[error("the statement is larger than 10 MiB; import it in parts")]
    TooLarge,
}

/// What a file held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParsedStatement {
    /// Money that arrived, in the order of the file.
    pub rows: Vec<StatementRow>,
    /// Rows of money that left the account, or of none.
    pub outgoing: usize,
    /// Rows that could not be read.
    pub bad: Vec<BadRow>,
}

/// A row that could not be read. What stands in it is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BadRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// Reads a statement. Rows that cannot be read are named, and the others kept.
///
/// The file is UTF-8, UTF-16 with its mark, or else Windows-1252.
///
/// # Errors
/// [`MappingError`] when the columns are not there, or the sums have another decimal mark: then
/// nothing is read.
pub fn parse_csv(file: &[u8], mapping: &Mapping) -> Result<ParsedStatement, MappingError> {
    if file.len() > MAX_BYTES {
        return Err(MappingError::TooLarge);
    }
    if !matches!(mapping.decimal, '.' | ',') {
        return Err(MappingError::NoDecimal(mapping.decimal));
    }
    let sums = SumFormat {
        decimal: mapping.decimal,
        in_cents: mapping.in_cents,
        code: mapping.currency.code(),
    };
    let file = decoded(file);
    let body = after_lines(file.as_bytes(), mapping.skip_lines);
    let mut reader = ReaderBuilder::new()
        .delimiter(mapping.delimiter)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(body);
    let mut lines = Lines {
        body,
        counted: 0,
        line: 1 + u64::try_from(mapping.skip_lines).unwrap_or(0),
    };
    let header = reader.byte_headers().cloned().unwrap_or_default();
    let find = |name: &String| column(&header, name);
    let (date, amount) = (find(&mapping.date)?, find(&mapping.amount)?);
    let reference = mapping.reference.as_ref().map(find).transpose()?;
    let description = mapping.description.iter().map(find);
    let description = description.collect::<Result<Vec<_>, _>>()?;

    let mut statement = ParsedStatement::default();
    let mut seen: HashMap<_, u32> = HashMap::new();
    let mut marks = Marks::default();
    for record in reader.byte_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = lines.at(error.position());
                let reason = "this is not a line of columns".to_owned();
                statement.bad.push(BadRow { line, reason });
                continue;
            }
        };
        let line = lines.at(record.position());
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        let written = text(&record, amount);
        marks.note(sums, &written, line);
        let read = || -> Result<Option<(NaiveDate, Money)>, String> {
            let day = NaiveDate::parse_from_str(&text(&record, date), &mapping.date_format)
                .map_err(|_| {
                    format!(
                        "column `{}` holds no day like {}",
                        mapping.date, mapping.date_format
                    )
                })?;
            let minor = sums
                .read(&written)
                .ok_or_else(|| format!("column `{}` holds no sum", mapping.amount))?;
            if minor <= 0 {
                return Ok(None);
            }
            let sum = Money::new(minor, mapping.currency).map_err(|error| error.to_string())?;
            Ok(Some((day, sum)))
        };
        match read() {
            Ok(None) => statement.outgoing += 1,
            Err(reason) => statement.bad.push(BadRow { line, reason }),
            Ok(Some((day, sum))) => {
                let reference = reference.map_or_else(String::new, |at| text(&record, at));
                let described: Vec<_> = description.iter().map(|at| text(&record, *at)).collect();
                let described = described.join(" ");
                let same = seen
                    .entry((day, sum, reference.clone(), described.clone()))
                    .or_default();
                let row = StatementRow::new(day, sum, &reference, &described, *same);
                *same += 1;
                statement.rows.push(row);
            }
        }
    }
    match marks {
        Marks {
            own: false,
            other: Some(line),
        } => Err(MappingError::OtherDecimal {
            column: mapping.amount.clone(),
            line,
            mark: sums.other(),
        }),
        _ => Ok(statement),
    }
}

/// Which decimal marks a column has. One that a spreadsheet saved may have both: then the rows with
/// the other one are bad, and the rest is read.
#[derive(Debug, Default)]
struct Marks {
    /// Whether a sum has cents under the mapping's mark.
    own: bool,
    /// The line of the first sum that has some under the other.
    other: Option<u64>,
}

impl Marks {
    fn note(&mut self, sums: SumFormat<'_>, written: &str, line: u64) {
        self.own |= written.contains(sums.decimal) && sums.read(written).is_some();
        if self.other.is_none() && sums.is_of_other_mark(written) {
            self.other = Some(line);
        }
    }
}

/// Tells the line of a record by where it begins. The reader's own count stands still between
/// the two bytes that end a line on Windows.
struct Lines<'f> {
    body: &'f [u8],
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    fn at(&mut self, position: Option<&csv::Position>) -> u64 {
        let byte = position.and_then(|position| usize::try_from(position.byte()).ok());
        let mut start = byte
            .unwrap_or(self.counted)
            .clamp(self.counted, self.body.len());
        while self
            .body
            .get(start)
            .is_some_and(|byte| matches!(byte, b'\r' | b'\n'))
        {
            start += 1;
        }
        let passed = self.body[self.counted..start].iter();
        self.line += passed
            .filter(|byte| **byte == b'\n')
            .map(|_| 1)
            .sum::<u64>();
        self.counted = start;
        self.line
    }
}

/// What comes after so many lines.
fn after_lines(file: &[u8], lines: usize) -> &[u8] {
    let mut rest = file;
    for _ in 0..lines {
        let end = rest.iter().position(|byte| *byte == b'\n');
        rest = end.map_or(&[], |end| &rest[end + 1..]);
    }
    rest
}

fn column(header: &ByteRecord, name: &str) -> Result<usize, MappingError> {
    let named = |field: &[u8]| String::from_utf8_lossy(field).eq_ignore_ascii_case(name.trim());
    let mut found = (0..header.len()).filter(|at| header.get(*at).is_some_and(named));
    match (found.next(), found.next()) {
        (Some(at), None) => Ok(at),
        (None, _) => Err(MappingError::NoColumn(name.to_owned())),
        (Some(_), Some(_)) => Err(MappingError::TwoColumns(name.to_owned())),
    }
}

/// The file as UTF-8, without a mark of its order.
fn decoded(file: &[u8]) -> Cow<'_, str> {
    match (Encoding::for_bom(file), std::str::from_utf8(file)) {
        (Some((encoding, mark)), _) => encoding.decode_without_bom_handling(&file[mark..]).0,
        (None, Ok(text)) => Cow::Borrowed(text),
        (None, Err(_)) => WINDOWS_1252.decode_without_bom_handling(file).0,
    }
}

/// A field as text.
fn text(record: &ByteRecord, at: usize) -> String {
    String::from_utf8_lossy(record.get(at).unwrap_or_default()).into_owned()
}
