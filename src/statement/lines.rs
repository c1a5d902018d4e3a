//! Lines of a file, and their cells.

use std::borrow::Cow;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use encoding_rs::{Encoding, WINDOWS_1252};

use super::mapping::MappingError;

/// The file as UTF-8, without a mark of its order.
pub(super) fn decoded(file: &[u8]) -> Cow<'_, str> {
    match (Encoding::for_bom(file), std::str::from_utf8(file)) {
        (Some((encoding, mark)), _) => encoding.decode_without_bom_handling(&file[mark..]).0,
        (None, Ok(text)) => Cow::Borrowed(text),
        (None, Err(_)) => WINDOWS_1252.decode_without_bom_handling(file).0,
    }
}

/// The name of a file of another kind, by how it begins.
pub(super) fn other_kind(file: &[u8]) -> Option<&'static str> {
    let begins = |with: &[u8]| file.starts_with(with);
    if begins(b"%PDF-") {
        return Some("a PDF");
    }
    if begins(b"PK\x03\x04") || begins(b"\xd0\xcf\x11\xe0") {
        return Some("an Excel workbook");
    }
    let head = decoded(&file[..file.len().min(1_024) & !1]);
    let head = head.trim_start();
    if head.starts_with("OFXHEADER") || head.contains("<OFX>") || head.contains("<?OFX") {
        return Some("an OFX file");
    }
    let is_mt940 = head.starts_with("{1:") || head.starts_with(":20:");
    if is_mt940 || (head.contains("\n:20:") && head.contains("\n:25:")) {
        return Some("an MT940 file");
    }
    if head.starts_with("<!DOCTYPE") || head.to_ascii_lowercase().starts_with("<html") {
        return Some("a web page");
    }
    head.starts_with("<?xml").then_some("an XML file")
}

/// Each line, whatever ends it.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = &rest[end..];
        rest = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

/// What a first line `sep=;` says.
pub(super) fn stated_delimiter(line: &str) -> Option<char> {
    let said = line.trim_matches(['"', ' ']).to_ascii_lowercase();
    let said = said.strip_prefix("sep=")?.chars().next();
    said.or_else(|| line.ends_with('\t').then_some('\t'))
}

/// Splits lines into cells.
pub(super) struct Splitter {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Splitter {
    pub(super) fn new(delimiter: char, quote: char) -> Result<Self, MappingError> {
        let byte = |c: char| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() && !byte.is_ascii_alphanumeric() && byte != b'\n' => {
                Ok(byte)
            }
            _ => Err(MappingError::NoDelimiter(c)),
        };
        if !matches!(delimiter, ',' | ';' | '|' | '\t') || quote == delimiter {
            return Err(MappingError::NoDelimiter(delimiter));
        }
        let reader = ReaderBuilder::new()
            .delimiter(byte(delimiter)?)
            .quote(byte(quote)?)
            .build();
        Ok(Self {
            reader,
            text: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// The cells of a line; `None` when a quote is not closed in it.
    pub(super) fn split(&mut self, line: &str) -> Option<Cells<'_>> {
        self.reader.reset();
        let input = [line.as_bytes(), b"\n"].concat();
        self.text.resize(input.len() + 1, 0);
        self.ends.resize(input.len() + 1, 0);
        let (result, read, _, cells) =
            self.reader
                .read_record(&input, &mut self.text, &mut self.ends);
        let whole = matches!(result, ReadRecordResult::Record) && read == input.len();
        whole.then(|| Cells {
            text: &self.text,
            ends: &self.ends[..cells],
        })
    }
}

/// The cells of a line.
#[derive(Clone, Copy)]
pub(super) struct Cells<'l> {
    text: &'l [u8],
    ends: &'l [usize],
}

impl<'l> Cells<'l> {
    /// A cell, without space and single quotes around it; empty where the line has none.
    pub(super) fn at(self, index: usize) -> &'l str {
        let Some(end) = self.ends.get(index) else {
            return "";
        };
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let cell = std::str::from_utf8(&self.text[start..*end]).unwrap_or_default();
        let cell = cell.trim();
        let bare = cell
            .strip_prefix('\'')
            .and_then(|rest| rest.strip_suffix('\''));
        bare.map_or(cell, str::trim)
    }

    pub(super) fn len(self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'l str> {
        (0..self.ends.len()).map(move |index| self.at(index))
    }
}
