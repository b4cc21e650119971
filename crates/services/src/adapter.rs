//! The one adapter between a domain and the loop: erasure, row mapping, routing. A domain's
//! service says which tables it has ([`Stored`]) and what follows from its answers and events
//! ([`Service`]); everything else is here, once.

use std::any::Any;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_domain::ledger::EntryKey;
use jangbu_domain::ledger::model::AccountId;
use jangbu_engine::port::{By, Fault, Fields, Key, Mode, Read, RowWriter, Table, WritePlan};
use jangbu_engine::unit::{ReadFn, Refusal, Sink, Unit, Verdict, When};
use jangbu_kernel::domain::{Coded, Ctx, Domain, Out};
use jangbu_kernel::id::{JournalId, MovementId};
use jangbu_kernel::{
    Appends, Envelope, OrderId, Origin, Payload, PaymentId, ProductId, RowSet, Rows, SkuId, UnitId,
};
use serde_json::Value;

/// A key as the port knows it.
pub trait Keyed: Copy + Eq + Hash + Debug + 'static {
    /// Its parts.
    fn parts(self) -> Key;
    /// From its parts.
    fn from_parts(key: Key) -> Self;
}

macro_rules! keyed {
    ($($id:ty),+) => {$(
        impl Keyed for $id {
            fn parts(self) -> Key {
                [i64::from(self), 0, 0]
            }
            fn from_parts(key: Key) -> Self {
                Self::from(key[0])
            }
        }
    )+};
}

keyed!(i64, OrderId, PaymentId, ProductId, SkuId, MovementId, JournalId, AccountId);

impl Keyed for EntryKey {
    fn parts(self) -> Key {
        [self.source, self.seq, self.leg]
    }

    fn from_parts([source, seq, leg]: Key) -> Self {
        Self { source, seq, leg }
    }
}

/// A row type with its table.
pub trait Stored: Clone + Debug + 'static {
    /// Its key.
    type Key: Keyed;
    /// Where it is stored.
    const TABLE: &'static Table;
    /// Clean rows above this number are dropped from memory.
    const KEEP: usize;
    /// From a row of the store; columns are counted from the first key column.
    fn read(row: &dyn Fields) -> Self;
    /// The values after the key, in the table's order.
    fn write(&self, to: &mut RowWriter<'_>);
}

/// What the adapter knows of a table besides its rows.
#[derive(Debug, Default)]
pub struct TableState {
    /// Keys whose read is under way.
    asked: Vec<Key>,
    /// First part of the highest key in the store. The cell is the only writer, so a higher one
    /// is known to be absent without a read: most orders are new.
    high: i64,
    high_after: i64,
}

/// The rows of a table, whatever their types.
pub trait Bound: RowSet {
    /// Their table.
    fn table(&self) -> &'static Table;
    /// Adds a read for what is wanted and neither held nor known to be absent.
    fn missing(&mut self, state: &mut TableState, reads: &mut Vec<Read>);
    /// Takes in a row.
    fn absorb(&mut self, row: &dyn Fields);
    /// What was asked and not found is absent.
    fn absorbed(&mut self, state: &mut TableState);
    /// Whether a row has changed.
    fn is_dirty(&self) -> bool;
    /// Puts the changed rows into the plan.
    fn save(&self, state: &mut TableState, plan: &mut WritePlan);
    /// Drops what has not been used for long, if there is too much.
    fn trim(&mut self);
}

impl<R: Stored> Bound for Rows<R::Key, R> {
    fn table(&self) -> &'static Table {
        R::TABLE
    }

    fn missing(&mut self, state: &mut TableState, reads: &mut Vec<Read>) {
        let mut keys = Vec::new();
        for key in self.take_wanted() {
            let parts = key.parts();
            if parts[0] > state.high {
                self.load(key, None);
            } else {
                keys.push(parts);
            }
        }
        if !keys.is_empty() {
            state.asked.extend_from_slice(&keys);
            reads.push(Read { table: R::TABLE, by: By::Keys(keys) });
        }
    }

    fn absorb(&mut self, row: &dyn Fields) {
        let width = R::TABLE.key.len();
        let mut key = [0; 3];
        for (at, part) in key.iter_mut().enumerate().take(width) {
            *part = row.int(at);
        }
        let version = if R::TABLE.versioned { row.int(R::TABLE.width() - 1) } else { 1 };
        self.load(R::Key::from_parts(key), Some((R::read(row), version)));
    }

    fn absorbed(&mut self, state: &mut TableState) {
        for key in state.asked.drain(..) {
            let key = R::Key::from_parts(key);
            if !self.holds(key) {
                self.load(key, None);
            }
        }
    }

    fn is_dirty(&self) -> bool {
        self.changed().next().is_some()
    }

    fn save(&self, state: &mut TableState, plan: &mut WritePlan) {
        state.high_after = state.high;
        for dirty in self.changed() {
            let key = dirty.key.parts();
            let mode = match dirty.stored {
                0 => Mode::Insert,
                version => Mode::Update { version },
            };
            state.high_after = state.high_after.max(key[0]);
            let mut to = plan.row(R::TABLE, mode);
            for part in &key[..R::TABLE.key.len()] {
                to.int(*part);
            }
            dirty.row.write(&mut to);
            if R::TABLE.versioned {
                to.int(dirty.version);
            }
        }
    }

    fn trim(&mut self) {
        if self.held() > 2 * R::KEEP + 1_024 {
            self.evict(R::KEEP);
        }
    }
}

