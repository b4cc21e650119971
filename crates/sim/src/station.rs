//! One cell with its mailbox and database, stepped by hand; and what leaves it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jangbu_engine::books::SHARD;
use jangbu_engine::cell::{Cell, Outlet, Step};
use jangbu_engine::clock::Clock;
use jangbu_engine::counters::Counters;
use jangbu_engine::mailbox::{Answer, Limits, Mailbox, Waiter};
use jangbu_engine::port::{Backend, By, Fault, Kind, Mode, Read, Reader, Store, WritePlan};
use jangbu_engine::unit::{Signal, Unit};
use jangbu_kernel::{Envelope, Job, Time, UnitId};
use jangbu_services::registry::{self, Rules, TABLES};
use jangbu_store::{Faults, Memory};
use parking_lot::Mutex;

use crate::tape::{Tape, Touched};

/// A clock that the world moves.
#[derive(Debug)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn at(now: i64) -> Self {
        Self(AtomicI64::new(now))
    }

    pub(crate) fn set(&self, now: i64) {
        self.0.store(now, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

/// What has left the cells and was not looked at yet.
#[derive(Default)]
pub(crate) struct Left {
    pub(crate) answers: Vec<(u64, Answer)>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) forward: Vec<Envelope>,
}

/// Everything that leaves any cell of the world.
pub(crate) type Exit = Arc<Mutex<Left>>;

struct Wire(Exit);

impl Outlet for Wire {
    fn deliver(&mut self, answers: Vec<(Waiter, Answer)>, _signals: Vec<Signal>) {
        for (waiter, answer) in answers {
            waiter(answer);
        }
    }

    fn call(&mut self, jobs: Vec<Job>) {
        self.0.lock().jobs.extend(jobs);
    }

    fn forward(&mut self, envelopes: Vec<Envelope>) {
        self.0.lock().forward.extend(envelopes);
    }
}

/// A cell that can die and come back on what it had committed.
pub(crate) struct Station {
    pub(crate) units: Vec<UnitId>,
    pub(crate) memory: Memory,
    cell: Cell,
    mailbox: Arc<Mailbox>,
    clock: Arc<Hand>,
    exit: Exit,
    /// Encode and decode commands for the network; they decide nothing.
    codecs: Vec<Box<dyn Unit>>,
    timers: Vec<Read>,
    reader: Box<dyn Reader>,
    pub(crate) touched: RefCell<Touched>,
    /// When its next step is planned.
    pub(crate) wake: Option<i64>,
}

impl Station {
    /// `far`: its store is behind a network, so that it reads ahead.
    pub(crate) fn new(units: &[UnitId], clock: &Arc<Hand>, exit: &Exit, far: bool) -> Self {
        let memory = if far { Memory::new().far() } else { Memory::new() };
        found(&memory);
        let codecs = registry::units(units, &rules());
        let tables = codecs.iter().flat_map(|unit| unit.timers());
        let due = |table: &&'static _| Read { table, by: By::due(Time(i64::MAX), 1) };
        let timers = tables.map(due).collect();
        let reader = memory.reader().unwrap_or_else(|fault| panic!("no reader: {fault}"));
        let (clock, exit) = (Arc::clone(clock), Arc::clone(exit));
        let mailbox = Arc::new(Mailbox::new(Limits::default(), Arc::clone(&clock) as _));
        let cell = new_cell(units, &mailbox, &exit);
        let touched = RefCell::default();
        Self {
            units: units.to_vec(),
            memory,
            cell,
            mailbox,
            clock,
            exit,
            codecs,
            timers,
            reader,
            touched,
            wake: None,
        }
    }

    /// The process has died: everything that was not committed is gone.
    pub(crate) fn restart(&mut self) {
        self.mailbox = Arc::new(Mailbox::new(Limits::default(), Arc::clone(&self.clock) as _));
        self.cell = new_cell(&self.units, &self.mailbox, &self.exit);
    }

    pub(crate) fn faults(&self) -> &Faults {
        self.memory.faults()
    }

    pub(crate) fn has(&self, unit: UnitId) -> bool {
        self.units.contains(&unit)
    }

    pub(crate) fn step(&mut self, now: Time) -> Result<Step, Fault> {
        self.cell.step(&mut Tape::new(&self.memory, TABLES, &self.touched), now)
    }

    /// Posts a client's command; the answer will be under `number`.
    pub(crate) fn ask(&self, envelope: Envelope, number: u64) {
        let exit = Arc::clone(&self.exit);
        let waiter = move |answer| exit.lock().answers.push((number, answer));
        self.mailbox.ask(envelope, Box::new(waiter));
    }

    pub(crate) fn tell(&self, envelope: Envelope) {
        self.mailbox.tell([envelope]);
    }

    pub(crate) fn reader(&self) -> Box<dyn Reader> {
        self.memory.reader().unwrap_or_else(|fault| panic!("no reader: {fault}"))
    }

    /// Whether it refuses new business until its store has room again.
    pub(crate) fn is_full(&self) -> bool {
        self.mailbox.read_only().is_some()
    }

    pub(crate) fn has_mail(&self) -> bool {
        !self.mailbox.is_empty()
    }

    /// When the earliest timer of its rows is due; never before the next time that it looks.
    pub(crate) fn next_due(&mut self) -> Option<i64> {
        let mut next: Option<i64> = None;
        let timers = &self.timers;
        let read = self.reader.read(timers, &mut |at, row| {
            let table = timers[at].table;
            let due = table.position("next_at").map(|col| row.int(col));
            next = due.into_iter().chain(next).min();
        });
        read.unwrap_or_else(|fault| panic!("the reader has no faults: {fault}"));
        next.map(|at| at.max(self.cell.next_poll().0))
    }

    /// The same command once more, if it can be written down at all.
    pub(crate) fn copy(&self, envelope: &Envelope) -> Option<Envelope> {
        let unit = self.codecs.iter().find(|unit| unit.id() == envelope.to)?;
        let bytes = unit.encode(&*envelope.body)?;
        let mut copy = Envelope::new(envelope.to, envelope.origin, ());
        copy.body = unit.decode(&bytes)?;
        copy.lane = envelope.lane;
        copy.correlation.clone_from(&envelope.correlation);
        copy.trace = envelope.trace;
        Some(copy)
    }
}

fn rules() -> Rules {
    Rules::new("sim")
}

fn new_cell(units: &[UnitId], mailbox: &Arc<Mailbox>, exit: &Exit) -> Cell {
    let wire = Box::new(Wire(Arc::clone(exit)));
    let counters = Arc::new(Counters::default());
    Cell::new(registry::units(units, &rules()), Arc::clone(mailbox), wire, counters)
}

/// The shard row of a new database, with a key that every world has.
fn found(memory: &Memory) {
    let mut plan = WritePlan::default();
    let mut row = plan.row(&SHARD, Mode::Upsert);
    row.int(0);
    for col in SHARD.cols {
        match col.kind {
            Kind::Int => row.int(0),
            Kind::Text => row.text(""),
            Kind::Blob => row.opt_blob(Some(&[7; 16])),
        };
    }
    row.int(1);
    let mut store = memory.open();
    let written = store.begin().and_then(|mut tx| {
        tx.write(&plan)?;
        tx.commit().map_err(|error| Fault::Fatal(error.to_string()))
    });
    written.unwrap_or_else(|fault| panic!("an empty store takes its first row: {fault}"));
}
