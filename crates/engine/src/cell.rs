//! A cell: units that share one database and one writer, and the loop that drives them.
//!
//! ```text
//! gather ─▶ load ─▶ decide ─▶ save ─▶ commit ─▶ answer
//!   │        │        │         │        │         └ waiters, calls, other cells: only now
//!   │        │        │         │        └ one fsync for everything in the batch
//!   │        │        │         └ changed rows by table rank, requests, events, the shard row
//!   │        │        └ each root command with its whole cascade, in order, in memory
//!   │        └ idempotency and rows of all roots in a number of reads that no batch changes
//!   └ what came in while the last batch committed, and due rows
//! ```
//!
//! A root's cascade runs to its end before the next root is decided. Rounds over the whole batch
//! would let a later root overtake the second step of an earlier one, and then a batch would not
//! equal its items in sequence. What a cascade needs beyond the rows of its root is read when it
//! is missing, and, where reading is far away, mostly before it is.
//!
//! | part | does |
//! |---|---|
//! | `load` | everything that is read before the first decision |
//! | `decide` | decisions: everything before the first write |
//! | `timers` | due rows become commands |
//! | `mend` | what happens on a fault; the table is at [`Cell::step`] |
//! | `spans` | what is told of traced commands |
//! | `turns` | a slice of long work when its turn has come |

mod decide;
mod load;
mod mend;
mod spans;
mod timers;
mod turns;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jangbu_kernel::{Envelope, Job, Time, Trace, UnitId};

use crate::books::Books;
use crate::chore::Chores;
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::mailbox::{Answer, Item, Mailbox, Waiter, Why};
use crate::port::{CommitError, Fault, Read, Store, WritePlan};
use crate::trace::Tracing;
use crate::unit::{Hints, Signal, Sink, Unit};
use spans::{Phase, Watched};
use turns::Turns;

pub use mend::Fill;
pub use turns::Turn;

/// How often due rows are looked for.
const POLL: i64 = 20_000;

/// What the outside hears after a commit. Called on the owner's thread: it must not block.
pub trait Outlet: Send {
    /// Answers to waiters, and signals about aggregates.
    fn deliver(&mut self, answers: Vec<(Waiter, Answer)>, signals: Vec<Signal>);

    /// Calls to start.
    fn call(&mut self, jobs: Vec<Job>);

    /// Commands for units of other cells.
    fn forward(&mut self, envelopes: Vec<Envelope>);
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing was there to do.
    Idle,
    /// A batch was carried out.
    Worked,
    /// The store was busy or full; the batch waits in the mailbox.
    BackOff,
}

/// Why a batch could not be carried out as it was.
enum Broken {
    Fault(Fault),
    /// The answer of the commit was lost.
    LostAnswer(Done),
    /// A unit panicked while it worked for this item; or for all of them, when rows were read.
    Panic(Option<usize>, String),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What is to be said and sent once the commit is known to have happened.
#[derive(Default)]
struct Done {
    answers: Vec<Option<Answer>>,
    signals: Vec<Signal>,
    jobs: Vec<Job>,
    forward: Vec<Envelope>,
    /// Nothing, if no command of the batch is traced.
    watched: Option<Box<Watched>>,
}

/// The owner's state of one cell. Lives on one thread; time comes in with each step.
pub struct Cell {
    units: Vec<Box<dyn Unit>>,
    mailbox: Arc<Mailbox>,
    outlet: Box<dyn Outlet>,
    counters: Arc<Counters>,
    books: Option<Books>,
    sink: Sink,
    plan: WritePlan,
    reads: Vec<Read>,
    hints: Hints,
    /// Whether each read of this transaction waits for a network.
    far: bool,
    next_poll: Time,
    /// Due rows that could not be processed, and until when they are left alone.
    quarantine: Vec<(UnitId, i64, Time)>,
    /// The root that is being worked on, for whoever catches its panic.
    at: Option<usize>,
    /// A batch whose commit may have happened: nobody hears of it, and nothing else begins,
    /// before the store has said so.
    unsure: Option<Unsure>,
    /// When a full store is tried again.
    next_probe: Time,
    turns: Turns,
    /// Other processes take over when this one is no longer the owner.
    shared: bool,
    tracer: Tracing,
    /// What follows from the root that is being worked on is a child of this span.
    trace: Option<Trace>,
}

struct Unsure {
    batch: Vec<Item>,
    done: Done,
    commit: Option<i64>,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units: Vec<_> = self.units.iter().map(|unit| unit.id()).collect();
        f.debug_struct("Cell").field("units", &units).finish_non_exhaustive()
    }
}

