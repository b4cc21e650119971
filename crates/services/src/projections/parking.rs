//! Events that the projections cannot take in: each parks the key of its aggregate, the other keys
//! go on.
//!
//! ```text
//! batch ──fails──▶ halves ──▶ the one event ──▶ parked(key) + offset, one commit
//!                                                  │ later events of the key wait behind it
//!                          retry: in their order ◀─┤ each with its rows and out of the list, one commit
//!                          discard: without it   ◀─┘
//! ```
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | the payload cannot be read, a row is refused, applying it panics | the key is parked |
//! | the store is busy or full | the projections wait; nothing is parked |
//! | the store has failed | they stand still |
//!
//! The list is moved in the same transaction as the offset, so a kill at any moment leaves an event
//! taken in, or parked, or still to come: never none of them. What is parked is a reference to the
//! outbox, which is not touched. A new `derived.db` begins without parked keys.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{By, Fault, Mode, Read, Store, Tx};
use jangbu_kernel::Time;

use super::parked::{CONSUMER, Parked, all_of};
use super::{
    ACCOUNT_ENTRY, ACCOUNT_TAIL, Event, OFFSET, PARKED, PARKED_EVENT, Projector, Taken, commit,
    event,
};
use crate::ledger::Made;

/// What an operator wants of a parked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Take its events in, in their order.
    Retry,
    /// Leave out the event that cannot be taken in, and take in those behind it.
    Discard,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Events taken in.
    pub taken: u64,
    /// The event that was left out.
    pub skipped: Option<i64>,
    /// What cannot be taken in now; none: the key is free.
    pub left: Option<Parked>,
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsettled {
    /// The key is not parked.
    Unknown,
    /// The projections have stopped.
    Stopped,
    /// The store did not take it.
    Failed(Fault),
}

/// Told once what became of a key.
pub type Told = Box<dyn FnOnce(Result<Settled, Unsettled>) + Send>;

impl Projector {
    /// Reads which keys are parked.
    pub(super) fn load_parked(&mut self, store: &mut dyn Store) -> Result<(), Fault> {
        let (from, to) = ([CONSUMER, i64::MIN, 0], [CONSUMER, i64::MAX, 0]);
        let by = By::Range { from, to, descending: false, limit: u32::MAX };
        let mut parked = BTreeMap::new();
        store.begin()?.read(&[Read { table: &PARKED, by }], &mut |_, row| {
            parked.insert(row.int(1), Parked::read(row));
        })?;
        self.parked = parked;
        self.count_parked();
        Ok(())
    }

    pub(super) fn count_parked(&self) {
        self.progress.parked.store(self.parked.len() as u64, Ordering::Relaxed);
    }

    /// Whether the event has to wait behind one that is parked; if so it goes on the list.
    pub(super) fn waits(&mut self, event: &Event) -> bool {
        let waits = self.parked.contains_key(&event.key);
        if waits {
            self.list(event);
        }
        waits
    }

    fn list(&mut self, event: &Event) {
        let mut row = self.plan.row(&PARKED_EVENT, Mode::Upsert);
        row.int(CONSUMER).int(event.key).int(event.seq).int(event.at);
    }

    /// Takes in the first events of these, or all. The one that cannot be taken is found by
    /// halving, and parked; what follows is the next step's.
    pub(super) fn absorb(
        &mut self,
        store: &mut dyn Store,
        events: &[Event],
    ) -> Result<Taken, Fault> {
        let error = match caught(|| self.attempt(store, events)) {
            Err(Fault::Item(error)) => error,
            done => return done,
        };
        // The attempt has moved balances that are not stored.
        self.load(store)?;
        if let [event] = events {
            self.park(store, event, &error)?;
            return Ok(Taken { weight: 1, full: true });
        }
        let first = &events[..events.len() / 2];
        Ok(Taken { full: true, ..self.absorb(store, first)? })
    }

