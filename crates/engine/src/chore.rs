//! Long work of the owner, in slices between commits: a copy of the database, the trimming of old
//! rows.
//!
//! ```text
//! post ──▶ Chores ──every 20 ms──▶ the cell: batch, slice, batch, batch, slice, …
//! ```
//!
//! The owner is the only writer, so whatever takes long would keep orders waiting. A [`Chore`] does
//! a piece of at most [`ROWS`] rows or about a millisecond and says when it wants the next one. The
//! cell gives out the turns:
//!
//! 1. Between two batches at most one slice, whoever's; the chores take turns.
//! 2. While there is other work, a slice every [`PACE`] at most. While there is none, one after the
//!    other: but each time the mailbox is looked at first.
//! 3. Without a chore that is due, a step costs one comparison.
//! 4. A chore that fails does not fail an order: a busy or full store lets it wait; only a store that
//!    is broken for everybody stops the owner.
//!
//! Turns depend on the time that a step is told and on nothing else, so a simulation repeats them.

use std::path::Path;

use jangbu_kernel::time::Span;
use parking_lot::Mutex;

use crate::cell::Turn;
use crate::port::Fault;

/// At most so many rows in a slice.
pub const ROWS: i64 = 500;

/// While there is other work, at most one slice in this time.
pub const PACE: Span = Span(5_000);

/// How long a chore waits when the store is busy or full.
pub const PATIENCE: Span = Span(1_000_000);

/// When a chore wants its next slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When its turn comes.
    Again,
    /// Not before so long.
    Rest(Span),
    /// Never: it is done.
    Done,
}

/// Long work for the owner. Dropped before it is done, it was given up: the owner stops.
pub trait Chore: Send {
    /// Its name, for the log.
    fn name(&self) -> &'static str;

    /// Does the next slice: at most [`ROWS`] rows, or one [`Turn::copy`].
    fn slice(&mut self, turn: &mut Turn<'_>) -> Result<Next, Fault>;

    /// The new file that it copies the database to. Such a chore gets its turns while the copy is
    /// open, and no other copies then. When it names none any more the copy is closed, and its next
    /// slice is told a whole file.
    fn copies(&self) -> Option<&Path> {
        None
    }

    /// The copy could not be opened or closed: this is its end.
    fn failed(&mut self, _fault: &Fault) {}
}

/// What was posted to a cell and not taken up yet.
#[derive(Default)]
pub struct Chores(Mutex<Vec<Box<dyn Chore>>>);

impl std::fmt::Debug for Chores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Chores({})", self.0.lock().len())
    }
}

impl Chores {
    /// Gives the owner something to do; it looks within 20 ms.
    pub fn post(&self, chore: Box<dyn Chore>) {
        self.0.lock().push(chore);
    }

    /// Takes what was posted.
    pub(crate) fn take(&self) -> Vec<Box<dyn Chore>> {
        std::mem::take(&mut *self.0.lock())
    }
}
