//! The first projections, in `derived.db`: orders by user, timelines, account entries with their
//! running balance. Fed from the outbox in its order; the offset moves in the same transaction as
//! the rows, so nothing is taken in twice or left out. Everything here can be dropped and rebuilt:
//! from the outbox, and from the rows of the truth as far as the outbox has been trimmed.
//!
//! ```text
//! outbox (truth) ──read after offset──▶ rows + offset ──one commit──▶ derived.db
//! ```
//!
//! | part | holds |
//! |---|---|
//! | `tables` | what is stored |
//! | `parking`, `parked` | events that cannot be taken in; how they are kept and listed |
//! | `refill` | what trimmed events said, from rows |
//! | `retain` | what is not kept for ever |
//! | `shelf` | products as lists show them |
//! | `running` | the thread that follows the outbox |

mod parked;
mod parking;
mod refill;
mod retain;
mod running;
pub mod shelf;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{
    By, CommitError, Fault, Fields, Mode, Read, Reader, Store, Tx, WritePlan,
};
use jangbu_kernel::Time;

pub use parked::{Parked, ParkedKey};
pub use parking::{Settled, Told, Unsettled, Verb};
pub use refill::{Standing, refill, standing};
pub use retain::Keep;
pub use running::{Handle, Projections, Written};
pub use tables::{
    ACCOUNT_ENTRY, ACCOUNT_TAIL, COUPON_OF_USER, MIGRATIONS, OFFSET, PARKED, PARKED_EVENT,
    POINT_HISTORY, TABLES, TIMELINE, USER_ORDER,
};

use crate::events::{Fact, PointMove};
use crate::lag::Progress;
use crate::ledger::Made;
use retain::Retention;

/// Events in one transaction of `derived.db`.
const BATCH: u32 = 20_000;

/// A transaction of `derived.db` ends with the event that brings it to this many entries: one
/// journal has up to 10,000.
const ENTRIES: i64 = 50_000;

/// What a step took in.
#[derive(Clone, Copy, Default)]
struct Taken {
    /// Events, or their entries if those are more.
    weight: usize,
    /// Whether the next step will find more at once.
    full: bool,
}

/// An event as the outbox has it.
struct Event {
    seq: i64,
    at: i64,
    key: i64,
    payload: Vec<u8>,
    means: Means,
}

/// What the topic of an event means here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    /// Nothing: it is not even read. One of them comes with nearly every commit, and all share a
    /// key; a damaged one must not park that.
    Nothing,
    /// The product is looked at again, whatever the payload says.
    Product,
    /// So is the category.
    Category,
    /// What its payload says.
    Fact,
}

fn event(row: &dyn Fields) -> Event {
    let means = match row.text(3) {
        "stock.changed" => Means::Nothing,
        "product.changed" => Means::Product,
        "category.changed" => Means::Category,
        _ => Means::Fact,
    };
    let payload = if means == Means::Fact { row.blob(7).to_vec() } else { Vec::new() };
    Event { seq: row.int(0), at: row.int(2), key: row.int(4), payload, means }
}

/// Takes events in, batch by batch. Lives on one thread.
struct Projector {
    truth: Box<dyn Reader>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
    seq: i64,
    balances: BTreeMap<i64, i64>,
    /// Keys that wait for an operator.
    parked: BTreeMap<i64, Parked>,
    /// Whether `seq`, `balances` and `parked` are what the store has: not at first, and not after a fault.
    known: bool,
    /// What is to be looked at again before the next commit.
    changed: Changed,
    plan: WritePlan,
    retention: Retention,
}

/// Products and categories that events have named.
#[derive(Default)]
struct Changed {
    products: BTreeSet<i64>,
    categories: BTreeSet<i64>,
}

impl Projector {
    fn new(
        truth: Box<dyn Reader>,
        clock: Arc<dyn Clock>,
        progress: Arc<Progress>,
        keep: Keep,
    ) -> Self {
        Self {
            truth,
            clock,
            progress,
            seq: 0,
            balances: BTreeMap::new(),
            parked: BTreeMap::new(),
            known: false,
            changed: Changed::default(),
            plan: WritePlan::default(),
            retention: Retention::new(keep),
        }
    }

    /// Says how far it has come, and which events it needs no more: those that wait under a parked
    /// key are read again.
    fn tell_progress(&self) {
        if !self.known {
            return;
        }
        let parked = self.parked.values().map(|parked| parked.seq - 1).min();
        let floor = parked.map_or(self.seq, |parked| parked.min(self.seq));
        self.progress.seq.store(self.seq, Ordering::Relaxed);
        self.progress.floor.store(floor, Ordering::Relaxed);
    }

