//! What order knows of the goods it sells.

use std::sync::Arc;

use jangbu_kernel::Currency;
use serde::{Deserialize, Serialize};

/// What order knows of a SKU: its own projection of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Who sells it.
    pub merchant: Arc<str>,
    /// The price's currency.
    pub currency: Currency,
    /// What one costs.
    pub price: i64,
    /// Whether it can be ordered.
    pub on_sale: bool,
    /// Grows with each change; an older one is ignored.
    pub price_version: i64,
}
