//! The contract of a bounded context. Everything here is pure and synchronous: the engine reads
//! the rows that a command wants, calls [`Domain::decide`], and writes the rows that changed.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::envelope::{Correlation, Job, Payload, UnitId};
use crate::time::Time;
use crate::trace::Trace;

/// A refusal with a stable code that API.md documents.
pub trait Coded {
    /// `SCREAMING_SNAKE`, never changed once published.
    fn code(&self) -> &'static str;
}

/// What a domain says to whoever asked, here or in another process.
pub trait Answer:
    std::marker::Send + Debug + Clone + PartialEq + Serialize + DeserializeOwned + 'static
{
}

impl<T> Answer for T where
    T: std::marker::Send + Debug + Clone + PartialEq + Serialize + DeserializeOwned + 'static
{
}

/// What a decision may know besides its rows.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// When the root command was accepted; never goes back within a shard.
    pub now: Time,
    /// The number that the commit under way will have. Only commit-scoped rows may show it.
    pub commit: i64,
    /// The root command's correlation id.
    pub correlation: Correlation,
    /// What follows is a child of this span, if the root command is traced.
    pub trace: Option<Trace>,
}

/// One command for another unit.
#[derive(Debug)]
pub struct Send {
    /// The unit.
    pub to: UnitId,
    /// The aggregate that asks; its unit hears the answer as the outcome of `step`. `None`:
    /// nobody waits for the answer.
    pub reply: Option<(i64, u16)>,
    /// The command.
    pub body: Box<dyn Payload>,
}

/// What a decision wants to happen besides its rows: facts, commands, calls. A reject takes back
/// everything it added.
#[derive(Debug)]
pub struct Out<E> {
    /// Facts, in order.
    pub events: Vec<E>,
    /// Commands to other units, in order.
    pub sends: Vec<Send>,
    /// Calls to the outside, started after the commit.
    pub calls: Vec<Job>,
}

impl<E> Default for Out<E> {
    fn default() -> Self {
        Self { events: Vec::new(), sends: Vec::new(), calls: Vec::new() }
    }
}

impl<E> Out<E> {
    /// States a fact.
    pub fn emit(&mut self, event: E) {
        self.events.push(event);
    }

    /// Asks another unit on behalf of saga `parent`, whose `step` this is.
    pub fn ask(&mut self, to: UnitId, parent: i64, step: u16, body: impl Payload) {
        self.sends.push(Send { to, reply: Some((parent, step)), body: Box::new(body) });
    }

    /// Tells another unit; nobody waits for the answer.
    pub fn tell(&mut self, to: UnitId, body: impl Payload) {
        self.sends.push(Send { to, reply: None, body: Box::new(body) });
    }

    /// Calls the outside after the commit; the answer goes to unit `to`.
    pub fn call(&mut self, to: UnitId, deadline: Time, ctx: &Ctx, body: impl Payload) {
        let (correlation, trace) = (ctx.correlation.clone(), ctx.trace);
        self.calls.push(Job { to, deadline, correlation, trace, body: Box::new(body) });
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.events.clear();
        self.sends.clear();
        self.calls.clear();
    }
}

/// A bounded context.
///
/// The engine promises: a batch equals its commands run one by one in order, and a reject leaves
/// rows and [`Out`] as they were. The domain promises: `decide` looks only at its arguments, and
/// the same command again changes nothing and gives the same reply.
pub trait Domain: 'static {
    /// Its name in routes, metrics and poison records.
    const UNIT: UnitId;
    /// What it can be asked. What is set aside is kept in a binary form, unless it holds a secret.
    type Command: Payload + Serialize + DeserializeOwned;
    /// What it answers; it can travel to another process.
    type Reply: Answer;
    /// Why it refuses; as the reply.
    type Reject: Coded + Answer;
    /// What it states.
    type Event: std::marker::Send + Debug + 'static;
    /// The rows it owns, and its rules if they are configurable.
    type Rows: 'static;

    /// Names the rows that `command` needs with [`Rows::want`](crate::Rows::want). Called twice:
    /// the second time the first rows are there, so that children can be named from parents.
    fn want(command: &Self::Command, rows: &mut Self::Rows);

    /// Decides one command: every check first, then the change.
    fn decide(
        command: &Self::Command,
        ctx: &Ctx,
        rows: &mut Self::Rows,
        out: &mut Out<Self::Event>,
    ) -> Result<Self::Reply, Self::Reject>;

    /// The resource that a command with an idempotency key makes or changes.
    fn resource(command: &Self::Command) -> i64;

    /// Points `command` at the resource of its first run, so that [`Domain::want`] loads it.
    fn adopt(command: &mut Self::Command, resource: i64);

    /// The answer to a command that has been carried out before, from the resource as it is now.
    /// `None` when the resource is gone, which is a finding.
    fn recall(command: &Self::Command, rows: &Self::Rows) -> Option<Self::Reply>;

    /// The command that a due row of table `table` stands for. Only called for tables with a
    /// `next_at` column.
    fn wake(table: &str, key: i64) -> Self::Command;

    /// Adds the rows that belong to the commit and not to a command, such as the ledger's hash
    /// chain. Called once, after the last round.
    fn seal(_ctx: &Ctx, _rows: &mut Self::Rows, _out: &mut Out<Self::Event>) {}
}
