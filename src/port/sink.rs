use std::fmt::Debug;

use async_trait::async_trait;

use super::channel::ChannelError;
use crate::monitor::Alert;

/// Takes alerts out of the house: to a pager, a chat, a log that somebody reads.
#[async_trait]
pub trait AlertSink: Debug + Send + Sync + 'static {
    /// Takes one alert, at least once: in this process or in another one. It may take ten seconds.
    ///
    /// # Errors
    /// [`ChannelError`]; when it is [`Unavailable`](ChannelError::Unavailable) the alert comes again
    /// later, for about a day and a half. It stays in the events and in the app all the same.
    async fn alert(&self, alert: &Alert) -> Result<(), ChannelError>;
}

/// Writes alerts to the log, as errors.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogSink;

#[async_trait]
impl AlertSink for LogSink {
    async fn alert(&self, alert: &Alert) -> Result<(), ChannelError> {
        tracing::error!(
            rule = alert.rule,
            stage = alert.stage.as_str(),
            severity = alert.severity.as_str(),
            message = alert.message,
            "alert"
        );
        Ok(())
    }
}
