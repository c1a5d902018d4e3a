//! What a host may replace: the store, the payment gateway, the event publisher and
//! the clock. Small, object safe, and each says whether it is a test double.

mod clock;
mod gateway;
mod publisher;
mod records;
mod store;

pub use clock::{Clock, Sleep, SystemClock};
pub use gateway::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
pub use publisher::{EventPublisher, PublishError};
pub use records::{
    AwkwardMoney, CourseFigures, DayFigures, Figures, InboxFilter, Page, PageRequest,
    PaymentFilter, PaymentItem, PaymentKey, PendingItem, Period, Prefix, Records, RowFilter, Sum,
};
pub use store::{
    Claim, Committed, KnownDelivery, Loaded, Lookup, Settlement, Store, StoreError, Work, WorkKind,
};