/// The list shares its table with the rows that can be looked up: it never reads.
impl<R: Stored> Bound for Appends<R::Key, R> {
    fn table(&self) -> &'static Table {
        R::TABLE
    }

    fn missing(&mut self, _state: &mut TableState, _reads: &mut Vec<Read>) {}

    fn absorb(&mut self, _row: &dyn Fields) {}

    fn absorbed(&mut self, _state: &mut TableState) {}

    fn is_dirty(&self) -> bool {
        !self.added().is_empty()
    }

    fn save(&self, state: &mut TableState, plan: &mut WritePlan) {
        state.high_after = state.high;
        for (key, row) in self.added() {
            let mut to = plan.row(R::TABLE, Mode::Insert);
            for part in &key.parts()[..R::TABLE.key.len()] {
                to.int(*part);
            }
            row.write(&mut to);
        }
    }

    fn trim(&mut self) {}
}

/// What a domain's service adds to the domain.
pub trait Service: Send + 'static {
    /// The domain.
    type Domain: Domain;

    /// The tables whose due rows wake it.
    const TIMERS: &'static [&'static Table] = &[];

    /// Hands each of its tables to `each`, always in the same order.
    fn bind(rows: &mut <Self::Domain as Domain>::Rows, each: &mut dyn FnMut(&mut dyn Bound));

    /// The command that tells saga `parent` the answer to its `step`.
    fn answered(
        _parent: i64,
        _step: u16,
        _answer: Result<&Reply<Self>, &Reject<Self>>,
    ) -> Option<Envelope> {
        None
    }

    /// Publishes an event and routes it to the units that act on it.
    fn follow(
        event: Event<Self>,
        rows: &<Self::Domain as Domain>::Rows,
        ctx: &Ctx,
        sink: &mut Sink,
    );

    /// The name of what `command` is about, as the API shows it: for the audit log.
    fn subject(command: &Asked<Self>) -> String {
        Self::Domain::resource(command).to_string()
    }

    /// How that is now, for the audit log: a short object without secrets; none: it is not there.
    fn describe(_command: &Asked<Self>, _rows: &<Self::Domain as Domain>::Rows) -> Option<Value> {
        None
    }

    /// The store was opened; `highest(i)` is the first part of the highest key of table `i`.
    fn opened(_rows: &mut <Self::Domain as Domain>::Rows, _highest: &dyn Fn(usize) -> i64) {}
}

type Asked<S> = <<S as Service>::Domain as Domain>::Command;
type Reply<S> = <<S as Service>::Domain as Domain>::Reply;
type Reject<S> = <<S as Service>::Domain as Domain>::Reject;
type Event<S> = <<S as Service>::Domain as Domain>::Event;

/// A domain with its rows, as the loop sees it.
pub struct DomainUnit<S: Service> {
    rows: <S::Domain as Domain>::Rows,
    tables: Vec<TableState>,
    out: Out<Event<S>>,
}

impl<S: Service> Debug for DomainUnit<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DomainUnit").field(&S::Domain::UNIT).finish()
    }
}

impl<S: Service> DomainUnit<S> {
    /// A unit without rows yet.
    pub fn new(mut rows: <S::Domain as Domain>::Rows) -> Self {
        let mut tables = Vec::new();
        S::bind(&mut rows, &mut |_| tables.push(TableState::default()));
        Self { rows, tables, out: Out::default() }
    }

    fn each(&mut self, mut f: impl FnMut(&mut dyn Bound, &mut TableState)) {
        let mut states = self.tables.iter_mut();
        S::bind(&mut self.rows, &mut |bound| {
            if let Some(state) = states.next() {
                f(bound, state);
            }
        });
    }

    fn bound(&mut self, mut f: impl FnMut(&mut dyn Bound)) {
        S::bind(&mut self.rows, &mut f);
    }

    fn effects(&mut self, ctx: &Ctx, sink: &mut Sink) {
        for event in self.out.events.drain(..) {
            S::follow(event, &self.rows, ctx, sink);
        }
        for send in self.out.sends.drain(..) {
            let origin = match send.reply {
                Some((parent, step)) => Origin::Saga { parent, step },
                None => Origin::Event,
            };
            let mut envelope = Envelope::new(send.to, origin, ());
            envelope.body = send.body;
            sink.effects.push_back(envelope);
        }
        sink.jobs.append(&mut self.out.calls);
    }
}