    fn park(&mut self, store: &mut dyn Store, event: &Event, error: &str) -> Result<(), Fault> {
        let topic = self.topic(event.seq)?;
        let (at, since) = (Time(event.at), self.clock.now());
        let (key, seq, error) = (event.key, event.seq, error.to_owned());
        let parked = Parked { key, seq, at, since, topic, error, tries: 1 };
        tracing::error!(key, seq, parked.topic, parked.error, "an event parks its key");
        self.plan.clear();
        self.write_parked(&parked);
        self.list(event);
        self.plan.row(&OFFSET, Mode::Upsert).int(0).int(seq);
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        commit(tx)?;
        self.seq = seq;
        self.parked.insert(key, parked);
        self.count_parked();
        Ok(())
    }

    fn write_parked(&mut self, parked: &Parked) {
        let mut row = self.plan.row(&PARKED, Mode::Upsert);
        row.int(CONSUMER).int(parked.key).int(parked.seq).int(parked.at.0).int(parked.since.0);
        row.text(&parked.topic).text(&parked.error).int(parked.tries);
    }

    fn topic(&mut self, seq: i64) -> Result<String, Fault> {
        let mut topic = String::new();
        let by = By::Keys(vec![[seq, 0, 0]]);
        let read = [Read { table: &OUTBOX, by }];
        self.truth.read(&read, &mut |_, row| row.text(3).clone_into(&mut topic))?;
        Ok(topic)
    }

    /// Carries out what an operator wants.
    pub(super) fn settle(
        &mut self,
        store: &mut dyn Store,
        key: i64,
        verb: Verb,
    ) -> Result<Settled, Unsettled> {
        if !std::mem::take(&mut self.known) {
            self.load(store).map_err(Unsettled::Failed)?;
        }
        if !self.parked.contains_key(&key) {
            self.known = true;
            return Err(Unsettled::Unknown);
        }
        let settled = self.work_off(store, key, verb).map_err(Unsettled::Failed)?;
        self.known = true;
        self.count_parked();
        Ok(settled)
    }

    fn work_off(&mut self, store: &mut dyn Store, key: i64, verb: Verb) -> Result<Settled, Fault> {
        let mut settled = Settled { taken: 0, skipped: None, left: None };
        while let Some(next) = Self::first(store, key)? {
            let skip = verb == Verb::Discard && settled.skipped.is_none();
            match caught(|| self.redo(store, &next, skip)) {
                Ok(()) if skip => settled.skipped = Some(next.seq),
                Ok(()) => settled.taken += 1,
                Err(Fault::Item(error)) => {
                    self.load(store)?;
                    settled.left = Some(self.note_failure(store, &next, error)?);
                    return Ok(settled);
                }
                Err(fault) => return Err(fault),
            }
        }
        self.parked.remove(&key);
        Ok(settled)
    }

    /// Takes in the first event that waits under a key, or leaves it out when it cannot be taken
    /// in, and says whether it was left out; none, if none waits.
    pub(super) fn work_off_one(
        &mut self,
        store: &mut dyn Store,
        key: i64,
    ) -> Result<Option<bool>, Fault> {
        let Some(next) = Self::first(store, key)? else { return Ok(None) };
        match caught(|| self.redo(store, &next, false)) {
            Ok(()) => Ok(Some(false)),
            Err(Fault::Item(error)) => {
                self.load(store)?;
                tracing::error!(key, next.seq, error, "an event is left out");
                self.redo(store, &next, true)?;
                Ok(Some(true))
            }
            Err(fault) => Err(fault),
        }
    }

    /// The first event that waits under a key.
    fn first(store: &mut dyn Store, key: i64) -> Result<Option<Waiting>, Fault> {
        let mut found = Vec::new();
        let mut tx = store.begin()?;
        tx.read(&[all_of(key, 2)], &mut |_, row| found.push((row.int(2), row.int(3))))?;
        let last = found.len() == 1;
        Ok(found.first().map(|(seq, at)| Waiting { key, seq: *seq, at: *at, last }))
    }

