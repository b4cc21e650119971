//! An order as answered.

use jangbu_domain::order::model::{Order, Outcome, Step};
use jangbu_kernel::{OrderId, PaymentId, SkuId, UserId};
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
    refunded: MoneyOut,
    #[serde(serialize_with = "shown::option")]
    payment_id: Option<PaymentId>,
    refunds: Vec<RefundOut<'a>>,
    reason: Option<&'a str>,
    placed_at: At,
    settled_at: Option<At>,
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
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefundOut<'a> {
    no: u32,
    state: &'static str,
    amount: MoneyOut,
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

impl<'a> OrderOut<'a> {
    pub(super) fn of(id: OrderId, order: &'a Order) -> Self {
        let currency = order.currency;
        let line = |line: &'a jangbu_domain::order::model::Line| LineOut {
            sku_id: line.sku,
            merchant_id: &line.merchant,
            quantity: line.quantity,
            unit_price: MoneyOut::new(line.unit_price, currency),
            amount: MoneyOut::new(line.unit_price.saturating_mul(line.quantity), currency),
        };
        let units = |(at, quantity): &(usize, i64)| {
            Some(UnitsOut { sku_id: order.lines.get(*at)?.sku, quantity: *quantity })
        };
        let refund = |refund: &'a jangbu_domain::order::model::Refund| RefundOut {
            no: refund.no,
            state: refund.state.name(),
            amount: MoneyOut::new(refund.amount, currency),
            lines: refund.units.iter().filter_map(units).collect(),
            restock: refund.restock,
            reason: &refund.reason,
        };
        Self {
            id,
            state: order.state.name(),
            outcome: order.outcome.filter(|_| order.is_settled()).map(Outcome::name),
            user_id: order.user,
            lines: order.lines.iter().map(line).collect(),
            total: MoneyOut::new(order.total, currency),
            refunded: MoneyOut::new(order.refunded, currency),
            payment_id: (order.pay != Step::None).then(|| id.into()),
            refunds: order.refunds.iter().map(refund).collect(),
            reason: order.reason.as_deref(),
            placed_at: At(order.placed_at),
            settled_at: order.settled_at.map(At),
        }
    }
}
