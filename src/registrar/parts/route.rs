//! A sink of alerts, and which of them it is told of.

use crate::monitor::{Alert, AlertRoute};
use crate::port::AlertSink;
use std::sync::Arc;

/// A sink, and what it is told of.
#[derive(Debug, Clone)]
pub(in crate::registrar) struct Route {
    pub(in crate::registrar) name: String,
    pub(in crate::registrar) route: AlertRoute,
    pub(in crate::registrar) sink: Arc<dyn AlertSink>,
}

impl Route {
    pub(in crate::registrar) fn takes(&self, alert: &Alert) -> bool {
        self.route.takes(alert)
    }
}
