//! The thread that follows the outbox, and what it is asked besides. Of several processes that share
//! the database, the one that owns it has it; the others wait until they do.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::clock::{Clock, Stopwatch};
use jangbu_engine::port::{Backend, Fault, Store, WritePlan};
use jangbu_engine::role::{Role, Standing};

use super::parking::{Told, Unsettled, Verb};
use super::{Keep, Projector, commit};
use crate::lag::{Pace, Progress};

/// A running projector.
#[derive(Debug)]
pub struct Projections {
    handle: Handle,
    thread: JoinHandle<Result<(), Fault>>,
}

/// Told once whether rows were written.
pub type Written = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// What the projector is asked besides.
enum Errand {
    /// Take in what is there and end.
    Stop,
    /// Settle a parked key.
    Settle(i64, Verb, Told),
    /// Write rows for somebody: the store has one writer.
    Write(WritePlan, Written),
}

/// The way to a running projector.
#[derive(Debug, Clone)]
pub struct Handle {
    progress: Arc<Progress>,
    errands: Sender<Errand>,
}

impl Handle {
    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Does with a parked key what an operator wants, and tells what became of it.
    pub fn settle(&self, key: i64, verb: Verb, told: Told) {
        let sent = self.errands.send(Errand::Settle(key, verb, told));
        if let Err(SendError(Errand::Settle(_, _, told))) = sent {
            told(Err(Unsettled::Stopped));
        }
    }

    /// Writes rows of the derived store in a transaction of their own.
    pub fn write(&self, plan: WritePlan, written: Written) {
        let sent = self.errands.send(Errand::Write(plan, written));
        if let Err(SendError(Errand::Write(_, written))) = sent {
            written(Err(Fault::Fatal("the projector has stopped".to_owned())));
        }
    }
}

impl Projections {
    /// Follows the outbox of `truth` on a thread of its own; `clock` tells how far behind it is.
    /// What it makes of it is kept for ever.
    pub fn follow(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        Self::keeping(truth, derived, clock, Keep::default())
    }

    /// The same, and keeps what need not stay as long as `keep` says.
    pub fn keeping(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        keep: Keep,
    ) -> Result<Self, Fault> {
        let alone = Standing::default();
        alone.set(Role::Owner { epoch: 0 });
        Self::sharing(truth, derived, clock, keep, Arc::new(alone))
    }

    /// The same in a process that shares the database with others: it works as long as `standing`
    /// says that the database is this process'.
    pub fn sharing(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        keep: Keep,
        standing: Arc<Standing>,
    ) -> Result<Self, Fault> {
        let reader = truth.reader()?;
        let progress = Arc::new(Progress::default());
        let projector = Projector::new(reader, clock, Arc::clone(&progress), keep);
        let (errands, asked) = channel();
        let run = move || run(projector, &*derived, &asked, &standing);
        let thread = std::thread::Builder::new().name("jangbu-project".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { handle: Handle { progress, errands }, thread })
    }

    /// The last event that was taken in.
    pub fn seq(&self) -> i64 {
        self.handle.progress.seq()
    }

    /// For whoever watches it, or settles a parked key.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether the thread is alive; a fault ends it.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Takes in what is there and ends.
    pub fn stop(self) -> Result<(), Fault> {
        // One that has ended already says so when it is joined.
        drop(self.handle.errands.send(Errand::Stop));
        let died = |_| Err(Fault::Fatal("the projector panicked".to_owned()));
        self.thread.join().unwrap_or_else(died)
    }
}

/// How long a projector that has to wait does so before it looks again.
const NAP: Duration = Duration::from_millis(50);

/// How long one that lost its store waits before it opens it again.
const AGAIN: Duration = Duration::from_millis(500);

fn run(
    mut projector: Projector,
    derived: &dyn Backend,
    asked: &Receiver<Errand>,
    standing: &Standing,
) -> Result<(), Fault> {
    let mut rest = Duration::ZERO;
    loop {
        if !waits(asked, standing, rest) {
            return Ok(());
        }
        rest = AGAIN;
        // Another process may have moved on meanwhile.
        projector.known = false;
        let mut ended = Ok(false);
        let opened =
            derived.with(&mut |store| ended = follow(&mut projector, store, asked, standing));
        match opened.and(ended) {
            Ok(true) => return Ok(()),
            Ok(false) => drop(derived.release()),
            // Another process has them still, or the store is away: they are opened again.
            Err(Fault::LostEpoch(why) | Fault::Transient(why)) => {
                tracing::warn!(why, "the projections are not this process' yet");
            }
            Err(fault) => {
                tracing::error!(%fault, "the projections stand still; `jangbu rebuild` makes them anew");
                return Err(fault);
            }
        }
    }
}

/// Rests, and waits until the database is this process'; false: it is to end.
fn waits(asked: &Receiver<Errand>, standing: &Standing, mut rest: Duration) -> bool {
    while !rest.is_zero() || !standing.is_owner() {
        match asked.recv_timeout(rest.max(NAP)) {
            Ok(Errand::Settle(_, _, told)) => told(Err(Unsettled::Stopped)),
            Ok(Errand::Write(_, written)) => {
                let why = "the projections are not this process'";
                written(Err(Fault::Transient(why.to_owned())));
            }
            Ok(Errand::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
        rest = Duration::ZERO;
    }
    true
}

/// Tells whether it is the end; otherwise the database is another process'.
fn follow(
    projector: &mut Projector,
    store: &mut dyn Store,
    asked: &Receiver<Errand>,
    standing: &Standing,
) -> Result<bool, Fault> {
    let (mut pace, mut watch) = (Pace::default(), Stopwatch::start());
    let mut stopping = false;
    while standing.is_owner() {
        let taken = patient(projector.step(store))?;
        let more = patient(projector.keep(store))?;
        projector.tell_progress();
        store.between()?;
        if taken.weight == 0 && stopping {
            return Ok(true);
        }
        let rest = pace.rest(taken.weight, watch.lap());
        let rest = if taken.full || more || stopping { Duration::ZERO } else { rest };
        match asked.recv_timeout(rest) {
            Ok(Errand::Settle(key, verb, told)) => {
                told(projector.settle(store, key, verb));
                projector.tell_progress();
            }
            Ok(Errand::Write(plan, written)) => written(write(store, &plan)),
            Ok(Errand::Stop) | Err(RecvTimeoutError::Disconnected) => stopping = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    Ok(stopping)
}

fn write(store: &mut dyn Store, plan: &WritePlan) -> Result<(), Fault> {
    let mut tx = store.begin()?;
    tx.write(plan)?;
    commit(tx)
}

/// A store that is busy or full is tried again later.
fn patient<T: Default>(done: Result<T, Fault>) -> Result<T, Fault> {
    match done {
        Err(Fault::Transient(why) | Fault::Full(why)) => {
            tracing::warn!(why, "the projections wait");
            Ok(T::default())
        }
        other => other,
    }
}
