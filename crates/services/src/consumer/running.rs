//! The thread on which all consumers of a store work, and what it is asked besides. Of several processes
//! that share the database, the one that owns it has them at work; in the others they wait until it does.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::clock::{Clock, Stopwatch};
use jangbu_engine::port::{Backend, Fault, Store, WritePlan};
use jangbu_engine::role::{Role, Standing};
use jangbu_engine::trace::Tracing;
use jangbu_kernel::time::Span;
use parking_lot::Mutex;

use super::log::{Log, Tail};
use super::parking::{Told, Unsettled, Verb};
use super::runner::Runner;
use super::{Consumer, Source, commit, name};
use crate::lag::{Pace, Progress};

/// A consumer that is to be run.
pub struct Member {
    /// What it does.
    pub consumer: Box<dyn Consumer>,
    /// Where its events come from; none: the embedded log.
    pub source: Option<Box<dyn Source>>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Member").field(&name(self.consumer.number())).finish()
    }
}

/// How consumers work.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Tells how far behind they are.
    pub clock: Arc<dyn Clock>,
    /// A parked key that nobody settles within this is given up; none: never.
    pub patience: Option<Span>,
    /// They work as long as this says that the database is this process'.
    pub standing: Arc<Standing>,
    /// Where the spans of traced events go.
    pub tracer: Tracing,
}

impl Terms {
    /// Those of a process that shares its database with no other.
    pub fn alone(clock: Arc<dyn Clock>, patience: Option<Span>) -> Self {
        let standing = Standing::default();
        standing.set(Role::Owner { epoch: 0 });
        Self { clock, patience, standing: Arc::new(standing), tracer: None }
    }
}

/// Consumers at work.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    thread: JoinHandle<Result<(), Fault>>,
}

/// Told once whether rows were written.
pub type Written = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// What the thread is asked besides.
enum Errand {
    /// Take in what is there and end.
    Stop,
    /// Settle a parked key of a consumer.
    Settle(i64, i64, Verb, Told),
    /// Write rows for somebody: the store has one writer.
    Write(WritePlan, Written),
}

/// The way to running consumers.
#[derive(Debug, Clone)]
pub struct Handle {
    members: Arc<[(i64, Arc<Progress>)]>,
    errands: Sender<Errand>,
}

impl Handle {
    /// How far the first consumer has come: the projections, where they are among them.
    pub fn progress(&self) -> &Progress {
        &self.members[0].1
    }

    /// How far each consumer has come, by its number.
    pub fn members(&self) -> impl Iterator<Item = (i64, &Progress)> {
        self.members.iter().map(|(number, progress)| (*number, &**progress))
    }

    /// The last event that no consumer needs any more.
    pub fn floor(&self) -> i64 {
        self.members.iter().map(|(_, progress)| progress.floor()).min().unwrap_or(0)
    }

    /// Does with a parked key what an operator wants, and tells what became of it.
    pub fn settle(&self, consumer: i64, key: i64, verb: Verb, told: Told) {
        let sent = self.errands.send(Errand::Settle(consumer, key, verb, told));
        if let Err(SendError(Errand::Settle(.., told))) = sent {
            told(Err(Unsettled::Stopped));
        }
    }

    /// Writes rows of the derived store in a transaction of their own.
    pub fn write(&self, plan: WritePlan, written: Written) {
        let sent = self.errands.send(Errand::Write(plan, written));
        if let Err(SendError(Errand::Write(_, written))) = sent {
            written(Err(Fault::Fatal("the consumers have stopped".to_owned())));
        }
    }
}

impl Running {
    /// Starts consumers on a thread of their own. Those without a source of their own follow the outbox
    /// of `truth`.
    pub fn start(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        terms: Terms,
        members: Vec<Member>,
    ) -> Result<Self, Fault> {
        let Terms { clock, patience, standing, tracer } = terms;
        let wants = |topic: &str| {
            let embedded = members.iter().filter(|member| member.source.is_none());
            embedded.map(|member| &member.consumer).any(|consumer| consumer.wants(topic))
        };
        let tail = Tail::new(truth.reader()?, wants);
        let mut runners = Vec::with_capacity(members.len());
        for Member { consumer, source } in members {
            let source = source.unwrap_or_else(|| Box::new(Log::new(&tail)));
            let (reader, clock) = (truth.reader()?, Arc::clone(&clock));
            let runner = Runner::new(consumer, source, reader, clock, patience);
            runners.push(runner.with_tracer(tracer.clone()));
        }
        let members =
            runners.iter().map(|runner| (runner.number(), Arc::clone(&runner.progress))).collect();
        let (errands, asked) = channel();
        let run = move || run(Crew { runners, failed: Ok(()), standing }, &tail, &*derived, &asked);
        let thread = std::thread::Builder::new().name("jangbu-project".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { handle: Handle { members, errands }, thread })
    }

    /// The last event that the slowest consumer has taken in.
    pub fn seq(&self) -> i64 {
        let seqs = self.handle.members.iter().map(|(_, progress)| progress.seq());
        seqs.min().unwrap_or(0)
    }

    /// For whoever watches them, or settles a parked key.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether all of them are at work; a fault stops one.
    pub fn is_running(&self) -> bool {
        let stopped = self.handle.members.iter().any(|(_, progress)| progress.is_stopped());
        !stopped && !self.thread.is_finished()
    }

