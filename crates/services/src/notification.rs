//! Notifications: buyers hear by mail what became of their orders, and other systems by hooks.
//!
//! ```text
//! order.* ──consumer──▶ delivery: WAITING ──thread of its channel──▶ SENT
//!                                    │  this one was refused for now: FAILED, again later
//!                                    └▶ refused for good, too often, or too old: DEAD
//! ```
//!
//! | part | holds |
//! |---|---|
//! | this file | deliveries, and the consumer that makes them |
//! | `template` | texts, and who may change them |
//! | `letter` | what is sent: made of the rows, when it is sent |
//! | `post` | a thread for each channel |
//!
//! *Invariants.* 1. Nothing here is on the way of an order: a channel that is away costs rows that
//! wait (test: `a_dead_mail_server_touches_no_order`). 2. A delivery has neither an address nor a name
//! nor a text: personal data is opened when it is sent, and never logged. 3. Each delivery is sent at
//! least once; all attempts have one id, by which a receiver knows them as one. 4. An outage of a channel
//! is not a failure of its deliveries: none of them is tried while nobody answers.

mod letter;
mod post;
mod template;

use jangbu_engine::port::{
    By, Col, Fault, Fields, List, Mode, Read, Reader, Store, Table, WritePlan,
};
use jangbu_kernel::time::Span;
use jangbu_kernel::{OrderId, Time, coded};

pub use letter::{Letter, Mail};
pub use post::{Channel, Office, Post, Tally, Undelivered};
pub use template::{Language, TEMPLATE, Template, VARIABLES, changes, check, known};

use crate::consumer::{Consumer, Delivered, Member, NOTIFICATION, Work, commit};
use crate::events::Fact;
use crate::queries::{Queries, range};

coded! {
    /// What is told.
    Kind {
        /// An order is there.
        Placed = 1 "placed",
        /// It is sold.
        Completed = 2 "completed",
        /// It ended without a sale.
        Cancelled = 3 "cancelled",
        /// Money went back.
        Refunded = 4 "refunded",
        /// Units are on their way.
        Shipped = 5 "shipped",
    }
}

impl Kind {
    /// The topic of the events that it tells of.
    pub const fn topic(self) -> &'static str {
        match self {
            Self::Placed => "order.placed",
            Self::Completed => "order.completed",
            Self::Cancelled => "order.cancelled",
            Self::Refunded => "order.refunded",
            Self::Shipped => "order.shipped",
        }
    }

    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

coded! {
    /// How far a delivery is.
    State {
        /// Not tried yet.
        Waiting = 1 "WAITING",
        /// The other side has it.
        Sent = 2 "SENT",
        /// Refused for now.
        Failed = 3 "FAILED",
        /// Given up.
        Dead = 4 "DEAD",
    }
}

impl State {
    /// By its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }
}

/// What is to be sent, one row for each event and channel. `next_at` is a moment plus `LANE` for
/// each channel before its own: so the due rows of a channel stand together, and one that is away holds
/// up no other.
pub static DELIVERY: Table = Table {
    rank: 52,
    name: "delivery",
    key: &["id"],
    cols: &[
        Col::int("state"),
        Col::int("order_id"),
        Col::int("kind"),
        Col::int("part"),
        Col::int("at"),
        Col::int("tries"),
        Col::int("next_at").or_null(),
        Col::int("sent_at").or_null(),
        Col::text("error").or_null(),
    ],
    versioned: false,
    due: true,
    lists: &[
        List { name: FAILED, col: "state", value: 3 },
        List { name: DEAD, col: "state", value: 4 },
    ],
    hot: false,
};

const FAILED: &str = "failed";
const DEAD: &str = "dead";

/// The moments of a channel: 3,170 years of microseconds.
const LANE: i64 = 100_000_000_000_000_000;

/// Channels that there may be: mail is 0, hooks count from 1.
pub const CHANNELS: i64 = 64;

/// How long a delivery is kept after it ended.
const KEPT: Span = Span(30 * 86_400_000_000);

