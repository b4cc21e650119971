//! `jangbu prove`: an independent auditor of a data directory, or of a shop on PostgreSQL.
//!
//! It walks every order → reservation → payment → gateway record → ledger entry → event, checks the
//! conservation laws over all of them, and names each breach by rule and exact id. It has its own
//! SQL, id codec and decoder of the gateway's log, and shares no code with what it audits.
//!
//! 1. Read the gateway's log, then begin the one read transaction, then read what the log got since.
//! 2. Check every page of the file (`store.rs`); or copy the snapshot out of PostgreSQL, and look whether it
//!    keeps what its schema promises (`postgres.rs`).
//! 3. Load what is small, or needed by key: catalog, accounts, chain, movements, requests, events.
//! 4. Walk all cases in ascending id (`walk.rs`); each domain checks its part and adds to its sums.
//! 5. Compare the sums with the stored totals.
//!
//! Each domain is one file that begins with the table of its rules. Memory: 200 to 320 bytes per
//! order; rows are streamed.

mod acks;
mod book;
mod catalog;
mod chain;
mod coupon;
mod engine;
mod gateway;
mod hot;
mod ids;
mod inventory;
mod journal;
mod ledger;
mod merchant;
mod operator;
mod order;
mod outbox;
mod payment;
mod point;
mod postgres;
mod psp_log;
mod report;
mod rows;
mod snapshot;
mod store;
mod told;
mod user;
mod walk;
mod watch;

use std::{fmt, path::PathBuf, time::Instant};

use crate::{
    acks::Acks,
    book::{Book, rules},
    catalog::Catalog,
    coupon::Coupons,
    engine::{Asks, Shard},
    inventory::Laws,
    ledger::Ledger,
    merchant::Merchants,
    outbox::Outbox,
    point::Points,
    psp_log::Log,
    rows::Source,
    snapshot::Snapshot,
    walk::{Cursor, Sorted, Sums, World},
    watch::Watch,
};
pub use crate::{
    book::{Class, Finding, Rule},
    operator::OPERATIONS,
    report::{Conditions, InFlight, Report},
    watch::Progress,
};

rules! {
    PRODUCT_EVENT = "event.product", Mismatched, "The product of every product event exists.";
    CATEGORY_EVENT = "event.category", Mismatched, "The category of every category event exists.";
}

/// Where the books are.
#[derive(Default, Clone, PartialEq, Eq)]
pub enum Store {
    /// In `jangbu.db` of the data directory.
    #[default]
    Directory,
    /// In a schema of a PostgreSQL database.
    Postgres {
        /// `postgres://user@host:port/database`. It may hold a password and is never shown.
        url: String,
        /// The schema of the truth.
        schema: String,
    },
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("Directory"),
            Self::Postgres { url: _, schema } => write!(f, "Postgres({schema})"),
        }
    }
}

/// A step of the schema that the program knows, to be compared with those of a PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// 1, 2, 3, …
    pub version: i64,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
}

/// What to prove.
#[derive(Default)]
pub struct Options {
    /// The data directory: the database, unless it is elsewhere, the gateway's log and the names of keys.
    pub data: PathBuf,
    /// Where the books are.
    pub store: Store,
    /// The steps that a PostgreSQL schema must have; empty: they are only counted.
    pub steps: Vec<Step>,
    /// A journal of acknowledgements to compare with.
    pub acks: Option<PathBuf>,
    /// Who wants to hear of progress.
    pub progress: Option<Box<dyn Fn(Progress) + Send>>,
    /// Whether a server may be writing meanwhile.
    pub live: bool,
    /// The gateway's log, if it is not `psp.log` in the data directory.
    pub psp_log: Option<PathBuf>,
}

impl Options {
    /// Proves a stopped directory, without acknowledgements.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// Where the gateway's log should be.
    pub fn log(&self) -> PathBuf {
        self.psp_log.clone().unwrap_or_else(|| self.data.join("psp.log"))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, store, steps: _, acks, progress: _, live, psp_log } = self;
        f.debug_struct("Options")
            .field("data", data)
            .field("store", store)
            .field("acks", acks)
            .field("live", live)
            .field("psp_log", psp_log)
            .finish_non_exhaustive()
    }
}

