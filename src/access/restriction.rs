use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::context::RequestContext;
use super::denial::{DenyReason, RestrictionKind};
use super::network::Network;

/// What narrows a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Restriction {
    /// Only between two moments; the second is excluded.
    Time {
        /// From when.
        from: Option<DateTime<Utc>>,
        /// Until when.
        until: Option<DateTime<Utc>>,
    },
    /// Only from these devices, by the host's device id.
    Device(BTreeSet<String>),
    /// Only from these networks.
    Ip(Vec<Network>),
    /// Only these features, by the host's feature name.
    Feature(BTreeSet<String>),
    /// One that this version does not know, kept as it was stored. It denies.
    Unknown(Value),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", deny_unknown_fields)]
enum Known {
    Time {
        from: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    },
    Device {
        allowed: BTreeSet<String>,
    },
    Ip {
        allowed: Vec<Network>,
    },
    Feature {
        allowed: BTreeSet<String>,
    },
}

impl Serialize for Restriction {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            Self::Time { from, until } => Known::Time { from, until }.serialize(out),
            Self::Device(allowed) => Known::Device { allowed }.serialize(out),
            Self::Ip(allowed) => Known::Ip { allowed }.serialize(out),
            Self::Feature(allowed) => Known::Feature { allowed }.serialize(out),
            Self::Unknown(value) => value.serialize(out),
        }
    }
}

impl<'de> Deserialize<'de> for Restriction {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(input)?;
        Ok(match Known::deserialize(&value) {
            Ok(Known::Time { from, until }) => Self::Time { from, until },
            Ok(Known::Device { allowed }) => Self::Device(allowed),
            Ok(Known::Ip { allowed }) => Self::Ip(allowed),
            Ok(Known::Feature { allowed }) => Self::Feature(allowed),
            Err(_) => Self::Unknown(value),
        })
    }
}

impl Restriction {
    /// Whether it lets everything through that another one lets through.
    pub(super) fn is_no_narrower_than(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Time { from, until },
                Self::Time {
                    from: from_there,
                    until: until_there,
                },
            ) => {
                from.is_none_or(|from| from_there.is_some_and(|there| from <= there))
                    && until.is_none_or(|until| until_there.is_some_and(|there| there <= until))
            }
            (Self::Device(mine), Self::Device(others))
            | (Self::Feature(mine), Self::Feature(others)) => others.is_subset(mine),
            (Self::Ip(mine), Self::Ip(others)) => others
                .iter()
                .all(|other| mine.iter().any(|network| network.holds(other))),
            (Self::Unknown(mine), Self::Unknown(other)) => mine == other,
            (
                Self::Time { .. }
                | Self::Device(_)
                | Self::Feature(_)
                | Self::Ip(_)
                | Self::Unknown(_),
                _,
            ) => false,
        }
    }

    /// Whether it lets this request through. What the context leaves out is not
    /// assumed: it denies.
    pub(super) fn check(
        &self,
        context: &RequestContext,
        now: DateTime<Utc>,
    ) -> Result<(), DenyReason> {
        let admit = |admitted: bool, what| {
            if admitted {
                Ok(())
            } else {
                Err(DenyReason::Restricted { what })
            }
        };
        match self {
            Self::Time { from, until } => admit(
                from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until),
                RestrictionKind::Time,
            ),
            Self::Device(allowed) => admit(
                context
                    .device
                    .as_ref()
                    .is_some_and(|device| allowed.contains(device)),
                RestrictionKind::Device,
            ),
            Self::Ip(allowed) => admit(
                context
                    .ip
                    .is_some_and(|ip| allowed.iter().any(|network| network.contains(ip))),
                RestrictionKind::Ip,
            ),
            Self::Feature(allowed) => admit(
                context
                    .feature
                    .as_ref()
                    .is_some_and(|feature| allowed.contains(feature)),
                RestrictionKind::Feature,
            ),
            Self::Unknown(_) => Err(DenyReason::UnknownRestriction),
        }
    }
}
