//! A cell: units that share one database and one writer, and the loop that drives them.
//!
//! ```text
//! gather ─▶ load ─▶ decide ─▶ save ─▶ commit ─▶ answer
//!   │        │        │         │        │         └ waiters, calls, other cells: only now
//!   │        │        │         │        └ one fsync for everything in the batch
//!   │        │        │         └ changed rows by table rank, requests, events, the shard row
//!   │        │        └ each root command with its whole cascade, in order, in memory
//!   │        └ idempotency and rows of all roots in a constant number of reads
//!   └ what came in while the last batch committed, and due rows
//! ```
//!
//! A root's cascade runs to its end before the next root is decided. Rounds over the whole batch
//! would let a later root overtake the second step of an earlier one, and then a batch would not
//! equal its items in sequence. What a cascade needs beyond the rows of its root is read when it
//! is missing.
//!
//! Faults: see [`Cell::step`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jangbu_kernel::{Ctx, Envelope, Job, Origin, Time, UnitId};

use crate::books::Books;
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::mailbox::{Answer, Item, Mailbox, Waiter, Why};
use crate::port::{By, CommitError, Fault, Read, Store, Table, Tx, WritePlan};
use crate::unit::{Refusal, Signal, Sink, Unit, Verdict};

/// More commands than this from one root are a bug in the domains: the root is set aside. (They
/// must not be dropped: a posting to the ledger could be among them.)
const CASCADE: usize = 64;

/// How often due rows are looked for.
const POLL: i64 = 20_000;

/// How often a full store is tried again when nothing waits.
const PROBE: i64 = 500_000;

