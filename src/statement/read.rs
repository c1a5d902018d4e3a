//! Statements in lines of cells, read line by line.

use std::sync::Arc;

use chrono::NaiveDate;

use super::columns::{At, find_header, is_balance_name, is_direction, is_direction_name};
use super::day::DayFormat;
use super::lines::{Cells, Splitter, decoded, lines, other_kind, stated_delimiter};
use super::mapping::{Mapping, MappingError, StatementDay};
use super::parsed::{BadReason, BadRow, ParsedStatement};
use super::row::{FileLine, StatementRow};
use super::running::Running;
use super::sum::SumFormat;
use crate::vocabulary::Money;

/// Largest statement, in bytes.
const MAX_BYTES: usize = 10 * 1024 * 1024;

/// Reads a statement. Rows that cannot be read are named, and the others kept. Days more than a year
/// after `today` are bad.
///
/// The file is UTF-8, UTF-16 with its mark, or else Windows-1252. One line is one row.
///
/// # Errors
/// [`MappingError`] when the file is of another kind, the columns are not there, the sums have
/// another decimal mark, or a column with a direction is not named: then nothing is read.
pub fn parse_csv(
    file: &[u8],
    mapping: &Mapping,
    today: NaiveDate,
) -> Result<ParsedStatement, MappingError> {
    if file.len() > MAX_BYTES {
        return Err(MappingError::TooLarge);
    }
    if let Some(kind) = other_kind(file) {
        return Err(MappingError::OtherKind(kind));
    }
    parse_text(
        &decoded(file),
        Some(FileLine::checksum(file)),
        mapping,
        today,
    )
}

/// The same, of text.
pub(super) fn parse_text(
    text: &str,
    file: Option<Arc<str>>,
    mapping: &Mapping,
    today: NaiveDate,
) -> Result<ParsedStatement, MappingError> {
    let stated = lines(text).next().and_then(stated_delimiter);
    let mut splitter = Splitter::new(stated.unwrap_or(mapping.delimiter), mapping.quote)?;
    let header = find_header(text, &mut splitter, mapping)?;
    let mut reading = Reading::new(mapping, &header.at, today)?;
    (reading.heading, reading.file) = (header.cells, file);
    for (index, line) in lines(text).enumerate() {
        reading.statement.lines += 1;
        let is_preamble = header.line.is_some_and(|header| index <= header);
        let is_stated = index == 0 && stated.is_some();
        if is_preamble || is_stated || line.trim().is_empty() {
            reading.statement.skipped += 1;
            continue;
        }
        let number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        let reason = match splitter.split(line) {
            Some(cells) => reading.line(cells, number),
            None => Err(BadReason::OpenQuote),
        };
        if let Err(reason) = reason {
            let line = number;
            reading.statement.bad.push(BadRow { line, reason });
        }
    }
    reading.finish()
}

/// What is known of a file so far.
struct Reading<'m> {
    mapping: &'m Mapping,
    at: &'m At,
    days: DayFormat<'m>,
    /// How the day that gives years is written.
    statement_days: Option<DayFormat<'m>>,
    /// That day, where it was found.
    statement_day: Option<NaiveDate>,
    today: NaiveDate,
    sums: SumFormat<'m>,
    marks: Marks,
    /// The cells of the header, or of the last line before the rows.
    heading: Vec<String>,
    /// For each column that the mapping does not read: whether rows have words in it, and all of
    /// them are words for a direction.
    words: Vec<Option<bool>>,
    running: Running,
    /// The checksum of the file.
    file: Option<Arc<str>>,
    statement: ParsedStatement,
}

