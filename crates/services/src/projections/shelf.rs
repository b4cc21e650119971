//! Products as lists show them. An event says only that a product has changed: its rows are looked
//! at again, so an event that comes twice, or late, or in any order does no harm, and many events of
//! one product in a batch are one look.

use std::collections::BTreeSet;

use jangbu_domain::catalog::model::{Product, Sku, State};
use jangbu_engine::port::{By, Col, Fault, Fields, Index, Mode, Read, Reader, Table, WritePlan};
use sha2::{Digest, Sha256};

use crate::bound::Stored;
use crate::catalog::CATEGORY;

/// A product, with what it is listed by.
pub static SHELF: Table = Table {
    rank: 40,
    name: "shelf",
    key: &["product"],
    cols: &[
        Col::int("published"),
        Col::int("merchant"),
        Col::int("category"),
        Col::text("currency"),
        Col::int("price"),
        Col::text("name"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// Which categories stand below which.
pub static CATEGORY_CHILD: Table = Table {
    rank: 41,
    name: "category_child",
    key: &["parent", "id"],
    cols: &[Col::int("depth")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

macro_rules! indexes {
    ($($(#[$doc:meta])* $name:ident: $text:literal $cols:expr;)+) => {
        $($(#[$doc])* pub static $name: Index =
            Index { name: $text, table: &SHELF, cols: &$cols };)+
        /// The indexes of the projections.
        pub const INDEXES: &[&Index] = &[$(&$name),+];
    };
}

indexes! {
    /// All, by age.
    ALL: "shelf_all" ["published"];
    /// All, by price.
    ALL_PRICE: "shelf_all_price" ["published", "currency", "price"];
    /// All, by name.
    ALL_NAME: "shelf_all_name" ["published", "name"];
    /// Those of a merchant, by age.
    MERCHANT: "shelf_merchant" ["merchant", "published"];
    /// Those of a merchant, by price.
    MERCHANT_PRICE: "shelf_merchant_price" ["merchant", "published", "currency", "price"];
    /// Those of a merchant, by name.
    MERCHANT_NAME: "shelf_merchant_name" ["merchant", "published", "name"];
    /// Those of a category, by age.
    CATEGORY_AGE: "shelf_category" ["category", "published"];
    /// Those of a category, by price.
    CATEGORY_PRICE: "shelf_category_price" ["category", "published", "currency", "price"];
    /// Those of a category, by name.
    CATEGORY_NAME: "shelf_category_name" ["category", "published", "name"];
}

/// The number of a merchant.
pub fn merchant(name: &str) -> i64 {
    let digest: [u8; 32] = Sha256::digest(name).into();
    i64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default()) & i64::MAX
}

/// A name as it is compared.
pub fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}

/// Looks at products again.
pub(super) fn look(
    truth: &mut dyn Reader,
    products: &BTreeSet<i64>,
    plan: &mut WritePlan,
) -> Result<(), Fault> {
    let keys = |ids: &mut dyn Iterator<Item = i64>| By::Keys(ids.map(|id| [id, 0, 0]).collect());
    let mut found = Vec::with_capacity(products.len());
    let by = keys(&mut products.iter().copied());
    truth.read(&[Read { table: Product::TABLE, by }], &mut |_, row| {
        found.push((Product::read(row), None));
    })?;
    let by = keys(&mut found.iter().flat_map(|(product, _)| &product.skus).map(|sku| sku.0));
    let mut at = 0;
    truth.read(&[Read { table: Sku::TABLE, by }], &mut |_, row| {
        let sku = Sku::read(row);
        while at < found.len() && !found[at].0.skus.contains(&sku.id) {
            at += 1;
        }
        if let Some((_, lowest)) = found.get_mut(at) {
            let lower =
                lowest.is_none_or(|lowest: jangbu_kernel::Money| sku.price.amount < lowest.amount);
            if lower {
                *lowest = Some(sku.price);
            }
        }
    })?;
    for (product, lowest) in &found {
        let Some(lowest) = lowest else { continue };
        plan.row(&SHELF, Mode::Upsert)
            .int(product.id.0)
            .int(i64::from(product.state == State::Published))
            .int(merchant(&product.merchant))
            .int(product.category.map_or(0, |category| category.0))
            .text(lowest.currency.as_str())
            .int(lowest.amount)
            .text(&folded(&product.name));
    }
    Ok(())
}

/// Looks at categories again.
pub(super) fn look_at_categories(
    truth: &mut dyn Reader,
    categories: &BTreeSet<i64>,
    plan: &mut WritePlan,
) -> Result<(), Fault> {
    let by = By::Keys(categories.iter().map(|id| [*id, 0, 0]).collect());
    truth.read(&[Read { table: &CATEGORY, by }], &mut |_, row| child(row, plan))
}

/// A category as the child of its parent.
pub(super) fn child(row: &dyn Fields, plan: &mut WritePlan) {
    let parent = row.opt_int(1).unwrap_or(0);
    plan.row(&CATEGORY_CHILD, Mode::Upsert).int(parent).int(row.int(0)).int(row.int(4));
}
