//! Order's rows, what it publishes, and what the buyer who waits is told.

mod ahead;
mod columns;

use std::sync::Arc;

use jangbu_domain::order::Orders;
use jangbu_domain::order::Rows;
use jangbu_domain::order::command::{Command, Event, SagaEvent, UNIT};
use jangbu_domain::order::model::{
    CouponUse, Earning, Offer, Order, Outcome, PayMode, PointUse, State, Step,
};
use jangbu_engine::port::{Col, Fields, List, RowWriter, Table};
use jangbu_engine::unit::{Hints, Signal, Sink};
use jangbu_kernel::{
    CouponId, Ctx, Domain, Envelope, OrderId, Origin, Secret, SkuId, Time, UserId,
};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::packed;

/// Order's own projection of the catalogue.
pub static OFFER: Table = Table {
    rank: 300,
    name: "offer",
    key: &["sku"],
    cols: &[
        Col::text("merchant"),
        Col::text("currency"),
        Col::int("price"),
        Col::int("on_sale"),
        Col::int("price_version"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// The list of orders that wait for an operator.
pub(crate) const STUCK: &str = "stuck";

/// Orders with their saga.
pub static ORDERS: Table = Table {
    rank: 310,
    name: "orders",
    key: &["id"],
    cols: &[
        Col::int("user_id"),
        Col::int("state"),
        Col::int("stuck_in"),
        Col::int("def_version"),
        Col::int("stock_step"),
        Col::int("pay_step"),
        Col::int("pay_mode"),
        Col::int("cancel_wanted"),
        Col::text("outcome").or_null(),
        Col::text("reason").or_null(),
        Col::text("currency"),
        Col::int("total"),
        Col::int("refunded"),
        Col::text("lines"),
        Col::text("refunds"),
        Col::text("token").or_null(),
        Col::int("tries"),
        Col::int("next_at").or_null(),
        Col::int("placed_at"),
        Col::int("settled_at").or_null(),
        Col::text("correlation").or_null(),
        Col::int("coupon_id").or_null(),
        Col::int("coupon_step"),
        Col::int("discount"),
        Col::text("coupon_scope").or_null(),
        Col::int("coupon_funding"),
        Col::int("points"),
        Col::int("point_step"),
        Col::int("points_paid"),
        Col::int("points_earned"),
        Col::int("expects").or_null(),
        Col::int("earn_step"),
        Col::int("earn_bp"),
        Col::int("earned"),
        Col::text("shipments").or_null(),
    ],
    versioned: true,
    due: true,
    lists: &[List { name: STUCK, col: "state", value: 10 }],
    hot: false,
};

/// Version of the saga's definition that this program carries out.
const DEFINITION: i64 = 1;

impl Stored for Offer {
    type Key = SkuId;
    const TABLE: &'static Table = &OFFER;
    const KEEP: usize = 200_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            merchant: Arc::from(row.text(1)),
            currency: packed::currency(row.text(2)),
            price: row.int(3),
            on_sale: row.int(4) == 1,
            price_version: row.int(5),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { merchant, currency, price, on_sale, price_version } = self;
        to.text(merchant).text(currency.as_str()).int(*price);
        to.int(i64::from(*on_sale)).int(*price_version);
    }
}

impl Stored for Order {
    type Key = OrderId;
    const TABLE: &'static Table = &ORDERS;
    const KEEP: usize = 10_000;

    fn read(row: &dyn Fields) -> Self {
        let step = |at| packed::coded("orders.step", row.int(at), Step::from_code);
        let coupon = |coupon| {
            Box::new(CouponUse {
                coupon: CouponId(coupon),
                step: step(23),
                discount: row.int(24),
                scope: row.opt_text(25).map(Arc::from),
                merchant_funded: row.int(26) == 1,
            })
        };
        Self {
            user: UserId(row.int(1)),
            state: packed::coded("orders.state", row.int(2), State::from_code),
            stuck_in: State::from_code(row.int(3)),
            stock: step(5),
            pay: step(6),
            mode: packed::coded("orders.pay_mode", row.int(7), PayMode::from_code),
            cancel_wanted: row.int(8) == 1,
            outcome: row.opt_text(9).and_then(Outcome::from_name),
            reason: row.opt_text(10).map(Into::into),
            currency: packed::currency(row.text(11)),
            total: row.int(12),
            refunded: row.int(13),
            lines: columns::read_lines(row.text(14)),
            coupon: row.opt_int(22).map(coupon),
            points: PointUse {
                wanted: row.int(27),
                step: step(28),
                paid: row.int(29),
                earned: row.int(30),
            },
            expects: row.opt_int(31),
            earning: Earning { step: step(32), bp: row.int(33), points: row.int(34) },
            shipments: row.opt_text(35).map_or_else(Vec::new, columns::read_shipments),
            refunds: columns::read_refunds(row.text(15)),
            token: row.opt_text(16).map(Secret::new),
            tries: row.int(17),
            next_at: row.opt_int(18).map(Time),
            placed_at: Time(row.int(19)),
            settled_at: row.opt_int(20).map(Time),
            correlation: row.opt_text(21).map(Arc::from),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        to.int(self.user.0)
            .int(self.state.code())
            .int(self.stuck_in.map_or(0, State::code))
            .int(DEFINITION)
            .int(self.stock.code())
            .int(self.pay.code())
            .int(self.mode.code())
            .int(i64::from(self.cancel_wanted))
            .opt_text(self.outcome.map(Outcome::name))
            .opt_text(self.reason.as_deref())
            .text(self.currency.as_str())
            .int(self.total)
            .int(self.refunded);
        packed::write(to, &columns::pack_lines(self));
        columns::write_refunds(to, &self.refunds);
        to.opt_text(self.token.as_ref().map(Secret::reveal))
            .int(self.tries)
            .opt_int(self.next_at.map(|at| at.0))
            .int(self.placed_at.0)
            .opt_int(self.settled_at.map(|at| at.0))
            .opt_text(self.correlation.as_deref());
        write_perks(self, to);
    }
}

/// The columns of coupon, points and shipments: all null or 0 for an order without them.
fn write_perks(order: &Order, to: &mut RowWriter<'_>) {
    let coupon = order.coupon.as_deref();
    to.opt_int(coupon.map(|coupon| coupon.coupon.0))
        .int(order.coupon_step().code())
        .int(order.discount())
        .opt_text(coupon.and_then(|coupon| coupon.scope.as_deref()))
        .int(coupon.map_or(0, |coupon| i64::from(coupon.merchant_funded)));
    let PointUse { wanted, step, paid, earned } = order.points;
    to.int(wanted).int(step.code()).int(paid).int(earned).opt_int(order.expects);
    let Earning { step, bp, points } = order.earning;
    to.int(step.code()).int(bp).int(points);
    columns::write_shipments(to, &order.shipments);
}

/// The command by which a saga hears of an event.
pub(crate) fn hear(order: OrderId, event: SagaEvent) -> Envelope {
    Envelope::new(UNIT, Origin::Event, Command::Hear { order, event })
}

/// Order in a cell.
#[derive(Debug)]
pub struct OrderService;

impl Service for OrderService {
    type Domain = Orders;

    const TIMERS: &'static [&'static Table] = &[&ORDERS];

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.offer);
        each(&mut rows.order);
    }

    fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
        ahead::ahead(command, rows, hints);
    }

    fn subject(command: &Command) -> String {
        match command {
            Command::Learn { .. } => SkuId(Orders::resource(command)).to_string(),
            other => OrderId(Orders::resource(other)).to_string(),
        }
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        // Never the token, and what a buyer bought is not the audit log's business.
        let order = rows.order.get(OrderId(Orders::resource(command)))?;
        Some(json!({
            "state": order.state.name(),
            "stuckIn": order.stuck_in.map(State::name),
            "outcome": order.outcome.map(Outcome::name),
            "stockStep": order.stock.name(),
            "payStep": order.pay.name(),
            "total": order.total,
            "refunded": order.refunded,
            "currency": order.currency.as_str(),
            "couponStep": order.coupon_step().name(),
            "pointStep": order.points.step.name(),
            "fulfilment": order.fulfilment().name(),
        }))
    }

    fn follow(event: Event, rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        let (Event::Placed { order: id }
        | Event::Completed { order: id }
        | Event::Cancelled { order: id }
        | Event::Refunded { order: id, .. }
        | Event::Shipped { order: id, .. }
        | Event::Delivered { order: id, .. }
        | Event::Advanced { order: id, .. }) = &event;
        let Some(order) = rows.order.get(*id) else { return };
        // A timer does not know the request that began it; the order does.
        let ctx = &Ctx { correlation: order.correlation.clone(), ..ctx.clone() };
        let version = rows.order.version(*id);
        fact(&event, order).publish(id.0, version, ctx, sink);
        // Who waits hears of an end: of the order, or of a refund of one that had ended. A refused
        // refund is told as a turn that leaves the order where it was.
        let refused = matches!(&event, Event::Advanced { from, to, .. } if from == to);
        let ends = matches!(
            event,
            Event::Completed { .. } | Event::Cancelled { .. } | Event::Refunded { .. }
        );
        if ends || refused {
            sink.signals.push(Signal { key: id.0, body: Box::new(order.clone()) });
        }
    }
}

fn fact<'a>(event: &'a Event, order: &'a Order) -> Fact<'a> {
    let (user, currency) = (order.user.0, order.currency.as_str());
    match event {
        Event::Placed { .. } => Fact::OrderPlaced {
            user,
            total: order.total,
            currency,
            lines: columns::pack_lines(order),
        },
        Event::Completed { .. } => Fact::OrderCompleted { user, total: order.total, currency },
        Event::Cancelled { .. } => Fact::OrderCancelled {
            user,
            outcome: order.outcome.map_or("CANCELLED", Outcome::name),
            reason: order.reason.as_deref().unwrap_or_default(),
        },
        Event::Refunded { no, amount, .. } => {
            Fact::OrderRefunded { no: *no, amount: *amount, currency }
        }
        Event::Advanced { from, to, why, .. } => {
            Fact::OrderAdvanced { from: from.name(), to: to.name(), why }
        }
        Event::Shipped { no, .. } => Fact::OrderShipped { no: *no },
        Event::Delivered { no, .. } => Fact::OrderDelivered { no: *no },
    }
}
