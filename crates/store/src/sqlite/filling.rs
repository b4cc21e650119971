//! A new file that is filled from elsewhere, many rows of one table at a time.
//!
//! Not the owner's way: every row goes to its place at once, whether its table is hot or not, and nothing is
//! flushed before the end, because a file that is half filled is worth nothing. Rows come in the order of
//! their keys, so that each page is written once.

use std::collections::BTreeMap;

use jangbu_engine::port::{Fault, Table, Value, WritePlan};
use rusqlite::{
    Connection, Result, Statement,
    types::{ToSqlOutput, ValueRef},
};

use super::{Sqlite, checkpoint, fault_of, migrate, text};

/// A file that is being filled.
#[derive(Debug)]
pub struct Filling(Connection);

impl Sqlite {
    /// Opens the file to fill it; makes it, with its schema, if it is not there.
    pub fn fill(&self) -> std::result::Result<Filling, Fault> {
        let mut conn = self.connect()?;
        migrate::run(&mut conn, &self.migrations)?;
        self.settle(&conn)?;
        let eased =
            conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 4000");
        eased.map_err(|e| fault_of(&e, "opening a file to be filled"))?;
        Ok(Filling(conn))
    }
}

impl Filling {
    /// Removes every row of a table.
    pub fn clear(&mut self, table: &Table) -> std::result::Result<(), Fault> {
        let done = self.0.execute(&format!("DELETE FROM \"{}\"", table.name), []);
        done.map(|_| ()).map_err(|e| fault_of(&e, "filling"))
    }

    /// Puts rows in, all of them or none; a row of the same key is replaced.
    pub fn put(&mut self, plan: &WritePlan) -> std::result::Result<(), Fault> {
        put(&mut self.0, plan).map_err(|e| fault_of(&e, "filling"))
    }

    /// Flushes the file and closes it.
    pub fn finish(self) -> std::result::Result<(), Fault> {
        let Self(conn) = self;
        let flushed = conn.execute_batch("PRAGMA synchronous = FULL");
        flushed.map_err(|e| fault_of(&e, "flushing a file that was filled"))?;
        checkpoint::truncate(&conn);
        conn.close().map_err(|(_, e)| fault_of(&e, "closing"))
    }
}

fn put(conn: &mut Connection, plan: &WritePlan) -> Result<()> {
    let tx = conn.transaction()?;
    {
        let mut statements: BTreeMap<&str, Statement<'_>> = BTreeMap::new();
        for (table, _, values) in plan.iter() {
            if !statements.contains_key(table.name) {
                statements.insert(table.name, tx.prepare(&insert(table))?);
            }
            let Some(statement) = statements.get_mut(table.name) else { continue };
            for at in 0..values.len() {
                let value = match values.get(at) {
                    Value::Null => ValueRef::Null,
                    Value::Int(n) => ValueRef::Integer(n),
                    Value::Text(text) => ValueRef::Text(text.as_bytes()),
                    Value::Blob(bytes) => ValueRef::Blob(bytes),
                };
                statement.raw_bind_parameter(at + 1, ToSqlOutput::Borrowed(value))?;
            }
            statement.raw_execute()?;
        }
    }
    tx.commit()
}

fn insert(table: &Table) -> String {
    let columns: Vec<String> = text::columns(table).map(|name| format!("\"{name}\"")).collect();
    let places = vec!["?"; columns.len()].join(", ");
    format!("INSERT OR REPLACE INTO \"{}\" ({}) VALUES ({places})", table.name, columns.join(", "))
}
