//! The schema, step by step.
//!
//! Each applied step stands in table `migration` with the SHA-256 of its text. All missing steps
//! are applied in one immediate transaction, so a crash leaves the old schema or the new one. A
//! step whose text changed after it was applied, and a database that has steps which this program
//! does not know, are refused.

use std::{
    fmt::Write,
    time::{SystemTime, UNIX_EPOCH},
};

use jangbu_engine::port::Fault;
use rusqlite::{Connection, Result, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::fault::fault_of;

/// A step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// 1, 2, 3, …
    pub version: u32,
    /// A short name.
    pub name: &'static str,
    /// Its statements. Never edited once released.
    pub sql: &'static str,
}

/// A step that the database has.
struct Applied {
    version: u32,
    name: String,
    sha256: String,
}

/// Brings the database to the last of `migrations`.
pub(super) fn run(conn: &mut Connection, migrations: &[Migration]) -> Result<(), Fault> {
    if let Some((at, wrong)) =
        migrations.iter().enumerate().find(|(at, m)| usize::try_from(m.version) != Ok(at + 1))
    {
        return Err(Fault::Fatal(format!(
            "migration {} ({}) stands at place {}: versions must count 1, 2, 3, …",
            wrong.version,
            wrong.name,
            at + 1
        )));
    }
    let tx = begin(conn).map_err(|e| fault_of(&e, "migrating"))?;
    let applied = applied(&tx).map_err(|e| fault_of(&e, "reading the migrations"))?;
    compare(&applied, migrations)?;
    for migration in &migrations[applied.len()..] {
        apply(&tx, migration)
            .map_err(|e| fault_of(&e, &label(migration.version, migration.name)))?;
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

/// Refuses a newer database, a gap, and a step whose text is another one than that applied.
fn compare(applied: &[Applied], known: &[Migration]) -> Result<(), Fault> {
    for (at, old) in applied.iter().enumerate() {
        let step = label(old.version, &old.name);
        let Some(new) = known.get(at) else {
            return Err(Fault::Fatal(format!(
                "the database has {step}, but this program knows only {}: it was written by a \
                 newer version; start that one",
                known.len()
            )));
        };
        if old.version != new.version {
            return Err(Fault::Fatal(format!(
                "the database has {step} where {} is expected: its list of migrations has a gap; \
                 restore the last backup",
                label(new.version, new.name)
            )));
        }
        if old.sha256 != sha256(new.sql) {
            return Err(Fault::Fatal(format!(
                "{step} was changed after it was applied to this database: put its text back and \
                 add the change as a new migration"
            )));
        }
    }
    Ok(())
}

fn apply(tx: &Transaction<'_>, migration: &Migration) -> Result<()> {
    tx.execute_batch(migration.sql)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    tx.execute(
        "INSERT INTO migration (version, name, sha256, at) VALUES (?1, ?2, ?3, ?4)",
        params![
            migration.version,
            migration.name,
            sha256(migration.sql),
            i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
        ],
    )?;
    Ok(())
}

fn label(version: u32, name: &str) -> String {
    format!("migration {version} ({name})")
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
