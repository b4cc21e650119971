//! How long the engine's own rows are kept: events in the outbox, idempotency keys of requests,
//! closed items of the poison table.
//!
//! | rows | go when | what stays |
//! |---|---|---|
//! | events | older than [`Keep::events`] and taken in by every consumer | the shard row's `trimmed` |
//! | keys of requests | older than [`Keep::keys`] | hash, operation, resource and time |
//! | closed poison | older than [`Keep::poison`] | the audit log's line |
//!
//! Events are numbered without gaps and are trimmed from the front, so one number says which are
//! gone. Everything happens in slices that aim at a millisecond (`chore`); each is a commit of its own
//! with the shard row: a kill leaves the rows and the number that tells of them together. The three
//! kinds take turns.

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use crate::books::{Books, OUTBOX, REQUEST};
use crate::cell::Turn;
use crate::chore::{Chore, Next, Portion};
use crate::counters::Counters;
use crate::poison::{Item, POISON, State};
use crate::port::{By, Fault, Mode, Read, Tx, WritePlan};
use crate::unit::Sink;

/// A request is answered as it was the first time for so long; after that its key is refused.
pub const KEYS: Span = Span(15 * DAY);

const DAY: i64 = 86_400_000_000;

/// Events of a slice. What costs is its commit: 30,000 events a second are 15 of the largest, and
/// also the smallest, one every 5 ms, keep up with them.
const TRIM: Portion = Portion::new(500, 250, 2_000);

/// Requests of a slice; the smallest keep up with 12,800 a second.
const PURGE: Portion = Portion::new(200, 64, 500);

/// Items of the poison table that a slice looks at.
const SWEEP: Portion = Portion::new(100, 50, 500);

/// How often rows are looked for that have become old enough.
const LOOK: Span = Span(1_000_000);

/// A slice that is not full is done when its oldest row is older than allowed by so much.
const GRACE: i64 = 10_000_000;

/// How long rows are kept; none: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Events.
    pub events: Option<Span>,
    /// Idempotency keys. Never less than the time for which they are answered.
    pub keys: Option<Span>,
    /// Closed items of the poison table.
    pub poison: Option<Span>,
}

impl Default for Keep {
    fn default() -> Self {
        let days = |n| Some(Span(n * DAY));
        Self { events: days(7), keys: Some(KEYS), poison: days(90) }
    }
}

/// What was trimmed and what waits for it, for metrics.
#[derive(Debug, Default)]
pub struct Kept {
    trimmed: AtomicI64,
    purged: AtomicI64,
    behind: AtomicI64,
}

impl Kept {
    /// Events up to this number are gone.
    pub fn trimmed(&self) -> i64 {
        self.trimmed.load(Ordering::Relaxed)
    }

    /// Requests up to this number have lost their key.
    pub fn purged(&self) -> i64 {
        self.purged.load(Ordering::Relaxed)
    }

    /// For how long the oldest event should have been gone: trimming does not keep up, or a consumer
    /// has not taken it in.
    pub fn behind(&self) -> Span {
        Span(self.behind.load(Ordering::Relaxed))
    }
}

/// The last event that no consumer needs any more.
pub type Floor = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The last event that none of them needs any more.
pub fn lowest(floors: Vec<Floor>) -> Floor {
    Arc::new(move || floors.iter().map(|floor| floor()).min().unwrap_or(i64::MAX))
}

/// Trims and purges, for as long as the owner lives.
pub struct Keeper {
    keep: Keep,
    floor: Floor,
    kept: Arc<Kept>,
    /// The closed items of the poison table are looked through from here.
    poison: i64,
    /// How much of each kind a slice does, and which is the next one to be asked.
    portions: [Portion; 3],
    next: usize,
}