/// At most so many due rows of a table in a batch.
const DUE: u32 = 256;

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
            next_poll: Time(0),
            quarantine: Vec::new(),
            at: None,
            unsure: None,
            next_probe: Time(0),
        }
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
            match self.due(store, now) {
                Ok(due) => batch.extend(due.into_iter().map(Item::alone)),
                Err(Fault::Transient(_) | Fault::Full(_)) => {}
                Err(fault) => return self.stop(batch, fault),
            }
        }
        if batch.is_empty() {
            self.probe(store, now);
            return Ok(Step::Idle);
        }
        self.counters.batch(batch.len());
        match self.carry_out(store, batch, now) {
            Ok(()) => Ok(Step::Worked),
            Err((batch, fault)) => self.give_back(batch, fault),
        }
    }

    /// The time from which the next step may find due rows.
    pub fn next_poll(&self) -> Time {
        self.next_poll
    }

    /// Reads due rows and turns each into its command. Takes no hint about what changed, so it
    /// is safe to run twice.
    fn due(&mut self, store: &mut dyn Store, now: Time) -> Result<Vec<Envelope>, Fault> {
        self.quarantine.retain(|(_, _, until)| *until > now);
        let mut tx = store.begin()?;
        let mut due = Vec::new();
        for unit in &self.units {
            for table in unit.timers() {
                let read = [Read { table, by: By::Due { before: now, limit: DUE } }];
                tx.read(&read, &mut |_, row| due.push((unit.id(), *table, row.int(0))))?;
            }
        }
        drop(tx);
        due.retain(|(unit, _, key)| !self.quarantine.iter().any(|q| (q.0, q.1) == (*unit, *key)));
        Ok(due.into_iter().map(|(unit, table, key)| self.wake(unit, table, key)).collect())
    }

    fn wake(&self, unit: UnitId, table: &'static Table, key: i64) -> Envelope {
        let index = self.unit(unit).unwrap_or_else(|| panic!("{unit:?} is not in this cell"));
        let mut envelope = Envelope::new(unit, Origin::Timer, ());
        envelope.body = self.units[index].wake(table, key);
        envelope
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

    /// One of these items is not acceptable: runs the first half, and gives back the second.
    fn halve(
        &mut self,
        store: &mut dyn Store,
        mut batch: Vec<Item>,
        error: &str,
        now: Time,
    ) -> Result<Vec<Item>, (Vec<Item>, Fault)> {
        if batch.len() == 1 {
            return self.set_aside(store, batch, (0, error), now);
        }
        let second = batch.split_off(batch.len() / 2);
        match self.carry_out(store, batch, now) {
            Ok(()) => Ok(second),
            Err((mut rest, fault)) => {
                rest.extend(second);
                Err((rest, fault))
            }
        }
    }

    /// Finds out whether a commit happened whose answer was lost. Gives back what is to be run
    /// again; as long as the store does not say, nothing is.
    fn look(
        &mut self,
        store: &mut dyn Store,
        unsure: Unsure,
    ) -> Result<Vec<Item>, (Vec<Item>, Fault)> {
        match self.happened(store, unsure.commit) {
            Ok(true) => {
                self.deliver(unsure.batch, unsure.done);
                Ok(Vec::new())
            }
            Ok(false) => Ok(unsure.batch),
            Err(fault) => {
                self.unsure = Some(unsure);
                Err((Vec::new(), fault))
            }
        }
    }

    /// Writes the shard row while the store is full and nothing else is to be written: as soon as
    /// that works there is room again.
    fn probe(&mut self, store: &mut dyn Store, now: Time) {
        if now < self.next_probe || self.mailbox.read_only() != Some(Why::Full) {
            return;
        }
        self.next_probe = Time(now.0 + PROBE);
        match self.write_books(store, now, &mut |_, _| {}) {
            Ok(()) => self.mailbox.recovered(),
            Err(fault) => tracing::warn!(%fault, "the store is still full"),
        }
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
        let mut tx = store.begin()?;
        let caught = catch_unwind(AssertUnwindSafe(|| self.decide_all(&mut *tx, batch, now)));
        let done = match caught {
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
        let committed = tx.commit();
        Counters::add(&self.counters.commit_ns, watch.lap());
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
        }
        self.sink.clear();
        self.plan.clear();
    }

    /// Load and decide: everything between `begin` and the first write.
    fn decide_all(
        &mut self,
        tx: &mut dyn Tx,
        batch: &mut [Item],
        now: Time,
    ) -> Result<Done, Broken> {
        let mut watch = Stopwatch::start();
        self.at = None;
        self.sink.clear();
        self.plan.clear();
        self.open(tx)?;
        self.load(tx, batch, now)?;
        let read = watch.lap();
        let mut done = Done::default();
        let mut on_demand = 0;
        for (at, item) in batch.iter_mut().enumerate() {
            self.at = Some(at);
            let answer = self.root(tx, item, &mut done, &mut on_demand)?;
            done.answers.push(answer);
        }
        self.at = None;
        self.finish(now, &mut done);
        Counters::add(&self.counters.read_ns, read + on_demand);
        Counters::add(&self.counters.decide_ns, watch.lap().saturating_sub(on_demand));
        Ok(done)
    }

    /// Reads the shard row and what units must always know, unless they are held already.
    fn open(&mut self, tx: &mut dyn Tx) -> Result<(), Fault> {
        if self.books.is_none() {
            for unit in &mut self.units {
                unit.open(&mut |plan, each| tx.read(plan, each))?;
            }
            self.books = Some(Books::open(tx)?);
        }
        Ok(())
    }

    fn books(&mut self) -> &mut Books {
        self.books.as_mut().unwrap_or_else(|| panic!("the books are open within a transaction"))
    }

    /// Idempotency and the rows of all roots: at most two reads each, whatever the batch size.
    fn load(&mut self, tx: &mut dyn Tx, batch: &mut [Item], now: Time) -> Result<(), Fault> {
        let books = self.books();
        books.begin(now);
        let now = books.shard.clock;
        books.look_up(tx, batch.iter().filter_map(|item| item.envelope.key.as_deref()))?;
        for item in batch.iter_mut() {
            if item.envelope.now.0 == 0 {
                item.envelope.now = now;
            }
            self.adopt(&mut item.envelope);
        }
        for _pass in 0..2 {
            self.want(batch);
            self.fetch(tx)?;
        }
        Ok(())
    }

    fn want(&mut self, batch: &[Item]) {
        for Item { envelope, .. } in batch {
            if let Some(unit) = self.unit(envelope.to) {
                self.units[unit].want(&*envelope.body);
            }
        }
    }

    /// Points a repeated command at what its first run made. Returns that request's fingerprint.
    fn adopt(&mut self, envelope: &mut Envelope) -> Option<([u8; 17], i64)> {
        let key = envelope.key.as_deref()?;
        let request = self.books.as_ref()?.recall(key)?;
        let (first, resource) = (request.key.body, request.resource);
        if first == key.body {
            let unit = self.unit(envelope.to)?;
            self.units[unit].adopt(&mut *envelope.body, resource);
        }
        Some((first, resource))
    }

    /// Reads what the units want and do not hold.
    fn fetch(&mut self, tx: &mut dyn Tx) -> Result<(), Fault> {
        self.reads.clear();
        let mut owners = Vec::new();
        for (at, unit) in self.units.iter_mut().enumerate() {
            unit.missing(&mut self.reads);
            owners.resize(self.reads.len(), at);
        }
        if self.reads.is_empty() {
            return Ok(());
        }
        let (units, reads) = (&mut self.units, &self.reads);
        let mut rows = 0;
        tx.read(reads, &mut |read, row| {
            rows += 1;
            units[owners[read]].absorb(reads[read].table, row);
        })?;
        for unit in units {
            unit.absorbed();
        }
        Counters::add(&self.counters.rows_read, rows);
        Ok(())
    }

    /// Decides one root command and everything that follows from it in this cell.
    fn root(
        &mut self,
        tx: &mut dyn Tx,
        item: &mut Item,
        done: &mut Done,
        on_demand: &mut u64,
    ) -> Result<Option<Answer>, Broken> {
        let envelope = &mut item.envelope;
        let Some(unit) = self.unit(envelope.to) else {
            panic!("{:?} is not in this cell", envelope.to)
        };
        let waited = item.waiter.is_some();
        if let Some((first, resource)) = self.adopt(envelope) {
            Counters::add(&self.counters.replays, 1);
            let same = envelope.key.as_ref().is_some_and(|key| key.body == first);
            let reused = || Answer::KeyReused { resource };
            let answer = || if same { self.reply(unit, envelope, true) } else { reused() };
            return Ok(waited.then(answer));
        }
        let ctx = self.ctx(envelope);
        Counters::add(&self.counters.commands, 1);
        if let Verdict::Refused(refusal) = self.units[unit].decide(envelope, &ctx, &mut self.sink) {
            Counters::add(&self.counters.rejects, 1);
            // A saga that asked from another cell hears that its step was refused.
            self.cascade(tx, &ctx, done, on_demand)?;
            return Ok(waited.then_some(Answer::Refused(refusal)));
        }
        self.cascade(tx, &ctx, done, on_demand)?;
        if let Some(key) = envelope.key.as_deref() {
            let resource = self.units[unit].resource(&*envelope.body);
            self.books().remember(key, resource);
        }
        Ok(waited.then(|| self.reply(unit, envelope, false)))
    }

    /// The reply of a client command, from its resource as it is after the whole cascade.
    fn reply(&self, unit: usize, envelope: &Envelope, replayed: bool) -> Answer {
        match self.units[unit].recall(&*envelope.body) {
            Some(reply) => Answer::Done { reply, replayed },
            None => panic!("what {:?} made is gone", envelope.body),
        }
    }

    fn ctx(&mut self, envelope: &Envelope) -> Ctx {
        let commit = self.books().shard.commits;
        Ctx { now: envelope.now, commit, correlation: envelope.correlation.clone() }
    }

    /// Runs the effects of a root, first come first served, until none is left.
    fn cascade(
        &mut self,
        tx: &mut dyn Tx,
        ctx: &Ctx,
        done: &mut Done,
        on_demand: &mut u64,
    ) -> Result<(), Broken> {
        let mut steps = 0;
        while let Some(mut effect) = self.sink.effects.pop_front() {
            effect.now = ctx.now;
            effect.correlation.clone_from(&ctx.correlation);
            let Some(unit) = self.unit(effect.to) else {
                done.forward.push(effect);
                continue;
            };
            steps += 1;
            assert!(steps <= CASCADE, "a cascade of more than {CASCADE} commands");
            for _pass in 0..2 {
                self.units[unit].want(&*effect.body);
                self.fetch_one(tx, unit, on_demand)?;
            }
            Counters::add(&self.counters.commands, 1);
            if let Verdict::Refused(Refusal { code, .. }) =
                self.units[unit].decide(&effect, ctx, &mut self.sink)
            {
                Counters::add(&self.counters.rejects, 1);
                // A refused step of a saga is that saga's business: its unit has heard of it. A
                // fact cannot be refused: the books would lack it.
                let fact = effect.origin == Origin::Event;
                assert!(!fact, "{:?} refused a fact: {code}: {:?}", effect.to, effect.body);
            }
        }
        Ok(())
    }

    fn fetch_one(&mut self, tx: &mut dyn Tx, unit: usize, ns: &mut u64) -> Result<(), Fault> {
        self.reads.clear();
        self.units[unit].missing(&mut self.reads);
        if self.reads.is_empty() {
            return Ok(());
        }
        let mut watch = Stopwatch::start();
        let (unit, reads) = (&mut self.units[unit], &self.reads);
        let mut rows = 0;
        tx.read(reads, &mut |read, row| {
            rows += 1;
            unit.absorb(reads[read].table, row);
        })?;
        unit.absorbed();
        Counters::add(&self.counters.rows_read, rows);
        *ns += watch.lap();
        Ok(())
    }

    /// Rows of the commit, then everything that changed into the plan.
    fn finish(&mut self, now: Time, done: &mut Done) {
        done.jobs.append(&mut self.sink.jobs);
        done.signals.append(&mut self.sink.signals);
        let keyed = self.books.as_ref().is_some_and(Books::has_new);
        let dirty = keyed || !self.sink.events.is_empty();
        if !dirty && !self.units.iter_mut().any(|unit| unit.is_dirty()) {
            return;
        }
        let shard = &self.books().shard;
        let ctx = Ctx { now: shard.clock.max(now), commit: shard.commits, correlation: None };
        for unit in &mut self.units {
            unit.seal(&ctx, &mut self.sink);
        }
        for unit in &mut self.units {
            unit.save(&mut self.plan);
        }
        if let Some(books) = &mut self.books {
            books.save(&self.sink, &mut self.plan);
        }
        self.plan.sort();
    }

    /// Whether commit number `commit` is in the store.
    fn happened(&mut self, store: &mut dyn Store, commit: Option<i64>) -> Result<bool, Fault> {
        let mut tx = store.begin()?;
        self.open(&mut *tx)?;
        Ok(commit == Some(self.books().last_commit()))
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

    /// Keeps item `at` that cannot be processed for an operator, and takes it out of the batch.
    fn set_aside(
        &mut self,
        store: &mut dyn Store,
        mut batch: Vec<Item>,
        (at, error): (usize, &str),
        now: Time,
    ) -> Result<Vec<Item>, (Vec<Item>, Fault)> {
        let envelope = &batch[at].envelope;
        tracing::error!(unit = ?envelope.to, command = ?envelope.body, error, "command set aside");
        let mut fill = |books: &Books, plan: &mut WritePlan| books.poison(envelope, error, plan);
        if let Err(fault) = self.write_books(store, now, &mut fill) {
            return Err((batch, fault));
        }
        Counters::add(&self.counters.poison, 1);
        let Item { envelope, waiter, .. } = batch.remove(at);
        if envelope.origin == Origin::Timer {
            let index = self.unit(envelope.to);
            let key = index.map_or(0, |unit| self.units[unit].resource(&*envelope.body));
            self.quarantine.push((envelope.to, key, Time(now.0 + 60_000_000)));
        }
        self.refuse(waiter.into_iter().collect(), Why::Poison);
        Ok(batch)
    }

    /// A commit of the engine's own rows: what `fill` adds, and the shard row.
    fn write_books(
        &mut self,
        store: &mut dyn Store,
        now: Time,
        fill: &mut dyn FnMut(&Books, &mut WritePlan),
    ) -> Result<(), Fault> {
        self.forget();
        let mut tx = store.begin()?;
        self.open(&mut *tx)?;
        if let Some(books) = &mut self.books {
            books.begin(now);
            fill(books, &mut self.plan);
            books.save(&Sink::default(), &mut self.plan);
        }
        tx.write(&self.plan)?;
        let committing = self.books().shard.commits;
        match tx.commit() {
            Ok(()) => self.books().committed(),
            Err(CommitError::Failed(fault)) => return Err(fault),
            Err(CommitError::Unknown(why)) => {
                self.forget();
                if !self.happened(store, Some(committing))? {
                    return Err(Fault::Transient(why));
                }
            }
        }
        self.plan.clear();
        Ok(())
    }

    /// A fault that is nobody's fault in the batch: it waits, or everything stops.
    fn give_back(&mut self, batch: Vec<Item>, fault: Fault) -> Result<Step, Fault> {
        match fault {
            Fault::Transient(why) => {
                tracing::warn!(why, items = batch.len(), "the store is busy: the batch waits");
                let batch = self.without_timers(batch);
                self.mailbox.put_back(batch);
                Ok(Step::BackOff)
            }
            Fault::Full(why) => {
                tracing::error!(why, "the store is full: no new business until there is room");
                self.mailbox.set_read_only(Some(Why::Full));
                let batch = self.without_timers(batch);
                let (clients, others): (Vec<Item>, Vec<Item>) =
                    batch.into_iter().partition(|item| item.waiter.is_some());
                let waiters = clients.into_iter().filter_map(|item| item.waiter).collect();
                self.refuse(waiters, Why::Full);
                self.mailbox.put_back(others);
                Ok(Step::BackOff)
            }
            fault => self.stop(batch, fault),
        }
    }

    /// Leaves out what due rows stand for: they are due still, and will be found again.
    fn without_timers(&mut self, mut batch: Vec<Item>) -> Vec<Item> {
        let all = batch.len();
        batch.retain(|item| item.envelope.origin != Origin::Timer);
        if batch.len() < all {
            self.next_poll = Time(0);
        }
        batch
    }

    /// Writing stops: everybody who waits is told, and nobody new is let in.
    fn stop(&mut self, batch: Vec<Item>, fault: Fault) -> Result<Step, Fault> {
        tracing::error!(%fault, "writing stops");
        self.mailbox.set_read_only(Some(Why::StoreFailed));
        let mut rest = batch;
        rest.extend(self.unsure.take().into_iter().flat_map(|unsure| unsure.batch));
        loop {
            let waiters = rest.drain(..).filter_map(|item| item.waiter).collect();
            self.refuse(waiters, Why::StoreFailed);
            self.mailbox.take(&mut rest);
            if rest.is_empty() {
                return Err(fault);
            }
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").to_owned()
}
