use super::string_enum;

/// How a payer's bank took money back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reversal {
    /// The transfer was reversed.
    Reversed,
    /// The card's holder disputes the payment.
    ChargedBack,
}

string_enum!(Reversal {
    Reversed => "reversed",
    ChargedBack => "charged_back",
});
