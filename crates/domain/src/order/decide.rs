//! The client's commands: checks first, then the change. What follows is the saga's business.

use std::sync::Arc;

use jangbu_kernel::{Ctx, Money, OrderId, SkuId};

use super::command::{Command, Event, Reject, Reply, Units};
use super::model::{Line, Offer, Order, PayMode, Refund, RefundState, State, Step};
use super::{Out, Rows, operate, saga};

const LINES: usize = 100;
const QUANTITY: i64 = 10_000;
const REFUNDS: usize = 999;

pub(super) fn decide(
    command: &Command,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out,
) -> Result<Reply, Reject> {
    match command {
        Command::Place { order, .. } => place(*order, command, ctx, rows, out)?,
        Command::Confirm { order, amount, token } => {
            let rules = rows.rules.clone();
            let found = edit(rows, *order, |found| confirmable(found, *amount))?;
            saga::confirm(found, token.clone(), (*order, ctx, &rules), out);
        }
        Command::Cancel { order, reason } => cancel(*order, reason, ctx, rows, out)?,
        Command::Refund { order, units, restock, reason } => {
            let plan = plan_refund(get(rows, *order)?, units.as_deref(), *restock, reason)?;
            let rules = rows.rules.clone();
            let found = edit(rows, *order, |_| Ok(()))?;
            saga::refund(found, plan, (*order, ctx, &rules), out);
        }
        Command::Operate { order, verb, reason } => {
            let rules = rows.rules.clone();
            let found = edit(rows, *order, |found| operate::check(found, *verb))?;
            operate::carry_out(found, (*verb, reason), (*order, ctx, &rules), out);
        }
        Command::Hear { order, event } => {
            let rules = rows.rules.clone();
            let found = get(rows, *order)?;
            if saga::concerns(found, event, &rules, ctx.now) {
                let found = edit(rows, *order, |_| Ok(()))?;
                saga::hear(found, event, (*order, ctx, &rules), out);
            }
        }
        Command::Learn { sku, offer } => learn(*sku, offer, rows),
        Command::LearnAll { offers } => {
            for (sku, offer) in offers {
                learn(*sku, offer, rows);
            }
        }
    }
    Ok(Reply::Done)
}

fn get(rows: &Rows, order: OrderId) -> Result<&Order, Reject> {
    rows.order.get(order).ok_or(Reject::OrderUnknown)
}

/// The order to be changed, after `check` has looked at it.
fn edit(
    rows: &mut Rows,
    order: OrderId,
    check: impl FnOnce(&Order) -> Result<(), Reject>,
) -> Result<&mut Order, Reject> {
    check(get(rows, order)?)?;
    rows.order.edit(order).ok_or(Reject::OrderUnknown)
}

fn place(
    id: OrderId,
    command: &Command,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out,
) -> Result<(), Reject> {
    let Command::Place { user, lines, expected, mode, token, .. } = command else {
        return Ok(());
    };
    if let Some(old) = rows.order.get(id) {
        let same = old.user == *user && old.mode == *mode && same_lines(old, lines);
        return if same { Ok(()) } else { Err(Reject::OrderDiffers) };
    }
    let lines = price(lines, *expected, rows)?;
    let total = total(&lines)?;
    if total != expected.amount {
        return Err(Reject::PriceChanged { total });
    }
    if *mode == PayMode::Server && total > 0 && token.is_none() {
        return Err(Reject::TokenRequired);
    }
    let mut order = Order {
        user: *user,
        state: State::Holding,
        stuck_in: None,
        stock: Step::None,
        pay: Step::None,
        mode: *mode,
        cancel_wanted: false,
        outcome: None,
        reason: None,
        currency: expected.currency,
        total,
        refunded: 0,
        lines,
        refunds: Vec::new(),
        token: token.clone(),
        tries: 0,
        next_at: None,
        placed_at: ctx.now,
        settled_at: None,
        correlation: ctx.correlation.clone(),
    };
    saga::place(&mut order, id, ctx, &rows.rules, out);
    rows.order.insert(id, order);
    out.emit(Event::Placed { order: id });
    Ok(())
}

fn same_lines(old: &Order, lines: &[Units]) -> bool {
    let pair = |line: &Line| Units { sku: line.sku, quantity: line.quantity };
    old.lines.len() == lines.len() && old.lines.iter().map(pair).eq(lines.iter().copied())
}

/// The lines at today's prices.
fn price(wanted: &[Units], expected: Money, rows: &Rows) -> Result<Arc<[Line]>, Reject> {
    if wanted.is_empty() || wanted.len() > LINES {
        return Err(Reject::LinesInvalid);
    }
    let line = |units: &Units| {
        let sku = units.sku;
        if !(1..=QUANTITY).contains(&units.quantity) {
            return Err(Reject::QuantityInvalid { sku });
        }
        let offer = rows.offer.get(sku).filter(|offer| offer.on_sale);
        let offer = offer.ok_or(Reject::SkuNotOnSale { sku })?;
        if offer.currency != expected.currency {
            return Err(Reject::CurrencyMismatch { sku });
        }
        let (quantity, unit_price) = (units.quantity, offer.price);
        Ok(Line { sku, quantity, unit_price, merchant: Arc::clone(&offer.merchant) })
    };
    wanted.iter().map(line).collect()
}

