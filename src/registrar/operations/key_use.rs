//! Which secrets callbacks are signed with: a rotation is over when the old one is silent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::readiness::{ReadinessFinding, ReadinessRule, age};
use crate::registrar::core::Registrar;

/// For how long a secret counts as in use after it was last used.
pub(in crate::registrar) const IN_USE: chrono::Duration = chrono::Duration::days(1);

/// How often a log line says that an old secret is in use, in seconds.
const SAID_EVERY: i64 = 3600;

/// How one secret was used, by all processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyUse {
    /// The secret's label.
    pub label: Arc<str>,
    /// Whether it is the current one.
    pub current: bool,
    /// Callbacks that were signed with it.
    pub callbacks: u64,
    /// When the last of them came.
    pub last: Option<DateTime<Utc>>,
}

impl Registrar {
    /// Which secrets callbacks were signed with, as far as this process knows: what it saw
    /// itself, and what all processes of the installation saw, of the last two days before it
    /// started too. It hears of them while its worker runs, or its health is asked for.
    pub fn key_use(&self) -> Vec<KeyUse> {
        let keys = self.inner.keys.0.iter().enumerate();
        keys.map(|(at, key)| {
            let here = key.callbacks.load(Ordering::Relaxed);
            let (callbacks, elsewhere) = self.inner.sharing.key_use(&key.counted, here);
            let last = key.last.load(Ordering::Relaxed);
            let last = (last > 0)
                .then(|| DateTime::from_timestamp(last, 0))
                .flatten();
            KeyUse {
                label: key.label.clone(),
                current: at == 0,
                callbacks,
                last: last.max(elsewhere),
            }
        })
        .collect()
    }

    /// What only shows while it runs: secrets that are being rotated out and still in use, that no
    /// worker of the installation was seen, and that the current secret is due for a rotation. It
    /// knows of other processes what [`key_use`](Self::key_use) knows.
    pub fn running_findings(&self) -> Vec<ReadinessFinding> {
        let since = self.now() - IN_USE;
        let old = self.key_use().into_iter().filter(|key| !key.current);
        let used = old.filter(|key| key.last.is_some_and(|last| last >= since));
        let idle = self.nobody_works(self.now());
        let used = used.map(|key| {
            let says = format!("{} callbacks so far.", key.callbacks);
            ReadinessFinding::new(ReadinessRule::OldSecretUsed)
                .about(key.label.as_ref())
                .saying(says)
        });
        let worker = idle.then(|| ReadinessFinding::new(ReadinessRule::WorkerMissing));
        let old = age::secret_old(&self.inner.config, self.now());
        used.chain(worker).chain(old).collect()
    }

    pub(in crate::registrar) fn note_key(&self, label: &Arc<str>, now: DateTime<Utc>) {
        let mut keys = self.inner.keys.0.iter().enumerate();
        let Some((at, key)) = keys.find(|(_, key)| key.label == *label) else {
            return;
        };
        let now = now.timestamp();
        key.callbacks.fetch_add(1, Ordering::Relaxed);
        key.last.fetch_max(now, Ordering::Relaxed);
        if at > 0 && now - key.said.load(Ordering::Relaxed) >= SAID_EVERY {
            key.said.store(now, Ordering::Relaxed);
            tracing::warn!(key = %label, "a callback is signed with a secret that is not the current one");
        }
    }
}
