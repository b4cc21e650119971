//! What goes wrong in a [`super::Memory`], planned by a test.

use std::sync::Arc;

use jangbu_engine::port::{CommitError, Fault, Key, Table};
use parking_lot::Mutex;

/// A call of the store port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// `Store::begin`.
    Begin,
    /// `Tx::read`.
    Read,
    /// `Tx::write`.
    Write,
    /// `Tx::commit`: nothing is done.
    Commit,
    /// `Reader::read`.
    ReaderRead,
}

/// The plan of faults of one [`super::Memory`]; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Vec<Planned>>>);

#[derive(Clone, Debug)]
struct Planned {
    what: What,
    skip: u32,
    times: u32,
}

#[derive(Clone, Debug)]
enum What {
    Fail(On, Fault),
    LostBefore,
    LostAfter,
    Row(&'static str, Key, Fault),
}

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommitFate {
    Done,
    DoneThenLost,
    Lost,
}

impl Faults {
    /// The next `times` calls of this kind fail with `fault`.
    pub fn fail(&self, on: On, times: u32, fault: Fault) {
        self.fail_after(0, on, times, fault);
    }

    /// After `skip` calls of this kind that go well, `times` fail with `fault`.
    pub fn fail_after(&self, skip: u32, on: On, times: u32, fault: Fault) {
        self.plan(What::Fail(on, fault), skip, times);
    }

    /// After `skip` commits that go well, `times` are done, and answer that they do not know.
    pub fn lose_answers(&self, skip: u32, times: u32) {
        self.plan(What::LostAfter, skip, times);
    }

    /// After `skip` commits that go well, `times` are not done, and answer that they do not know.
    pub fn lose_commits(&self, skip: u32, times: u32) {
        self.plan(What::LostBefore, skip, times);
    }

    /// Every plan that writes row `key` of `table` fails with an item fault, until [`Self::clear`].
    pub fn poison(&self, table: &'static Table, key: Key) {
        let fault = Fault::Item(format!("{} {key:?} is poison, as planned", table.name));
        self.plan(What::Row(table.name, key, fault), 0, u32::MAX);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Whether all that was planned a number of times has happened.
    pub fn is_spent(&self) -> bool {
        self.0.lock().iter().all(|planned| planned.times == 0)
    }

    fn plan(&self, what: What, skip: u32, times: u32) {
        self.0.lock().push(Planned { what, skip, times });
    }

    /// The first plan that `hits`, if it is its turn.
    fn next(&self, hits: impl Fn(&What) -> bool) -> Option<What> {
        let mut plans = self.0.lock();
        let planned = plans.iter_mut().find(|p| p.times > 0 && hits(&p.what))?;
        if planned.skip > 0 {
            planned.skip -= 1;
            return None;
        }
        planned.times -= 1;
        Some(planned.what.clone())
    }

    pub(super) fn check(&self, on: On) -> Result<(), Fault> {
        match self.next(|what| matches!(what, What::Fail(at, _) if *at == on)) {
            Some(What::Fail(_, fault)) => Err(fault),
            _ => Ok(()),
        }
    }

    pub(super) fn check_row(&self, table: &Table, key: Key) -> Result<(), Fault> {
        let hits =
            |what: &What| matches!(what, What::Row(t, k, _) if *t == table.name && *k == key);
        match self.next(hits) {
            Some(What::Row(.., fault)) => Err(fault),
            _ => Ok(()),
        }
    }

    pub(super) fn commit(&self) -> Result<CommitFate, CommitError> {
        let hits = |what: &What| {
            matches!(what, What::Fail(On::Commit, _) | What::LostAfter | What::LostBefore)
        };
        match self.next(hits) {
            Some(What::Fail(_, fault)) => Err(CommitError::Failed(fault)),
            Some(What::LostAfter) => Ok(CommitFate::DoneThenLost),
            Some(What::LostBefore) => Ok(CommitFate::Lost),
            Some(What::Row(..)) | None => Ok(CommitFate::Done),
        }
    }
}
