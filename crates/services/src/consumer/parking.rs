//! Events that a consumer cannot take in: each parks the key of its aggregate, the other keys go on.
//!
//! ```text
//! batch ──fails──▶ halves ──▶ the one event ──▶ parked(key) + place, one commit
//!                                                  │ later events of the key wait behind it
//!                         replay: in their order ◀─┤ each with its rows and out of the list, one commit
//!                         discard: without it    ◀─┘
//! ```
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | the payload cannot be read, a row is refused, applying it panics | the key is parked |
//! | the consumer says that it may pass | it is tried again, later each time; then the key is parked |
//! | the store is busy or full | the consumer waits; nothing is parked |
//! | the store has failed | it stands still |
//!
//! The list is moved in the same transaction as the place, so a kill at any moment leaves an event
//! taken in, or parked, or still to come: never none of them. What is parked is a reference to the
//! outbox, which is not touched. A new store begins without parked keys.
//!
//! A key that nobody settles is given up in its time: what can be taken in is, the rest is left out.
//! Without an end one damaged event that nobody looks at would keep all later ones in the outbox.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jangbu_engine::port::{By, Fault, Mode, Read, Store, Tx};
use jangbu_engine::trace::shown;
use jangbu_kernel::Time;

use super::parked::{Parked, all_of};
use super::runner::{Runner, Taken};
use super::{Delivered, PARKED, PARKED_EVENT, Work, commit, log, name};

/// Events of a key that a dry run tries at most.
const TRIED: u32 = 1_000;

/// What an operator wants of a parked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Take its events in, in their order.
    Replay,
    /// The same, and then as if nothing had been done: says what a replay would do.
    DryRun,
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
    /// The consumer has stopped.
    Stopped,
    /// The store did not take it.
    Failed(Fault),
}

/// Told once what became of a key.
pub type Told = Box<dyn FnOnce(Result<Settled, Unsettled>) + Send>;

impl Runner {
    /// Reads which keys are parked.
    pub(super) fn load_parked(&mut self, store: &mut dyn Store) -> Result<(), Fault> {
        let consumer = self.number();
        let (from, to) = ([consumer, i64::MIN, 0], [consumer, i64::MAX, 0]);
        let by = By::Range { from, to, descending: false, limit: u32::MAX };
        let mut parked = BTreeMap::new();
        store.begin()?.read(&[Read { table: &PARKED, by }], &mut |_, row| {
            parked.insert(row.int(1), Parked::read(row));
        })?;
        self.parked = parked;
        self.count_parked();
        Ok(())
    }

    fn count_parked(&self) {
        self.progress.parked.store(self.parked.len() as u64, Ordering::Relaxed);
    }

    /// Whether the event has to wait behind one that is parked; if so it goes on the list.
    pub(super) fn waits(&mut self, event: &Delivered) -> bool {
        let waits = self.parked.contains_key(&event.key);
        if waits {
            self.list(event);
        }
        waits
    }

    fn list(&mut self, event: &Delivered) {
        let consumer = self.number();
        let mut row = self.plan.row(&PARKED_EVENT, Mode::Upsert);
        row.int(consumer).int(event.key).int(event.seq).int(event.at.0);
    }

    /// Takes in the first events of these, or all. The one that cannot be taken is found by
    /// halving, and parked; what follows is the next step's.
    pub(super) fn absorb(
        &mut self,
        store: &mut dyn Store,
        events: &[Delivered],
    ) -> Result<Taken, Fault> {
        let error = match caught(|| self.attempt(store, events)) {
            Err(Fault::Item(error)) => error,
            done => return done,
        };
        // The attempt has changed what the consumer holds in memory.
        self.load(store)?;
        if let [event] = events {
            self.park(store, event, error)?;
            return Ok(Taken { weight: 1, full: true });
        }
        let first = &events[..events.len() / 2];
        Ok(Taken { full: true, ..self.absorb(store, first)? })
    }

