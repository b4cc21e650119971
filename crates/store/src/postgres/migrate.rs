//! The schema in PostgreSQL, step by step ([`crate::migration`]), in one transaction under a lock of its own:
//! of two processes that start together one migrates and the other finds it done.

use jangbu_engine::port::{Fault, Table};
use tokio_postgres::types::ToSql;

use super::{fault::fault_of, lease, link::Link, text::quoted, translate};
use crate::migration::{Applied, Migration, missing, now};

/// How full pages of rows are that are updated, so that a new version finds room beside the old one.
const FILL: u32 = 80;

/// The same of rows all over a table that nearly every commit updates: old versions are cleared away when a page is
/// full, and there are more of them at a time when there is more room.
const FILL_HOT: u32 = 40;

/// For how many ms the vacuum of a table whose rows never change pauses between two steps: it has nothing to
/// clear away, and a young shop's tables would be gone over each minute.
const CALM: u32 = 10;

/// How closely PostgreSQL looks at what is in a column (its own 100): all that is asked goes by an index.
const SAMPLE: u32 = 10;

/// Makes the schema and the table of owners, which the lease needs before everything else.
pub(super) fn found(link: &Link, schema: &str) -> Result<(), Fault> {
    let lock = lease::lock_schema(schema);
    let (name, table) = (quoted(schema), lease::TABLE);
    let sql = format!("BEGIN; {lock}; CREATE SCHEMA IF NOT EXISTS {name}; {table}; COMMIT");
    link.ask(link.client().batch_execute(&sql), "making the schema")
}

/// Brings the schema to the last of `migrations`.
pub(super) fn run(
    link: &Link,
    schema: &str,
    migrations: &[Migration],
    tables: &[&'static Table],
) -> Result<(), Fault> {
    missing(&[], migrations)?;
    let lock = lease::lock_schema(schema);
    let begin = format!(
        "BEGIN; SET LOCAL statement_timeout = 0; {lock}; CREATE TABLE IF NOT EXISTS migration
           (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, at BIGINT NOT NULL)",
    );
    link.execute(&begin, "migrating")?;
    let done = steps(link, migrations, tables);
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = link.execute(end, "migrating");
    done.and(ended)
}

fn steps(link: &Link, migrations: &[Migration], tables: &[&'static Table]) -> Result<(), Fault> {
    let applied = applied(link)?;
    let missing = missing(&applied, migrations)?;
    for migration in missing {
        link.execute(&translate::schema(migration.sql), &migration.label())?;
        let sql = "INSERT INTO migration (version, name, sha256, at) VALUES ($1, $2, $3, $4)";
        let params: [&(dyn ToSql + Sync); 4] =
            [&i64::from(migration.version), &migration.name, &migration.sha256(), &now()];
        let done = link.run(link.client().execute(sql, &params));
        done.map_err(|error| fault_of(&error, &migration.label()))?;
        tracing::info!(version = migration.version, name = migration.name, "migration applied");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let tuned: Vec<_> = tables.iter().map(|table| tuned(table)).collect();
    link.execute(&tuned.join("; "), "setting the tables up")
}

/// How PostgreSQL is to keep a table, if these migrations have made it.
fn tuned(table: &Table) -> String {
    let fill = if table.hot { FILL_HOT } else { FILL };
    let kept = if table.versioned {
        format!("fillfactor = {fill}, autovacuum_vacuum_scale_factor = 0.05")
    } else {
        format!("autovacuum_vacuum_cost_delay = {CALM}")
    };
    let columns = table.key.iter().copied().chain(table.cols.iter().map(|col| col.name));
    let sampled = columns.map(|col| format!("ALTER {} SET STATISTICS {SAMPLE}", quoted(col)));
    let sampled = sampled.collect::<Vec<_>>().join(", ");
    let name = quoted(table.name);
    format!("ALTER TABLE IF EXISTS {name} SET ({kept}), {sampled}")
}

/// Refuses a schema that is not the one of `migrations`: for whoever only reads.
pub(super) fn check(link: &Link, migrations: &[Migration]) -> Result<(), Fault> {
    match missing(&applied(link)?, migrations)? {
        [] => Ok(()),
        [first, ..] => Err(Fault::Transient(format!(
            "the database lacks {}: its owner applies it when it starts",
            first.label()
        ))),
    }
}

fn applied(link: &Link) -> Result<Vec<Applied>, Fault> {
    let sql = "SELECT version, name, sha256 FROM migration ORDER BY version";
    let rows = link.ask(link.client().query(sql, &[]), "reading the migrations")?;
    let applied = |row: &tokio_postgres::Row| Applied {
        version: u32::try_from(row.get::<_, i64>(0)).unwrap_or(0),
        name: row.get(1),
        sha256: row.get(2),
    };
    Ok(rows.iter().map(applied).collect())
}
