//! Load: idempotency and rows of a batch, in a number of rounds that does not depend on its size.
//!
//! | round | reads |
//! |---|---|
//! | 1 | who has used the batch's idempotency keys, and the rows that the commands name |
//! | 2 | the requests of keys that were used, and the rows that those of round 1 name |
//! | 3 … 6 | on a store that is far away: the rows that those name |
//! | later | what a repeated command made the first time, and what a decision lacks after all |
//!
//! A round in which nothing is missing is not read. What a cascade needs beyond the rows of its root
//! is read when it is missing ([`Cell::bring`]): on an embedded file that costs nothing. On a store
//! behind a network each of these reads would be a round trip, so there the rows of the commands that
//! will probably follow are named along with those of the roots ([`Hints`]).

use jangbu_kernel::{Envelope, Payload, Time, UnitId};

use super::{Cell, Item};
use crate::books::{Books, Opening, Round, Search};
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::port::{Fault, Tx};
use crate::unit::Hints;

/// Rounds in which a command's rows are named: from the command, and from its first rows.
const NEAR: u32 = 2;
/// The same with those of what follows from it.
const FAR: u32 = 6;

/// What a key that came before is worth now.
#[derive(Clone, Copy)]
pub(super) enum Earlier {
    /// The same request: it gets the answer of the first one.
    Same,
    /// Another command had it, and made this.
    Other(i64),
    /// It is too old to be answered by what it made.
    Expired(i64),
}

impl Cell {
    /// Reads the shard row and what units must always know, unless they are held already.
    pub(super) fn open(&mut self, tx: &mut dyn Tx) -> Result<(), Fault> {
        if self.books.is_some() {
            return Ok(());
        }
        let (mut opening, mut reads) = (Opening::default(), Opening::reads());
        let mut owners = vec![None; reads.len()];
        for (at, unit) in self.units.iter_mut().enumerate() {
            let first = reads.len();
            unit.open(&mut reads);
            owners.resize(reads.len(), Some((at, first)));
        }
        let units = &mut self.units;
        tx.read(&reads, &mut |read, row| match owners[read] {
            None => opening.take(read, row),
            Some((unit, first)) => units[unit].opening(read - first, row),
        })?;
        let books = opening.books()?;
        self.counters.reached.set(books.position());
        self.books = Some(books);
        for unit in &mut self.units {
            unit.opened();
        }
        Ok(())
    }

    pub(super) fn books(&mut self) -> &mut Books {
        self.books.as_mut().unwrap_or_else(|| panic!("the books are open within a transaction"))
    }

    /// Idempotency and the rows of all roots.
    pub(super) fn load(
        &mut self,
        tx: &mut dyn Tx,
        batch: &mut [Item],
        now: Time,
    ) -> Result<(), Fault> {
        self.books().begin(now);
        let now = self.books().shard.clock;
        for item in batch.iter_mut().filter(|item| item.envelope.now.0 == 0) {
            item.envelope.now = now;
        }
        let keys = batch.iter().filter_map(|item| item.envelope.key.as_deref());
        let mut search = self.books().search(keys);
        self.gather(tx, batch, &mut search)?;
        let mut repeats = false;
        for item in batch.iter_mut() {
            repeats |= self.adopt(&mut item.envelope).is_some();
        }
        if repeats { self.gather(tx, batch, &mut Search::default()) } else { Ok(()) }
    }

    /// Rounds until no root lacks a row and every key is looked up.
    fn gather(
        &mut self,
        tx: &mut dyn Tx,
        roots: &[Item],
        search: &mut Search<'_>,
    ) -> Result<(), Fault> {
        let mut rounds = if self.far { FAR } else { NEAR };
        while rounds > 0 || !search.is_over() {
            if rounds > 0 {
                self.want(roots);
            }
            let more = self.fetch(tx, search)?;
            rounds = if more { rounds.saturating_sub(1) } else { 0 };
        }
        Ok(())
    }

    /// Names the rows of all roots, and of what will probably follow from them.
    fn want(&mut self, roots: &[Item]) {
        let mut hints = std::mem::take(&mut self.hints);
        for Item { envelope, .. } in roots {
            self.want_one(envelope.to, &*envelope.body, &mut hints);
            while let Some((to, body)) = hints.next() {
                self.want_one(to, &*body, &mut hints);
            }
        }
        self.hints = hints;
    }

    fn want_one(&mut self, to: UnitId, body: &dyn Payload, hints: &mut Hints) {
        let Some(unit) = self.unit(to) else { return };
        self.units[unit].want(body);
        if self.far {
            self.units[unit].ahead(body, hints);
        }
    }

    /// Points a repeated command at what its first run made; says what its key is worth.
    pub(super) fn adopt(&mut self, envelope: &mut Envelope) -> Option<Earlier> {
        let key = envelope.key.as_deref()?;
        let request = self.books.as_ref()?.recall(key)?;
        let resource = request.resource;
        if request.is_expired(envelope.now) {
            return Some(Earlier::Expired(resource));
        }
        if request.key.body != key.body {
            return Some(Earlier::Other(resource));
        }
        let unit = self.unit(envelope.to)?;
        self.units[unit].adopt(&mut *envelope.body, resource);
        Some(Earlier::Same)
    }

    /// One round: what the units want and do not hold, and the next numbers of the search. Says
    /// whether it brought the units anything to look at.
    fn fetch(&mut self, tx: &mut dyn Tx, search: &mut Search<'_>) -> Result<bool, Fault> {
        self.reads.clear();
        let mut owners = Vec::new();
        for (at, unit) in self.units.iter_mut().enumerate() {
            unit.missing(&mut self.reads);
            owners.resize(self.reads.len(), at);
        }
        let own = !self.reads.is_empty();
        self.reads.extend(search.next());
        if self.reads.is_empty() {
            return Ok(false);
        }
        let (units, reads) = (&mut self.units, &self.reads);
        let (mut rows, mut round) = (0, Round::default());
        tx.read(reads, &mut |read, row| {
            let Some(unit) = owners.get(read) else { return round.take(search, row) };
            rows += 1;
            units[*unit].absorb(reads[read].table, row);
        })?;
        if own {
            for unit in units {
                unit.absorbed();
            }
        }
        self.books().searched(search, round);
        self.count(rows);
        Ok(own)
    }

    /// Looks for an earlier request of one key.
    pub(super) fn look_up(&mut self, tx: &mut dyn Tx, envelope: &Envelope) -> Result<(), Fault> {
        let mut search = self.books().search(envelope.key.as_deref().into_iter());
        while !search.is_over() {
            self.fetch(tx, &mut search)?;
        }
        Ok(())
    }

    /// Reads what one command needs and is not held: whatever nobody has foreseen.
    pub(super) fn bring(
        &mut self,
        tx: &mut dyn Tx,
        (unit, body): (usize, &dyn Payload),
        ns: &mut u64,
    ) -> Result<(), Fault> {
        for _round in 0..NEAR {
            self.units[unit].want(body);
            self.reads.clear();
            self.units[unit].missing(&mut self.reads);
            if self.reads.is_empty() {
                break;
            }
            let mut watch = Stopwatch::start();
            let (unit, reads) = (&mut self.units[unit], &self.reads);
            let mut rows = 0;
            tx.read(reads, &mut |read, row| {
                rows += 1;
                unit.absorb(reads[read].table, row);
            })?;
            unit.absorbed();
            self.count(rows);
            *ns += watch.lap();
        }
        Ok(())
    }

    fn count(&self, rows: u64) {
        Counters::add(&self.counters.rows_read, rows);
        Counters::add(&self.counters.reads, 1);
    }
}