    /// Reads where the store stands. An outbox that has been trimmed beyond it cannot be followed.
    fn load(&mut self, store: &mut dyn Store) -> Result<(), Fault> {
        let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
        let all = By::Range { from, to, descending: false, limit: u32::MAX };
        let offset = By::Keys(vec![[0; 3]]);
        let reads = [Read { table: &OFFSET, by: offset }, Read { table: &ACCOUNT_TAIL, by: all }];
        let (seq, balances) = (&mut self.seq, &mut self.balances);
        *seq = 0;
        balances.clear();
        store.begin()?.read(&reads, &mut |read, row| match read {
            0 => *seq = row.int(1),
            _ => {
                balances.insert(row.int(0), row.int(1));
            }
        })?;
        self.check_head()?;
        self.load_parked(store)
    }

    fn check_head(&mut self) -> Result<(), Fault> {
        let mut trimmed = 0;
        let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
        self.truth.read(&read, &mut |_, row| trimmed = row.int(6))?;
        if trimmed <= self.seq {
            return Ok(());
        }
        Err(Fault::Fatal(format!(
            "derived.db has taken in {} events, and {trimmed} are trimmed: stop, `jangbu rebuild`",
            self.seq
        )))
    }

    /// Takes in the next events.
    fn step(&mut self, store: &mut dyn Store) -> Result<Taken, Fault> {
        if !std::mem::take(&mut self.known) {
            self.load(store)?;
        }
        let events = self.next()?;
        let taken = self.absorb(store, &events)?;
        self.known = true;
        Ok(taken)
    }

    /// Takes in these events, or the first of them.
    fn attempt(&mut self, store: &mut dyn Store, events: &[Event]) -> Result<Taken, Fault> {
        self.plan.clear();
        self.changed = Changed::default();
        let (mut postings, mut entries, mut seq, mut count) = (Vec::new(), 0, self.seq, 0);
        for event in events {
            if event.means != Means::Nothing && !self.waits(event) {
                entries += self.take(event, &mut postings)?;
            }
            (seq, count) = (event.seq, count + 1);
            if entries >= ENTRIES {
                break;
            }
        }
        if count == 0 {
            return Ok(Taken::default());
        }
        self.look()?;
        let touched = self.post(&postings)?;
        for account in touched {
            let balance = self.balances.get(&account).copied().unwrap_or(0);
            self.plan.row(&ACCOUNT_TAIL, Mode::Upsert).int(account).int(balance);
        }
        self.plan.row(&OFFSET, Mode::Upsert).int(0).int(seq);
        self.plan.sort();
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        commit(tx)?;
        self.seq = seq;
        let taken = events[..count].iter().map(|event| Time(event.at));
        self.progress.lag.observe(self.clock.now(), taken);
        let full = count < events.len() || count >= BATCH as usize;
        let weight = count.max(usize::try_from(entries).unwrap_or(0));
        Ok(Taken { weight, full })
    }

    fn next(&mut self) -> Result<Vec<Event>, Fault> {
        let mut events = Vec::new();
        let (from, to) = ([self.seq + 1, 0, 0], [i64::MAX; 3]);
        let by = By::Range { from, to, descending: false, limit: BATCH };
        self.truth.read(&[Read { table: &OUTBOX, by }], &mut |_, row| events.push(event(row)))?;
        Ok(events)
    }

    /// Looks at what has changed.
    fn look(&mut self) -> Result<(), Fault> {
        let Changed { products, categories } = std::mem::take(&mut self.changed);
        if !products.is_empty() {
            shelf::look(&mut *self.truth, &products, &mut self.plan)?;
        }
        if !categories.is_empty() {
            shelf::look_at_categories(&mut *self.truth, &categories, &mut self.plan)?;
        }
        Ok(())
    }

