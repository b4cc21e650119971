//! Rows that nearly every commit changes may have their newest state in `hot_log`, as
//! `[["table",[value,…]],…]` in the order of the table's columns, the version last; the state with the
//! highest version counts. From here on the names of their tables stand for the newest rows, so that
//! no other rule has to know.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::{
    Error,
    book::{Book, rules},
    rows::{Source, scan},
};

rules! {
    LOG = "store.hot", Mismatched, "The log of hot rows is well formed, and every row in it is newer than, or the same as, a row in its place.";
}

/// What a row of the log must be.
const FORM: &str = "SELECT l.no FROM hot_log l WHERE NOT json_valid(l.rows) OR EXISTS (
    SELECT 1 FROM json_each(CASE WHEN json_valid(l.rows) THEN l.rows END) r
    WHERE json_type(r.value, '$[0]') IS NOT 'text' OR json_type(r.value, '$[1]') IS NOT 'array'
      OR NOT EXISTS (SELECT 1 FROM main.sqlite_schema s
                     WHERE s.type = 'table' AND s.name = json_extract(r.value, '$[0]')))";

/// Within the read transaction: lets the names of hot tables stand for their newest rows.
pub(crate) fn show(from: Source<'_>, book: &mut Book) -> Result<(), Error> {
    let db = from.db;
    let known = "SELECT EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = 'hot_log')";
    if !db.query_row(known, [], |row| row.get(0))? {
        return Ok(());
    }
    let mut wrong = BTreeSet::new();
    scan(from, book, FORM, |cells, book| {
        let no = cells.int()?;
        wrong.insert(no);
        book.find(LOG, format!("hot_log {no}"), "is not a list of rows of tables".to_owned());
        Ok(())
    })?;
    if !wrong.is_empty() {
        return Ok(());
    }
    db.execute_batch("PRAGMA query_only = 0")?;
    let shown = tables(db)?.iter().try_for_each(|table| Table::of(db, table)?.show(from, book));
    db.execute_batch("PRAGMA query_only = 1")?;
    shown
}

fn tables(db: &Connection) -> Result<Vec<String>, Error> {
    let sql = "SELECT DISTINCT json_extract(r.value, '$[0]') FROM hot_log l, json_each(l.rows) r";
    let mut statement = db.prepare(sql)?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// A table with hot rows.
struct Table<'t> {
    name: &'t str,
    cols: Vec<String>,
    key: Vec<String>,
}

impl<'t> Table<'t> {
    fn of(db: &Connection, name: &'t str) -> Result<Self, Error> {
        let names = |sql: &str| -> Result<Vec<String>, Error> {
            let mut statement = db.prepare(sql)?;
            let names = statement.query_map([name], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        let info = "SELECT name FROM pragma_table_info(?1, 'main')";
        let cols = names(info)?;
        let key = names(&format!("{info} WHERE pk > 0 ORDER BY pk"))?;
        Ok(Self { name, cols, key })
    }

    fn show(&self, from: Source<'_>, book: &mut Book) -> Result<(), Error> {
        let Self { name, cols, key } = self;
        let of =
            |row: &str| cols.iter().map(|c| format!("{row}.{c}")).collect::<Vec<_>>().join(", ");
        let values = (0..cols.len()).map(|at| format!("json_extract(r.value, '$[1][{at}]')"));
        let same = key.iter().map(|k| format!("h.{k} = s.{k}")).collect::<Vec<_>>().join(" AND ");
        from.db.execute_batch(&format!(
            "CREATE TEMP TABLE \"hot_{name}\" ({}, PRIMARY KEY ({}));
             INSERT OR REPLACE INTO \"hot_{name}\" SELECT {} FROM hot_log l, json_each(l.rows) r
               WHERE json_extract(r.value, '$[0]') = '{name}'
               ORDER BY l.no;",
            cols.join(", "),
            key.join(", "),
            values.collect::<Vec<_>>().join(", "),
        ))?;
        let versioned = cols.iter().any(|col| col == "version");
        // Rows of a table without versions never change.
        let (newer, at_odds) = if versioned {
            ("h.version > s.version", "s.version IS NULL OR s.version = h.version".to_owned())
        } else {
            ("0", format!("s.{} IS NOT NULL", key[0]))
        };
        let wrong = format!(
            "SELECT h.{} FROM \"hot_{name}\" h LEFT JOIN main.\"{name}\" s ON {same}
             WHERE ({at_odds}) AND ({}) IS NOT ({})",
            key[0],
            of("s"),
            of("h"),
        );
        scan(from, book, &wrong, |cells, book| {
            let subject = format!("{name} {}", cells.int()?);
            book.find(
                LOG,
                subject,
                "has no place, or another state of its version there".to_owned(),
            );
            Ok(())
        })?;
        from.db.execute_batch(&format!(
            "CREATE TEMP VIEW \"{name}\" AS
               SELECT {0} FROM main.\"{name}\" s
               WHERE NOT EXISTS (SELECT 1 FROM \"hot_{name}\" h WHERE {same} AND {newer})
               UNION ALL SELECT {1} FROM \"hot_{name}\" h LEFT JOIN main.\"{name}\" s ON {same}
               WHERE {newer} OR ({versioned} = 0 AND s.{2} IS NULL);",
            of("s"),
            of("h"),
            key[0],
        ))?;
        Ok(())
    }
}
