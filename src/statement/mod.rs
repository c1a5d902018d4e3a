//! Bank statements: rows that may be the transfers that enrollments wait for.
//!
//! [`StatementRow`] is one line of money that arrived; `parse_csv` (feature `statements`)
//! reads them from a file, and a [`Matcher`] compares them with what waits. A person decides:
//! nothing here approves anything.

#[cfg(feature = "statements")]
mod columns;
#[cfg(feature = "statements")]
mod day;
#[cfg(feature = "statements")]
mod detect;
mod entry;
mod identity;
mod index;
mod likeness;
#[cfg(feature = "statements")]
mod lines;
#[cfg(feature = "statements")]
mod mapping;
mod matching;
mod named;
#[cfg(feature = "statements")]
mod parsed;
#[cfg(feature = "statements")]
mod preset;
#[cfg(feature = "statements")]
mod read;
mod row;
#[cfg(feature = "statements")]
mod running;
#[cfg(feature = "statements")]
mod sum;
mod waiting;

#[cfg(feature = "statements")]
pub use detect::{Guess, detect};
pub use entry::{RowKey, RowPart, RowState, StatementEntry};
pub(crate) use identity::{Incoming, NewRow, grouped, names, sort_out, strong_id};
pub use likeness::Likeness;
#[cfg(feature = "statements")]
pub use mapping::{Amounts, Column, Mapping, MappingError, Marked, RunningBalance, StatementDay};
pub use matching::{Matcher, Suggestion};
pub(crate) use named::references_in;
#[cfg(feature = "statements")]
pub use parsed::{BadReason, BadRow, ParsedStatement};
#[cfg(feature = "statements")]
pub use preset::Preset;
#[cfg(feature = "statements")]
pub use read::parse_csv;
pub use row::{FileLine, RowId, StatementRow};
pub use waiting::Waiting;
