//! Point's rows, and how its answers reach the order that asked and its movements the ledger.

mod ahead;

use jangbu_domain::order::command::{SagaEvent, step};
use jangbu_domain::point::Points;
use jangbu_domain::point::command::{Command, Event, Kind, Move, Reject, Reply};
use jangbu_domain::point::decide::owner;
use jangbu_domain::point::model::{
    Account, Back, Both, Claw, Credit, Lot, Refund, RefundState, Rows, State, Timer, Use,
};
use jangbu_domain::{ledger, payment};
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::{Hints, Sink};
use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Ctx, Domain, Envelope, OrderId, Origin, RefundId, Time, UserId};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::{Fact, PointMove};
use crate::{order, packed};

/// Accounts with their lots.
pub static ACCOUNT: Table = Table {
    rank: 250,
    name: "point_account",
    key: &["user_id"],
    cols: &[
        Col::text("currency"),
        Col::text("lots"),
        Col::int("paid"),
        Col::int("earned"),
        Col::int("charged"),
        Col::int("granted"),
        Col::int("rewarded"),
        Col::int("spent_paid"),
        Col::int("spent_earned"),
        Col::int("restored_paid"),
        Col::int("restored_earned"),
        Col::int("expired_paid"),
        Col::int("expired_earned"),
        Col::int("clawed"),
        Col::int("postings"),
        Col::int("armed").or_null(),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: true,
};

/// When accounts are woken.
pub static TIMER: Table = Table {
    rank: 252,
    name: "point_timer",
    key: &["user_id"],
    cols: &[Col::int("next_at").or_null()],
    versioned: true,
    due: true,
    lists: &[],
    hot: false,
};

/// Charges and grants.
pub static CREDIT: Table = Table {
    rank: 254,
    name: "point_credit",
    key: &["id"],
    cols: &[
        Col::int("user_id"),
        Col::int("kind"),
        Col::int("amount"),
        Col::int("until").or_null(),
        Col::int("balance"),
        Col::int("at"),
        Col::text("reason"),
        Col::text("refunds"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// What each order has to do with points.
pub static USE: Table = Table {
    rank: 256,
    name: "point_use",
    key: &["order_id"],
    cols: &[
        Col::int("user_id"),
        Col::int("state"),
        Col::text("parts"),
        Col::text("restores"),
        Col::int("earned"),
        Col::int("until").or_null(),
        Col::text("claws"),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// A lot as it is packed: kind, end or 0, points.
#[derive(Deserialize)]
struct PackedLot(i64, i64, i64);

/// Lots without a list of their own in between.
struct Lots<'a>(&'a [Lot]);

impl Serialize for Lots<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let lot = |lot: &Lot| (lot.kind, lot.until.map_or(0, |until| until.0), lot.amount);
        to.collect_seq(self.0.iter().map(lot))
    }
}

fn unpack_lots(column: &str, text: &str) -> Vec<Lot> {
    let lots: Vec<PackedLot> = packed::read(column, text);
    let lot = |PackedLot(kind, until, amount)| Lot {
        kind: packed::coded(column, kind, Kind::from_code),
        until: (until != 0).then_some(Time(until)),
        amount,
    };
    lots.into_iter().map(lot).collect()
}

fn unpack_refunds(text: &str) -> Vec<Refund> {
    let column = "point_credit.refunds";
    let refunds: Vec<(i64, i64, i64, i64)> = packed::read(column, text);
    let refund = |(id, amount, state, missing)| Refund {
        id: RefundId(id),
        amount,
        state: packed::coded(column, state, RefundState::from_code),
        missing,
    };
    refunds.into_iter().map(refund).collect()
}

fn both(row: &dyn Fields, at: usize) -> Both {
    Both { paid: row.int(at), earned: row.int(at + 1) }
}

impl Stored for Account {
    type Key = UserId;
    const TABLE: &'static Table = &ACCOUNT;
    const KEEP: usize = 200_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            currency: packed::currency(row.text(1)),
            lots: unpack_lots("point_account.lots", row.text(2)),
            left: both(row, 3),
            charged: row.int(5),
            granted: row.int(6),
            rewarded: row.int(7),
            spent: both(row, 8),
            restored: both(row, 10),
            expired: both(row, 12),
            clawed: row.int(14),
            postings: row.int(15),
            armed: row.opt_int(16).map(Time),
            moves: Vec::new(),
            moved_in: 0,
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { currency, lots, left, charged, granted, rewarded, .. } = self;
        let Self { spent, restored, expired, clawed, postings, armed, .. } = self;
        to.text(currency.as_str());
        packed::write(to, &Lots(lots));
        for n in [left.paid, left.earned, *charged, *granted, *rewarded] {
            to.int(n);
        }
        for Both { paid, earned } in [spent, restored, expired] {
            to.int(*paid).int(*earned);
        }
        to.int(*clawed).int(*postings).opt_int(armed.map(|at| at.0));
    }
}

impl Stored for Timer {
    type Key = UserId;
    const TABLE: &'static Table = &TIMER;
    const KEEP: usize = 200_000;

    fn read(row: &dyn Fields) -> Self {
        Self { next_at: row.opt_int(1).map(Time) }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        to.opt_int(self.next_at.map(|at| at.0));
    }
}

impl Stored for Credit {
    type Key = i64;
    const TABLE: &'static Table = &CREDIT;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self {
            user: UserId(row.int(1)),
            kind: packed::coded("point_credit.kind", row.int(2), Kind::from_code),
            amount: row.int(3),
            until: row.opt_int(4).map(Time),
            balance: row.int(5),
            at: Time(row.int(6)),
            reason: row.text(7).into(),
            refunds: unpack_refunds(row.text(8)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { user, kind, amount, until, balance, at, reason, refunds } = self;
        to.int(user.0).int(kind.code()).int(*amount).opt_int(until.map(|at| at.0));
        to.int(*balance).int(at.0).text(reason);
        let refund = |r: &Refund| (r.id.0, r.amount, r.state.code(), r.missing);
        packed::write(to, &refunds.iter().map(refund).collect::<Vec<_>>());
    }
}

impl Stored for Use {
    type Key = OrderId;
    const TABLE: &'static Table = &USE;
    const KEEP: usize = 10_000;

    fn read(row: &dyn Fields) -> Self {
        let restores: Vec<(u32, i64, i64)> = packed::read("point_use.restores", row.text(4));
        let back = |(no, paid, earned)| Back { no, amounts: Both { paid, earned } };
        let claws: Vec<(u32, i64, i64, i64, u8)> = packed::read("point_use.claws", row.text(7));
        let claw =
            |(no, asked, taken, gone, undone)| Claw { no, asked, taken, gone, undone: undone == 1 };
        Self {
            user: UserId(row.int(1)),
            state: packed::coded("point_use.state", row.int(2), State::from_code),
            parts: unpack_lots("point_use.parts", row.text(3)),
            restores: restores.into_iter().map(back).collect(),
            earned: row.int(5),
            until: row.opt_int(6).map(Time),
            claws: claws.into_iter().map(claw).collect(),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { user, state, parts, restores, earned, until, claws } = self;
        to.int(user.0).int(state.code());
        packed::write(to, &Lots(parts));
        let back = |back: &Back| (back.no, back.amounts.paid, back.amounts.earned);
        packed::write(to, &restores.iter().map(back).collect::<Vec<_>>());
        to.int(*earned).opt_int(until.map(|at| at.0));
        let claw = |c: &Claw| (c.no, c.asked, c.taken, c.gone, u8::from(c.undone));
        packed::write(to, &claws.iter().map(claw).collect::<Vec<_>>());
    }
}

/// Point in a cell.
#[derive(Debug)]
pub struct PointService;

impl Service for PointService {
    type Domain = Points;

    const TIMERS: &'static [&'static Table] = &[&TIMER];

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.account);
        each(&mut rows.timer);
        each(&mut rows.credit);
        each(&mut rows.usage);
    }

    fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
        ahead::ahead(command, rows, hints);
    }

    fn answered(parent: i64, asked: u16, answer: Result<&Reply, &Reject>) -> Option<Envelope> {
        let event = match answer {
            Ok(reply) => done(asked, reply)?,
            Err(reject) => refused(asked, reject.code())?,
        };
        Some(order::hear(OrderId(parent), event))
    }

    fn subject(command: &Command) -> String {
        match command {
            Command::Charge { payment, .. } => payment.to_string(),
            Command::Grant { grant, .. } => grant.to_string(),
            Command::Earn { .. }
            | Command::Spend { .. }
            | Command::Restore { .. }
            | Command::ClawBack { .. }
            | Command::UnClaw { .. } => OrderId(Points::resource(command)).to_string(),
            Command::Expire { user } => user.to_string(),
            Command::Refund { refund, .. } | Command::RefundEnded { refund, .. } => {
                refund.to_string()
            }
        }
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        let account = rows.account.get(owner(command))?;
        Some(json!({
            "userId": owner(command).to_string(),
            "paid": account.left.paid,
            "earned": account.left.earned,
            "currency": account.currency.as_str(),
        }))
    }

    fn follow(event: Event, _rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        match event {
            Event::Moved(moved) => {
                let post = ledger::points::posting(&moved, ctx.now);
                let post = post.map(|post| Envelope::new(ledger::UNIT, Origin::Event, post));
                sink.effects.extend(post);
            }
            Event::Refunding { payment, refund, amount, reason } => {
                let give = payment::Command::ReturnPoints { payment, refund, amount, reason };
                sink.effects.push_back(Envelope::new(payment::UNIT, Origin::Event, give));
            }
            Event::Changed { moves } => {
                let moves = moves.iter().map(published).collect();
                Fact::PointChanged { moves }.publish(0, ctx.commit, ctx, sink);
            }
        }
    }
}

