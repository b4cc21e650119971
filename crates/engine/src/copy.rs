//! A copy of a cell's database while it works, as a [`Chore`].
//!
//! ```text
//! slices (pages) ──▶ the last one: `moment` runs, the number of the last commit ──▶ file closed ──▶ told
//! ```
//!
//! Between the last slice and `moment` nothing is committed: what `moment` looks at stands to the copy
//! as it stood to the database.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use crate::cell::Turn;
use crate::chore::{Chore, Next, Portion};
use crate::port::{Copied, Fault};

/// Pages of a slice.
const PAGES: Portion = Portion::new(64, 4, 1_024);

/// Looked at while the copy is what the database is. Runs on the owner's thread: it must be short.
pub type Moment<T> = Box<dyn FnOnce() -> T + Send>;

/// What became of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole<T> {
    /// The last commit that is in it.
    pub commit: i64,
    /// What was looked at then.
    pub seen: T,
}

/// Copies the database to a new file, and tells when that is whole. Given up, it tells nothing.
pub struct Copy<T> {
    to: PathBuf,
    pages: Portion,
    moment: Option<Moment<T>>,
    whole: Option<Whole<T>>,
    tell: Sender<Result<Whole<T>, Fault>>,
}

impl<T> std::fmt::Debug for Copy<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copy").field("to", &self.to).finish_non_exhaustive()
    }
}

impl<T: Send> Copy<T> {
    /// A copy to the new file `to`.
    pub fn new(
        to: impl Into<PathBuf>,
        moment: Moment<T>,
        tell: Sender<Result<Whole<T>, Fault>>,
    ) -> Self {
        Self { to: to.into(), pages: PAGES, moment: Some(moment), whole: None, tell }
    }

    fn pages(&mut self, turn: &mut Turn<'_>) -> Result<(), Fault> {
        let mut left = 0;
        turn.piece(&mut self.pages, |turn, pages| {
            Copied { left, .. } = turn.copy(pages)?;
            Ok(pages)
        })?;
        if left == 0 {
            let commit = turn.last_commit()?;
            let moment = self.moment.take();
            self.whole = moment.map(|moment| Whole { commit, seen: moment() });
        }
        Ok(())
    }

    fn end(&mut self, ended: Result<Whole<T>, Fault>) {
        // Who does not listen any more has given it up.
        drop(self.tell.send(ended));
    }
}

impl<T: Send> Chore for Copy<T> {
    fn name(&self) -> &'static str {
        "copy"
    }

    fn copies(&self) -> Option<&Path> {
        self.moment.as_ref().map(|_| &*self.to)
    }

    fn slice(&mut self, turn: &mut Turn<'_>) -> Result<Next, Fault> {
        if let Some(whole) = self.whole.take() {
            self.end(Ok(whole));
            return Ok(Next::Done);
        }
        // A disk that is full over there is no fault of the shop.
        if let Err(fault) = self.pages(turn) {
            self.end(Err(fault));
            return Ok(Next::Done);
        }
        Ok(Next::Again)
    }

    fn failed(&mut self, fault: &Fault) {
        self.end(Err(fault.clone()));
    }
}
