//! Catalog: what is sold, by whom, for how much.
//!
//! A product belongs to a merchant and has 1 to 100 SKUs, each with a price. What others know of
//! it they learn from [`command::Event::Offered`], one per SKU.
//!
//! ```text
//!            Create              Publish
//!   (none) ──────────▶ DRAFT ──────────────▶ PUBLISHED     SetPrice: at any time
//!      └───Create, publish──────────────────────▲
//! ```
//!
//! Invariants, pinned by `tests`:
//!
//! 1. A product's list of SKUs never changes, and each of them names the product.
//! 2. All SKUs of a product share one currency, for ever; prices are in `0..=Money::MAX`.
//! 3. `price_version` counts from 1 and grows by one with each change of the price, so a reader
//!    can tell an old offer from a new one.
//! 4. Whenever a price or a state changes, every SKU it concerns is offered anew in that commit.
//! 5. What was carried out is answered again and changes nothing. A repeated answer shows the
//!    product as it is now.

pub mod command;
pub mod decide;
pub mod model;

#[cfg(test)]
mod tests;

/// The bounded context of products and prices.
#[derive(Clone, Copy, Debug)]
pub struct Catalog;
