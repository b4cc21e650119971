//! Turns of long work between batches. The rules are at [`crate::chore`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use super::{Cell, Fill, Step};
use crate::chore::{Chore, Chores, Next, PACE, PATIENCE, Portion};
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::port::{Copied, Each, Fault, Read, Store};

/// The long work of a cell.
pub(super) struct Turns {
    pub(super) posted: Arc<Chores>,
    /// Who waits for a turn; the first that is due has the next one, and goes to the end.
    waiting: Vec<Waiting>,
    /// The earliest moment at which anybody is due.
    next: Time,
    /// When the last slice began.
    last: Time,
    /// The copy that is open.
    open: Option<PathBuf>,
    /// What the commits of this slice took.
    pub(super) committing: Span,
}

struct Waiting {
    chore: Box<dyn Chore>,
    due: Time,
    /// The copy that is open is its own.
    copying: bool,
}

impl Waiting {
    fn new(chore: Box<dyn Chore>) -> Self {
        Self { chore, due: Time(0), copying: false }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            posted: Arc::default(),
            waiting: Vec::new(),
            next: Time(i64::MAX),
            last: Time(0),
            open: None,
            committing: Span(0),
        }
    }
}

impl Turns {
    /// Takes up what was posted.
    pub(super) fn collect(&mut self) {
        let posted = self.posted.take();
        if !posted.is_empty() {
            self.waiting.extend(posted.into_iter().map(Waiting::new));
            self.next = Time(0);
        }
    }

    /// Leaves what waits to the next owner of this process; a copy that was begun is given up.
    pub(super) fn give_back(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|waiting| waiting.chore);
        waiting.filter(|chore| chore.copies().is_none()).for_each(|chore| self.posted.post(chore));
    }

    /// Whether this chore can have a slice now: one that copies needs its copy open.
    fn can(&self, chore: &dyn Chore) -> bool {
        chore.copies().is_none_or(|to| self.open.as_deref() == Some(to))
    }

    fn take(&mut self, now: Time) -> Option<Waiting> {
        let due = |w: &Waiting| w.due <= now && self.can(&*w.chore);
        let at = self.waiting.iter().position(due)?;
        Some(self.waiting.remove(at))
    }

    /// The next moment at which it is worth looking.
    fn look_again(&mut self) {
        let due = self.waiting.iter().filter(|w| self.can(&*w.chore)).map(|w| w.due);
        self.next = due.min().unwrap_or(Time(i64::MAX));
    }
}

/// What a chore has in its hands during a slice.
pub struct Turn<'a> {
    cell: &'a mut Cell,
    store: &'a mut dyn Store,
    now: Time,
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Turn<'_> {
    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The counters of the cell.
    pub fn counters(&self) -> &Counters {
        &self.cell.counters
    }

    /// Does a piece of work of the size that `portion` has learnt, and lets it learn from that.
    /// `work` is told the size and says how much of it there was.
    pub fn piece(
        &mut self,
        portion: &mut Portion,
        work: impl FnOnce(&mut Self, u32) -> Result<u32, Fault>,
    ) -> Result<(), Fault> {
        let begun = self.cell.mailbox.now();
        self.cell.turns.committing = Span(0);
        let done = work(self, portion.size())?;
        let took = self.cell.mailbox.now() - begun;
        portion.took(done, Span(took.0 - self.cell.turns.committing.0));
        Ok(())
    }

    /// Reads committed rows.
    pub fn read(&mut self, reads: &[Read], each: &mut Each<'_>) -> Result<(), Fault> {
        self.store.begin()?.read(reads, each)
    }

    /// A commit of rows of the engine; none, if `fill` leaves the plan empty.
    pub fn commit(&mut self, fill: &mut Fill<'_>) -> Result<(), Fault> {
        let done = self.cell.write_own(self.store, self.now, fill);
        if done.is_err() {
            self.cell.forget();
        }
        done
    }

    /// Number of the last commit.
    pub fn last_commit(&mut self) -> Result<i64, Fault> {
        let mut tx = self.store.begin()?;
        self.cell.open(&mut *tx)?;
        Ok(self.cell.books().last_commit())
    }

    /// The next pages of the copy.
    pub fn copy(&mut self, pages: u32) -> Result<Copied, Fault> {
        self.store.copy(pages)
    }
}

impl Cell {
    /// Gives a slice to whoever's turn it is. `idle`: there was nothing else to do.
    pub(super) fn turn(
        &mut self,
        store: &mut dyn Store,
        now: Time,
        idle: bool,
    ) -> Result<Step, Fault> {
        let rested = if idle { Step::Idle } else { Step::Worked };
        // A clock that was set back must not stop the turns.
        let paced = now.0 - self.turns.last.0 >= PACE.0 || now < self.turns.last;
        if now < self.turns.next || !(idle || paced) || self.mailbox.is_closed() {
            return Ok(rested);
        }
        let Some(Waiting { mut chore, copying, .. }) = self.turns.take(now) else {
            self.turns.look_again();
            return Ok(rested);
        };
        self.turns.last = now;
        let mut watch = Stopwatch::start();
        let next = chore.slice(&mut Turn { cell: self, store, now });
        self.count_slice(watch.lap());
        let due = match next {
            Ok(Next::Done) => None,
            Ok(Next::Again) => Some(now),
            Ok(Next::Rest(span)) => Some(now + span),
            Err(fault @ (Fault::LostEpoch(_) | Fault::Fatal(_))) => {
                return self.stop(Vec::new(), fault);
            }
            Err(fault) => {
                tracing::warn!(chore = chore.name(), %fault, "long work waits");
                Some(now + PATIENCE)
            }
        };
        self.turns.waiting.extend(due.map(|due| Waiting { chore, due, copying }));
        self.turns.look_again();
        Ok(Step::Worked)
    }

    fn count_slice(&self, ns: u64) {
        let counters = &self.counters;
        Counters::add(&counters.chore_slices, 1);
        Counters::add(&counters.chore_ns, ns);
        let longest = &counters.chore_longest_ns;
        longest.fetch_max(ns, std::sync::atomic::Ordering::Relaxed);
    }

    /// The file that somebody wants to copy to, while no copy is open.
    pub fn wants_copy(&self) -> Option<PathBuf> {
        if self.turns.open.is_some() || self.mailbox.is_closed() {
            return None;
        }
        self.turns.waiting.iter().find_map(|w| w.chore.copies().map(Path::to_owned))
    }

    /// The copy to `to` is open from now on.
    pub fn begin_copy(&mut self, to: &Path) {
        self.turns.open = Some(to.to_owned());
        for waiting in &mut self.turns.waiting {
            waiting.copying = waiting.chore.copies() == Some(to);
        }
        self.turns.look_again();
    }

    /// Whether somebody still works at the copy that is open.
    pub fn copies(&self) -> bool {
        let Some(open) = self.turns.open.as_deref() else { return false };
        self.turns.waiting.iter().any(|w| w.chore.copies() == Some(open))
    }

    /// The copy to `to` is closed; with a fault: for whoever works at it that is the end.
    pub fn end_copy(&mut self, to: &Path, ended: &Result<(), Fault>) {
        self.turns.open = None;
        self.turns.waiting.retain_mut(|w| {
            let mine = std::mem::take(&mut w.copying) || w.chore.copies() == Some(to);
            match ended {
                Err(fault) if mine => w.chore.failed(fault),
                _ => return true,
            }
            false
        });
        self.turns.look_again();
    }
}
