//! Cells driven by hand: one thread, a clock that stands still until it is moved, an outlet that
//! only writes down. What a test does not do does not happen.

use std::any::Any;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use jangbu_domain::{catalog, coupon, inventory, ledger, merchant, order, payment, point, user};
use jangbu_engine::books::SHARD;
use jangbu_engine::cell::{Cell, Outlet, Step};
use jangbu_engine::chore::{Chore, Chores};
use jangbu_engine::clock::Clock;
use jangbu_engine::counters::Counters;
use jangbu_engine::mailbox::{Answer, Limits, Mailbox, Waiter, Why};
use jangbu_engine::port::{Backend, Fault, Mode, Store, WritePlan};
use jangbu_engine::trace::Tracing;
use jangbu_engine::unit::Signal;
use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, Job, Origin, Time, UnitId};
use jangbu_services::registry::{self, Rules, TABLES, UNITS};
use jangbu_store::{Dump, Faults, Memory, Postgres, Sqlite, dump};
use parking_lot::Mutex;

use crate::gateway::Gateway;
use crate::history::Sent;

/// When every test begins.
pub(crate) const START: i64 = 1_800_000_000_000_000;

/// One cell with every unit.
pub(crate) const ONE: &[&[UnitId]] = &[UNITS];

/// A clock that a test moves.
#[derive(Debug)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn at(now: i64) -> Self {
        Self(AtomicI64::new(now))
    }

    pub(crate) fn pass(&self, span: Span) {
        self.0.fetch_add(span.0, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Time {
        Time(self.0.load(Ordering::Relaxed))
    }
}

/// An answer that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Done { reply: String, replayed: bool },
    Refused(&'static str, String),
    KeyReused(i64),
    KeyExpired(i64),
    NotRun(Why),
}

impl Seen {
    pub(crate) fn of(answer: Answer) -> Self {
        match answer {
            Answer::Done { reply, replayed } => Self::Done { reply: reply_text(&*reply), replayed },
            Answer::Refused(refusal) => Self::Refused(refusal.code, reject_text(&*refusal.reject)),
            Answer::KeyReused { resource } => Self::KeyReused(resource),
            Answer::KeyExpired { resource } => Self::KeyExpired(resource),
            Answer::NotRun(why) => Self::NotRun(why),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// The answer without what it shows of a state that a later commit may complete.
    pub(crate) fn verdict(&self) -> String {
        match self {
            Self::Done { replayed, .. } => format!("done, replayed: {replayed}"),
            other => format!("{other:?}"),
        }
    }
}

macro_rules! text {
    ($any:ident: $($kind:ty),+) => {{
        $(if let Some(known) = $any.downcast_ref::<$kind>() { return format!("{known:?}"); })+
        panic!("an answer of no known type")
    }};
}

fn reply_text(any: &dyn Any) -> String {
    text!(any: catalog::command::Reply, inventory::command::Reply, order::command::Reply,
        payment::command::Reply, ledger::command::Reply, coupon::command::Reply,
        point::command::Reply, user::command::Reply, merchant::command::Reply,
        jangbu_engine::desk::Reply)
}

fn reject_text(any: &dyn Any) -> String {
    text!(any: jangbu_engine::desk::Reject, catalog::command::Reject, inventory::command::Reject, order::command::Reject,
        payment::command::Reject, ledger::command::Reject, coupon::command::Reject, point::command::Reject,
        user::command::Reject, merchant::command::Reject)
}

/// What left the cells.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// By the number that [`Rig::ask`] gave out.
    pub(crate) answers: Vec<(usize, Seen)>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) signals: Vec<i64>,
    forward: Vec<Envelope>,
}

/// Writes down what leaves a cell.
pub(crate) struct Wire(pub(crate) Arc<Mutex<Record>>);

impl Outlet for Wire {
    fn deliver(&mut self, answers: Vec<(Waiter, Answer)>, signals: Vec<Signal>) {
        for (waiter, answer) in answers {
            waiter(answer);
        }
        self.0.lock().signals.extend(signals.into_iter().map(|signal| signal.key));
    }

    fn call(&mut self, jobs: Vec<Job>) {
        self.0.lock().jobs.extend(jobs);
    }

    fn forward(&mut self, envelopes: Vec<Envelope>) {
        self.0.lock().forward.extend(envelopes);
    }
}

/// Gives access to the store of each cell.
pub(crate) type Stores<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut dyn Store)) + 'a;

