//! The first projections, in `derived.db`: orders by user, timelines, account entries with their
//! running balance. Fed from the outbox in its order; the offset moves in the same transaction as
//! the rows, so nothing is taken in twice or left out. Everything here can be dropped and rebuilt:
//! the outbox is the log.
//!
//! ```text
//! outbox (truth) ──read after offset──▶ rows + offset ──one commit──▶ derived.db
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::clock::{Clock, Stopwatch};
use jangbu_engine::port::{
    Backend, By, Col, CommitError, Fault, Fields, Mode, Read, Reader, Store, Table, WritePlan,
};
use jangbu_kernel::Time;
use jangbu_store::Migration;

use crate::events::Fact;
use crate::lag::{Pace, Progress};
use crate::ledger::Made;

/// The last event that was taken in.
pub static OFFSET: Table = Table {
    rank: 1,
    name: "offset",
    key: &["id"],
    cols: &[Col::int("seq")],
    versioned: false,
    due: false,
    lists: &[],
};

/// Orders by user.
pub static USER_ORDER: Table = Table {
    rank: 2,
    name: "user_order",
    key: &["user_id", "order_id"],
    cols: &[Col::int("at")],
    versioned: false,
    due: false,
    lists: &[],
};

/// What happened to an order.
pub static TIMELINE: Table = Table {
    rank: 3,
    name: "timeline",
    key: &["order_id", "seq"],
    cols: &[Col::int("at"), Col::text("event"), Col::text("detail")],
    versioned: false,
    due: false,
    lists: &[],
};

/// Entries by account, with the balance after each.
pub static ACCOUNT_ENTRY: Table = Table {
    rank: 4,
    name: "account_entry",
    key: &["account", "at", "n"],
    cols: &[
        Col::int("source"),
        Col::int("seq"),
        Col::int("leg"),
        Col::int("amount"),
        Col::int("balance"),
    ],
    versioned: false,
    due: false,
    lists: &[],
};

/// The latest balance of each account.
pub static ACCOUNT_TAIL: Table = Table {
    rank: 5,
    name: "account_tail",
    key: &["account"],
    cols: &[Col::int("balance")],
    versioned: false,
    due: false,
    lists: &[],
};

/// The tables of `derived.db`.
pub const TABLES: [&Table; 5] = [&OFFSET, &USER_ORDER, &TIMELINE, &ACCOUNT_ENTRY, &ACCOUNT_TAIL];

/// Its schema.
pub const MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "init",
    sql: include_str!("../migrations/derived_0001_init.sql"),
}];

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
}

fn event(row: &dyn Fields) -> Event {
    Event { seq: row.int(0), at: row.int(2), key: row.int(4), payload: row.blob(7).to_vec() }
}

/// Takes events in, batch by batch. Lives on one thread.
struct Projector {
    truth: Box<dyn Reader>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
    seq: i64,
    balances: BTreeMap<i64, i64>,
    /// Whether `seq` and `balances` are what the store has: not at first, and not after a fault.
    known: bool,
    plan: WritePlan,
}

impl Projector {
    fn new(truth: Box<dyn Reader>, clock: Arc<dyn Clock>, progress: Arc<Progress>) -> Self {
        let (balances, plan) = (BTreeMap::new(), WritePlan::default());
        Self { truth, clock, progress, seq: 0, balances, known: false, plan }
    }

