//! Bank statements: rows that may be the transfers that enrollments wait for.
//!
//! [`StatementRow`] is one line of money that arrived; `parse_csv` (feature `statements`)
//! reads them from a file, and [`suggest`] compares them with what waits. A person decides:
//! nothing here approves anything.

#[cfg(feature = "statements")]
mod csv;
mod matching;
mod row;
#[cfg(feature = "statements")]
mod sum;

#[cfg(feature = "statements")]
pub use self::csv::{BadRow, Mapping, MappingError, ParsedStatement, parse_csv};
pub use matching::{Suggestion, Waiting, suggest};
pub use row::{RowChecksum, RowKey, RowState, StatementEntry, StatementRow};
