//! The rows of catalog.

use std::sync::Arc;

use jangbu_kernel::{Money, ProductId, SkuId, Time, coded, rows};

/// The rows that catalog owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Products.
    pub product: rows::Rows<ProductId, Product>,
    /// SKUs of all products.
    pub sku: rows::Rows<SkuId, Sku>,
}

coded! {
    /// Whether a product can be bought.
    State {
        /// Not yet.
        Draft = 1 "DRAFT",
        /// Yes.
        Published = 2 "PUBLISHED",
    }
}

/// Something a merchant sells.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}

/// One variant of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}
