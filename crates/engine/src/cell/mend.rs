//! What a cell does when something goes wrong: find the culprit, wait, or stop. The table of faults
//! is at [`Cell::step`].

use jangbu_kernel::{Envelope, Origin, Time};

use super::{Cell, Step, Unsure};
use crate::books::{Audited, Books, Shard};
use crate::counters::Counters;
use crate::desk;
use crate::mailbox::{Item, Why};
use crate::poison::{self, POISON};
use crate::port::{By, CommitError, Fault, Read, Store, Tx, WritePlan};
use crate::trace::shown;
use crate::unit::Sink;

/// How often a full store is tried again when nothing waits.
const PROBE: i64 = 500_000;

/// Adds rows of the engine itself to a commit that has nothing else.
pub type Fill<'a> = dyn FnMut(&mut dyn Tx, &mut Books, &mut WritePlan) -> Result<(), Fault> + 'a;

impl Cell {
    /// One of these items is not acceptable: runs the first half, and gives back the second.
    pub(super) fn halve(
        &mut self,
        store: &mut dyn Store,
        mut batch: Vec<Item>,
        error: &str,
        now: Time,
    ) -> Result<Vec<Item>, (Vec<Item>, Fault)> {
        if batch.len() == 1 {
            return self.set_aside(store, batch, (0, error), now);
        }
        let second = batch.split_off(batch.len() / 2);
        match self.carry_out(store, batch, now) {
            Ok(()) => Ok(second),
            Err((mut rest, fault)) => {
                rest.extend(second);
                Err((rest, fault))
            }
        }
    }

    /// Finds out whether a commit happened whose answer was lost. Gives back what is to be run
    /// again; as long as the store does not say, nothing is.
    pub(super) fn look(
        &mut self,
        store: &mut dyn Store,
        unsure: Unsure,
    ) -> Result<Vec<Item>, (Vec<Item>, Fault)> {
        match self.happened(store, unsure.commit) {
            Ok(true) => {
                self.deliver(unsure.batch, unsure.done);
                Ok(Vec::new())
            }
            Ok(false) => Ok(unsure.batch),
            Err(fault) => {
                self.unsure = Some(unsure);
                Err((Vec::new(), fault))
            }
        }
    }

    /// Whether commit number `commit` is in the store.
    fn happened(&mut self, store: &mut dyn Store, commit: Option<i64>) -> Result<bool, Fault> {
        let mut tx = store.begin()?;
        self.open(&mut *tx)?;
        Ok(commit == Some(self.books().last_commit()))
    }

    /// Writes the shard row while the store is full and nothing else is to be written: as soon as
    /// that works there is room again.
    pub(super) fn probe(&mut self, store: &mut dyn Store, now: Time) {
        if now < self.next_probe || self.mailbox.read_only() != Some(Why::Full) {
            return;
        }
        self.next_probe = Time(now.0 + PROBE);
        match self.write_books(store, now, &mut |_, _, _| Ok(())) {
            Ok(()) => self.mailbox.recovered(),
            Err(fault) => tracing::warn!(%fault, "the store is still full"),
        }
    }

    /// Keeps item `at` that cannot be processed for an operator, and takes it out of the batch.
    pub(super) fn set_aside(
        &mut self,
        store: &mut dyn Store,
        mut batch: Vec<Item>,
        (at, error): (usize, &str),
        now: Time,
    ) -> Result<Vec<Item>, (Vec<Item>, Fault)> {
        let envelope = &batch[at].envelope;
        let (correlation, trace) = (envelope.correlation.as_deref(), shown(envelope.trace));
        let (unit, command) = (envelope.to, &envelope.body);
        tracing::error!(?unit, ?command, error, correlation, trace, "command set aside");
        let payload =
            self.unit(envelope.to).and_then(|unit| self.units[unit].encode(&*envelope.body));
        let mut fill = |tx: &mut dyn Tx, books: &mut Books, plan: &mut WritePlan| {
            if let Some(id) = desk::retried(envelope) {
                return failed_again(tx, books, (id, envelope, error), plan);
            }
            let Shard { commits, clock, .. } = books.shard;
            poison::Item::of(envelope, payload.clone(), error, clock).write(commits, plan);
            Ok(())
        };
        if let Err(fault) = self.write_books(store, now, &mut fill) {
            return Err((batch, fault));
        }
        Counters::add(&self.counters.poison, 1);
        let Item { envelope, waiter, .. } = batch.remove(at);
        if envelope.origin == Origin::Timer {
            let index = self.unit(envelope.to);
            let key = index.map_or(0, |unit| self.units[unit].resource(&*envelope.body));
            self.quarantine.push((envelope.to, key, Time(now.0 + 60_000_000)));
        }
        self.refuse(waiter.into_iter().collect(), Why::Poison);
        Ok(batch)
    }

    /// A commit of the engine's own rows, after a fault: what `fill` adds, and the shard row.
    fn write_books(
        &mut self,
        store: &mut dyn Store,
        now: Time,
        fill: &mut Fill<'_>,
    ) -> Result<(), Fault> {
        self.forget();
        let mut marked = |tx: &mut dyn Tx, books: &mut Books, plan: &mut WritePlan| {
            fill(tx, books, plan)?;
            books.save(&Sink::default(), plan);
            Ok(())
        };
        self.write_own(store, now, &mut marked)
    }

