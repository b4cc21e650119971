//! An order as answered.

use jangbu_domain::order::allocation::{Allocation, Share};
use jangbu_domain::order::model::{
    CouponUse, Line, Order, Outcome, Range, Refund, Shipment, State, Step,
};
use jangbu_kernel::{CouponId, Currency, OrderId, PaymentId, SkuId, UserId};
use serde::Serialize;

use crate::money::MoneyOut;
use crate::text::{At, shown};

/// An order as answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: OrderId,
    state: &'static str,
    outcome: Option<&'static str>,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    lines: Vec<LineOut<'a>>,
    total: MoneyOut,
    discount: MoneyOut,
    points: PointsOut,
    pay: MoneyOut,
    refunded: MoneyOut,
    #[serde(skip_serializing_if = "Option::is_none")]
    coupon: Option<CouponOut<'a>>,
    /// Points that it earns.
    earned: i64,
    #[serde(serialize_with = "shown::option")]
    payment_id: Option<PaymentId>,
    refunds: Vec<RefundOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fulfilment: Option<&'static str>,
    shipments: Vec<ShipmentOut<'a>>,
    reason: Option<&'a str>,
    placed_at: At,
    settled_at: Option<At>,
}

#[derive(Serialize)]
struct PointsOut {
    paid: i64,
    earned: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CouponOut<'a> {
    #[serde(serialize_with = "shown::one")]
    coupon_id: CouponId,
    state: &'static str,
    merchant_id: Option<&'a str>,
    funding: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineOut<'a> {
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    merchant_id: &'a str,
    quantity: i64,
    unit_price: MoneyOut,
    amount: MoneyOut,
    /// What the line bears, when a coupon or points are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<SharesOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SharesOut {
    discount: i64,
    paid_points: i64,
    earned_points: i64,
    pay: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefundOut<'a> {
    no: u32,
    state: &'static str,
    amount: MoneyOut,
    points: PointsOut,
    /// Points that the units had earned and that were spent: kept from the cash.
    deducted: i64,
    lines: Vec<UnitsOut>,
    restock: bool,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnitsOut {
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    quantity: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShipmentOut<'a> {
    no: u32,
    lines: Vec<UnitsOut>,
    carrier: &'a str,
    tracking: &'a str,
    shipped_at: At,
    delivered_at: Option<At>,
}

impl<'a> OrderOut<'a> {
    pub(super) fn of(id: OrderId, order: &'a Order) -> Self {
        let currency = order.currency;
        let money = |amount| MoneyOut::new(amount, currency);
        let fulfilment = order.state == State::Completed;
        Self {
            id,
            state: order.state.name(),
            outcome: order.outcome.filter(|_| order.is_settled()).map(Outcome::name),
            user_id: order.user,
            lines: lines(order),
            total: money(order.total),
            discount: money(order.discount()),
            points: PointsOut { paid: order.points.paid, earned: order.points.earned },
            pay: money(order.card().max(0)),
            refunded: money(order.refunded),
            coupon: order.coupon.as_deref().map(coupon),
            earned: order.earning.points,
            payment_id: (order.pay != Step::None).then(|| id.into()),
            refunds: order.refunds.iter().map(|one| refund(order, one)).collect(),
            fulfilment: fulfilment.then(|| order.fulfilment().name()),
            shipments: order.shipments.iter().map(|one| shipment(order, one)).collect(),
            reason: order.reason.as_deref(),
            placed_at: At(order.placed_at),
            settled_at: order.settled_at.map(At),
        }
    }
}

fn lines<'a>(order: &'a Order) -> Vec<LineOut<'a>> {
    let is_plain = order.coupon.is_none() && order.points.wanted == 0;
    let shares = (!is_plain).then(|| Allocation::of(order));
    let share = |(at, line): (usize, &'a Line)| {
        let range = Range { line: at, from: 0, quantity: line.quantity };
        let share = shares.as_ref().map(|shares| shares.share(range));
        line_out(line, order.currency, share)
    };
    order.lines.iter().enumerate().map(share).collect()
}

fn line_out(line: &Line, currency: Currency, share: Option<Share>) -> LineOut<'_> {
    let shares = |share: Share| SharesOut {
        discount: share.coupon,
        paid_points: share.paid,
        earned_points: share.earned,
        pay: share.card,
    };
    LineOut {
        sku_id: line.sku,
        merchant_id: &line.merchant,
        quantity: line.quantity,
        unit_price: MoneyOut::new(line.unit_price, currency),
        amount: MoneyOut::new(line.unit_price.saturating_mul(line.quantity), currency),
        shares: share.map(shares),
    }
}

fn coupon(coupon: &CouponUse) -> CouponOut<'_> {
    CouponOut {
        coupon_id: coupon.coupon,
        state: coupon.step.name(),
        merchant_id: coupon.scope.as_deref(),
        funding: if coupon.merchant_funded { "MERCHANT" } else { "PLATFORM" },
    }
}

fn refund<'a>(order: &Order, refund: &'a Refund) -> RefundOut<'a> {
    RefundOut {
        no: refund.no,
        state: refund.state.name(),
        amount: MoneyOut::new(refund.amount, order.currency),
        points: PointsOut { paid: refund.paid, earned: refund.earned },
        deducted: refund.deduct,
        lines: units(order, &refund.units),
        restock: refund.restock,
        reason: &refund.reason,
    }
}

fn shipment<'a>(order: &Order, shipment: &'a Shipment) -> ShipmentOut<'a> {
    ShipmentOut {
        no: shipment.no,
        lines: units(order, &shipment.units),
        carrier: &shipment.carrier,
        tracking: &shipment.tracking,
        shipped_at: At(shipment.shipped_at),
        delivered_at: shipment.delivered_at.map(At),
    }
}

fn units(order: &Order, ranges: &[Range]) -> Vec<UnitsOut> {
    let units = |range: &Range| {
        Some(UnitsOut { sku_id: order.lines.get(range.line)?.sku, quantity: range.quantity })
    };
    ranges.iter().filter_map(units).collect()
}