impl Cell {
    /// A cell of `units` that takes its work from `mailbox`.
    pub fn new(
        units: Vec<Box<dyn Unit>>,
        mailbox: Arc<Mailbox>,
        outlet: Box<dyn Outlet>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            units,
            mailbox,
            outlet,
            counters,
            books: None,
            sink: Sink::default(),
            plan: WritePlan::default(),
            reads: Vec::new(),
            hints: Hints::default(),
            far: false,
            next_poll: Time(0),
            quarantine: Vec::new(),
            at: None,
            unsure: None,
            next_probe: Time(0),
            turns: Turns::default(),
            shared: false,
            tracer: None,
            trace: None,
        }
    }

    /// The same with long work that is posted to `chores`.
    #[must_use]
    pub fn with_chores(mut self, chores: Arc<Chores>) -> Self {
        self.turns.posted = chores;
        self
    }

    /// The same in a cell that another process may take over: a lost epoch is not the end of what
    /// waits. Whoever drives it calls [`Cell::leave`] when it is somebody else's.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = true;
        self
    }

    /// The same with a tracer for traced commands.
    #[must_use]
    pub fn with_tracer(mut self, tracer: Tracing) -> Self {
        self.tracer = tracer;
        self
    }

    /// Carries out what has gathered, and what is due at `now`.
    ///
    /// | fault | what happens |
    /// |---|---|
    /// | transient | the batch goes back to the mailbox; [`Step::BackOff`] |
    /// | a row is refused | the batch is run in halves until the item is found; it is set aside |
    /// | a unit panics | that item is set aside, the others run again |
    /// | the commit's answer is lost | the shard row tells whether it happened; if not: again |
    /// | full | no new business until a commit succeeds; the batch waits |
    /// | fatal, lost epoch | `Err`: writing stops |
    pub fn step(&mut self, store: &mut dyn Store, now: Time) -> Result<Step, Fault> {
        let mut batch = Vec::new();
        if let Some(unsure) = self.unsure.take() {
            match self.look(store, unsure) {
                Ok(again) => batch = again,
                Err((rest, fault)) => return self.give_back(rest, fault),
            }
        }
        self.mailbox.take(&mut batch);
        if now >= self.next_poll || now.0 < self.next_poll.0 - POLL {
            self.next_poll = Time(now.0 + POLL);
            self.turns.collect();
            match self.due(store, now) {
                Ok(due) => batch.extend(due.into_iter().map(Item::alone)),
                Err(Fault::Transient(_) | Fault::Full(_)) => {}
                Err(fault) => return self.stop(batch, fault),
            }
        }
        if batch.is_empty() {
            self.probe(store, now);
            return self.turn(store, now, true);
        }
        self.counters.batch(batch.len());
        match self.carry_out(store, batch, now) {
            Ok(()) => self.turn(store, now, false),
            Err((batch, fault)) => self.give_back(batch, fault),
        }
    }

    /// The time from which the next step may find due rows.
    pub fn next_poll(&self) -> Time {
        self.next_poll
    }

    fn unit(&self, id: UnitId) -> Option<usize> {
        self.units.iter().position(|unit| unit.id() == id)
    }

    /// Runs a batch to its end, whatever item of it has to be set aside on the way. On a fault
    /// that is not an item's the untouched batch comes back.
    fn carry_out(
        &mut self,
        store: &mut dyn Store,
        mut batch: Vec<Item>,
        now: Time,
    ) -> Result<(), (Vec<Item>, Fault)> {
        self.drop_late(&mut batch, now);
        while !batch.is_empty() {
            let broken = match self.attempt(store, &mut batch, now) {
                Ok(done) => {
                    self.deliver(batch, done);
                    return Ok(());
                }
                Err(broken) => broken,
            };
            Counters::add(&self.counters.reruns, 1);
            let commit = self.books.as_ref().map(|books| books.shard.commits);
            self.forget();
            batch = match broken {
                Broken::LostAnswer(done) => self.look(store, Unsure { batch, done, commit })?,
                Broken::Panic(Some(at), error) => {
                    self.set_aside(store, batch, (at, &error), now)?
                }
                Broken::Panic(None, error) | Broken::Fault(Fault::Item(error)) => {
                    self.halve(store, batch, &error, now)?
                }
                Broken::Fault(fault) => return Err((batch, fault)),
            };
        }
        Ok(())
    }

    /// Refuses what has waited past its deadline. Deadlines are looked at here and in the
    /// mailbox, never after.
    fn drop_late(&mut self, batch: &mut Vec<Item>, now: Time) {
        let mut late = Vec::new();
        for at in (0..batch.len()).rev() {
            if batch[at].envelope.deadline.is_some_and(|deadline| deadline < now) {
                late.extend(batch.remove(at).waiter);
            }
        }
        self.refuse(late, Why::TooLate);
    }

    fn refuse(&mut self, waiters: Vec<Waiter>, why: Why) {
        if !waiters.is_empty() {
            Counters::add(&self.counters.not_run, waiters.len() as u64);
            let answers = waiters.into_iter().map(|waiter| (waiter, Answer::NotRun(why)));
            self.outlet.deliver(answers.collect(), Vec::new());
        }
    }

    /// One attempt at one transaction.
    fn attempt(
        &mut self,
        store: &mut dyn Store,
        batch: &mut [Item],
        now: Time,
    ) -> Result<Done, Broken> {
        self.far = store.is_far();
        let mut tx = store.begin()?;
        let caught = catch_unwind(AssertUnwindSafe(|| self.decide_all(&mut *tx, batch, now)));
        let mut done = match caught {
            Ok(done) => done?,
            Err(panic) => {
                drop(tx);
                return Err(Broken::Panic(self.at, panic_text(panic.as_ref())));
            }
        };
        if self.plan.is_empty() {
            return Ok(done);
        }
        let mut watch = Stopwatch::start();
        tx.write(&self.plan)?;
        Counters::add(&self.counters.write_ns, watch.lap());
        self.phase(Phase::Save, &mut done);
        let committed = tx.commit();
        Counters::add(&self.counters.commit_ns, watch.lap());
        self.phase(Phase::Commit, &mut done);
        match committed {
            Ok(()) => {}
            Err(CommitError::Failed(fault)) => return Err(Broken::Fault(fault)),
            Err(CommitError::Unknown(_)) => return Err(Broken::LostAnswer(done)),
        }
        self.committed(store);
        Ok(done)
    }

    fn committed(&mut self, store: &dyn Store) {
        let counters = &self.counters;
        Counters::add(&counters.commits, 1);
        Counters::add(&counters.rows, self.plan.len() as u64);
        Counters::add(&counters.events, self.sink.events.len() as u64);
        let stored = store.counters();
        for (counter, value) in [
            (&counters.pages, stored.pages),
            (&counters.wal_bytes, stored.wal_bytes),
            (&counters.fsyncs, stored.fsyncs),
            (&counters.checkpoints, stored.checkpoints),
        ] {
            counter.store(value, std::sync::atomic::Ordering::Relaxed);
        }
        for unit in &mut self.units {
            unit.committed();
        }
        if let Some(books) = &mut self.books {
            books.committed();
            self.counters.reached.raise(books.position());
        }
        self.sink.clear();
        self.plan.clear();
    }

    fn forget(&mut self) {
        for unit in &mut self.units {
            unit.clear();
        }
        self.books = None;
        self.sink.clear();
        self.plan.clear();
    }

    fn deliver(&mut self, batch: Vec<Item>, done: Done) {
        let mut watch = Stopwatch::start();
        if let Some(watched) = done.watched {
            watched.tell(&batch, self.mailbox.now());
        }
        let answers = batch.into_iter().zip(done.answers);
        let answers: Vec<_> =
            answers.filter_map(|(item, answer)| Some((item.waiter?, answer?))).collect();
        if !done.jobs.is_empty() {
            self.outlet.call(done.jobs);
        }
        if !answers.is_empty() || !done.signals.is_empty() {
            self.outlet.deliver(answers, done.signals);
        }
        if !done.forward.is_empty() {
            self.outlet.forward(done.forward);
        }
        self.mailbox.recovered();
        Counters::add(&self.counters.deliver_ns, watch.lap());
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
