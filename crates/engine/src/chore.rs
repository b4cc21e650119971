//! Long work of the owner, in slices between commits: a copy of the database, the trimming of old
//! rows.
//!
//! ```text
//! post ──▶ Chores ──every 20 ms──▶ the cell: batch, slice, batch, batch, slice, …
//! ```
//!
//! The owner is the only writer, so whatever takes long would keep orders waiting. A [`Chore`] does
//! a piece of work that aims at taking [`AIM`] and says when it wants the next one. How much that is
//! a [`Portion`] learns from the pieces before. The cell gives out the turns:
//!
//! 1. Between two batches at most one slice, whoever's; the chores take turns.
//! 2. While there is other work, a slice every [`PACE`] at most. While there is none, one after the
//!    other: but each time the mailbox is looked at first.
//! 3. Without a chore that is due, a step costs one comparison.
//! 4. A chore that fails does not fail an order: a busy or full store lets it wait; only a store that
//!    is broken for everybody stops the owner.
//!
//! Turns depend on the time that a step is told, portions on what the clock of the cell's mailbox
//! says, and neither on anything else: a simulation repeats them.

use std::path::Path;

use jangbu_kernel::time::Span;
use parking_lot::Mutex;

use crate::cell::Turn;
use crate::port::Fault;

/// What a slice should take at most, its commit apart: a flush takes as long for fewer rows.
pub const AIM: Span = Span(1_000);

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

/// How much of one kind of work a slice takes on: as much as the last ones did within [`AIM`].
///
/// A piece that took longer makes the next one smaller at once, by as much as it took too long; a
/// whole one that did not lets the next grow by an eighth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    size: u32,
    least: u32,
    most: u32,
}

impl Portion {
    /// Begins with `first`, and stays between `least` and `most`.
    pub const fn new(first: u32, least: u32, most: u32) -> Self {
        Self { size: first, least, most }
    }

    /// What the next piece takes on.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// A piece did `done` and took `took`.
    pub fn took(&mut self, done: u32, took: Span) {
        let aim = u64::try_from(AIM.0).unwrap_or_default();
        match u64::try_from(took.0) {
            // Who finds nothing to do says nothing of how long it takes.
            _ if done == 0 => {}
            Ok(took) if took > aim => {
                let fit = u64::from(done) * aim / took;
                let fit = u32::try_from(fit).unwrap_or(u32::MAX).min(self.size);
                self.size = fit.max(self.least);
            }
            // In time; or the clock was set back.
            _ if done >= self.size => self.size = (self.size + self.size / 8 + 1).min(self.most),
            _ => {}
        }
    }
}

/// Long work for the owner. Dropped before it is done, it was given up: the owner stops.
pub trait Chore: Send {
    /// Its name, for the log.
    fn name(&self) -> &'static str;

    /// Does the next slice: one [`Turn::piece`].
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which `per` rows take a millisecond, beside what a piece always takes.
    fn run(portion: &mut Portion, pieces: u32, per: u32, always: i64) -> u32 {
        for _ in 0..pieces {
            let size = portion.size();
            portion.took(size, Span(always + i64::from(size) * 1_000 / i64::from(per)));
        }
        portion.size()
    }

    #[test]
    fn a_portion_finds_what_a_machine_does_within_the_aim_and_stays_there() {
        for per in [70, 300, 1_234, 1_999] {
            let mut portion = Portion::new(500, 50, 2_000);
            let found = run(&mut portion, 100, per, 0);
            for _ in 0..100 {
                let size = run(&mut portion, 1, per, 0);
                assert!(size <= per + per / 8 + 1 && size * 10 >= per * 9, "{found} {size} {per}");
            }
        }
    }

    #[test]
    fn one_late_piece_shrinks_the_next_at_once_and_it_takes_many_to_grow_again() {
        let mut portion = Portion::new(2_000, 50, 2_000);
        portion.took(2_000, Span(11_700));
        assert_eq!(portion.size(), 170, "what it did within a millisecond");
        portion.took(170, Span(1_000));
        assert_eq!(portion.size(), 192, "an eighth more");
        assert!(run(&mut portion, 10, 1_000_000, 0) < 1_000);
        assert_eq!(run(&mut portion, 30, 1_000_000, 0), 2_000, "and no more than the most");
    }

    #[test]
    fn a_portion_stays_within_its_bounds_whatever_the_clock_says() {
        let mut portion = Portion::new(100, 50, 200);
        for took in
            [Span(i64::MAX), Span(i64::MIN), Span(-1), Span(0), Span(1_001), Span(5_000_000)]
        {
            for done in [0, 1, 50, portion.size(), u32::MAX] {
                portion.took(done, took);
                assert!((50..=200).contains(&portion.size()), "{done} {took:?}: {portion:?}");
            }
        }
        portion.took(200, Span(i64::MAX));
        assert_eq!(portion.size(), 50);
        assert_eq!(run(&mut portion, 50, 1_000_000, 2_000), 50, "a machine that is always late");
    }

    #[test]
    fn what_was_not_whole_says_nothing_for_more_and_still_something_for_less() {
        let mut portion = Portion::new(100, 10, 200);
        portion.took(0, Span(90_000));
        portion.took(99, Span(10));
        assert_eq!(portion.size(), 100);
        portion.took(20, Span(2_000));
        assert_eq!(portion.size(), 10);
        let mut portion = Portion::new(100, 10, 200);
        portion.took(100_000, Span(1_001));
        assert_eq!(portion.size(), 100, "late is never a reason for more");
    }
}
