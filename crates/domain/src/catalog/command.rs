//! What catalog can be asked, what it answers, why it refuses, what it states.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{CategoryId, Money, ProductId, SkuId, Time, UnitId};

use super::category::Category;
use super::import::{Entry, Verdict};
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
    /// What its merchant calls it; unique among the merchant's codes.
    pub code: Option<Box<str>>,
    /// A value for each option of the product, in their order.
    pub values: Vec<Box<str>>,
}

impl NewSku {
    /// One without a code, of a product without options.
    pub fn new(sku: SkuId, name: &str, price: Money) -> Self {
        Self { sku, name: name.into(), price, code: None, values: Vec::new() }
    }
}

/// What a product may have besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it is.
    pub description: Box<str>,
    /// Where it stands.
    pub category: Option<CategoryId>,
    /// Names of the options in which its SKUs differ.
    pub options: Vec<Box<str>>,
}

/// What becomes of the place of a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// It stays where it is.
    #[default]
    Stays,
    /// It stands in no category any more.
    Nowhere,
    /// It moves to this category.
    In(CategoryId),
}

/// What of a product changes; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its name.
    pub name: Option<Box<str>>,
    /// Its description.
    pub description: Option<Box<str>>,
    /// Its category.
    pub category: Place,
}

/// What catalog can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Make a product with its SKUs; `publish` puts it on sale at once.
    Create {
        product: ProductId,
        merchant: Arc<str>,
        name: Box<str>,
        about: About,
        skus: Vec<NewSku>,
        publish: bool,
    },
    /// Put it on sale.
    Publish { product: ProductId },
    /// Take it off sale. Orders placed before are not concerned.
    Unpublish { product: ProductId },
    /// Change what it is called and where it stands.
    Update { product: ProductId, change: Change },
    /// Add SKUs to a product of `merchant`.
    Extend { product: ProductId, merchant: Arc<str>, skus: Vec<NewSku> },
    /// Change what one costs. Orders placed before keep their price.
    SetPrice { sku: SkuId, price: Money },
    /// Change what one costs from a moment on.
    PlanPrice { sku: SkuId, price: Money, from: Time },
    /// Forget the price that was to be from a moment on.
    UnplanPrice { sku: SkuId, from: Time },
    /// The timer: a planned price is due.
    Ripen { sku: SkuId },
    /// Make a category; `category` is the [`id_of`](super::category::id_of) its place. Without a
    /// name it is called as its code, and whatever it is called, it is found.
    CreateCategory {
        category: CategoryId,
        parent: Option<CategoryId>,
        code: Box<str>,
        name: Option<Box<str>>,
    },
    /// Give a category another name.
    RenameCategory { category: CategoryId, name: Box<str> },
    /// Bring products to what a file says: all entries, or none.
    Import { entries: Vec<Entry> },
    /// Say what [`Command::Import`] would do. Always refused, so that nothing changes.
    Rehearse { entries: Vec<Entry> },
}

/// Something as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A product.
    Product {
        /// The product.
        product: Product,
        /// Its SKUs, in the product's order; after a command for one SKU that SKU alone.
        skus: Vec<Sku>,
    },
    /// A category.
    Category {
        /// Its id.
        id: CategoryId,
        /// The category.
        category: Category,
    },
    /// Everything is as the file says.
    Imported,
}

/// Why catalog refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// A name or merchant is empty or longer than 200 characters.
    NameInvalid,
    /// A description has more than 4,000 characters.
    DescriptionInvalid,
    /// A price below 0 or above the limit.
    PriceInvalid,
    /// A product needs 1 to 100 SKUs.
    SkuCountInvalid,
    /// The SKUs of a product share one currency, and a SKU keeps its own.
    CurrencyMixed,
    /// Options, or the values of a SKU, that do not fit.
    OptionsInvalid,
    /// Two SKUs of a product would have the same values.
    VariantTaken,
    /// A code that is none.
    SkuCodeInvalid,
    /// The merchant has another SKU of that code.
    SkuCodeTaken,
    /// A code or a parent that a category cannot have.
    CategoryInvalid,
    /// A sixth level.
    CategoryTooDeep,
    /// There is no such category.
    CategoryUnknown,
    /// Twenty prices of the SKU wait already.
    PricePlansFull,
    /// There is no such product.
    ProductUnknown,
    /// There is no such SKU.
    SkuUnknown,
    /// The id, or that of a SKU, is in use for something else; or the rows of one product in a
    /// file are of several.
    ProductDiffers,
    /// A file publishes or hides a product, and lacks some of its SKUs.
    SkusMissing,
    /// What an import did not do, or what it would do.
    Import(Vec<Verdict>),
    /// The category is there, and is called otherwise.
    CategoryNamed {
        /// Which.
        category: CategoryId,
        /// What it is called.
        name: Box<str>,
    },
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::NameInvalid => "NAME_INVALID",
            Self::DescriptionInvalid => "DESCRIPTION_INVALID",
            Self::PriceInvalid => "PRICE_INVALID",
            Self::SkuCountInvalid => "SKU_COUNT_INVALID",
            Self::CurrencyMixed => "CURRENCY_MIXED",
            Self::OptionsInvalid => "OPTIONS_INVALID",
            Self::VariantTaken => "VARIANT_TAKEN",
            Self::SkuCodeInvalid => "SKU_CODE_INVALID",
            Self::SkuCodeTaken => "SKU_CODE_TAKEN",
            Self::CategoryInvalid => "CATEGORY_INVALID",
            Self::CategoryTooDeep => "CATEGORY_TOO_DEEP",
            Self::CategoryUnknown => "CATEGORY_UNKNOWN",
            Self::PricePlansFull => "PRICE_PLANS_FULL",
            Self::ProductUnknown => "PRODUCT_UNKNOWN",
            Self::SkuUnknown => "SKU_UNKNOWN",
            Self::ProductDiffers => "PRODUCT_DIFFERS",
            Self::SkusMissing => "SKUS_MISSING",
            Self::Import(_) => "IMPORT_REFUSED",
            Self::CategoryNamed { .. } => "CATEGORY_EXISTS",
        }
    }
}

/// The offer of one SKU as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its product.
    pub product: ProductId,
    /// The SKU.
    pub sku: SkuId,
    /// Who sells it.
    pub merchant: Arc<str>,
    /// What one costs.
    pub price: Money,
    /// Whether it can be ordered.
    pub on_sale: bool,
    /// Which of its prices this is.
    pub price_version: i64,
}

/// What catalog states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// SKUs were made, put on or off sale, or got another price.
    Offered(Vec<Offered>),
    /// What a product is called, what it is, where it stands, or which prices wait has changed.
    Edited {
        /// The product.
        product: ProductId,
        /// Its name now.
        name: Box<str>,
        /// Its category now.
        category: Option<CategoryId>,
    },
    /// A category was made or renamed.
    Categorised {
        /// Its id.
        id: CategoryId,
        /// The category.
        category: Category,
    },
    /// SKUs that were made have a first stock.
    Stocked(Vec<(SkuId, i64)>),
}
