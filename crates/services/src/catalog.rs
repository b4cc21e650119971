//! Catalog's rows, and how its offers reach order.

use std::sync::Arc;

use jangbu_domain::catalog::Catalog;
use jangbu_domain::catalog::command::{Command, Event};
use jangbu_domain::catalog::model::{Product, Rows, Sku, State};
use jangbu_domain::order::command as order;
use jangbu_domain::order::model::Offer;
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::Sink;
use jangbu_kernel::{Ctx, Envelope, Money, Origin, ProductId, SkuId, Time};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::packed;

/// What merchants sell.
pub static PRODUCT: Table = Table {
    rank: 100,
    name: "product",
    key: &["id"],
    cols: &[
        Col::text("merchant"),
        Col::text("name"),
        Col::int("state"),
        Col::text("skus"),
        Col::int("at"),
    ],
    versioned: true,
    due: false,
    lists: &[],
};

/// Its variants.
pub static SKU: Table = Table {
    rank: 110,
    name: "sku",
    key: &["id"],
    cols: &[
        Col::int("product"),
        Col::text("name"),
        Col::text("currency"),
        Col::int("price"),
        Col::int("price_version"),
    ],
    versioned: true,
    due: false,
    lists: &[],
};

impl Stored for Product {
    type Key = ProductId;
    const TABLE: &'static Table = &PRODUCT;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        let skus: Vec<i64> = packed::read("product.skus", row.text(4));
        Self {
            id: ProductId(row.int(0)),
            merchant: Arc::from(row.text(1)),
            name: row.text(2).into(),
            state: packed::coded("product.state", row.int(3), State::from_code),
            skus: skus.into_iter().map(SkuId).collect(),
            at: Time(row.int(5)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { id: _, merchant, name, state, skus, at } = self;
        to.text(merchant).text(name).int(state.code());
        packed::write(to, &skus.iter().map(|sku| sku.0).collect::<Vec<_>>());
        to.int(at.0);
    }
}

impl Stored for Sku {
    type Key = SkuId;
    const TABLE: &'static Table = &SKU;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            id: SkuId(row.int(0)),
            product: ProductId(row.int(1)),
            name: row.text(2).into(),
            price: Money::new(row.int(4), packed::currency(row.text(3))),
            price_version: row.int(5),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { id: _, product, name, price, price_version } = self;
        to.int(product.0).text(name).text(price.currency.as_str());
        to.int(price.amount).int(*price_version);
    }
}

/// Catalog in a cell.
#[derive(Debug)]
pub struct CatalogService;

impl Service for CatalogService {
    type Domain = Catalog;

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.product);
        each(&mut rows.sku);
    }

    fn subject(command: &Command) -> String {
        match command {
            Command::Create { product, .. } | Command::Publish { product } => product.to_string(),
            Command::SetPrice { sku, .. } => sku.to_string(),
        }
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        match command {
            Command::Create { product, .. } | Command::Publish { product } => {
                let Product { merchant, name, state, skus, .. } = rows.product.get(*product)?;
                let (state, skus) = (state.name(), skus.len());
                Some(
                    json!({ "merchantId": **merchant, "name": name, "state": state, "skus": skus }),
                )
            }
            Command::SetPrice { sku, .. } => {
                let price = rows.sku.get(*sku)?.price;
                Some(json!({ "price": price.amount, "currency": price.currency.as_str() }))
            }
        }
    }

    fn follow(event: Event, rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        let Event::Offered { product, sku, merchant, price, on_sale, price_version } = event;
        let fact = Fact::ProductChanged {
            sku: sku.0,
            merchant: &merchant,
            price: price.amount,
            currency: price.currency.as_str(),
            on_sale,
        };
        fact.publish(product.0, rows.product.version(product), ctx, sink);
        let (currency, price) = (price.currency, price.amount);
        let offer = Offer { merchant, currency, price, on_sale, price_version };
        let learn = order::Command::Learn { sku, offer };
        sink.effects.push_back(Envelope::new(order::UNIT, Origin::Event, learn));
    }
}
