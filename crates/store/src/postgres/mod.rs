//! PostgreSQL behind the port: the same tables, the same rows, for a shop that has outgrown a file.
//!
//! | part | what it does |
//! |---|---|
//! | `session` | the owner's store: one connection on the owner's thread, a constant number of flights for each batch |
//! | `flight` · `text` · `param` · `shape` · `row` | statements that leave together, made from a table's const description; how values travel |
//! | `lease` | who owns the cell: lease, epoch, and the fence that keeps a stale owner from writing |
//! | `reader` | more connections, read-only, each call in one snapshot |
//! | `replica` · `sight` | hot standbys for reads that can bear a delay, and what is known of each |
//! | `migrate` · `translate` | the schema, step by step, from the one text that SQLite has too |
//! | `bulk` · `moving` | whole tables in and out by COPY; what a move of a shop needs besides |
//! | `link` · `socket` · `wire` · `fault` | a connection, how a flight travels on the owner's, and what an error means |
//!
//! *Invariants.* 1. One writer: every transaction takes a lock and compares the epoch before it reads, and an
//! update that finds another version fails. 2. A commit is reported as failed only when it surely did not
//! happen. 3. The number of flights of a batch does not depend on its size. 4. Nothing waits for ever: connections,
//! answers, locks and idle transactions have time-outs.
//!
//! Connections keep settings, prepared statements and locks: a `PgBouncer` between them must be in session mode.

pub mod bulk;
pub mod moving;

mod fault;
mod flight;
mod lease;
mod link;
mod migrate;
mod param;
mod reader;
mod replica;
mod row;
mod session;
mod shape;
mod sight;
mod socket;
mod text;
mod translate;
mod wire;

use std::{
    str::FromStr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jangbu_engine::port::{Backend, Fault, Reader, Replica, Store, Table, Tenure};
use parking_lot::Mutex;
use tokio_postgres::{Config, config::SslMode};

pub use self::link::Link;
use self::{
    link::{Hosts, Setup},
    reader::{Io, PgReader},
    session::Session,
};
use crate::{
    dump::{Dump, dump},
    migration::Migration,
};

/// Connections of a process for reading: a server has 100 for all.
const READERS: usize = 12;

/// How long the answer to a claim is waited for: the question is short, whatever the owner's own are.
const CLAIM: Duration = Duration::from_secs(5);

/// How a database is used.
#[derive(Clone, Copy, Debug)]
pub struct PostgresOptions {
    /// Whether a commit waits until it is durable. Not for what can be rebuilt.
    pub durable: bool,
    /// How long the cell stays this process's without a sign of it.
    pub lease: Duration,
    /// How long the owner waits for an answer before it gives its connection up and makes another one.
    pub patience: Duration,
}

/// How long an answer is waited for, unless the options say something else.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { durable: true, lease: Duration::from_secs(5), patience: PATIENCE }
    }
}

/// A schema of a PostgreSQL database. Clones are the same owner.
#[derive(Clone, Debug)]
pub struct Postgres {
    setup: Setup,
    tables: Vec<&'static Table>,
    migrations: Vec<Migration>,
    options: PostgresOptions,
    /// What this process is called among owners.
    holder: Arc<str>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    io: OnceLock<Arc<Io>>,
    claims: Mutex<Claims>,
    /// How often a connection of ours fell silent. What one has waited for in vain the other one need not
    /// wait for, too: both are made anew.
    silences: AtomicU64,
}

impl Shared {
    fn silences(&self) -> u64 {
        self.silences.load(Ordering::Relaxed)
    }

