//! Which units of an order are still there: to be refunded, sent, or sent back.
//!
//! A refund and a shipment name exact units, the lowest free ones first. A unit is claimed by one
//! refund at most; what was refunded is never sent, and only what was sent comes back as a return.

use jangbu_kernel::{SkuId, coded};

use super::command::{Reject, Units};
use super::model::{Order, Range, RefundState};

coded! {
    /// How much of a sold order is on its way.
    Fulfilment {
        /// Nothing.
        Unshipped = 0 "UNSHIPPED",
        /// Some units.
        PartlyShipped = 1 "PARTLY_SHIPPED",
        /// All that were not refunded before.
        Shipped = 2 "SHIPPED",
        /// And they have arrived.
        Delivered = 3 "DELIVERED",
    }
}

/// Units `from..to` of a line.
type Span = (i64, i64);

/// Which of the units that no refund has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them; those of a line that are still here before those that were sent.
    Any,
    /// Those that were not sent.
    Unshipped,
    /// Those that were.
    Shipped,
}

/// The free units of an order.
pub fn free(order: &Order, which: Which) -> Vec<Range> {
    let mut found = Vec::with_capacity(order.lines.len());
    for (at, line) in order.lines.iter().enumerate() {
        let unclaimed = without(vec![(0, line.quantity)], &claimed(order, at));
        let here = without(unclaimed.clone(), &shipped(order, at));
        let sent = if order.shipments.is_empty() || which == Which::Unshipped {
            Vec::new()
        } else {
            without(unclaimed, &here)
        };
        let here = if which == Which::Shipped { Vec::new() } else { here };
        let range = |(from, to): Span| Range { line: at, from, quantity: to.saturating_sub(from) };
        found.extend(here.into_iter().chain(sent).map(range));
    }
    found
}

/// Whether no other refund has claimed the units of refund `no`.
pub(super) fn are_free(order: &Order, no: u32) -> bool {
    let own = order.refund(no).map(|refund| refund.units.as_slice()).unwrap_or_default();
    let live =
        |other: &&super::model::Refund| other.no != no && other.state != RefundState::Refused;
    let others = order.refunds.iter().filter(live).flat_map(|other| &other.units);
    let meet = |a: &Range, b: &Range| a.line == b.line && a.from < b.end() && b.from < a.end();
    others.into_iter().all(|theirs| own.iter().all(|ours| !meet(ours, theirs)))
}

/// Whether refunds that have their money back, or get it, hold all units.
pub(super) fn are_all_back(order: &Order) -> bool {
    let back = |state| matches!(state, RefundState::Restoring | RefundState::Done);
    let live = order.refunds.iter().filter(|refund| back(refund.state));
    let units = live.flat_map(|refund| &refund.units).map(|range| range.quantity);
    let all = order.lines.iter().map(|line| line.quantity);
    let sum =
        |quantities: &mut dyn Iterator<Item = i64>| quantities.fold(0_i64, i64::saturating_add);
    sum(&mut { units }) == sum(&mut { all })
}

/// Takes what is wanted (all, if nothing is named) from free units. `short` says why not.
pub(super) fn take(
    order: &Order,
    mut free: Vec<Range>,
    wanted: Option<&[Units]>,
    short: fn(SkuId) -> Reject,
) -> Result<Vec<Range>, Reject> {
    let Some(wanted) = wanted else { return Ok(free) };
    let mut taken: Vec<Range> = Vec::with_capacity(wanted.len());
    for Units { sku, quantity } in wanted {
        let mut missing = *quantity;
        if missing < 1 {
            return Err(Reject::QuantityInvalid { sku: *sku });
        }
        for range in &mut free {
            let is_it = order.lines.get(range.line).is_some_and(|line| line.sku == *sku);
            let quantity = if is_it { missing.min(range.quantity) } else { 0 };
            if quantity > 0 {
                push(&mut taken, Range { quantity, ..*range });
                range.from = range.from.saturating_add(quantity);
                range.quantity = range.quantity.saturating_sub(quantity);
                missing = missing.saturating_sub(quantity);
            }
        }
        if missing > 0 {
            return Err(short(*sku));
        }
    }
    Ok(taken)
}

/// Units that follow the last ones become one range with them.
fn push(taken: &mut Vec<Range>, range: Range) {
    match taken.last_mut() {
        Some(last) if last.line == range.line && last.end() == range.from => {
            last.quantity = last.quantity.saturating_add(range.quantity);
        }
        _ => taken.push(range),
    }
}

fn claimed(order: &Order, line: usize) -> Vec<Span> {
    let live = order.refunds.iter().filter(|refund| refund.state != RefundState::Refused);
    spans(live.flat_map(|refund| &refund.units), line)
}

fn shipped(order: &Order, line: usize) -> Vec<Span> {
    spans(order.shipments.iter().flat_map(|shipment| &shipment.units), line)
}

fn spans<'a>(ranges: impl Iterator<Item = &'a Range>, line: usize) -> Vec<Span> {
    let mut spans: Vec<Span> =
        ranges.filter(|range| range.line == line).map(|range| (range.from, range.end())).collect();
    spans.sort_unstable();
    spans
}

/// What `spans` have that `cuts` have not; both ascending.
fn without(spans: Vec<Span>, cuts: &[Span]) -> Vec<Span> {
    if cuts.is_empty() {
        return spans;
    }
    let mut left = Vec::with_capacity(spans.len());
    for (from, to) in spans {
        let mut at = from;
        for (start, end) in cuts.iter().copied().filter(|(start, end)| *start < to && *end > from) {
            if start > at {
                left.push((at, start));
            }
            at = at.max(end);
        }
        if at < to {
            left.push((at, to));
        }
    }
    left
}