    /// Takes in what is there and ends.
    pub fn stop(self) -> Result<(), Fault> {
        // One that has ended already says so when it is joined.
        drop(self.handle.errands.send(Errand::Stop));
        let died = |_| Err(Fault::Fatal("the consumers panicked".to_owned()));
        self.thread.join().unwrap_or_else(died)
    }
}

/// How long consumers that have to wait do so before they look again.
const NAP: Duration = Duration::from_millis(50);

/// How long those that lost their store wait before they open it again.
const AGAIN: Duration = Duration::from_millis(500);

fn run(
    mut crew: Crew,
    tail: &Mutex<Tail>,
    derived: &dyn Backend,
    asked: &Receiver<Errand>,
) -> Result<(), Fault> {
    let mut rest = Duration::ZERO;
    loop {
        // Another process may move on meanwhile.
        crew.runners.iter_mut().for_each(Runner::stand_by);
        if !waits(asked, &crew.standing, rest) {
            return crew.failed;
        }
        rest = AGAIN;
        let mut ended = Ok(false);
        let opened = derived.with(&mut |store| ended = follow(&mut crew, tail, store, asked));
        match opened.and(ended) {
            Ok(true) => return crew.failed,
            Ok(false) => drop(derived.release()),
            // Another process has them still, or the store is away: they are opened again.
            Err(Fault::LostEpoch(why) | Fault::Transient(why)) => {
                tracing::warn!(why, "the consumers are not this process' yet");
            }
            Err(fault) => {
                tracing::error!(%fault, "consumers stand still; `jangbu rebuild` makes their rows anew");
                return Err(fault);
            }
        }
    }
}

/// Rests, and waits until the database is this process'; false: it is to end.
fn waits(asked: &Receiver<Errand>, standing: &Standing, mut rest: Duration) -> bool {
    while !rest.is_zero() || !standing.is_owner() {
        match asked.recv_timeout(rest.max(NAP)) {
            Ok(Errand::Settle(.., told)) => told(Err(Unsettled::Stopped)),
            Ok(Errand::Write(_, written)) => {
                let why = "the consumers are not this process'";
                written(Err(Fault::Transient(why.to_owned())));
            }
            Ok(Errand::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => {}
        }
        rest = Duration::ZERO;
    }
    true
}

/// The consumers that are at work, and the first fault that has stopped one.
struct Crew {
    runners: Vec<Runner>,
    failed: Result<(), Fault>,
    standing: Arc<Standing>,
}

impl Crew {
    /// Gives each a turn; says what they took in, and whether there is more at once. A lost epoch is
    /// everybody's, any other fault its consumer's alone.
    fn turn(&mut self, store: &mut dyn Store, passed: Duration) -> Result<(usize, bool), Fault> {
        let (mut weight, mut full, mut lost, failed) = (0, false, None, &mut self.failed);
        self.runners.retain_mut(|runner| match runner.turn(store, passed) {
            Ok(taken) => {
                weight += taken.weight;
                full |= taken.full;
                true
            }
            Err(Fault::LostEpoch(why)) => {
                lost = Some(why);
                true
            }
            Err(fault) => {
                let consumer = name(runner.number());
                tracing::error!(%fault, consumer, "a consumer stands still");
                runner.progress.stop();
                if failed.is_ok() {
                    *failed = Err(fault);
                }
                false
            }
        });
        lost.map_or(Ok((weight, full)), |why| Err(Fault::LostEpoch(why)))
    }

    fn settle(
        &mut self,
        store: &mut dyn Store,
        (consumer, key): (i64, i64),
        verb: Verb,
        told: Told,
    ) {
        let runner = self.runners.iter_mut().find(|runner| runner.number() == consumer);
        let Some(runner) = runner else { return told(Err(Unsettled::Stopped)) };
        told(runner.settle(store, key, verb));
        runner.tell_progress();
    }
}

/// Tells whether it is the end; otherwise the database is another process'.
fn follow(
    crew: &mut Crew,
    tail: &Mutex<Tail>,
    store: &mut dyn Store,
    asked: &Receiver<Errand>,
) -> Result<bool, Fault> {
    let (mut pace, mut watch) = (Pace::default(), Stopwatch::start());
    let (mut stopping, mut passed) = (false, 0);
    while crew.standing.is_owner() {
        tail.lock().renew();
        let (weight, full) = crew.turn(store, Duration::from_nanos(passed))?;
        store.between()?;
        if crew.runners.is_empty() || (weight == 0 && stopping) {
            return Ok(true);
        }
        passed = watch.lap();
        let rest = pace.rest(weight, passed);
        let rest = if full || stopping { Duration::ZERO } else { rest };
        match asked.recv_timeout(rest) {
            Ok(Errand::Settle(consumer, key, verb, told)) => {
                crew.settle(store, (consumer, key), verb, told);
            }
            Ok(Errand::Write(plan, written)) => written(write(store, &plan)),
            Ok(Errand::Stop) | Err(RecvTimeoutError::Disconnected) => {
                stopping = true;
                crew.runners.iter_mut().for_each(Runner::hurry);
            }
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
