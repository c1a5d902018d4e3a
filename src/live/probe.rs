//! Do live updates arrive?

use super::Hub;
use crate::readiness::ReadinessFinding;
use crate::registrar::Registrar;

impl Hub {
    /// Looks whether what is committed arrives here: writes one event that means nothing, and
    /// waits for it up to ten seconds. A worker has to run. Empty when all is well.
    pub async fn probe(&self, registrar: &Registrar) -> Vec<ReadinessFinding> {
        let mut receiver = self.inner.admins.subscribe();
        let hear = async |id| {
            loop {
                match receiver.recv().await {
                    Ok(placed) if placed.event.as_ref().is_some_and(|event| event.id == id) => {
                        break;
                    }
                    // Whoever falls behind goes on with what is still there.
                    _ => {}
                }
            }
        };
        registrar.probe_live(hear).await
    }
}
