//! One SQLite file with one writer.
//!
//! | part | what it does |
//! |---|---|
//! | `session` | the owner's store: one connection, statements held for its life, one transaction at a time |
//! | `held` · `text` | the statements of a table, made from its const description |
//! | `hot` | rows that nearly every commit changes, kept in a log of their own before they go to their places |
//! | `checkpoint` | a thread that moves the log into the file, and the owner's finishing pass |
//! | `copy` | a copy of the whole file while the owner works on |
//! | `filling` | a new file that is filled from elsewhere |
//! | `reader` | more connections, read-only, each call in one short snapshot |
//! | `migrate` | the schema, step by step, refused when it drifted |
//! | `fault` · `diagnose` | what an error means, and where a damaged file is damaged |
//!
//! The file is in WAL mode. A commit appends pages to the log and flushes it
//! ([`Durability::Full`]); nothing else is written on its way. Automatic checkpoints are off,
//! because they would run inside a commit.
//!
//! *Invariants.* 1. One writer: begin is immediate, and an update that finds another version is a
//! lost epoch. 2. A failed flush is never tried again: after a fatal fault every later `begin` is
//! refused. 3. A commit is reported as failed only when it surely did not happen. 4. Where a hot row
//! stands is nobody's business outside (`hot`).

mod checkpoint;
mod copy;
mod diagnose;
mod fault;
mod filling;
mod held;
mod hot;
mod migrate;
mod reader;
mod session;
mod text;
mod walk;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jangbu_engine::port::{Backend, Fault, Reader, Store, Table};
use rusqlite::{Connection, OpenFlags, config::DbConfig, ffi};

pub use self::filling::Filling;
use self::{
    checkpoint::{Checkpointer, Progress},
    fault::fault_of,
    hot::{Shown, overlay},
    reader::SqliteReader,
    session::Session,
};
use crate::dump::{Dump, dump};
use crate::migration::Migration;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The log is flushed: a power cut does not undo a commit.
    Full,
    /// Only checkpoints flush: a power cut may undo the last commits, never damage the file.
    /// For databases that can be rebuilt.
    Normal,
}

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What a commit waits for.
    pub durability: Durability,
    /// Page cache of the owner in KiB. More makes commits slower (README.md).
    pub cache_kib: u32,
    /// The checkpoint thread runs when so many log frames wait for it, but not more often than
    /// every [`Self::checkpoint_pause`] unless four times as many wait.
    pub checkpoint_frames: u32,
    /// Under load a pause lets one pass carry pages that several commits wrote.
    pub checkpoint_pause: Duration,
    /// The owner finishes the checkpoint itself when the log has so many frames, so that the next
    /// commit starts it from the beginning.
    pub finish_frames: u32,
    /// When nobody has written for so long, the checkpoint thread empties the log, and the owner puts hot
    /// rows in their places.
    pub idle: Duration,
    /// How long to wait for a lock that somebody else holds.
    pub busy: Duration,
    /// Largest size in pages; a test of a full disk sets it.
    pub max_pages: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            cache_kib: 8_000,
            checkpoint_frames: 1_000,
            checkpoint_pause: Duration::from_millis(100),
            finish_frames: 10_000,
            idle: Duration::from_secs(1),
            busy: Duration::from_secs(1),
            max_pages: None,
        }
    }
}

/// A SQLite database file that can be opened.
#[derive(Clone, Debug)]
pub struct Sqlite {
    path: PathBuf,
    tables: Vec<&'static Table>,
    migrations: Vec<Migration>,
    options: Options,
    /// Hot rows on their way to their places.
    shown: Shown,
}

impl Sqlite {
    /// The database at `path`, whose schema is made by `migrations` and has at least `tables`.
    pub fn new(
        path: impl Into<PathBuf>,
        tables: &[&'static Table],
        migrations: &[Migration],
    ) -> Self {
        Self {
            path: path.into(),
            tables: tables.to_vec(),
            migrations: migrations.to_vec(),
            options: Options::default(),
            shown: Shown::default(),
        }
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every committed row of its tables.
    pub fn dump(&self) -> Result<Dump, Fault> {
        dump(&mut *self.reader()?, &self.tables)
    }

    /// What is damaged: one line for each finding, with page and table where SQLite can tell;
    /// empty for a sound file. Reads the whole file.
    pub fn diagnose(&self) -> Result<Vec<String>, Fault> {
        diagnose::whole(&self.path)
    }

    /// Copies the file to the new file `to` as of one moment, beside whoever writes: for a file
    /// whose log may grow meanwhile. The truth is copied by its owner ([`Store::copying`]).
    pub fn snapshot(&self, to: &Path) -> Result<(), Fault> {
        let wrap = |error| fault_of(&error, &format!("copying to {}", to.display()));
        let conn = reader::connect(&self.path).map_err(wrap)?;
        let into = to.to_string_lossy();
        conn.execute("VACUUM INTO ?1", [&*into]).map(|_| ()).map_err(wrap)
    }

    /// Puts hot rows in their places, as it is while nobody works with the file.
    fn settle(&self, conn: &Connection) -> Result<(), Fault> {
        if !self.tables.iter().any(|table| table.hot) {
            return Ok(());
        }
        let settled = conn.execute_batch(overlay::LOG);
        settled
            .and_then(|()| overlay::settle(conn, &self.tables))
            .map_err(|e| fault_of(&e, "putting hot rows in their places"))
    }

    fn connect(&self) -> Result<Connection, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        open(&self.path, flags, &self.options)
            .map_err(|e| fault_of(&e, &format!("opening {}", self.path.display())))
    }
}

impl Backend for Sqlite {
    fn with(&self, body: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        let mut conn = self.connect()?;
        migrate::run(&mut conn, &self.migrations)?;
        self.settle(&conn)?;
        // After a crash the log may be long: it is emptied before the first commit is counted.
        checkpoint::truncate(&conn);
        let progress = Progress::watch(&mut conn).map_err(|e| fault_of(&e, "watching the log"))?;
        let checkpointer = Checkpointer::start(&self.path, self.options, &progress)?;
        let mut session = Session::open(&conn, self, &progress)?;
        body(&mut session);
        drop(session);
        drop(checkpointer);
        // Whoever comes next would do it: a full disk must not keep the file from being closed.
        if let Err(fault) = self.settle(&conn) {
            tracing::warn!(%fault, "hot rows stay in their log");
        }
        checkpoint::truncate(&conn);
        conn.close().map_err(|(_, e)| fault_of(&e, "closing"))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(SqliteReader::open(&self.path, &self.tables, &self.shown)?))
    }
}

/// Keeps the plan of a held statement for good. Without it SQLite parses and plans a range again
/// for each new pair of bounds, which was half of the projector's time.
fn keep_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// Opens a connection that may write, with the settings that DESIGN and README.md explain.
fn open(path: &Path, flags: OpenFlags, options: &Options) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, flags)?;
    keep_plans(&conn)?;
    conn.busy_timeout(options.busy)?;
    conn.pragma_update(None, "page_size", 4096)?;
    let mode: String =
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let text = format!("no write-ahead log is possible here, the journal mode stays {mode}");
        return Err(fault::error(ffi::SQLITE_IOERR, text));
    }
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)?;
    conn.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    conn.execute_batch(
        "PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY;
         PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;",
    )?;
    if let Some(pages) = options.max_pages {
        conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(conn)
}
