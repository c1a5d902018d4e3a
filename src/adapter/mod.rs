//! Outside systems, one module each. None knows another, nor the registrar.

pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "simulator")]
pub mod simulator;
