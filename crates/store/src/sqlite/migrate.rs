//! The schema, step by step ([`crate::migration`]).
//!
//! All missing steps are applied in one immediate transaction, so a crash leaves the old schema
//! or the new one.

use jangbu_engine::port::Fault;
use rusqlite::{Connection, Result, Transaction, TransactionBehavior, params};

use super::fault::fault_of;
use crate::migration::{Applied, Migration, missing, now};

/// Brings the database to the last of `migrations`.
pub(super) fn run(conn: &mut Connection, migrations: &[Migration]) -> Result<(), Fault> {
    missing(&[], migrations)?;
    let tx = begin(conn).map_err(|e| fault_of(&e, "migrating"))?;
    let applied = applied(&tx).map_err(|e| fault_of(&e, "reading the migrations"))?;
    for migration in missing(&applied, migrations)? {
        apply(&tx, migration).map_err(|e| fault_of(&e, &migration.label()))?;
        tracing::info!(version = migration.version, name = migration.name, "migration applied");
    }
    tx.commit().map_err(|e| fault_of(&e, "migrating"))
}

fn begin(conn: &mut Connection) -> Result<Transaction<'_>> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migration
           (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, at INTEGER NOT NULL)",
    )?;
    Ok(tx)
}

fn applied(tx: &Transaction<'_>) -> Result<Vec<Applied>> {
    let mut statement =
        tx.prepare("SELECT version, name, sha256 FROM migration ORDER BY version")?;
    let rows = statement.query_map([], |row| {
        Ok(Applied { version: row.get(0)?, name: row.get(1)?, sha256: row.get(2)? })
    })?;
    rows.collect()
}

fn apply(tx: &Transaction<'_>, migration: &Migration) -> Result<()> {
    tx.execute_batch(migration.sql)?;
    tx.execute(
        "INSERT INTO migration (version, name, sha256, at) VALUES (?1, ?2, ?3, ?4)",
        params![migration.version, migration.name, migration.sha256(), now()],
    )?;
    Ok(())
}
