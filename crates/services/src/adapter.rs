//! The one adapter between a domain and the loop: erasure, row mapping, routing. A domain's
//! service says which tables it has ([`Stored`](crate::bound::Stored)) and what follows from its answers and events
//! ([`Service`]); everything else is here, once.

use std::any::Any;
use std::fmt::Debug;

use jangbu_engine::port::{By, Fields, Read, Table, WritePlan};
use jangbu_engine::unit::{Hints, Refusal, Sink, Unit, Verdict, When};
use jangbu_kernel::domain::{Coded, Ctx, Domain, Out};
use jangbu_kernel::{Envelope, Origin, Payload, UnitId};
use serde_json::Value;

use crate::bound::{Bound, TableState};

/// What a domain's service adds to the domain.
pub trait Service: Send + 'static {
    /// The domain.
    type Domain: Domain;

    /// The tables whose due rows wake it.
    const TIMERS: &'static [&'static Table] = &[];

    /// Hands each of its tables to `each`, always in the same order.
    fn bind(rows: &mut <Self::Domain as Domain>::Rows, each: &mut dyn FnMut(&mut dyn Bound));

    /// Names commands of other units that will probably follow from `command`, as far as the rows
    /// that are held tell: what they want is read ahead.
    fn ahead(_command: &Asked<Self>, _rows: &<Self::Domain as Domain>::Rows, _hints: &mut Hints) {}

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
    fn describe(command: &Asked<Self>, rows: &<Self::Domain as Domain>::Rows) -> Option<Value>;

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

    fn open(&mut self, reads: &mut Vec<Read>) {
        self.each(|bound, state| {
            let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
            let by = By::Range { from, to, descending: true, limit: 1 };
            reads.push(Read { table: bound.table(), by });
            *state = TableState { high: i64::MIN, high_after: i64::MIN, asked: Vec::new() };
        });
    }

    fn opening(&mut self, at: usize, row: &dyn Fields) {
        let state = &mut self.tables[at];
        (state.high, state.high_after) = (row.int(0), row.int(0));
    }

    fn opened(&mut self) {
        S::opened(&mut self.rows, &|at| self.tables[at].high);
    }

    fn want(&mut self, body: &dyn Payload) {
        S::Domain::want(body.expect_ref(), &mut self.rows);
    }

    fn ahead(&self, body: &dyn Payload, hints: &mut Hints) {
        S::ahead(body.expect_ref(), &self.rows, hints);
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
