use super::metadata::MetadataFields;
use super::rule::{Condition, Fallback, Operand, Rule, RuleSet, Thresholds};
use crate::payment::PaymentMethod;

impl RuleSet {
    /// The standard rules. On iKhokha's own four-field callback they rest on what
    /// the learner declared and on the payment being verified as paid; card and
    /// bank fields count when a provider sends them.
    pub fn standard() -> Self {
        let card = |id, field, condition, value, weight| {
            rule(id, PaymentMethod::Card, field, condition, value, weight)
        };
        let eft = |id, field, condition, value, weight| {
            rule(
                id,
                PaymentMethod::InstantEft,
                field,
                condition,
                value,
                weight,
            )
        };
        let bank = |id, field, condition, value, weight| {
            rule(
                id,
                PaymentMethod::BankTransfer,
                field,
                condition,
                value,
                weight,
            )
        };
        Self {
            version: "standard-1".to_owned(),
            thresholds: Thresholds::default(),
            fallback: Fallback::default(),
            rules: vec![
                card(
                    "declared-card",
                    "@declared_method",
                    Condition::Equals,
                    Some("card"),
                    0.85,
                ),
                eft(
                    "declared-eft",
                    "@declared_method",
                    Condition::Equals,
                    Some("instant_eft"),
                    0.85,
                ),
                bank(
                    "declared-bank-transfer",
                    "@declared_method",
                    Condition::Equals,
                    Some("bank_transfer"),
                    0.85,
                ),
                // Required, and next to weightless: it rules a card out, and never in.
                Rule {
                    required: true,
                    value: Some(Operand::Bool(true)),
                    ..card("card-is-paid", "@paid", Condition::Equals, None, 0.001)
                },
                card(
                    "provider-says-card",
                    "@provider_method",
                    Condition::Equals,
                    Some("card"),
                    0.95,
                ),
                eft(
                    "provider-says-eft",
                    "@provider_method",
                    Condition::Equals,
                    Some("instant_eft"),
                    0.95,
                ),
                card(
                    "payload-method-card",
                    "paymentMethod",
                    Condition::Contains,
                    Some("card"),
                    0.90,
                ),
                eft(
                    "payload-method-eft",
                    "paymentMethod",
                    Condition::Contains,
                    Some("eft"),
                    0.90,
                ),
                card(
                    "payload-card-brand",
                    "cardBrand",
                    Condition::Exists,
                    None,
                    0.60,
                ),
                card(
                    "payload-card-digits",
                    "cardLastFour",
                    Condition::Exists,
                    None,
                    0.60,
                ),
                card(
                    "payload-auth-code",
                    "authCode",
                    Condition::Exists,
                    None,
                    0.50,
                ),
                eft(
                    "payload-bank-name",
                    "bankName",
                    Condition::Exists,
                    None,
                    0.70,
                ),
                eft(
                    "payload-bank-reference",
                    "bankReference",
                    Condition::Exists,
                    None,
                    0.50,
                ),
            ],
            metadata: MetadataFields::default(),
        }
    }
}

fn rule(
    id: &str,
    method: PaymentMethod,
    field: &str,
    condition: Condition,
    value: Option<&str>,
    weight: f64,
) -> Rule {
    Rule {
        id: id.to_owned(),
        method,
        field: field.to_owned(),
        condition,
        value: value.map(|text| Operand::Text(text.to_owned())),
        weight,
        required: false,
        ignore_case: true,
    }
}
