//! Reads beside the owner, on a read-only connection.

use std::{path::Path, ptr, time::Duration};

use jangbu_engine::port::{By, Each, Fault, Read, ReadPlan, Reader, Table, Walk};
use rusqlite::{Connection, ErrorCode, OpenFlags, Result};

use super::{
    fault::fault_of,
    held::{op_of, select},
    hot::{Seen, Shown, overlay},
    text::{OPS, Op, text},
    walk,
};

/// How long a reader waits for a lock; it only meets one when the log is recovered or emptied.
const BUSY: Duration = Duration::from_millis(250);

/// A reader. Each call is one snapshot and ends with the call, so it never holds up the log.
#[derive(Debug)]
pub(super) struct SqliteReader {
    conn: Connection,
    tables: Vec<&'static Table>,
    shown: Shown,
    texts: Vec<(&'static Table, [Option<String>; OPS])>,
}

impl SqliteReader {
    pub(super) fn open(
        path: &Path,
        tables: &[&'static Table],
        shown: &Shown,
    ) -> Result<Self, Fault> {
        let conn = connect(path).map_err(|e| match e.sqlite_error_code() {
            Some(ErrorCode::CannotOpen) if !path.exists() => {
                Fault::Transient(format!("{} does not exist yet", path.display()))
            }
            _ => fault_of(&e, &format!("opening {} to read", path.display())),
        })?;
        Ok(Self { conn, tables: tables.to_vec(), shown: shown.clone(), texts: Vec::new() })
    }

    fn run(&mut self, read: &Read, at: usize, each: &mut Each<'_>) -> Result<()> {
        let sql = statement_text(&mut self.texts, read.table, op_of(read.table, &read.by));
        select(&mut *self.conn.prepare_cached(sql)?, read.table, &read.by, at, each)
    }

    fn run_all(&mut self, plan: &ReadPlan, seen: &Seen, each: &mut Each<'_>) -> Result<(), Fault> {
        for (at, read) in plan.iter().enumerate() {
            seen.over(read, (at, each), |each| self.run(read, at, each))
                .map_err(|e| fault_of(&e, &format!("reading {}", read.table.name)))?;
        }
        Ok(())
    }

    /// Reads hot rows as the log has them within the snapshot.
    fn run_exactly(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        overlay::show(&self.conn, &self.tables)
            .map_err(|e| fault_of(&e, "reading the log of hot rows"))?;
        self.run_all(plan, &Seen::default(), each)
    }

    fn control(&self, sql: &str) -> Result<(), Fault> {
        let done = self.conn.prepare_cached(sql).and_then(|mut s| s.execute([]));
        done.map(|_| ()).map_err(|e| fault_of(&e, sql))
    }
}

impl Reader for SqliteReader {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        match self.shown.newest(plan) {
            None => self.snapshot(|reader| reader.run_exactly(plan, each)),
            Some(seen) if is_one_statement(plan) => self.run_all(plan, &seen, each),
            Some(seen) => self.snapshot(|reader| reader.run_all(plan, &seen, each)),
        }
    }

    fn walk(&mut self, walks: &[Walk], each: &mut Each<'_>) -> Result<(), Fault> {
        let mut run = |reader: &mut Self, (at, walk): (usize, &Walk)| {
            let what = || format!("walking along {}", walk.index.name);
            walk::run(&reader.conn, walk, at, each).map_err(|e| fault_of(&e, &what()))
        };
        self.snapshot(|reader| walks.iter().enumerate().try_for_each(|walk| run(reader, walk)))
    }
}

impl SqliteReader {
    /// Runs `work` in one transaction.
    fn snapshot(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.control("BEGIN")?;
        let done = work(self);
        // Nothing was written but what `overlay::show` made for this snapshot, which goes with it.
        let ended = if self.conn.is_autocommit() { Ok(()) } else { self.control("ROLLBACK") };
        done.and(ended)
    }
}

pub(super) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    super::keep_plans(&conn)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.execute_batch(
        "PRAGMA cache_size = -2000; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;",
    )?;
    Ok(conn)
}

/// One statement is a snapshot by itself.
fn is_one_statement(plan: &ReadPlan) -> bool {
    match plan {
        [] => true,
        [one] => !matches!(&one.by, By::Keys(keys) if keys.len() > 1),
        _ => false,
    }
}

fn statement_text<'t>(
    texts: &'t mut Vec<(&'static Table, [Option<String>; OPS])>,
    table: &'static Table,
    op: Op,
) -> &'t str {
    let at = texts.iter().position(|(t, _)| ptr::eq(*t, table)).unwrap_or_else(|| {
        texts.push((table, [const { None }; OPS]));
        texts.len() - 1
    });
    texts[at].1[op.place()].get_or_insert_with(|| text(table, op))
}
