//! Money: integer minor units with a currency. Arithmetic is checked; there are no floats.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 code, three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

/// Currencies with another exponent than 2 (ISO 4217). What is not listed here and is not one of
/// [`TWO`] is refused at the edge.
const OTHER: [(&[u8; 3], u8); 16] = [
    (b"BIF", 0),
    (b"CLP", 0),
    (b"ISK", 0),
    (b"JPY", 0),
    (b"KRW", 0),
    (b"PYG", 0),
    (b"UGX", 0),
    (b"VND", 0),
    (b"XAF", 0),
    (b"XOF", 0),
    (b"XPF", 0),
    (b"BHD", 3),
    (b"JOD", 3),
    (b"KWD", 3),
    (b"OMR", 3),
    (b"TND", 3),
];

/// Currencies with two decimals that a shop meets.
const TWO: [&[u8; 3]; 30] = [
    b"AED", b"AUD", b"BRL", b"CAD", b"CHF", b"CNY", b"CZK", b"DKK", b"EUR", b"GBP", b"HKD", b"HUF",
    b"IDR", b"ILS", b"INR", b"MXN", b"MYR", b"NOK", b"NZD", b"PHP", b"PLN", b"QAR", b"RON", b"SAR",
    b"SEK", b"SGD", b"THB", b"TRY", b"TWD", b"USD",
];

impl Currency {
    /// The Korean won, the demo's currency.
    pub const KRW: Self = Self(*b"KRW");

    /// Parses a known ISO code; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        let known = TWO.contains(&&code) || OTHER.iter().any(|(c, _)| **c == code);
        known.then_some(Self(code))
    }

    /// Every known code, in no particular order.
    pub fn all() -> impl Iterator<Item = Self> {
        OTHER.iter().map(|(code, _)| **code).chain(TWO.iter().map(|code| **code)).map(Self)
    }

    /// Number of decimals of the minor unit: 0 for KRW, 2 for USD, 3 for KWD.
    pub fn exponent(self) -> u8 {
        OTHER.iter().find(|(c, _)| **c == self.0).map_or(2, |(_, e)| *e)
    }

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// The code as bytes, for fixed-size records.
    pub fn bytes(self) -> [u8; 3] {
        self.0
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in the minor units of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: won, cents.
    pub amount: i64,
    /// Their currency.
    pub currency: Currency,
}

impl Money {
    /// The largest amount that one order or payment may carry: 10^15 minor units, so that sums
    /// over any number of rows that fit in a store cannot overflow an i64 unnoticed.
    pub const MAX: i64 = 1_000_000_000_000_000;

    /// `amount` minor units of `currency`.
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Price times quantity, `None` when it leaves `0..=MAX`.
    pub fn times(unit: i64, quantity: i64) -> Option<i64> {
        unit.checked_mul(quantity).filter(|v| (0..=Self::MAX).contains(v))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_has_its_iso_exponent_and_unknown_ones_are_refused() {
        let exponent = |code| Currency::parse(code).map(Currency::exponent);
        assert_eq!(
            ["KRW", "USD", "KWD", "krw", "XXX", "KRWX", ""].map(exponent),
            [Some(0), Some(2), Some(3), None, None, None, None]
        );
    }

    #[test]
    fn price_times_quantity_never_overflows() {
        assert_eq!(Money::times(12_000, 3), Some(36_000));
        assert_eq!(Money::times(i64::MAX, 2), None);
        assert_eq!(Money::times(Money::MAX, 2), None);
        assert_eq!(Money::times(1, -1), None);
    }
}
