//! The rows of catalog.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::{Appends, CategoryId, Money, ProductId, SkuId, Time, coded, rows};

use super::category::Category;
use super::code::{CodeKey, SkuCode};
use super::option::Option as ProductOption;

/// The rows that catalog owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Categories.
    pub category: rows::Rows<CategoryId, Category>,
    /// Products.
    pub product: rows::Rows<ProductId, Product>,
    /// SKUs of all products.
    pub sku: rows::Rows<SkuId, Sku>,
    /// Which SKU a merchant's code means.
    pub code: rows::Rows<CodeKey, SkuCode>,
    /// What SKUs have cost since when.
    pub price: Appends<PriceKey, Price>,
}

coded! {
    /// Whether a product can be bought.
    State {
        /// Not yet, or not any more.
        Draft = 1 "DRAFT",
        /// Yes.
        Published = 2 "PUBLISHED",
    }
}

/// Something a merchant sells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its id, the key of its row.
    pub id: ProductId,
    /// Who sells it.
    pub merchant: Arc<str>,
    /// What it is called.
    pub name: Box<str>,
    /// Whether it can be bought.
    pub state: State,
    /// Its SKUs, in the order in which they were given.
    pub skus: Vec<SkuId>,
    /// When it was made.
    pub at: Time,
    /// What it is.
    pub description: Box<str>,
    /// Where it stands.
    pub category: Option<CategoryId>,
    /// In what its SKUs differ.
    pub options: Vec<ProductOption>,
    /// Which value of each option each SKU has: as long as `skus`, or empty without options.
    pub choices: Vec<Vec<u16>>,
}

/// One variant of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sku {
    /// Its id, the key of its row.
    pub id: SkuId,
    /// Its product.
    pub product: ProductId,
    /// Variant name.
    pub name: Box<str>,
    /// What one costs.
    pub price: Money,
    /// How often the price was set; 1 at the start.
    pub price_version: i64,
    /// What its merchant calls it.
    pub code: Option<Box<str>>,
    /// Prices to come, the next one first, each at a moment of its own.
    pub planned: Vec<Planned>,
}

impl Sku {
    /// When the next price is due: the row's timer.
    pub fn next_at(&self) -> Option<Time> {
        self.planned.first().map(|next| next.from)
    }
}

/// A price to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// From when.
    pub from: Time,
    /// In the currency of the SKU.
    pub amount: i64,
}

/// The key of a row of the price history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceKey {
    /// Of which SKU.
    pub sku: SkuId,
    /// Its version; 1, 2, 3, …
    pub version: i64,
}

/// What a SKU has cost from a moment until the next version's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// From when; 0 for what was set before histories were kept.
    pub from: Time,
    /// In the currency of the SKU.
    pub amount: i64,
}