impl<S: Service> Unit for DomainUnit<S> {
    fn id(&self) -> UnitId {
        S::Domain::UNIT
    }

    fn timers(&self) -> &[&'static Table] {
        S::TIMERS
    }

    fn open(&mut self, read: &mut ReadFn<'_>) -> Result<(), Fault> {
        let mut reads = Vec::new();
        self.each(|bound, _| {
            let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
            let by = By::Range { from, to, descending: true, limit: 1 };
            reads.push(Read { table: bound.table(), by });
        });
        let mut highest = vec![i64::MIN; reads.len()];
        read(&reads, &mut |at, row| highest[at] = row.int(0))?;
        for (state, high) in self.tables.iter_mut().zip(&highest) {
            *state = TableState { high: *high, high_after: *high, asked: Vec::new() };
        }
        S::opened(&mut self.rows, &|at| highest[at]);
        Ok(())
    }

    fn want(&mut self, body: &dyn Payload) {
        S::Domain::want(body.expect_ref(), &mut self.rows);
    }

    fn missing(&mut self, reads: &mut Vec<Read>) {
        self.each(|bound, state| bound.missing(state, reads));
    }

    fn absorb(&mut self, table: &'static Table, row: &dyn Fields) {
        let mut taken = false;
        self.bound(|bound| {
            if std::ptr::eq(bound.table(), table) {
                bound.absorb(row);
                taken = true;
            }
        });
        // A row that nobody takes in would be mistaken for one that is not there.
        assert!(taken, "{:?} has no table {}", S::Domain::UNIT, table.name);
    }

    fn absorbed(&mut self) {
        self.each(|bound, state| bound.absorbed(state));
    }

    fn decide(&mut self, envelope: &Envelope, ctx: &Ctx, sink: &mut Sink) -> Verdict {
        self.bound(|bound| bound.mark());
        let command = envelope.body.expect_ref();
        let answer = S::Domain::decide(command, ctx, &mut self.rows, &mut self.out);
        if answer.is_ok() {
            self.effects(ctx, sink);
        } else {
            self.bound(|bound| bound.rollback());
            self.out.clear();
        }
        if let Origin::Saga { parent, step } = envelope.origin {
            sink.effects.extend(S::answered(parent, step, answer.as_ref()));
        }
        match answer {
            Ok(_) => Verdict::Done,
            Err(reject) => {
                Verdict::Refused(Refusal { code: reject.code(), reject: Box::new(reject) })
            }
        }
    }

    fn resource(&self, body: &dyn Payload) -> i64 {
        S::Domain::resource(body.expect_ref())
    }

    fn adopt(&self, body: &mut dyn Payload, resource: i64) {
        S::Domain::adopt(body.expect_mut(), resource);
    }

    fn recall(&self, body: &dyn Payload) -> Option<Box<dyn Any + Send>> {
        let reply = S::Domain::recall(body.expect_ref(), &self.rows)?;
        Some(Box::new(reply))
    }

    fn encode(&self, body: &dyn Payload) -> Option<Vec<u8>> {
        // What is set aside may be of any type: that may be why it is set aside.
        let body: &dyn Any = body;
        postcard::to_stdvec(body.downcast_ref::<Asked<S>>()?).ok()
    }

    fn decode(&self, bytes: &[u8]) -> Option<Box<dyn Payload>> {
        let command: Asked<S> = postcard::from_bytes(bytes).ok()?;
        Some(Box::new(command))
    }

    fn subject(&self, body: &dyn Payload) -> String {
        S::subject(body.expect_ref())
    }

    fn describe(&self, body: &dyn Payload, _when: When) -> Option<String> {
        S::describe(body.expect_ref(), &self.rows).map(|state| state.to_string())
    }

    fn wake(&self, table: &'static Table, key: i64) -> Box<dyn Payload> {
        Box::new(S::Domain::wake(table.name, key))
    }

    fn is_dirty(&mut self) -> bool {
        let mut dirty = false;
        self.bound(|bound| dirty |= bound.is_dirty());
        dirty
    }

    fn seal(&mut self, ctx: &Ctx, sink: &mut Sink) {
        self.bound(|bound| bound.mark());
        S::Domain::seal(ctx, &mut self.rows, &mut self.out);
        self.effects(ctx, sink);
    }

    fn save(&mut self, plan: &mut WritePlan) {
        self.each(|bound, state| bound.save(state, plan));
    }

    fn committed(&mut self) {
        self.each(|bound, state| {
            bound.settle();
            bound.trim();
            state.high = state.high_after;
        });
    }

    fn clear(&mut self) {
        self.bound(|bound| bound.clear());
        self.out.clear();
    }
}
