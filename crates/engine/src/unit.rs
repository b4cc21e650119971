//! A unit: a domain behind its adapter, erased, so that the loop is compiled once and knows no
//! commerce. `services` has the one implementation.

use std::any::Any;
use std::collections::VecDeque;

use jangbu_kernel::domain::Ctx;
use jangbu_kernel::{Correlation, Envelope, Job, Payload, Time, Trace, UnitId};

use crate::port::{Fields, Read, Table, WritePlan};

/// How a unit decided a command.
#[derive(Debug)]
pub enum Verdict {
    /// Carried out (or recognised as carried out before).
    Done,
    /// Refused: rows and effects are as before.
    Refused(Refusal),
}

/// A domain's refusal: its stable code, and its type for whoever knows it.
#[derive(Debug)]
pub struct Refusal {
    /// `SCREAMING_SNAKE`.
    pub code: &'static str,
    /// The domain's `Reject`.
    pub reject: Box<dyn Any + Send>,
}

/// An event on its way into the outbox; its payload lies in the sink's arena.
#[derive(Debug)]
pub struct Outgoing {
    /// When it happened.
    pub at: Time,
    /// Its topic.
    pub topic: &'static str,
    /// The aggregate's id.
    pub key: i64,
    /// The aggregate's version.
    pub version: i64,
    /// The root command's correlation id.
    pub correlation: Correlation,
    /// What follows from it is a child of this span.
    pub trace: Option<Trace>,
    /// Where the payload lies in [`Sink::bytes`].
    pub payload: std::ops::Range<usize>,
}

/// Something that whoever waits for aggregate `key` wants to hear after the commit.
#[derive(Debug)]
pub struct Signal {
    /// The aggregate.
    pub key: i64,
    /// What happened; the listener knows the type.
    pub body: Box<dyn Any + Send>,
}

/// Where units put what follows from their decisions.
#[derive(Debug, Default)]
pub struct Sink {
    /// Commands that follow, in order.
    pub effects: VecDeque<Envelope>,
    /// Events, in order.
    pub events: Vec<Outgoing>,
    /// Payloads of the events.
    pub bytes: Vec<u8>,
    /// Calls to the outside.
    pub jobs: Vec<Job>,
    /// What waiters hear.
    pub signals: Vec<Signal>,
}

impl Sink {
    /// Publishes an event about version `version` of aggregate `key`; `write` appends its payload.
    pub fn publish(
        &mut self,
        ctx: &Ctx,
        topic: &'static str,
        (key, version): (i64, i64),
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let from = self.bytes.len();
        write(&mut self.bytes);
        let payload = from..self.bytes.len();
        let (at, correlation, trace) = (ctx.now, ctx.correlation.clone(), ctx.trace);
        self.events.push(Outgoing { at, topic, key, version, correlation, trace, payload });
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.effects.clear();
        self.events.clear();
        self.bytes.clear();
        self.jobs.clear();
        self.signals.clear();
    }
}

/// When a unit is asked how a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before the command.
    Before,
    /// After the command and everything that followed from it.
    After,
}

/// Hints of hints of hints are the last that are followed.
const DEPTH: u8 = 3;

/// Commands that will probably follow from another in this cell, so that the rows which they want can
/// be read before they are there. A wrong hint costs a read, a missing one costs a round later;
/// nothing else depends on them. Of a hint only what it wants counts.
#[derive(Debug, Default)]
pub struct Hints {
    queue: Vec<(u8, UnitId, Box<dyn Payload>)>,
    depth: u8,
}

impl Hints {
    /// Unit `to` will probably be asked `body`, or something that wants the same rows.
    pub fn add(&mut self, to: UnitId, body: impl Payload) {
        self.forward(to, Box::new(body));
    }

    /// The same with a command that is erased already.
    pub fn forward(&mut self, to: UnitId, body: Box<dyn Payload>) {
        if self.depth < DEPTH {
            self.queue.push((self.depth + 1, to, body));
        }
    }

    /// The next one; what is added now follows from it.
    pub(crate) fn next(&mut self) -> Option<(UnitId, Box<dyn Payload>)> {
        let next = self.queue.pop();
        self.depth = next.as_ref().map_or(0, |(depth, ..)| *depth);
        next.map(|(_, to, body)| (to, body))
    }
}

/// A domain behind its adapter.
pub trait Unit {
    /// Its name.
    fn id(&self) -> UnitId;

    /// The tables whose due rows wake it.
    fn timers(&self) -> &[&'static Table];

    /// Called once before the first batch, and again after [`Unit::clear`]: adds the reads of what it
    /// must always know, such as the highest key of each table.
    fn open(&mut self, reads: &mut Vec<Read>);

    /// Takes in a row of the read that it has added in place `at`.
    fn opening(&mut self, at: usize, row: &dyn Fields);

    /// Those reads are done.
    fn opened(&mut self);

    /// Names the rows that the command needs.
    fn want(&mut self, body: &dyn Payload);

    /// Names commands that will probably follow from this one, as far as the rows that are held tell.
    /// Asked only when each read is far away.
    fn ahead(&self, _body: &dyn Payload, _hints: &mut Hints) {}

    /// Adds a read for each wanted row that is not held. Nothing added: nothing is missing.
    fn missing(&mut self, reads: &mut Vec<Read>);

    /// Takes in a row of one of its tables.
    fn absorb(&mut self, table: &'static Table, row: &dyn Fields);

    /// The reads are done: what was wanted and not found is known to be absent.
    fn absorbed(&mut self);

    /// Decides a command. A refusal leaves rows and sink as they were.
    fn decide(&mut self, envelope: &Envelope, ctx: &Ctx, sink: &mut Sink) -> Verdict;

    /// The resource that a command makes or changes.
    fn resource(&self, body: &dyn Payload) -> i64;

    /// Points a repeated command at the resource of its first run.
    fn adopt(&self, body: &mut dyn Payload, resource: i64);

    /// The reply to a command, from its resource as it is now.
    fn recall(&self, body: &dyn Payload) -> Option<Box<dyn Any + Send>>;

    /// The name of what a command is about, as the API shows it: for the audit log.
    fn subject(&self, body: &dyn Payload) -> String;

    /// How the resource of an operator's command is, as a short JSON object without secrets; none:
    /// it is not there.
    fn describe(&self, body: &dyn Payload, when: When) -> Option<String>;

    /// A command in a binary form that [`Unit::decode`] reads; none: it holds a secret.
    fn encode(&self, _body: &dyn Payload) -> Option<Vec<u8>> {
        None
    }

    /// The command that [`Unit::encode`] wrote; none: an older version wrote it otherwise.
    fn decode(&self, _bytes: &[u8]) -> Option<Box<dyn Payload>> {
        None
    }

    /// The command that due row `key` of `table` stands for.
    fn wake(&self, table: &'static Table, key: i64) -> Box<dyn Payload>;

    /// Whether a row has changed since the last commit.
    fn is_dirty(&mut self) -> bool;

    /// Adds the rows that belong to the commit.
    fn seal(&mut self, ctx: &Ctx, sink: &mut Sink);

    /// Puts every changed row into the plan.
    fn save(&mut self, plan: &mut WritePlan);

    /// The commit happened.
    fn committed(&mut self);

    /// Nothing held may be trusted any more.
    fn clear(&mut self);
}
