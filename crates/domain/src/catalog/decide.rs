//! The rules of catalog. Each function checks everything first and then changes rows.

use std::collections::BTreeSet;

use jangbu_kernel::{Ctx, Domain, Money, Out, ProductId, SkuId, UnitId};

use super::Catalog;
use super::command::{self, Command, Event, NewSku, Reject, Reply};
use super::model::{Product, Rows, Sku, State};

/// How many SKUs a product may have.
const MAX_SKUS: usize = 100;
/// How many characters a name may have.
const MAX_NAME: usize = 200;

impl Domain for Catalog {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        match command {
            Command::Create { product, skus, .. } => {
                want_with_skus(*product, rows);
                for new in skus {
                    rows.sku.want(new.sku);
                }
            }
            Command::Publish { product } => want_with_skus(*product, rows),
            Command::SetPrice { sku, .. } => want_with_product(*sku, rows),
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        match command {
            Command::Create { product, merchant, name, skus, publish } => {
                check_new([merchant, name], skus)?;
                let new = Product {
                    id: *product,
                    merchant: merchant.clone(),
                    name: name.clone(),
                    state: if *publish { State::Published } else { State::Draft },
                    skus: skus.iter().map(|new| new.sku).collect(),
                    at: ctx.now,
                };
                create(new, skus, rows, out)
            }
            Command::Publish { product } => publish(*product, rows, out),
            Command::SetPrice { sku, price } => set_price(*sku, *price, rows, out),
        }
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::Create { product, .. } | Command::Publish { product } => product.0,
            Command::SetPrice { sku, .. } => sku.0,
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Create { product, .. } | Command::Publish { product } => {
                *product = ProductId(resource);
            }
            Command::SetPrice { sku, .. } => *sku = SkuId(resource),
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        match command {
            Command::Create { product, .. } | Command::Publish { product } => {
                rows.product.get(*product).map(|product| whole(product, rows))
            }
            Command::SetPrice { sku, .. } => rows.sku.get(*sku).map(|sku| single(sku, rows)),
        }
    }

    fn wake(table: &str, key: i64) -> Command {
        panic!("catalog has no timers, and {table} {key} cannot be due")
    }
}

/// Wants a product and, once that is there, its SKUs. A version of 0: not read yet, or not there.
fn want_with_skus(id: ProductId, rows: &mut Rows) {
    rows.product.want(id);
    if rows.product.version(id) > 0
        && let Some(product) = rows.product.get(id)
    {
        for sku in &product.skus {
            rows.sku.want(*sku);
        }
    }
}

/// Wants a SKU and, once that is there, its product.
fn want_with_product(id: SkuId, rows: &mut Rows) {
    rows.sku.want(id);
    if rows.sku.version(id) > 0
        && let Some(sku) = rows.sku.get(id)
    {
        rows.product.want(sku.product);
    }
}

/// What must be true of any new product, whatever the rows say.
fn check_new(names: [&str; 2], skus: &[NewSku]) -> Result<(), Reject> {
    if skus.is_empty() || skus.len() > MAX_SKUS {
        return Err(Reject::SkuCountInvalid);
    }
    let mut names = names.into_iter().chain(skus.iter().map(|new| &*new.name));
    if !names.all(is_name) {
        return Err(Reject::NameInvalid);
    }
    if !skus.iter().all(|new| is_price(new.price)) {
        return Err(Reject::PriceInvalid);
    }
    let mut currencies = skus.iter().map(|new| new.price.currency);
    let first = currencies.next();
    if !currencies.all(|other| Some(other) == first) {
        return Err(Reject::CurrencyMixed);
    }
    let distinct: BTreeSet<_> = skus.iter().map(|new| new.sku).collect();
    if distinct.len() == skus.len() { Ok(()) } else { Err(Reject::ProductDiffers) }
}

fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.chars().count() <= MAX_NAME
}

fn is_price(price: Money) -> bool {
    (0..=Money::MAX).contains(&price.amount)
}

fn create(
    new: Product,
    skus: &[NewSku],
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    if let Some(old) = rows.product.get(new.id) {
        let same = is_repeated(old, &new, skus, rows);
        return if same { Ok(whole(old, rows)) } else { Err(Reject::ProductDiffers) };
    }
    if skus.iter().any(|new| rows.sku.get(new.sku).is_some()) {
        return Err(Reject::ProductDiffers);
    }
    for sku in skus {
        let (id, name, price) = (sku.sku, sku.name.clone(), sku.price);
        rows.sku.insert(id, Sku { id, product: new.id, name, price, price_version: 1 });
    }
    let reply = whole(&new, rows);
    rows.product.insert(new.id, new);
    Ok(offer(reply, out))
}

/// Whether `new` asks for the product `old`. What later commands may have changed (a publication,
/// a price that was set again) does not make it another one.
fn is_repeated(old: &Product, new: &Product, skus: &[NewSku], rows: &Rows) -> bool {
    let published = old.state == State::Published || new.state == State::Draft;
    let same = |asked: &NewSku| {
        rows.sku.get(asked.sku).is_some_and(|sku| {
            let price = if sku.price_version == 1 { sku.price } else { asked.price };
            sku.name == asked.name
                && price == asked.price
                && sku.price.currency == asked.price.currency
        })
    };
    published
        && old.merchant == new.merchant
        && old.name == new.name
        && old.skus == new.skus
        && skus.iter().all(same)
}

fn publish(id: ProductId, rows: &mut Rows, out: &mut Out<Event>) -> Result<Reply, Reject> {
    let old = rows.product.get(id).ok_or(Reject::ProductUnknown)?;
    if old.state == State::Published {
        return Ok(whole(old, rows));
    }
    let product = rows.product.edit(id).expect("the product was there a moment ago");
    product.state = State::Published;
    let product = product.clone();
    Ok(offer(whole(&product, rows), out))
}

fn set_price(
    id: SkuId,
    price: Money,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let old = rows.sku.get(id).ok_or(Reject::SkuUnknown)?;
    if !is_price(price) {
        return Err(Reject::PriceInvalid);
    }
    if old.price.currency != price.currency {
        return Err(Reject::CurrencyMixed);
    }
    if old.price == price {
        return Ok(single(old, rows));
    }
    let sku = rows.sku.edit(id).expect("the SKU was there a moment ago");
    sku.price = price;
    sku.price_version = sku.price_version.saturating_add(1);
    let sku = sku.clone();
    Ok(offer(single(&sku, rows), out))
}

/// States the offers that `reply` shows.
fn offer(reply: Reply, out: &mut Out<Event>) -> Reply {
    let product = &reply.product;
    for sku in &reply.skus {
        out.emit(Event::Offered {
            product: product.id,
            sku: sku.id,
            merchant: product.merchant.clone(),
            price: sku.price,
            on_sale: product.state == State::Published,
            price_version: sku.price_version,
        });
    }
    reply
}

/// A product with all its SKUs (invariant 1: each of them is there).
fn whole(product: &Product, rows: &Rows) -> Reply {
    let sku = |id: &SkuId| rows.sku.get(*id).expect("every SKU of a product has a row").clone();
    Reply { product: product.clone(), skus: product.skus.iter().map(sku).collect() }
}

/// A SKU with its product.
fn single(sku: &Sku, rows: &Rows) -> Reply {
    let product = rows.product.get(sku.product).expect("every SKU has a product");
    Reply { product: product.clone(), skus: vec![sku.clone()] }
}