    /// Reads where the store stands.
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
        })
    }

    /// Takes in the next events.
    fn step(&mut self, store: &mut dyn Store) -> Result<Taken, Fault> {
        if !std::mem::take(&mut self.known) {
            self.load(store)?;
        }
        let taken = self.advance(store)?;
        self.known = true;
        Ok(taken)
    }

    fn advance(&mut self, store: &mut dyn Store) -> Result<Taken, Fault> {
        let events = self.next()?;
        self.plan.clear();
        let (mut postings, mut entries, mut seq, mut count) = (Vec::new(), 0, self.seq, 0);
        for event in &events {
            entries += self.take(event, &mut postings)?;
            (seq, count) = (event.seq, count + 1);
            if entries >= ENTRIES {
                break;
            }
        }
        if count == 0 {
            return Ok(Taken::default());
        }
        let touched = self.post(&postings)?;
        for account in touched {
            let balance = self.balances.get(&account).copied().unwrap_or(0);
            self.plan.row(&ACCOUNT_TAIL, Mode::Upsert).int(account).int(balance);
        }
        self.plan.row(&OFFSET, Mode::Upsert).int(0).int(seq);
        self.plan.sort();
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        tx.commit().map_err(|error| match error {
            CommitError::Failed(fault) => fault,
            // The offset tells, when it is read again.
            CommitError::Unknown(why) => Fault::Transient(why),
        })?;
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

    /// Puts the rows of one event into the plan, and names the postings it made; says about how
    /// many entries those have.
    fn take(&mut self, event: &Event, postings: &mut Vec<Made>) -> Result<i64, Fault> {
        let fact = Fact::decode(&event.payload)
            .map_err(|error| Fault::Fatal(format!("event {} is damaged: {error}", event.seq)))?;
        if let Fact::OrderPlaced { user, .. } = fact {
            self.plan.row(&USER_ORDER, Mode::Upsert).int(user).int(event.key).int(event.at);
        }
        let made = Made::of((event.seq, event.key), &fact);
        let entries = made.as_ref().map_or(0, |made| made.entries);
        postings.extend(made);
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

/// What the timeline keeps of an event. The usual turns of an order (placed, asked, captured,
/// ended) stand in its rows with their times ([`Queries::timeline`](crate::queries::Queries)), so
/// only what does not happen to every order needs a row here. A payment has its order's number.
fn detail(fact: &Fact<'_>) -> Option<String> {
    Some(match fact {
        Fact::OrderRefunded { no, amount } => format!("refund {no}: {amount}"),
        Fact::OrderAdvanced { from, to, why } => format!("{from} to {to} ({why})"),
        Fact::PaymentAuthorized { amount } | Fact::PaymentCaptureRequested { amount } => {
            format!("{amount}")
        }
        Fact::PaymentRefundRequested { no, amount }
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
        | Fact::JournalPosted { .. } => return None,
    })
}

/// A running projector.
#[derive(Debug)]
pub struct Projections {
    progress: Arc<Progress>,
    stop: Sender<()>,
    thread: JoinHandle<Result<(), Fault>>,
}

impl Projections {
    /// Follows the outbox of `truth` on a thread of its own; `clock` tells how far behind it is.
    pub fn follow(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let reader = truth.reader()?;
        let progress = Arc::new(Progress::default());
        let projector = Projector::new(reader, clock, Arc::clone(&progress));
        let (stop, stopped) = channel();
        let run = move || run(projector, &*derived, &stopped);
        let thread = std::thread::Builder::new().name("jangbu-project".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { progress, stop, thread })
    }

    /// The last event that was taken in.
    pub fn seq(&self) -> i64 {
        self.progress.seq()
    }

    /// How far it has come, for whoever watches.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Whether the thread is alive; a fault ends it.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Takes in what is there and ends.
    pub fn stop(self) -> Result<(), Fault> {
        drop(self.stop);
        let died = |_| Err(Fault::Fatal("the projector panicked".to_owned()));
        self.thread.join().unwrap_or_else(died)
    }
}

fn run(projector: Projector, derived: &dyn Backend, stop: &Receiver<()>) -> Result<(), Fault> {
    let mut projector = Some(projector);
    let mut ended = Ok(());
    let opened = derived.with(&mut |store| {
        if let Some(projector) = projector.take() {
            ended = follow(projector, store, stop);
        }
    });
    let ended = opened.and(ended);
    if let Err(fault) = &ended {
        tracing::error!(%fault, "the projections stand still; `jangbu rebuild` makes them anew");
    }
    ended
}

fn follow(
    mut projector: Projector,
    store: &mut dyn Store,
    stop: &Receiver<()>,
) -> Result<(), Fault> {
    let (mut pace, mut watch) = (Pace::default(), Stopwatch::start());
    let mut stopping = false;
    loop {
        let taken = match projector.step(store) {
            Err(Fault::Transient(why) | Fault::Full(why)) => {
                tracing::warn!(why, "the projections wait");
                Taken::default()
            }
            other => other?,
        };
        projector.progress.seq.store(projector.seq, Ordering::Relaxed);
        store.between()?;
        if taken.weight == 0 && stopping {
            return Ok(());
        }
        let rest = pace.rest(taken.weight, watch.lap());
        if !taken.full && !stopping {
            // Whoever stops us drops the other end.
            stopping = stop.recv_timeout(rest) != Err(RecvTimeoutError::Timeout);
        }
    }
}