    fn fell_silent(&self) {
        self.silences.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is known of the lease.
#[derive(Debug, Default)]
struct Claims {
    /// The connection, and the silences before it.
    link: Option<(Link, u64)>,
    address: String,
    /// The epoch, if the cell is ours, and when the lease was last renewed.
    held: Option<(i64, Instant)>,
}

impl Postgres {
    /// The schema `schema` of the database at `url` (`postgres://user@host:port/database`, several hosts
    /// separated by commas), made by `migrations` with at least `tables`.
    pub fn new(
        url: &str,
        schema: &str,
        tables: &[&'static Table],
        migrations: &[Migration],
    ) -> Result<Self, Fault> {
        let setup = setup("store.url", url, schema)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|e| Fault::Fatal(format!("no random number: {e}")))?;
        let id = u128::from_be_bytes(id);
        let holder = format!("{id:032x}/{id:032x}");
        Ok(Self {
            setup,
            tables: tables.to_vec(),
            migrations: migrations.to_vec(),
            options: PostgresOptions::default(),
            holder: holder.into(),
            shared: Arc::default(),
        })
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(mut self, options: PostgresOptions) -> Self {
        self.setup.durable = options.durable;
        self.setup.patience = options.patience;
        Self { options, ..self }
    }

    /// The same, called `name` among owners. Two processes must never have one name at a time, as those that
    /// lock a data directory: then who comes back under its name need not wait for its old lease.
    #[must_use]
    pub fn known_as(self, name: &str) -> Self {
        let own = self.holder.rsplit('/').next().unwrap_or_default();
        Self { holder: format!("{name}/{own}").into(), ..self }
    }

    /// Every committed row of its tables.
    pub fn dump(&self) -> Result<Dump, Fault> {
        dump(&mut *self.reader()?, &self.tables)
    }

    /// Refuses a schema that is not the one of this program.
    pub fn check(&self) -> Result<(), Fault> {
        migrate::check(&Link::open(&self.setup)?, &self.migrations)
    }

    /// Removes the schema with everything in it: for what can be made anew.
    pub fn remove(&self) -> Result<(), Fault> {
        let link = Link::open(&self.setup)?;
        let sql = format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.setup.schema);
        *self.shared.claims.lock() = Claims::default();
        link.execute(&sql, "removing the schema")
    }

    /// The hot standbys of its server at `urls`, for reads that may be at most `most` behind; they show this schema,
    /// and what `derived` has. From now on they are looked at, whether anybody reads or not.
    pub fn replicas(
        &self,
        derived: &Self,
        urls: &[String],
        most: Duration,
    ) -> Result<Vec<Arc<dyn Replica>>, Fault> {
        if urls.is_empty() {
            return Ok(Vec::new());
        }
        let named = |url: &String| {
            let of = |schema: &str| setup("store.replicas", url, schema);
            Ok([of(&self.setup.schema)?, of(&derived.setup.schema)?])
        };
        let setups = urls.iter().map(named).collect::<Result<Vec<_>, Fault>>()?;
        Ok(replica::follow(&self.io()?, &self.setup, setups, most))
    }

    /// The thread of the readers' I/O.
    fn io(&self) -> Result<Arc<Io>, Fault> {
        if self.shared.io.get().is_none() {
            // Of two threads that come first, one has started it in vain.
            drop(self.shared.io.set(Arc::new(Io::start()?)));
        }
        let io = self.shared.io.get().map(Arc::clone);
        io.ok_or_else(|| Fault::Fatal("no thread for readers".to_owned()))
    }

    fn owner_setup(&self) -> Setup {
        Setup { name: lease::owner_name(&self.setup.schema), ..self.setup.clone() }
    }

    /// Renews the lease when a third of it has passed; the epoch that is ours.
    fn renew(&self, epoch: i64) -> Result<(), Fault> {
        let mut claims = self.shared.claims.lock();
        let third = self.options.lease / 3;
        if claims.held.is_some_and(|(held, at)| held == epoch && at.elapsed() < third) {
            return Ok(());
        }
        let address = std::mem::take(&mut claims.address);
        match self.claim_with(&mut claims, &address)? {
            Tenure::Mine { epoch: now } if now == epoch => Ok(()),
            _ => Err(Fault::LostEpoch("another process owns the cell now".to_owned())),
        }
    }

    /// Claims the cell, and waits for the end of a lease whose owner has perhaps died.
    fn wait(&self) -> Result<i64, Fault> {
        let begun = Instant::now();
        loop {
            let left = match self.claim("")? {
                Tenure::Mine { epoch } => return Ok(epoch),
                Tenure::Theirs { left, .. } => left,
            };
            if begun.elapsed() > 2 * self.options.lease {
                let text = format!("another process owns {}, and goes on", self.setup.schema);
                return Err(Fault::Transient(text));
            }
            thread::sleep(left.min(Duration::from_millis(200)));
        }
    }

    /// A connection for the lease, to a schema that may be served and has the table of owners.
    fn found(&self) -> Result<Link, Fault> {
        let patience = self.setup.patience.min(CLAIM);
        let link = Link::open(&Setup { patience, ..self.setup.clone() })?;
        moving::check(&link, &self.setup.schema)?;
        migrate::found(&link, &self.setup.schema)?;
        Ok(link)
    }

    fn claim_with(&self, claims: &mut Claims, address: &str) -> Result<Tenure, Fault> {
        address.clone_into(&mut claims.address);
        let silences = self.shared.silences();
        let usable =
            |(link, before): &(Link, u64)| *before == silences && !link.client().is_closed();
        let link = claims.link.take().filter(usable);
        let (link, before) = link.map_or_else(|| Ok((self.found()?, silences)), Ok)?;
        // The lease runs from before the question: the server's clock began it later.
        let asked = Instant::now();
        // A link that fails is not put back: it may be half-open.
        let tenure = lease::claim(&link, &self.holder, address, self.options.lease)
            .inspect_err(|_| self.shared.fell_silent())?;
        claims.link = Some((link, before));
        claims.held = match &tenure {
            Tenure::Mine { epoch } => Some((*epoch, asked)),
            Tenure::Theirs { .. } => None,
        };
        Ok(tenure)
    }
}

/// How the server that setting `name` means is reached.
fn setup(name: &str, url: &str, schema: &str) -> Result<Setup, Fault> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if schema.is_empty() || schema.len() > 40 || !schema.chars().all(plain) {
        let rule = "must be 1 to 40 of a-z, 0-9 and _";
        return Err(Fault::Fatal(format!("the schema {schema:?} {rule}: set store.schema")));
    }
    let config = Config::from_str(url).map_err(|error| {
        Fault::Fatal(format!("{name} is not postgres://user@host:port/database: {error}"))
    })?;
    if config.get_ssl_mode() == SslMode::Require {
        let why = "asks for TLS, which this program does not speak";
        return Err(Fault::Fatal(format!("{name} {why}: use a private network, or a local proxy")));
    }
    let (hosts, name) = (Hosts::of(&config), format!("jangbu {schema}"));
    Ok(Setup { hosts, schema: schema.to_owned(), name, durable: true, patience: PATIENCE })
}

/// A connection for tools that work on whole tables.
pub fn connect(url: &str, schema: &str) -> Result<Link, Fault> {
    Link::open(&setup("store.url", url, schema)?)
}

impl Backend for Postgres {
    fn with(&self, body: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        let held = self.shared.claims.lock().held;
        let epoch = held.map_or_else(|| self.wait(), |(epoch, _)| Ok(epoch))?;
        let link = Link::open(&self.setup)?;
        migrate::run(&link, &self.setup.schema, &self.migrations, &self.tables)?;
        drop(link);
        let mut session = Session::open(self, epoch)?;
        body(&mut session);
        drop(session);
        if held.is_none() { self.release() } else { Ok(()) }
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(PgReader::new(self.io()?, self.setup.clone())))
    }

    fn most_readers(&self) -> usize {
        READERS
    }

    fn claim(&self, address: &str) -> Result<Tenure, Fault> {
        self.claim_with(&mut self.shared.claims.lock(), address)
    }

    fn release(&self) -> Result<(), Fault> {
        let mut claims = self.shared.claims.lock();
        claims.held = None;
        let Some((link, before)) = claims.link.take() else { return Ok(()) };
        lease::release(&link, &self.holder)?;
        claims.link = Some((link, before));
        Ok(())
    }
}
