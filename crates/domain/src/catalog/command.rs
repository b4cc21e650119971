//! What catalog can be asked, what it answers, why it refuses, what it states.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Money, ProductId, SkuId, UnitId};

use super::model::{Product, Sku};

/// Where catalog's commands go.
pub const UNIT: UnitId = UnitId("catalog");

/// A SKU to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSku {
    /// Its id, minted at the edge.
    pub sku: SkuId,
    /// Variant name, such as `M / black`.
    pub name: Box<str>,
    /// What one costs.
    pub price: Money,
}

/// What catalog can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Make a product with its SKUs; `publish` puts it on sale at once.
    Create {
        product: ProductId,
        merchant: Arc<str>,
        name: Box<str>,
        skus: Vec<NewSku>,
        publish: bool,
    },
    /// Put it on sale.
    Publish { product: ProductId },
    /// Change what one costs. Orders placed before keep their price.
    SetPrice { sku: SkuId, price: Money },
}

/// The product as it is now, with its SKUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The product.
    pub product: Product,
    /// Its SKUs, in the product's order; after [`Command::SetPrice`] that SKU alone.
    pub skus: Vec<Sku>,
}

/// Why catalog refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// A name or merchant is empty or longer than 200 characters.
    NameInvalid,
    /// A price below 0 or above the limit.
    PriceInvalid,
    /// A product needs 1 to 100 SKUs.
    SkuCountInvalid,
    /// The SKUs of a product share one currency, and a SKU keeps its own.
    CurrencyMixed,
    /// There is no such product.
    ProductUnknown,
    /// There is no such SKU.
    SkuUnknown,
    /// The id, or that of a SKU, is in use for something else.
    ProductDiffers,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::NameInvalid => "NAME_INVALID",
            Self::PriceInvalid => "PRICE_INVALID",
            Self::SkuCountInvalid => "SKU_COUNT_INVALID",
            Self::CurrencyMixed => "CURRENCY_MIXED",
            Self::ProductUnknown => "PRODUCT_UNKNOWN",
            Self::SkuUnknown => "SKU_UNKNOWN",
            Self::ProductDiffers => "PRODUCT_DIFFERS",
        }
    }
}

/// What catalog states: the offer of one SKU as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A SKU was made, put on sale or got another price.
    Offered {
        product: ProductId,
        sku: SkuId,
        merchant: Arc<str>,
        price: Money,
        on_sale: bool,
        price_version: i64,
    },
}
