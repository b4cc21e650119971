//! Catalog's rows, and how its offers reach order.

mod ahead;

use std::sync::Arc;

use jangbu_domain::catalog::Catalog;
use jangbu_domain::catalog::category::Category;
use jangbu_domain::catalog::code::{CodeKey, SkuCode};
use jangbu_domain::catalog::command::{Command, Event, Offered};
use jangbu_domain::catalog::model::{Planned, Price, PriceKey, Product, Rows, Sku, State};
use jangbu_domain::catalog::option::Option as ProductOption;
use jangbu_domain::inventory::command as inventory;
use jangbu_domain::order::command as order;
use jangbu_domain::order::model::Offer;
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::{Hints, Sink};
use jangbu_kernel::{
    CategoryId, Ctx, Envelope, Money, Origin, Payload, ProductId, SkuId, Time, UnitId,
};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::packed;

/// The tree in which products stand.
pub static CATEGORY: Table = Table {
    rank: 100,
    name: "category",
    key: &["id"],
    cols: &[Col::int("parent").or_null(), Col::text("code"), Col::text("name"), Col::int("depth")],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// What merchants sell.
pub static PRODUCT: Table = Table {
    rank: 105,
    name: "product",
    key: &["id"],
    cols: &[
        Col::text("merchant"),
        Col::text("name"),
        Col::int("state"),
        Col::text("skus"),
        Col::int("at"),
        Col::text("description"),
        Col::int("category").or_null(),
        Col::text("options"),
        Col::text("choices"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
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
        Col::text("code").or_null(),
        Col::text("planned"),
        Col::int("next_at").or_null(),
    ],
    versioned: true,
    due: true,
    lists: &[],
    hot: false,
};

/// What merchants call their SKUs.
pub static SKU_CODE: Table = Table {
    rank: 115,
    name: "sku_code",
    key: &["id"],
    cols: &[Col::text("merchant"), Col::text("code"), Col::int("sku"), Col::int("product")],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// What SKUs have cost.
pub static PRICE: Table = Table {
    rank: 120,
    name: "price",
    key: &["sku", "no"],
    cols: &[Col::int("since"), Col::int("amount")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

impl Stored for Category {
    type Key = CategoryId;
    const TABLE: &'static Table = &CATEGORY;
    const KEEP: usize = 10_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            parent: row.opt_int(1).map(CategoryId),
            code: row.text(2).into(),
            name: row.text(3).into(),
            depth: row.int(4),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { parent, code, name, depth } = self;
        to.opt_int(parent.map(|parent| parent.0)).text(code).text(name).int(*depth);
    }
}

impl Stored for SkuCode {
    type Key = CodeKey;
    const TABLE: &'static Table = &SKU_CODE;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            merchant: Arc::from(row.text(1)),
            code: row.text(2).into(),
            sku: SkuId(row.int(3)),
            product: ProductId(row.int(4)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { merchant, code, sku, product } = self;
        to.text(merchant).text(code).int(sku.0).int(product.0);
    }
}

impl Stored for Price {
    type Key = PriceKey;
    const TABLE: &'static Table = &PRICE;
    const KEEP: usize = 0;

    fn read(row: &dyn Fields) -> Self {
        Self { from: Time(row.int(2)), amount: row.int(3) }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { from, amount } = self;
        to.int(from.0).int(*amount);
    }
}

impl Stored for Product {
    type Key = ProductId;
    const TABLE: &'static Table = &PRODUCT;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        let skus: Vec<i64> = packed::read("product.skus", row.text(4));
        let options: Vec<(Box<str>, Vec<Box<str>>)> = packed::read("product.options", row.text(8));
        Self {
            id: ProductId(row.int(0)),
            merchant: Arc::from(row.text(1)),
            name: row.text(2).into(),
            state: packed::coded("product.state", row.int(3), State::from_code),
            skus: skus.into_iter().map(SkuId).collect(),
            at: Time(row.int(5)),
            description: row.text(6).into(),
            category: row.opt_int(7).map(CategoryId),
            options: options
                .into_iter()
                .map(|(name, values)| ProductOption { name, values })
                .collect(),
            choices: packed::read("product.choices", row.text(9)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { id: _, merchant, name, state, skus, at, .. } = self;
        let Self { description, category, options, choices, .. } = self;
        to.text(merchant).text(name).int(state.code());
        packed::write(to, &skus.iter().map(|sku| sku.0).collect::<Vec<_>>());
        to.int(at.0).text(description).opt_int(category.map(|category| category.0));
        packed::write(to, &options.iter().map(|o| (&o.name, &o.values)).collect::<Vec<_>>());
        packed::write(to, choices);
    }
}

impl Stored for Sku {
    type Key = SkuId;
    const TABLE: &'static Table = &SKU;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        let planned: Vec<(i64, i64)> = packed::read("sku.planned", row.text(7));
        Self {
            id: SkuId(row.int(0)),
            product: ProductId(row.int(1)),
            name: row.text(2).into(),
            price: Money::new(row.int(4), packed::currency(row.text(3))),
            price_version: row.int(5),
            code: row.opt_text(6).map(Into::into),
            planned: planned
                .into_iter()
                .map(|(from, amount)| Planned { from: Time(from), amount })
                .collect(),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { id: _, product, name, price, price_version, code, planned } = self;
        to.int(product.0).text(name).text(price.currency.as_str());
        to.int(price.amount).int(*price_version).opt_text(code.as_deref());
        packed::write(to, &planned.iter().map(|p| (p.from.0, p.amount)).collect::<Vec<_>>());
        to.opt_int(self.next_at().map(|at| at.0));
    }
}

/// Catalog in a cell.
#[derive(Debug)]
pub struct CatalogService;

impl Service for CatalogService {
    type Domain = Catalog;

    const TIMERS: &'static [&'static Table] = &[&SKU];

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.category);
        each(&mut rows.product);
        each(&mut rows.sku);
        each(&mut rows.code);
        each(&mut rows.price);
    }

    fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
        ahead::ahead(command, rows, hints);
    }

    fn subject(command: &Command) -> String {
        match command {
            Command::Create { product, .. }
            | Command::Publish { product }
            | Command::Unpublish { product }
            | Command::Update { product, .. }
            | Command::Extend { product, .. } => product.to_string(),
            Command::SetPrice { sku, .. }
            | Command::PlanPrice { sku, .. }
            | Command::UnplanPrice { sku, .. }
            | Command::Ripen { sku } => sku.to_string(),
            Command::CreateCategory { category, .. } | Command::RenameCategory { category, .. } => {
                category.to_string()
            }
            // The first of the codes: which part of which file it was.
            Command::Import { entries } | Command::Rehearse { entries } => {
                let first = entries.first().and_then(|entry| entry.items.first());
                let code = first.and_then(|item| item.new.code.as_deref());
                code.unwrap_or_default().to_owned()
            }
        }
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        match command {
            Command::Create { product, .. }
            | Command::Publish { product }
            | Command::Unpublish { product }
            | Command::Update { product, .. }
            | Command::Extend { product, .. } => {
                let Product { merchant, name, state, skus, .. } = rows.product.get(*product)?;
                let (state, skus) = (state.name(), skus.len());
                Some(
                    json!({ "merchantId": **merchant, "name": name, "state": state, "skus": skus }),
                )
            }
            Command::SetPrice { sku, .. }
            | Command::PlanPrice { sku, .. }
            | Command::UnplanPrice { sku, .. }
            | Command::Ripen { sku } => {
                let Sku { price, planned, .. } = rows.sku.get(*sku)?;
                let planned = planned.len();
                let currency = price.currency.as_str();
                Some(json!({ "price": price.amount, "currency": currency, "planned": planned }))
            }
            Command::CreateCategory { category, .. } | Command::RenameCategory { category, .. } => {
                let Category { code, name, depth, .. } = rows.category.get(*category)?;
                Some(json!({ "code": code, "name": name, "depth": depth }))
            }
            Command::Import { entries } | Command::Rehearse { entries } => {
                let skus: usize = entries.iter().map(|entry| entry.items.len()).sum();
                Some(json!({ "products": entries.len(), "skus": skus }))
            }
        }
    }

    fn follow(event: Event, rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        match event {
            Event::Offered(offers) => {
                let offers = offers.into_iter().map(|offered| offer(offered, rows, ctx, sink));
                let offers = offers.collect();
                tell(order::UNIT, order::Command::Learn { offers }, sink);
            }
            Event::Edited { product, name, category } => {
                let category = category.map(|category| category.0);
                let fact = Fact::ProductEdited { name: &name, category };
                fact.publish(product.0, rows.product.version(product), ctx, sink);
            }
            Event::Categorised { id, category } => {
                let Category { parent, code, name, depth: _ } = &category;
                let parent = parent.map(|parent| parent.0);
                let fact = Fact::CategoryChanged { parent, code, name };
                fact.publish(id.0, rows.category.version(id), ctx, sink);
            }
            Event::Stocked(first) => {
                tell(inventory::UNIT, inventory::Command::Open { first }, sink);
            }
        }
    }
}

/// A fact that another unit acts on.
fn tell(to: UnitId, command: impl Payload, sink: &mut Sink) {
    sink.effects.push_back(Envelope::new(to, Origin::Event, command));
}

/// Publishes an offer, and gives it as order knows it.
fn offer(offered: Offered, rows: &Rows, ctx: &Ctx, sink: &mut Sink) -> (SkuId, Offer) {
    let Offered { product, sku, merchant, price, on_sale, price_version } = offered;
    let fact = Fact::ProductChanged {
        sku: sku.0,
        merchant: &merchant,
        price: price.amount,
        currency: price.currency.as_str(),
        on_sale,
    };
    fact.publish(product.0, rows.product.version(product), ctx, sink);
    let (currency, price) = (price.currency, price.amount);
    (sku, Offer { merchant, currency, price, on_sale, price_version })
}