    fn park(
        &mut self,
        store: &mut dyn Store,
        event: &Delivered,
        error: String,
    ) -> Result<(), Fault> {
        let (consumer, key, seq) = (self.number(), event.key, event.seq);
        let (at, since, topic) = (event.at, self.now(), event.topic.to_string());
        let parked = Parked { consumer, key, seq, at, since, topic, error, tries: 1 };
        let consumer = name(consumer);
        let (correlation, trace) = (event.correlation.as_deref(), shown(event.trace));
        let Parked { topic, error, .. } = &parked;
        tracing::error!(
            consumer,
            key,
            seq,
            topic,
            error,
            correlation,
            trace,
            "an event parks its key"
        );
        self.plan.clear();
        self.write_parked(&parked);
        self.list(event);
        let passed = self.pass(event)?;
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        commit(tx)?;
        self.passed(passed);
        self.parked.insert(key, parked);
        self.count_parked();
        Ok(())
    }

    fn write_parked(&mut self, parked: &Parked) {
        let mut row = self.plan.row(&PARKED, Mode::Upsert);
        row.int(parked.consumer).int(parked.key).int(parked.seq).int(parked.at.0);
        row.int(parked.since.0).text(&parked.topic).text(&parked.error).int(parked.tries);
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
        let settled = match verb {
            Verb::DryRun => self.try_out(store, key),
            Verb::Replay | Verb::Discard => self.work_off(store, key, verb),
        };
        let settled = settled.map_err(Unsettled::Failed)?;
        self.known = true;
        self.count_parked();
        Ok(settled)
    }