/// Deliveries that a slice looks at.
const LOOKED_AT: u32 = 500;

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number: that of the event, and the channel.
    pub id: i64,
    /// How far it is.
    pub state: State,
    /// The order that it tells of.
    pub order: OrderId,
    /// What it tells.
    pub kind: Kind,
    /// The refund or shipment that is meant; 0: the order.
    pub part: i64,
    /// When it happened.
    pub at: Time,
    /// How often it was refused.
    pub tries: i64,
    /// When it is tried next.
    pub next_at: Option<Time>,
    /// When it was sent.
    pub sent_at: Option<Time>,
    /// Why it was not sent.
    pub error: Option<String>,
}

impl Delivery {
    /// The number of a delivery.
    const fn number(seq: i64, channel: i64) -> i64 {
        seq * CHANNELS + channel
    }

    /// Its channel.
    pub const fn channel(&self) -> i64 {
        self.id.rem_euclid(CHANNELS)
    }

    /// The number of its event.
    pub const fn seq(&self) -> i64 {
        self.id.div_euclid(CHANNELS)
    }

    fn read(row: &dyn Fields) -> Self {
        let id = row.int(0);
        let lane = id.rem_euclid(CHANNELS) * LANE;
        Self {
            id,
            state: crate::packed::coded("delivery.state", row.int(1), State::from_code),
            order: OrderId(row.int(2)),
            kind: crate::packed::coded("delivery.kind", row.int(3), Kind::from_code),
            part: row.int(4),
            at: Time(row.int(5)),
            tries: row.int(6),
            next_at: row.opt_int(7).map(|at| Time(at - lane)),
            sent_at: row.opt_int(8).map(Time),
            error: row.opt_text(9).map(str::to_owned),
        }
    }

    /// Puts it into the plan.
    pub fn write(&self, plan: &mut WritePlan) {
        let lane = self.channel() * LANE;
        let mut row = plan.row(&DELIVERY, Mode::Upsert);
        row.int(self.id).int(self.state.code()).int(self.order.0).int(self.kind.code());
        row.int(self.part).int(self.at.0).int(self.tries);
        row.opt_int(self.next_at.map(|at| at.0 + lane)).opt_int(self.sent_at.map(|at| at.0));
        row.opt_text(self.error.as_deref());
    }

    /// It is nobody's: there is no address.
    pub(crate) fn remove(&self, plan: &mut WritePlan) {
        plan.row(&DELIVERY, Mode::Delete).int(self.id);
    }
}

/// The consumer that makes deliveries of events.
#[derive(Debug)]
pub struct Notifier {
    channels: Vec<i64>,
    kinds: Vec<Kind>,
    /// The next delivery to be looked at, whether it is too old.
    from: i64,
    /// When the table is looked through again.
    next: Time,
}

impl Notifier {
    /// Tells `kinds` by these channels.
    pub fn new(channels: Vec<i64>, kinds: Vec<Kind>) -> Self {
        Self { channels, kinds, from: i64::MIN, next: Time(0) }
    }

    /// The same as a consumer of the embedded log.
    pub fn member(channels: Vec<i64>, kinds: Vec<Kind>) -> Member {
        Member { consumer: Box::new(Self::new(channels, kinds)), source: None }
    }
}

/// What an event tells, and of which refund or shipment.
fn told(fact: &Fact<'_>) -> Option<(Kind, i64)> {
    Some(match fact {
        Fact::OrderPlaced { .. } => (Kind::Placed, 0),
        Fact::OrderCompleted { .. } => (Kind::Completed, 0),
        Fact::OrderCancelled { .. } => (Kind::Cancelled, 0),
        Fact::OrderRefunded { no, .. } => (Kind::Refunded, i64::from(*no)),
        Fact::OrderShipped { no } => (Kind::Shipped, i64::from(*no)),
        _ => return None,
    })
}

impl Consumer for Notifier {
    fn number(&self) -> i64 {
        NOTIFICATION
    }

    fn wants(&self, topic: &str) -> bool {
        self.kinds.iter().any(|kind| kind.topic() == topic)
    }

    fn load(&mut self, _store: &mut dyn Store) -> Result<(), Fault> {
        Ok(())
    }