impl Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Keeps rows as `keep` says, and no event beyond what `floor` tells.
    pub fn new(keep: Keep, floor: Floor, kept: Arc<Kept>) -> Self {
        let keys = keep.keys.map(|span| Span(span.0.max(KEYS.0)));
        let portions = [TRIM, PURGE, SWEEP];
        Self { keep: Keep { keys, ..keep }, floor, kept, poison: 0, portions, next: 0 }
    }

    /// Asks the kinds in turn, until one of them had something to do; says whether one had.
    fn round(&mut self, turn: &mut Turn<'_>) -> Result<bool, Fault> {
        for _ in 0..self.portions.len() {
            let (kind, mut worked) = (self.next, false);
            self.next = (kind + 1) % self.portions.len();
            let mut portion = self.portions[kind];
            turn.piece(&mut portion, |turn, most| {
                let done;
                (done, worked) = match kind {
                    0 => self.trim(turn, most.into())?,
                    1 => self.purge(turn, most)?,
                    _ => self.sweep(turn, most)?,
                };
                Ok(u32::try_from(done).unwrap_or(u32::MAX))
            })?;
            self.portions[kind] = portion;
            if worked {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Trims the next events, at most so many; says how many, and whether that was anything.
    fn trim(&self, turn: &mut Turn<'_>, size: i64) -> Result<(i64, bool), Fault> {
        let Some(keep) = self.keep.events else { return Ok((0, false)) };
        let (floor, kept, limit) = ((self.floor)(), &self.kept, Time(turn.now().0 - keep.0));
        let mut count = 0;
        turn.commit(&mut |tx, books, plan| {
            let first = books.shard.trimmed + 1;
            let most = (floor.min(books.shard.events) - books.shard.trimmed).min(size);
            let head = at(tx, first)?;
            kept.behind.store(head.map_or(0, |head| (limit - head).0.max(0)), Ordering::Relaxed);
            count = old(tx, first, most, limit)?;
            if count > 0 {
                books.shard.trimmed += count;
                plan.row(&OUTBOX, Mode::Trim).int(books.shard.trimmed);
                books.save(&Sink::default(), plan);
            }
            kept.trimmed.store(books.shard.trimmed, Ordering::Relaxed);
            Ok(())
        })?;
        Counters::add(&turn.counters().trimmed, count.unsigned_abs());
        Ok((count, count > 0))
    }

    /// Takes the keys off the next requests, at most so many; says off how many, and whether that
    /// was anything.
    fn purge(&self, turn: &mut Turn<'_>, size: u32) -> Result<(i64, bool), Fault> {
        let Some(keep) = self.keep.keys else { return Ok((0, false)) };
        let (kept, limit) = (&self.kept, Time(turn.now().0 - keep.0));
        let mut count = 0;
        turn.commit(&mut |tx, books, plan| {
            count = purge(tx, books, plan, (limit, size))?;
            kept.purged.store(books.shard.purged, Ordering::Relaxed);
            Ok(())
        })?;
        Counters::add(&turn.counters().purged, count.unsigned_abs());
        Ok((count, count > 0))
    }

    /// Looks at the next items of the poison table, at most so many, and deletes what was closed
    /// long ago; says how many it looked at, and whether there may be more.
    fn sweep(&mut self, turn: &mut Turn<'_>, size: u32) -> Result<(i64, bool), Fault> {
        let Some(keep) = self.keep.poison else { return Ok((0, false)) };
        let (from, limit) = (self.poison + 1, Time(turn.now().0 - keep.0));
        let (mut last, mut seen) = (0, 0);
        turn.commit(&mut |tx, books, plan| {
            let mut gone = Vec::new();
            tx.read(&[page(&POISON, from, size)], &mut |_, row| {
                (last, seen) = (row.int(0), seen + 1);
                let item = Item::read(row);
                let old = item.state != State::Open && item.at < limit;
                gone.extend(old.then_some(last));
            })?;
            for id in &gone {
                plan.row(&POISON, Mode::Delete).int(*id);
            }
            if !plan.is_empty() {
                books.save(&Sink::default(), plan);
            }
            Ok(())
        })?;
        let full = seen == i64::from(size);
        self.poison = if full { last } else { 0 };
        Ok((seen, full))
    }
}

impl Chore for Keeper {
    fn name(&self) -> &'static str {
        "retention"
    }

    fn slice(&mut self, turn: &mut Turn<'_>) -> Result<Next, Fault> {
        Ok(if self.round(turn)? { Next::Again } else { Next::Rest(LOOK) })
    }
}

/// When event `seq` was committed.
fn at(tx: &mut dyn Tx, seq: i64) -> Result<Option<Time>, Fault> {
    let mut found = None;
    let read = [Read { table: &OUTBOX, by: By::Keys(vec![[seq, 0, 0]]) }];
    tx.read(&read, &mut |_, row| found = Some(Time(row.int(2))))?;
    Ok(found)
}

/// How many of the `most` events from `first` on are older than `limit`. Times go up with the
/// numbers but for the width of a batch, so it is enough to look at some.
fn old(tx: &mut dyn Tx, first: i64, most: i64, limit: Time) -> Result<i64, Fault> {
    let is_old = |tx: &mut dyn Tx, count: i64, limit: Time| {
        Ok::<_, Fault>(at(tx, first + count - 1)?.is_some_and(|at| at <= limit))
    };
    if most <= 0 || is_old(tx, most, limit)? {
        return Ok(most.max(0));
    }
    // A slice that is not full costs as much as one that is: it waits until its time has come.
    if !is_old(tx, 1, Time(limit.0 - GRACE))? {
        return Ok(0);
    }
    let (mut low, mut high) = (1, most);
    while high - low > 1 {
        let middle = i64::midpoint(low, high);
        if is_old(tx, middle, limit)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn page(table: &'static crate::port::Table, from: i64, limit: u32) -> Read {
    let (from, to) = ([from, i64::MIN, i64::MIN], [i64::MAX; 3]);
    Read { table, by: By::Range { from, to, descending: false, limit } }
}

/// Takes the keys off the next requests that are older than `limit`, at most `size`; says off how
/// many.
fn purge(
    tx: &mut dyn Tx,
    books: &mut Books,
    plan: &mut WritePlan,
    (limit, size): (Time, u32),
) -> Result<i64, Fault> {
    let mut head = None;
    let first = books.shard.purged + 1;
    let key = Read { table: &REQUEST, by: By::Keys(vec![[first, 0, 0]]) };
    tx.read(&[key], &mut |_, row| head = Some(Time(row.int(5))))?;
    if head.is_none_or(|head| head > limit) {
        return Ok(0);
    }
    let (mut count, mut young) = (0, false);
    tx.read(&[page(&REQUEST, first, size)], &mut |_, row| {
        young |= Time(row.int(5)) > limit;
        if young {
            return;
        }
        count += 1;
        let operation = row.text(1).rsplit(':').next().unwrap_or_default();
        let mut bare = plan.row(&REQUEST, Mode::Upsert);
        bare.int(row.int(0)).text(operation).text("").blob(&[]);
        bare.int(row.int(4)).int(row.int(5));
    })?;
    books.shard.purged += count;
    books.save(&Sink::default(), plan);
    Ok(count)
}
