//! Hot rows: rows that nearly every commit changes all over their table, such as the stock of all
//! SKUs; in tables that are only added to, new rows whose keys are random, such as hashes. Each would
//! cost a commit a page of its own, a hundred times its size; so a large commit puts them into one row
//! of `hot_log`, and later commits carry them to their places in the order of their keys, some at a
//! time, when one page takes many of them.
//!
//! ```text
//! commit:   changed hot rows ─▶ one row of hot_log, and memory
//!           the next few rows in memory, by key ─▶ their places
//! a round over all keys later: the log's rows from before it are dropped
//! opened, closed: every row is put in its place, the log is empty
//! ```
//!
//! *Invariants.* 1. The newest state of a row is the one with the highest version among its place and
//! the log. 2. A row of the log is dropped when all rows in it have their state, or a newer one, in
//! their places. 3. Memory has exactly the rows whose newest state is not in their place. 4. Whoever
//! reads gets the newest state: the owner from memory; a reader beside it by key from memory, looked
//! at before its snapshot begins, else, and for everything else, from the log within its snapshot
//! ([`overlay`]).
//!
//! What a CHECK says of such a row is asked when it is put in its place: a second after its commit.

pub(super) mod overlay;
mod packed;
mod shown;

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    time::{Duration, Instant},
};

use jangbu_engine::port::{By, Mode, Read, Table, Values, WritePlan};
use rusqlite::{Connection, Result, Statement};

use self::{
    packed::Unpacked,
    shown::{Newest, Place, Row},
};
use super::held::prepare;

pub(super) use self::shown::{Seen, Shown};

/// A commit that changes fewer hot rows puts them in their places at once.
const MANY: usize = 16;

/// A round over all rows in memory takes about so many commits.
const ROUND: usize = 400;

/// A commit carries at least so many rows to their places.
const LEAST: usize = 8;

/// Rows that are carried at a time when nothing else is written.
const IDLE: usize = 512;

/// Rows of the log that a commit drops at most: more than the one that it adds.
const DROP: i64 = 4;

/// Why a row is not taken in.
#[derive(Debug)]
pub(super) enum Refused {
    /// It was not in the version that the owner holds.
    Stale,
    /// It is there already.
    Exists,
}

/// The owner's side.
pub(super) struct Hot<'c> {
    conn: &'c Connection,
    tables: Vec<&'static Table>,
    shown: Shown,
    /// What the open transaction changed.
    staged: Newest,
    /// What the open transaction put in its place.
    carried: Vec<Place>,
    rounds: Rounds,
    /// The rounds as they will be after the commit.
    next: Rounds,
    insert: Option<Statement<'c>>,
    drop: Option<Statement<'c>>,
    /// When the last transaction was sealed, and how long after it nobody is held to write any more.
    sealed: Instant,
    idle: Duration,
    /// Whether the last commit happened is not known: memory may be behind the log.
    unsure: bool,
}

impl std::fmt::Debug for Hot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hot").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

/// How far rows were carried, and what of the log is needed.
#[derive(Clone, Copy, Debug, Default)]
struct Rounds {
    /// Number of the last row of the log.
    last: i64,
    /// The place that was last put right; `None` at the beginning of a round.
    cursor: Option<Place>,
    /// The last row of the log when the round began.
    since: i64,
    /// Rows of the log up to this number are not needed.
    settled: i64,
    /// Rows up to this number are dropped.
    dropped: i64,
}

