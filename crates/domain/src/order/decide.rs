//! The client's commands: checks first, then the change. What follows is the saga's business.

use std::sync::Arc;

use jangbu_kernel::{Ctx, Money, OrderId, SkuId};

use super::allocation::Allocation;
use super::command::{Command, Event, Reject, Reply, Units};
use super::model::{
    CouponUse, Earning, Line, Offer, Order, PayMode, PointUse, Range, Refund, RefundState, State,
    Step,
};
use super::units::{self, Which};
use super::{Out, Rows, operate, saga, ship};

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
        Command::Refund { order, units, restock, reason, returned } => {
            let which = if *returned { Which::Shipped } else { Which::Any };
            let units = (units.as_deref(), which);
            let plan = plan_refund(get(rows, *order)?, units, *restock, reason)?;
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
        Command::Learn { offers } => {
            for (sku, offer) in offers {
                learn(*sku, offer, rows);
            }
        }
        Command::Ship { order, units, carrier, tracking } => {
            let units = ship::units(get(rows, *order)?, units.as_deref())?;
            let found = edit(rows, *order, |_| Ok(()))?;
            let no = ship::send(found, units, (carrier, tracking), ctx.now);
            out.emit(Event::Shipped { order: *order, no });
        }
        Command::Deliver { order, no } => {
            if !ship::has_arrived(get(rows, *order)?, *no)? {
                ship::arrive(edit(rows, *order, |_| Ok(()))?, *no, ctx.now);
                out.emit(Event::Delivered { order: *order, no: *no });
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
    let Command::Place { user, lines, expected, mode, token, coupon, points, pay, .. } = command
    else {
        return Ok(());
    };
    if let Some(old) = rows.order.get(id) {
        let same_wishes =
            (old.coupon_id(), old.points.wanted, old.expects) == (*coupon, *points, *pay);
        let same = old.user == *user && old.mode == *mode && same_lines(old, lines);
        return if same && same_wishes { Ok(()) } else { Err(Reject::OrderDiffers) };
    }
    if *points < 0 {
        return Err(Reject::PointsInvalid);
    }
    let lines = price(lines, *expected, rows)?;
    let total = total(&lines)?;
    if total != expected.amount {
        return Err(Reject::PriceChanged { total });
    }
    if *mode == PayMode::Server && total > 0 && token.is_none() && *pay != Some(0) {
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
        coupon: coupon.map(|coupon| Box::new(CouponUse::new(coupon))),
        points: PointUse { wanted: *points, ..PointUse::default() },
        expects: *pay,
        earning: Earning::default(),
        shipments: Vec::new(),
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
    if amount != Money::new(order.card(), order.currency) {
        return Err(Reject::AmountDiffers { total: order.card() });
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
            let plan = plan_refund(found, (None, Which::Unshipped), true, reason);
            if found.cancel_wanted && plan == Err(Reject::NothingToRefund) {
                return Ok(()); // it was cancelled before
            }
            if !found.shipments.is_empty() {
                return Err(Reject::OrderNotCancellable { state: State::Completed });
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

/// The refund of some free units, or of all of them.
fn plan_refund(
    order: &Order,
    (units, which): (Option<&[Units]>, Which),
    restock: bool,
    reason: &str,
) -> Result<Refund, Reject> {
    if order.state != State::Completed {
        return Err(Reject::OrderNotRefundable { state: order.state });
    }
    if order.refunds.len() >= REFUNDS {
        return Err(Reject::TooManyRefunds);
    }
    let short = match which {
        Which::Shipped => |sku| Reject::ReturnExceedsShipped { sku },
        Which::Any | Which::Unshipped => |sku| Reject::RefundExceedsOrder { sku },
    };
    let units = units::take(order, units::free(order, which), units, short)?;
    if units.is_empty() {
        return Err(Reject::NothingToRefund);
    }
    Ok(refund_of(order, units, restock, reason))
}

/// The next refund of an order.
pub(super) fn refund_of(order: &Order, units: Vec<Range>, restock: bool, reason: &str) -> Refund {
    let no = order.refunds.iter().map(|refund| refund.no).max().unwrap_or(0).saturating_add(1);
    let share = Allocation::of(order).sum(&units);
    Refund {
        no,
        state: RefundState::Requested,
        amount: share.card,
        units,
        restock,
        reason: reason.into(),
        paid: share.paid,
        earned: share.earned,
        clawed: 0,
        deduct: 0,
        owed: 0,
    }
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
