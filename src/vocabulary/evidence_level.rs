use super::string_enum;

/// How well a payment is proven, from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EvidenceLevel {
    /// Somebody says so.
    Unsigned,
    /// The callback carries a right signature. It holds no amount, and an old
    /// genuine one verifies for ever.
    Signed,
    /// The provider, asked by us, says it is paid: the exact amount, for the right attempt.
    Confirmed,
}

string_enum!(EvidenceLevel {
    Unsigned => "unsigned",
    Signed => "signed",
    Confirmed => "confirmed",
});
