//! The owner's store: one connection on the owner's thread.

use std::{path::Path, ptr, time::Duration};

use jangbu_engine::port::{
    CommitError, Each, Fault, Mode, ReadPlan, Store, StoreCounters, Table, Tx, Value, Values,
    WritePlan,
};
use rusqlite::{Connection, Error, ErrorCode, Statement};

use super::{
    Durability, Sqlite,
    checkpoint::{Finisher, Progress},
    copy, diagnose,
    fault::{fault_of, is_damage},
    held::{Held, bind, bind_all, op_of, prepare, select},
    hot::{Hot, Refused},
    text::Op,
};

/// Bytes of a page in the log: the page and its frame header.
const FRAME_BYTES: u64 = 4096 + 24;

/// How long to look for the damaged page before the fault is reported without it.
const LOOK: Duration = Duration::from_secs(5);

/// The open store. Statements live as long as it does.
#[derive(Debug)]
pub(super) struct Session<'c> {
    conn: &'c Connection,
    config: &'c Sqlite,
    progress: &'c Progress,
    finisher: Finisher<'c>,
    held: Held<'c>,
    hot: Hot<'c>,
    begin: Statement<'c>,
    commit: Statement<'c>,
    rollback: Statement<'c>,
    counters: StoreCounters,
    broken: Option<Fault>,
}

impl<'c> Session<'c> {
    /// The owner's connection.
    pub(super) fn connection(&self) -> &'c Connection {
        self.conn
    }

    pub(super) fn open(
        conn: &'c Connection,
        config: &'c Sqlite,
        progress: &'c Progress,
    ) -> Result<Self, Fault> {
        let open = || -> rusqlite::Result<Self> {
            Ok(Self {
                conn,
                config,
                progress,
                finisher: Finisher::new(conn, config.options, progress)?,
                held: Held::new(conn, &config.tables),
                hot: Hot::new(conn, &config.tables, (&config.shown, config.options.idle)),
                begin: prepare(conn, "BEGIN IMMEDIATE")?,
                commit: prepare(conn, "COMMIT")?,
                rollback: prepare(conn, "ROLLBACK")?,
                counters: StoreCounters::default(),
                broken: None,
            })
        };
        open().map_err(|e| fault_of(&e, "preparing"))
    }

    /// Translates an error; a fatal one ends all writing.
    fn fault(&mut self, error: &Error, what: &str, table: Option<&Table>) -> Fault {
        let fault = match fault_of(error, what) {
            Fault::Fatal(text) if is_damage(error) => {
                let found = diagnose::within(&self.config.path, table.map(|t| t.name), LOOK);
                Fault::Fatal(format!("{text}; found: {found}"))
            }
            fault => fault,
        };
        self.note(fault)
    }

    /// After a fatal fault nothing is written any more.
    fn note(&mut self, fault: Fault) -> Fault {
        if matches!(fault, Fault::Fatal(_)) {
            self.broken = Some(fault.clone());
        }
        fault
    }

    /// Leaves no transaction open.
    fn roll_back(&mut self) {
        self.hot.rolled_back();
        if self.conn.is_autocommit() {
            return;
        }
        if let Err(error) = self.rollback.execute([]) {
            let fault = self.fault(&error, "ROLLBACK", None);
            tracing::error!(%fault, "a transaction could not be rolled back");
            self.broken = Some(fault);
        }
    }

    /// Adds what a commit appended to the log.
    fn count(&mut self) {
        let Some(appended) = self.progress.take() else { return };
        self.counters.pages += u64::from(appended.frames);
        self.counters.wal_bytes += u64::from(appended.frames) * FRAME_BYTES;
        if self.config.options.durability == Durability::Full {
            // A log that starts over flushes its new header too.
            self.counters.fsyncs += 1 + u64::from(appended.restarted);
        }
        self.finisher.committed(appended);
    }
}

impl Store for Session<'_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        if self.hot.is_unsure() {
            self.config.settle(self.conn)?;
            self.hot.reset();
        }
        match self.begin.execute([]) {
            Ok(_) => Ok(Box::new(SessionTx(self))),
            Err(error) => Err(self.fault(&error, "BEGIN", None)),
        }
    }

    fn between(&mut self) -> Result<(), Fault> {
        let done = self.finisher.between();
        done.map_err(|fault| self.note(fault))?;
        if self.hot.is_idle() { self.tidy() } else { Ok(()) }
    }

    fn copying(&mut self, to: &Path, run: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        copy::copying(self, to, run)
    }

    fn counters(&self) -> StoreCounters {
        StoreCounters {
            checkpoints: self.progress.checkpoints(),
            fsyncs: self.counters.fsyncs + self.finisher.fsyncs(),
            ..self.counters
        }
    }
}

