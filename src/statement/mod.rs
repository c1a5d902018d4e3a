//! Bank statements: rows that may be the transfers that enrollments wait for.
//!
//! [`StatementRow`] is one line of money that arrived; `parse_csv` (feature `statements`)
//! reads them from a file, and [`suggest`] compares them with what waits. A person decides:
//! nothing here approves anything.

#[cfg(feature = "statements")]
mod columns;
#[cfg(feature = "statements")]
mod day;
#[cfg(feature = "statements")]
mod detect;
mod likeness;
#[cfg(feature = "statements")]
mod lines;
#[cfg(feature = "statements")]
mod mapping;
mod matching;
#[cfg(feature = "statements")]
mod parsed;
#[cfg(feature = "statements")]
mod preset;
#[cfg(feature = "statements")]
mod read;
mod row;
#[cfg(feature = "statements")]
mod sum;

#[cfg(feature = "statements")]
pub use detect::{Guess, detect};
pub use likeness::Likeness;
#[cfg(feature = "statements")]
pub use mapping::{Amounts, Column, Mapping, MappingError, Marked, StatementDay};
pub use matching::{Suggestion, Waiting, suggest};
#[cfg(feature = "statements")]
pub use parsed::{BadReason, BadRow, ParsedStatement};
#[cfg(feature = "statements")]
pub use preset::Preset;
#[cfg(feature = "statements")]
pub use read::parse_csv;
pub use row::{RowChecksum, RowKey, RowState, StatementEntry, StatementRow};
