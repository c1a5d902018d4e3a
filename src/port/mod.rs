//! What a host may replace: the store, the payment gateway, the event publisher, the ways to
//! tell people something, and the clock. Small, object safe, and each says whether it is a test double.
//!
//! # Testing with them
//! For most tests take the real fakes: `MemoryStore`, the `Simulator`, `TestClock` and
//! `RecordingPublisher` behave as their real counterparts do. For a failure that none of them can
//! produce, mock the port, with the crate `mockall` for example:
//!
//! ```
//! mod mocks {
//!     use coursegate::{ChannelName, port::{ChannelError, Message, NotificationChannel}};
//!
//!     mockall::mock! {
//!         #[derive(Debug)]
//!         pub Mail {}
//!         #[async_trait::async_trait]
//!         impl NotificationChannel for Mail {
//!             fn name(&self) -> ChannelName;
//!             fn reaches_learners(&self) -> bool;
//!             async fn send(&self, notification: &Message) -> Result<(), ChannelError>;
//!         }
//!     }
//! }
//! # use coursegate::{ChannelName, port::{ChannelError, NotificationChannel}};
//! # use mocks::MockMail;
//!
//! # fn example() -> Result<(), coursegate::IdError> {
//! let name = ChannelName::new("mail")?;
//! let mut mail = MockMail::new();
//! mail.expect_name().return_const(name);
//! mail.expect_reaches_learners().return_const(true);
//! // It refuses once, and then takes everything.
//! mail.expect_send().times(1).returning(|_| Err(ChannelError::Unavailable("the mail server is full".to_owned())));
//! mail.expect_send().returning(|_| Ok(()));
//! // … then `.channel(mail)` on the builder
//! # assert_eq!(mail.name().as_str(), "mail");
//! # Ok(()) }
//! ```
//!
//! `Store` borrows in its arguments, which such macros do not take: write a store that passes each
//! call on to a `MemoryStore`, and asks a mock of a trait of your own before the call that is to fail.

mod channel;
mod clock;
mod gateway;
mod permissions;
mod publisher;
mod sink;
mod web;

pub use channel::{ChannelError, Message, NotificationChannel, Recipient};
pub use clock::{Clock, Sleep, SystemClock};
pub use gateway::{
    Capabilities, GatewayError, History, LinkRequest, PaymentGateway, RefundRequest, StatusQuery,
};
pub use permissions::Permissions;
pub use publisher::{EventPublisher, PublishError};
pub use sink::{AlertSink, LogSink};
pub use web::{Certificate, CertificateProbe, WebError, WebProbe};