    fn take(&mut self, event: &Delivered, plan: &mut WritePlan) -> Result<i64, Fault> {
        let fact = Fact::decode(&event.payload)
            .map_err(|error| Fault::Item(format!("event {} is damaged: {error}", event.seq)))?;
        let Some((kind, part)) = told(&fact) else { return Ok(0) };
        for channel in &self.channels {
            let delivery = Delivery {
                id: Delivery::number(event.seq, *channel),
                state: State::Waiting,
                order: OrderId(event.key),
                kind,
                part,
                at: event.at,
                tries: 0,
                next_at: Some(event.at),
                sent_at: None,
                error: None,
            };
            delivery.write(plan);
        }
        Ok(0)
    }

    fn finish(&mut self, _work: &mut Work<'_>) -> Result<(), Fault> {
        Ok(())
    }

    /// Deletes what ended long ago, from the oldest on.
    fn keep(
        &mut self,
        store: &mut dyn Store,
        _truth: &mut dyn Reader,
        clock: &dyn jangbu_engine::clock::Clock,
    ) -> Result<bool, Fault> {
        let now = clock.now();
        if now < self.next && self.next.0 - HOUR.0 <= now.0 {
            return Ok(false);
        }
        let (mut plan, mut last, mut seen, mut young) = (WritePlan::default(), None, 0, false);
        let read = range(&DELIVERY, [self.from, 0, 0], [i64::MAX; 3], LOOKED_AT);
        store.begin()?.read(&[read], &mut |_, row| {
            let delivery = Delivery::read(row);
            (last, seen) = (Some(delivery.id), seen + 1);
            young |= (now - delivery.at).0 < KEPT.0;
            if delivery.next_at.is_none() && (now - delivery.at).0 >= KEPT.0 {
                delivery.remove(&mut plan);
            }
        })?;
        if !plan.is_empty() {
            let mut tx = store.begin()?;
            tx.write(&plan)?;
            commit(tx)?;
        }
        let more = seen == LOOKED_AT && !young;
        match last {
            Some(last) if more => self.from = last + 1,
            _ => (self.from, self.next) = (i64::MIN, now + HOUR),
        }
        Ok(more)
    }
}

/// How often the table is looked through.
const HOUR: Span = Span(3_600_000_000);

impl Queries {
    /// Deliveries: in a state, by their number; or all, the newest first. `after` is the last one seen.
    pub fn deliveries(
        &self,
        state: Option<State>,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, Fault> {
        let by = match state {
            Some(State::Failed) => {
                By::Listed { list: FAILED, after: after.unwrap_or(i64::MIN), limit }
            }
            Some(State::Dead) => By::Listed { list: DEAD, after: after.unwrap_or(i64::MIN), limit },
            Some(State::Waiting | State::Sent) | None => By::Range {
                from: [i64::MIN, 0, 0],
                to: [after.map_or(i64::MAX, |id| id - 1), 0, 0],
                descending: true,
                limit,
            },
        };
        let mut found = Vec::new();
        self.derived.read(&[Read { table: &DELIVERY, by }], &mut |_, row| {
            found.push(Delivery::read(row));
        })?;
        Ok(found)
    }

    /// A delivery.
    pub fn delivery(&self, id: i64) -> Result<Option<Delivery>, Fault> {
        let mut found = None;
        let by = By::Keys(vec![[id, 0, 0]]);
        self.derived.read(&[Read { table: &DELIVERY, by }], &mut |_, row| {
            found = Some(Delivery::read(row));
        })?;
        Ok(found)
    }

    /// What a channel is to send at `now`, the one that waits longest first.
    fn deliveries_due(&self, channel: i64, now: Time, limit: u32) -> Result<Vec<Delivery>, Fault> {
        let lane = channel * LANE;
        let by = By::Due {
            before: Time(now.0 + lane),
            after: Some((Time(lane - LANE / 2), i64::MAX)),
            limit,
        };
        let mut found = Vec::new();
        self.derived.read(&[Read { table: &DELIVERY, by }], &mut |_, row| {
            found.push(Delivery::read(row));
        })?;
        Ok(found)
    }
}
