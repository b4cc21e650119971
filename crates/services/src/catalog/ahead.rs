//! What will probably follow from a command of catalog: order learns offers, and inventory the first
//! stock of new SKUs.

use std::sync::Arc;

use jangbu_domain::catalog::code::CodeKey;
use jangbu_domain::catalog::command::{Command, NewSku};
use jangbu_domain::catalog::import::{By, Entry, Item};
use jangbu_domain::catalog::model::Rows;
use jangbu_domain::inventory::command as inventory;
use jangbu_domain::order::command as order;
use jangbu_domain::order::model::Offer;
use jangbu_engine::unit::Hints;
use jangbu_kernel::{Currency, ProductId, SkuId};

/// Names it.
pub(super) fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
    match command {
        Command::Create { skus, .. } => learn(new(skus), hints),
        Command::Extend { product, skus, .. } => {
            learn(new(skus).chain(all_of(*product, rows)), hints);
        }
        Command::Publish { product } | Command::Unpublish { product } => {
            learn(all_of(*product, rows), hints);
        }
        Command::SetPrice { sku, .. }
        | Command::PlanPrice { sku, .. }
        | Command::UnplanPrice { sku, .. }
        | Command::Ripen { sku } => learn([*sku].into_iter(), hints),
        Command::Import { entries } => imported(entries, rows, hints),
        Command::Update { .. }
        | Command::CreateCategory { .. }
        | Command::RenameCategory { .. }
        | Command::Rehearse { .. } => {}
    }
}

fn new(skus: &[NewSku]) -> impl Iterator<Item = SkuId> {
    skus.iter().map(|new| new.sku)
}

fn all_of(product: ProductId, rows: &Rows) -> impl Iterator<Item = SkuId> {
    let product = rows.product.peek(product);
    product.into_iter().flat_map(|product| product.skus.iter().copied())
}

/// Of an offer that is learnt only the SKU tells which row it is.
fn learn(skus: impl Iterator<Item = SkuId>, hints: &mut Hints) {
    let (merchant, currency) = (Arc::from(""), Currency::KRW);
    let offer = Offer { merchant, currency, price: 0, on_sale: false, price_version: 0 };
    let offers: Vec<_> = skus.map(|sku| (sku, offer.clone())).collect();
    if !offers.is_empty() {
        hints.add(order::UNIT, order::Command::Learn { offers });
    }
}

fn imported(entries: &[Entry], rows: &Rows, hints: &mut Hints) {
    let items = || entries.iter().flat_map(|entry| entry.items.iter().map(move |i| (entry, i)));
    let known = |entry: &Entry, item: &Item| match (item.by, &item.new.code) {
        (By::Id(sku), _) => Some(sku),
        (By::Code, Some(code)) => {
            rows.code.peek(CodeKey::of(&entry.merchant, code)).map(|code| code.sku)
        }
        (By::Code, None) => None,
    };
    let sku = |(entry, item): (&Entry, &Item)| known(entry, item).unwrap_or(item.new.sku);
    learn(items().map(sku), hints);
    let first = items().filter(|(entry, item)| item.stock > 0 && known(entry, item).is_none());
    let first: Vec<_> = first.map(|(_, item)| (item.new.sku, item.stock)).collect();
    if !first.is_empty() {
        hints.add(inventory::UNIT, inventory::Command::Open { first });
    }
}