/// Opens every store, one within the other, and runs `body`.
pub(crate) fn open_all(backends: &[Arc<dyn Backend>], body: &mut dyn FnMut(&mut Stores<'_>)) {
    nest(backends, 0, &mut |at, _| panic!("no store {at}"), body);
}

fn nest(
    backends: &[Arc<dyn Backend>],
    at: usize,
    outer: &mut Stores<'_>,
    body: &mut dyn FnMut(&mut Stores<'_>),
) {
    let Some(backend) = backends.get(at) else { return body(outer) };
    let open = &mut |store: &mut dyn Store| {
        nest(backends, at + 1, &mut |i, f| if i == at { f(store) } else { outer(i, f) }, body);
    };
    backend.with(open).unwrap();
}

struct Station {
    units: Vec<UnitId>,
    mailbox: Arc<Mailbox>,
    counters: Arc<Counters>,
    chores: Arc<Chores>,
    cell: Cell,
}

/// Cells, their mailboxes and what they have said.
pub(crate) struct Rig {
    stations: Vec<Station>,
    layout: &'static [&'static [UnitId]],
    limits: Limits,
    clock: Arc<Hand>,
    record: Arc<Mutex<Record>>,
    asked: usize,
    tracer: Tracing,
}

impl Rig {
    pub(crate) fn new(layout: &'static [&'static [UnitId]]) -> Self {
        Self::with_limits(layout, Limits::default())
    }

    pub(crate) fn with_limits(layout: &'static [&'static [UnitId]], limits: Limits) -> Self {
        let mut rig = Self {
            stations: Vec::new(),
            layout,
            limits,
            clock: Arc::new(Hand::at(START)),
            record: Arc::default(),
            asked: 0,
            tracer: None,
        };
        rig.restart();
        rig
    }

    /// Everything in memory is gone, as after a crash; what has been said stays said.
    pub(crate) fn restart(&mut self) {
        let (limits, clock, record) = (self.limits, &self.clock, &self.record);
        let tracer = &self.tracer;
        let station = |units: &&'static [UnitId]| {
            let mailbox = Arc::new(Mailbox::new(limits, Arc::clone(clock) as Arc<dyn Clock>));
            let counters = Arc::new(Counters::default());
            let wire = Box::new(Wire(Arc::clone(record)));
            let parts = registry::units(units, &Rules::new("sim"));
            let cell = Cell::new(parts, Arc::clone(&mailbox), wire, Arc::clone(&counters));
            let chores: Arc<Chores> = Arc::default();
            let cell = cell.with_chores(Arc::clone(&chores)).with_tracer(tracer.clone());
            Station { units: units.to_vec(), mailbox, counters, chores, cell }
        };
        self.stations = self.layout.iter().map(station).collect();
    }

    /// Begins anew, with a tracer.
    pub(crate) fn trace(&mut self, tracer: Tracing) {
        self.tracer = tracer;
        self.restart();
    }

    /// A new cell on the same mailboxes: its caches are cold, what waits still waits.
    pub(crate) fn restart_cell_only(&mut self) {
        for station in &mut self.stations {
            let wire = Box::new(Wire(Arc::clone(&self.record)));
            let parts = registry::units(&station.units, &Rules::new("sim"));
            let (mailbox, counters) = (&station.mailbox, &station.counters);
            station.cell = Cell::new(parts, Arc::clone(mailbox), wire, Arc::clone(counters));
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> Arc<Hand> {
        Arc::clone(&self.clock)
    }

    pub(crate) fn set(&self, now: Time) {
        self.clock.0.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, span: Span) {
        self.set(self.now() + span);
    }

    pub(crate) fn record(&self) -> parking_lot::MutexGuard<'_, Record> {
        self.record.lock()
    }

    /// The mailbox of the cell that has `unit`.
    pub(crate) fn mailbox(&self, unit: UnitId) -> &Arc<Mailbox> {
        &self.stations.iter().find(|station| station.units.contains(&unit)).unwrap().mailbox
    }

    /// Gives the first cell long work to do.
    pub(crate) fn post(&self, chore: Box<dyn Chore>) {
        self.stations[0].chores.post(chore);
    }

    /// The counters of the first cell.
    pub(crate) fn counters(&self) -> &Counters {
        &self.stations[0].counters
    }

    /// Posts a client's command; its answer will be under the number that comes back.
    pub(crate) fn ask(&mut self, envelope: Envelope) -> usize {
        let (number, record) = (self.asked, Arc::clone(&self.record));
        self.asked += 1;
        let waiter = move |answer| record.lock().answers.push((number, Seen::of(answer)));
        self.mailbox(envelope.to).ask(envelope, Box::new(waiter));
        number
    }

    pub(crate) fn tell(&self, envelope: Envelope) {
        self.mailbox(envelope.to).tell([envelope]);
    }

    /// The answer under `number`. It was given once.
    pub(crate) fn answer(&self, number: usize) -> Seen {
        let record = self.record();
        let mut found = record.answers.iter().filter(|(n, _)| *n == number);
        let (_, seen) = found.next().unwrap_or_else(|| panic!("no answer {number}"));
        assert!(found.next().is_none(), "answer {number} was given twice");
        seen.clone()
    }

    /// All answers in the order of their questions; each was given once.
    pub(crate) fn answers(&self) -> Vec<Seen> {
        (0..self.asked).map(|number| self.answer(number)).collect()
    }

    /// One step of cell `at`.
    pub(crate) fn step(&mut self, stores: &mut Stores<'_>, at: usize) -> Result<Step, Fault> {
        let now = self.now();
        let mut result = Ok(Step::Idle);
        let station = &mut self.stations[at];
        stores(at, &mut |store| result = station.cell.step(store, now));
        let forward = std::mem::take(&mut self.record.lock().forward);
        for envelope in forward {
            self.tell(envelope);
        }
        result
    }

    /// Steps until no cell has anything to do, at this moment of the clock.
    pub(crate) fn settle(&mut self, stores: &mut Stores<'_>) {
        let mut worked = true;
        while std::mem::take(&mut worked) {
            for at in 0..self.stations.len() {
                worked |= self.exhaust(stores, at);
            }
        }
    }

    /// Steps one cell until it is idle; says whether it had anything to do.
    fn exhaust(&mut self, stores: &mut Stores<'_>, at: usize) -> bool {
        let mut worked = false;
        while self.step(stores, at).unwrap() == Step::Worked {
            worked = true;
        }
        worked
    }

    /// Posts a command of a history: asked if somebody waits for it, else told.
    pub(crate) fn send(&mut self, sent: &Sent) {
        if sent.waits {
            self.ask(sent.envelope());
        } else {
            self.tell(sent.envelope());
        }
    }

    /// Settles, and has the gateway answer what was asked, until nothing is under way.
    pub(crate) fn settle_with(&mut self, stores: &mut Stores<'_>, gateway: &mut Gateway) {
        loop {
            self.settle(stores);
            let jobs = std::mem::take(&mut self.record().jobs);
            if jobs.is_empty() {
                return;
            }
            for job in jobs {
                let mut heard = Envelope::new(job.to, Origin::Event, gateway.hear(&job));
                heard.trace = job.trace;
                self.tell(heard);
                self.settle(stores);
            }
        }
    }

    /// Moves the clock from timer to timer until nothing is due any more.
    pub(crate) fn run_out(
        &mut self,
        stores: &mut Stores<'_>,
        gateway: &mut Gateway,
        backends: &[Arc<dyn Backend>],
    ) {
        for _ in 0..400 {
            self.settle_with(stores, gateway);
            let next = backends.iter().filter_map(|backend| next_due(&rows(&**backend))).min();
            let Some(next) = next else { return };
            self.set(Time(next.max(self.now().0 + 20_000)));
        }
        panic!("timers do not come to rest");
    }
}