fn total(lines: &[Line]) -> Result<i64, Reject> {
    let add = |sum: i64, line: &Line| {
        Money::times(line.unit_price, line.quantity)?.checked_add(sum).filter(|v| *v <= Money::MAX)
    };
    lines.iter().try_fold(0, add).ok_or(Reject::TotalTooLarge)
}

fn confirmable(order: &Order, amount: Money) -> Result<(), Reject> {
    if order.state != State::AwaitPay {
        return Err(Reject::NotAwaitingPayment { state: order.state });
    }
    if amount != Money::new(order.total, order.currency) {
        return Err(Reject::AmountDiffers { total: order.total });
    }
    Ok(())
}

/// Before the sale: the saga turns round. After it, before shipping: everything is refunded.
fn cancel(
    id: OrderId,
    reason: &str,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out,
) -> Result<(), Reject> {
    let found = get(rows, id)?;
    let rules = rows.rules.clone();
    match found.state {
        State::Cancelled | State::Unwinding | State::Reversing => Ok(()),
        State::Completed => {
            let plan = plan_refund(found, None, true, reason);
            if found.cancel_wanted && plan == Err(Reject::NothingToRefund) {
                return Ok(()); // it was cancelled before
            }
            let plan = plan.map_err(|_| Reject::OrderNotCancellable { state: State::Completed })?;
            let found = edit(rows, id, |_| Ok(()))?;
            found.cancel_wanted = true;
            saga::refund(found, plan, (id, ctx, &rules), out);
            Ok(())
        }
        State::Holding
        | State::AwaitPay
        | State::Paying
        | State::PayUnknown
        | State::Committing
        | State::Stuck => {
            if found.cancel_wanted {
                return Ok(());
            }
            saga::cancel(edit(rows, id, |_| Ok(()))?, id, ctx, &rules, out);
            Ok(())
        }
    }
}

/// The refund of `units`, or of all that are left; its amount is their price.
fn plan_refund(
    order: &Order,
    units: Option<&[Units]>,
    restock: bool,
    reason: &str,
) -> Result<Refund, Reject> {
    if order.state != State::Completed {
        return Err(Reject::OrderNotRefundable { state: order.state });
    }
    if order.refunds.len() >= REFUNDS {
        return Err(Reject::TooManyRefunds);
    }
    let mut left = order.units_left();
    let units = match units {
        None => left.into_iter().enumerate().filter(|(_, quantity)| *quantity > 0).collect(),
        Some(units) => take_units(order, units, &mut left)?,
    };
    if units.is_empty() {
        return Err(Reject::NothingToRefund);
    }
    let price = |(line, quantity): &(usize, i64)| {
        Money::times(order.lines.get(*line)?.unit_price, *quantity)
    };
    let amount = units.iter().map(price).try_fold(0_i64, |sum, part| sum.checked_add(part?));
    let amount = amount.ok_or(Reject::TotalTooLarge)?;
    let no = order.refunds.iter().map(|refund| refund.no).max().unwrap_or(0).saturating_add(1);
    let state = RefundState::Requested;
    Ok(Refund { no, state, amount, units, restock, reason: reason.into() })
}

/// Takes units from the lines of their SKU, first line first.
fn take_units(
    order: &Order,
    units: &[Units],
    left: &mut [i64],
) -> Result<Vec<(usize, i64)>, Reject> {
    let mut taken = Vec::new();
    for Units { sku, quantity } in units {
        let mut missing = *quantity;
        if missing < 1 {
            return Err(Reject::QuantityInvalid { sku: *sku });
        }
        for (at, (line, left)) in order.lines.iter().zip(left.iter_mut()).enumerate() {
            let take = if line.sku == *sku { missing.min(*left) } else { 0 };
            if take > 0 {
                *left = left.saturating_sub(take);
                missing = missing.saturating_sub(take);
                taken.push((at, take));
            }
        }
        if missing > 0 {
            return Err(Reject::RefundExceedsOrder { sku: *sku });
        }
    }
    Ok(taken)
}

fn learn(sku: SkuId, offer: &Offer, rows: &mut Rows) {
    match rows.offer.get(sku) {
        Some(known) if known.price_version > offer.price_version || known == offer => {}
        Some(_) => {
            if let Some(known) = rows.offer.edit(sku) {
                *known = offer.clone();
            }
        }
        None => rows.offer.insert(sku, offer.clone()),
    }
}
