//! The rows of catalog.

use std::sync::Arc;

use jangbu_kernel::{Money, ProductId, SkuId, Time, rows};

/// The rows that catalog owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Products.
    pub product: rows::Rows<ProductId, Product>,
    /// SKUs of all products.
    pub sku: rows::Rows<SkuId, Sku>,
}

/// Whether a product can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet.
    Draft,
    /// Yes.
    Published,
}

impl State {
    /// The number in the store.
    pub const fn code(self) -> i64 {
        match self {
            Self::Draft => 1,
            Self::Published => 2,
        }
    }

    /// The state of a number in the store.
    pub const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Draft),
            2 => Some(Self::Published),
            _ => None,
        }
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