    /// A commit of what `fill` puts into the plan; it saves the shard row itself, if it changes
    /// anything. Nothing in the plan: no commit. On a fault the caller forgets what is held.
    pub(super) fn write_own(
        &mut self,
        store: &mut dyn Store,
        now: Time,
        fill: &mut Fill<'_>,
    ) -> Result<(), Fault> {
        let mut tx = store.begin()?;
        self.open(&mut *tx)?;
        self.plan.clear();
        if let Some(books) = &mut self.books {
            books.begin(now);
            fill(&mut *tx, books, &mut self.plan)?;
        }
        if self.plan.is_empty() {
            drop(tx);
            self.books().aborted();
            return Ok(());
        }
        self.plan.sort();
        tx.write(&self.plan)?;
        let committing = self.books().shard.commits;
        let begun = self.mailbox.now();
        let committed = tx.commit();
        self.turns.committing.0 += (self.mailbox.now() - begun).0;
        match committed {
            Ok(()) => {
                self.books().committed();
                let position = self.books().position();
                self.counters.reached.raise(position);
            }
            Err(CommitError::Failed(fault)) => return Err(fault),
            Err(CommitError::Unknown(why)) => {
                self.forget();
                if !self.happened(store, Some(committing))? {
                    return Err(Fault::Transient(why));
                }
            }
        }
        self.plan.clear();
        Ok(())
    }

    /// A fault that is nobody's fault in the batch: it waits, or everything stops.
    pub(super) fn give_back(&mut self, batch: Vec<Item>, fault: Fault) -> Result<Step, Fault> {
        match fault {
            Fault::Transient(why) => {
                tracing::warn!(why, items = batch.len(), "the store is busy: the batch waits");
                let batch = self.without_timers(batch);
                self.mailbox.put_back(batch);
                Ok(Step::BackOff)
            }
            Fault::Full(why) => {
                tracing::error!(why, "the store is full: no new business until there is room");
                self.mailbox.set_read_only(Some(Why::Full));
                let batch = self.without_timers(batch);
                let (clients, others): (Vec<Item>, Vec<Item>) =
                    batch.into_iter().partition(Item::is_client);
                let waiters = clients.into_iter().filter_map(|item| item.waiter).collect();
                self.refuse(waiters, Why::Full);
                self.mailbox.put_back(others);
                Ok(Step::BackOff)
            }
            fault => self.stop(batch, fault),
        }
    }

    /// Leaves out what due rows stand for: they are due still, and will be found again.
    fn without_timers(&mut self, mut batch: Vec<Item>) -> Vec<Item> {
        let all = batch.len();
        batch.retain(|item| item.envelope.origin != Origin::Timer);
        if batch.len() < all {
            self.next_poll = Time(0);
        }
        batch
    }

    /// Writing stops: everybody who waits is told what is known, and nobody new is let in. Where
    /// another process goes on, everything waits for it.
    pub(super) fn stop(&mut self, batch: Vec<Item>, fault: Fault) -> Result<Step, Fault> {
        if self.shared && matches!(fault, Fault::LostEpoch(_)) {
            tracing::warn!(%fault, items = batch.len(), "the cell is another process' now");
            let batch = self.without_timers(batch);
            self.mailbox.put_back(batch);
            return Err(fault);
        }
        tracing::error!(%fault, "writing stops");
        self.mailbox.set_read_only(Some(Why::StoreFailed));
        // Whoever waits for a commit that may have happened must not hear that it did not.
        let unsure = self.unsure.take().into_iter().flat_map(|unsure| unsure.batch);
        self.refuse(unsure.filter_map(|item| item.waiter).collect(), Why::Unsure);
        let mut rest = batch;
        loop {
            let waiters = rest.drain(..).filter_map(|item| item.waiter).collect();
            self.refuse(waiters, Why::StoreFailed);
            self.mailbox.take(&mut rest);
            if rest.is_empty() {
                return Err(fault);
            }
        }
    }
}

impl Cell {
    /// The cell is another process' from now on. What waits for a commit that may have happened is
    /// asked there again, unless that could do it twice; long work waits until the cell is back.
    pub fn leave(&mut self) {
        let unsure = self.unsure.take().into_iter().flat_map(|unsure| unsure.batch).collect();
        let unsure = self.without_timers(unsure);
        let (again, lost): (Vec<Item>, Vec<Item>) =
            unsure.into_iter().partition(Item::is_repeatable);
        self.refuse(lost.into_iter().filter_map(|item| item.waiter).collect(), Why::Unsure);
        self.mailbox.put_back(again);
        self.turns.give_back();
    }
}

/// An item that ran again and failed again stays open, with the new error. The attempt is audited:
/// somebody wanted it.
fn failed_again(
    tx: &mut dyn Tx,
    books: &mut Books,
    (id, envelope, error): (i64, &Envelope, &str),
    plan: &mut WritePlan,
) -> Result<(), Fault> {
    let mut found = None;
    let read = [Read { table: &POISON, by: By::Keys(vec![[id, 0, 0]]) }];
    tx.read(&read, &mut |_, row| found = Some(poison::Item::read(row)))?;
    let Some(mut item) = found else { return Ok(()) };
    let before = desk::described(&item);
    error.clone_into(&mut item.error);
    item.write(id, plan);
    if let Some(operator) = envelope.operator.as_deref() {
        books.audit(Audited {
            at: books.shard.clock,
            operator: operator.clone(),
            unit: envelope.to,
            resource: id.to_string(),
            states: [Some(before), Some(desk::described(&item))],
            correlation: envelope.correlation.clone(),
        });
    }
    Ok(())
}
