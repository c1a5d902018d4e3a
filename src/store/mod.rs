//! The contract of a store, for whoever writes one: what it is given, what it is asked, what it
//! promises.
//!
//! A host that takes one of the stores in [`adapter`](crate::adapter) needs the lists that people
//! see ([`Page`], [`PendingItem`], [`PaymentItem`], …) and nothing else of this module.

mod change;
mod contract;
mod figures;
mod inbox;
mod notices;
mod page;
mod payments;
mod queries;

pub use change::Change;
pub use contract::{
    Claim, CommitOutcome, KnownDelivery, Loaded, Lookup, Purge, Purged, Settlement, Share, Shared,
    Store, StoreError, StoreReport, Work, WorkKind,
};
pub use figures::{CourseFigures, DayFigures, Figures, Period, Sum};
pub use inbox::{InboxEntry, InboxOutcome, InboxState};
pub use notices::{AdminNotice, NoticeFilter, NoticeKey};
pub use page::{Page, PageRequest};
pub use payments::{HeldPayment, PaymentFilter, PaymentItem, PaymentKey, Prefix};
pub use queries::{InboxFilter, LearnerFile, PendingItem, Queries, Received, RowFilter, RowProbe};
