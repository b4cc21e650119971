//! What PostgreSQL must keep instead of SQLite's file: the keys, CHECKs, NOT NULLs and triggers that make a
//! wrong row impossible to write, and the list of the steps that made the schema.
//!
//! The rules of the domains find a wrong row. These find that nothing would have refused it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use tokio_postgres::Client;

use super::failed;
use crate::{
    Error, Step,
    book::{Book, rules},
};

mod schema;

use self::schema::{PROMISED, Promise, TRIGGERS};

rules! {
    CONSTRAINT = "store.constraint", Mismatched, "On PostgreSQL every key, CHECK, NOT NULL and trigger of the schema is there, valid and switched on.";
    STEP = "store.step", Mismatched, "On PostgreSQL the schema was made by the steps that the program knows, each with its text.";
}

const CONSTRAINTS: &str = "SELECT c.relname::text, pg_catalog.pg_get_constraintdef(k.oid), k.convalidated \
     FROM pg_catalog.pg_namespace n \
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND NOT c.relispartition \
     JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('p', 'c') \
     WHERE n.nspname = $1";

/// Columns in which a null may stand.
const NULLABLE: &str = "SELECT c.relname::text, a.attname::text FROM pg_catalog.pg_namespace n \
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     WHERE n.nspname = $1 AND NOT a.attnotnull";

/// Triggers that run in every session that is not a replication's.
const LIVE_TRIGGERS: &str = "SELECT c.relname::text, t.tgname::text FROM pg_catalog.pg_namespace n \
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid \
     JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal \
     WHERE n.nspname = $1 AND t.tgenabled IN ('O', 'A')";

/// What the catalog has of a schema.
#[derive(Debug, Default)]
struct Found {
    /// Table and text of each constraint, plainly written, and whether all rows were held against it.
    constraints: BTreeMap<(String, String), bool>,
    nullable: BTreeSet<(String, String)>,
    triggers: BTreeSet<(String, String)>,
}

/// Compares the catalog with what the schema promises.
pub(super) async fn check(client: &Client, schema: &str, book: &mut Book) -> Result<(), Error> {
    let found = Found::read(client, schema).await.map_err(failed("reading the constraints"))?;
    let mut find = |table: &str, detail: String| {
        book.find(CONSTRAINT, format!("table {table}"), detail);
    };
    for Promise { table, nullable, constraints } in PROMISED {
        for text in *constraints {
            match found.constraints.get(&((*table).to_owned(), plain(text))) {
                Some(true) => {}
                Some(false) => find(table, format!("{text} was never validated")),
                None => find(table, format!("{text} is not there")),
            }
        }
        let rows = found.nullable.iter().filter(|(of, _)| of == table);
        for (_, column) in rows.filter(|(_, column)| !nullable.contains(&column.as_str())) {
            find(table, format!("the column {column} may be null"));
        }
    }
    for (table, trigger) in TRIGGERS {
        if !found.triggers.contains(&((*table).to_owned(), (*trigger).to_owned())) {
            find(table, format!("the trigger {trigger} is not there, or is switched off"));
        }
    }
    Ok(())
}

/// Compares the list of steps in the copy with those that the program knows.
pub(super) fn steps(copy: &Connection, known: &[Step], book: &mut Book) -> Result<(), Error> {
    let mut statement = copy.prepare("SELECT version, sha256 FROM migration ORDER BY version")?;
    let applied =
        statement.query_map([], |row| Ok(Step { version: row.get(0)?, sha256: row.get(1)? }))?;
    let applied = applied.collect::<Result<Vec<_>, _>>()?;
    for (at, step) in (1..).zip(&applied) {
        if step.version != at {
            book.find(STEP, format!("step {at}"), format!("step {} follows instead", step.version));
            return Ok(());
        }
    }
    if known.is_empty() {
        return Ok(());
    }
    for step in applied.iter().filter(|step| !known.contains(step)) {
        let detail =
            format!("its text has the hash {}, which this program does not know", step.sha256);
        book.find(STEP, format!("step {}", step.version), detail);
    }
    for step in known.iter().skip(applied.len()) {
        book.find(STEP, format!("step {}", step.version), "was not applied".to_owned());
    }
    Ok(())
}

impl Found {
    async fn read(client: &Client, schema: &str) -> Result<Self, tokio_postgres::Error> {
        let mut found = Self::default();
        for row in client.query(CONSTRAINTS, &[&schema]).await? {
            let text: String = row.get(1);
            found.constraints.insert((row.get(0), plain(&text)), row.get(2));
        }
        for row in client.query(NULLABLE, &[&schema]).await? {
            found.nullable.insert((row.get(0), row.get(1)));
        }
        for row in client.query(LIVE_TRIGGERS, &[&schema]).await? {
            found.triggers.insert((row.get(0), row.get(1)));
        }
        Ok(found)
    }
}

/// The text of a constraint without what servers write in different ways: casts, quotes, parentheses,
/// spaces.
fn plain(text: &str) -> String {
    let text = text.trim_end_matches(" NOT VALID");
    let bare = text.replace("::bigint", "").replace("::integer", "").replace("::text", "");
    bare.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_and_parentheses_make_no_difference_and_everything_else_does() {
        let server = "CHECK ((state = ANY (ARRAY[(1)::bigint, (2)::bigint])))";
        assert_eq!(plain(server), plain("CHECK (state = ANY (ARRAY[1, 2]))"));
        assert_ne!(plain(server), plain("CHECK (state = ANY (ARRAY[1, 3]))"));
    }
}