fn published(line: &Move) -> PointMove {
    let Move { user, what, about, paid, earned, seq, balance } = *line;
    PointMove { user: user.0, what: what.code(), about, paid, earned, seq, balance }
}

/// The refund that a step is about, if it is that of one.
fn number(asked: u16, step: u16) -> Option<u32> {
    asked.checked_sub(step).map(u32::from).filter(|no| *no < 1_000)
}

fn done(asked: u16, reply: &Reply) -> Option<SagaEvent> {
    match *reply {
        Reply::Spent { paid, earned } => Some(SagaEvent::PointsSpent { paid, earned }),
        Reply::Restored if asked == step::POINTS_BACK => Some(SagaEvent::PointsRestored { no: 0 }),
        Reply::Restored => {
            number(asked, step::POINTS_RETURN).map(|no| SagaEvent::PointsRestored { no })
        }
        Reply::Earned => Some(SagaEvent::PointsEarned),
        Reply::Clawed { taken } => {
            number(asked, step::CLAW).map(|no| SagaEvent::Clawed { no, taken })
        }
        Reply::UnClawed => number(asked, step::UNCLAW).map(|no| SagaEvent::UnClawed { no }),
        Reply::Charged { .. }
        | Reply::Granted { .. }
        | Reply::Expired
        | Reply::Refunding { .. }
        | Reply::RefundEnded => None,
    }
}

fn refused(asked: u16, code: &'static str) -> Option<SagaEvent> {
    match asked {
        // An earning that is refused will not be given later: the order need not ask again.
        step::POINTS | step::EARN => Some(SagaEvent::PointsRefused { code: code.into() }),
        step::POINTS_BACK => Some(SagaEvent::PointsNotRestored { no: 0, code: code.into() }),
        // What refunds ask for is asked again by the order's timer.
        _ => number(asked, step::POINTS_RETURN)
            .map(|no| SagaEvent::PointsNotRestored { no, code: code.into() }),
    }
}
