use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::callback::Callback;
use super::settings::Settings;
use crate::vocabulary::{PayLinkId, string_enum};

/// What the payer does on the hosted page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Choice {
    /// Pays by card.
    Card,
    /// Pays by instant EFT.
    InstantEft,
    /// The bank declines; the link stays payable.
    Decline,
    /// Goes back without paying.
    Cancel,
}

string_enum!(Choice {
    Card => "card",
    InstantEft => "eft",
    Decline => "decline",
    Cancel => "cancel",
});

/// A pay link. It never expires, and is payable until it is paid.
pub(super) struct Link {
    pub(super) id: PayLinkId,
    pub(super) reference: String,
    pub(super) amount: i64,
    pub(super) description: String,
    pub(super) callback_url: String,
    /// Its path as signed.
    pub(super) callback_path: String,
    pub(super) success_url: String,
    pub(super) failure_url: String,
    pub(super) cancel_url: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) paid: Option<Choice>,
    /// Whether a payment failed; it stays payable.
    pub(super) has_failed: bool,
    /// The newest callback about it, lost ones included.
    pub(super) last_callback: Option<Callback>,
    /// Cents that went back.
    pub(super) refunded: i64,
    /// Until when the status look-up does not know of the payment.
    pub(super) unseen_until: Option<DateTime<Utc>>,
    /// The amount the status look-up states.
    pub(super) stated_amount: i64,
}

impl Link {
    pub(super) fn status(&self, settings: &Settings, now: DateTime<Utc>) -> Value {
        let is_seen = self.unseen_until.is_none_or(|until| until <= now);
        let failed_word = settings
            .failed_status_word
            .as_ref()
            .filter(|_| self.has_failed);
        let word = match self.paid {
            Some(_) if is_seen => "PAID",
            _ => failed_word.unwrap_or(&settings.unpaid_word),
        };
        json!({
            "paylinkID": self.id,
            "status": word,
            "createdAt": self.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "amount": self.stated_amount,
            "description": self.description,
        })
    }
}