/// Why a proof could not be made. It says nothing about the books.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no database.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// The file is damaged so badly that it cannot even be checked.
    #[error("the database is damaged ({0}); {remedy}", remedy = store::REMEDY)]
    Damaged(rusqlite::Error),
    /// SQLite refused.
    #[error("the database cannot be read: {0}")]
    Sqlite(rusqlite::Error),
    /// A file could not be read.
    #[error("{file} cannot be read")]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was written by an older version.
    #[error("the database at {0} is of an older version; start the server once, then prove")]
    Old(PathBuf),
    /// PostgreSQL refused, or could not be reached.
    #[error("PostgreSQL: {doing}: {source}")]
    Postgres {
        /// What was to be done.
        doing: String,
        /// What came of it.
        source: tokio_postgres::Error,
    },
    /// There are no books in that schema.
    #[error("there is no shop in the schema {0} of that database")]
    NoShop(String),
    /// The schema was made by an older version.
    #[error("the schema {0} is of an older version; start the server once, then prove")]
    Older(String),
    /// PostgreSQL sent something that is no copy of a table.
    #[error("the copy of the table {table} cannot be read: {why}")]
    Garbled {
        /// The table.
        table: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The gateway's log has another header.
    #[error("{0} is not a gateway log of version 1")]
    NotALog(PathBuf),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// Every rule, by domain.
pub fn rules() -> impl Iterator<Item = Rule> {
    let lists = [
        store::RULES,
        hot::RULES,
        postgres::RULES,
        engine::RULES,
        operator::RULES,
        user::RULES,
        outbox::RULES,
        told::RULES,
        RULES,
        merchant::RULES,
        catalog::RULES,
        catalog::shape::RULES,
        inventory::RULES,
        coupon::RULES,
        order::RULES,
        payment::RULES,
        point::RULES,
        ledger::RULES,
        chain::RULES,
        journal::RULES,
        psp_log::RULES,
        gateway::RULES,
        acks::RULES,
    ];
    lists.into_iter().flatten().copied()
}

/// Proves the books of a data directory, or of a PostgreSQL schema beside one.
///
/// An error means that no proof was made; a report that is not [`Report::clean`] names what is wrong.
pub fn prove(options: &Options) -> Result<Report, Error> {
    let started = Instant::now();
    let file = options.data.join("jangbu.db");
    let psp_log = options.log();
    let watch = Watch::new(&file, options.progress.as_deref());
    let mut audit = Audit::default();
    audit.conditions.live = options.live;
    let log = Log::before(&psp_log, &watch)?;
    let snapshot = Snapshot::take(&options.store, &file)?;
    let log = log.after(&psp_log, &watch, &mut audit.book)?;
    if let Some(db) = snapshot.readable(&options.steps, &watch, &mut audit.book)? {
        audit.walk(Source { db: &db, watch: &watch }, &log, options)?;
    }
    audit.conditions.seconds = started.elapsed().as_secs_f64();
    audit.conditions.wal_growth_bytes = watch.growth();
    Ok(audit.report())
}

/// A proof on its way.
#[derive(Debug, Default)]
struct Audit {
    book: Book,
    conditions: Conditions,
    in_flight: InFlight,
}

impl Audit {
    fn walk(&mut self, from: Source<'_>, log: &Log, options: &Options) -> Result<(), Error> {
        let Self { book, conditions, in_flight } = self;
        let shard = Shard::load(from, book)?;
        let merchants = Merchants::load(from, book)?;
        let catalog = Catalog::load(from, book, in_flight)?;
        let mut laws = Laws::load(from, book)?;
        let mut ledger = Ledger::load(from, book)?;
        let mut points = Points::load(from, book)?;
        let coupons = Coupons::load(from, &shard, book)?;
        let asks = Asks::load(from, &shard, book)?;
        let outbox = Outbox::load(from, &shard, book)?;
        let acks = Acks::load(options.acks.as_deref(), from.watch, book)?;
        shard.check(&outbox, &asks, &ledger.chain, book);
        coupons.events(&outbox, book);
        outbox.told.check_stock(from, book)?;
        points.told(&outbox.told, book);
        user::check(from, shard.clock, &user::keys(&options.data), book)?;
        in_flight.poison = operator::check(from, shard.clock, book)?;
        for &key in outbox.products.iter().filter(|key| !catalog.has_product(**key)) {
            let detail = "changed by an event, and absent".to_owned();
            book.find(PRODUCT_EVENT, ids::show("prd", key), detail);
        }
        for &key in outbox.categories.iter().filter(|key| !catalog.has_category(**key)) {
            let detail = "changed by an event, and absent".to_owned();
            book.find(CATEGORY_EVENT, ids::show("cat", key), detail);
        }
        *conditions = Conditions {
            watermark: shard.commits,
            clock_us: shard.clock,
            events: outbox.count,
            requests: u64::try_from(asks.asks.len()).unwrap_or(0),
            psp_records: u64::try_from(log.records.len()).unwrap_or(0),
            psp_torn_bytes: log.torn,
            acks: acks.count,
            walked: true,
            ..std::mem::take(conditions)
        };
        let mut sorted = Sorted {
            psp: Cursor::new(&log.records, |record| record.payment),
            events: Cursor::new(&outbox.events, |event| event.key),
            asks: Cursor::new(&asks.asks, |ask| ask.resource),
            acks: Cursor::new(&acks.acks, |ack| ack.order),
        };
        let world = World {
            clock: shard.clock,
            catalog: &catalog,
            merchants: &merchants,
            coupons: &coupons,
            head: outbox.head,
        };
        let mut given = Vec::new();
        let mut sums = Sums {
            laws: &mut laws,
            ledger: &mut ledger,
            points: &mut points,
            conditions,
            in_flight,
            given: &mut given,
        };
        walk::walk(from, &mut sorted, &world, &mut sums, book)?;
        engine::refunds(&asks, given, book);
        laws.close(from, &catalog, book)?;
        ledger.close(book);
        points.close(book);
        Ok(())
    }

    fn report(self) -> Report {
        let Book { findings, lost, doubled, mismatched } = self.book;
        let Self { conditions, in_flight, .. } = self;
        Report { conditions, lost, doubled, mismatched, in_flight, findings }
    }
}