/// The earliest timer of any row.
pub(crate) fn next_due(dump: &Dump) -> Option<i64> {
    let timers = TABLES.iter().filter(|table| table.due);
    let due = timers.flat_map(|table| {
        let at = table.position("next_at").unwrap();
        let rows = dump.iter().filter(|((name, _), _)| *name == table.name);
        rows.filter_map(move |(_, row)| int(&row[at]))
    });
    due.min()
}

/// An integer, if it is one.
pub(crate) fn int(value: &jangbu_store::OwnedValue) -> Option<i64> {
    match value {
        jangbu_store::OwnedValue::Int(n) => Some(*n),
        _ => None,
    }
}

/// So many cases of a property; what fails prints itself.
pub(crate) fn cases(n: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        failure_persistence: None,
        ..proptest::test_runner::Config::with_cases(n)
    }
}

/// Every row of the truth.
pub(crate) fn rows(backend: &dyn Backend) -> Dump {
    dump(&mut *backend.reader().unwrap(), TABLES).unwrap()
}

/// Asserts that two dumps are the same, and shows where they are not.
pub(crate) fn same_rows(one: &Dump, other: &Dump) {
    let keys: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differ = |key: &&&(&str, _)| one.get(**key) != other.get(**key);
    let shown = keys.iter().filter(differ).take(5);
    let shown: Vec<_> = shown
        .map(|key| format!("{key:?}:\n  {:?}\n  {:?}", one.get(*key), other.get(*key)))
        .collect();
    assert!(shown.is_empty(), "rows differ:\n{}", shown.join("\n"));
}

