//! The packed columns of an order: its lines, refunds and shipments.
//!
//! | column | one element |
//! |---|---|
//! | `lines` | `[sku, quantity, unit price, "merchant"]` |
//! | `refunds` | `[no, state, card, [[line, from, quantity], …], restock, "reason", paid, earned, clawed, deduct, owed]` |
//! | `shipments` | `[no, [[line, from, quantity], …], "carrier", "tracking", left at, arrived at or 0]` |
//!
//! Refunds of earlier versions name `[line, quantity]` and end with the reason: their units are
//! the lowest ones, and what they lack is 0.

use std::sync::Arc;

use jangbu_domain::order::model::{self, Line, Order, Range, Refund, RefundState, Shipment};
use jangbu_engine::port::RowWriter;
use jangbu_kernel::{SkuId, Time};
use serde::Deserialize;

use crate::packed;

pub(super) fn read_lines(text: &str) -> Arc<[Line]> {
    let lines: Vec<(i64, i64, i64, Arc<str>)> = packed::read("orders.lines", text);
    let line = |(sku, quantity, unit_price, merchant)| Line {
        sku: SkuId(sku),
        quantity,
        unit_price,
        merchant,
    };
    lines.into_iter().map(line).collect()
}

pub(super) fn pack_lines(order: &Order) -> Vec<(i64, i64, i64, &str)> {
    let line = |line: &Line| (line.sku.0, line.quantity, line.unit_price);
    order.lines.iter().map(|l| (line(l).0, line(l).1, line(l).2, &*l.merchant)).collect()
}

/// A refund of any version: what an older one lacks is 0.
#[derive(Deserialize)]
struct PackedRefund {
    no: u32,
    state: i64,
    amount: i64,
    units: Vec<PackedRange>,
    restock: u8,
    reason: Box<str>,
    #[serde(default)]
    paid: i64,
    #[serde(default)]
    earned: i64,
    #[serde(default)]
    clawed: i64,
    #[serde(default)]
    deduct: i64,
    #[serde(default)]
    owed: Option<u8>,
}

/// `[line, from, quantity]`, or `[line, quantity]` of an earlier version.
#[derive(Deserialize)]
struct PackedRange(usize, i64, #[serde(default)] Option<i64>);

pub(super) fn read_refunds(text: &str) -> Vec<Refund> {
    if text == "[]" {
        return Vec::new();
    }
    let packed: Vec<PackedRefund> = packed::read("orders.refunds", text);
    // Of earlier versions: how many units of each line are taken.
    let mut taken: Vec<(usize, i64)> = Vec::new();
    packed.into_iter().map(|refund| unpack_refund(refund, &mut taken)).collect()
}

fn unpack_refund(packed: PackedRefund, taken: &mut Vec<(usize, i64)>) -> Refund {
    let PackedRefund { no, state, amount, units, restock, reason, .. } = packed;
    let PackedRefund { paid, earned, clawed, deduct, owed, .. } = packed;
    let state = packed::coded("orders.refunds.state", state, RefundState::from_code);
    let claims = state != RefundState::Refused;
    let range = |PackedRange(line, first, second): PackedRange| match second {
        Some(quantity) => Range { line, from: first, quantity },
        None => Range { line, from: next(taken, line, first, claims), quantity: first },
    };
    let units = units.into_iter().map(range).collect();
    // Of earlier versions only the units follow the money.
    let restoring = state == RefundState::Restoring;
    let owed = owed.unwrap_or(if restoring { model::owed::STOCK } else { 0 });
    let restock = restock == 1;
    Refund { no, state, amount, units, restock, reason, paid, earned, clawed, deduct, owed }
}

/// The first unit that no earlier refund has taken.
fn next(taken: &mut Vec<(usize, i64)>, line: usize, quantity: i64, claims: bool) -> i64 {
    let at = taken.iter().position(|(at, _)| *at == line).unwrap_or_else(|| {
        taken.push((line, 0));
        taken.len() - 1
    });
    let from = taken[at].1;
    if claims {
        taken[at].1 += quantity;
    }
    from
}

fn pack_ranges(ranges: &[Range]) -> Vec<(usize, i64, i64)> {
    ranges.iter().map(|range| (range.line, range.from, range.quantity)).collect()
}

pub(super) fn write_refunds(to: &mut RowWriter<'_>, refunds: &[Refund]) {
    if refunds.is_empty() {
        to.text("[]");
        return;
    }
    let refund = |r: &Refund| {
        let (state, restock) = (r.state.code(), u8::from(r.restock));
        let points = (r.paid, r.earned, r.clawed, r.deduct, r.owed);
        let (paid, earned, clawed, deduct, owed) = points;
        let units = pack_ranges(&r.units);
        (
            r.no,
            state,
            r.amount,
            units,
            restock,
            r.reason.clone(),
            paid,
            earned,
            clawed,
            deduct,
            owed,
        )
    };
    packed::write(to, &refunds.iter().map(refund).collect::<Vec<_>>());
}

type PackedShipment = (u32, Vec<(usize, i64, i64)>, Box<str>, Box<str>, i64, i64);

pub(super) fn read_shipments(text: &str) -> Vec<Shipment> {
    let packed: Vec<PackedShipment> = packed::read("orders.shipments", text);
    let range = |(line, from, quantity)| Range { line, from, quantity };
    let shipment = |(no, units, carrier, tracking, left, arrived): PackedShipment| Shipment {
        no,
        units: units.into_iter().map(range).collect(),
        carrier,
        tracking,
        shipped_at: Time(left),
        delivered_at: Some(Time(arrived)).filter(|_| arrived != 0),
    };
    packed.into_iter().map(shipment).collect()
}

pub(super) fn write_shipments(to: &mut RowWriter<'_>, shipments: &[Shipment]) {
    if shipments.is_empty() {
        to.opt_text(None);
        return;
    }
    let shipment = |s: &Shipment| -> PackedShipment {
        let arrived = s.delivered_at.map_or(0, |at| at.0);
        let units = pack_ranges(&s.units);
        (s.no, units, s.carrier.clone(), s.tracking.clone(), s.shipped_at.0, arrived)
    };
    packed::write(to, &shipments.iter().map(shipment).collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refunds_of_earlier_versions_hold_the_lowest_units() {
        let older = r#"[[1,4,500,[[0,1],[1,2]],1,"a"],[2,5,500,[[0,1]],0,"refused"],[3,2,500,[[0,2]],1,"b"]]"#;
        let refunds = read_refunds(older);
        let ranges: Vec<_> = refunds.iter().map(|refund| pack_ranges(&refund.units)).collect();
        assert_eq!(ranges, [vec![(0, 0, 1), (1, 0, 2)], vec![(0, 1, 1)], vec![(0, 1, 2)]]);
        assert!(refunds.iter().all(|r| (r.paid, r.clawed, r.deduct, r.owed) == (0, 0, 0, 0)));
        assert_eq!((refunds[2].amount, refunds[2].restock), (500, true));
        assert!(read_refunds("[]").is_empty());
    }
}
