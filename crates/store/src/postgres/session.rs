//! The owner's store: one connection on the owner's thread.
//!
//! ```text
//! flight 1   BEGIN · lock · epoch · reads of the first round
//! flight 2…  reads of the next rounds
//! flight n   all writes · COMMIT
//! ```
//!
//! `begin` and `write` send nothing by themselves: what they have to say leaves with the next read, or
//! with the commit.

use std::mem;

use jangbu_engine::port::{
    CommitError, Each, Fault, ReadPlan, Store, StoreCounters, Tx, WritePlan,
};

use super::{
    Postgres,
    flight::Ask,
    lease,
    link::Link,
    shape::Shapes,
    wire::{Broken, Leg, Wire, WireRow},
};

/// The open store.
#[derive(Debug)]
pub(super) struct Session<'p> {
    config: &'p Postgres,
    wire: Option<Wire>,
    /// The silences before the connection was made.
    silences: u64,
    shapes: Shapes,
    epoch: i64,
    counters: StoreCounters,
}

impl<'p> Session<'p> {
    pub(super) fn open(config: &'p Postgres, epoch: i64) -> Result<Self, Fault> {
        let (shapes, counters) = (Shapes::default(), StoreCounters::default());
        let mut session = Self { config, wire: None, silences: 0, shapes, epoch, counters };
        session.connect()?;
        Ok(session)
    }

    /// Connects, and ends what an owner before this one may have left open: its transaction would hold the
    /// lock until the server notices that nobody is there. What it has committed is waited for.
    fn connect(&mut self) -> Result<(), Fault> {
        self.silences = self.config.shared.silences();
        let link = Link::open(&self.config.owner_setup())?;
        let schema = &self.config.setup.schema;
        lease::evict(&link, schema, self.epoch)?;
        if self.config.options.durable {
            lease::settle(&link, schema, self.epoch)?;
        }
        self.shapes = Shapes::read(&link, schema)?;
        self.wire = Some(Wire::new(link));
        Ok(())
    }

    /// Sees to it that the cell is still ours, and that a connection is there on which nothing is open.
    fn ready(&mut self) -> Result<(), Fault> {
        self.config.renew(self.epoch)?;
        if self.silences != self.config.shared.silences() {
            self.wire = None;
        }
        self.roll_back();
        if self.wire.as_ref().is_none_or(Wire::is_over) {
            self.wire = None;
            self.connect()?;
        }
        Ok(())
    }

    /// One flight. An error in it ends the transaction; one that ends the connection, the connection.
    fn fly(
        &mut self,
        begin: bool,
        asks: &[Ask],
        end: Option<&'static str>,
    ) -> Result<Vec<Vec<WireRow>>, Broken> {
        let Some(wire) = &mut self.wire else {
            return Err(Broken::Silent("not connected".to_owned()));
        };
        let fence =
            if begin { lease::fence(&self.config.setup.schema, self.epoch) } else { Vec::new() };
        let before = fence.len();
        let mut legs = fence;
        legs.extend(asks.iter().map(Leg::Ask));
        legs.extend(end.map(|text| Leg::Plain(text, Vec::new())));
        self.counters.round_trips += 1;
        let silent = |broken: &Broken| matches!(broken, Broken::Silent(_));
        let flown = wire.fly(&legs);
        if flown.as_ref().is_err_and(silent) {
            self.config.shared.fell_silent();
        }
        let mut rows = flown?;
        rows.drain(..before);
        rows.truncate(asks.len());
        Ok(rows)
    }

    /// Ends a transaction that nobody wants any more.
    fn roll_back(&mut self) {
        if self.wire.as_ref().is_some_and(Wire::in_transaction) {
            self.counters.round_trips += 1;
            let rolled =
                self.wire.as_mut().map(|wire| wire.fly(&[Leg::Plain("ROLLBACK", Vec::new())]));
            if !matches!(rolled, Some(Ok(_))) {
                self.wire = None;
            }
        }
    }
}

/// What a flight without a commit has failed with.
fn fault(broken: Broken) -> Fault {
    match broken {
        Broken::Refused { what, why } => why.fault(&what),
        Broken::Silent(why) => Fault::Transient(why),
    }
}

impl Store for Session<'_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        self.ready()?;
        Ok(Box::new(SessionTx { session: self, begun: false, writes: Vec::new() }))
    }

    fn peek(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        self.ready()?;
        let asks = Ask::reads(plan, u32::MAX);
        let rows = self.fly(false, &asks, None).map_err(fault)?;
        asks.iter().zip(&rows).for_each(|(ask, rows)| ask.deliver(rows, each));
        Ok(())
    }

    fn between(&mut self) -> Result<(), Fault> {
        self.roll_back();
        Ok(())
    }

    fn is_far(&self) -> bool {
        true
    }

    fn counters(&self) -> StoreCounters {
        self.counters
    }
}

/// The open transaction. One that is dropped is rolled back before the next.
struct SessionTx<'s, 'p> {
    session: &'s mut Session<'p>,
    /// Whether the server knows of it.
    begun: bool,
    /// What is still to be sent.
    writes: Vec<Ask>,
}

impl Tx for SessionTx<'_, '_> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        let mut asks = mem::take(&mut self.writes);
        let written = asks.len();
        asks.extend(Ask::reads(plan, u32::MAX));
        let begin = !mem::replace(&mut self.begun, true);
        let rows = self.session.fly(begin, &asks, None).map_err(fault)?;
        for (ask, rows) in asks.iter().zip(&rows).skip(written) {
            ask.deliver(rows, each);
        }
        Ok(())
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        self.writes.extend(Ask::writes(plan, &self.session.shapes)?);
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), CommitError> {
        let Self { session, begun, writes } = *self;
        if !begun && writes.is_empty() {
            return Ok(());
        }
        match session.fly(!begun, &writes, Some("COMMIT")) {
            Ok(_) => {
                session.counters.fsyncs += 1;
                Ok(())
            }
            // The server skips a COMMIT after an error, and one that fails is a roll-back.
            Err(Broken::Refused { what, why }) => Err(CommitError::Failed(why.fault(&what))),
            Err(Broken::Silent(why)) => Err(CommitError::Unknown(why)),
        }
    }
}
