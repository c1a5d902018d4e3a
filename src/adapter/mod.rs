//! Outside systems, one module each. None knows another, nor the registrar.

#[cfg(feature = "ikhokha")]
pub mod ikhokha;
pub mod memory;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "simulator")]
pub mod simulator;