    /// Takes in one event of a parked key, or leaves it out, and takes it off the list.
    fn redo(
        &mut self,
        store: &mut dyn Store,
        &Waiting { key, seq, last, .. }: &Waiting,
        skip: bool,
    ) -> Result<(), Fault> {
        self.plan.clear();
        self.plan.row(&PARKED_EVENT, Mode::Delete).int(CONSUMER).int(key).int(seq);
        if last {
            self.plan.row(&PARKED, Mode::Delete).int(CONSUMER).int(key);
        }
        let mut entries = Vec::new();
        if !skip {
            let mut found = None;
            let by = By::Keys(vec![[seq, 0, 0]]);
            let read = [Read { table: &OUTBOX, by }];
            self.truth.read(&read, &mut |_, row| found = Some(event(row)))?;
            let gone = || Fault::Item(format!("event {seq} is not in the outbox"));
            entries = self.entries_of(&found.ok_or_else(gone)?)?;
        }
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        for entry in &entries {
            self.insert(&mut *tx, entry)?;
        }
        commit(tx)
    }

    /// Puts the rows of an event into the plan, and gives back its entries.
    fn entries_of(&mut self, event: &Event) -> Result<Vec<Late>, Fault> {
        let mut postings = Vec::new();
        self.take(event, &mut postings)?;
        self.look()?;
        let mut entries = Vec::new();
        let mut place = 0;
        let reads: Vec<_> = postings.iter().map(Made::read).collect();
        self.truth.read(&reads, &mut |at, row| {
            let n = postings[at].number(place);
            place += 1;
            let (source, leg) = ((row.int(0), row.int(1)), row.int(2));
            entries.push(Late {
                account: row.int(3),
                at: row.int(5),
                n,
                source,
                leg,
                amount: row.int(4),
            });
        })?;
        Ok(entries)
    }

    /// Inserts an entry where it belongs: the running balances after it move by its amount.
    fn insert(&mut self, tx: &mut dyn Tx, late: &Late) -> Result<(), Fault> {
        let Late { account, at, n, source, leg, amount } = *late;
        let (low, high) = ([account, i64::MIN, i64::MIN], [account, i64::MAX, i64::MAX]);
        let before = Read {
            table: &ACCOUNT_ENTRY,
            by: By::Range { from: low, to: [account, at, n - 1], descending: true, limit: 1 },
        };
        let after = Read {
            table: &ACCOUNT_ENTRY,
            by: By::Range {
                from: [account, at, n + 1],
                to: high,
                descending: false,
                limit: u32::MAX,
            },
        };
        let plan = &mut self.plan;
        plan.clear();
        let mut balance = amount;
        tx.read(&[before], &mut |_, row| balance += row.int(7))?;
        let mut row = plan.row(&ACCOUNT_ENTRY, Mode::Upsert);
        row.int(account).int(at).int(n).int(source.0).int(source.1).int(leg);
        row.int(amount).int(balance);
        tx.read(&[after], &mut |_, row| {
            balance = row.int(7) + amount;
            let mut moved = plan.row(&ACCOUNT_ENTRY, Mode::Upsert);
            for column in 0..7 {
                moved.int(row.int(column));
            }
            moved.int(balance);
        })?;
        plan.row(&ACCOUNT_TAIL, Mode::Upsert).int(account).int(balance);
        self.balances.insert(account, balance);
        tx.write(&self.plan)
    }

    fn note_failure(
        &mut self,
        store: &mut dyn Store,
        &Waiting { key, seq, at, .. }: &Waiting,
        error: String,
    ) -> Result<Parked, Fault> {
        let (at, since, topic) = (Time(at), self.clock.now(), self.topic(seq)?);
        let before = self.parked.get(&key).filter(|before| before.seq == seq);
        let (since, tries) = before.map_or((since, 0), |before| (before.since, before.tries));
        let parked = Parked { key, seq, at, since, topic, error, tries: tries + 1 };
        self.plan.clear();
        self.write_parked(&parked);
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        commit(tx)?;
        self.parked.insert(key, parked.clone());
        Ok(parked)
    }
}

/// An event on the list.
struct Waiting {
    key: i64,
    seq: i64,
    at: i64,
    /// Whether no other is behind it.
    last: bool,
}

/// An entry that comes after others of its account were taken in.
#[derive(Clone, Copy)]
struct Late {
    account: i64,
    at: i64,
    n: i64,
    source: (i64, i64),
    leg: i64,
    amount: i64,
}

/// A panic is the event's fault, as a row that is refused.
fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Fault::Item(text.unwrap_or("a panic without a text").to_owned()))
    })
}