    fn work_off(&mut self, store: &mut dyn Store, key: i64, verb: Verb) -> Result<Settled, Fault> {
        let mut settled = Settled { taken: 0, skipped: None, left: None };
        while let Some(next) = self.first(store, key)? {
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

    /// What a replay would come to: all in one transaction that is not committed.
    fn try_out(&mut self, store: &mut dyn Store, key: i64) -> Result<Settled, Fault> {
        let mut settled = Settled { taken: 0, skipped: None, left: None };
        let waiting = self.waiting(store, key, TRIED)?;
        let mut tx = store.begin()?;
        for next in &waiting {
            match caught(|| self.redo_in(&mut *tx, next, false)) {
                Ok(()) => settled.taken += 1,
                Err(Fault::Item(error)) => {
                    settled.left = Some(self.failure(next, error)?);
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        drop(tx);
        self.load(store)?;
        Ok(settled)
    }

    /// Takes in what waits under the first key that was parked too long ago, or leaves it out; says
    /// whether there was such a key.
    pub(super) fn give_up(&mut self, store: &mut dyn Store) -> Result<bool, Fault> {
        let Some(patience) = self.patience else { return Ok(false) };
        let clock = Arc::clone(&self.clock);
        let (begun, mut done) = (clock.now(), 0);
        let old = self.parked.values().find(|parked| (begun - parked.since).0 >= patience.0);
        let Some((key, first)) = old.map(|parked| (parked.key, parked.seq)) else {
            return Ok(false);
        };
        while done < self.portion.size() {
            done += 1;
            let left_out = self.work_off_one(store, key)?;
            let Some(left_out) = left_out else {
                let (consumer, found) = (name(self.number()), log::find(&mut *self.truth, first)?);
                let correlation = found.as_ref().and_then(|event| event.correlation.as_deref());
                let trace = shown(found.as_ref().and_then(|event| event.trace));
                tracing::error!(consumer, key, correlation, trace, "a parked key was given up");
                self.parked.remove(&key);
                self.count_parked();
                break;
            };
            self.progress.left_out.fetch_add(left_out.into(), Ordering::Relaxed);
        }
        self.portion.took(done, clock.now() - begun);
        Ok(true)
    }

    /// Takes in the first event that waits under a key, or leaves it out when it cannot be taken
    /// in, and says whether it was left out; none, if none waits.
    fn work_off_one(&mut self, store: &mut dyn Store, key: i64) -> Result<Option<bool>, Fault> {
        let Some(next) = self.first(store, key)? else { return Ok(None) };
        match caught(|| self.redo(store, &next, false)) {
            Ok(()) => Ok(Some(false)),
            Err(Fault::Item(error)) => {
                self.load(store)?;
                let (seq, found) = (next.seq, log::find(&mut *self.truth, next.seq)?);
                let correlation = found.as_ref().and_then(|event| event.correlation.as_deref());
                let trace = shown(found.as_ref().and_then(|event| event.trace));
                tracing::error!(key, seq, error, correlation, trace, "an event is left out");
                self.redo(store, &next, true)?;
                Ok(Some(true))
            }
            Err(fault) => Err(fault),
        }
    }

    /// The first events that wait under a key.
    fn waiting(&self, store: &mut dyn Store, key: i64, most: u32) -> Result<Vec<Waiting>, Fault> {
        let mut found = Vec::new();
        let read = [all_of(self.number(), key, most)];
        store.begin()?.read(&read, &mut |_, row| {
            found.push(Waiting { key, seq: row.int(2), at: Time(row.int(3)), last: false });
        })?;
        Ok(found)
    }

    /// The first event that waits under a key.
    fn first(&self, store: &mut dyn Store, key: i64) -> Result<Option<Waiting>, Fault> {
        let found = self.waiting(store, key, 2)?;
        let last = found.len() == 1;
        Ok(found.into_iter().next().map(|first| Waiting { last, ..first }))
    }

    /// Takes in one event of a parked key, or leaves it out, and takes it off the list.
    fn redo(&mut self, store: &mut dyn Store, next: &Waiting, skip: bool) -> Result<(), Fault> {
        let mut tx = store.begin()?;
        self.redo_in(&mut *tx, next, skip)?;
        commit(tx)
    }

    fn redo_in(&mut self, tx: &mut dyn Tx, next: &Waiting, skip: bool) -> Result<(), Fault> {
        let (consumer, &Waiting { key, seq, last, .. }) = (self.number(), next);
        self.plan.clear();
        self.plan.row(&PARKED_EVENT, Mode::Delete).int(consumer).int(key).int(seq);
        if last {
            self.plan.row(&PARKED, Mode::Delete).int(consumer).int(key);
        }
        if !skip {
            let gone = || Fault::Item(format!("event {seq} is not in the outbox"));
            let event = log::find(&mut *self.truth, seq)?.ok_or_else(gone)?;
            let (truth, plan) = (&mut *self.truth, &mut self.plan);
            self.consumer.late(&event, &mut Work { truth, tx: &mut *tx, plan })?;
        }
        self.plan.sort();
        tx.write(&self.plan)
    }

    /// What is wrong with an event that was tried once more.
    fn failure(&mut self, next: &Waiting, error: String) -> Result<Parked, Fault> {
        let &Waiting { key, seq, at, .. } = next;
        let (consumer, since) = (self.number(), self.now());
        let topic = log::find(&mut *self.truth, seq)?.map(|event| event.topic.to_string());
        let before = self.parked.get(&key).filter(|before| before.seq == seq);
        let (since, tries) = before.map_or((since, 0), |before| (before.since, before.tries));
        let (topic, tries) = (topic.unwrap_or_default(), tries + 1);
        Ok(Parked { consumer, key, seq, at, since, topic, error, tries })
    }

    fn note_failure(
        &mut self,
        store: &mut dyn Store,
        next: &Waiting,
        error: String,
    ) -> Result<Parked, Fault> {
        let parked = self.failure(next, error)?;
        self.plan.clear();
        self.write_parked(&parked);
        let mut tx = store.begin()?;
        tx.write(&self.plan)?;
        commit(tx)?;
        self.parked.insert(next.key, parked.clone());
        Ok(parked)
    }
}

/// An event on the list.
struct Waiting {
    key: i64,
    seq: i64,
    at: Time,
    /// Whether no other is behind it.
    last: bool,
}

/// A panic is the event's fault, as a row that is refused.
fn caught<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Fault::Item(text.unwrap_or("a panic without a text").to_owned()))
    })
}
