//! What SKUs cost: now, before, and from a moment to come.
//!
//! A price has a version; each version is a row of the history for ever, so the prices of a SKU
//! are 1, 2, 3, … without a gap, each valid until the next. A planned price waits in the row of
//! its SKU, whose timer makes it current. Orders placed before keep their price.

use jangbu_kernel::{Ctx, Money, Out, SkuId};

use super::command::{Event, Reject, Reply};
use super::decide::{offer, single};
use super::model::{Planned, Price, PriceKey, Rows, Sku};

/// How many prices of a SKU may wait.
pub const PLANS: usize = 20;

/// Whether this may be a price.
pub(super) fn is_price(price: Money) -> bool {
    (0..=Money::MAX).contains(&price.amount)
}

fn checked(id: SkuId, price: Money, rows: &Rows) -> Result<&Sku, Reject> {
    let sku = rows.sku.get(id).ok_or(Reject::SkuUnknown)?;
    if !is_price(price) {
        return Err(Reject::PriceInvalid);
    }
    if sku.price.currency != price.currency {
        return Err(Reject::CurrencyMixed);
    }
    Ok(sku)
}

/// The first price of a SKU.
pub(super) fn first(id: SkuId, price: Money, ctx: &Ctx, rows: &mut Rows) {
    let key = PriceKey { sku: id, version: 1 };
    rows.price.push(key, Price { from: ctx.now, amount: price.amount });
}

/// Makes `amount` the price of a SKU that costs something else.
pub(super) fn become_current(id: SkuId, amount: i64, ctx: &Ctx, rows: &mut Rows) {
    let sku = rows.sku.edit(id).expect("the SKU was there a moment ago");
    sku.price.amount = amount;
    sku.price_version = sku.price_version.saturating_add(1);
    let key = PriceKey { sku: id, version: sku.price_version };
    rows.price.push(key, Price { from: ctx.now, amount });
}

/// Sets a price from now on.
pub(super) fn set(
    id: SkuId,
    price: Money,
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let old = checked(id, price, rows)?;
    if old.price == price {
        return Ok(single(old, rows));
    }
    become_current(id, price.amount, ctx, rows);
    let sku = rows.sku.get(id).expect("the SKU was there a moment ago");
    Ok(offer(single(sku, rows), out))
}

/// Sets a price from `planned.from` on, in place of another one from that moment.
pub(super) fn plan(
    id: SkuId,
    (price, planned): (Money, Planned),
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    if planned.from <= ctx.now {
        return set(id, price, ctx, (rows, out));
    }
    let old = checked(id, price, rows)?;
    if old.planned.contains(&planned) {
        return Ok(single(old, rows));
    }
    let others = old.planned.iter().filter(|other| other.from != planned.from);
    let mut plans: Vec<_> = others.copied().chain([planned]).collect();
    if plans.len() > PLANS {
        return Err(Reject::PricePlansFull);
    }
    plans.sort_by_key(|plan| plan.from);
    Ok(edited(keep(id, plans, rows), out))
}

/// Forgets the price planned from a moment.
pub(super) fn unplan(
    id: SkuId,
    from: jangbu_kernel::Time,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let old = rows.sku.get(id).ok_or(Reject::SkuUnknown)?;
    let plans: Vec<_> = old.planned.iter().filter(|plan| plan.from != from).copied().collect();
    if plans.len() == old.planned.len() {
        return Ok(single(old, rows));
    }
    Ok(edited(keep(id, plans, rows), out))
}

/// States that a product looks otherwise: it shows which prices wait.
fn edited(reply: Reply, out: &mut Out<Event>) -> Reply {
    if let Reply::Product { product, .. } = &reply {
        let (name, category) = (product.name.clone(), product.category);
        out.emit(Event::Edited { product: product.id, name, category });
    }
    reply
}

fn keep(id: SkuId, plans: Vec<Planned>, rows: &mut Rows) -> Reply {
    let sku = rows.sku.edit(id).expect("the SKU was there a moment ago");
    sku.planned = plans;
    let sku = rows.sku.get(id).expect("the SKU was there a moment ago");
    single(sku, rows)
}

/// The timer: of the prices that are due the last one is current; those before it never were.
pub(super) fn ripen(
    id: SkuId,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let old = rows.sku.get(id).ok_or(Reject::SkuUnknown)?;
    let Some(due) = old.planned.iter().rfind(|plan| plan.from <= ctx.now).copied() else {
        return Ok(single(old, rows));
    };
    let changes = old.price.amount != due.amount;
    let later: Vec<_> = old.planned.iter().filter(|plan| plan.from > ctx.now).copied().collect();
    let reply = keep(id, later, rows);
    if !changes {
        return Ok(edited(reply, out));
    }
    become_current(id, due.amount, ctx, rows);
    let sku = rows.sku.get(id).expect("the SKU was there a moment ago");
    Ok(offer(single(sku, rows), out))
}
