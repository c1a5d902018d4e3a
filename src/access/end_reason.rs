use crate::vocabulary::string_enum;

/// Why a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EndReason {
    /// Its time was over.
    Expired,
    /// An admin took it back.
    Revoked,
    /// Its payment was given back.
    Refunded,
    /// Its payment was taken back by the payer's bank, for good.
    Reversed,
    /// The learner left.
    Withdrawn,
    /// It was provisional while a decision was pending, and the decision was made.
    Decided,
}

string_enum!(EndReason {
    Expired => "expired",
    Revoked => "revoked",
    Refunded => "refunded",
    Reversed => "reversed",
    Withdrawn => "withdrawn",
    Decided => "decided",
});
