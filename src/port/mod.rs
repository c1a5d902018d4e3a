//! What a host may replace: the store, the payment gateway, the event publisher, the ways to
//! tell people something, and the clock. Small, object safe, and each says whether it is a test double.

mod channel;
mod clock;
mod figures;
mod gateway;
mod page;
mod payments;
mod permissions;
mod publisher;
mod records;
mod sink;
mod store;
mod web;

pub use channel::{
    ChannelError, NoticeFilter, NoticeItem, NoticeKey, Notification, NotificationChannel, Recipient,
};
pub use clock::{Clock, Sleep, SystemClock};
pub use figures::{CourseFigures, DayFigures, Figures, Period, Sum};
pub use gateway::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
pub use page::{Page, PageRequest};
pub use payments::{AwkwardMoney, PaymentFilter, PaymentItem, PaymentKey, Prefix};
pub use permissions::Permissions;
pub use publisher::{EventPublisher, PublishError};
pub use records::{InboxFilter, LearnerFile, PendingItem, Received, Records, RowFilter};
pub use sink::{AlertSink, LogSink};
pub use store::{
    Claim, Committed, KnownDelivery, Loaded, Lookup, Purge, Purged, Settlement, Store, StoreError,
    StoreReport, Work, WorkKind,
};
pub use web::{WebError, WebProbe};
