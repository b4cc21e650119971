//! The rules of catalog. Each function checks everything first and then changes rows.

use std::collections::BTreeSet;

use jangbu_kernel::words::{is_line, is_prose};
use jangbu_kernel::{CategoryId, Ctx, Domain, Out, ProductId, SkuId, UnitId};

use super::code::{CodeKey, SkuCode, is_code};
use super::command::{self, About, Change, Command, Event, NewSku, Offered, Place, Reject, Reply};
use super::model::{Planned, Product, Rows, Sku, State};
use super::price::{self, is_price};
use super::{Catalog, category, import, option};

/// How many SKUs a product may have.
pub const SKUS: usize = 100;
/// How many characters a name may have.
pub const NAME: usize = 200;
/// How many characters a description may have.
pub const DESCRIPTION: usize = 4_000;

impl Domain for Catalog {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        match command {
            Command::Create { product, merchant, about, skus, .. } => {
                want_with_skus(*product, rows);
                want_category(about.category, rows);
                want_new(skus, merchant, rows);
            }
            Command::Publish { product } | Command::Unpublish { product } => {
                want_with_skus(*product, rows);
            }
            Command::Update { product, change } => {
                want_with_skus(*product, rows);
                if let Place::In(category) = change.category {
                    rows.category.want(category);
                }
            }
            Command::Extend { product, merchant, skus } => {
                want_with_skus(*product, rows);
                want_new(skus, merchant, rows);
            }
            Command::SetPrice { sku, .. }
            | Command::PlanPrice { sku, .. }
            | Command::UnplanPrice { sku, .. }
            | Command::Ripen { sku } => want_with_product(*sku, rows),
            Command::CreateCategory { category, parent, .. } => {
                rows.category.want(*category);
                want_category(*parent, rows);
            }
            Command::RenameCategory { category, .. } => rows.category.want(*category),
            Command::Import { entries } | Command::Rehearse { entries } => {
                import::want(entries, rows);
            }
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        let to = (rows, out);
        match command {
            Command::Create { product, merchant, name, about, skus, publish } => {
                let new = Product {
                    id: *product,
                    merchant: merchant.clone(),
                    name: name.clone(),
                    state: if *publish { State::Published } else { State::Draft },
                    skus: skus.iter().map(|new| new.sku).collect(),
                    at: ctx.now,
                    description: about.description.clone(),
                    category: about.category,
                    options: Vec::new(),
                    choices: Vec::new(),
                };
                create(new, (about, skus), ctx, to)
            }
            Command::Publish { product } => put(*product, State::Published, to),
            Command::Unpublish { product } => put(*product, State::Draft, to),
            Command::Update { product, change } => update(*product, change, to),
            Command::Extend { product, merchant, skus } => {
                extend((*product, merchant), skus, ctx, to)
            }
            Command::SetPrice { sku, price } => price::set(*sku, *price, ctx, to),
            Command::PlanPrice { sku, price, from } => {
                let planned = Planned { from: *from, amount: price.amount };
                price::plan(*sku, (*price, planned), ctx, to)
            }
            Command::UnplanPrice { sku, from } => price::unplan(*sku, *from, to.0, to.1),
            Command::Ripen { sku } => price::ripen(*sku, ctx, to.0, to.1),
            Command::CreateCategory { category, parent, code, name } => {
                category::create(*category, (*parent, code, name.as_deref()), to.0, to.1)
            }
            Command::RenameCategory { category, name } => {
                category::rename(*category, name, to.0, to.1)
            }
            Command::Import { entries } => import::run(entries, ctx, to.0, to.1),
            Command::Rehearse { entries } => Err(import::rehearse(entries, ctx, to.0)),
        }
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::Create { product, .. }
            | Command::Publish { product }
            | Command::Unpublish { product }
            | Command::Update { product, .. }
            | Command::Extend { product, .. } => product.0,
            Command::SetPrice { sku, .. }
            | Command::PlanPrice { sku, .. }
            | Command::UnplanPrice { sku, .. }
            | Command::Ripen { sku } => sku.0,
            Command::CreateCategory { category, .. } | Command::RenameCategory { category, .. } => {
                category.0
            }
            Command::Import { entries } | Command::Rehearse { entries } => {
                entries.first().map_or(0, |entry| entry.product.0)
            }
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Create { product, .. }
            | Command::Publish { product }
            | Command::Unpublish { product }
            | Command::Update { product, .. }
            | Command::Extend { product, .. } => *product = ProductId(resource),
            Command::SetPrice { sku, .. }
            | Command::PlanPrice { sku, .. }
            | Command::UnplanPrice { sku, .. }
            | Command::Ripen { sku } => *sku = SkuId(resource),
            Command::CreateCategory { category, .. } | Command::RenameCategory { category, .. } => {
                *category = CategoryId(resource);
            }
            // An import has no key: the codes of its SKUs are.
            Command::Import { .. } | Command::Rehearse { .. } => {}
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        match command {
            Command::Create { product, .. }
            | Command::Publish { product }
            | Command::Unpublish { product }
            | Command::Update { product, .. }
            | Command::Extend { product, .. } => {
                rows.product.get(*product).map(|product| whole(product, rows))
            }
            Command::SetPrice { sku, .. }
            | Command::PlanPrice { sku, .. }
            | Command::UnplanPrice { sku, .. }
            | Command::Ripen { sku } => rows.sku.get(*sku).map(|sku| single(sku, rows)),
            Command::CreateCategory { category: id, .. }
            | Command::RenameCategory { category: id, .. } => {
                let category = rows.category.get(*id)?.clone();
                Some(Reply::Category { id: *id, category })
            }
            Command::Import { .. } | Command::Rehearse { .. } => Some(Reply::Imported),
        }
    }

