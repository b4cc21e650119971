//! Statements held by the owner: one for each table and operation, prepared when first needed.
//!
//! Nothing is looked up by its text. A table is found by its address in a short list, once for
//! each run of rows of the same table.

use std::{cell::Cell, fmt, ptr};

use jangbu_engine::port::{By, Each, Fields, Table, Value, Values};
use rusqlite::{
    Connection, PrepFlags, Result, Row, Statement, ffi,
    types::{ToSql, ToSqlOutput, ValueRef},
};

use super::{
    fault,
    text::{OPS, Op, text},
};

/// The statements of all tables.
pub(super) struct Held<'c> {
    conn: &'c Connection,
    /// Where each table stands in `tables`; one table may have several addresses.
    places: Vec<(&'static Table, usize)>,
    tables: Vec<[Option<Statement<'c>>; OPS]>,
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("tables", &self.tables.len()).finish_non_exhaustive()
    }
}

impl<'c> Held<'c> {
    pub(super) fn new(conn: &'c Connection, tables: &[&'static Table]) -> Self {
        let mut held = Self { conn, places: Vec::new(), tables: Vec::new() };
        for table in tables {
            held.place(table);
        }
        held
    }

    /// Where `table` stands.
    pub(super) fn place(&mut self, table: &'static Table) -> usize {
        match self.places.iter().find(|(t, _)| ptr::eq(*t, table)) {
            Some((_, place)) => *place,
            None => self.add(table),
        }
    }

    /// The compiler may give a const several addresses: then the content tells.
    #[cold]
    fn add(&mut self, table: &'static Table) -> usize {
        let known = self.places.iter().find(|(t, _)| *t == table).map(|(_, place)| *place);
        let place = known.unwrap_or_else(|| {
            self.tables.push([const { None }; OPS]);
            self.tables.len() - 1
        });
        self.places.push((table, place));
        place
    }

    /// The statement that does `op` on `table`, which stands at `place`.
    pub(super) fn get(
        &mut self,
        place: usize,
        table: &Table,
        op: Op,
    ) -> Result<&mut Statement<'c>> {
        let held = &mut self.tables[place][op.place()];
        match held {
            Some(statement) => Ok(statement),
            None => Ok(held.insert(prepare(self.conn, &text(table, op))?)),
        }
    }
}

/// Prepares a statement that will be kept.
pub(super) fn prepare<'c>(conn: &'c Connection, sql: &str) -> Result<Statement<'c>> {
    conn.prepare_with_flags(sql, PrepFlags::SQLITE_PREPARE_PERSISTENT)
}

/// A value of a plan, bound without a copy on our side.
struct Bound<'a>(Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(n) => ValueRef::Integer(n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Binds `values` from parameter 1 on.
pub(super) fn bind(statement: &mut Statement<'_>, values: Values<'_>) -> Result<()> {
    bind_all(statement, (0..values.len()).map(|at| values.get(at)))
}

/// The same of values from anywhere.
pub(super) fn bind_all<'v>(
    statement: &mut Statement<'_>,
    values: impl Iterator<Item = Value<'v>>,
) -> Result<()> {
    for (at, value) in values.enumerate() {
        statement.raw_bind_parameter(at + 1, Bound(value))?;
    }
    Ok(())
}

/// The statement of a read; `Keys` runs once for each key.
pub(super) fn op_of(table: &Table, by: &By) -> Op {
    match by {
        By::Listed { list, .. } => Op::Listed(table.list(list)),
        By::Keys(_) => Op::Key,
        By::Due { .. } => Op::Due,
        By::Range { descending: false, .. } => Op::Up,
        By::Range { descending: true, .. } => Op::Down,
    }
}

/// Runs a read; reports each row with `at`.
pub(super) fn select(
    statement: &mut Statement<'_>,
    table: &Table,
    by: &By,
    at: usize,
    each: &mut Each<'_>,
) -> Result<()> {
    match by {
        By::Keys(keys) => keys.iter().try_for_each(|key| {
            bind_key(statement, 1, &key[..table.key.len()])?;
            let mut rows = statement.raw_query();
            rows.next()?.map_or(Ok(()), |row| report(row, at, each))
        }),
        By::Due { before, after, limit } => {
            let (moment, key) = after.map_or((i64::MIN, i64::MIN), |(at, key)| (at.0, key));
            bind_key(statement, 1, &[before.0, moment, key, i64::from(*limit)])?;
            all(statement, at, each)
        }
        By::Listed { after, limit, .. } => {
            bind_key(statement, 1, &[*after, i64::from(*limit)])?;
            all(statement, at, each)
        }
        By::Range { from, to, limit, .. } => {
            let n = table.key.len();
            bind_key(statement, 1, &from[..n])?;
            bind_key(statement, n + 1, &to[..n])?;
            bind_key(statement, 2 * n + 1, &[i64::from(*limit)])?;
            all(statement, at, each)
        }
    }
}

fn bind_key(statement: &mut Statement<'_>, from: usize, numbers: &[i64]) -> Result<()> {
    for (at, n) in numbers.iter().enumerate() {
        statement.raw_bind_parameter(from + at, *n)?;
    }
    Ok(())
}

pub(super) fn all(statement: &mut Statement<'_>, at: usize, each: &mut Each<'_>) -> Result<()> {
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        report(row, at, each)?;
    }
    Ok(())
}

fn report(row: &Row<'_>, at: usize, each: &mut Each<'_>) -> Result<()> {
    let row = SqlRow { row, wrong: Cell::new(None) };
    each(at, &row);
    match row.wrong.get() {
        None => Ok(()),
        Some(column) => {
            let text = format!("column {column} holds a value of another type");
            Err(fault::error(ffi::SQLITE_CORRUPT, text))
        }
    }
}

/// A row as the port shows it. A value of the wrong type, which only damage can explain, is
/// remembered and fails the read.
struct SqlRow<'a> {
    row: &'a Row<'a>,
    wrong: Cell<Option<usize>>,
}

impl<'a> SqlRow<'a> {
    fn value(&self, at: usize) -> ValueRef<'a> {
        self.row.get_ref(at).unwrap_or_else(|_| {
            self.wrong.set(Some(at));
            ValueRef::Null
        })
    }

    fn wrong<T>(&self, at: usize) -> Option<T> {
        self.wrong.set(Some(at));
        None
    }
}

impl Fields for SqlRow<'_> {
    fn int(&self, at: usize) -> i64 {
        self.opt_int(at).unwrap_or(0)
    }

    fn opt_int(&self, at: usize) -> Option<i64> {
        match self.value(at) {
            ValueRef::Integer(n) => Some(n),
            ValueRef::Null => None,
            ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => self.wrong(at),
        }
    }

    fn text(&self, at: usize) -> &str {
        self.opt_text(at).unwrap_or("")
    }

    fn opt_text(&self, at: usize) -> Option<&str> {
        match self.value(at) {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().or_else(|| self.wrong(at)),
            ValueRef::Null => None,
            ValueRef::Real(_) | ValueRef::Integer(_) | ValueRef::Blob(_) => self.wrong(at),
        }
    }

    fn blob(&self, at: usize) -> &[u8] {
        match self.value(at) {
            ValueRef::Blob(bytes) => bytes,
            ValueRef::Null => &[],
            ValueRef::Real(_) | ValueRef::Integer(_) | ValueRef::Text(_) => {
                self.wrong(at).unwrap_or(&[])
            }
        }
    }
}
