//! How often each secret was used.

use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The current secret first.
#[derive(Debug)]
pub(in crate::registrar) struct KeyLog(pub(in crate::registrar) Vec<Key>);

#[derive(Debug)]
pub(in crate::registrar) struct Key {
    pub(in crate::registrar) label: Arc<str>,
    /// What its use is counted under by all processes: after a rotation a label is that of
    /// another secret.
    pub(in crate::registrar) counted: Arc<str>,
    pub(in crate::registrar) callbacks: AtomicU64,
    /// Seconds since 1970; 0 is never.
    pub(in crate::registrar) last: AtomicI64,
    pub(in crate::registrar) said: AtomicI64,
}

impl KeyLog {
    pub(in crate::registrar) fn new<'k>(keys: impl Iterator<Item = (&'k str, &'k str)>) -> Self {
        let key = |(label, secret): (&str, &str)| Key {
            label: Arc::from(label),
            counted: Arc::from(format!("{label}, {}", mark(secret))),
            callbacks: AtomicU64::new(0),
            last: AtomicI64::new(0),
            said: AtomicI64::new(0),
        };
        Self(keys.map(key).collect())
    }
}

/// Tells one secret from the next of the same label: four bytes of a digest, of which nobody makes
/// the secret.
fn mark(secret: &str) -> String {
    let digest = Sha256::new()
        .chain_update("coursegate, key use: ")
        .chain_update(secret);
    base16ct::lower::encode_string(&digest.finalize()[..4])
}

impl KeyLog {
    /// Callbacks that were signed with each secret, in this process.
    pub(in crate::registrar) fn callbacks(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        let keys = self.0.iter();
        keys.map(|key| (&key.counted, key.callbacks.load(Ordering::Relaxed)))
    }
}
