use std::borrow::Cow;

use super::DetectionInput;
use crate::payment::ProviderStatus;
use crate::webhook::Value;

/// A fact of ours. Its name starts with `@`, so that no field of a payload can
/// pass for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    DeclaredMethod,
    ProviderMethod,
    EvidenceLevel,
    Paid,
    Amount,
}

impl Fact {
    pub(super) const NAMES: [&'static str; 5] = [
        "@declared_method",
        "@provider_method",
        "@evidence_level",
        "@paid",
        "@amount",
    ];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "@declared_method" => Self::DeclaredMethod,
            "@provider_method" => Self::ProviderMethod,
            "@evidence_level" => Self::EvidenceLevel,
            "@paid" => Self::Paid,
            "@amount" => Self::Amount,
            _ => return None,
        })
    }

    fn read(self, clues: &DetectionInput<'_>) -> Option<Value<'static>> {
        let evidence = clues.evidence;
        let answer = evidence.confirmation.as_ref();
        Some(match self {
            Self::DeclaredMethod => word(clues.attempt.declared.as_str()),
            Self::ProviderMethod => word(answer?.method?.as_str()),
            Self::EvidenceLevel => word(evidence.evidence_level.as_str()),
            Self::Paid => Value::Bool(
                answer.is_some_and(|answer| answer.status == ProviderStatus::Paid)
                    || clues
                        .notification
                        .is_some_and(|callback| callback.status() == ProviderStatus::Paid),
            ),
            Self::Amount => Value::Integer(evidence.stated?.minor()),
        })
    }
}

fn word(word: &'static str) -> Value<'static> {
    Value::Text(Cow::Borrowed(word))
}

/// Where a rule looks, resolved when the rules are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Fact(Fact),
    Payload(String),
}

impl Field {
    /// `None` for a name that starts with `@` and is no fact.
    pub(super) fn named(name: &str) -> Option<Self> {
        if name.starts_with('@') {
            Fact::named(name).map(Self::Fact)
        } else {
            Some(Self::Payload(name.to_owned()))
        }
    }

    /// Whether it is told by the provider, rather than declared by the learner or known here.
    pub(super) fn is_seen(&self) -> bool {
        match self {
            Self::Payload(_) => true,
            Self::Fact(kind) => *kind == Fact::ProviderMethod,
        }
    }

    pub(super) fn read<'a>(&self, clues: &DetectionInput<'a>) -> Option<Value<'a>> {
        match self {
            Self::Fact(kind) => kind.read(clues),
            Self::Payload(name) => clues.notification?.field(name),
        }
    }
}
