//! A channel that leaves the app: here it only prints, yours would send mail.

use coursegate::ChannelName;
use coursegate::port::{ChannelError, Message, NotificationChannel, Recipient};

#[derive(Debug)]
pub struct Console;

#[async_trait::async_trait]
impl NotificationChannel for Console {
    fn name(&self) -> ChannelName {
        // A name that is known to be one.
        ChannelName::new("console").unwrap_or_else(|_| ChannelName::in_app())
    }

    fn reaches_learners(&self) -> bool {
        true
    }

    async fn send(&self, notification: &Message) -> Result<(), ChannelError> {
        let who = match &notification.to {
            Recipient::Admin(_) => "an admin",
            _ => "the learner",
        };
        eprintln!("To {who}: {}", notification.notice.headline());
        Ok(())
    }
}