    fn wake(table: &str, key: i64) -> Command {
        assert_eq!(table, "sku", "catalog has no other timers, and {table} {key} cannot be due");
        Command::Ripen { sku: SkuId(key) }
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
pub(super) fn want_with_product(id: SkuId, rows: &mut Rows) {
    rows.sku.want(id);
    if rows.sku.version(id) > 0
        && let Some(sku) = rows.sku.get(id)
    {
        rows.product.want(sku.product);
    }
}

fn want_category(id: Option<CategoryId>, rows: &mut Rows) {
    if let Some(id) = id {
        rows.category.want(id);
    }
}

fn want_new(skus: &[NewSku], merchant: &str, rows: &mut Rows) {
    for new in skus {
        rows.sku.want(new.sku);
        if let Some(code) = &new.code {
            rows.code.want(CodeKey::of(merchant, code));
        }
    }
}

pub(super) fn is_name(name: &str) -> bool {
    is_line(name, NAME)
}

/// What must be true of any text about a product.
pub(super) fn check_text(names: [&str; 2], description: &str) -> Result<(), Reject> {
    if !names.into_iter().all(is_name) {
        return Err(Reject::NameInvalid);
    }
    if !is_prose(description, DESCRIPTION) {
        return Err(Reject::DescriptionInvalid);
    }
    Ok(())
}

/// What must be true of any new SKUs, whatever the rows say.
pub(super) fn check_new(skus: &[NewSku]) -> Result<(), Reject> {
    if skus.is_empty() || skus.len() > SKUS {
        return Err(Reject::SkuCountInvalid);
    }
    if !skus.iter().all(|new| is_name(&new.name)) {
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
    let codes = || skus.iter().filter_map(|new| new.code.as_deref());
    if !codes().all(is_code) {
        return Err(Reject::SkuCodeInvalid);
    }
    if codes().collect::<BTreeSet<_>>().len() < codes().count() {
        return Err(Reject::SkuCodeTaken);
    }
    let distinct: BTreeSet<_> = skus.iter().map(|new| new.sku).collect();
    if distinct.len() == skus.len() { Ok(()) } else { Err(Reject::ProductDiffers) }
}

/// What must be true of new SKUs of `merchant` besides: their ids and codes are not in use.
pub(super) fn check_unused(skus: &[NewSku], merchant: &str, rows: &Rows) -> Result<(), Reject> {
    if skus.iter().any(|new| rows.sku.get(new.sku).is_some()) {
        return Err(Reject::ProductDiffers);
    }
    let taken = |code: &str| rows.code.get(CodeKey::of(merchant, code)).is_some();
    if skus.iter().filter_map(|new| new.code.as_deref()).any(taken) {
        return Err(Reject::SkuCodeTaken);
    }
    Ok(())
}

fn check_category(id: Option<CategoryId>, rows: &Rows) -> Result<(), Reject> {
    match id {
        Some(id) if rows.category.get(id).is_none() => Err(Reject::CategoryUnknown),
        Some(_) | None => Ok(()),
    }
}

/// Adds the rows of new SKUs.
pub(super) fn add(
    skus: &[NewSku],
    (product, merchant): (ProductId, &std::sync::Arc<str>),
    ctx: &Ctx,
    rows: &mut Rows,
) {
    for NewSku { sku: id, name, price, code, values: _ } in skus {
        let (id, name, price, code) = (*id, name.clone(), *price, code.clone());
        if let Some(code) = code.clone() {
            let key = CodeKey::of(merchant, &code);
            let merchant = merchant.clone();
            rows.code.insert(key, SkuCode { merchant, code, sku: id, product });
        }
        let planned = Vec::new();
        rows.sku.insert(id, Sku { id, product, name, price, price_version: 1, code, planned });
        price::first(id, price, ctx, rows);
    }
}

fn create(
    mut new: Product,
    (about, skus): (&About, &[NewSku]),
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    check_text([&new.merchant, &new.name], &new.description)?;
    check_new(skus)?;
    new.options = option::named(&about.options)?;
    (new.options, new.choices) = option::grown(&new, skus)?;
    if let Some(old) = rows.product.get(new.id) {
        let same = is_repeated(old, &new, skus, rows);
        return if same { Ok(whole(old, rows)) } else { Err(Reject::ProductDiffers) };
    }
    check_category(new.category, rows)?;
    check_unused(skus, &new.merchant, rows)?;
    add(skus, (new.id, &new.merchant), ctx, rows);
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
                && sku.code == asked.code
                && price == asked.price
                && sku.price.currency == asked.price.currency
        })
    };
    let names =
        |product: &Product| product.options.iter().map(|o| o.name.clone()).collect::<Vec<_>>();
    published
        && old.merchant == new.merchant
        && old.name == new.name
        && old.description == new.description
        && old.category == new.category
        && old.skus == new.skus
        && old.choices == new.choices
        && names(old) == names(new)
        && skus.iter().all(same)
}