    /// Puts the rows of one event into the plan, and names the postings it made; says about how
    /// many entries those have.
    fn take(&mut self, event: &Event, postings: &mut Vec<Made>) -> Result<i64, Fault> {
        match event.means {
            Means::Product => {
                self.changed.products.insert(event.key);
            }
            Means::Category => {
                self.changed.categories.insert(event.key);
            }
            Means::Nothing | Means::Fact => {}
        }
        if event.means != Means::Fact {
            return Ok(0);
        }
        let fact = Fact::decode(&event.payload)
            .map_err(|error| Fault::Item(format!("event {} is damaged: {error}", event.seq)))?;
        if let Fact::OrderPlaced { user, .. } = fact {
            self.plan.row(&USER_ORDER, Mode::Upsert).int(user).int(event.key).int(event.at);
        }
        if let Fact::CouponChanged { issued, .. } = &fact {
            for (coupon, user, ..) in issued {
                self.plan.row(&COUPON_OF_USER, Mode::Upsert).int(*user).int(*coupon).int(event.at);
            }
        }
        let made = Made::of((event.seq, event.key), &fact);
        let mut entries = made.as_ref().map_or(0, |made| made.entries);
        postings.extend(made);
        if let Fact::PointChanged { moves } = &fact {
            entries += self.points(event, moves, postings);
        }
        if let Some(detail) = detail(&fact) {
            self.plan
                .row(&TIMELINE, Mode::Upsert)
                .int(event.key)
                .int(event.seq)
                .int(event.at)
                .text(fact.topic())
                .text(&detail);
        }
        Ok(entries)
    }

    /// Puts movements of points into the plan, and names the postings of their own.
    fn points(&mut self, event: &Event, moves: &[PointMove], postings: &mut Vec<Made>) -> i64 {
        for (line, place) in moves.iter().zip(0_i64..) {
            let n = (event.seq << 16) | place;
            let PointMove { user, what, about, paid, earned, seq: _, balance } = *line;
            let mut row = self.plan.row(&POINT_HISTORY, Mode::Upsert);
            row.int(user).int(n).int(event.at).int(what).int(about);
            row.int(paid).int(earned).int(balance);
            let posting = line.posting();
            postings.extend(posting.map(|posting| Made::of_points(event.seq, place, posting)));
        }
        i64::try_from(2 * moves.len()).unwrap_or(i64::MAX)
    }

    /// Adds the entries of postings to their accounts; says which accounts.
    fn post(&mut self, postings: &[Made]) -> Result<Vec<i64>, Fault> {
        let reads: Vec<_> = postings.iter().map(Made::read).collect();
        let (balances, plan) = (&mut self.balances, &mut self.plan);
        let mut touched = Vec::new();
        let mut place = (usize::MAX, 0);
        self.truth.read(&reads, &mut |at, row| {
            let (leg, account, amount) = (row.int(2), row.int(3), row.int(4));
            let balance = balances.entry(account).or_insert(0);
            *balance += amount;
            touched.push(account);
            place = if place.0 == at { (at, place.1 + 1) } else { (at, 0) };
            plan.row(&ACCOUNT_ENTRY, Mode::Upsert)
                .int(account)
                .int(row.int(5))
                .int(postings[at].number(place.1))
                .int(row.int(0))
                .int(row.int(1))
                .int(leg)
                .int(amount)
                .int(*balance);
        })?;
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }
}

pub(crate) fn commit(tx: Box<dyn Tx + '_>) -> Result<(), Fault> {
    tx.commit().map_err(|error| match error {
        CommitError::Failed(fault) => fault,
        // The offset tells, when it is read again.
        CommitError::Unknown(why) => Fault::Transient(why),
    })
}

/// What the timeline keeps of an event. The usual turns of an order (placed, asked, captured,
/// ended) stand in its rows with their times ([`Queries::timeline`](crate::queries::Queries)), so
/// only what does not happen to every order needs a row here. A payment has its order's number.
fn detail(fact: &Fact<'_>) -> Option<String> {
    Some(match fact {
        Fact::OrderRefunded { no, amount, .. } => format!("refund {no}: {amount}"),
        Fact::OrderAdvanced { from, to, why } => format!("{from} to {to} ({why})"),
        Fact::OrderShipped { no } | Fact::OrderDelivered { no } => format!("shipment {no}"),
        Fact::PaymentAuthorized { amount, .. } | Fact::PaymentCaptureRequested { amount, .. } => {
            format!("{amount}")
        }
        Fact::PaymentRefundRequested { no, amount, .. }
        | Fact::PaymentRefunded { no, amount, .. }
        | Fact::PaymentSetAside { no, amount, .. }
        | Fact::PaymentReleased { no, amount, .. } => {
            format!("refund {no}: {amount}")
        }
        Fact::OrderPlaced { .. }
        | Fact::OrderCompleted { .. }
        | Fact::OrderCancelled { .. }
        | Fact::PaymentCaptured { .. }
        | Fact::ProductChanged { .. }
        | Fact::StockChanged { .. }
        | Fact::PointChanged { .. }
        | Fact::CouponChanged { .. }
        | Fact::JournalPosted { .. }
        | Fact::ProductEdited { .. }
        | Fact::CategoryChanged { .. } => return None,
    })
}