impl Session<'_> {
    /// Everything that belongs to the commit besides its plan.
    fn seal(&mut self) -> Result<(), Fault> {
        let held = &mut self.held;
        let sealed =
            self.hot.seal(&mut |table, row, version| put(held, table, row.values(), version));
        sealed.map_err(|error| self.misplaced(&error))
    }

    /// A hot row that its place does not accept is nobody's in the batch.
    fn misplaced(&mut self, error: &Error) -> Fault {
        match self.fault(error, "putting hot rows in their places", None) {
            Fault::Item(text) => self.note(Fault::Fatal(text)),
            fault => fault,
        }
    }

    /// Carries hot rows to their places while nothing else is written.
    fn tidy(&mut self) -> Result<(), Fault> {
        let mut tidy = || {
            self.begin.execute([])?;
            let held = &mut self.held;
            self.hot.tidy(&mut |table, row, version| put(held, table, row.values(), version))?;
            self.commit.execute([])
        };
        match tidy() {
            Ok(_) => {
                self.count();
                self.hot.committed();
                Ok(())
            }
            Err(error) => {
                let fault = self.misplaced(&error);
                self.roll_back();
                match fault {
                    // The log keeps them.
                    Fault::Transient(_) | Fault::Full(_) => Ok(()),
                    fault => Err(fault),
                }
            }
        }
    }
}

/// Puts a hot row in its place, where it must have `version`.
fn put<'v>(
    held: &mut Held<'_>,
    table: &'static Table,
    values: impl Iterator<Item = Value<'v>>,
    version: i64,
) -> rusqlite::Result<()> {
    let place = held.place(table);
    let op = if table.versioned { Op::Update } else { Op::Insert };
    let statement = held.get(place, table, op)?;
    bind_all(statement, values)?;
    if table.versioned {
        statement.raw_bind_parameter(table.width() + 1, version)?;
    }
    match statement.raw_execute()? {
        1 => Ok(()),
        _ => Err(Error::StatementChangedRows(0)),
    }
}

/// The open transaction.
struct SessionTx<'s, 'c>(&'s mut Session<'c>);

impl Drop for SessionTx<'_, '_> {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}

impl Tx for SessionTx<'_, '_> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        for (at, read) in plan.iter().enumerate() {
            let Session { held, hot, .. } = &mut *self.0;
            let place = held.place(read.table);
            let op = op_of(read.table, &read.by);
            let run = |each: &mut Each<'_>| {
                held.get(place, read.table, op)
                    .and_then(|statement| select(statement, read.table, &read.by, at, each))
            };
            hot.seen(read)
                .over(read, (at, each), run)
                .map_err(|e| self.0.fault(&e, &reading(read.table), Some(read.table)))?;
        }
        Ok(())
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        let mut last: Option<(&'static Table, usize)> = None;
        let many = Hot::are_many(plan);
        for (table, mode, values) in plan.iter() {
            match self.0.hot.stage(table, mode, values, many) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(Refused::Stale) => return Err(lost(table, values, mode)),
                Err(Refused::Exists) => {
                    let text = format!("{} is there already", writing(table, values));
                    return Err(Fault::Item(text));
                }
            }
            let place = match last {
                Some((t, place)) if ptr::eq(t, table) => place,
                _ => self.0.held.place(table),
            };
            last = Some((table, place));
            self.write_row(table, place, mode, values)?;
        }
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), CommitError> {
        let session = &mut *self.0;
        session.seal()?;
        let Err(error) = session.commit.execute([]) else {
            session.count();
            session.hot.committed();
            return Ok(());
        };
        // A full disk is noticed before the frame that would make the commit valid is there.
        let surely_not =
            !session.conn.is_autocommit() || error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let fault = session.fault(&error, "COMMIT", None);
        if !surely_not {
            session.hot.unsure();
        }
        session.roll_back();
        Err(if surely_not {
            CommitError::Failed(fault)
        } else {
            CommitError::Unknown(fault.to_string())
        })
    }
}

impl SessionTx<'_, '_> {
    fn write_row(
        &mut self,
        table: &'static Table,
        place: usize,
        mode: Mode,
        values: Values<'_>,
    ) -> Result<(), Fault> {
        let changed = self
            .execute(table, place, mode, values)
            .map_err(|e| self.0.fault(&e, &writing(table, values), Some(table)))?;
        match mode {
            Mode::Update { .. } if changed != 1 => Err(lost(table, values, mode)),
            Mode::Insert | Mode::Update { .. } | Mode::Upsert | Mode::Delete | Mode::Trim => Ok(()),
        }
    }

    fn execute(
        &mut self,
        table: &'static Table,
        place: usize,
        mode: Mode,
        values: Values<'_>,
    ) -> rusqlite::Result<usize> {
        let op = match mode {
            Mode::Insert => Op::Insert,
            Mode::Update { .. } => Op::Update,
            Mode::Upsert => Op::Upsert,
            Mode::Delete => Op::Delete,
            Mode::Trim => Op::Trim,
        };
        let statement = self.0.held.get(place, table, op)?;
        bind(statement, values)?;
        if let Mode::Update { version } = mode {
            statement.raw_bind_parameter(values.len() + 1, version)?;
        }
        statement.raw_execute()
    }
}

fn lost(table: &Table, values: Values<'_>, mode: Mode) -> Fault {
    Fault::LostEpoch(format!("{} is not in the version of {mode:?}", writing(table, values)))
}

fn reading(table: &Table) -> String {
    format!("reading {}", table.name)
}

fn writing(table: &Table, values: Values<'_>) -> String {
    format!("{} {:?}", table.name, &values.key(table)[..table.key.len()])
}
