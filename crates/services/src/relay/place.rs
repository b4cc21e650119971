//! Where the relay stands: a row of `derived.db`, written by the one thread that writes there.

use std::sync::Arc;

use jangbu_engine::port::{Backend, By, Fault, Mode, Read, WritePlan};
use parking_lot::Mutex;

use crate::consumer::{Handle, OFFSET, Written, commit};

/// The row of the relay among the places. Consumers have the lower numbers.
const ROW: i64 = 99 << 32;

/// Writes a place down, and tells whether it is kept.
pub type Writer = Box<dyn Fn(i64, Written) + Send + Sync>;

/// A place in the outbox: everything up to it is done.
pub struct Place {
    state: Arc<Mutex<State>>,
    write: Writer,
}

#[derive(Debug, Clone, Copy)]
struct State {
    kept: Option<i64>,
    writing: bool,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&*self.state.lock()).finish()
    }
}

impl Place {
    /// One that was kept as `kept`, if it was; `write` keeps it from now on.
    pub fn new(kept: Option<i64>, write: Writer) -> Self {
        Self { state: Arc::new(Mutex::new(State { kept, writing: false })), write }
    }

    /// That of `derived`, which the thread behind `handle` writes.
    pub fn open(derived: &dyn Backend, handle: Handle) -> Result<Self, Fault> {
        let write = move |seq, written| handle.write(plan(seq), written);
        Ok(Self::new(stored(derived)?, Box::new(write)))
    }

    /// Where to begin; none: it is the first time.
    pub fn kept(&self) -> Option<i64> {
        self.state.lock().kept
    }

    /// Asks to keep `seq`, unless something is being written: then it is worth asking again later.
    pub fn want(&self, seq: i64) {
        let mut state = self.state.lock();
        if state.writing || state.kept == Some(seq) {
            return;
        }
        state.writing = true;
        drop(state);
        let kept = Arc::clone(&self.state);
        let written = move |written: Result<(), Fault>| {
            let mut state = kept.lock();
            state.writing = false;
            match written {
                Ok(()) => state.kept = Some(seq),
                // What is not kept is published again after the next start.
                Err(fault) => tracing::warn!(%fault, seq, "the relay's place is not kept"),
            }
        };
        (self.write)(seq, Box::new(written));
    }
}

fn plan(seq: i64) -> WritePlan {
    let mut plan = WritePlan::default();
    plan.row(&OFFSET, Mode::Upsert).int(ROW).int(seq);
    plan
}

/// The place that `derived` has, if it has one.
pub fn stored(derived: &dyn Backend) -> Result<Option<i64>, Fault> {
    let mut found = None;
    let read = [Read { table: &OFFSET, by: By::Keys(vec![[ROW, 0, 0]]) }];
    derived.reader()?.read(&read, &mut |_, row| found = Some(row.int(1)))?;
    Ok(found)
}

/// Puts a place into a `derived` that nobody follows.
pub fn store(derived: &dyn Backend, seq: i64) -> Result<(), Fault> {
    let mut written = Ok(());
    derived.with(&mut |store| {
        written = store.begin().and_then(|mut tx| {
            tx.write(&plan(seq))?;
            commit(tx)
        });
    })?;
    written
}
