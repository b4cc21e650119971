//! Catalog: what is sold, by whom, where it stands, for how much and from when.
//!
//! A product belongs to a merchant and has 1 to 100 SKUs, each with a price. Its options say in
//! what the SKUs differ. What others know of a SKU they learn from
//! [`command::Event::Offered`].
//!
//! ```text
//!            Create              Publish
//!   (none) ──────────▶ DRAFT ──────────────▶ PUBLISHED     SetPrice, Update, Extend: at any time
//!      │                 ▲────────────────────  ▲
//!      │                       Unpublish        │
//!      └───Create, publish──────────────────────┘
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `option` | options, and which of their values each SKU has |
//! | `price` | prices: now, before, planned |
//! | `category` | the tree in which products stand |
//! | `code` | what merchants call their SKUs |
//! | `import` | products as a file has them |
//!
//! Invariants, pinned by `tests`:
//!
//! 1. A product's list of SKUs only grows, and each of them names the product.
//! 2. All SKUs of a product share one currency, for ever; prices are in `0..=Money::MAX`.
//! 3. `price_version` counts from 1 and grows by one with each change of the price, so a reader
//!    can tell an old offer from a new one. Each version is a row of the history.
//! 4. Whenever a price or a state changes, every SKU it concerns is offered anew in that commit.
//! 5. What was carried out is answered again and changes nothing. A repeated answer shows the
//!    product as it is now.
//! 6. A product with options has one choice of values for each SKU, and no two alike.
//! 7. A category has its place for ever: the tree has no cycles and at most five levels.
//! 8. A merchant's code means one SKU, for ever.
//! 9. Planned prices stand in the order of their moments, and the first is the row's timer.

pub mod category;
pub mod code;
pub mod command;
pub mod decide;
pub mod import;
pub mod model;
pub mod option;
pub mod price;

#[cfg(test)]
mod tests;

/// The bounded context of products and prices.
#[derive(Clone, Copy, Debug)]
pub struct Catalog;
