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
use tokio_postgres::{Error, Row};

use super::{
    Postgres,
    fault::{fault_of, text_of},
    flight::{Ask, Held},
    lease,
    link::{Link, is_over},
};

/// The open store.
#[derive(Debug)]
pub(super) struct Session<'p> {
    config: &'p Postgres,
    link: Option<Link>,
    held: Held,
    epoch: i64,
    /// A transaction is open on the server that nobody wants any more.
    abandoned: bool,
    counters: StoreCounters,
}

impl<'p> Session<'p> {
    pub(super) fn open(config: &'p Postgres, epoch: i64) -> Result<Self, Fault> {
        let held = Held::default();
        let counters = StoreCounters::default();
        let mut session = Self { config, link: None, held, epoch, abandoned: false, counters };
        session.connect()?;
        Ok(session)
    }

    /// Connects, and ends what an owner before this one may have left open: its transaction would hold the
    /// lock until the server notices that nobody is there. What it has committed is waited for.
    fn connect(&mut self) -> Result<(), Fault> {
        self.held = Held::default();
        self.abandoned = false;
        let link = Link::open(&self.config.owner_setup())?;
        let schema = &self.config.setup.schema;
        lease::evict(&link, schema, self.epoch)?;
        if self.config.options.durable {
            lease::settle(&link, schema, self.epoch)?;
        }
        self.link = Some(link);
        Ok(())
    }

    /// One flight. An error in it ends the transaction; one that ends the connection, the connection.
    fn fly(
        &mut self,
        begin: bool,
        asks: &[Ask],
        end: Option<&'static str>,
    ) -> Result<Vec<Vec<Row>>, Broken> {
        let Some(link) = &self.link else {
            return Err(Broken::Before(Fault::Transient("not connected".to_owned())));
        };
        let fence = begin.then(|| lease::fence(&self.config.setup.schema, self.epoch));
        let held = &mut self.held;
        let prepared = link.answer(held.prepare(link.client(), asks));
        let prepared = self.heard(prepared, asks)?;
        let Some(link) = &self.link else { return Ok(Vec::new()) };
        self.counters.round_trips += 1 + u64::from(prepared);
        let answers = link.answer(self.held.fly(link.client(), fence.as_deref(), asks, end));
        let Some(answers) = answers else {
            self.link = None;
            return Err(Broken::Silent(self.silence()));
        };
        self.landed(answers, asks, fence.is_some())
    }

    /// What the preparation of statements said.
    fn heard(
        &mut self,
        prepared: Option<Result<bool, Error>>,
        asks: &[Ask],
    ) -> Result<bool, Broken> {
        match prepared {
            Some(Ok(any)) => Ok(any),
            Some(Err(error)) => {
                if is_over(&error) {
                    self.link = None;
                }
                let what = asks.first().map_or_else(String::new, Ask::what);
                Err(Broken::Before(fault_of(&error, &format!("preparing {what}"))))
            }
            None => {
                self.link = None;
                Err(Broken::Before(Fault::Transient(self.silence())))
            }
        }
    }

    /// The rows of each ask, or the first error of the flight.
    fn landed(
        &mut self,
        answers: Vec<Result<Vec<Row>, Error>>,
        asks: &[Ask],
        begins: bool,
    ) -> Result<Vec<Vec<Row>>, Broken> {
        let mut rows = Vec::with_capacity(asks.len());
        for (at, answer) in answers.into_iter().enumerate() {
            let what = match at.checked_sub(usize::from(begins)) {
                None => "the epoch of this owner".to_owned(),
                Some(at) => asks.get(at).map_or_else(|| "COMMIT".to_owned(), Ask::what),
            };
            rows.push(answer.map_err(|error| self.broken(&error, &what))?);
        }
        rows.drain(..usize::from(begins));
        rows.truncate(asks.len());
        Ok(rows)
    }

    fn broken(&mut self, error: &Error, what: &str) -> Broken {
        if is_over(error) {
            self.link = None;
            return Broken::Silent(format!("{what}: {}", text_of(error)));
        }
        Broken::Before(fault_of(error, what))
    }

    fn silence(&self) -> String {
        format!("no answer in {:?}", self.config.setup.patience)
    }

    fn is_gone(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.client().is_closed())
    }

    fn roll_back(&mut self) {
        let Some(link) = self.link.as_ref().filter(|_| mem::take(&mut self.abandoned)) else {
            return;
        };
        self.counters.round_trips += 1;
        match link.answer(link.client().batch_execute("ROLLBACK")) {
            Some(Ok(())) => {}
            _ => self.link = None,
        }
    }
}

/// Why a flight failed.
enum Broken {
    /// The transaction has not happened.
    Before(Fault),
    /// The connection broke while something was under way.
    Silent(String),
}

impl Broken {
    /// For a flight without a commit.
    fn fault(self) -> Fault {
        match self {
            Self::Before(fault) => fault,
            Self::Silent(why) => Fault::Transient(why),
        }
    }
}

impl Store for Session<'_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        self.config.renew(self.epoch)?;
        self.roll_back();
        if self.is_gone() {
            self.link = None;
            self.connect()?;
        }
        Ok(Box::new(SessionTx { session: self, begun: false, writes: Vec::new() }))
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

/// The open transaction.
struct SessionTx<'s, 'p> {
    session: &'s mut Session<'p>,
    /// Whether the server knows of it.
    begun: bool,
    /// What is still to be sent.
    writes: Vec<Ask>,
}

impl Drop for SessionTx<'_, '_> {
    fn drop(&mut self) {
        self.session.abandoned |= self.begun;
    }
}

impl Tx for SessionTx<'_, '_> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        let mut asks = mem::take(&mut self.writes);
        let written = asks.len();
        asks.extend(Ask::reads(plan, u32::MAX));
        let begin = !mem::replace(&mut self.begun, true);
        let rows = self.session.fly(begin, &asks, None).map_err(Broken::fault)?;
        for (ask, rows) in asks.iter().zip(&rows).skip(written) {
            ask.deliver(rows, each);
        }
        Ok(())
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        self.writes.extend(Ask::writes(plan));
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), CommitError> {
        let writes = mem::take(&mut self.writes);
        let begin = !self.begun;
        if begin && writes.is_empty() {
            return Ok(());
        }
        self.begun = true;
        match self.session.fly(begin, &writes, Some("COMMIT")) {
            Ok(_) => {
                self.begun = false;
                self.session.counters.fsyncs += 1;
                Ok(())
            }
            Err(Broken::Before(fault)) => {
                // The COMMIT of a transaction that failed is its roll-back.
                self.begun = false;
                Err(CommitError::Failed(fault))
            }
            Err(Broken::Silent(why)) => Err(CommitError::Unknown(why)),
        }
    }
}
