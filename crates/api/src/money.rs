//! Money at the edge: minor units and a three-letter currency.

use std::borrow::Cow;

use jangbu_kernel::{Currency, Money};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// `{"amount": 12000, "currency": "KRW"}`, as sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoneyIn<'a> {
    amount: i64,
    #[serde(borrow)]
    currency: Cow<'a, str>,
}

impl MoneyIn<'_> {
    /// The money, or a problem that names the field below `field`. Amounts out of range are
    /// refused here; what is too much for a price is the domain's business.
    pub(crate) fn read(&self, field: &str) -> Result<Money, Problem> {
        let currency = currency(&self.currency, &format_args!("{field}.currency"))?;
        if !(0..=Money::MAX).contains(&self.amount) {
            let message = format!("must be 0 to {}", Money::MAX);
            return Err(Problem::field(&format!("{field}.amount"), message));
        }
        Ok(Money::new(self.amount, currency))
    }
}

/// A currency that this shop knows.
pub(crate) fn currency(text: &str, field: &dyn std::fmt::Display) -> Result<Currency, Problem> {
    Currency::parse(text).ok_or_else(|| {
        Problem::field(&field.to_string(), "must be an ISO 4217 code that is known, such as KRW")
    })
}

/// Money as answered.
#[derive(Debug, Serialize)]
pub(crate) struct MoneyOut {
    amount: i64,
    #[serde(serialize_with = "crate::text::shown::one")]
    currency: Currency,
}

impl MoneyOut {
    pub(crate) const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }
}

impl From<Money> for MoneyOut {
    fn from(money: Money) -> Self {
        Self::new(money.amount, money.currency)
    }
}