fn put(
    id: ProductId,
    state: State,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let old = rows.product.get(id).ok_or(Reject::ProductUnknown)?;
    if old.state == state {
        return Ok(whole(old, rows));
    }
    let product = rows.product.edit(id).expect("the product was there a moment ago");
    product.state = state;
    let product = product.clone();
    Ok(offer(whole(&product, rows), out))
}

fn update(
    id: ProductId,
    change: &Change,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let old = rows.product.get(id).ok_or(Reject::ProductUnknown)?;
    let mut new = old.clone();
    let Change { name, description, category } = change.clone();
    new.name = name.unwrap_or(new.name);
    new.description = description.unwrap_or(new.description);
    new.category = match category {
        Place::Stays => new.category,
        Place::Nowhere => None,
        Place::In(category) => Some(category),
    };
    check_text([&new.merchant, &new.name], &new.description)?;
    if let Place::In(category) = change.category {
        check_category(Some(category), rows)?;
    }
    if *old == new {
        return Ok(whole(old, rows));
    }
    let reply = whole(&new, rows);
    edit(new, rows, out);
    Ok(reply)
}

/// Writes a product of which SKUs and state stay.
pub(super) fn edit(new: Product, rows: &mut Rows, out: &mut Out<Event>) {
    let (product, name, category) = (new.id, new.name.clone(), new.category);
    *rows.product.edit(product).expect("the product was there a moment ago") = new;
    out.emit(Event::Edited { product, name, category });
}

fn extend(
    (id, merchant): (ProductId, &str),
    skus: &[NewSku],
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let of_merchant = |old: &&Product| *old.merchant == *merchant;
    let old = rows.product.get(id).filter(of_merchant).ok_or(Reject::ProductUnknown)?;
    check_new(skus)?;
    let there = |new: &NewSku| old.skus.contains(&new.sku);
    if skus.iter().all(there) {
        return Ok(whole(old, rows));
    }
    let first = old.skus.first().and_then(|first| rows.sku.get(*first));
    let currency = first.map(|first| first.price.currency);
    if !skus.iter().all(|new| Some(new.price.currency) == currency) {
        return Err(Reject::CurrencyMixed);
    }
    if old.skus.len().saturating_add(skus.len()) > SKUS {
        return Err(Reject::SkuCountInvalid);
    }
    check_unused(skus, &old.merchant, rows)?;
    let (options, choices) = option::grown(old, skus)?;
    let merchant = old.merchant.clone();
    add(skus, (id, &merchant), ctx, rows);
    let product = rows.product.edit(id).expect("the product was there a moment ago");
    (product.options, product.choices) = (options, choices);
    product.skus.extend(skus.iter().map(|new| new.sku));
    let product = product.clone();
    let new = skus.iter().map(|new| new.sku).collect::<Vec<_>>();
    out.emit(Event::Offered(offers(&product, &new, rows)));
    Ok(whole(&product, rows))
}

/// The offers of some SKUs of a product.
pub(super) fn offers(product: &Product, skus: &[SkuId], rows: &Rows) -> Vec<Offered> {
    let of = |id: &SkuId| rows.sku.get(*id).map(|sku| offered(product, sku));
    skus.iter().filter_map(of).collect()
}

fn offered(product: &Product, sku: &Sku) -> Offered {
    Offered {
        product: product.id,
        sku: sku.id,
        merchant: product.merchant.clone(),
        price: sku.price,
        on_sale: product.state == State::Published,
        price_version: sku.price_version,
    }
}

/// States the offers that `reply` shows.
pub(super) fn offer(reply: Reply, out: &mut Out<Event>) -> Reply {
    if let Reply::Product { product, skus } = &reply {
        out.emit(Event::Offered(skus.iter().map(|sku| offered(product, sku)).collect()));
    }
    reply
}

/// A product with all its SKUs (invariant 1: each of them is there).
pub(super) fn whole(product: &Product, rows: &Rows) -> Reply {
    let sku = |id: &SkuId| rows.sku.get(*id).expect("every SKU of a product has a row").clone();
    Reply::Product { product: product.clone(), skus: product.skus.iter().map(sku).collect() }
}

/// A SKU with its product.
pub(super) fn single(sku: &Sku, rows: &Rows) -> Reply {
    let product = rows.product.get(sku.product).expect("every SKU has a product");
    Reply::Product { product: product.clone(), skus: vec![sku.clone()] }
}
