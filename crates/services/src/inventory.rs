//! Inventory's rows, and how its answers reach the order that asked.

use jangbu_domain::inventory::Inventory;
use jangbu_domain::inventory::command::{Command, Event, Line, Reject, Reply};
use jangbu_domain::inventory::model::{Kind, Movement, Reservation, Returned, Rows, State, Stock};
use jangbu_domain::order::command::{SagaEvent, step};
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::Sink;
use jangbu_kernel::domain::{Coded, Ctx, Domain};
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{Envelope, OrderId, SkuId, Time};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::{order, packed};

/// Counters by SKU.
pub static STOCK: Table = Table {
    rank: 200,
    name: "stock",
    key: &["sku"],
    cols: &[
        Col::int("received"),
        Col::int("adjusted"),
        Col::int("returned"),
        Col::int("available"),
        Col::int("reserved"),
        Col::int("sold"),
        Col::int("written_off"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: true,
};

/// Receipts and adjustments.
pub static MOVEMENT: Table = Table {
    rank: 210,
    name: "movement",
    key: &["id"],
    cols: &[
        Col::int("sku"),
        Col::int("kind"),
        Col::int("quantity"),
        Col::text("reason"),
        Col::int("available"),
        Col::int("at"),
    ],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// What each order holds.
pub static RESERVATION: Table = Table {
    rank: 220,
    name: "reservation",
    key: &["order_id"],
    cols: &[
        Col::int("state"),
        Col::text("lines"),
        Col::text("returns"),
        Col::int("next_at").or_null(),
    ],
    versioned: true,
    due: true,
    lists: &[],
    hot: false,
};

impl Stored for Stock {
    type Key = SkuId;
    const TABLE: &'static Table = &STOCK;
    const KEEP: usize = 200_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            received: row.int(1),
            adjusted: row.int(2),
            returned: row.int(3),
            available: row.int(4),
            reserved: row.int(5),
            sold: row.int(6),
            written_off: row.int(7),
            moved_in: 0,
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self {
            received,
            adjusted,
            returned,
            available,
            reserved,
            sold,
            written_off,
            moved_in: _,
        } = self;
        for n in [received, adjusted, returned, available, reserved, sold, written_off] {
            to.int(*n);
        }
    }
}

impl Stored for Movement {
    type Key = MovementId;
    const TABLE: &'static Table = &MOVEMENT;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            sku: SkuId(row.int(1)),
            kind: packed::coded("movement.kind", row.int(2), Kind::from_code),
            quantity: row.int(3),
            reason: row.text(4).into(),
            available: row.int(5),
            at: Time(row.int(6)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { sku, kind, quantity, reason, available, at } = self;
        to.int(sku.0).int(kind.code()).int(*quantity).text(reason).int(*available).int(at.0);
    }
}

type PackedLine = (i64, i64);

fn pack(lines: &[Line]) -> Vec<PackedLine> {
    lines.iter().map(|line| (line.sku.0, line.quantity)).collect()
}

fn unpack(lines: Vec<PackedLine>) -> Vec<Line> {
    lines.into_iter().map(|(sku, quantity)| Line { sku: SkuId(sku), quantity }).collect()
}

impl Stored for Reservation {
    type Key = OrderId;
    const TABLE: &'static Table = &RESERVATION;
    const KEEP: usize = 10_000;

    fn read(row: &dyn Fields) -> Self {
        let returns: Vec<(u32, Vec<PackedLine>, u8)> =
            packed::read("reservation.returns", row.text(3));
        let returned =
            |(no, lines, restock)| Returned { no, lines: unpack(lines), restock: restock == 1 };
        Self {
            state: packed::coded("reservation.state", row.int(1), State::from_code),
            lines: unpack(packed::read("reservation.lines", row.text(2))),
            returns: returns.into_iter().map(returned).collect(),
            next_at: row.opt_int(4).map(Time),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { state, lines, returns, next_at } = self;
        to.int(state.code());
        packed::write(to, &pack(lines));
        let returns: Vec<_> =
            returns.iter().map(|r| (r.no, pack(&r.lines), u8::from(r.restock))).collect();
        packed::write(to, &returns);
        to.opt_int(next_at.map(|at| at.0));
    }
}

/// Inventory in a cell.
#[derive(Debug)]
pub struct InventoryService;

impl Service for InventoryService {
    type Domain = Inventory;

    const TIMERS: &'static [&'static Table] = &[&RESERVATION];

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.stock);
        each(&mut rows.movement);
        each(&mut rows.reservation);
    }

    fn answered(parent: i64, asked: u16, answer: Result<&Reply, &Reject>) -> Option<Envelope> {
        let event = match answer {
            Ok(Reply::Reserved) => SagaEvent::StockReserved,
            Ok(Reply::Pinned) => SagaEvent::StockPinned,
            Ok(Reply::Committed) => SagaEvent::StockCommitted,
            Ok(Reply::Released) => SagaEvent::StockReleased,
            Ok(Reply::Returned) => {
                SagaEvent::StockReturned { no: u32::from(asked.checked_sub(step::RETURN)?) }
            }
            Ok(Reply::Expired | Reply::Moved { .. }) => return None,
            Err(reject) => refused(asked, reject.code())?,
        };
        Some(order::hear(OrderId(parent), event))
    }

    fn subject(command: &Command) -> String {
        match command {
            Command::Receive { sku, .. } | Command::Adjust { sku, .. } => sku.to_string(),
            // Operators ask for nothing else.
            other => Inventory::resource(other).to_string(),
        }
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        let (Command::Receive { sku, .. } | Command::Adjust { sku, .. }) = command else {
            return None;
        };
        let Stock { received, adjusted, returned, available, reserved, sold, .. } =
            rows.stock.get(*sku)?;
        Some(json!({
            "received": received, "adjusted": adjusted, "returned": returned,
            "available": available, "reserved": reserved, "sold": sold,
        }))
    }

    fn follow(event: Event, _rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        let Event::Changed { stocks } = event;
        let stocks = stocks.into_iter().map(|(sku, available)| (sku.0, available)).collect();
        Fact::StockChanged { stocks }.publish(0, ctx.commit, ctx, sink);
    }
}

fn refused(asked: u16, code: &'static str) -> Option<SagaEvent> {
    Some(match asked {
        step::RESERVE => SagaEvent::StockRefused { code: code.into() },
        step::PIN => SagaEvent::StockNotPinned { code: code.into() },
        step::COMMIT => SagaEvent::StockNotCommitted { code: code.into() },
        step::RELEASE => SagaEvent::StockNotReleased { code: code.into() },
        // A return is asked again by the order's timer.
        _ => return None,
    })
}
