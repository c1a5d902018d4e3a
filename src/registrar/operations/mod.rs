pub(in crate::registrar) mod health;
pub(in crate::registrar) mod key_use;
pub(in crate::registrar) mod production;
pub(in crate::registrar) mod sharing;