impl<'c> Hot<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        tables: &[&'static Table],
        (shown, idle): (&Shown, Duration),
    ) -> Self {
        let tables: Vec<_> = tables.iter().copied().filter(|table| table.hot).collect();
        *shown.0.lock() = Some(Newest::new());
        Self {
            conn,
            tables,
            shown: shown.clone(),
            staged: Newest::new(),
            carried: Vec::new(),
            rounds: Rounds::default(),
            next: Rounds::default(),
            insert: None,
            drop: None,
            sealed: Instant::now(),
            idle,
            unsure: false,
        }
    }

    /// Whether the changes of hot rows in `plan` go to the log.
    pub(super) fn are_many(plan: &WritePlan) -> bool {
        let hot = |(table, mode, _): &(&Table, Mode, Values<'_>)| is_change(table, *mode);
        plan.iter().filter(hot).take(MANY).count() == MANY
    }

    /// Takes a row in, if it does not go to its place; `false`: it does.
    pub(super) fn stage(
        &mut self,
        table: &'static Table,
        mode: Mode,
        values: Values<'_>,
        many: bool,
    ) -> std::result::Result<bool, Refused> {
        if !is_change(table, mode) {
            let kept = !table.hot || mode == Mode::Insert;
            assert!(kept, "a hot row of {} is neither replaced nor deleted", table.name);
            return Ok(false);
        }
        let place = (table.rank, values.key(table));
        let held = self.newest(place).map(|row| (row.placed, row.version));
        if held.is_none() && !many {
            return Ok(false);
        }
        let (placed, version) = match (mode, held) {
            (Mode::Update { version }, None) => (version, packed::version(table, values)),
            (Mode::Update { version }, Some((placed, held))) if held == version => {
                (placed, packed::version(table, values))
            }
            (Mode::Update { .. }, _) => return Err(Refused::Stale),
            (_, None) => (0, 1),
            (_, Some(_)) => return Err(Refused::Exists),
        };
        let row = Row { placed, version, values: packed::pack(values) };
        self.staged.insert(place, row);
        Ok(true)
    }

    /// The newest state of a row that is not in its place.
    fn newest(&self, place: Place) -> Option<Row> {
        let shown = || self.shown.0.lock().as_ref().and_then(|rows| rows.get(&place).cloned());
        self.staged.get(&place).cloned().or_else(shown)
    }

    /// What the places of the wanted rows do not tell the open transaction.
    pub(super) fn seen(&self, Read { table, by }: &Read) -> Seen {
        let mut seen = Seen::default();
        if table.hot
            && let By::Keys(keys) = by
        {
            for key in keys {
                let place = (table.rank, *key);
                seen.0.extend(self.newest(place).map(|row| (place, row)));
            }
        } else if table.hot {
            // Rare: whatever is not in its place.
            let rank = |row: &(&Place, &Row)| row.0.0 == table.rank;
            let shown = self.shown.0.lock();
            let all = shown.iter().flatten().chain(&self.staged).filter(rank);
            seen.0.extend(all.map(|(place, row)| (*place, row.clone())));
        }
        seen
    }

    /// Before the commit: writes the log, and carries the next rows to their places with `put`.
    pub(super) fn seal(&mut self, put: &mut Put<'_>) -> Result<()> {
        self.sealed = Instant::now();
        self.next = self.rounds;
        if !self.staged.is_empty() {
            self.next.last += 1;
            let text = packed::log(
                self.staged.iter().map(|((rank, _), row)| (self.table(*rank).name, &*row.values)),
            );
            let insert = "INSERT INTO hot_log (no, rows) VALUES (?1, ?2)";
            held(&mut self.insert, self.conn, insert)?.execute((self.next.last, text))?;
        }
        let waiting = self.shown.0.lock().as_ref().map_or(0, BTreeMap::len);
        if waiting > 0 {
            self.carry(LEAST.max(waiting / ROUND), put)?;
        }
        self.drop_settled()
    }

    /// Carries up to `count` rows on, and begins a new round at the end of one.
    fn carry(&mut self, count: usize, put: &mut Put<'_>) -> Result<()> {
        let from = self.next.cursor.map_or(Unbounded, Excluded);
        let rows: Vec<(Place, Row)> = {
            let shown = self.shown.0.lock();
            let rows = shown.iter().flat_map(|rows| rows.range((from, Unbounded)));
            rows.take(count).map(|(place, row)| (*place, row.clone())).collect()
        };
        for (place, row) in &rows {
            // One that changes again now has its state in the log of this commit.
            if !self.staged.contains_key(place) {
                put(self.table(place.0), &Unpacked::of(&row.values), row.placed)?;
                self.carried.push(*place);
            }
        }
        if rows.len() < count {
            self.next.settled = self.next.since;
            self.next.since = self.next.last;
            self.next.cursor = None;
        } else {
            self.next.cursor = rows.last().map(|(place, _)| *place);
        }
        Ok(())
    }

    fn drop_settled(&mut self) -> Result<()> {
        let to = self.next.settled.min(self.next.dropped + DROP);
        if to > self.next.dropped {
            let drop = "DELETE FROM hot_log WHERE no <= ?1";
            held(&mut self.drop, self.conn, drop)?.execute([to])?;
            self.next.dropped = to;
        }
        Ok(())
    }

    /// The commit happened.
    pub(super) fn committed(&mut self) {
        self.rounds = self.next;
        if let Some(rows) = &mut *self.shown.0.lock() {
            for place in self.carried.drain(..) {
                rows.remove(&place);
            }
            // Not `append`, which would build the whole map anew.
            rows.extend(std::mem::take(&mut self.staged));
        }
    }

    /// The transaction is gone.
    pub(super) fn rolled_back(&mut self) {
        self.staged.clear();
        self.carried.clear();
        self.next = self.rounds;
    }

    /// Nobody knows whether the commit happened.
    pub(super) fn unsure(&mut self) {
        self.unsure = true;
        *self.shown.0.lock() = None;
    }

    pub(super) fn is_unsure(&self) -> bool {
        self.unsure
    }

    /// Every row is in its place, and the log is empty.
    pub(super) fn reset(&mut self) {
        *self.shown.0.lock() = Some(Newest::new());
        self.rounds = Rounds::default();
        self.unsure = false;
    }

    /// Whether there is something to carry and nobody else writes. A moment without work is none
    /// without load: the rows that came since the last one would get a page each again.
    pub(super) fn is_idle(&self) -> bool {
        self.rounds.dropped < self.rounds.last && self.sealed.elapsed() >= self.idle
    }

    /// In a transaction of its own: carries rows while nothing else is written; the last one empties
    /// the log.
    pub(super) fn tidy(&mut self, put: &mut Put<'_>) -> Result<()> {
        self.next = self.rounds;
        self.next.cursor = None;
        self.carry(IDLE, put)?;
        if self.next.cursor.is_none() {
            self.next.settled = self.next.last;
            self.next.dropped = self.next.last - DROP;
        }
        self.drop_settled()
    }

    fn table(&self, rank: u16) -> &'static Table {
        let table = self.tables.iter().find(|table| table.rank == rank);
        table.unwrap_or_else(|| panic!("no hot table has rank {rank}"))
    }
}

impl Drop for Hot<'_> {
    /// From now on only the log can tell.
    fn drop(&mut self) {
        *self.shown.0.lock() = None;
    }
}

/// Puts a row of a table in its place, where it has the given version.
pub(super) type Put<'a> = dyn FnMut(&'static Table, &Unpacked, i64) -> Result<()> + 'a;

fn is_change(table: &Table, mode: Mode) -> bool {
    let change =
        if table.versioned { matches!(mode, Mode::Update { .. }) } else { mode == Mode::Insert };
    table.hot && change
}

fn held<'s, 'c>(
    slot: &'s mut Option<Statement<'c>>,
    conn: &'c Connection,
    sql: &str,
) -> Result<&'s mut Statement<'c>> {
    match slot {
        Some(statement) => Ok(statement),
        None => Ok(slot.insert(prepare(conn, sql)?)),
    }
}
