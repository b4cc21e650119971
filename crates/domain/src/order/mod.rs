//! An order and its saga: hold the stock, charge the card, sell the units, or give all of it back.
//!
//! ```text
//!            ┌──────────── client pays ───────────▶ AWAIT_PAY ── confirm ──┐
//!  place ─▶ HOLDING ── server pays ──────────────────────────────────────▶ PAYING ──▶ PAY_UNKNOWN
//!            │                                       │  │                   │  │          │ │
//!            │ refused, cancelled          expired ──┘  │      captured ────┘  │          │ │
//!            ▼                                          ▼                      ▼          │ │
//!        UNWINDING ◀── declined, not sent ──────── COMMITTING ◀── captured ── … ──────────┘ │
//!            │  ▲                                       │                                   │
//!            │  └── refunded ── REVERSING ◀── captured, but cancelled meanwhile ────────────┘
//!            ▼                    │                     ▼
//!        CANCELLED              STUCK               COMPLETED ── refund of units ─▶ COMPLETED
//! ```
//!
//! The transitions are the numbered rows of [`saga`], each broken in `tests`. All drivers
//! (answers, facts, timers, operators) feed [`SagaEvent`]s; one that comes
//! twice, late or out of order changes nothing.
//!
//! 1. An order is COMPLETED only after its stock is committed and its money captured.
//! 2. An order is CANCELLED only after every step that was asked is refused or undone; money that
//!    arrives later is refunded.
//! 3. Nothing is compensated while the outcome of a payment is open.
//! 4. A step is asked again with the same id; a saga that cannot end by itself is STUCK with a
//!    reason, and still listens.
//! 5. Lines, prices and total are frozen when the order is placed, discount and points before it
//!    is paid; refunds never claim a unit twice, and add up to the whole to the last won.
//!
//! | file | holds |
//! |---|---|
//! | [`model`] | the order, its refunds and shipments |
//! | [`allocation`] | what of discount, points and cash each unit bears |
//! | [`units`] | which units are still there |
//! | [`offer`] | what is known of the goods |
//! | [`rules`] | deadlines and patience |
//! | [`command`] | commands, saga events, answers, rejects, facts |
//! | `decide` | what clients ask |
//! | [`saga`] | the table: which row an event is |
//! | `hold` | its rows about what is held, and how the payment is asked |
//! | `undo` | its rows about the way back |
//! | `act` | what each row does |
//! | `refund` | what the rows about refunds do |
//! | `ship` | what is sent, and arrives |
//! | [`operate`] | what operators may do, and where |

mod act;
pub mod allocation;
pub mod command;
mod decide;
mod hold;
pub mod model;
pub mod offer;
pub mod operate;
mod refund;
pub mod rules;
pub mod saga;
mod ship;
#[cfg(test)]
mod tests;
mod undo;
pub mod units;

use jangbu_kernel::{Ctx, Domain, OrderId, SkuId, UnitId};

use command::{Command, Event, Reject, Reply, SagaEvent};
use model::{Offer, Order};
use saga::Rules;

type Out = jangbu_kernel::Out<Event>;

/// The bounded context of orders.
#[derive(Debug)]
pub struct Orders;

/// The rows that order owns, and its rules.
#[derive(Debug, Default)]
pub struct Rows {
    /// Orders.
    pub order: jangbu_kernel::Rows<OrderId, Order>,
    /// Offers, by SKU.
    pub offer: jangbu_kernel::Rows<SkuId, Offer>,
    /// Deadlines and patience.
    pub rules: Rules,
}

impl Domain for Orders {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        match command {
            Command::Place { order, lines, .. } => {
                rows.order.want(*order);
                for line in lines {
                    rows.offer.want(line.sku);
                }
            }
            Command::Confirm { order, .. }
            | Command::Cancel { order, .. }
            | Command::Refund { order, .. }
            | Command::Ship { order, .. }
            | Command::Deliver { order, .. }
            | Command::Operate { order, .. }
            | Command::Hear { order, .. } => rows.order.want(*order),
            Command::Learn { offers } => {
                for (sku, _) in offers {
                    rows.offer.want(*sku);
                }
            }
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out,
    ) -> Result<Reply, Reject> {
        decide::decide(command, ctx, rows, out)
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::Place { order, .. }
            | Command::Confirm { order, .. }
            | Command::Cancel { order, .. }
            | Command::Refund { order, .. }
            | Command::Ship { order, .. }
            | Command::Deliver { order, .. }
            | Command::Operate { order, .. }
            | Command::Hear { order, .. } => order.0,
            Command::Learn { offers } => offers.first().map_or(0, |(sku, _)| sku.0),
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::Place { order, .. }
            | Command::Confirm { order, .. }
            | Command::Cancel { order, .. }
            | Command::Refund { order, .. }
            | Command::Ship { order, .. }
            | Command::Deliver { order, .. }
            | Command::Operate { order, .. }
            | Command::Hear { order, .. } => *order = OrderId(resource),
            Command::Learn { .. } => {}
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let id = OrderId(Self::resource(command));
        rows.order.get(id).map(|order| Reply::Order(id, Box::new(order.clone())))
    }

    fn wake(_table: &str, key: i64) -> Command {
        Command::Hear { order: OrderId(key), event: SagaEvent::Timer }
    }
}
