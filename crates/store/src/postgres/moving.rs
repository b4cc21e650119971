//! What moves a shop in or out of a schema: its mark ([`crate::moving`]), its lock, and its name.

use jangbu_engine::port::{Fault, Table};
use tokio_postgres::{Client, error::SqlState};

use super::{Link, fault::fault_of, lease, text::quoted};
use crate::moving::Mark;

/// Work on whole tables takes as long as it takes, and reads them from end to end.
const UNHURRIED: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                         SET enable_seqscan = on; SET application_name = 'jangbu move'";

/// Takes the time-outs of a served shop off a connection.
pub fn unhurried(link: &Link) -> Result<(), Fault> {
    link.execute(UNHURRIED, "setting the session up")
}

/// Refuses a schema with a mark: who serves it would serve half a shop, or an old one.
pub(super) fn check(link: &Link, schema: &str) -> Result<(), Fault> {
    match mark(link, schema)? {
        Some(mark) => Err(Fault::Fatal(format!("the schema {schema}: {}", mark.refusal()))),
        None => Ok(()),
    }
}

/// The mark of a schema.
pub fn mark(link: &Link, schema: &str) -> Result<Option<Mark>, Fault> {
    let words = link.ask(words(link.client(), schema), "looking for the mark of a move")?;
    let garbled = || Fault::Fatal(format!("the table {schema}.moving has no mark of a move"));
    words.map(|words| Mark::parse(&words).ok_or_else(garbled)).transpose()
}

async fn words(client: &Client, schema: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let table = format!("{}.moving", quoted(schema));
    let known = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table]).await?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt(&format!("SELECT mark FROM {table}"), &[]).await?;
    Ok(Some(row.map_or_else(String::new, |row| row.get(0))))
}

/// Sets the mark of a schema, in one transaction with the statements `with`.
pub fn set(link: &Link, schema: &str, mark: &Mark, with: &str) -> Result<(), Fault> {
    let (table, words) = (format!("{}.moving", quoted(schema)), mark.text().replace('\'', "''"));
    let sql = format!(
        "BEGIN; DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (mark TEXT NOT NULL); \
         INSERT INTO {table} VALUES ('{words}'); {with} COMMIT"
    );
    link.execute(&sql, "setting the mark of a move")
}

/// Takes the mark away.
pub fn clear(link: &Link, schema: &str) -> Result<(), Fault> {
    let sql = format!("DROP TABLE IF EXISTS {}.moving", quoted(schema));
    link.execute(&sql, "taking the mark of a move away")
}

/// Keeps everybody else from writing to the schema's tables as long as the connection lives: takes the lock
/// that each transaction of an owner begins with. Refused while an owner has a lease.
pub fn hold(link: &Link, schema: &str) -> Result<(), Fault> {
    // The connection of a move that was killed may hold it for a moment.
    let locked = link.run(link.client().batch_execute(&lease::lock_session(schema)));
    if let Err(error) = locked {
        let busy = error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE);
        let other = || fault_of(&error, "locking the schema");
        return Err(if busy { in_use(schema, None) } else { other() });
    }
    let sql = format!(
        "SELECT address FROM {}.owner WHERE cell = 0 AND until > clock_timestamp()",
        quoted(schema)
    );
    let owner = link.run(link.client().query_opt(&sql, &[]));
    match owner.map_err(|error| fault_of(&error, "looking for an owner"))? {
        Some(row) => Err(in_use(schema, Some(row.get(0)))),
        None => Ok(()),
    }
}

fn in_use(schema: &str, address: Option<String>) -> Fault {
    let at = address.filter(|address| !address.is_empty());
    let at = at.map(|address| format!(" at {address}")).unwrap_or_default();
    Fault::Transient(format!(
        "the schema {schema} is in use: a process{at} owns it, or is gone for less than its lease; stop it \
         and try again"
    ))
}

/// The tables of a schema; none if it is not there.
pub fn tables(link: &Link, schema: &str) -> Result<Vec<String>, Fault> {
    let sql = "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = $1";
    let rows = link.run(link.client().query(sql, &[&schema]));
    let rows = rows.map_err(|error| fault_of(&error, "looking for tables"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// How many commits a schema has seen.
pub fn commits(link: &Link, schema: &str) -> Result<i64, Fault> {
    let sql = format!("SELECT COALESCE(max(commits), 0) FROM {}.shard", quoted(schema));
    let row = link.run(link.client().query_one(&sql, &[]));
    Ok(row.map_err(|error| fault_of(&error, "reading the shard row"))?.get(0))
}

/// Gives a schema another name.
pub fn set_aside(link: &Link, schema: &str, kept: &str) -> Result<(), Fault> {
    let sql = format!("ALTER SCHEMA {} RENAME TO {}", quoted(schema), quoted(kept));
    link.execute(&sql, "setting the rows of a shop that has left aside")
}

/// Lets the planner know what a table has.
pub fn analyze(link: &Link, schema: &str, table: &Table) -> Result<(), Fault> {
    let sql = format!("ANALYZE {}.{}", quoted(schema), quoted(table.name));
    link.execute(&sql, "analyzing")
}

/// Drops a schema of which everything can be made anew.
pub fn drop_schema(link: &Link, schema: &str) -> Result<(), Fault> {
    let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(schema));
    link.execute(&sql, "dropping a schema")
}
