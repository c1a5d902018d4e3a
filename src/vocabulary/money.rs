//! Exact sums in minor units. No float ever touches an amount.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Largest sum accepted, in minor units: one thousand million rand. Anything
/// above it is a mistake or an attack, not a course fee.
pub const MAX_MINOR: i64 = 100_000_000_000;

/// Why a number was refused as a sum of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Zero is not a payment; give free access with a grant instead.
    #[error("the amount is zero; give free access with a grant instead")]
    Zero,
    /// A payment is never negative.
    #[error("the amount is negative")]
    Negative,
    /// More than [`MAX_MINOR`].
    #[error("the amount is above the limit of {MAX_MINOR} minor units")]
    TooLarge,
    /// Not an ISO 4217 alphabetic code.
    #[error("a currency is three upper-case letters, such as ZAR")]
    BadCurrency,
}

/// An ISO 4217 currency code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// South African rand, the only currency iKhokha settles.
    pub const ZAR: Self = Self(*b"ZAR");

    /// Checks a three-letter code.
    ///
    /// # Errors
    /// [`MoneyError::BadCurrency`] unless it is three upper-case ASCII letters.
    pub fn new(code: &str) -> Result<Self, MoneyError> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(MoneyError::BadCurrency),
        }
    }

    /// The code as text.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(code: String) -> Result<Self, MoneyError> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

/// A sum: 1 to [`MAX_MINOR`] minor units (cents) of one currency.
///
/// ```
/// use coursegate::Money;
///
/// let price = Money::zar(49_900)?; // cents
/// assert_eq!(price.minor(), 49_900);
/// assert!(Money::zar(-1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// A sum in rand, given in cents.
    ///
    /// # Errors
    /// [`MoneyError`] for zero, a negative number or one above [`MAX_MINOR`].
    pub fn zar(cents: i64) -> Result<Self, MoneyError> {
        Self::new(cents, Currency::ZAR)
    }

    /// A sum in minor units of a currency.
    ///
    /// # Errors
    /// [`MoneyError`] for zero, a negative number or one above [`MAX_MINOR`].
    pub fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        match minor {
            0 => Err(MoneyError::Zero),
            i64::MIN..0 => Err(MoneyError::Negative),
            1..=MAX_MINOR => Ok(Self { minor, currency }),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// The sum in minor units (cents).
    pub fn minor(&self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}.{:02}",
            self.currency,
            self.minor / 100,
            self.minor % 100
        )
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<Wire> for Money {
    type Error = MoneyError;
    fn try_from(wire: Wire) -> Result<Self, MoneyError> {
        Self::new(wire.minor, wire.currency)
    }
}

impl From<Money> for Wire {
    fn from(money: Money) -> Self {
        Self {
            minor: money.minor,
            currency: money.currency,
        }
    }
}
