//! Consumers of events: whatever follows the outbox and makes rows of a derived store from it.
//!
//! ```text
//! Source ──next──▶ Runner ──take, finish──▶ rows + place, one commit ──taken──▶ Source
//!                    │ an event that cannot be taken in parks its key (`parking`)
//!                    └ one thread for all consumers of a store (`running`): it has one writer
//! ```
//!
//! | consumer | makes | when it is new |
//! |---|---|---|
//! | 1 `projections` | lists, timelines, entries by account | all events, or the rows that trimmed ones told of |
//! | 2 `bestseller` | units sold by day and SKU | the rows of all orders |
//! | 3 `notification` | what is to be sent to buyers and to hooks | nothing of the past: nobody is told twice |
//!
//! Promises, for every consumer:
//!
//! 1. *Each event has one effect.* That it was taken in is written in the transaction of the rows, by
//!    its number (`inbox`), and what was taken in is passed over: a source may give events twice, or a
//!    whole topic again, and another source may take over at any event.
//! 2. *The order of a key is kept.* A source gives the events of a key in their order; one that cannot
//!    be taken in holds back those behind it, and no other key.
//! 3. *Nothing is lost.* An event is not trimmed before every consumer has taken it in, whichever source
//!    gives it; what is parked is a reference to an event that is not trimmed before it was settled.
//!
//! A fault of the store lets the consumer wait, longer each time. A fault of one event
//! ([`Fault::Transient`] from [`Consumer::take`]) is tried [`TRIES`] times with the same back-off;
//! then, as with [`Fault::Item`] or a panic at once, its key is parked: a dead letter.

mod begin;
mod inbox;
mod log;
mod parked;
mod parking;
mod runner;
mod running;
mod spans;
mod tables;

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Fault, Reader, Store, Tx, WritePlan};
use jangbu_kernel::{Time, Trace};

pub use begin::begin;
pub use log::{Log, Tail};
pub use parked::{Letter, Parked, ParkedKey};
pub use parking::{Settled, Told, Unsettled, Verb};
pub use runner::{OVERDUE, TRIES};
pub use running::{Handle, Member, Running, Terms, Written};
pub use tables::{INBOX, OFFSET, PARKED, PARKED_EVENT, place_id};

/// Every consumer: its number in the tables, and its name. A number is never given away again.
pub const CONSUMERS: &[(i64, &str)] =
    &[(PROJECTIONS, "projections"), (BESTSELLER, "bestseller"), (NOTIFICATION, "notification")];

/// The number of the projections.
pub const PROJECTIONS: i64 = 1;
/// The number of the best-sellers.
pub const BESTSELLER: i64 = 2;
/// The number of the notifications.
pub const NOTIFICATION: i64 = 3;

/// The name of a consumer.
pub fn name(number: i64) -> &'static str {
    let found = CONSUMERS.iter().find(|(known, _)| *known == number);
    found.map_or("unknown", |(_, name)| name)
}

/// The number of a consumer.
pub fn number(name: &str) -> Option<i64> {
    CONSUMERS.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
}

/// An event as a source gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The stream that it was read from: 0 is the embedded log, a partition of a topic is another one
    /// ([`Topic::stream`](crate::events::Topic::stream)).
    pub stream: i32,
    /// Its position there: in the embedded log its number.
    pub offset: i64,
    /// Its number in the outbox: its id, wherever it comes from.
    pub seq: i64,
    /// When it happened.
    pub at: Time,
    /// Its topic.
    pub topic: Cow<'static, str>,
    /// Its aggregate.
    pub key: i64,
    /// The version of that.
    pub version: i64,
    /// What the request was called that caused it.
    pub correlation: Option<String>,
    /// What is done with it is below this span, if the request is traced.
    pub trace: Option<Trace>,
    /// A [`Fact`](crate::events::Fact) in postcard. Empty if nobody here wants the topic.
    pub payload: Vec<u8>,
}

/// Where events come from.
pub trait Source: Send {
    /// The next events behind the places that were last told, each stream in its order; none: there
    /// are none now. Does not wait. Until other places are told it gives the same events again.
    fn next(&mut self, most: u32) -> Result<Arc<[Delivered]>, Fault>;

    /// Up to here (stream and position) everything was taken in. Told of all streams at the beginning,
    /// after a fault and after each commit. That of stream 0 is an event up to which everything is taken in.
    fn taken(&mut self, place: &[(i32, i64)]);

    /// Whether it is the embedded log, which leaves out nothing.
    fn is_log(&self) -> bool {
        false
    }

    /// Nobody asks for some time, for the consumer is at work in another process: lets go of what it
    /// shares with others. The next question is a new beginning.
    fn rest(&mut self) {}
}

/// What a consumer works with at the end of a batch.
pub struct Work<'a> {
    /// Rows of the truth, as they are now.
    pub truth: &'a mut dyn Reader,
    /// The transaction of the batch: it reads what was there before.
    pub tx: &'a mut dyn Tx,
    /// What is written at its end.
    pub plan: &'a mut WritePlan,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("rows", &self.plan.len()).finish_non_exhaustive()
    }
}

/// Takes events into rows of a derived store. Between [`Consumer::load`] and a commit it may hold in
/// memory what it wants; after a fault it is loaded again.
pub trait Consumer: Send {
    /// Its number in [`CONSUMERS`].
    fn number(&self) -> i64;

    /// Whether it makes anything of a topic. The events of others only move its place, and are not
    /// even looked at.
    fn wants(&self, topic: &str) -> bool;

    /// Forgets what it holds in memory, and reads what it needs.
    fn load(&mut self, store: &mut dyn Store) -> Result<(), Fault>;

    /// Takes an event: puts its rows into the plan, or remembers what the batch comes to. Says how
    /// many rows it will be beyond a few.
    fn take(&mut self, event: &Delivered, plan: &mut WritePlan) -> Result<i64, Fault>;

    /// Puts the rest of the rows of a batch into its plan.
    fn finish(&mut self, work: &mut Work<'_>) -> Result<(), Fault>;

    /// Takes in one event after later ones of other keys were. It may write the plan and clear it.
    fn late(&mut self, event: &Delivered, work: &mut Work<'_>) -> Result<(), Fault> {
        self.take(event, work.plan)?;
        self.finish(work)
    }

    /// A slice of what is not kept for ever, between two batches; says whether there may be more.
    fn keep(
        &mut self,
        _store: &mut dyn Store,
        _truth: &mut dyn Reader,
        _clock: &dyn Clock,
    ) -> Result<bool, Fault> {
        Ok(false)
    }
}

/// Commits; where the answer was lost, the place tells when it is read again.
pub(crate) fn commit(tx: Box<dyn Tx + '_>) -> Result<(), Fault> {
    use jangbu_engine::port::CommitError;
    tx.commit().map_err(|error| match error {
        CommitError::Failed(fault) => fault,
        CommitError::Unknown(why) => Fault::Transient(why),
    })
}
