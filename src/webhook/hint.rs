use serde::Deserialize;

use super::delivery::Delivery;
use crate::vocabulary::PaymentReference;

/// All that is read of a delivery whose signature is wrong. It proves nothing, and there is
/// no way from here to a [`ProviderEvent`](super::ProviderEvent).
#[derive(Deserialize)]
struct Hint {
    #[serde(rename = "externalTransactionID")]
    reference: Option<String>,
}

/// The reference that an unverified delivery names: good for asking the provider about it,
/// and for nothing else.
pub(crate) fn hinted_reference(delivery: &Delivery) -> Option<PaymentReference> {
    let hint: Hint = serde_json::from_slice(delivery.body()).ok()?;
    PaymentReference::new(hint.reference?).ok()
}