impl<'m> Reading<'m> {
    fn new(mapping: &'m Mapping, at: &'m At, today: NaiveDate) -> Result<Self, MappingError> {
        let days = |format: &'m String| {
            DayFormat::new(format, mapping.century)
                .ok_or_else(|| MappingError::NoDateFormat(format.clone()))
        };
        let (statement_days, statement_day) = match &mapping.statement_day {
            None => (None, None),
            Some(StatementDay::On(day)) => (None, Some(*day)),
            Some(StatementDay::Column { format, .. } | StatementDay::Line { format, .. }) => {
                (Some(days(format)?), None)
            }
        };
        if !matches!(mapping.decimal, '.' | ',') {
            return Err(MappingError::NoDecimal(mapping.decimal));
        }
        Ok(Self {
            days: days(&mapping.date_format)?,
            statement_days,
            statement_day,
            at,
            today,
            sums: SumFormat {
                decimal: mapping.decimal,
                in_cents: mapping.in_cents,
                code: mapping.currency.code(),
            },
            mapping,
            marks: Marks::default(),
            heading: Vec::new(),
            words: Vec::new(),
            running: Running::default(),
            file: None,
            statement: ParsedStatement::default(),
        })
    }

    /// Puts a line into one of the counts, unless it is bad.
    fn line(&mut self, cells: Cells<'_>, number: u64) -> Result<(), BadReason> {
        self.look_for_day(cells);
        self.look_for_balance(cells);
        if !self.is_chosen(cells) {
            self.statement.skipped += 1;
            return Ok(());
        }
        let written = self.at.sums.written(cells);
        let day = cells.at(self.at.date);
        let has_digit = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
        let has_sum = written.iter().any(|sum| !is_none(sum));
        let is_heading = !has_digit(day) && !written.iter().any(|sum| has_digit(sum));
        let is_cut = written.iter().any(|sum| sum.starts_with('#'));
        if is_heading && !is_cut {
            if has_sum && self.statement.rows.is_empty() {
                self.heading = cells.iter().map(str::to_owned).collect();
            }
            self.statement.skipped += 1;
            return Ok(());
        }
        if !has_sum {
            self.statement.skipped += 1;
            return Ok(());
        }
        for sum in &written {
            self.marks.note(self.sums, sum, number);
        }
        let read_day = self.days.read(day, self.statement_day, self.today);
        if read_day.is_err() && self.is_named_no_row(cells) {
            self.statement.skipped += 1;
            return Ok(());
        }
        let minor = self.at.sums.read(cells, self.sums, &self.mapping.amounts)?;
        if minor == 0 {
            self.statement.skipped += 1;
            return Ok(());
        }
        let read_day = read_day?;
        self.note_words(cells);
        if self.is_pending(cells) {
            self.statement.pending += 1;
            return Ok(());
        }
        let sum = match minor {
            ..0 => None,
            _ => Some(Money::new(minor, self.mapping.currency).map_err(|_| BadReason::NoSum)?),
        };
        self.running.add(minor);
        match sum {
            Some(sum) => self.arrived(cells, (read_day, sum), number),
            None => self.statement.outgoing += 1,
        }
        Ok(())
    }

    fn arrived(&mut self, cells: Cells<'_>, (day, sum): (NaiveDate, Money), number: u64) {
        let reference = self.at.reference.map_or("", |at| cells.at(at));
        let described: Vec<_> = self.at.description.iter().map(|at| cells.at(*at)).collect();
        let mut row = StatementRow::new(day, sum, reference, &described.join(" "));
        let balance = self.at.balance.map(|at| cells.at(at));
        row.balance = balance.and_then(|written| self.sums.read(written));
        let id = self.at.bank_id.map_or("", |at| cells.at(at));
        if !id.is_empty() {
            row = row.with_bank_id(id);
        }
        let line = u32::try_from(number).unwrap_or(u32::MAX);
        row.place = self.file.clone().map(|file| FileLine { file, line });
        self.running.arrived();
        self.statement.rows.push(row);
    }

    /// Keeps the sums of the lines that open and close the account.
    fn look_for_balance(&mut self, cells: Cells<'_>) {
        let Some(((mark, sum), words)) = self.at.running.zip(self.mapping.running.as_ref()) else {
            return;
        };
        let (mark, sum) = (cells.at(mark), self.sums.read(cells.at(sum)));
        match sum {
            Some(sum) if mark.eq_ignore_ascii_case(&words.open) => self.running.open(sum),
            Some(sum) if mark.eq_ignore_ascii_case(&words.close) => self.running.close(sum),
            _ => {}
        }
    }

    /// Keeps the day that gives years, if the line has it.
    fn look_for_day(&mut self, cells: Cells<'_>) {
        let Some((mark, at)) = &self.at.statement_day else {
            return;
        };
        let is_it = match mark {
            Some((column, word)) => begins(cells.at(*column), word),
            None => true,
        };
        let day = self.statement_days.as_ref().filter(|_| is_it);
        let day = day.map(|days| days.read(cells.at(*at), None, self.today));
        match day {
            Some(Ok(day)) => self.statement_day = Some(day),
            // Each line has its own, and this one has none.
            Some(Err(_)) if mark.is_none() => self.statement_day = None,
            Some(Err(_)) | None => {}
        }
    }

    fn is_chosen(&self, cells: Cells<'_>) -> bool {
        let words = self.mapping.only.as_ref().map(|(_, words)| words);
        match (self.at.only, words) {
            (Some(at), Some(words)) => words
                .iter()
                .any(|word| cells.at(at).eq_ignore_ascii_case(word)),
            _ => true,
        }
    }

    fn is_named_no_row(&self, cells: Cells<'_>) -> bool {
        let mut words = self.mapping.not_rows.iter();
        words.any(|word| cells.iter().any(|cell| begins(cell, word)))
    }

    fn is_pending(&self, cells: Cells<'_>) -> bool {
        let mark = self.at.pending.zip(self.mapping.pending.as_ref());
        mark.is_some_and(|(at, mark)| begins(cells.at(at), &mark.word))
    }

    /// Looks at what the mapping does not read.
    fn note_words(&mut self, cells: Cells<'_>) {
        if self.words.len() < cells.len() {
            self.words.resize(cells.len(), None);
        }
        for (word, cell) in self.words.iter_mut().zip(cells.iter()) {
            if !cell.is_empty() {
                *word = Some(word.unwrap_or(true) && is_direction(cell));
            }
        }
    }

    fn finish(self) -> Result<ParsedStatement, MappingError> {
        if let Some(column) = self.unnamed_direction() {
            return Err(MappingError::Direction(column));
        }
        let name = |at: &usize| self.heading.get(*at).filter(|name| is_balance_name(name));
        if let Some(name) = self.at.sums.places().iter().find_map(name) {
            return Err(MappingError::Balance(name.clone()));
        }
        match (self.marks.own, self.marks.other) {
            (false, Some(line)) => Err(MappingError::OtherDecimal {
                column: self.at.sums.name(&self.mapping.amounts).to_string(),
                line,
                mark: self.sums.other(),
            }),
            _ => Ok(self.with_balances()),
        }
    }

    /// What was read, with the balance behind each row where the file proves it.
    fn with_balances(self) -> ParsedStatement {
        let mut statement = self.statement;
        if let Some(balances) = self.running.proven().filter(|_| statement.bad.is_empty()) {
            for (row, balance) in statement.rows.iter_mut().zip(balances) {
                row.balance = row.balance.or(Some(balance));
            }
        }
        statement
    }

    /// A column that the mapping does not read, and that says the direction.
    fn unnamed_direction(&self) -> Option<String> {
        let columns = self.heading.len().max(self.words.len());
        (0..columns).find_map(|index| {
            let name = self.heading.get(index).map_or("", String::as_str);
            let says = self.words.get(index).copied().flatten() == Some(true);
            let is_it = !self.at.reads(index) && (says || is_direction_name(name));
            let shown = match name {
                "" => (index + 1).to_string(),
                name => name.to_owned(),
            };
            is_it.then_some(shown)
        })
    }
}

/// Whether a cell for a sum has none: it is empty, or has a dash.
fn is_none(cell: &str) -> bool {
    matches!(cell, "" | "-" | "\u{2013}" | "\u{2014}" | "\u{2212}")
}

/// Whether a text begins with a word, in whatever case.
pub(super) fn begins(text: &str, word: &str) -> bool {
    let text = text.trim_start();
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
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