/// Runs one write plan in a transaction of its own.
pub(crate) fn write(backend: &dyn Backend, fill: &dyn Fn(&mut WritePlan)) {
    let open = &mut |store: &mut dyn Store| {
        let mut plan = WritePlan::default();
        fill(&mut plan);
        let mut tx = store.begin().unwrap();
        tx.write(&plan).unwrap();
        tx.commit().unwrap();
    };
    backend.with(open).unwrap();
}

/// The shard row of a new store, with a key that every test knows.
fn found(backend: &dyn Backend) {
    write(backend, &|plan| {
        let mut row = plan.row(&SHARD, Mode::Upsert);
        row.int(0).int(0).int(0).int(0).int(0).blob(&[7; 16]).int(0).int(0).int(1);
    });
}

/// Loses the answer of the next commit, which was done or was not.
pub(crate) fn lose(faults: &Faults, done: bool) {
    if done {
        faults.lose_answers(0, 1);
    } else {
        faults.lose_commits(0, 1);
    }
}

/// A new store in memory.
pub(crate) fn memory() -> Memory {
    let memory = Memory::new();
    found(&memory);
    memory
}

/// `n` new stores in memory.
pub(crate) fn memories(n: usize) -> Vec<Arc<dyn Backend>> {
    (0..n).map(|_| Arc::new(memory()) as Arc<dyn Backend>).collect()
}

/// `n` new database files in `dir`.
pub(crate) fn files(n: usize, dir: &Path) -> Vec<Arc<dyn Backend>> {
    let file = |at: usize| {
        let path = dir.join(format!("cell-{at}.db"));
        let file: Arc<dyn Backend> = Arc::new(Sqlite::new(path, TABLES, registry::MIGRATIONS));
        found(&*file);
        file
    };
    (0..n).map(file).collect()
}

/// A new schema of the tests' PostgreSQL.
pub(crate) fn schema() -> Arc<Postgres> {
    static URL: OnceLock<String> = OnceLock::new();
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let url = URL.get_or_init(|| jangbu_cluster::shared::postgres().database("services").unwrap());
    let name = format!("shop_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Arc::new(Postgres::new(url, &name, TABLES, registry::MIGRATIONS).unwrap())
}

/// `n` new schemas.
pub(crate) fn schemas(n: usize) -> Vec<Arc<dyn Backend>> {
    let made = |_| {
        let schema: Arc<dyn Backend> = schema();
        found(&*schema);
        schema
    };
    (0..n).map(made).collect()
}

/// One cell on one store in memory that can be told to fail.
pub(crate) struct Bench {
    pub(crate) rig: Rig,
    pub(crate) memory: Memory,
    pub(crate) gateway: Gateway,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { rig: Rig::new(ONE), memory: memory(), gateway: Gateway::default() }
    }

    pub(crate) fn with_limits(limits: Limits) -> Self {
        Self { rig: Rig::with_limits(ONE, limits), ..Self::new() }
    }

    pub(crate) fn step(&mut self) -> Result<Step, Fault> {
        let memory = &self.memory;
        self.rig.step(&mut |_, f| f(&mut memory.open()), 0)
    }

    pub(crate) fn settle(&mut self) {
        let memory = &self.memory;
        self.rig.settle(&mut |_, f| f(&mut memory.open()));
    }

    pub(crate) fn settle_with_gateway(&mut self) {
        let memory = &self.memory;
        self.rig.settle_with(&mut |_, f| f(&mut memory.open()), &mut self.gateway);
    }

    pub(crate) fn run_out(&mut self) {
        let memory = self.memory.clone();
        let backend: Arc<dyn Backend> = Arc::new(self.memory.clone());
        self.rig.run_out(&mut |_, f| f(&mut memory.open()), &mut self.gateway, &[backend]);
    }

    /// Asks, settles, and gives the answer.
    pub(crate) fn run(&mut self, envelope: Envelope) -> Seen {
        let number = self.rig.ask(envelope);
        self.settle();
        self.rig.answer(number)
    }
}
